// An engine that keeps every packet for a random time and sends several replies to it, to try timers and kept packets
// with. Each reply carries its due time behind the IPv4 header, as a u64, little-endian.

import { CONTEXT, FREE_COUNT, QUEUED, UNJUDGED } from "../../../abi/control";
import { Counter, Drop, DROPPED, Protocol } from "../../../abi/counters";
import { BATCH } from "../../../abi/slots";
import { FIRST_PREFIX, NOBODY } from "../../../abi/tables";
import { expire } from "../../../assembly/expire";
import { keep } from "../../../assembly/kept";
import { add, free, receivedLength, receivedSlot, take } from "../../../assembly/memory";
import { arrival, begin } from "../../../assembly/packet";
import { due } from "../../../assembly/timers";
import * as ipv4 from "../../../assembly/wire/ipv4";

export { prepare, reap, unsubmitted } from "../../../assembly/ring";

let seed: u32 = 1;
let leastNs: u64 = 0;
let rangeNs: u32 = 1;
let most: u32 = 0;

/** Sets how long packets are kept, `least` ns and less than `range` more, and how many replies each gets at most. */
export function set(newSeed: u32, least: u32, range: u32, replies: u32): void {
  seed = newSeed;
  leastNs = least;
  rangeNs = range;
  most = replies;
}

export function respond(count: u32): u32 {
  if (count) add(Counter.packetsReceived, count);
  store<u32>(QUEUED, 0);
  store<u32>(UNJUDGED, count);
  if (due()) expire();
  for (let i: u32 = 0; i < count; i++) {
    store<u32>(UNJUDGED, count - i);
    const ip = receivedSlot(i);
    const length = receivedLength(i);
    begin(CONTEXT, ip, 4);
    // As the budget of kept packets will, this leaves a batch of slots for packets to come.
    if (load<u32>(FREE_COUNT) < <u32>BATCH + most) {
      free(ip);
      add(DROPPED + Drop.nomem, 1);
      continue;
    }
    ipv4.swapAddrs(ip);
    for (let more = draw() % most; more; more--) {
      const slot = take();
      memory.copy(slot, ip, length);
      later(slot, length, NOBODY);
    }
    later(ip, length, FIRST_PREFIX);
  }
  return load<u32>(QUEUED);
}

function later(ip: usize, length: u32, owner: i32): void {
  const due = arrival(CONTEXT) + leastNs + draw() % rangeNs;
  store<u64>(ip, due, ipv4.MIN_HEADER_LEN);
  keep(ip, length, due, owner, Protocol.icmp, 0);
}

/** Xorshift (Marsaglia 2003). */
function draw(): u32 {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return seed;
}
