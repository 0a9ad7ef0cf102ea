// One batch: the function that the host calls.

import { MODE, Mode, NEXT_TABLE, QUEUED, TABLE, UNREAD } from "../abi/control";
import { BATCH_SIZES, Counter } from "../abi/counters";
import { DRAIN, SWEPT_FOR } from "../abi/tcp";
import { unwrap, wrap } from "./ethernet";
import { input } from "./input";
import { add } from "./memory";
import { beginSweep } from "./tcp/sweep";

/**
 * After that many batches in a row everything counts as read that had come, so that a flood puts off no timer for long.
 * A power of two. While something is due a batch is short, and so this takes a millisecond or two.
 */
const MAX_UNREAD: u32 = 16;

/**
 * Judges the first `count` descriptors of RECEIVED, at most BATCH, at the time in NOW, and does what is due by then.
 * Returns how many descriptors of TO_SEND it filled.
 */
export function respond(count: u32): u32 {
  const table = atomic.load<u32>(NEXT_TABLE);
  if (table != load<u32>(TABLE) || atomic.load<u32>(DRAIN) != load<u32>(SWEPT_FOR)) {
    store<u32>(TABLE, table);
    beginSweep();
  }
  store<u32>(UNREAD, count ? load<u32>(UNREAD) + 1 & (MAX_UNREAD - 1) : 0);
  if (count) {
    add(Counter.packetsReceived, count);
    add(BATCH_SIZES + 32 - clz(count - 1), 1);
  }
  if (load<u32>(MODE) == Mode.tun) return input(count, 0);
  const packets = unwrap(count);
  const answered = load<u32>(QUEUED);
  const replies = input(packets, answered);
  wrap(answered, replies);
  return replies;
}
