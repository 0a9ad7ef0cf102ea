/** Computes what to show at a moment, for the screen and for lines. */
import {
  keyOf, ratesBetween, wayOf, type Figures, type PrefixFigures, type QueueFigures, type Rates,
} from "../telemetry/figures.js";

/** Most prefixes, services and ways of links in a view, more than a screen has lines. */
const BUSIEST = 500;

export interface View {
  /** URL without credentials. */
  readonly url: string;
  /** Newest figures, however old. Their prefixes and services are those that answer most now, the busiest first. */
  readonly figures: Figures;
  /** Rates up to these figures; undefined at the start. */
  readonly rates: Rates | undefined;
  /** Rates by queue. */
  readonly queueRates: ReadonlyMap<string, Rates>;
  /** Reason why there are no newer figures. */
  readonly trouble: string | undefined;
}

/** Returns the view of two scrapes. `older`: undefined at the start. `before`: the rates up to that, if known. */
export function viewOf(url: string, older: Figures | undefined, newer: Figures, before?: Rates): View {
  const queues = new Map(older?.queues.map((queue) => [queue.queue, queue]));
  const queueRates = new Map<string, Rates>();
  for (const queue of newer.queues) {
    const before = queues.get(queue.queue);
    if (older && before) queueRates.set(queue.queue, ratesBetween(alone(older, before), alone(newer, queue)));
  }
  const figures = {
    ...newer,
    prefixes: busiest(older?.prefixes ?? [], newer.prefixes, ({ prefix }: PrefixFigures) => prefix, "replied"),
    services: busiest(older?.services ?? [], newer.services, keyOf, "taken"),
    links: busiest(older?.links ?? [], newer.links, wayOf, "affected"),
  };
  return { url, figures, rates: older && ratesBetween(older, figures, before), queueRates, trouble: undefined };
}

/** Returns those that counted most between the two, and of equal ones those that have counted most in all. */
function busiest<T extends Record<F, number>, F extends string>(
  older: readonly T[], newer: readonly T[], nameOf: (item: T) => string, figure: F,
): T[] {
  const before = new Map(older.map((item) => [nameOf(item), item[figure]]));
  const rated = newer.map(
    (item) => ({ item, since: Math.max(0, item[figure] - (before.get(nameOf(item)) ?? item[figure])) }),
  );
  return rated.sort((a, b) => b.since - a.since || b.item[figure] - a.item[figure])
    .slice(0, BUSIEST)
    .map(({ item }) => item);
}

/** Returns one queue's figures, as if there were no other queue. */
function alone(figures: Figures, queue: QueueFigures): Figures {
  return { ...figures, queues: [queue], dropped: {}, services: [], threads: [], prefixes: [], links: [] };
}
