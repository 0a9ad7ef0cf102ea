/**
 * Links: what becomes of packets on the way to a prefix, and on the way back. What a link does is part of a table
 * (tables.ts). What it remembers from one packet to the next outlasts tables: that of prefixes and of links with a name
 * lies at the end of memory, at the addresses in the words below; assembly/link/ has the code.
 */
import { IRTT_END } from "./irtt.ts";
import { PREFIX_INDICES } from "./tables.ts";
import { MAX_LINKS } from "./ways.ts";

// ---- what holds from the start on; the host writes it ---------------------------------------------------------------

/** u32: maximum number of packets that are kept; 0 where there are no links. */
export const MAX_KEPT = (IRTT_END + 63) & -64;
/** u32: address of the states [LINK_STATES], or 0 where there are no links. */
export const LINK_STATES_AT = MAX_KEPT + 4;
/** u32: address of the effects [PREFIX_INDICES], f64[2][MAX_EFFECTS] each, of the ways in and out of each prefix. */
export const EFFECTS_AT = LINK_STATES_AT + 4;
/** u32: index of the queue, so that no two draw the same. */
export const QUEUE_INDEX = EFFECTS_AT + 4;
/**
 * u32: address of the names [MAX_LINKS] of the states: {u64 hash of the name, u32 number of the last table that had
 * it}. The host alone uses them, and the number of tables.
 */
export const LINK_NAMES_AT = QUEUE_INDEX + 4;
export const LINK_NAME_SIZE = 16;
/** u32: number of tables that had links. */
export const LINKED_TABLES = LINK_NAMES_AT + 4;
/** u32: address of the states of hops [HOP_STATES] (hops.ts), and of their names [HOP_STATES], as links have them. */
export const HOP_STATES_AT = LINKED_TABLES + 4;
export const HOP_NAMES_AT = HOP_STATES_AT + 4;

// ---- state ----------------------------------------------------------------------------------------------------------

/** u32: bits of what has just happened to a packet, CROSSED_. */
export const CROSSED = HOP_NAMES_AT + 4;
/** u32: how a packet has changed on its way: the number of the bit, from 1 on, that is another, and CHANGED_MARKED. */
export const CHANGES = CROSSED + 4;
/** u64: the key of that packet's draws. */
export const DRAW_KEY = (CHANGES + 4 + 7) & -8;

/** Maximum number of hops of a route (hops.ts). */
export const MAX_ROUTE_HOPS = 254;
/** u64[MAX_ROUTE_HOPS]: when the packet in hand came to each hop of its route, on the clock of NOW. */
export const HOP_TIMES = DRAW_KEY + 8;

export const LINKS_END = HOP_TIMES + 8 * MAX_ROUTE_HOPS;

export const CROSSED_DUPLICATED = 1;
export const CROSSED_CORRUPTED = 2;
export const CROSSED_MARKED = 4;

export const CHANGED_MARKED = 1 << 31;

/**
 * Effects of links; the member's name is the label's value. The names are those of the kernel's counters
 * (tc_netem_xstats), but for queue_full.
 */
export enum Effect {
  delayed,
  dropped,
  corrupted,
  duplicated,
  reordered,
  ecn_marked,
  queue_full,
}
export const MAX_EFFECTS = 8;
/** Bytes of the effects of a prefix. */
export const PREFIX_EFFECTS_SIZE = 8 * 2 * MAX_EFFECTS;

// ---- a state: of the way in, then of the way out --------------------------------------------------------------------

export const WAY_STATE_SIZE = 128;
export const LINK_STATE_SIZE = 2 * WAY_STATE_SIZE;
/** Links with a name have a state of their own, and prefixes whose link has none have one each, behind those. */
export const LINK_STATES = MAX_LINKS + PREFIX_INDICES;

/** u64: packets that have come. */
export const STATE_PACKETS = 0;
/** u64, ns of NOW: when the last packet came, and when the last one that keeps its place leaves. */
export const STATE_CAME = STATE_PACKETS + 8;
export const STATE_LEAVES = STATE_CAME + 8;
/** u64, ns of NOW: until when the rate's sender is busy, and when the next slot opens. */
export const STATE_BUSY = STATE_LEAVES + 8;
export const STATE_SLOT = STATE_BUSY + 8;
/** f64: the last normal variate of correlated jitter; 0 for none. */
export const STATE_NORMAL = STATE_SLOT + 8;
/** u32: packets since one went ahead, and packets that the slot has room for. */
export const STATE_SINCE = STATE_NORMAL + 8;
export const STATE_SLOT_LEFT = STATE_SINCE + 4;
/** i32: bytes that the slot has room for. */
export const STATE_SLOT_BYTES = STATE_SLOT_LEFT + 4;
/** u8: state of the loss, from 1 on; and STATE_WAS_ bits. */
export const STATE_LOSS = STATE_SLOT_BYTES + 4;
export const STATE_WAS = STATE_LOSS + 1;

export const STATE_WAS_DUPLICATED = 1;
export const STATE_WAS_CORRUPTED = 2;
export const STATE_WAS_AHEAD = 4;

// ---- behind that: the state of a way with netem's arithmetic --------------------------------------------------------

/** u32[4]: state of the generator; the first is not 0 once it has a seed. */
export const STATE_PRNG = 64;
/** u32: the last value of each correlation. */
export const STATE_LAST_DELAY = STATE_PRNG + 16;
export const STATE_LAST_LOSS = STATE_LAST_DELAY + 4;
export const STATE_LAST_DUPLICATE = STATE_LAST_LOSS + 4;
export const STATE_LAST_REORDER = STATE_LAST_DUPLICATE + 4;
export const STATE_LAST_CORRUPT = STATE_LAST_REORDER + 4;
/** u32: CROSSED_ bits of the copy of the packet in hand; u64: when that leaves. */
export const STATE_COPY_CROSSED = STATE_LAST_CORRUPT + 4;
export const STATE_COPY_LEAVES = STATE_COPY_CROSSED + 4;
export const STATE_END = STATE_COPY_LEAVES + 8;
