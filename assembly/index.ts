// Everything the host may call. The geometry of the memory is no export: both compilers read it in src/abi.ts.

import { BATCH_SIZES, Counter, DROPPED } from "../src/abi";
import { dropReason, input } from "./input";
import { add, free, receivedLength, receivedSlot, send } from "./memory";

/**
 * Judges the `count` packets of RECEIVED, 1 to BATCH of them; returns how many of TO_SEND are then filled.
 * A slot that holds no reply goes back to the free stack.
 */
export function respond(count: u32): u32 {
  let replies: u32 = 0;
  let bytes: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const slot = receivedSlot(i);
    const length = receivedLength(i);
    bytes += length;
    const verdict = input(slot, length);
    if (verdict > 0) {
      send(replies++, slot, verdict);
    } else {
      add(DROPPED + dropReason(verdict), 1);
      free(slot);
    }
  }
  add(Counter.packetsReceived, count);
  add(Counter.bytesReceived, bytes);
  add(BATCH_SIZES + 32 - clz(count - 1), 1);
  return replies;
}
