// A segment that has come, taken apart. It lies at SEGMENT (abi/tcp.ts), and is handed down by its address.
//
//  0 ┌─────┬─────┬───────┬────────┬──────┬─────┬───────┬───────┬─────────┬─────┬───────┬───────┬────────────┐
//    │ seq │ ack │ flags │ window │ data │ len │ tsval │ tsecr │ options │ mss │ scale │ sacks │ 4 × blocks │
//    └─────┴─────┴───────┴────────┴──────┴─────┴───────┴───────┴─────────┴─────┴───────┴───────┴────────────┘
//                                                                                        80 ┌───────────┐
//                                                                                           │ congested │
//                                                                                           └───────────┘

import * as wire from "../wire/tcp";

const SEQ: usize = 0;
const ACK: usize = 4;
const FLAGS: usize = 8;
const WINDOW: usize = 12;
const DATA: usize = 16;
const LEN: usize = 20;
const TSVAL: usize = 24;
const TSECR: usize = 28;
const OPTIONS: usize = 32;
const MSS: usize = 36;
const SCALE: usize = 40;
const SACKS: usize = 44;
const BLOCKS: usize = 48;
const CONGESTED: usize = 80;

// Bits of OPTIONS.
export const HAS_MSS: u32 = 1;
export const HAS_SCALE: u32 = 2;
export const HAS_TIMESTAMPS: u32 = 4;
export const SACK_PERMITTED: u32 = 8;

const MAX_SACKS: u32 = 4;

/**
 * Takes apart the segment of `len` bytes at `tcp`, whose header is whole. An option that is malformed ends the options
 * (RFC 9293 §3.2, MUST-7).
 */
export function parse(segment: usize, tcp: usize, len: u32, congested: bool): void {
  const headerLen = wire.headerLen(tcp);
  store<u32>(segment, wire.seq(tcp), SEQ);
  store<u32>(segment, wire.ack(tcp), ACK);
  store<u32>(segment, wire.flags(tcp), FLAGS);
  store<u32>(segment, wire.window(tcp), WINDOW);
  store<u32>(segment, <u32>(tcp + headerLen), DATA);
  store<u32>(segment, len - headerLen, LEN);
  store<u32>(segment, 0, OPTIONS);
  store<u32>(segment, 0, SACKS);
  store<u32>(segment, congested ? 1 : 0, CONGESTED);
  const options = tcp + wire.MIN_HEADER_LEN;
  // Almost every segment has either no options or timestamps alone, behind two NOPs (RFC 7323, appendix A).
  if (headerLen == wire.MIN_HEADER_LEN) return;
  if (headerLen == wire.MIN_HEADER_LEN + 12 && load<u32>(options) == wire.PADDED_TIMESTAMPS) {
    takeTimestamps(segment, options + 2);
    return;
  }
  parseOptions(segment, options, tcp + headerLen);
}

function parseOptions(segment: usize, at: usize, end: usize): void {
  while (at < end) {
    const kind: u32 = load<u8>(at);
    if (kind == wire.OPTION_END) return;
    if (kind == wire.OPTION_NOP) { at++; continue; }
    const len: u32 = at + 1 < end ? load<u8>(at, 1) : 0;
    if (len < 2 || at + len > end) return;
    if (kind == wire.OPTION_MSS && len == 4) {
      store<u32>(segment, <u32>bswap<u16>(load<u16>(at, 2)), MSS);
      option(segment, HAS_MSS);
    } else if (kind == wire.OPTION_SCALE && len == 3) {
      store<u32>(segment, load<u8>(at, 2), SCALE);
      option(segment, HAS_SCALE);
    } else if (kind == wire.OPTION_SACK_PERMITTED && len == 2) {
      option(segment, SACK_PERMITTED);
    } else if (kind == wire.OPTION_TIMESTAMPS && len == 10) {
      takeTimestamps(segment, at);
    } else if (kind == wire.OPTION_SACK && len >= 10 && (len - 2 & 7) == 0) {
      takeSacks(segment, at + 2, len - 2 >>> 3);
    }
    at += len;
  }
}

