// IPv4 header, RFC 791 §3.1. Shapes alone: no decisions, no counters. The caller knows that MIN_HEADER_LEN bytes
// are there.
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

import { load16 } from "../bytes";
import { checksum, fold, sum20, sumHeader, update } from "../checksum";

export const MIN_HEADER_LEN: u32 = 20;
export const MAX_LEN: u32 = 65535;
/** Offset of the field that names what the datagram carries. */
export const PROTOCOL_AT: u32 = 9;
export const PROTOCOL_ICMP: u32 = 1;
export const PROTOCOL_TCP: u32 = 6;
export const PROTOCOL_UDP: u32 = 17;

const OPTION_END: u32 = 0;
const OPTION_NOP: u32 = 1;
const OPTION_COPIED: u32 = 0x80;

/**
 * More-fragments flag and fragment offset in the word at 6, as it lies in memory. They are all
 * zero in a whole datagram.
 */
const MF_AND_OFFSET: u32 = 0xff3f;

/** The don't-fragment flag in the word at 4, as it lies in memory. */
const DONT_FRAGMENT: u32 = 0x0040_0000;

/** The reserved flag in the word at 6, as it lies in memory. Its value must be zero (RFC 791 §3.1). */
const RESERVED: u32 = 0x0080;

/** Returns whether this is version 4 with a header of MIN_HEADER_LEN bytes, so without options. */
export function isPlain(ip: usize): bool {
  return load<u8>(ip) == 0x45;
}

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
  return (load<u16>(ip, 6) & MF_AND_OFFSET) != 0;
}

/** Tests all bits of that word but don't-fragment at once. */
export function isFragmentOrReserved(ip: usize): bool {
  return (load<u16>(ip, 6) & (MF_AND_OFFSET | RESERVED)) != 0;
}

export function moreFragments(ip: usize): bool {
  return (load<u8>(ip, 6) & 0x20) != 0;
}

/** Returns the offset in bytes. */
export function fragmentOffset(ip: usize): u32 {
  return (load16(ip + 6) & 0x1fff) << 3;
}

export function id(ip: usize): u32 {
  return load16(ip + 4);
}

/** Returns the ECN codepoint, two bits (RFC 3168 §5). */
export function ecn(ip: usize): u32 {
  return load<u8>(ip, 1) & 3;
}

export function forbidsFragments(ip: usize): bool {
  return (load<u32>(ip, 4) & DONT_FRAGMENT) != 0;
}

/** Returns the DSCP (RFC 2474 §3). */
export function dscp(ip: usize): u32 {
  return <u32>load<u8>(ip, 1) >>> 2;
}

export function ttl(ip: usize): u32 {
  return load<u8>(ip, 8);
}

export function protocol(ip: usize): u32 {
  return load<u8>(ip, PROTOCOL_AT);
}

/** Pointer to the source address. */
export function srcAddr(ip: usize): usize {
  return ip + 12;
}

/** Pointer to the destination address. */
export function dstAddr(ip: usize): usize {
  return ip + 16;
}

/** Sets the identification. A later set function has to mend the checksum. */
export function setId(ip: usize, id: u32): void {
  store<u16>(ip, bswap<u16>(<u16>id), 4);
}

export function setTotalLen(ip: usize, totalLen: u32): void {
  const from = load<u16>(ip, 2);
  const to = bswap<u16>(<u16>totalLen);
  store<u16>(ip, to, 2);
  store<u16>(ip, update(load<u16>(ip, 10), from, to), 10);
}

/** Clears the reserved flag and updates the checksum. */
export function clearReserved(ip: usize): void {
  const from = load<u16>(ip, 6);
  const to = from & ~<u16>RESERVED;
  store<u16>(ip, to, 6);
  store<u16>(ip, update(load<u16>(ip, 10), from, to), 10);
}

/** Sets the lengths of the header and of the datagram, and computes the header checksum anew. */
export function setLens(ip: usize, headerLen: u32, totalLen: u32): void {
  store<u8>(ip, 0x40 | headerLen >> 2);
  store<u16>(ip, bswap<u16>(<u16>totalLen), 2);
  store<u16>(ip, 0, 10);
  store<u16>(ip, checksum(sumHeader(ip, headerLen)), 10);
}

/** Sets the destination. `addr` is given as it lies in memory. The caller has to mend the checksum. */
export function setDstAddr(ip: usize, addr: u32): void {
  store<u32>(ip, addr, 16);
}

/**
 * Makes it a fragment of `totalLen` bytes, or with an offset of 0 and no `more` the whole
 * datagram. Clears don't-fragment.
 */
export function setFragment(ip: usize, totalLen: u32, offset: u32, more: bool): void {
  store<u16>(ip, bswap<u16>(<u16>(offset >>> 3 | (more ? 0x2000 : 0))), 6);
  setLens(ip, headerLen(ip), totalLen);
}

/**
 * Removes the options that only the first fragment has, those without the copied flag (RFC 791 §3.1). The header
 * becomes shorter by as much, and the caller has to mend its checksum. The payload stays where it is.
 */
