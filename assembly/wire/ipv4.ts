// IPv4 header, RFC 791 §3.1. Shapes alone: no decisions, no counters. The caller knows that MIN_HEADER_LEN bytes are there.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   ├───────┬───────┬───────────────┬───────────────────────────────┤
//  0│version│  IHL  │type of service│         total length          │
//   ├───────┴───────┴───────────────┼─────┬─────────────────────────┤
//  4│        identification         │flags│     fragment offset     │
//   ├───────────────┬───────────────┼─────┴─────────────────────────┤
//  8│      TTL      │   protocol    │        header checksum        │
//   ├───────────────┴───────────────┴───────────────────────────────┤
// 12│                        source address                         │
//   ├───────────────────────────────────────────────────────────────┤
// 16│                      destination address                      │
//   ├───────────────────────────────────────────────────────────────┤
// 20│                        options, padding                       │

import { load16, load32 } from "../bytes";
import { update } from "../checksum";

export const MIN_HEADER_LEN: u32 = 20;
export const PROTOCOL_ICMP: u32 = 1;

/** More-fragments flag and fragment offset, within the word at 6: all zero in a whole datagram. */
const MF_AND_OFFSET: u32 = 0x3fff;

export function version(ip: usize): u32 {
  return load<u8>(ip) >> 4;
}

export function headerLen(ip: usize): u32 {
  return (load<u8>(ip) & 15) << 2;
}

export function totalLen(ip: usize): u32 {
  return load16(ip + 2);
}

export function isFragment(ip: usize): bool {
  return (load16(ip + 6) & MF_AND_OFFSET) != 0;
}

export function protocol(ip: usize): u32 {
  return load<u8>(ip, 9);
}

export function srcAddr(ip: usize): u32 {
  return load32(ip + 12);
}

export function dstAddr(ip: usize): u32 {
  return load32(ip + 16);
}

/** Exchanges the addresses. The header checksum holds: a sum does not depend on the order of its words. */
export function swapAddrs(ip: usize): void {
  const src = load<u32>(ip, 12);
  store<u32>(ip, load<u32>(ip, 16), 12);
  store<u32>(ip, src, 16);
}

/** Sets the TTL and mends the header checksum for it (RFC 1624; a header is never all zero). */
export function setTtl(ip: usize, ttl: u32): void {
  const from = load<u16>(ip, 8);
  // Little-endian: the TTL is the lower byte. A byte stored and a word loaded over it would wait for each other.
  const to = (from & 0xff00) | ttl;
  store<u16>(ip, to, 8);
  store<u16>(ip, update(load<u16>(ip, 10), from, to), 10);
}
