// Timers: a hierarchical wheel (Varghese and Lauck 1987, scheme 7). A timer is a record in whatever it is for. It hangs
// on the list of the highest byte in which its time differs from that of the wheel, both in ticks. When the wheel comes
// to a list of a higher level, that list's timers move down. Times are rounded up to a tick, so that no timer is early.
//
// Within a tick, timers expire in the order in which they were set. Setting and ending one take a fixed number of
// steps. Moving down takes one for each level at most, whatever is set.
//
//  record  0 ┌──────┬──────┬──────────┬──────┬──────┐
//            │ due  │ next │ previous │ kind │ list │
//            └──────┴──────┴──────────┴──────┴──────┘
//
// DEADLINE is never later than the first timer. It may be earlier: then the wheel only turns.

import { DEADLINE, NOW } from "../abi/control";
import { COUNTERS, Counter, LATENESS, LATENESS_BUCKETS } from "../abi/counters";
import {
  EARLIEST, LEVEL_LISTS, LEVELS, LIST_SIZE, OCCUPIED, OCCUPIED_SIZE, TICK_BITS, TICK_NS, Timer, TIMERS, TURNED, WHEEL,
} from "../abi/timers";

const DUE: usize = 0; // u64, on the clock of NOW
const NEXT: usize = 8;
const PREVIOUS: usize = 12;
const KIND: usize = 16;
const LIST: usize = 20; // 0 while the timer is not set

const NONE: u64 = u64.MAX_VALUE;

/** Sets a timer that is not set. */
export function set(record: usize, kind: Timer, due: u64): void {
  store<u64>(record, due, DUE);
  store<u32>(record, kind, KIND);
  const timers = load<u32>(TIMERS);
  store<u32>(TIMERS, timers + 1);
  // An idle wheel has not turned.
  if (!timers) store<u64>(TURNED, load<u64>(NOW) >>> TICK_BITS);
  const tick = append(record);
  const deadline = load<u64>(DEADLINE);
  if (deadline == 0 || tick << TICK_BITS < deadline) store<u64>(DEADLINE, tick << TICK_BITS);
}

/** Ends a timer before its time. One that is not set may be ended, too. */
export function end(record: usize): void {
  if (!load<u32>(record, LIST)) return;
  remove(record);
  const timers = load<u32>(TIMERS) - 1;
  store<u32>(TIMERS, timers);
  if (!timers) store<u64>(DEADLINE, 0);
}

export function isSet(record: usize): bool {
  return load<u32>(record, LIST) != 0;
}

/** Returns the time at which a timer is due that is set, on the clock of NOW. */
export function dueAt(record: usize): u64 {
  return load<u64>(record, DUE);
}

export function kind(record: usize): Timer {
  return load<u32>(record, KIND);
}

/** Returns whether expired() is to be called. */
export function due(): bool {
  const deadline = load<u64>(DEADLINE);
  return deadline != 0 && load<u64>(NOW) >= deadline;
}

/**
 * Returns the record of the first timer whose time has come, which is not set any more. Returns 0 if there is none;
 * DEADLINE is then ahead. The caller may set others meanwhile.
 */
export function expired(): usize {
  const now = load<u64>(NOW) >>> TICK_BITS;
  for (let tick = first(); tick <= now; tick = first()) {
    // The wheel has come to the next list. If it is one of a higher level, its timers move down.
    store<u64>(TURNED, tick);
    const list: usize = load<u32>(EARLIEST);
    const record: usize = load<u32>(list);
    if (list < <usize>(WHEEL + LEVEL_LISTS * LIST_SIZE)) {
      end(record);
      late(record);
      return record;
    }
    moveDown(list);
  }
  return 0;
}

/**
 * Returns the tick at which the wheel comes to the first list that is not empty, and notes that list in EARLIEST. It is
 * the time of the first timer, or, if the list is of a higher level, not later. DEADLINE becomes that time. Returns
 * NONE if there is no timer.
 */
