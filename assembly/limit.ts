// Rates: token buckets, {f64 missing tokens, f64 time of the last update in ms} each. A bucket keeps how many
// tokens are missing, so that a new one is full. There is a bucket for each kind of ICMP error
// (ERROR_BUCKETS), one for each prefix, and one for all sources of a hash. The table of these has a fixed
// size: in a flood of sources some share a bucket.

import { OWNER, SEED } from "../abi/control";
import { BUCKET_SIZE, PREFIX_BUCKETS, SOURCE_BUCKETS, SOURCES } from "../abi/limits";
import { FIRST_PREFIX, LIMIT_PREFIX, LIMIT_SIZE, LIMIT_SOURCE, PREFIX_LIMITS, SOURCE_LIMIT } from "../abi/tables";
import { answers, table } from "./prefix";
import * as ipv4 from "./wire/ipv4";
import * as ipv6 from "./wire/ipv6";

/**
 * Takes a token from the bucket and returns true if there is one. The bucket gains `perMs` tokens
 * a millisecond and holds `most`.
 */
export function take(bucket: usize, perMs: f64, most: f64, now: f64): bool {
  // A clock that was set back gives no tokens. If the bucket held more under an earlier configuration, no more tokens
  // are missing than it holds now.
  const missing = max<f64>(0, min<f64>(most, load<f64>(bucket)) - max<f64>(0, now - load<f64>(bucket, 8)) * perMs);
  store<f64>(bucket, now, 8);
  const one = missing + 1 <= most;
  store<f64>(bucket, one ? missing + 1 : missing);
  return one;
}

/**
 * Returns whether the rates of the source and of the destination's prefix allow an answer to the packet being judged.
 */
export function permits(ip: usize, now: f64): bool {
  const limited = answers() & (LIMIT_PREFIX | LIMIT_SOURCE);
  if (!limited) return true;
  const at = table();
  if (limited & LIMIT_SOURCE) {
    // The source's bucket comes first, so that a source above its rate takes no tokens away from others.
    if (!take(
      SOURCE_BUCKETS + hash(ip) * BUCKET_SIZE, load<f32>(at, SOURCE_LIMIT), load<f32>(at, SOURCE_LIMIT + 4), now,
    )) return false;
  }
  if (!(limited & LIMIT_PREFIX)) return true;
  const index = load<u32>(OWNER) - FIRST_PREFIX;
  const limit = at + <usize>(index * LIMIT_SIZE);
  return take(
    PREFIX_BUCKETS + index * BUCKET_SIZE, load<f32>(limit, PREFIX_LIMITS), load<f32>(limit, PREFIX_LIMITS + 4), now,
  );
}

/** Returns a hash, below SOURCES, of the source's network: /24 or /56, which is what one host may have. */
function hash(ip: usize): u32 {
  const six = ipv4.version(ip) == 6;
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
