// ICMP echo, timestamp and errors, RFC 792. Shapes alone. The caller knows that HEADER_LEN bytes, or TIMESTAMP_LEN in a
// timestamp, are there.
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
// In an error the bytes from 4 on are a parameter of its kind, and those from 8 on the packet that it is about.

import { load16 } from "../bytes";
import { checksum, sum20, sumScalar, update } from "../checksum";

export const HEADER_LEN: u32 = 8;
export const ECHO_REPLY: u32 = 0;
export const DESTINATION_UNREACHABLE: u32 = 3;
export const NET_UNREACHABLE: u32 = 0;
export const PROTOCOL_UNREACHABLE: u32 = 2;
export const PORT_UNREACHABLE: u32 = 3;
export const FRAGMENTATION_NEEDED: u32 = 4;
/** RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1. */
export const NET_UNKNOWN: u32 = 6;
export const NET_PROHIBITED: u32 = 9;
export const HOST_PROHIBITED: u32 = 10;
export const NET_UNREACHABLE_FOR_TOS: u32 = 11;
export const PROHIBITED: u32 = 13;
export const ECHO: u32 = 8;
export const TIME_EXCEEDED: u32 = 11;
export const TTL_EXCEEDED: u32 = 0;
export const REASSEMBLY_TIME_EXCEEDED: u32 = 1;
export const PARAMETER_PROBLEM: u32 = 12;
export const TIMESTAMP: u32 = 13;
export const TIMESTAMP_REPLY: u32 = 14;
export const TIMESTAMP_LEN: u32 = 20;

/** Checksum that turnsZero() looks for: 0xf7ff as it lies in memory. */
const TURNS_ZERO: u32 = 0xfff7;

export function type(msg: usize): u32 {
  return load<u8>(msg);
}

/**
 * Returns whether the message is a query or an answer to one, and not an error; RFC 1122 §3.2.2 has the list. A message
 * of unknown type may be an error, so it does not count.
 */
export function isQuery(msg: usize): bool {
  const kind = type(msg);
  return kind == ECHO || kind == ECHO_REPLY || kind == TIMESTAMP || kind == TIMESTAMP_REPLY;
}

export function code(msg: usize): u32 {
  return load<u8>(msg, 1);
}

/** Returns the MTU that a fragmentation needed tells (RFC 1191 §4); 0 from routers that do not. */
export function nextHopMtu(msg: usize): u32 {
  return load16(msg + 6);
}

/** Returns the checksum as it lies in memory. */
export function checksumOf(msg: usize): u32 {
  return load<u16>(msg, 2);
}

/**
 * Returns the identifier and the sequence number, by which a sender tells its echo requests apart, folded into 16 bits.
 */
export function identity(msg: usize): u32 {
  const word = load<u32>(msg, 4);
  return (word ^ word >>> 16) & 0xffff;
}

/**
 * Returns whether RFC 1624's update makes an echo request's checksum 0x0000. mendZeros() has to look at such a message.
 */
export function turnsZero(msg: usize): bool {
  return checksumOf(msg) == TURNS_ZERO;
}

/** Turns an echo request into its reply and updates the checksum for the type. mendZeros() does the rest. */
export function setEchoReply(msg: usize): void {
  // One word, little-endian: the type is its lowest byte, the checksum its upper half.
  const word = load<u32>(msg);
  store<u32>(msg, update(word >>> 16, ECHO, ECHO_REPLY) << 16 | (word & 0xff00) | ECHO_REPLY);
}

/**
 * Sets the checksum of a reply that consists of zeros to 0xffff, since 0x0000 does not verify over zeros alone. Every
 * other reply keeps 0x0000 (RFC 1624 §4): its sum is 0xffff already, and some receivers compare instead of summing.
 */
export function mendZeros(msg: usize, msgLen: u32): void {
  if (load<u32>(msg) == 0 && sumScalar(msg, msgLen) == 0) store<u16>(msg, 0xffff, 2);
}

/** Turns a timestamp into the reply to it, received and sent at `ms` since midnight UTC. */
export function setTimestamps(msg: usize, ms: u32): void {
  store<u32>(msg, TIMESTAMP_REPLY);
  store<u32>(msg, bswap<u32>(ms), 12);
  store<u32>(msg, bswap<u32>(ms), 16);
  store<u16>(msg, checksum(sum20(msg)), 2);
}

/**
 * Makes an error's header, with `parameter` big-endian behind the checksum. The quoted packet lies behind it already.
 */
export function setError(msg: usize, msgLen: u32, type: u32, code: u32, parameter: u32): void {
  store<u32>(msg, code << 8 | type);
  store<u32>(msg, bswap<u32>(parameter), 4);
  store<u16>(msg, checksum(sumScalar(msg, msgLen)), 2);
}
