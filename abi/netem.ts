/**
 * Netem's own arithmetic, for a way that has WAY_COMPAT: what the kernel has in struct netem_sched_data (Linux 6.12,
 * net/sched/sch_netem.c), in its units. Probabilities and correlations are parts of 2^32 - 1. The record lies among
 * what a table's links need besides; assembly/link/netem/ reads it.
 */

/** i64, ns: latency. */
export const NETEM_LATENCY = 0;
/** i32, ns: jitter. */
export const NETEM_JITTER = NETEM_LATENCY + 8;
/** u32: address of the table i16[NETEM_TABLE_LEN] of its distribution; 0 for a uniform one. */
export const NETEM_TABLE = NETEM_JITTER + 4;
/** u32: packets that may be in the queue. */
export const NETEM_LIMIT = NETEM_TABLE + 4;
/** u32: one packet of so many may go to the head of the queue; 0 for none. */
export const NETEM_GAP = NETEM_LIMIT + 4;
/** Chances {u32 probability, u32 correlation}. */
export const NETEM_LOSS = NETEM_GAP + 4;
export const NETEM_DUPLICATE = NETEM_LOSS + 8;
export const NETEM_CORRUPT = NETEM_DUPLICATE + 8;
export const NETEM_REORDER = NETEM_CORRUPT + 8;
/** u32: correlation of the delays. */
export const NETEM_DELAY_CORRELATION = NETEM_REORDER + 8;
/** u32, a NetemLoss. */
export const NETEM_MODEL = NETEM_DELAY_CORRELATION + 4;
/** u32[5]: the kernel's a1 to a5: p13, p31, p32, p14 and p23 of the four states; p, r, h and 1-k of Gilbert-Elliott. */
export const NETEM_MODEL_AT = NETEM_MODEL + 4;
/** i32: bytes of each packet besides its own. */
export const NETEM_OVERHEAD = NETEM_MODEL_AT + 20;
/** u64: bytes a second; 0 for any number. */
export const NETEM_RATE = (NETEM_OVERHEAD + 4 + 7) & -8;
/** i32: packets and bytes of a slot. */
export const NETEM_SLOT_PACKETS = NETEM_RATE + 8;
export const NETEM_SLOT_BYTES = NETEM_SLOT_PACKETS + 4;
/** u64, ns: the shortest time between two slots, and by how much it may be longer. */
export const NETEM_SLOT_MIN = NETEM_SLOT_BYTES + 4;
export const NETEM_SLOT_RANGE = NETEM_SLOT_MIN + 8;
/** u64: the seed, if NETEM_IS_SEEDED is not 0. */
export const NETEM_SEED = NETEM_SLOT_RANGE + 8;
/** u32 */
export const NETEM_IS_SEEDED = NETEM_SEED + 8;
/**
 * u32: address of what is in the queue: {u32 number of packets, u32 nothing; u64[] when each leaves, ns of NOW, as a
 * heap whose first one leaves first}, with room for NETEM_LIMIT + 1.
 */
export const NETEM_QUEUE = NETEM_IS_SEEDED + 4;
export const NETEM_SIZE = NETEM_QUEUE + 4;

export enum NetemLoss {
  random,
  states,
  gilbert,
}

/** Entries of a table of a distribution, and how many of its units a jitter has. */
export const NETEM_TABLE_LEN = 4096;
export const NETEM_SCALE = 8192;
/** The whole of a probability. */
export const NETEM_ALL = 0xffff_ffff;
