// The slow path: everything that is not a plain IPv4 echo request, and work that is due without a packet. Each family's
// judge looks at a packet from its first byte on and gives a verdict (verdict.ts). This file carries it out and counts
// it. What is due by then comes first (expire.ts), and what connections send comes last (tcp/output.ts).

import { CONTEXT, QUEUED, UNJUDGED } from "../abi/control";
import { DROPPED } from "../abi/counters";
import { STARVED } from "../abi/streams";
import { INBOX_COUNT, TOUCHED_COUNT } from "../abi/tcp";
import { expire } from "./expire";
import { ipv4Input } from "./judge/ipv4";
import { ipv6Input } from "./judge/ipv6";
import { add, free, queue, receivedLength, receivedSlot } from "./memory";
import { accept } from "./offload";
import { begin } from "./packet";
import { ordered, takeOrders } from "./stream/orders";
import { lendAgain } from "./stream/thread";
import { flush } from "./tcp/output";
import { readAll } from "./tcp/path";
import { due } from "./timers";
import { isDrop, isReply, KEPT, reason } from "./verdict";
import * as ipv4 from "./wire/ipv4";

/**
 * Judges the first `count` packets of RECEIVED. TO_SEND has `replies` packets already, and new replies are added behind
 * them. Returns how many there are then.
 */
export function judge(count: u32, replies: u32): u32 {
  store<u32>(QUEUED, replies);
  store<u32>(UNJUDGED, count);
  if (load<u32>(INBOX_COUNT)) readAll();
  if (ordered()) takeOrders();
  if (due()) expire();
  for (let i: u32 = 0; i < count; i++) {
    store<u32>(UNJUDGED, count - i);
    const ip = receivedSlot(i);
    const six = ipv4.version(ip) == 6;
    begin(CONTEXT, ip, six ? 6 : 4);
    accept(CONTEXT, ip);
    const length = receivedLength(i);
    const verdict = six ? ipv6Input(CONTEXT, ip, length) : ipv4Input(CONTEXT, ip, length);
    if (isReply(verdict)) {
      queue(ip, verdict);
    } else if (verdict != KEPT) {
      free(ip);
      if (isDrop(verdict)) add(DROPPED + reason(verdict), 1);
    }
  }
  if (load<u32>(TOUCHED_COUNT)) {
    store<u32>(UNJUDGED, 0);
    flush();
  }
  if (load<u32>(STARVED)) lendAgain();
  return load<u32>(QUEUED);
}
