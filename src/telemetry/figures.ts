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
  /** Segments that TCP took. */
  readonly tcp: number;
  readonly restarts: number;
}

/** TCP connections of all queues. */
export interface TcpFigures {
  /** Connections that there are. */
  readonly connections: number;
  /** Connections that were accepted. */
  readonly accepted: number;
  /** Connections that were opened from here. */
  readonly opened: number;
  /** Segments that were sent again. */
  readonly retransmitted: number;
  /** Bytes of streams that came, and that were acknowledged. */
  readonly bytesIn: number;
  readonly bytesOut: number;
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
  readonly tcp: TcpFigures;
  /** Prefixes that answered most; not all, if there are many. */
  readonly prefixes: readonly PrefixFigures[];
  /** Number of all prefixes. */
  readonly prefixCount: number;
}

/** What is counted of TCP, and whose rates are shown. */
type Counts = Exclude<keyof TcpFigures, "connections"> | "segments";

/** Rates per second. */
export interface Rates {
  readonly received: number;
  readonly replied: number;
  readonly dropped: number;
  readonly overrun: number;
  readonly tcp: Readonly<Record<Counts, number>>;
  /** Dropped packets by reason. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Replies by prefix. */
  readonly prefixes: Readonly<Record<string, number>>;
}

/** Sums one figure over the queues. */
export function sumOf({ queues }: Figures, figure: "received" | "replied" | "dropped" | "tcp" | "restarts"): number {
  return queues.reduce((sum, queue) => sum + queue[figure], 0);
}

/** Returns true if there is or was any TCP, so that its figures are worth showing. */
export function hasTcp(figures: Figures): boolean {
  return sumOf(figures, "tcp") > 0 || figures.tcp.connections > 0;
}

/**
 * Returns the rates between two moments. A figure that went down started again from 0 in between: pongd was restarted.
 */
export function ratesBetween(older: Figures, newer: Figures): Rates {
  const seconds = (newer.at - older.at) / 1000;
  const rate = (then: number, now: number) => seconds > 0 ? (now < then ? now : now - then) / seconds : 0;
  const sum = (figure: "received" | "replied" | "dropped" | "tcp") => rate(sumOf(older, figure), sumOf(newer, figure));
  const tcp = (figure: keyof TcpFigures) => rate(older.tcp[figure], newer.tcp[figure]);
  // A reload may take a service away, and with it the connections that it accepted.
  const accepted = newer.tcp.accepted < older.tcp.accepted ? 0 : tcp("accepted");
  const before = new Map(older.prefixes.map(({ prefix, replied }) => [prefix, replied]));
  return {
    received: sum("received"),
    replied: sum("replied"),
    dropped: sum("dropped"),
    overrun: rate(older.overrun, newer.overrun),
    tcp: {
      segments: sum("tcp"), accepted, opened: tcp("opened"), retransmitted: tcp("retransmitted"),
      bytesIn: tcp("bytesIn"), bytesOut: tcp("bytesOut"),
    },
    reasons: Object.fromEntries(
      Object.entries(newer.dropped).map(([reason, now]) => [reason, rate(older.dropped[reason] ?? 0, now)]),
    ),
    // A prefix that has just entered the list has no older figure to compare with.
    prefixes: Object.fromEntries(
      newer.prefixes.map(({ prefix, replied }) => [prefix, rate(before.get(prefix) ?? replied, replied)]),
    ),
  };
}
