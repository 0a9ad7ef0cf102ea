// TCP header, RFC 9293 §3.1. Shapes alone. The caller knows that MIN_HEADER_LEN bytes are there.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   ├───────────────────────────────┼───────────────────────────────┤
//  0│          source port          │       destination port        │
//   ├───────────────────────────────┴───────────────────────────────┤
//  4│                        sequence number                        │
//   ├───────────────────────────────────────────────────────────────┤
//  8│                    acknowledgement number                     │
//   ├───────┬───────┬───────────────┬───────────────────────────────┤
// 12│ offset│       │     flags     │            window             │
//   ├───────┴───────┴───────────────┼───────────────────────────────┤
// 16│           checksum            │        urgent pointer         │
//   ├───────────────────────────────┴───────────────────────────────┤
// 20│                            options                            │

import { load16 } from "../bytes";

export const MIN_HEADER_LEN: u32 = 20;
export const MAX_HEADER_LEN: u32 = 60;
/** Offset of the checksum. */
export const CHECKSUM_AT: u32 = 16;

export const FIN: u32 = 1;
export const SYN: u32 = 2;
export const RST: u32 = 4;
export const PSH: u32 = 8;
export const ACK: u32 = 16;
export const URG: u32 = 32;
/** RFC 3168. */
export const ECE: u32 = 64;
export const CWR: u32 = 128;

// Kinds of options. RFC 9293 §3.2; RFC 7323; RFC 2018.
export const OPTION_END: u32 = 0;
export const OPTION_NOP: u32 = 1;
export const OPTION_MSS: u32 = 2;
export const OPTION_SCALE: u32 = 3;
export const OPTION_SACK_PERMITTED: u32 = 4;
export const OPTION_SACK: u32 = 5;
export const OPTION_TIMESTAMPS: u32 = 8;

/** Two NOPs, and the first two bytes of timestamps, as they lie in memory. */
export const PADDED_TIMESTAMPS: u32 = 0x0a08_0101;
/** Bytes of timestamps with two NOPs before them. */
export const TIMESTAMPS_LEN: u32 = 12;

/** RFC 7323 §2.3: a larger shift count means this one. */
export const MAX_SCALE: u32 = 14;

/** Returns both ports as they lie in memory, the source's first. */
export function ports(tcp: usize): u32 {
  return load<u32>(tcp);
}

export function dstPort(tcp: usize): u32 {
  return load16(tcp + 2);
}

export function seq(tcp: usize): u32 {
  return bswap<u32>(load<u32>(tcp, 4));
}

export function ack(tcp: usize): u32 {
  return bswap<u32>(load<u32>(tcp, 8));
}

export function headerLen(tcp: usize): u32 {
  return <u32>load<u8>(tcp, 12) >>> 4 << 2;
}

export function flags(tcp: usize): u32 {
  return load<u8>(tcp, 13);
}

export function window(tcp: usize): u32 {
  return load16(tcp + 14);
}

/** Makes a header with this length. The checksum and the urgent pointer are 0. `ports` are as they lie in memory. */
export function setHeader(
  tcp: usize, ports: u32, seq: u32, ack: u32, headerLen: u32, flags: u32, window: u32,
): void {
  store<u32>(tcp, ports);
  store<u32>(tcp, bswap<u32>(seq), 4);
  store<u32>(tcp, bswap<u32>(ack), 8);
  store<u32>(tcp, <u32>bswap<u16>(<u16>window) << 16 | flags << 8 | headerLen << 2, 12);
  store<u32>(tcp, 0, CHECKSUM_AT);
}

/** Sets the checksum as it lies in memory. */
export function setChecksum(tcp: usize, checksum: u32): void {
  store<u16>(tcp, <u16>checksum, CHECKSUM_AT);
}
