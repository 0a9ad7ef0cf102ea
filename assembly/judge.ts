// The slow path: everything that is not a plain IPv4 echo request, and work that is due without a packet. Each family's
// judge looks at a packet from its first byte on and gives a verdict (verdict.ts); carryout.ts carries that out.
// What is due by then comes first (expire.ts), and what connections send comes last (tcp/output.ts).

import { CONTEXT, QUEUED, UNJUDGED } from "../abi/control";
import { STARVED } from "../abi/streams";
import { INBOX_COUNT, TOUCHED_COUNT } from "../abi/tcp";
import { carryOut, familyOf } from "./carryout";
import { expire } from "./expire";
import { receivedLength, receivedSlot } from "./memory";
import { accept } from "./offload";
import { begin } from "./packet";
import { ordered, takeOrders } from "./stream/orders";
import { lendAgain } from "./stream/thread";
import { flush } from "./tcp/output";
import { readAll } from "./tcp/path";
import { due } from "./timers";

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
    begin(CONTEXT, ip, familyOf(ip));
    accept(CONTEXT, ip);
    carryOut(ip, receivedLength(i));
  }
  if (load<u32>(TOUCHED_COUNT)) {
    store<u32>(UNJUDGED, 0);
    flush();
  }
  if (load<u32>(STARVED)) lendAgain();
  return load<u32>(QUEUED);
}
