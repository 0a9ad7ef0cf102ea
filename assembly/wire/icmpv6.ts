// ICMPv6 echo and errors, RFC 4443. Shapes alone. The caller knows that HEADER_LEN bytes are there.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   ├───────────────┬───────────────┬───────────────────────────────┤
//  0│     type      │     code      │           checksum            │
//   ├───────────────┴───────────────┼───────────────────────────────┤
//  4│          identifier           │        sequence number        │
//   ├───────────────────────────────┴───────────────────────────────┤
//  8│                            data …                             │
//
// In an error the bytes from 4 on are a parameter of its kind, and those from 8 on the packet that it is about.

import { checksum, sumWide, update } from "../checksum";

export const HEADER_LEN: u32 = 8;
export const DESTINATION_UNREACHABLE: u32 = 1;
export const NO_ROUTE: u32 = 0;
export const PROHIBITED: u32 = 1;
export const PORT_UNREACHABLE: u32 = 4;
export const POLICY_FAILED: u32 = 5;
export const ROUTE_REJECTED: u32 = 6;
export const PACKET_TOO_BIG: u32 = 2;
export const TIME_EXCEEDED: u32 = 3;
export const HOP_LIMIT_EXCEEDED: u32 = 0;
export const REASSEMBLY_TIME_EXCEEDED: u32 = 1;
export const PARAMETER_PROBLEM: u32 = 4;
export const ERRONEOUS_HEADER_FIELD: u32 = 0;
export const UNRECOGNIZED_NEXT_HEADER: u32 = 1;
export const UNRECOGNIZED_OPTION: u32 = 2;
/** RFC 7112 §5. */
export const INCOMPLETE_HEADER_CHAIN: u32 = 3;
export const ECHO_REQUEST: u32 = 128;
export const ECHO_REPLY: u32 = 129;
const REDIRECT: u32 = 137;

export function type(msg: usize): u32 {
  return load<u8>(msg);
}

export function code(msg: usize): u32 {
  return load<u8>(msg, 1);
}

/** Returns the 32 bits behind the checksum of an error. In a Packet Too Big they are the MTU. */
export function parameter(msg: usize): u32 {
  return bswap<u32>(load<u32>(msg, 4));
}

/** Returns identifier and sequence number of an echo message, as they lie in memory. */
export function identity(msg: usize): u32 {
  return load<u32>(msg, 4);
}

/** RFC 4443 §2.4 e: returns whether it is an error or a redirect, about which no error may be sent. */
export function isError(type: u32): bool {
  return type < 128 || type == REDIRECT;
}

/**
 * Turns an echo request into its reply and updates the checksum (RFC 1624; with its pseudo-header a
 * message is never all zero).
 */
export function setEchoReply(msg: usize): void {
  // One word, little-endian: the type is its lowest byte, the checksum its upper half.
  const word = load<u32>(msg);
  store<u32>(msg, update(word >>> 16, ECHO_REQUEST, ECHO_REPLY) << 16 | (word & 0xff00) | ECHO_REPLY);
}

/**
 * Makes an error's header, with `parameter` big-endian behind the checksum. The quoted packet lies behind it already.
 * `pseudoSum` is the sum of the pseudo-header.
 */
export function setError(msg: usize, msgLen: u32, type: u32, code: u32, parameter: u32, pseudoSum: u64): void {
  store<u32>(msg, code << 8 | type);
  store<u32>(msg, bswap<u32>(parameter), 4);
  store<u16>(msg, checksum(pseudoSum + sumWide(msg, msgLen)), 2);
}
