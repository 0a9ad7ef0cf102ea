// Whose is this address? The configured prefixes lie in a trie that takes two bytes of the address at the first step and then
// one a step; the host has built it (src/prefixes.ts) such that the longest match is what the last step finds, with no memory
// of the steps before. Whatever was configured, an IPv4 address takes at most three loads.

import { FIRST_NODE, TRIE } from "../src/abi";

/** Owner of the address that lies at `addr`: NOBODY, INVALID, or FIRST_PREFIX and on. */
export function owner(addr: usize): i32 {
  let entry = load<i32>(TRIE + (<i32>load<u16>(addr) << 2));
  if (entry >= FIRST_NODE) {
    entry = load<i32>(entry + (<i32>load<u8>(addr, 2) << 2));
    if (entry >= FIRST_NODE) entry = load<i32>(entry + (<i32>load<u8>(addr, 3) << 2));
  }
  return entry;
}
