// struct virtio_net_hdr, include/uapi/linux/virtio_net.h: what the kernel says of a packet that it hands over, and what
// is to be done to one that it is given. Little-endian, as this host is. Shapes alone.
//
//    0       1       2               4               6               8              10
//   ├───────┼───────┼───────────────┼───────────────┼───────────────┼───────────────┤
//   │ flags │ kind  │ header length │ segment's size│ sum's start   │ sum's offset  │
//   ├───────┴───────┴───────────────┴───────────────┴───────────────┴───────────────┤
//
// Lengths and places count from the header's end. The sum's offset counts from the sum's start.

/** Flag: the field at start + offset has the folded sum of the pseudo-header, and is to become the checksum. */
export const NEEDS_CSUM: u32 = 1;
/** Flag: the checksum has been verified. */
export const DATA_VALID: u32 = 2;

/** Kinds: one packet, or several segments in one. ECN is a bit beside them. */
export const GSO_NONE: u32 = 0;
export const GSO_TCPV4: u32 = 1;
export const GSO_TCPV6: u32 = 4;
export const GSO_ECN: u32 = 0x80;

/** Flags and kind, in the word at 0, of a packet that is more or less than it seems. */
export const UNFINISHED: u32 = NEEDS_CSUM | 0xff00;

/** Returns flags and kind as one word. */
export function flagsAndKind(header: usize): u32 {
  return load<u16>(header);
}

export function flags(header: usize): u32 {
  return load<u8>(header);
}

export function kind(header: usize): u32 {
  return load<u8>(header, 1);
}

/** Returns the bytes of all headers before the payload. */
export function headerLen(header: usize): u32 {
  return load<u16>(header, 2);
}

/** Returns the bytes of payload of each segment but the last. */
export function segmentSize(header: usize): u32 {
  return load<u16>(header, 4);
}

export function sumStart(header: usize): u32 {
  return load<u16>(header, 6);
}

export function sumOffset(header: usize): u32 {
  return load<u16>(header, 8);
}

/** Makes it the header of a packet of which nothing is to be said. */
export function clear(header: usize): void {
  store<u64>(header, 0);
  store<u16>(header, 0, 8);
}

export function setSum(header: usize, start: u32, offset: u32): void {
  store<u32>(header, NEEDS_CSUM);
  store<u16>(header, 0, 4);
  store<u32>(header, start | offset << 16, 6);
}

export function setSegments(header: usize, kind: u32, headerLen: u32, size: u32): void {
  store<u8>(header, <u8>kind, 1);
  store<u32>(header, headerLen | size << 16, 2);
}
