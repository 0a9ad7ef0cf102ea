// Rates: token buckets, {f64 missing tokens, u64 time of the last update} each. A bucket keeps how many tokens are
// missing, so that a new one is full. There is a bucket for each kind of ICMP error
// (ERROR_BUCKETS), one for each prefix, and one for all sources of a hash. The table of these has a fixed
// size: in a flood of sources some share a bucket.

import { NOW, SEED } from "../abi/control";
import { BUCKET_SIZE, PREFIX_BUCKETS, SOURCE_BUCKETS, SOURCES } from "../abi/limits";
import { FIRST_PREFIX, LIMIT_PREFIX, LIMIT_SIZE, LIMIT_SOURCE, PREFIX_LIMITS, SOURCE_LIMIT } from "../abi/tables";
import { answers, family, owner } from "./packet";
import { table } from "./prefix";
import * as ipv4 from "./wire/ipv4";
import * as ipv6 from "./wire/ipv6";

const NS_PER_MS: f64 = 1e6;

/**
 * Takes a token from the bucket and returns true if there is one. The bucket gains `perMs` tokens a millisecond and
 * holds `most`. `now` is on the clock of NOW.
 */
export function take(bucket: usize, perMs: f64, most: f64, now: u64): bool {
  const last = load<u64>(bucket, 8);
  const gained = now > last ? <f64>(now - last) / NS_PER_MS * perMs : 0;
  // If the bucket held more under an earlier configuration, no more tokens are missing than it holds now.
  const missing = max<f64>(0, min<f64>(most, load<f64>(bucket)) - gained);
  store<u64>(bucket, now, 8);
  const one = missing + 1 <= most;
  store<f64>(bucket, one ? missing + 1 : missing);
  return one;
}

/** Returns whether the rates of the source and of the destination's prefix allow an answer to the packet at `ip`. */
export function permits(packet: usize, ip: usize): bool {
  return permitsWithin(packet, ip, answers(packet));
}

/** Returns the same, for the rates that LIMIT_PREFIX and LIMIT_SOURCE in `limits` name. */
export function permitsWithin(packet: usize, ip: usize, limits: u32): bool {
  // The source's bucket comes first, so that a source above its rate takes no tokens away from others.
  return permitsSource(packet, ip, limits) && permitsPrefix(packet, limits);
}

/** Returns whether the rate of the source allows an answer, if LIMIT_SOURCE is in `limits`. */
export function permitsSource(packet: usize, ip: usize, limits: u32): bool {
  if (!(limits & LIMIT_SOURCE)) return true;
  const at = table();
  const bucket = SOURCE_BUCKETS + hash(packet, ip) * BUCKET_SIZE;
  return take(bucket, load<f32>(at, SOURCE_LIMIT), load<f32>(at, SOURCE_LIMIT + 4), load<u64>(NOW));
}

/** Returns whether the rate of the destination's prefix allows an answer, if LIMIT_PREFIX is in `limits`. */
export function permitsPrefix(packet: usize, limits: u32): bool {
  if (!(limits & LIMIT_PREFIX)) return true;
  const index = owner(packet) - FIRST_PREFIX;
  const limit = table() + <usize>(index * LIMIT_SIZE);
  return take(
    PREFIX_BUCKETS + index * BUCKET_SIZE, load<f32>(limit, PREFIX_LIMITS), load<f32>(limit, PREFIX_LIMITS + 4),
    load<u64>(NOW),
  );
}

/** Returns a hash, below SOURCES, of the source's network: /24 or /56, which is what one host may have. */
function hash(packet: usize, ip: usize): u32 {
  const six = family(packet) == 6;
  const high = six ? load<u32>(ipv6.srcAddr(ip)) : 6;
  const low = six ? load<u32>(ipv6.srcAddr(ip), 4) & 0x00ffffff : load<u32>(ipv4.srcAddr(ip)) & 0x00ffffff;
  return mix(mix(high ^ load<u32>(SEED)) ^ low) & (SOURCES - 1);
}

/** The finalizer of MurmurHash3 (public domain): each bit of the result depends on every bit of `h`. */
export function mix(h: u32): u32 {
  h = (h ^ h >>> 16) * 0x85ebca6b;
  h = (h ^ h >>> 13) * 0xc2b2ae35;
  return h ^ h >>> 16;
}
