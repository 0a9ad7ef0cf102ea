// Rate: packets leave one after the other, each in the time that its bytes take, and wait in a queue for those before
// them. Nothing is there of the queue but when its last packet has left, and, where the number of packets has a limit,
// when each has.

import { STATE_BUSY, STATE_SLOT, STATE_SLOT_BYTES, STATE_SLOT_LEFT } from "../../abi/links";
import {
  WAY_BYTE_NS, WAY_OVERHEAD, WAY_QUEUE_NS, WAY_QUEUE_RING, WAY_SLOT_BYTES, WAY_SLOT_MIN, WAY_SLOT_PACKETS,
  WAY_SLOT_RANGE,
} from "../../abi/ways";
import { Draw, unit } from "./draw";

/** The queue has no room. */
export const FULL: u64 = u64.MAX_VALUE;
/** The packet does not come. */
export const LOST: u64 = u64.MAX_VALUE - 1;

/** Returns when a packet of `len` bytes has been sent that comes at a time of NOW; FULL if it finds no room. */
export function transmit(way: usize, state: usize, came: u64, len: u32): u64 {
  const begins = max(came, load<u64>(state, STATE_BUSY));
  const wait = <f64>(begins - came);
  if (wait > load<f64>(way, WAY_QUEUE_NS)) return FULL;
  const bytes = max<i32>(0, <i32>len + load<i32>(way, WAY_OVERHEAD));
  const leaves = begins + <u64>(<f64>bytes * load<f64>(way, WAY_BYTE_NS));
  const ring: usize = load<u32>(way, WAY_QUEUE_RING);
  if (ring && !enqueue(ring, came, leaves)) return FULL;
  store<u64>(state, leaves, STATE_BUSY);
  return leaves;
}

/** Takes a place in a ring. Returns false if the packet that has it has not left. */
function enqueue(ring: usize, came: u64, leaves: u64): bool {
  const next = load<u32>(ring, 4);
  const place = ring + 8 + (next << 3);
  if (load<u64>(place) > came) return false;
  store<u64>(place, leaves);
  store<u32>(ring, next + 1 == load<u32>(ring) ? 0 : next + 1, 4);
  return true;
}

/** Returns when a packet leaves that may do so from `ready` on, but only in a slot that has room. */
export function slot(way: usize, state: usize, ready: u64, len: u32): u64 {
  const open = load<u64>(state, STATE_SLOT);
  // 0 for any number.
  const mostPackets = load<i32>(way, WAY_SLOT_PACKETS);
  const mostBytes = load<i32>(way, WAY_SLOT_BYTES);
  const leaves = max(open, ready);
  let packets = leftOf(load<i32>(state, STATE_SLOT_LEFT), mostPackets) - 1;
  let bytes = leftOf(load<i32>(state, STATE_SLOT_BYTES), mostBytes) - <i32>len;
  const isOver = (mostPackets && packets <= 0) || (mostBytes && bytes <= 0);
  if (isOver) {
    packets = mostPackets;
    bytes = mostBytes;
  }
  const gap = load<f64>(way, WAY_SLOT_MIN) + load<f64>(way, WAY_SLOT_RANGE) * unit(Draw.slot);
  store<u64>(state, isOver ? leaves + <u64>gap : max(open, leaves), STATE_SLOT);
  store<i32>(state, packets, STATE_SLOT_LEFT);
  store<i32>(state, bytes, STATE_SLOT_BYTES);
  return leaves;
}

/** Returns what is left of a slot, which may have begun when there was more in one, or no limit. */
function leftOf(left: i32, most: i32): i32 {
  return left > 0 && left <= most ? left : most;
}
