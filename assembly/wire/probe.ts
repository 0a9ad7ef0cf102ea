// ICMP Extended Echo, RFC 8335, the same in both families but for its type. Shapes alone. The caller knows that
// HEADER_LEN bytes are there, and before it reads further, MIN_LEN and what objectLen() says.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   ├───────────────┬───────────────┬───────────────────────────────┤
//  0│     type      │     code      │           checksum            │
//   ├───────────────┴───────────────┼───────────────┬─────────────┬─┤
//  4│          identifier           │sequence number│  reserved   │L│
//   ├───────┬───────────────────────┼───────────────┴─────────────┴─┤
//  8│version│       reserved        │   checksum, from here on      │
//   ├───────┴───────────────────────┼───────────────┬───────────────┤
// 12│  length of the object         │   class-num   │    C-type     │
//   ├───────────────────────────────┴───────────────┴───────────────┤
// 16│             name, or index, or: AFI, length, 0                │
//   ├───────────────────────────────────────────────────────────────┤
// 20│                                 address …                     │
//
// In a reply, the byte at 7 has the state of the interface, and A, 4 and 6 as its lowest bits.

import { load16 } from "../bytes";
import { checksum, holds, sumScalar, sumWide } from "../checksum";

export const REQUEST: u32 = 42;
export const REPLY: u32 = 43;
export const REQUEST6: u32 = 160;
export const REPLY6: u32 = 161;

// Codes of a reply.
export const NO_ERROR: u32 = 0;
export const MALFORMED_QUERY: u32 = 1;
export const NO_SUCH_INTERFACE: u32 = 2;
export const NO_SUCH_TABLE_ENTRY: u32 = 3;
export const MULTIPLE_INTERFACES: u32 = 4;

/** Bytes before the object, and of its header. */
export const OBJECT_AT: u32 = 12;
export const OBJECT_HEADER_LEN: u32 = 4;
/** Bytes of the payload before an address. */
export const ADDRESS_HEADER_LEN: u32 = 4;
export const MIN_LEN: u32 = OBJECT_AT + OBJECT_HEADER_LEN;

const STRUCTURE_AT: u32 = 8;

/** Returns the L bit: the interface is one of the node that is asked. */
export function isLocal(msg: usize): bool {
  return (load<u8>(msg, 7) & 1) != 0;
}

/** Returns the version of the extension structure (RFC 4884 §7). */
export function version(msg: usize): u32 {
  return load<u8>(msg, 8) >>> 4;
}

/** Returns the length of the object with its header. */
export function objectLen(msg: usize): u32 {
  return load16(msg + 12);
}

export function classNum(msg: usize): u32 {
  return load<u8>(msg, 14);
}

export function cType(msg: usize): u32 {
  return load<u8>(msg, 15);
}

/** Pointer to the object's payload. */
export function payload(msg: usize): usize {
  return msg + OBJECT_AT + OBJECT_HEADER_LEN;
}

export function afi(msg: usize): u32 {
  return load16(msg + 16);
}

/** Returns the bytes of the address that mean something. */
export function addressLen(msg: usize): u32 {
  return load<u8>(msg, 18);
}

/** Pointer to the address. */
export function address(msg: usize): usize {
  return msg + 20;
}

/**
 * RFC 4884 §7: returns whether the checksum of the extension structure holds, or has not been computed. The structure
 * ends with the object.
 */
export function structureHolds(msg: usize): bool {
  return load<u16>(msg, 10) == 0 || holds(sumScalar(msg + STRUCTURE_AT, OBJECT_AT - STRUCTURE_AT + objectLen(msg)));
}

/** Turns a request into its reply. `pseudoSum` is the sum of the pseudo-header; it is 0 in ICMPv4. */
export function setReply(msg: usize, msgLen: u32, type: u32, code: u32, state: u32, pseudoSum: u64): void {
  store<u32>(msg, code << 8 | type);
  store<u8>(msg, <u8>state, 7);
  store<u16>(msg, checksum(pseudoSum + sumWide(msg, msgLen)), 2);
}
