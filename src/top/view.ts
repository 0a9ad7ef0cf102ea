/** Computes what to show at a moment, for the screen and for lines. */
import { ratesBetween, type Figures, type PrefixFigures, type QueueFigures, type Rates } from "../telemetry/figures.js";

/** Most prefixes in a view, more than a screen has lines. */
const BUSIEST = 500;

export interface View {
  /** URL without credentials. */
  readonly url: string;
  /** Newest figures, however old. Their prefixes are those that answer most now, the busiest first. */
  readonly figures: Figures;
  /** Rates up to these figures; undefined at the start. */
  readonly rates: Rates | undefined;
  /** Rates by queue. */
  readonly queueRates: ReadonlyMap<string, Rates>;
  /** Reason why there are no newer figures. */
  readonly trouble: string | undefined;
}

/** Returns the view of two scrapes. `older`: undefined at the start. */
export function viewOf(url: string, older: Figures | undefined, newer: Figures): View {
  const queues = new Map(older?.queues.map((queue) => [queue.queue, queue]));
  const queueRates = new Map<string, Rates>();
  for (const queue of newer.queues) {
    const before = queues.get(queue.queue);
    if (older && before) queueRates.set(queue.queue, ratesBetween(alone(older, before), alone(newer, queue)));
  }
  const figures = { ...newer, prefixes: busiest(older?.prefixes ?? [], newer.prefixes) };
  return { url, figures, rates: older && ratesBetween(older, figures), queueRates, trouble: undefined };
}

/** Returns the prefixes that answered most between the two, and of equal ones those that have answered most in all. */
function busiest(older: readonly PrefixFigures[], newer: readonly PrefixFigures[]): PrefixFigures[] {
  const before = new Map(older.map(({ prefix, replied }) => [prefix, replied]));
  const rated = newer.map(
    (prefix) => ({ prefix, since: Math.max(0, prefix.replied - (before.get(prefix.prefix) ?? prefix.replied)) }),
  );
  return rated.sort((a, b) => b.since - a.since || b.prefix.replied - a.prefix.replied)
    .slice(0, BUSIEST)
    .map(({ prefix }) => prefix);
}

/** Returns one queue's figures, as if there were no other queue. */
function alone(figures: Figures, queue: QueueFigures): Figures {
  return { ...figures, queues: [queue], dropped: {}, prefixes: [] };
}
