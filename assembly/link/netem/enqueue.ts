// A way as netem has it (Linux 6.12, net/sched/sch_netem.c): the same arithmetic, and the same draws in the same order,
// so that with the same seed the same packets are lost and delayed as in the kernel:
//
//  duplicate   one more is drawn, and
//  loss        one less, so that a packet that is both goes on alone
//  corrupt     after the copy has been made, which stays as it is
//  limit       what is too much for the queue is dropped, with its copy
//  the copy    goes through all of this by itself, but is not duplicated, and its draws come first; so does one that an
//              earlier link made, when it comes
//  reorder     it goes to the head of the queue, and leaves at once
//  delay       it goes into the queue by the time at which it leaves; the rate adds to that, and the slots do

import {
  CROSSED, CROSSED_CORRUPTED, CROSSED_DUPLICATED, CROSSED_MARKED, Effect, STATE_COPY_CROSSED, STATE_COPY_LEAVES,
  STATE_LAST_CORRUPT, STATE_LAST_DUPLICATE, STATE_LAST_REORDER, STATE_LEAVES, STATE_SINCE,
} from "../../../abi/links";
import {
  NETEM_CORRUPT, NETEM_DUPLICATE, NETEM_GAP, NETEM_LIMIT, NETEM_QUEUE, NETEM_RATE, NETEM_REORDER,
} from "../../../abi/netem";
import { WAY_ECN, WAY_FLAGS, WAY_NETEM, WAY_SLOTTED } from "../../../abi/ways";
import { Copy } from "../copy";
import { count } from "../count";
import { FULL, LOST } from "../rate";
import { delayOf, slot, transmit } from "./delay";
import { isLost } from "./loss";
import { push, settle } from "./queue";
import { begin, correlated, happens } from "./random";

/** As cross(). What becomes of a copy of this way's has been decided with its packet. */
export function enqueue(
  way: usize, state: usize, came: u64, len: u32, ecn: bool, copy: Copy, effects: usize,
): u64 {
  if (copy == Copy.here) {
    store<u32>(CROSSED, load<u32>(state, STATE_COPY_CROSSED));
    return load<u64>(state, STATE_COPY_LEAVES);
  }
  const netem: usize = load<u32>(way, WAY_NETEM);
  begin(netem, state);
  const doubled = copy == Copy.none && happens(state, netem + NETEM_DUPLICATE, state + STATE_LAST_DUPLICATE);
  const crossed = fateOf(way, netem, state, came, ecn, doubled, effects);
  if (crossed & DROPPED) {
    store<u32>(CROSSED, 0);
    return crossed & TOO_MUCH ? FULL : LOST;
  }
  if (crossed & CROSSED_DUPLICATED) {
    const copied = fateOf(way, netem, state, came, ecn, false, effects) | crossed & CROSSED_MARKED;
    store<u32>(state, copied & CROSSED_, STATE_COPY_CROSSED);
    store<u64>(state, copied & DROPPED ? LOST : leavesAt(way, netem, state, came, len, effects), STATE_COPY_LEAVES);
  }
  store<u32>(CROSSED, crossed & CROSSED_);
  return leavesAt(way, netem, state, came, len, effects);
}

const CROSSED_: u32 = CROSSED_DUPLICATED | CROSSED_CORRUPTED | CROSSED_MARKED;
const TOO_MUCH: u32 = 1 << 30;
const DROPPED: u32 = 1 << 31;

/** Returns what happens to a packet before it is delayed: CROSSED_ bits, DROPPED and TOO_MUCH. */
function fateOf(
  way: usize, netem: usize, state: usize, came: u64, ecn: bool, doubled: bool, effects: usize,
): u32 {
  let crossed: u32 = doubled ? CROSSED_DUPLICATED : 0;
  if (isLost(netem, state)) {
    if (ecn && load<u32>(way, WAY_FLAGS) & WAY_ECN) {
      crossed |= CROSSED_MARKED;
      count(effects, Effect.ecn_marked);
    } else if (doubled) {
      crossed = 0;
    } else {
      count(effects, Effect.dropped);
      return DROPPED;
    }
  }
  if (happens(state, netem + NETEM_CORRUPT, state + STATE_LAST_CORRUPT)) {
    crossed |= CROSSED_CORRUPTED;
    count(effects, Effect.corrupted);
  }
  if (settle(load<u32>(netem, NETEM_QUEUE), came) >= load<u32>(netem, NETEM_LIMIT)) {
    count(effects, Effect.queue_full);
    return DROPPED | TOO_MUCH;
  }
  if (crossed & CROSSED_DUPLICATED) count(effects, Effect.duplicated);
  return crossed;
}

/** Returns when a packet leaves that has come into the queue, and notes it there. */
function leavesAt(way: usize, netem: usize, state: usize, came: u64, len: u32, effects: usize): u64 {
  if (goesAhead(netem, state)) {
    count(effects, Effect.reordered);
    return came;
  }
  const queue: usize = load<u32>(netem, NETEM_QUEUE);
  const last = load<u64>(state, STATE_LEAVES);
  const delay = delayOf(netem, state);
  let ready = <i64>came + delay;
  if (load<u64>(netem, NETEM_RATE)) {
    // A queue is empty where a table has just been written anew, but the last packet may be under way still.
    const isEmpty = !load<u32>(queue) && last <= came;
    ready = transmit(netem, came, delay, len, isEmpty ? 0 : last);
  }
  if (ready > <i64>last) store<i64>(state, ready, STATE_LEAVES);
  let leaves = <u64>max<i64>(<i64>came, ready);
  if (load<u32>(way, WAY_FLAGS) & WAY_SLOTTED) leaves = slot(netem, state, leaves, len);
  if (leaves > came) {
    push(queue, leaves);
    count(effects, Effect.delayed);
  }
  return leaves;
}

/** Returns whether a packet goes to the head of the queue. Within the gap nothing is drawn. */
function goesAhead(netem: usize, state: usize): bool {
  const gap = load<u32>(netem, NETEM_GAP);
  const since = load<u32>(state, STATE_SINCE);
  const may = gap != 0 && since >= gap - 1;
  const reorder = netem + NETEM_REORDER;
  const ahead = may && load<u32>(reorder) >= correlated(state, state + STATE_LAST_REORDER, load<u32>(reorder, 4));
  store<u32>(state, ahead ? 0 : since + 1, STATE_SINCE);
  return ahead;
}
