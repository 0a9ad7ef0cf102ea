/**
 * What a link does to packets, on the way in and on the way out. It is part of a table (tables.ts); assembly/link/ does
 * it. A link is {a way in, a way out}.
 */

/** Bytes of a way. */
export const WAY_SIZE = 256;
export const LINK_SIZE = 2 * WAY_SIZE;
/** Maximum number of links in a table. */
export const MAX_LINKS = 4096;

/** u64: seed of its draws. */
export const WAY_SEED = 0;
/** u32: the state's index if it is that of a name; NO_STATE if each prefix has its own. */
export const WAY_STATE = WAY_SEED + 8;
export const NO_STATE = 0xffff_ffff;
/** u32: WAY_ flags. */
export const WAY_FLAGS = WAY_STATE + 4;
/** f64, ns: delay, and what its jitter is multiplied by. */
export const WAY_DELAY = WAY_FLAGS + 4;
export const WAY_JITTER = WAY_DELAY + 8;
/** f64: correlation of the normal variates from which correlated jitter is made, and the rest, sqrt(1 - it ** 2). */
export const WAY_CORRELATION = WAY_JITTER + 8;
export const WAY_REST = WAY_CORRELATION + 8;
/** u32: address of the quantiles f32[QUANTILES + 1] of its jitter; 0 for a uniform one from -1 to 1. */
export const WAY_QUANTILES = WAY_REST + 8;
/** u32: address of the delays f64[] of a trace, in ns; 0 for none. */
export const WAY_TRACE = WAY_QUANTILES + 4;
/** u32: number of the trace's delays. */
export const WAY_TRACE_LEN = WAY_TRACE + 4;
/** u32, a Loss. */
export const WAY_LOSS = WAY_TRACE_LEN + 4;
/** u64, ns: time from one delay of the trace to the next. */
export const WAY_TRACE_STEP = WAY_LOSS + 4;
/** f64[5]: what a Loss is made of. */
export const WAY_LOSS_AT = WAY_TRACE_STEP + 8;
/** Chances {f64 probability, f64 correlation}: that a packet is duplicated, corrupted, or goes ahead of others. */
export const WAY_DUPLICATE = WAY_LOSS_AT + 40;
export const WAY_CORRUPT = WAY_DUPLICATE + 16;
export const WAY_REORDER = WAY_CORRUPT + 16;
/** f64, ns: time that a byte takes; 0 where the rate has no limit. */
export const WAY_BYTE_NS = WAY_REORDER + 16;
/** f64, ns: the longest that a packet may wait for those before it. */
export const WAY_QUEUE_NS = WAY_BYTE_NS + 8;
/**
 * u32: address of a ring {u32 number of places, u32 next place; u64[] when the packet at a place leaves, ns of NOW},
 * with a place for each packet that may wait; 0 where their number has no limit.
 */
export const WAY_QUEUE_RING = WAY_QUEUE_NS + 8;
/** i32: bytes of each packet besides its own. */
export const WAY_OVERHEAD = WAY_QUEUE_RING + 4;
/** u32: packets of which at most one goes ahead of others, 0 for any number. */
export const WAY_GAP = WAY_OVERHEAD + 4;
/** u32: packets and bytes of a slot, 0 for no limit. */
export const WAY_SLOT_PACKETS = WAY_GAP + 4;
export const WAY_SLOT_BYTES = WAY_SLOT_PACKETS + 4;
/** f64, ns: the shortest time between two slots, and by how much it may be longer. */
export const WAY_SLOT_MIN = (WAY_SLOT_BYTES + 4 + 7) & -8;
export const WAY_SLOT_RANGE = WAY_SLOT_MIN + 8;
/** u32: address of what netem's arithmetic needs (netem.ts), if WAY_COMPAT is set. */
export const WAY_NETEM = WAY_SLOT_RANGE + 8;
export const WAY_END = WAY_NETEM + 4;

/** A packet that is late may pass those before it. */
export const WAY_MAY_PASS = 1;
/** Where a packet would be lost that can say that it was marked, it is marked (RFC 3168). */
export const WAY_ECN = 2;
/** Packets leave in slots. */
export const WAY_SLOTTED = 4;
/** Of a way in: what comes out of it waits until then, since the way out has to have packets in the order of time. */
export const WAY_IN_TIME = 8;
/** Netem's arithmetic decides what becomes of a packet. */
export const WAY_COMPAT = 16;

/** What decides which packets are lost, and what is at WAY_LOSS_AT for it. */
export enum Loss {
  none,
  /** Each packet by itself: {probability}. */
  random,
  /** Gilbert-Elliott: {good to bad, bad to good, lost in good, lost in bad, share of bad}. */
  gilbert,
  /** The four states of Salsano, Ludovici and Ordine: {p13, p31, p32, p23, p14}. */
  states,
  /** Exact packets: {u32 address of ranges {u32 first, u32 last} in ascending order, u32 their number}. */
  packets,
}

/** Intervals of a table of quantiles. */
export const QUANTILES = 4096;
/** f32[QUANTILES + 1]: quantiles of the normal distribution, at LINK_TABLES of each table. */
export const NORMAL = 0;
/** f32[QUANTILES + 1]: values of its distribution function, from -PHI_RANGE to PHI_RANGE. */
export const PHI = NORMAL + 4 * (QUANTILES + 1);
export const PHI_RANGE = 6;
export const LINK_TABLES_SIZE = (PHI + 4 * (QUANTILES + 1) + 7) & -8;
