// Rates: token buckets, {f64 tokens that are missing, f64 when in ms} each. What is kept is how many are missing, so
// that a new bucket is full. A bucket of ICMP errors of a kind (ERROR_BUCKETS), one a prefix, and one for the sources
// of a hash, in a table of fixed size: what a flood of sources costs is that some share theirs.

import { OWNER, SEED } from "../abi/control";
import { BUCKET_SIZE, PREFIX_BUCKETS, SOURCE_BUCKETS, SOURCES } from "../abi/limits";
import { FIRST_PREFIX, LIMIT_PREFIX, LIMIT_SIZE, LIMIT_SOURCE, PREFIX_LIMITS, SOURCE_LIMIT } from "../abi/tables";
import { answers, table } from "./prefix";
import * as ipv4 from "./wire/ipv4";
import * as ipv6 from "./wire/ipv6";

/** Takes a token of the bucket, if there is one. It gains `perMs` a millisecond, and holds `most`. */
export function take(bucket: usize, perMs: f64, most: f64, now: f64): bool {
  // A clock that was set back gives none. A bucket that held more under an earlier configuration owes no more than it
  // holds now.
  const missing = max<f64>(0, min<f64>(most, load<f64>(bucket)) - max<f64>(0, now - load<f64>(bucket, 8)) * perMs);
  store<f64>(bucket, now, 8);
  const one = missing + 1 <= most;
  store<f64>(bucket, one ? missing + 1 : missing);
  return one;
}

/**
 * Whether the packet that is being judged may be answered: by its source's rate, and by that of its destination's
 * prefix.
 */
export function permits(ip: usize, now: f64): bool {
  const limited = answers() & (LIMIT_PREFIX | LIMIT_SOURCE);
  if (!limited) return true;
  const at = table();
  if (limited & LIMIT_SOURCE) {
    // Its own bucket first: a source above its rate takes nothing away from the others.
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

/** Of the source's network, /24 or /56, which is what one host may have; below SOURCES. */
function hash(ip: usize): u32 {
  const six = ipv4.version(ip) == 6;
  const high = six ? load<u32>(ipv6.srcAddr(ip)) : 6;
  const low = six ? load<u32>(ipv6.srcAddr(ip), 4) & 0x00ffffff : load<u32>(ipv4.srcAddr(ip)) & 0x00ffffff;
  return mix(mix(high ^ load<u32>(SEED)) ^ low) & (SOURCES - 1);
}

/** The finalizer of MurmurHash3 (public domain): each bit of the result depends on each of `h`. */
export function mix(h: u32): u32 {
  h = (h ^ h >>> 16) * 0x85ebca6b;
  h = (h ^ h >>> 13) * 0xc2b2ae35;
  return h ^ h >>> 16;
}
