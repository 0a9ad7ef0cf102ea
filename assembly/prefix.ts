// Whose is this address? The configured prefixes lie in a trie for each family that takes two bytes of the address at the first
// step and then one byte a step for IPv4, or half of one for IPv6; the host has built it (src/prefixes.ts) such that the longest
// match is what the last step finds, with no memory of the steps before. Whatever was configured, an IPv4 address takes at most
// three loads and an IPv6 address 29.

import { FIRST_NODE, HOST, HOST6, HOST6_OWNER, HOST_OWNER, TRIE, TRIE6 } from "../src/abi";

/** Owner of the IPv4 address that lies at `addr`: NOBODY, INVALID, or FIRST_PREFIX and on. */
export function owner(addr: usize): i32 {
  const value = load<u32>(addr);
  // The host's own lies in a prefix more often than not, and would make nodes of what the prefix alone decides.
  if (value == load<u32>(HOST)) return load<i32>(HOST_OWNER);
  let entry = load<i32>(TRIE + <i32>(value << 16 >>> 14));
  if (entry >= FIRST_NODE) {
    entry = load<i32>(entry + (value >>> 14 & 0x3fc));
    if (entry >= FIRST_NODE) entry = load<i32>(entry + (value >>> 24 << 2));
  }
  return entry;
}

/** The same for the IPv6 address that lies at `addr`. */
export function owner6(addr: usize): i32 {
  if (load<u64>(addr, 8) == load<u64>(HOST6, 8) && load<u64>(addr) == load<u64>(HOST6)) return load<i32>(HOST6_OWNER);
  let entry = load<i32>(TRIE6 + (<i32>load<u16>(addr) << 2));
  for (let at = addr + 2; entry >= FIRST_NODE; at++) {
    const byte = <i32>load<u8>(at);
    entry = load<i32>(entry + (byte >>> 2 & 0x3c));
    if (entry >= FIRST_NODE) entry = load<i32>(entry + (byte << 2 & 0x3c));
  }
  return entry;
}
