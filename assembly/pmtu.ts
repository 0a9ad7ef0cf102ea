// Path MTU discovery, RFC 8201 and RFC 1191: the maximum length of a packet to an address.
//
// Answers without a connection keep nothing of their own, so an entry is made when a packet of IPv6 longer than the
// minimum MTU is sent. A Packet Too Big lowers the MTU of an entry. If it is about a packet that was never sent,
// there is no entry to lower. Connections know what they have sent: they make an entry when the path's MTU is learnt,
// for those that follow. IPv4 addresses are mapped into IPv6 ones.
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
  const entry = find(addr) || replace(addr, second);
  if (!entry) return load<u32>(MTU);
  store<u32>(entry, second, USED_AT);
  return known(entry, second) || load<u32>(MTU);
}

/** Returns the maximum bytes of a packet to `addr`, as far as it is known. */
export function knownMtu(addr: usize): u32 {
  const entry = find(addr);
  return entry ? known(entry, seconds()) || load<u32>(MTU) : load<u32>(MTU);
}

/** Lowers the MTU to `addr`. Returns false if nothing was sent there, or if no path can have this MTU (RFC 8201 §4). */
export function lower(addr: usize, mtu: u32): bool {
  if (mtu < <u32>MIN_PATH_MTU6) return false;
  const entry = find(addr);
  if (!entry) return false;
  set(entry, mtu);
  return true;
}

/** Notes the MTU of the path to `addr`, if there is room. The caller has checked it. */
export function learn(addr: usize, mtu: u32): void {
  const second = seconds();
  const entry = find(addr) || replace(addr, second);
  if (!entry) return;
  store<u32>(entry, second, USED_AT);
  set(entry, mtu);
}

function set(entry: usize, mtu: u32): void {
  const second = seconds();
  const before = known(entry, second);
  // Several packets may have met the same link before the first message about it came.
  if (before && before < mtu) return;
  store<u32>(entry, mtu, PATH_MTU);
  store<u32>(entry, second, LEARNT_AT);
}

/** Returns the entry of `addr`; 0 if there is none. */
function find(addr: usize): usize {
  const set = setOf(addr);
  for (let entry = set; entry < set + PATH_WAYS * PATH_SIZE; entry += PATH_SIZE) {
    if (ipv6.isSame(entry, addr)) return entry;
  }
  return 0;
}

/** Returns an entry for `addr`, which has none, in place of another; 0 if there is no room. */
function replace(addr: usize, second: u32): usize {
  const set = setOf(addr);
  let oldest: usize = 0;
  let most: u32 = 0;
  for (let entry = set; entry < set + PATH_WAYS * PATH_SIZE; entry += PATH_SIZE) {
    const mtu = known(entry, second);
    const age = min(second - load<u32>(entry, USED_AT), WITHOUT_MTU - 1);
    if (mtu && age < IN_USE_S) continue;
    const rank = mtu ? age : WITHOUT_MTU + age;
    if (rank >= most) {
      oldest = entry;
      most = rank;
    }
  }
  if (!oldest) return 0;
  memory.copy(oldest, addr, PATH_MTU);
  store<u32>(oldest, 0, PATH_MTU);
  store<u32>(oldest, second, USED_AT);
  return oldest;
}

/** Returns the MTU of an entry, at most the device's; 0 if it has none, or if it is too old. */
function known(entry: usize, second: u32): u32 {
  return second - load<u32>(entry, LEARNT_AT) < LIFETIME_S ? min(load<u32>(entry, PATH_MTU), load<u32>(MTU)) : 0;
}

function setOf(addr: usize): usize {
  let hash = load<u32>(SEED);
  for (const end = addr + PATH_MTU; addr < end; addr += 4) hash = mix(hash ^ load<u32>(addr));
  return <usize>PATHS + <usize>(hash & (PATH_SETS - 1)) * (PATH_WAYS * PATH_SIZE);
}

function seconds(): u32 {
  return <u32>(load<u64>(NOW) / 1_000_000_000);
}
