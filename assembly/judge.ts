// The slow path: everything that is not a plain IPv4 echo request, and work that is due without a packet. Each family's
// judge looks at a packet from its first byte on and gives a verdict (verdict.ts). This file carries it out and counts
// it.

import { CONTEXT, QUEUED, UNJUDGED } from "../abi/control";
import { Drop, DROPPED } from "../abi/counters";
import { Timer } from "../abi/timers";
import { ipv4Expired, ipv4Input } from "./judge/ipv4";
import { ipv6Expired, ipv6Input } from "./judge/ipv6";
import { release } from "./kept";
import { add, free, queue, receivedLength, receivedSlot, room } from "./memory";
import { begin, family } from "./packet";
import * as reassembly from "./reassembly";
import * as timers from "./timers";
import { isDrop, isReply, KEPT, reason } from "./verdict";
import * as ipv4 from "./wire/ipv4";

/**
 * Judges the first `count` packets of RECEIVED. TO_SEND has `replies` packets already, and new replies are added behind
 * them. Returns how many there are then.
 */
export function judge(count: u32, replies: u32): u32 {
  store<u32>(QUEUED, replies);
  store<u32>(UNJUDGED, count);
  if (timers.due()) expire();
  for (let i: u32 = 0; i < count; i++) {
    store<u32>(UNJUDGED, count - i);
    const ip = receivedSlot(i);
    const six = ipv4.version(ip) == 6;
    begin(CONTEXT, ip, six ? 6 : 4);
    const length = receivedLength(i);
    const verdict = six ? ipv6Input(CONTEXT, ip, length) : ipv4Input(CONTEXT, ip, length);
    if (isReply(verdict)) {
      queue(ip, verdict);
    } else if (verdict != KEPT) {
      free(ip);
      if (isDrop(verdict)) add(DROPPED + reason(verdict), 1);
    }
  }
  return load<u32>(QUEUED);
}

/** Does what is due, as far as TO_SEND has room for it. What is left over is due at once in the next call. */
function expire(): void {
  while (room()) {
    const timer = timers.expired();
    if (!timer) return;
    if (timers.kind(timer) == Timer.kept) release(timer);
    else giveUp(timer);
  }
}

/** Gives up a datagram that did not become whole in time. If the first fragment came, its sender is told. */
function giveUp(buffer: usize): void {
  const header = reassembly.header(buffer);
  const packet = reassembly.context(buffer);
  if (header) {
    if (family(packet) == 6) ipv6Expired(packet, header);
    else ipv4Expired(packet, header);
  }
  reassembly.drop(buffer, Drop.frag_reasm_timeout);
}
