// One batch: the function that the host calls.

import { BATCH_AT, MODE, Mode, NEXT_TABLE, NOW, QUEUED, TABLE, UNREAD } from "../abi/control";
import { BATCH_SIZES, Counter } from "../abi/counters";
import { IRTT_SPOILT } from "../abi/irtt";
import { SESSIONS_SPOILT } from "../abi/sessions";
import { TX_QUEUE_LEN } from "../abi/slots";
import { DRAIN, SWEPT_FOR } from "../abi/tcp";
import { unwrap, wrap } from "./ethernet";
import { input } from "./input";
import { add } from "./memory";
import { beginSweep } from "./tcp/sweep";
import * as irtt from "./udp/irtt/sessions";
import * as sessions from "./udp/sessions";

/** Time between two batches after which the queue may have filled up: the worker had no processor. */
const HELD_UP_NS: u64 = 5_000_000;

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
  if (load<u32>(SESSIONS_SPOILT)) sessions.restore();
  if (load<u32>(IRTT_SPOILT)) irtt.restore();
  store<u32>(UNREAD, unread(count));
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

/**
 * Returns UNREAD after a batch. Once as many packets have been read as the queue holds, all that had come are among
 * them: so a flood puts off no timer for long.
 */
function unread(count: u32): u32 {
  const now = load<u64>(NOW);
  const heldUp = now - load<u64>(BATCH_AT) >= HELD_UP_NS;
  store<u64>(BATCH_AT, now);
  if (!count) return 0;
  const packets = heldUp ? count : load<u32>(UNREAD) + count;
  return packets < <u32>TX_QUEUE_LEN ? packets : 0;
}
