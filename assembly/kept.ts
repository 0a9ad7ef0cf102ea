// Kept packets: they stay in their slots until their time, and are sent then, or judged. A packet keeps a slot, and the
// record of that slot, but none of the receive loop's room: nothing about it is looked at before its time.
//
//  record  0 ┌───────┬────────┬────────┬───────┬──────────┬───────┐
//            │ timer │ packet │ length │ owner │ protocol │ flip  │ to be sent
//            │       │        │        │       │ route    │       │ to be judged
//            │       │        │        │ owner │ route    │ place │ an error that begins its way back
//            └───────┴────────┴────────┴───────┴──────────┴───────┘

import { SLOT_SIZE } from "../abi/control";
import { COUNTERS, Counter, Protocol } from "../abi/counters";
import { MAX_KEPT } from "../abi/links";
import { KEPT, KEPT_SIZE } from "../abi/pool";
import { SLOT_ALIGN, SLOT_BASE } from "../abi/slots";
import { NOBODY } from "../abi/tables";
import { Timer, TIMER_SIZE } from "../abi/timers";
import { add, answered, queue } from "./memory";
import * as timers from "./timers";

const PACKET: usize = TIMER_SIZE;
const LENGTH: usize = TIMER_SIZE + 4;
const OWNER: usize = TIMER_SIZE + 8;
const PROTOCOL: usize = TIMER_SIZE + 12;
const FLIP: usize = TIMER_SIZE + 16;
const ROUTE: usize = PROTOCOL;
const PLACE: usize = FLIP;

/** Returns whether another packet may be kept. */
export function mayKeep(): bool {
  return load<f64>(COUNTERS + (Counter.keptAll << 3)) < <f64>load<u32>(MAX_KEPT);
}

/**
 * Keeps the packet of `length` bytes at `packet`, which is to be sent at `due`. If it came as a request, it counts as
 * answered by `owner` then; for a packet in addition to that one, `owner` is NOBODY. If `flip` is not 0, it is the
 * number of a bit, from 1 on, that changes under way.
 */
export function keep(packet: usize, length: u32, due: u64, owner: i32, protocol: Protocol, flip: u32): void {
  const record = recordOf(packet);
  store<i32>(record, owner, OWNER);
  store<u32>(record, protocol, PROTOCOL);
  store<u32>(record, flip, FLIP);
  set(record, packet, length, Timer.kept, due);
  if (owner != NOBODY) add(Counter.kept, 1);
}

/** Keeps the packet of `length` bytes at `packet`, which came by this route, and is to be judged at `due`. */
export function keepArriving(packet: usize, length: u32, due: u64, route: u32): void {
  const record = recordOf(packet);
  store<u32>(record, route, ROUTE);
  set(record, packet, length, Timer.arriving, due);
  add(Counter.kept, 1);
}

/** Keeps the error of `length` bytes of a hop at a place of a route, which begins its way back at `due`. */
export function keepReturning(packet: usize, length: u32, due: u64, owner: i32, route: u32, place: u32): void {
  const record = recordOf(packet);
  store<i32>(record, owner, OWNER);
  store<u32>(record, route, ROUTE);
  store<u32>(record, place, PLACE);
  set(record, packet, length, Timer.returning, due);
}

function set(record: usize, packet: usize, length: u32, kind: Timer, due: u64): void {
  store<u32>(record, <u32>packet, PACKET);
  store<u32>(record, length, LENGTH);
  add(Counter.keptAll, 1);
  timers.set(record, kind, due);
}

/** Returns the record of the slot of the packet or frame at `packet`. */
export function recordOf(packet: usize): usize {
  return KEPT + (<u32>packet - SLOT_BASE) / load<u32>(SLOT_SIZE) * KEPT_SIZE;
}

/** Sends a packet whose time has come. */
export function release(record: usize): void {
  const owner = load<i32>(record, OWNER);
  add(Counter.keptAll, -1);
  if (owner != NOBODY) {
    add(Counter.kept, -1);
    answered(load<u32>(record, PROTOCOL), owner, 1);
  }
  const packet = packetOf(record);
  prefetch(packet, record);
  const flip = load<u32>(record, FLIP);
  if (flip) flipBit(packet, flip - 1);
  queue(packet, lengthOf(record));
}

/**
 * Reads a packet's first two cache lines, which have long left the caches. Here, those of several packets come at the
 * same time. The kernel copies one packet after the other, and would wait for each by itself. A load without a use
 * might be left out, so what was read takes the place of the address, of which the record has no more need.
 */
function prefetch(packet: usize, record: usize): void {
  store<u32>(record, load<u32>(packet) ^ load<u32>(packet, SLOT_ALIGN), PACKET);
}

/** Lets go of a packet that is about to be judged. */
export function arrived(): void {
  add(Counter.keptAll, -1);
  add(Counter.kept, -1);
}

/** Lets go of an error that is about to go back. */
export function returned(): void {
  add(Counter.keptAll, -1);
}

export function packetOf(record: usize): usize {
  return load<u32>(record, PACKET);
}

export function lengthOf(record: usize): u32 {
  return load<u32>(record, LENGTH);
}

export function ownerOf(record: usize): i32 {
  return load<i32>(record, OWNER);
}

export function routeOf(record: usize): u32 {
  return load<u32>(record, ROUTE);
}

export function placeOf(record: usize): u32 {
  return load<u32>(record, PLACE);
}

/** Changes a bit of a packet. */
export function flipBit(packet: usize, bit: u32): void {
  const at = packet + (bit >>> 3);
  store<u8>(at, load<u8>(at) ^ <u8>(<u32>1 << (bit & 7)));
}
