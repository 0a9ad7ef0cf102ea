// Path MTU discovery for IPv6, RFC 8201: how long a packet to an address may be. An entry is made when something longer
// than the least MTU is sent, and a Packet Too Big lowers what an entry has: about a packet that was not sent, there is
// nothing to lower.
//
//  PATHS ┌──────────────────────────────────────────────────┐
//        │ sets of PATH_WAYS entries, an address in one by its   │  SEED is in the hash, so that nobody outside can aim at a set
//        │ hash: address, MTU or 0, when it was learnt, when│
//        │ something was sent there last, in seconds        │
//        └──────────────────────────────────────────────────┘
//
// The table does not grow: a new address takes the place of one of its set that has no MTU, or that nothing has been
// sent to for a while. Where there is none, nothing is known of the new one.

import { MTU, SEED } from "../abi/control";
import { MIN_PATH_MTU6, PATH_SETS, PATH_SIZE, PATH_WAYS, PATHS } from "../abi/paths";
import { mix } from "./limit";
import * as ipv6 from "./wire/ipv6";

/** RFC 8201 §4: what was learnt ages, 10 minutes being recommended. */
const LIFETIME_S: u32 = 600;
/** An entry with an MTU that was used within is not given to another address. */
const IN_USE_S: u32 = 60;
/** Above any age: an entry without an MTU makes room before one that has one. */
const WITHOUT_MTU: u32 = 0x8000_0000;

// Where in an entry its words are, behind the address.
const PATH_MTU: usize = 16;
const LEARNT_AT: usize = 20;
const USED_AT: usize = 24;

/** Most bytes of a packet to `addr`, one of `len` being about to be sent there. */
export function pathMtu(addr: usize, len: u32, now: f64): u32 {
  if (len <= <u32>MIN_PATH_MTU6) return load<u32>(MTU);
  const second = seconds(now);
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

/** Lowers the MTU to `addr`; false where nothing was sent there, or no path can have this MTU (RFC 8201 §4). */
export function lower(addr: usize, mtu: u32, now: f64): bool {
  if (mtu < <u32>MIN_PATH_MTU6) return false;
  const second = seconds(now);
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

/** The MTU that an entry has; 0 where it has none, or has had it for too long. */
function known(entry: usize, second: u32): u32 {
  return second - load<u32>(entry, LEARNT_AT) < LIFETIME_S ? load<u32>(entry, PATH_MTU) : 0;
}

function setOf(addr: usize): usize {
  let hash = load<u32>(SEED);
  for (const end = addr + PATH_MTU; addr < end; addr += 4) hash = mix(hash ^ load<u32>(addr));
  return <usize>PATHS + <usize>(hash & (PATH_SETS - 1)) * (PATH_WAYS * PATH_SIZE);
}

function seconds(now: f64): u32 {
  return <u32>(<u64>now / 1000);
}
