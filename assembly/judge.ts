// The slow path: everything that is not a plain IPv4 echo request, and what is due without a packet. A family's judge
// looks at a packet from its first byte on and gives a verdict; here, what the verdict says is done and counted.
//
//  > 0   the length of the reply that the packet was turned into, where it lay
//    0   the packet has been taken care of, and counted where that is done: its slot is free
//  < 0   ~ the reason to drop it

import { LINK, QUEUED } from "../abi/control";
import { Drop, DROPPED } from "../abi/counters";
import { ipv4Expired, ipv4Input } from "./judge/ipv4";
import { ipv6Expired, ipv6Input } from "./judge/ipv6";
import { add, free, queue, receivedLength, receivedSlot } from "./memory";
import * as reassembly from "./reassembly";
import * as ipv4 from "./wire/ipv4";

/**
 * Judges the first `count` packets of RECEIVED, behind `replies` that are in TO_SEND already; returns how many are
 * there then.
 */
export function judge(count: u32, replies: u32, now: f64): u32 {
  store<u32>(QUEUED, replies);
  if (reassembly.due(now)) expire(now);
  for (let i: u32 = 0; i < count; i++) {
    const ip = receivedSlot(i);
    store<u32>(LINK, <u32>ip);
    const verdict = ipv4.version(ip) == 6
      ? ipv6Input(ip, receivedLength(i), now)
      : ipv4Input(ip, receivedLength(i), now);
    if (verdict > 0) {
      queue(ip, verdict);
    } else {
      free(ip);
      if (verdict < 0) add(DROPPED + ~verdict, 1);
    }
  }
  return load<u32>(QUEUED);
}

/** Gives up the datagrams that did not become whole in time; who sent a first fragment is to know. */
function expire(now: f64): void {
  for (let buffer = reassembly.expired(now); buffer; buffer = reassembly.expired(now)) {
    const header = reassembly.header(buffer);
    if (header) {
      store<u32>(LINK, <u32>reassembly.link(buffer));
      if (ipv4.version(header) == 6) ipv6Expired(header, now);
      else ipv4Expired(header, now);
    }
    reassembly.drop(buffer, Drop.frag_reasm_timeout);
  }
}
