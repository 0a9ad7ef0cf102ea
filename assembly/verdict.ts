// Verdicts: what becomes of a packet, as one number. A judge returns it, and ../judge.ts carries it out and counts it.
//
//  > 0        REPLY  the packet has become a reply of this length, where it lies
//  DONE              it has been handled and counted, and needs its slot no more
//  KEPT              it stays in its slot: a timer has its verdict
//  SPOILT            it has changed under way, and is to be judged from its beginning
//  other < 0  DROP   ~ the reason

import { Drop } from "../abi/counters";

export const DONE: i32 = 0;
export const KEPT: i32 = i32.MIN_VALUE;
export const SPOILT: i32 = i32.MIN_VALUE + 1;

export function drop(reason: Drop): i32 {
  return ~reason;
}

export function isReply(verdict: i32): bool {
  return verdict > 0;
}

/** Returns whether the packet is to be dropped. reason() then says why. */
export function isDrop(verdict: i32): bool {
  return verdict < 0 && verdict > SPOILT;
}

export function reason(verdict: i32): Drop {
  return ~verdict;
}