function takeTimestamps(segment: usize, option: usize): void {
  store<u32>(segment, bswap<u32>(load<u32>(option, 2)), TSVAL);
  store<u32>(segment, bswap<u32>(load<u32>(option, 6)), TSECR);
  store<u32>(segment, load<u32>(segment, OPTIONS) | HAS_TIMESTAMPS, OPTIONS);
}

function takeSacks(segment: usize, blocks: usize, count: u32): void {
  const most = min(count, MAX_SACKS);
  for (let i: u32 = 0; i < 2 * most; i++) {
    store<u32>(segment + BLOCKS + (i << 2), bswap<u32>(load<u32>(blocks + (i << 2))));
  }
  store<u32>(segment, most, SACKS);
}

function option(segment: usize, bit: u32): void {
  store<u32>(segment, load<u32>(segment, OPTIONS) | bit, OPTIONS);
}

export function seq(segment: usize): u32 {
  return load<u32>(segment, SEQ);
}

export function ack(segment: usize): u32 {
  return load<u32>(segment, ACK);
}

/** Returns the flags, bits of wire/tcp.ts. */
export function flags(segment: usize): u32 {
  return load<u32>(segment, FLAGS);
}

/** Returns the window as it came, not scaled. */
export function window(segment: usize): u32 {
  return load<u32>(segment, WINDOW);
}

/** Returns the address of the payload. */
export function data(segment: usize): usize {
  return load<u32>(segment, DATA);
}

/** Returns the bytes of the payload. */
export function len(segment: usize): u32 {
  return load<u32>(segment, LEN);
}

/** Drops the first `count` bytes of the payload, and a SYN before it. */
export function skip(segment: usize, count: u32): void {
  store<u32>(segment, seq(segment) + count, SEQ);
  store<u32>(segment, load<u32>(segment, DATA) + count, DATA);
  store<u32>(segment, len(segment) - count, LEN);
}

/** Drops the SYN. The window, which is not scaled, becomes one that is, by `scale`. */
export function dropSyn(segment: usize, scale: u32): void {
  store<u32>(segment, seq(segment) + 1, SEQ);
  store<u32>(segment, flags(segment) & ~wire.SYN, FLAGS);
  store<u32>(segment, window(segment) >>> scale, WINDOW);
}

/** Drops what is behind the first `count` bytes of the payload, FIN too. */
export function cut(segment: usize, count: u32): void {
  store<u32>(segment, count, LEN);
  store<u32>(segment, flags(segment) & ~(wire.FIN | wire.PSH), FLAGS);
}

/** Returns what the segment takes of the sequence space: its payload, SYN and FIN. */
export function span(segment: usize): u32 {
  const bits = flags(segment);
  return len(segment) + (bits & wire.SYN ? 1 : 0) + (bits & wire.FIN ? 1 : 0);
}

export function hasOption(segment: usize, option: u32): bool {
  return (load<u32>(segment, OPTIONS) & option) != 0;
}

export function tsval(segment: usize): u32 {
  return load<u32>(segment, TSVAL);
}

export function tsecr(segment: usize): u32 {
  return load<u32>(segment, TSECR);
}

export function mss(segment: usize): u32 {
  return load<u32>(segment, MSS);
}

export function scale(segment: usize): u32 {
  return load<u32>(segment, SCALE);
}

/** Returns the number of SACK blocks. */
export function sacks(segment: usize): u32 {
  return load<u32>(segment, SACKS);
}

/** Returns the first sequence number of a SACK block. */
export function sackFirst(segment: usize, index: u32): u32 {
  return load<u32>(segment + BLOCKS + (index << 3));
}

/** Returns the sequence number behind a SACK block. */
export function sackEnd(segment: usize, index: u32): u32 {
  return load<u32>(segment + BLOCKS + (index << 3), 4);
}

/** Returns whether the packet came with Congestion Experienced. */
export function congested(segment: usize): bool {
  return load<u32>(segment, CONGESTED) != 0;
}
