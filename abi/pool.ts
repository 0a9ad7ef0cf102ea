/**
 * The pool of slots: which are free, and what is kept in others. This lies apart from what every round uses: with 6 MB
 * between the rings and the slots, a round takes the kernel 7 % longer.
 */
import { LINKS_END } from "./links.ts";
import { TIMER_SIZE } from "./timers.ts";

/** Maximum number of slots, a choice made when a memory is created. */
export const MAX_SLOTS = 131_072;

/** u32[MAX_SLOTS]: the free stack. */
export const FREE = (LINKS_END + 63) & -64;

/** Records [MAX_SLOTS] of the packets that are kept, one for each slot; assembly/kept.ts has their fields. */
export const KEPT = (FREE + 4 * MAX_SLOTS + 63) & -64;
export const KEPT_SIZE = TIMER_SIZE + 24;

export const POOL_END = KEPT + KEPT_SIZE * MAX_SLOTS;
