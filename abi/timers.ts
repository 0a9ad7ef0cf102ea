/** Timers: the wheel that all of them hang on; assembly/timers.ts. */
import { PATHS_END } from "./paths.ts";

/** Nanoseconds of a tick, a power of two. A timer is never early, and at most a tick late for being on the wheel. */
export const TICK_BITS = 14;
export const TICK_NS = 1 << TICK_BITS;

/** A timer's record. It lies in what the timer is for, which has its own fields behind it. */
export const TIMER_SIZE = 24;

/** Levels of the wheel, one for each byte of a time in ticks. The seventh has the upper bits of 64 bits of ns. */
export const LEVELS = 7;
/** Lists of a level, one for each value of that byte: {u32 first record, u32 last}, 0 where it is empty. */
export const LEVEL_LISTS = 256;
export const LIST_SIZE = 8;

/** u64: tick up to which the wheel has turned. */
export const TURNED = (PATHS_END + 63) & -64;
/** u32: number of timers. */
export const TIMERS = TURNED + 8;
/** u32: address of the list that the wheel comes to next. */
export const EARLIEST = TIMERS + 4;
/** u64[LEVELS][LEVEL_LISTS / 64]: a bit for each list that is not empty. */
export const OCCUPIED = EARLIEST + 4;
export const OCCUPIED_SIZE = LEVEL_LISTS / 8;
/** The lists, level by level. */
export const WHEEL = OCCUPIED + LEVELS * OCCUPIED_SIZE;

export const TIMERS_END = WHEEL + LEVELS * LEVEL_LISTS * LIST_SIZE;

/** Names what a timer is for. */
export enum Timer {
  /** A datagram in reassembly has had its time. */
  reassembly,
  /** A kept packet is to be sent. */
  kept,
  /** A connection has something to do. */
  connection,
  /** The oldest TIME-WAIT record may be over. */
  wait,
  /** Connections are being looked through. */
  sweep,
  /** A packet that the kernel has refused is to be cut. */
  refused,
  /** Sessions are being looked through. */
  sessions,
  /** Sessions of IRTT are being looked through. */
  irtt,
  /** A kept packet comes, to be judged. */
  arriving,
  /** A hop's kept error begins its way back. */
  returning,
}
