/**
 * What pongd has counted by a moment, and rates between two: what the page at / and `pongd top` show. It runs in the
 * browser, too, so it imports nothing.
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
  /** Unix time in ms, by a clock that nobody sets. */
  readonly at: number;
  readonly version: string;
  /** Whether all that is served can be reached. */
  readonly ready: boolean;
  readonly queues: readonly QueueFigures[];
  /** By reason, those that occurred. */
  readonly dropped: Readonly<Record<string, number>>;
  /** Packets that the device's own queue had no room for, of which pongd never heard. */
  readonly overrun: number;
  /** Not all, where there are many: those that answered most. */
  readonly prefixes: readonly PrefixFigures[];
  /** How many prefixes there are in all. */
  readonly prefixCount: number;
}

/** All a second. */
export interface Rates {
  readonly received: number;
  readonly replied: number;
  readonly dropped: number;
  readonly overrun: number;
  /** By reason. */
  readonly reasons: Readonly<Record<string, number>>;
  /** By prefix. */
  readonly prefixes: Readonly<Record<string, number>>;
}

/** Sum of one of the queues' figures. */
export function sumOf({ queues }: Figures, figure: "received" | "replied" | "dropped" | "restarts"): number {
  return queues.reduce((sum, queue) => sum + queue[figure], 0);
}

/** The rates from one moment to a later one. What went back began at 0 in between: pongd was started again. */
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
    // Of one that has just come to be among the most there is nothing to compare with.
    prefixes: Object.fromEntries(
      newer.prefixes.map(({ prefix, replied }) => [prefix, rate(before.get(prefix) ?? replied, replied)]),
    ),
  };
}
