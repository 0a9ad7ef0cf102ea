// UDP header, RFC 768. Shapes alone. The caller knows that HEADER_LEN bytes are there.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   ├───────────────────────────────┼───────────────────────────────┤
//  0│          source port          │       destination port        │
//   ├───────────────────────────────┼───────────────────────────────┤
//  4│            length             │           checksum            │

import { load16 } from "../bytes";

export const HEADER_LEN: u32 = 8;

/** Returns the length of header and data. */
export function len(datagram: usize): u32 {
  return load16(datagram + 4);
}

export function srcPort(datagram: usize): u32 {
  return load16(datagram);
}

export function dstPort(datagram: usize): u32 {
  return load16(datagram + 2);
}

/** Makes a header without a checksum. `ports` are as they lie in memory. */
export function setHeader(datagram: usize, ports: u32, len: u32): void {
  store<u32>(datagram, ports);
  store<u32>(datagram, <u32>bswap<u16>(<u16>len), 4);
}

/** Sets the checksum; 0 would say that there is none. */
export function setChecksum(datagram: usize, checksum: u32): void {
  store<u16>(datagram, checksum ? <u16>checksum : 0xffff, 6);
}

export function clearChecksum(datagram: usize): void {
  store<u16>(datagram, 0, 6);
}

/** Exchanges the ports. The sum does not change. */
export function swapPorts(datagram: usize): void {
  store<u32>(datagram, rotl<u32>(load<u32>(datagram), 16));
}

/** Returns the checksum as it lies in memory. */
export function checksum(datagram: usize): u32 {
  return load<u16>(datagram, 6);
}
