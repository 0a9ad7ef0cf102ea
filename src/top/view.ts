/** What there is to show at a moment, whatever shows it. */
import { ratesBetween, type Figures, type PrefixFigures, type QueueFigures, type Rates } from "../telemetry/figures.js";

/** More than a screen has lines. */
const BUSIEST = 500;

export interface View {
  /** Without credentials. */
  readonly url: string;
  /** The newest, however old; of the prefixes those that answer most now, first. */
  readonly figures: Figures;
  /** Up to them; undefined at the start. */
  readonly rates: Rates | undefined;
  /** By queue. */
  readonly queueRates: ReadonlyMap<string, Rates>;
  /** Why there are no newer ones. */
  readonly trouble: string | undefined;
}

/** `older`: undefined at the start. */
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

/** Those that answered most since, and among equals those that have answered most. */
function busiest(older: readonly PrefixFigures[], newer: readonly PrefixFigures[]): PrefixFigures[] {
  const before = new Map(older.map(({ prefix, replied }) => [prefix, replied]));
  const rated = newer.map(
    (prefix) => ({ prefix, since: Math.max(0, prefix.replied - (before.get(prefix.prefix) ?? prefix.replied)) }),
  );
  return rated.sort((a, b) => b.since - a.since || b.prefix.replied - a.prefix.replied)
    .slice(0, BUSIEST)
    .map(({ prefix }) => prefix);
}

/** One queue's, as if there were no other. */
function alone(figures: Figures, queue: QueueFigures): Figures {
  return { ...figures, queues: [queue], dropped: {}, prefixes: [] };
}
