// Whose is this address? The configured prefixes lie in a trie for each family that takes two bytes of the address at the first
// step and then four bits a step; the host has built it (src/prefixes.ts) such that the longest match is what the last step
// finds, with no memory of the steps before. Whatever was configured, an IPv4 address takes at most five loads and an IPv6
// address 29.

import { FIRST_NODE, TRIE, TRIE6 } from "../src/abi";

/** Owner of the IPv4 address that lies at `addr`: NOBODY, INVALID, or FIRST_PREFIX and on. */
export function owner(addr: usize): i32 {
  let entry = load<i32>(TRIE + (<i32>load<u16>(addr) << 2));
  if (entry >= FIRST_NODE) {
    const low = load<u16>(addr, 2);
    entry = load<i32>(entry + (low >>> 2 & 0x3c));
    if (entry >= FIRST_NODE) {
      entry = load<i32>(entry + (low << 2 & 0x3c));
      if (entry >= FIRST_NODE) {
        entry = load<i32>(entry + (low >>> 10 & 0x3c));
        if (entry >= FIRST_NODE) entry = load<i32>(entry + (low >>> 6 & 0x3c));
      }
    }
  }
  return entry;
}

/** The same for the IPv6 address that lies at `addr`. */
export function owner6(addr: usize): i32 {
  let entry = load<i32>(TRIE6 + (<i32>load<u16>(addr) << 2));
  for (let at = addr + 2; entry >= FIRST_NODE; at++) {
    const byte = <i32>load<u8>(at);
    entry = load<i32>(entry + (byte >>> 2 & 0x3c));
    if (entry >= FIRST_NODE) entry = load<i32>(entry + (byte << 2 & 0x3c));
  }
  return entry;
}
