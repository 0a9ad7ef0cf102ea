// ICMP echo, timestamp and errors, RFC 792. Shapes alone. The caller knows that HEADER_LEN, or TIMESTAMP_LEN, bytes are there.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   ├───────────────┬───────────────┬───────────────────────────────┤
//  0│     type      │     code      │           checksum            │
//   ├───────────────┴───────────────┼───────────────────────────────┤
//  4│          identifier           │        sequence number        │
//   ├───────────────────────────────┴───────────────────────────────┤
//  8│            data …, or: originate timestamp                    │
//   ├───────────────────────────────────────────────────────────────┤
// 12│                       receive timestamp                       │
//   ├───────────────────────────────────────────────────────────────┤
// 16│                      transmit timestamp                       │
//
// In an error the bytes from 4 on are a parameter of its kind, and from 8 on what it is about.

import { checksum, sum20, sumScalar, update } from "../checksum";

export const HEADER_LEN: u32 = 8;
export const ECHO_REPLY: u32 = 0;
export const DESTINATION_UNREACHABLE: u32 = 3;
export const PROTOCOL_UNREACHABLE: u32 = 2;
export const PORT_UNREACHABLE: u32 = 3;
export const ECHO: u32 = 8;
export const TIME_EXCEEDED: u32 = 11;
export const REASSEMBLY_TIME_EXCEEDED: u32 = 1;
export const PARAMETER_PROBLEM: u32 = 12;
export const TIMESTAMP: u32 = 13;
export const TIMESTAMP_REPLY: u32 = 14;
export const TIMESTAMP_LEN: u32 = 20;

export function type(msg: usize): u32 {
  return load<u8>(msg);
}

/** A question or its answer, and no error; RFC 1122 §3.2.2 has the list. Of an unknown type it is not known, and so it is none. */
export function isQuery(msg: usize): bool {
  const kind = type(msg);
  return kind == ECHO || kind == ECHO_REPLY || kind == TIMESTAMP || kind == TIMESTAMP_REPLY;
}

/**
 * Makes the type `from` the type `to`, and mends the checksum for it. In a message of nothing but zeros RFC 1624's update gives
 * 0x0000, which does not verify there, and 0xffff does; in every other message the two stand for the same number, so 0xffff
 * serves both.
 */
export function changeType(msg: usize, from: u32, to: u32): void {
  // One word, little-endian: the type is its lowest byte, the checksum its upper half.
  const word = load<u32>(msg);
  const updated = update(word >>> 16, from, to);
  store<u32>(msg, (updated == 0 ? 0xffff : updated) << 16 | (word & 0xff00) | to);
}

/** Makes a timestamp the reply to it, received and sent at `ms` since midnight UTC. */
export function setTimestamps(msg: usize, ms: u32): void {
  store<u32>(msg, TIMESTAMP_REPLY);
  store<u32>(msg, bswap<u32>(ms), 12);
  store<u32>(msg, bswap<u32>(ms), 16);
  store<u16>(msg, checksum(sum20(msg)), 2);
}

/** Makes an error's header, with `parameter` big-endian after the checksum; what it is about lies behind it already. */
export function setError(msg: usize, msgLen: u32, type: u32, code: u32, parameter: u32): void {
  store<u32>(msg, code << 8 | type);
  store<u32>(msg, bswap<u32>(parameter), 4);
  store<u16>(msg, checksum(sumScalar(msg, msgLen)), 2);
}
