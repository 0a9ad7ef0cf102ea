// Kept packets: they stay in their slots until their time, and are sent then. A packet keeps a slot, and the record of
// that slot, but none of the receive loop's room: nothing about it is looked at before its time.
//
//  record  0 ┌──────────┬────────┬────────┬───────┬──────────┐
//            │ timer    │ packet │ length │ owner │ protocol │
//            └──────────┴────────┴────────┴───────┴──────────┘

import { SLOT_SIZE } from "../abi/control";
import { Counter, Protocol } from "../abi/counters";
import { KEPT, KEPT_SIZE } from "../abi/pool";
import { SLOT_BASE } from "../abi/slots";
import { NOBODY } from "../abi/tables";
import { Timer, TIMER_SIZE } from "../abi/timers";
import { add, answered, queue } from "./memory";
import * as timers from "./timers";

const PACKET: usize = TIMER_SIZE;
const LENGTH: usize = TIMER_SIZE + 4;
const OWNER: usize = TIMER_SIZE + 8;
const PROTOCOL: usize = TIMER_SIZE + 12;

/**
 * Keeps the packet of `length` bytes at `packet`, which is to be sent at `due`. If it came as a request, it counts as
 * answered by `owner` then; for a packet in addition to that one, `owner` is NOBODY.
 */
export function keep(packet: usize, length: u32, due: u64, owner: i32, protocol: Protocol): void {
  const record = recordOf(packet);
  store<u32>(record, <u32>packet, PACKET);
  store<u32>(record, length, LENGTH);
  store<i32>(record, owner, OWNER);
  store<u32>(record, protocol, PROTOCOL);
  if (owner != NOBODY) add(Counter.kept, 1);
  timers.set(record, Timer.kept, due);
}

/** Returns the record of the slot of the packet or frame at `packet`. */
export function recordOf(packet: usize): usize {
  return KEPT + (<u32>packet - SLOT_BASE) / load<u32>(SLOT_SIZE) * KEPT_SIZE;
}

/** Sends a packet whose time has come. */
export function release(record: usize): void {
  const owner = load<i32>(record, OWNER);
  if (owner != NOBODY) {
    add(Counter.kept, -1);
    answered(load<u32>(record, PROTOCOL), owner, 1);
  }
  queue(load<u32>(record, PACKET), load<u32>(record, LENGTH));
}
