// Options of the IPv4 header, RFC 791 §3.1. Shapes alone: no decisions, no counters. The caller knows that LEN bytes of
// the option are there, and that LEN is right.
//
//                      0        1        2        3
//                  ├────────┤
//  End, NOP        │  type  │
//                  ├────────┼────────┼────────┼──
//  routes          │  type  │ length │pointer │ addresses …
//                  ├────────┼────────┼────────┼────────┼──
//  Timestamp       │  type  │ length │pointer │ovf│flag│ timestamps, with addresses or without …
//
// The pointer says which slot is used next; the option's first byte is 1. If it is beyond the
// length, all slots are used.

import * as ipv4 from "./ipv4";

export const END: u32 = 0;
export const NO_OPERATION: u32 = 1;
export const RECORD_ROUTE: u32 = 7;
export const TIMESTAMP: u32 = 68;
export const LOOSE_SOURCE_ROUTE: u32 = 131;
export const STRICT_SOURCE_ROUTE: u32 = 137;
/** RFC 2113. */
export const ROUTER_ALERT: u32 = 148;

/** Bytes before the first slot. */
export const ROUTE_HEADER_LEN: u32 = 3;
export const TIMESTAMP_HEADER_LEN: u32 = 4;

/** Flags of a Timestamp, which say what a slot holds. */
export const TIMESTAMPS: u32 = 0;
export const ADDRESSES_AND_TIMESTAMPS: u32 = 1;
/** Addresses of the hosts that are to fill in their time, and timestamps. */
export const PRESPECIFIED: u32 = 3;

export const MAX_OVERFLOW: u32 = 15;

export function type(option: usize): u32 {
  return load<u8>(option);
}

export function len(option: usize): u32 {
  return load<u8>(option, 1);
}

export function pointer(option: usize): u32 {
  return load<u8>(option, 2);
}

export function overflow(option: usize): u32 {
  return load<u8>(option, 3) >> 4;
}

export function flag(option: usize): u32 {
  return load<u8>(option, 3) & 15;
}

export function setHeader(option: usize, type: u32, len: u32, pointer: u32): void {
  store<u8>(option, type);
  store<u8>(option, len, 1);
  store<u8>(option, pointer, 2);
}

export function setPointer(option: usize, pointer: u32): void {
  store<u8>(option, pointer, 2);
}

export function setOverflow(option: usize, overflow: u32): void {
  store<u8>(option, overflow << 4 | flag(option), 3);
}

/** Returns the bytes from the pointer to the option's end: 0 when all slots are used. */
export function room(option: usize): u32 {
  return pointer(option) > len(option) ? 0 : len(option) - pointer(option) + 1;
}

/** Returns the address that the pointer points at. */
export function next(option: usize): usize {
  return option + pointer(option) - 1;
}

/** Returns the bytes of a slot of a Timestamp. */
export function timestampSlotLen(option: usize): u32 {
  const kind = flag(option);
  return kind == ADDRESSES_AND_TIMESTAMPS || kind == PRESPECIFIED ? 8 : 4;
}

/** Returns the option's type, except that a strict source route counts as a loose one. */
export function kind(option: usize): u32 {
  return type(option) == STRICT_SOURCE_ROUTE ? LOOSE_SOURCE_ROUTE : type(option);
}

/**
 * Returns the header's first option of this kind, or 0. The caller knows that the lengths of all
 * options up to it are valid.
 */
export function find(ip: usize, wanted: u32): usize {
  const end = ip + ipv4.headerLen(ip);
  let option = ip + ipv4.MIN_HEADER_LEN;
  while (option < end && type(option) != END) {
    if (kind(option) == wanted) return option;
    option += type(option) == NO_OPERATION ? 1 : len(option);
  }
  return 0;
}