export function stripOptions(ip: usize): void {
  const end = ip + headerLen(ip);
  let to = ip + MIN_HEADER_LEN;
  for (let option = to; option < end && load<u8>(option) != OPTION_END;) {
    const type: u32 = load<u8>(option);
    // An invalid length must neither stop the loop from advancing nor let it pass the header's end.
    const len: u32 = type == OPTION_NOP ? 1 : min(max(<u32>load<u8>(option, 1), 2), <u32>(end - option));
    if (type & OPTION_COPIED) {
      memory.copy(to, option, len);
      to += len;
    }
    option += len;
  }
  while ((to - ip) & 3) store<u8>(to++, <u8>OPTION_END);
  store<u8>(ip, <u8>(0x40 | <u32>(to - ip) >> 2));
}

/** Sets the ECN codepoint to Congestion Experienced (RFC 3168 §5). A later set function has to mend the checksum. */
export function setCongested(ip: usize): void {
  store<u8>(ip, load<u8>(ip, 1) | 3, 1);
}

/** Does the same, and mends the checksum. */
export function markCongested(ip: usize): void {
  const from: u32 = load<u8>(ip, 1);
  setCongested(ip);
  store<u16>(ip, update(load<u16>(ip, 10), from << 8, (from | 3) << 8), 10);
}

/** Sets the DSCP (RFC 2474 §3), and the ECN codepoint to Not-ECT. Returns the change of the sum for setTtl(). */
export function setDscp(ip: usize, dscp: u32): u32 {
  const from: u32 = load<u8>(ip, 1);
  store<u8>(ip, <u8>(dscp << 2), 1);
  return (dscp << 10) + (from << 8 ^ 0xffff);
}

/** Sets the ECN codepoint of a header that has none to ECT(0) (RFC 3168 §5), and mends the checksum. */
export function setEcnCapable(ip: usize): void {
  store<u8>(ip, load<u8>(ip, 1) | 2, 1);
  store<u16>(ip, update(load<u16>(ip, 10), 0, 2 << 8), 10);
}

/** Exchanges the addresses. The header checksum still holds: a sum does not depend on the order of its words. */
export function swapAddrs(ip: usize): void {
  store<u64>(ip, rotl<u64>(load<u64>(ip, 12), 32), 12);
}

/**
 * Sets the TTL and mends the header checksum (RFC 1624; a header is never all zero). `change` is how the sum changed by
 * what else has been set.
 */
export function setTtl(ip: usize, ttl: u32, change: u32 = 0): void {
  // One word, little-endian: the TTL is its lowest byte, the checksum its upper half.
  const word = load<u32>(ip, 8);
  const sum = (word >>> 16 ^ 0xffff) + (word & 0xff ^ 0xffff) + ttl + change;
  store<u32>(ip, (fold(sum) ^ 0xffff) << 16 | (word & 0xff00) | ttl, 8);
}

/**
 * Clears don't-fragment of a whole datagram, so that routers may fragment it. Returns the change of the
 * header's sum for setTtl(). Identifications beside that flag may be anything (RFC 6864 §4.1). Many senders use
 * 0, which `identity` replaces.
 */
export function allowFragments(ip: usize, identity: u32): u32 {
  const word = load<u32>(ip, 4);
  if (!(word & DONT_FRAGMENT)) return 0;
  store<u16>(ip, 0, 6);
  const change = DONT_FRAGMENT >>> 16 ^ 0xffff;
  if (word & 0xffff) return change;
  store<u16>(ip, <u16>identity, 4);
  return change + identity;
}

/** Sets don't-fragment. Returns the change of the header's sum for setTtl(). */
export function forbidFragments(ip: usize): u32 {
  const from: u32 = load<u16>(ip, 6);
  const to = from | DONT_FRAGMENT >>> 16;
  store<u16>(ip, <u16>to, 6);
  return to + (from ^ 0xffff);
}

/** Returns the sum of the pseudo-header of a payload (RFC 768, RFC 9293 §3.1), as checksum.ts sums. */
export function pseudoSum(ip: usize, payloadLen: u32): u64 {
  return <u64>load<u32>(ip, 12) + <u64>load<u32>(ip, 16) + <u64>(protocol(ip) << 8) + <u64>bswap<u16>(<u16>payloadLen);
}

/**
 * Makes a plain header before a payload. It has don't-fragment set, and so no identification (RFC 6864 §4.1). The
 * addresses are copied.
 */
export function setHeader(ip: usize, payloadLen: u32, protocol: u32, ttl: u32, srcAddr: usize, dstAddr: usize): void {
  store<u32>(ip, <u32>bswap<u16>(<u16>(MIN_HEADER_LEN + payloadLen)) << 16 | 0x45);
  store<u32>(ip, 0x40 << 16, 4);
  store<u32>(ip, protocol << 8 | ttl, 8);
  store<u32>(ip, load<u32>(srcAddr), 12);
  store<u32>(ip, load<u32>(dstAddr), 16);
  store<u16>(ip, checksum(sum20(ip)), 10);
}
