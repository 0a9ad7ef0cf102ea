// A packet of IRTT. All numbers are little-endian.
//
//   0    0x14 0xa7 0x5b, and flags
//   4    token; not in an open's request
//  12    sequence number; in an open, parameters from where a token ends, or would begin
//  16    optional fields, then payload
//
// Where there is a key, the flags have HMAC, and 16 octets of HMAC-MD5 lie between them and the rest, which is as far
// behind. The HMAC is that of the whole packet with zeros in its place.

import { IRTT_IS_KEYED, IRTT_PADS } from "../../../abi/irtt";
import { MD5_STATE } from "../../../abi/md5";
import { SERVICE_BYTES } from "../../../abi/tcp";
import { hmac } from "../../md5";
import { ttl } from "../../packet";
import * as wire from "../../wire/udp";
import { replySummed } from "../reply";

export const MAGIC: u32 = 0x5ba714;
export const FLAGS: usize = 3;
const HMAC_AT: usize = 4;
// These are offsets in a packet without an HMAC.
export const TOKEN: usize = 4;
export const SEQUENCE: usize = 12;
export const HEADER_LEN: u32 = 4;
export const TOKEN_LEN: u32 = 8;
export const MIN_LEN: u32 = 16;
export const HMAC_LEN: u32 = 16;

export const OPEN: u32 = 1;
export const REPLY: u32 = 2;
export const CLOSE: u32 = 4;
export const HMAC: u32 = 8;
export const ALL_FLAGS: u32 = OPEN | REPLY | CLOSE | HMAC;

// Bits of a session's fields: the values of the parameters RECEIVED_STATS, STAMP_AT and CLOCK, side by side.
export const RECEIVED_COUNT: u32 = 1;
export const RECEIVED_WINDOW: u32 = 2;
export const STAMP_SHIFT: u32 = 2;
export const AT_SEND: u32 = 1 << STAMP_SHIFT;
export const AT_RECEIVE: u32 = 2 << STAMP_SHIFT;
export const AT_MIDPOINT: u32 = 4 << STAMP_SHIFT;
export const CLOCK_SHIFT: u32 = 5;
const WALL_CLOCK: u32 = 1 << CLOCK_SHIFT;
const MONOTONIC_CLOCK: u32 = 2 << CLOCK_SHIFT;

/** The word in STAMPED: a bit that says that it is IRTT's, the session's fields, and where the last time lies. */
const STAMPED_IRTT: u32 = 1;
const STAMPED_FIELDS_SHIFT: u32 = 1;
const STAMPED_AT_SHIFT: u32 = 9;

/** Returns the bytes of optional fields. */
export function fieldsLen(fields: u32): u32 {
  const times: u32 = fields & AT_MIDPOINT ? 1 : popcnt(fields & (AT_SEND | AT_RECEIVE));
  const clocks: u32 = popcnt(fields & (WALL_CLOCK | MONOTONIC_CLOCK));
  return (fields & RECEIVED_COUNT ? 4 : 0) + (fields & RECEIVED_WINDOW ? 8 : 0) + 8 * times * clocks;
}

/** Writes a time on the clocks of the fields, and returns the address behind it. */
export function writeTimes(at: usize, fields: u32, wall: u64, monotonic: u64): usize {
  if (fields & WALL_CLOCK) { store<u64>(at, wall); at += 8; }
  if (fields & MONOTONIC_CLOCK) { store<u64>(at, monotonic); at += 8; }
  return at;
}

/** Returns the word in STAMPED for a reply with these fields, whose last time lies `at` bytes behind its beginning. */
export function stampedOf(fields: u32, at: u32): u32 {
  return STAMPED_IRTT | fields << STAMPED_FIELDS_SHIFT | at << STAMPED_AT_SHIFT;
}

/** Returns the address of the pads of a service's key; 0 if it has none. */
export function padsOf(service: usize): usize {
  const options: usize = load<u32>(service, SERVICE_BYTES);
  return load<u32>(options, IRTT_IS_KEYED) ? options + IRTT_PADS : 0;
}

/**
 * Returns whether a packet of `len` bytes has the HMAC of a key, or none if there is no key, as irtt's server wants it.
 * The HMAC's place is then filled with zeros.
 */
export function isAuthentic(message: usize, len: u32, pads: usize): bool {
  const hasHmac = (load<u8>(message, FLAGS) & HMAC) != 0;
  if (!pads) return !hasHmac;
  if (!hasHmac || len < HEADER_LEN + HMAC_LEN) return false;
  const first = load<u64>(message, HMAC_AT);
  const second = load<u64>(message, HMAC_AT + 8);
  memory.fill(message + HMAC_AT, 0, HMAC_LEN);
  hmac(pads, message, len);
  // It takes as long if it is wrong.
  return !(first ^ load<u64>(MD5_STATE) | second ^ load<u64>(MD5_STATE, 8));
}

/** Writes the HMAC of a packet of `len` bytes, in whose place there are zeros. */
export function sign(message: usize, len: u32, pads: usize): void {
  hmac(pads, message, len);
  memory.copy(message + HMAC_AT, MD5_STATE, HMAC_LEN);
}

/**
 * Completes a reply of `len` bytes: by the last time in it, on both clocks, and then by its HMAC, if `pads` is not 0.
 * `word` is that of STAMPED.
 */
export function complete(message: usize, len: u32, word: u32, pads: usize, wall: u64, now: u64): void {
  const fields = word >>> STAMPED_FIELDS_SHIFT & 0xff;
  let at = message + <usize>(word >>> STAMPED_AT_SHIFT);
  const half: u64 = fields & AT_MIDPOINT ? 1 : 0;
  if (fields & WALL_CLOCK) {
    store<u64>(at, load<u64>(at) + wall >>> half);
    at += 8;
  }
  if (fields & MONOTONIC_CLOCK) store<u64>(at, load<u64>(at) + now >>> half);
  if (pads) sign(message, len, pads);
}

/** Turns the headers around for a reply of `len` bytes, UDP's header included. */
export function send(packet: usize, ip: usize, datagram: usize, len: u32): i32 {
  wire.setHeader(datagram, load<u32>(datagram), len);
  return replySummed(packet, ip, datagram, len, ttl(packet));
}