function first(): u64 {
  const turned = load<u64>(TURNED);
  for (let level: u32 = 0; level < <u32>LEVELS; level++) {
    const shift = <u64>level << 3;
    const place = occupied(level, <u32>(turned >>> shift) & (LEVEL_LISTS - 1));
    if (place == LEVEL_LISTS) continue;
    store<u32>(EARLIEST, WHEEL + (level * LEVEL_LISTS + place) * LIST_SIZE);
    const tick = (turned >>> shift & ~(<u64>LEVEL_LISTS - 1) | place) << shift;
    store<u64>(DEADLINE, tick << TICK_BITS);
    return tick;
  }
  store<u64>(DEADLINE, 0);
  return NONE;
}

/** Returns the first list of a level, from this one on, that is not empty; LEVEL_LISTS if there is none. */
function occupied(level: u32, from: u32): u32 {
  const bits: usize = OCCUPIED + level * OCCUPIED_SIZE;
  let word = from >>> 6;
  let rest = load<u64>(bits + (word << 3)) >>> from << from;
  while (!rest) {
    if (++word == LEVEL_LISTS / 64) return LEVEL_LISTS;
    rest = load<u64>(bits + (word << 3));
  }
  return (word << 6) + <u32>ctz(rest);
}

/** Appends a record to the list that its time belongs to now. Returns its time in ticks. */
function append(record: usize): u64 {
  const turned = load<u64>(TURNED);
  // Rounded up. What is past is due at once.
  const tick = max(load<u64>(record, DUE) + (TICK_NS - 1) >>> TICK_BITS, turned);
  const level = tick == turned ? 0 : 63 - <u32>clz(tick ^ turned) >>> 3;
  const place = level * LEVEL_LISTS + (<u32>(tick >>> (level << 3)) & (LEVEL_LISTS - 1));
  const list: usize = WHEEL + place * LIST_SIZE;
  const last: usize = load<u32>(list, 4);
  store<u32>(record, 0, NEXT);
  store<u32>(record, <u32>last, PREVIOUS);
  store<u32>(record, <u32>list, LIST);
  store<u32>(list, <u32>record, 4);
  if (last) {
    store<u32>(last, <u32>record, NEXT);
  } else {
    store<u32>(list, <u32>record);
    const word: usize = OCCUPIED + (place >>> 6 << 3);
    store<u64>(word, load<u64>(word) | <u64>1 << (place & 63));
  }
  return tick;
}

/** Takes a record off its list. */
function remove(record: usize): void {
  const list: usize = load<u32>(record, LIST);
  const next: usize = load<u32>(record, NEXT);
  const previous: usize = load<u32>(record, PREVIOUS);
  store<u32>(record, 0, LIST);
  if (next) store<u32>(next, <u32>previous, PREVIOUS);
  else store<u32>(list, <u32>previous, 4);
  if (previous) store<u32>(previous, <u32>next, NEXT);
  else store<u32>(list, <u32>next);
  if (next | previous) return;
  clear(list);
}

/** Moves the timers of a list of a higher level, to whose time the wheel has come, to where they belong now. */
function moveDown(list: usize): void {
  let record: usize = load<u32>(list);
  store<u64>(list, 0);
  clear(list);
  while (record) {
    const next: usize = load<u32>(record, NEXT);
    append(record);
    record = next;
  }
}

/** Marks a list as empty. */
function clear(list: usize): void {
  const place = <u32>(list - WHEEL) / LIST_SIZE;
  const word: usize = OCCUPIED + (place >>> 6 << 3);
  store<u64>(word, load<u64>(word) & ~(<u64>1 << (place & 63)));
}

/** Counts how late a timer is. */
function late(record: usize): void {
  const ns = load<u64>(NOW) - load<u64>(record, DUE);
  const us = (ns + 999) / 1000;
  const bucket = us <= 1 ? 0 : min<u32>(64 - <u32>clz(us - 1), LATENESS_BUCKETS - 1);
  add(LATENESS + bucket, 1);
  add(Counter.latenessNs, <f64>ns);
}

function add(counter: u32, amount: f64): void {
  const at = COUNTERS + (counter << 3);
  store<f64>(at, load<f64>(at) + amount);
}
