// Path MTU discovery for IPv6, RFC 8201: the maximum length of a packet to an address. An entry is made when a packet
// longer than the minimum MTU is sent. A Packet Too Big lowers the MTU of an entry. If it is about a packet that was
// never sent, there is no entry to lower.
//
//  PATHS ┌──────────────────────────────────────────────────┐
//        │ sets of PATH_WAYS entries each. The hash of an   │  SEED is in the hash, so that nobody outside can aim
//        │ address says in which set it is. An entry has the│  at a set
//        │ address, its MTU or 0, when that was learnt, and │
//        │ when something was last sent there, in seconds   │
//        └──────────────────────────────────────────────────┘
//
// The table does not grow. A new address replaces an entry of its set that has no MTU, or that nothing has been sent to
// for a while. If there is no such entry, nothing is remembered for the new address.

import { MTU, NOW, SEED } from "../abi/control";
import { MIN_PATH_MTU6, PATH_SETS, PATH_SIZE, PATH_WAYS, PATHS } from "../abi/paths";
import { mix } from "./limit";
import * as ipv6 from "./wire/ipv6";

/** RFC 8201 §4: a path MTU ages, and 10 minutes are recommended. */
const LIFETIME_S: u32 = 600;
/** Seconds since its last use for which an entry with an MTU is not given to another address. */
const IN_USE_S: u32 = 60;
/** Added to the age of an entry without an MTU, so that it is replaced before any that has one. */
const WITHOUT_MTU: u32 = 0x8000_0000;

// Offsets of the words in an entry, behind the address.
const PATH_MTU: usize = 16;
const LEARNT_AT: usize = 20;
const USED_AT: usize = 24;

/** Returns the maximum bytes of a packet to `addr`. The caller is about to send one of `len` bytes there. */
export function pathMtu(addr: usize, len: u32): u32 {
  if (len <= <u32>MIN_PATH_MTU6) return load<u32>(MTU);
  const second = seconds();
  const set = setOf(addr);
  let oldest: usize = 0;
  let most: u32 = 0;
  for (let entry = set; entry < set + PATH_WAYS * PATH_SIZE; entry += PATH_SIZE) {
    const mtu = known(entry, second);
    if (ipv6.isSame(entry, addr)) {
      store<u32>(entry, second, USED_AT);
      return mtu ? min(mtu, load<u32>(MTU)) : load<u32>(MTU);
    }
    const age = min(second - load<u32>(entry, USED_AT), WITHOUT_MTU - 1);
    if (mtu && age < IN_USE_S) continue;
    const rank = mtu ? age : WITHOUT_MTU + age;
    if (rank >= most) {
      oldest = entry;
      most = rank;
    }
  }
  if (oldest) {
    memory.copy(oldest, addr, PATH_MTU);
    store<u32>(oldest, 0, PATH_MTU);
    store<u32>(oldest, second, USED_AT);
  }
  return load<u32>(MTU);
}

/** Lowers the MTU to `addr`. Returns false if nothing was sent there, or if no path can have this MTU (RFC 8201 §4). */
export function lower(addr: usize, mtu: u32): bool {
  if (mtu < <u32>MIN_PATH_MTU6) return false;
  const second = seconds();
  const set = setOf(addr);
  for (let entry = set; entry < set + PATH_WAYS * PATH_SIZE; entry += PATH_SIZE) {
    if (!ipv6.isSame(entry, addr)) continue;
    const before = known(entry, second);
    // Several packets may have met the same link before the first message about it came.
    if (before && before < mtu) return true;
    store<u32>(entry, mtu, PATH_MTU);
    store<u32>(entry, second, LEARNT_AT);
    return true;
  }
  return false;
}

/** Returns the MTU of an entry; 0 if it has none, or if it is too old. */
function known(entry: usize, second: u32): u32 {
  return second - load<u32>(entry, LEARNT_AT) < LIFETIME_S ? load<u32>(entry, PATH_MTU) : 0;
}

function setOf(addr: usize): usize {
  let hash = load<u32>(SEED);
  for (const end = addr + PATH_MTU; addr < end; addr += 4) hash = mix(hash ^ load<u32>(addr));
  return <usize>PATHS + <usize>(hash & (PATH_SETS - 1)) * (PATH_WAYS * PATH_SIZE);
}

function seconds(): u32 {
  return <u32>(load<u64>(NOW) / 1_000_000_000);
}
