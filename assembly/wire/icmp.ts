// ICMP echo and echo reply, RFC 792. Shapes alone. The caller knows that HEADER_LEN bytes are there.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   ├───────────────┬───────────────┬───────────────────────────────┤
//  0│     type      │     code      │           checksum            │
//   ├───────────────┴───────────────┼───────────────────────────────┤
//  4│          identifier           │        sequence number        │
//   ├───────────────────────────────┴───────────────────────────────┤
//  8│                             data …

import { update } from "../checksum";

export const HEADER_LEN: u32 = 8;
export const ECHO_REPLY: u32 = 0;
export const ECHO: u32 = 8;

export function type(msg: usize): u32 {
  return load<u8>(msg);
}

/**
 * Makes the type `from` the type `to`, and mends the checksum for it. In a message of nothing but zeros RFC 1624's update gives
 * 0x0000, which does not verify there, and 0xffff does; in every other message the two stand for the same number, so 0xffff
 * serves both.
 */
export function changeType(msg: usize, from: u32, to: u32): void {
  // One word, little-endian: the type is its lowest byte, the checksum its upper half.
  const word = load<u32>(msg);
  const checksum = update(word >>> 16, from, to);
  store<u32>(msg, (checksum == 0 ? 0xffff : checksum) << 16 | (word & 0xff00) | to);
}
