// IPv6 header, RFC 8200 §3. Shapes alone: no decisions, no counters. The caller knows that HEADER_LEN bytes are there.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   ├───────┬───────────────┬───────────────────────────────────────┤
//  0│version│ traffic class │              flow label               │
//   ├───────┴───────────────┴───────┬───────────────┬───────────────┤
//  4│        payload length         │  next header  │   hop limit   │
//   ├───────────────────────────────┴───────────────┴───────────────┤
//  8│                    source address, 16 bytes                   │
//   ├───────────────────────────────────────────────────────────────┤
// 24│                 destination address, 16 bytes                 │

import { load16 } from "../bytes";

export const HEADER_LEN: u32 = 40;
export const MAX_PAYLOAD_LEN: u32 = 65535;
/** Offsets of these fields, for an error that points at them. */
export const PAYLOAD_LEN_AT: u32 = 4;
export const NEXT_HEADER_AT: u32 = 6;

// Next header values of messages, and of no message.
export const TCP: u32 = 6;
export const UDP: u32 = 17;
export const ICMPV6: u32 = 58;
export const NO_NEXT_HEADER: u32 = 59;

/** RFC 9293 §3.1, without options. */
export const TCP_HEADER_LEN: u32 = 20;

export function payloadLen(ip: usize): u32 {
  return load16(ip + 4);
}

export function nextHeader(ip: usize): u32 {
  return load<u8>(ip, 6);
}

export function hopLimit(ip: usize): u32 {
  return load<u8>(ip, 7);
}

export function setHopLimit(ip: usize, hopLimit: u32): void {
  store<u8>(ip, <u8>hopLimit, 7);
}

/** Pointer to the source address. */
export function srcAddr(ip: usize): usize {
  return ip + 8;
}

/** Pointer to the destination address. */
export function dstAddr(ip: usize): usize {
  return ip + 24;
}

/** Returns whether two addresses are equal. */
export function isSame(addr: usize, other: usize): bool {
  return load<u64>(addr) == load<u64>(other) && load<u64>(addr, 8) == load<u64>(other, 8);
}

/** Returns the sum of the pseudo-header of a message (§8.1), as checksum.ts sums. */
export function pseudoSum(ip: usize, nextHeader: u32, messageLen: u32): u64 {
  return pairSum(ip + 8) + pairSum(ip + 16) + pairSum(ip + 24) + pairSum(ip + 32) + <u64>bswap<u32>(messageLen)
    + <u64>(nextHeader << 24);
}

function pairSum(p: usize): u64 {
  return <u64>load<u32>(p) + <u64>load<u32>(p, 4);
}

/** Returns the flow label as it lies in memory (RFC 6437). */
export function flowLabel(ip: usize): u32 {
  return load<u32>(ip) & 0xffff_0f00;
}

/** Returns the DSCP (RFC 2474 §3). */
export function dscp(ip: usize): u32 {
  return <u32>(load<u8>(ip) & 0x0f) << 2 | load<u8>(ip, 1) >>> 6;
}

/** Returns the ECN codepoint (RFC 3168 §5). */
export function ecn(ip: usize): u32 {
  return load<u8>(ip, 1) >>> 4 & 3;
}

/** Sets the ECN codepoint to Congestion Experienced. */
export function setCongested(ip: usize): void {
  store<u8>(ip, load<u8>(ip, 1) | 0x30, 1);
}

/** Sets the DSCP (RFC 2474 §3), and the ECN codepoint to Not-ECT. */
export function setDscp(ip: usize, dscp: u32): void {
  store<u8>(ip, <u8>(load<u8>(ip) & 0xf0 | dscp >>> 2));
  store<u8>(ip, <u8>(dscp << 6 | load<u8>(ip, 1) & 0x0f), 1);
}

/** Sets the ECN codepoint of a header that has none to ECT(0) (RFC 3168 §5). */
export function setEcnCapable(ip: usize): void {
  store<u8>(ip, load<u8>(ip, 1) | 0x20, 1);
}

export function setPayloadLen(ip: usize, len: u32): void {
  store<u16>(ip, bswap<u16>(<u16>len), PAYLOAD_LEN_AT);
}

/** Exchanges the addresses. The sum of the pseudo-header does not change. */
export function swapAddrs(ip: usize): void {
  const upper = load<u64>(ip, 8);
  const lower = load<u64>(ip, 16);
  store<u64>(ip, load<u64>(ip, 24), 8);
  store<u64>(ip, load<u64>(ip, 32), 16);
  store<u64>(ip, upper, 24);
  store<u64>(ip, lower, 32);
}

/** Sets the fields between the first word and the addresses. */
export function setPayload(ip: usize, payloadLen: u32, nextHeader: u32, hopLimit: u32): void {
  store<u32>(ip, hopLimit << 24 | nextHeader << 16 | <u32>bswap<u16>(<u16>payloadLen), 4);
}

/** Makes a header before a payload. Traffic class and flow label are 0. The addresses are copied. */
export function setHeader(
  ip: usize, payloadLen: u32, nextHeader: u32, hopLimit: u32, srcAddr: usize, dstAddr: usize,
): void {
  store<u32>(ip, 0x60);
  setPayload(ip, payloadLen, nextHeader, hopLimit);
  memory.copy(ip + 8, srcAddr, 16);
  memory.copy(ip + 24, dstAddr, 16);
}
