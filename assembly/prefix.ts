// Whose is this address? The configured prefixes, nested ones included, cut the address space into intervals that the
// host sorts and labels (src/prefixes.ts); the longest match is then the interval that the address falls into.

import { INTERVAL_COUNT, INTERVAL_OWNERS, INTERVAL_STARTS } from "../src/abi";

/** Index of the prefix that the address belongs to, NOBODY, or INVALID where it can be no host's. */
export function owner(addr: u32): i32 {
  let at: u32 = 0;
  // The last interval that starts at or before the address: it starts within [at, at + count).
  for (let count = load<u32>(INTERVAL_COUNT); count > 1;) {
    const half = count >>> 1;
    if (load<u32>(INTERVAL_STARTS + ((at + half) << 2)) <= addr) at += half;
    count -= half;
  }
  return load<i32>(INTERVAL_OWNERS + (at << 2));
}
