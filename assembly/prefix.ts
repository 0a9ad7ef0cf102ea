// Lookup: whose is this address, and what does it answer? Each family has a trie of the configured prefixes. The first
// step decides two bytes of the address. Each further step decides one byte for IPv4 and half a byte for IPv6. The host
// builds the tries (src/engine/table.ts) such that the last step finds the longest match, and no earlier step has to be
// remembered. An IPv4 address takes at most three loads, an IPv6 address 29, whatever is configured.
//
// A table has both tries and the answers of each prefix. The host may replace it at any time, and the new one is used
// from the next batch on (batch.ts).

import { TABLE } from "../abi/control";
import {
  FIRST_NODE, FIRST_PREFIX, HOST, HOST6, HOST6_OWNER, HOST_OWNER, PREFIX_ANSWERS, TRIE, TRIE6,
} from "../abi/tables";

/** The table of this batch. */
export function table(): usize {
  return load<u32>(TABLE);
}

/** Returns the owner of the IPv4 address at `addr`: NOBODY, INVALID, or FIRST_PREFIX and up. */
export function owner(table: usize, addr: usize): i32 {
  const value = load<u32>(addr);
  // The host's own address is usually within a prefix. In the trie it would need nodes
  // where the prefix alone needs none.
  if (value == load<u32>(table, HOST)) return load<i32>(table, HOST_OWNER);
  let entry = load<i32>(table + (value << 16 >>> 14), TRIE);
  if (entry >= FIRST_NODE) {
    entry = load<i32>(entry + (value >>> 14 & 0x3fc));
    if (entry >= FIRST_NODE) entry = load<i32>(entry + (value >>> 24 << 2));
  }
  return entry;
}

/** Returns the owner of the IPv6 address at `addr`: NOBODY, INVALID, or FIRST_PREFIX and up. */
export function owner6(table: usize, addr: usize): i32 {
  if (load<u64>(addr, 8) == load<u64>(table, HOST6 + 8) && load<u64>(addr) == load<u64>(table, HOST6)) {
    return load<i32>(table, HOST6_OWNER);
  }
  let entry = load<i32>(table + (<usize>load<u16>(addr) << 2), TRIE6);
  for (let at = addr + 2; entry >= FIRST_NODE; at++) {
    const byte = <i32>load<u8>(at);
    entry = load<i32>(entry + (byte >>> 2 & 0x3c));
    if (entry >= FIRST_NODE) entry = load<i32>(entry + (byte << 2 & 0x3c));
  }
  return entry;
}

/** Returns what the addresses of this prefix answer: a TTL and ANSWER_ bits. */
export function answersOf(table: usize, prefix: i32): u32 {
  return load<u32>(table + (<usize>(prefix - FIRST_PREFIX) << 2), PREFIX_ANSWERS);
}
