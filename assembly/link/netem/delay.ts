// How long netem delays a packet.

import { STATE_LAST_DELAY, STATE_SLOT, STATE_SLOT_BYTES, STATE_SLOT_LEFT } from "../../../abi/links";
import {
  NETEM_DELAY_CORRELATION, NETEM_JITTER, NETEM_LATENCY, NETEM_OVERHEAD, NETEM_RATE, NETEM_SCALE, NETEM_SLOT_BYTES,
  NETEM_SLOT_MIN, NETEM_SLOT_PACKETS, NETEM_SLOT_RANGE, NETEM_TABLE, NETEM_TABLE_LEN,
} from "../../../abi/netem";
import { Draw, unit } from "../draw";
import { correlated } from "./random";

const NS_PER_SEC: u64 = 1_000_000_000;

/** Returns a delay in ns, as tabledist(). It may be negative. */
export function delayOf(netem: usize, state: usize): i64 {
  const latency = load<i64>(netem, NETEM_LATENCY);
  const jitter = load<i32>(netem, NETEM_JITTER);
  if (!jitter) return latency;
  const drawn = correlated(state, state + STATE_LAST_DELAY, load<u32>(netem, NETEM_DELAY_CORRELATION));
  const values: usize = load<u32>(netem, NETEM_TABLE);
  if (!values) return <i64>(drawn % (2 * <u32>jitter)) + latency - <i64>jitter;
  const value = <i64>load<i16>(values + (drawn % NETEM_TABLE_LEN << 1));
  const rest = <i64>(jitter % NETEM_SCALE) * value;
  const rounded = rest >= 0 ? rest + NETEM_SCALE / 2 : rest - NETEM_SCALE / 2;
  return rounded / NETEM_SCALE + <i64>(jitter / NETEM_SCALE) * value + latency;
}

/**
 * Returns when a packet of `len` bytes has been sent that comes at `came`, by the rate that there is. It is sent after
 * the one that leaves the queue last, at `last`, and meanwhile its delay goes by. If the queue is empty, `last` is 0.
 */
export function transmit(netem: usize, came: u64, delay: i64, len: u32, last: u64): i64 {
  let from = <i64>came;
  let left = delay;
  if (last) {
    left = max<i64>(0, delay - (<i64>last - from));
    from = <i64>last;
  }
  const bytes = max<i64>(0, <i64>len + load<i32>(netem, NETEM_OVERHEAD));
  return from + left + <i64>(<u64>bytes * NS_PER_SEC / load<u64>(netem, NETEM_RATE));
}

/**
 * Returns when a packet of `len` bytes leaves that may do so from `ready` on, but only in a slot that has room. The
 * first one waits for a slot, too, as does one that finds the last slot past.
 */
export function slot(netem: usize, state: usize, ready: u64, len: u32): u64 {
  if (load<u64>(state, STATE_SLOT) < ready) open(netem, state, ready);
  const leaves = load<u64>(state, STATE_SLOT);
  // The slot may have begun when there was more in one.
  const packets = min(load<i32>(state, STATE_SLOT_LEFT), load<i32>(netem, NETEM_SLOT_PACKETS)) - 1;
  const bytes = min(load<i32>(state, STATE_SLOT_BYTES), load<i32>(netem, NETEM_SLOT_BYTES)) - <i32>len;
  store<i32>(state, packets, STATE_SLOT_LEFT);
  store<i32>(state, bytes, STATE_SLOT_BYTES);
  if (packets <= 0 || bytes <= 0) open(netem, state, leaves);
  return leaves;
}

/** Has the next slot open. The kernel takes the time from get_random_u32(), so nothing of netem's own is drawn. */
function open(netem: usize, state: usize, from: u64): void {
  const gap = load<u64>(netem, NETEM_SLOT_MIN) + <u64>(<f64>load<u64>(netem, NETEM_SLOT_RANGE) * unit(Draw.slot));
  store<u64>(state, from + gap, STATE_SLOT);
  store<i32>(state, load<i32>(netem, NETEM_SLOT_PACKETS), STATE_SLOT_LEFT);
  store<i32>(state, load<i32>(netem, NETEM_SLOT_BYTES), STATE_SLOT_BYTES);
}
