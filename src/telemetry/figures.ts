/**
 * Figures that pongd has counted up to a moment, and rates between two such moments. The page at / and `pongd top` show
 * them. This file runs in the browser too, so it imports nothing.
 */

export interface QueueFigures {
  readonly queue: string;
  readonly engine: string;
  readonly io: string;
  readonly received: number;
  readonly replied: number;
  readonly dropped: number;
  readonly restarts: number;
}

export interface PrefixFigures {
  readonly prefix: string;
  readonly name?: string | undefined;
  readonly replied: number;
}

export interface Figures {
  /** Unix time in ms, on a monotonic clock. */
  readonly at: number;
  readonly version: string;
  /** True if all served prefixes can be reached. */
  readonly ready: boolean;
  readonly queues: readonly QueueFigures[];
  /** Counts by reason; only reasons that occurred. */
  readonly dropped: Readonly<Record<string, number>>;
  /** Packets that found no room in the device's own queue, so pongd never saw them. */
  readonly overrun: number;
  /** Prefixes that answered most; not all, if there are many. */
  readonly prefixes: readonly PrefixFigures[];
  /** Number of all prefixes. */
  readonly prefixCount: number;
}

/** Rates per second. */
export interface Rates {
  readonly received: number;
  readonly replied: number;
  readonly dropped: number;
  readonly overrun: number;
  /** Dropped packets by reason. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Replies by prefix. */
  readonly prefixes: Readonly<Record<string, number>>;
}

/** Sums one figure over the queues. */
export function sumOf({ queues }: Figures, figure: "received" | "replied" | "dropped" | "restarts"): number {
  return queues.reduce((sum, queue) => sum + queue[figure], 0);
}

/**
 * Returns the rates between two moments. A figure that went down started again from 0 in between: pongd was restarted.
 */
export function ratesBetween(older: Figures, newer: Figures): Rates {
  const seconds = (newer.at - older.at) / 1000;
  const rate = (then: number, now: number) => seconds > 0 ? (now < then ? now : now - then) / seconds : 0;
  const sum = (figure: "received" | "replied" | "dropped") => rate(sumOf(older, figure), sumOf(newer, figure));
  const before = new Map(older.prefixes.map(({ prefix, replied }) => [prefix, replied]));
  return {
    received: sum("received"),
    replied: sum("replied"),
    dropped: sum("dropped"),
    overrun: rate(older.overrun, newer.overrun),
    reasons: Object.fromEntries(
      Object.entries(newer.dropped).map(([reason, now]) => [reason, rate(older.dropped[reason] ?? 0, now)]),
    ),
    // A prefix that has just entered the list has no older figure to compare with.
    prefixes: Object.fromEntries(
      newer.prefixes.map(({ prefix, replied }) => [prefix, rate(before.get(prefix) ?? replied, replied)]),
    ),
  };
}
