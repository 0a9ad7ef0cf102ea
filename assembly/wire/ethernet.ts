// Ethernet frame, IEEE 802.3 §3.1.1, with up to two tags, IEEE 802.1Q §9. Shapes alone. The caller knows that
// HEADER_LEN bytes are there.
//
//  0 ├─────────────────────────────┤
//    │     destination address     │
//  6 ├─────────────────────────────┤
//    │       source address        │
// 12 ├─────────────────────────────┤
//    │   tags of 4 bytes, then     │
//    │   the payload's EtherType   │
//    ├─────────────────────────────┤
//    │ payload; padding to 60, and no frame check sequence: the device has none

import { load16 } from "../bytes";

export const HEADER_LEN: u32 = 14;
const TAG_LEN: u32 = 4;
/** The most tags that are read. Frames with more carry nothing that is known here. */
const MAX_LEN: u32 = HEADER_LEN + 2 * TAG_LEN;

export const IPV4: u32 = 0x0800;
export const ARP: u32 = 0x0806;
export const IPV6: u32 = 0x86dd;
const CUSTOMER_TAG: u32 = 0x8100;
const SERVICE_TAG: u32 = 0x88a8;
/** Mask of a tag's fields other than its priority, in memory order. */
const VLAN_MASK: u32 = 0xff0fffff;
const VLAN_ID: u32 = 0xff0f0000;

/** Returns the length of the header with its tags; 0 if the frame ends within it. */
export function headerLen(frame: usize, length: u32): u32 {
  let len = HEADER_LEN;
  while (len < MAX_LEN && isTag(type(frame, len))) {
    len += TAG_LEN;
    if (len > length) return 0;
  }
  return len;
}

/** Returns the EtherType of what follows a header of that length. */
export function type(frame: usize, headerLen: u32): u32 {
  return load16(frame + headerLen - 2);
}

/** Sets the EtherType of a frame without tags. */
export function setType(frame: usize, type: u32): void {
  store<u16>(frame, bswap<u16>(<u16>type), HEADER_LEN - 2);
}

function isTag(type: u32): bool {
  return type == CUSTOMER_TAG || type == SERVICE_TAG;
}

/**
 * Returns whether a tag in a header of that length has VLAN 4095, which nobody may use (IEEE 802.1Q §9.6, table 9-2).
 */
export function hasReservedVlan(frame: usize, headerLen: u32): bool {
  for (let tag = frame + HEADER_LEN; tag < frame + headerLen; tag += TAG_LEN) {
    if ((load<u32>(tag - 2) & VLAN_ID) == VLAN_ID) return true;
  }
  return false;
}

/**
 * Returns the VLANs of a frame, read from the header before its packet in the slot. That header begins 2 bytes into a
 * cache line, or 14 (FRAME_OFFSET in abi/control.ts). Returns 0 if there is no tag, or no frame.
 */
export function vlans(packet: usize): u64 {
  switch (<u32>(packet & 63) - 2) {
    case HEADER_LEN + TAG_LEN:
    case 12 + HEADER_LEN + TAG_LEN: return load<u32>(packet - 6) & VLAN_MASK;
    case HEADER_LEN + 2 * TAG_LEN:
    case 12 + HEADER_LEN + 2 * TAG_LEN: return load<u64>(packet - 10) & (VLAN_MASK | <u64>VLAN_MASK << 32);
    default: return 0;
  }
}

/** Pointer to the destination address. */
export function dstMac(frame: usize): usize {
  return frame;
}

/** Pointer to the source address. */
export function srcMac(frame: usize): usize {
  return frame + 6;
}

/** Returns an address as a number. Its first byte is the lowest. */
export function load48(mac: usize): u64 {
  return <u64>load<u32>(mac) | <u64>load<u16>(mac, 4) << 32;
}

export function store48(mac: usize, value: u64): void {
  store<u32>(mac, <u32>value);
  store<u16>(mac, <u16>(value >>> 32), 4);
}

/** Returns whether the address is broadcast or multicast. */
export function isGroup(mac: usize): bool {
  return (load<u8>(mac) & 1) != 0;
}

/** Returns whether an interface may have the address. */
export function isStation(mac: usize): bool {
  return !isGroup(mac) && load48(mac) != 0;
}

/** Returns whether an interface other than the one with the address `own` may have the address. */
export function isPeer(mac: usize, own: u64): bool {
  return isStation(mac) && load48(mac) != own;
}

export function isBroadcast(mac: usize): bool {
  return load48(mac) == 0xffffffffffff;
}

export function swapMacs(frame: usize): void {
  const dst = load48(dstMac(frame));
  store48(dstMac(frame), load48(srcMac(frame)));
  store48(srcMac(frame), dst);
}
