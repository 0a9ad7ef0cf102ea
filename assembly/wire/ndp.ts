// Neighbor solicitation and advertisement, RFC 4861 §4.3, §4.4, and the option with a link-layer address for Ethernet,
// §4.6.1. Shapes alone. The caller knows that LEN, or OPTION_LEN, bytes are there.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   ├───────────────┬───────────────┬───────────────────────────────┤
//  0│     type      │     code      │           checksum            │
//   ├─┬─┬─┬─────────┴───────────────┴───────────────────────────────┤
//  4│R│S│O│                        reserved                         │  an advertisement's flags
//   ├─┴─┴─┴─────────────────────────────────────────────────────────┤
//  8│                   target address, 16 bytes                    │
//   ├───────────────┬───────────────┬───────────────────────────────┤
// 24│     type      │ length in 8s  │  link-layer address, 6 bytes  │  options

import { store48 } from "./ethernet";

export const LEN: u32 = 24;
export const OPTION_LEN: u32 = 8;
export const SOLICITATION: u32 = 135;
const ADVERTISEMENT: u32 = 136;
const SOURCE_LINK_ADDRESS: u32 = 1;
const TARGET_LINK_ADDRESS: u32 = 2;
/** The S flag, in memory order. */
const SOLICITED: u32 = 0x40;

export function code(msg: usize): u32 {
  return load<u8>(msg, 1);
}

/** Pointer to the target address. */
export function target(msg: usize): usize {
  return msg + 8;
}

/** Returns whether this is a source link-layer address option. */
export function isSourceOption(option: usize): bool {
  return load<u8>(option) == SOURCE_LINK_ADDRESS;
}

/** Returns the option's length in bytes. */
export function optionLen(option: usize): u32 {
  return <u32>load<u8>(option, 1) << 3;
}

/** Pointer to the address in a link-layer address option. */
export function linkAddress(option: usize): usize {
  return option + 2;
}

/**
 * Turns a solicitation into an advertisement that answers it and overrides nothing. The checksum
 * is 0 and the target stays.
 */
export function setAdvertisement(msg: usize): void {
  store<u32>(msg, ADVERTISEMENT);
  store<u32>(msg, SOLICITED, 4);
}

/** Adds the advertisement's one option: the target has this MAC address. */
export function setTargetOption(msg: usize, mac: u64): void {
  store<u16>(msg, <u16>(OPTION_LEN >> 3 << 8 | TARGET_LINK_ADDRESS), LEN);
  store48(linkAddress(msg + LEN), mac);
}

/**
 * Returns whether the address is the solicited-node multicast address of the target: ff02::1:ff00:0/104 and the
 * target's last 24 bits (RFC 4291 §2.7.1).
 */
export function isSolicitedNode(addr: usize, target: usize): bool {
  return load<u64>(addr) == 0x2ff && load<u32>(addr, 8) == 0x0100_0000
    && load<u32>(addr, 12) == (load<u32>(target, 12) | 0xff);
}

export function isUnspecified(addr: usize): bool {
  return (load<u64>(addr) | load<u64>(addr, 8)) == 0;
}

/** RFC 2464 §7: returns the MAC address of a multicast address, 33:33 and its last 32 bits. */
export function multicastMac(addr: usize): u64 {
  return 0x3333 | <u64>load<u32>(addr, 12) << 16;
}
