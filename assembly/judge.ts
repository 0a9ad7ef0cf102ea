// The slow path: everything that is not a plain IPv4 echo request, and work that is due without a packet. Each family's
// judge looks at a packet from its first byte on and gives a verdict. This file carries out the verdict and counts it:
//
//  > 0   the packet was turned into a reply of this length, where it lay
//    0   the packet has been handled and counted there; its slot is free
//  < 0   ~ the reason to drop it

import { LINK, QUEUED } from "../abi/control";
import { Drop, DROPPED } from "../abi/counters";
import { ipv4Expired, ipv4Input } from "./judge/ipv4";
import { ipv6Expired, ipv6Input } from "./judge/ipv6";
import { add, free, queue, receivedLength, receivedSlot } from "./memory";
import * as reassembly from "./reassembly";
import * as ipv4 from "./wire/ipv4";

/**
 * Judges the first `count` packets of RECEIVED. TO_SEND has `replies` packets already, and new replies are added behind
 * them. Returns how many there are then.
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

/** Gives up the datagrams that did not become whole in time. If the first fragment came, its sender is told. */
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
