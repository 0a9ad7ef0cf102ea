// A packet of IRTT. All numbers are little-endian.
//
//   0    0x14 0xa7 0x5b, and flags
//   4    token
//  12    sequence number; in an open, parameters
//  16    optional fields, then payload

import { ttl } from "../../packet";
import * as wire from "../../wire/udp";
import { replySummed } from "../reply";

export const MAGIC: u32 = 0x5ba714;
export const FLAGS: usize = 3;
export const TOKEN: usize = 4;
export const SEQUENCE: usize = 12;
export const HEADER_LEN: u32 = 4;
export const TOKEN_LEN: u32 = 8;
export const MIN_LEN: u32 = 16;

export const OPEN: u32 = 1;
export const REPLY: u32 = 2;
export const CLOSE: u32 = 4;
export const ALL_FLAGS: u32 = OPEN | REPLY | CLOSE;

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

/** Completes the last time in a reply whose message lies at `message`, on both clocks. `word` is that of STAMPED. */
export function complete(message: usize, word: u32, wall: u64, now: u64): void {
  const fields = word >>> STAMPED_FIELDS_SHIFT & 0xff;
  let at = message + <usize>(word >>> STAMPED_AT_SHIFT);
  const half: u64 = fields & AT_MIDPOINT ? 1 : 0;
  if (fields & WALL_CLOCK) {
    store<u64>(at, load<u64>(at) + wall >>> half);
    at += 8;
  }
  if (fields & MONOTONIC_CLOCK) store<u64>(at, load<u64>(at) + now >>> half);
}

/** Turns the headers around for a reply of `len` bytes, UDP's header included. */
export function send(packet: usize, ip: usize, datagram: usize, len: u32): i32 {
  wire.setHeader(datagram, load<u32>(datagram), len);
  return replySummed(packet, ip, datagram, len, ttl(packet));
}
