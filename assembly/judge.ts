// The slow path: everything that is not a plain IPv4 echo request. A family's judge looks at a packet from its first byte on
// and gives a verdict; here, and only here, what the verdict says is done and counted.
//
//  > 0   the length of the reply that the packet was turned into, where it lay
//    0   the packet has been taken care of: its slot is free
//  < 0   ~ the reason to drop it

import { DROPPED, QUEUED } from "../src/abi";
import { ipv4Input } from "./judge/ipv4";
import { add, free, queue, receivedLength, receivedSlot } from "./memory";

/** Judges the first `count` packets of RECEIVED, behind `replies` that are in TO_SEND already; returns how many are there then. */
export function judge(count: u32, replies: u32, now: f64): u32 {
  store<u32>(QUEUED, replies);
  for (let i: u32 = 0; i < count; i++) {
    const ip = receivedSlot(i);
    const verdict = ipv4Input(ip, receivedLength(i), now);
    if (verdict > 0) {
      queue(ip, verdict);
    } else {
      free(ip);
      if (verdict < 0) add(DROPPED + ~verdict, 1);
    }
  }
  return load<u32>(QUEUED);
}
