// Whose is this address, and what does it answer? The configured prefixes lie in a trie for each family that takes two
// bytes of the address at the first step and then one byte a step for IPv4, or half of one for IPv6; the host has built
// it (src/engine/table.ts) such that the longest match is what the last step finds, with no memory of the steps before.
// Whatever was configured, an IPv4 address takes at most three loads and an IPv6 address 29.
//
// The tries, and what each prefix answers, are a table. The host may put another in its place at any time, which holds
// from the next batch on (batch.ts).

import { ANSWERS, OWNER, TABLE } from "../abi/control";
import {
  FIRST_NODE, FIRST_PREFIX, HOST, HOST6, HOST6_OWNER, HOST_OWNER, PREFIX_ANSWERS, TRIE, TRIE6,
} from "../abi/tables";

/** The table of this batch. */
export function table(): usize {
  return load<u32>(TABLE);
}

/** Owner of the IPv4 address that lies at `addr`: NOBODY, INVALID, or FIRST_PREFIX and on. */
export function owner(table: usize, addr: usize): i32 {
  const value = load<u32>(addr);
  // The host's own lies in a prefix more often than not, and would make nodes of what the prefix alone decides.
  if (value == load<u32>(table, HOST)) return load<i32>(table, HOST_OWNER);
  let entry = load<i32>(table + (value << 16 >>> 14), TRIE);
  if (entry >= FIRST_NODE) {
    entry = load<i32>(entry + (value >>> 14 & 0x3fc));
    if (entry >= FIRST_NODE) entry = load<i32>(entry + (value >>> 24 << 2));
  }
  return entry;
}

/** The same for the IPv6 address that lies at `addr`. */
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

/** What the addresses of this prefix answer: a TTL, and ANSWER_ bits. */
export function answersOf(table: usize, prefix: i32): u32 {
  return load<u32>(table + (<usize>(prefix - FIRST_PREFIX) << 2), PREFIX_ANSWERS);
}

/** Says for the rest of the slow path whose the destination is of the packet that is being judged. */
export function setOwner(prefix: i32): void {
  store<u32>(OWNER, prefix);
  // A datagram may have waited in reassembly until its destination was nobody's.
  store<u32>(ANSWERS, prefix < FIRST_PREFIX ? 0 : answersOf(table(), prefix));
}

/** What that destination answers. */
export function answers(): u32 {
  return load<u32>(ANSWERS);
}

/** TTL, or hop limit, of what it sends. */
export function ttl(): u32 {
  return load<u8>(ANSWERS);
}
