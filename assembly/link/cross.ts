// One way of a link: what becomes of a packet on it is decided when it comes to the way. In this order, each by itself:
//
//  duplicate   it comes once more
//  loss        it does not come at all, or is marked in place of that
//  corrupt     one of its bits is another
//  rate        it waits for those before it, or finds no room
//  ahead       it goes ahead of others, and what follows does not delay it
//  slot        it waits until packets are let through
//  delay       it is under way; if it may not pass others, not shorter than those before it

import {
  CROSSED, CROSSED_CORRUPTED, CROSSED_DUPLICATED, CROSSED_MARKED, Effect, STATE_CAME, STATE_LEAVES, STATE_PACKETS,
  STATE_SINCE, STATE_WAS, STATE_WAS_AHEAD, STATE_WAS_CORRUPTED, STATE_WAS_DUPLICATED,
} from "../../abi/links";
import {
  WAY_BYTE_NS, WAY_COMPAT, WAY_CORRUPT, WAY_DUPLICATE, WAY_ECN, WAY_FLAGS, WAY_GAP, WAY_MAY_PASS, WAY_REORDER,
  WAY_SLOTTED,
} from "../../abi/ways";
import { Copy } from "./copy";
import { count } from "./count";
import { delayOf } from "./delay";
import { Draw, nextPacket, unit } from "./draw";
import { isLost } from "./loss";
import { enqueue } from "./netem/enqueue";
import { FULL, LOST, slot, transmit } from "./rate";

export { FULL, LOST } from "./rate";

/**
 * Returns when a packet of `len` bytes comes out of a way that comes to it at `came`, both on the clock of NOW; or
 * LOST, or FULL. CROSSED then says what else happens to it. `ecn` says that it can be marked. Of a duplicate there
 * are no more; one on this way comes right after its packet. `effects` are the counters of the prefix and way.
 */
export function cross(
  way: usize, state: usize, came: u64, len: u32, ecn: bool, copy: Copy, effects: usize,
): u64 {
  nextPacket(way, state);
  const flags = load<u32>(way, WAY_FLAGS);
  if (flags & WAY_COMPAT) return enqueue(way, state, came, len, ecn, copy, effects);
  let crossed: u32 = 0;
  if (copy == Copy.none && happens(way + WAY_DUPLICATE, state, STATE_WAS_DUPLICATED, Draw.duplicate)) {
    crossed |= CROSSED_DUPLICATED;
    count(effects, Effect.duplicated);
  }
  if (isLost(way, state)) {
    if (!ecn || !(flags & WAY_ECN)) {
      store<u32>(CROSSED, crossed);
      count(effects, Effect.dropped);
      return LOST;
    }
    crossed |= CROSSED_MARKED;
    count(effects, Effect.ecn_marked);
  }
  if (happens(way + WAY_CORRUPT, state, STATE_WAS_CORRUPTED, Draw.corrupt)) {
    crossed |= CROSSED_CORRUPTED;
    count(effects, Effect.corrupted);
  }
  store<u32>(CROSSED, crossed);
  let leaves = came;
  if (load<f64>(way, WAY_BYTE_NS)) {
    leaves = transmit(way, state, came, len);
    if (leaves == FULL) {
      count(effects, Effect.queue_full);
      return FULL;
    }
  }
  if (goesAhead(way, state)) {
    count(effects, Effect.reordered);
  } else {
    if (flags & WAY_SLOTTED) leaves = slot(way, state, leaves, len);
    leaves += <u64>delayOf(way, state, came);
    leaves = inOrder(flags, state, came, leaves);
  }
  if (leaves > came) count(effects, Effect.delayed);
  return leaves;
}

/** Returns when a packet leaves if none may pass another. Those that come out of order are in their new order. */
function inOrder(flags: u32, state: usize, came: u64, leaves: u64): u64 {
  const last = load<u64>(state, STATE_LEAVES);
  if (!(flags & WAY_MAY_PASS) && came >= load<u64>(state, STATE_CAME) && leaves < last) leaves = last;
  if (came >= load<u64>(state, STATE_CAME)) {
    store<u64>(state, came, STATE_CAME);
    store<u64>(state, leaves, STATE_LEAVES);
  }
  return leaves;
}

/** Returns whether a packet goes ahead of others. */
function goesAhead(way: usize, state: usize): bool {
  if (!load<f64>(way, WAY_REORDER)) return false;
  const since = load<u32>(state, STATE_SINCE) + 1;
  const may = since >= load<u32>(way, WAY_GAP);
  const ahead = may && happens(way + WAY_REORDER, state, STATE_WAS_AHEAD, Draw.ahead);
  store<u32>(state, ahead ? 0 : since, STATE_SINCE);
  return ahead;
}

/**
 * Returns whether something happens to the packet that has this chance. With a correlation c it is a chain of two
 * states whose share is still the probability p: it happens again by p + c (1 - p), and anew by p (1 - c).
 */
function happens(chance: usize, state: usize, was: u32, draw: Draw): bool {
  let p = load<f64>(chance);
  if (!p) return false;
  const c = load<f64>(chance, 8);
  if (!c) return unit(draw) < p;
  const before: u32 = load<u8>(state, STATE_WAS);
  if (load<u64>(state, STATE_PACKETS) > 1) p = before & was ? p + c * (1 - p) : p * (1 - c);
  const is = unit(draw) < p;
  store<u8>(state, <u8>(is ? before | was : before & ~was), STATE_WAS);
  return is;
}
