/** The snapshot that the page at / shows, read from the counters on request. */
import { Counter, PREFIX_REPLIES, REPLIES, TURNAROUND, TURNAROUND_BUCKETS } from "../../abi/counters.js";
import { SESSION_PROTOCOLS } from "../engine/sessions.js";
import {
  DIRECTIONS, keyOf, LINK_EFFECTS, STATUS_CLASSES, UDP_DROPS, UDP_PROTOCOLS, type Figures, type ServiceFigures,
  type ThreadFigures,
} from "./figures.js";
import { effectsAt } from "./linkpackets.js";
import { ServiceCounts } from "./servicecounts.js";
import type { CountedServices } from "./services.js";
import { PROTOCOLS, total, verdicts, type Counted } from "./verdicts.js";
import type { Serves } from "./prefixreplies.js";
import { version } from "../base/version.js";

/** Most prefixes and most services in a snapshot: those that answered or took most. */
const SHOWN = 100;

export interface Snapshot {
  /** Time at which pongd came up, on the clock of `figures.at`. */
  readonly since: number;
  /** Address that answers ping, if there is one. */
  readonly example: string | undefined;
  /** Host name of the machine. */
  readonly host: string;
  readonly device: Device;
  readonly figures: Figures;
}

/** State of the device's link, as the kernel has it now. */
export interface DeviceLink {
  /** Link state. Without a carrier the kernel drops what is routed to the device, even if the link is up. */
  readonly state: "up" | "down" | "no carrier";
  /** MTU in bytes. */
  readonly mtu: number;
}

export interface Device extends DeviceLink {
  readonly name: string;
}

/**
 * Reads the figures from the counters. `at`: Unix time in ms on a monotonic clock. `overrun`: packets that found no
 * room in the device's own queue. `ready`: true if all served prefixes can be reached. `threads`: what service threads
 * count.
 */
export function figuresOf(
  queues: readonly Counted[], { prefixes }: Serves, at: number, overrun: number, ready: boolean,
  threads: CountedServices = { names: [], threads: [] },
): Figures {
  const columns = queues.map(({ counters }) => counters);
  const repliedOf = (i: number) => {
    let sum = 0;
    for (const counters of columns) sum += counters[PREFIX_REPLIES + prefixes.index(i)];
    return sum;
  };
  const { dropped } = verdicts(queues);
  const services = takenOf(queues);
  const counts = threads.threads.map((buffer) => new ServiceCounts(buffer));
  return {
    at,
    version,
    ready,
    queues: queues.map((queue) => {
      const { received, replied, dropped, tcp } = verdicts([queue]);
      return {
        queue: String(queue.index), engine: queue.engine, io: queue.io, received, replied,
        dropped: Object.values(dropped).reduce((sum, count) => sum + count, 0), tcp, restarts: queue.restarts,
      };
    }),
    dropped,
    overrun,
    tcp: {
      connections: total(queues, Counter.tcpConnections),
      accepted: queues.reduce((sum, { counters, accepting = [] }) =>
        accepting.reduce((sum, { protocol, counter }) => sum + (protocol === "tcp" ? counters[counter] : 0), sum), 0),
      opened: total(queues, Counter.tcpOpened),
      retransmitted: total(queues, Counter.tcpRetransmitted),
      bytesIn: total(queues, Counter.tcpBytesReceived),
      bytesOut: total(queues, Counter.tcpBytesSent),
    },
    udp: {
      taken: services.reduce((sum, { protocol, taken }) => sum + (protocol === "udp" ? taken : 0), 0),
      dropped: UDP_DROPS.reduce((sum, reason) => sum + (dropped[reason] ?? 0), 0),
      answered: UDP_PROTOCOLS.reduce(
        (sum, protocol) => sum + total(queues, REPLIES + PROTOCOLS.indexOf(protocol)), total(queues, Counter.udpSent),
      ),
      unsent: total(queues, Counter.udpUnsent),
    },
    sessions: SESSION_PROTOCOLS.map((protocol) => ({
      protocol, sessions: total(queues, protocol === "stamp" ? Counter.stampSessions : Counter.irttSessions),
      limit: queues.reduce((sum, { sessionLimits }) => sum + (sessionLimits?.[protocol] ?? 0), 0),
    })),
    turnaround: {
      replies: Array.from({ length: TURNAROUND_BUCKETS }, (_, i) => total(queues, TURNAROUND + i))
        .reduce((sum, count) => sum + count, 0),
      seconds: total(queues, Counter.turnaroundNs) / 1e9,
    },
    services: greatest(services.length, SHOWN, (i) => services[i].taken)
      .map((i) => withCounts(services[i], threads.names.indexOf(services[i].service), counts)),
    serviceCount: services.length,
    threads: counts.map(threadOf),
    prefixes: greatest(prefixes.length, SHOWN, repliedOf).map((i) => {
      const { text, name } = prefixes.at(i);
      return { prefix: text, name, replied: repliedOf(i) };
    }),
    prefixCount: prefixes.length,
    ...linksOf(queues, prefixes),
  };
}

/** Returns the ways that have done most to packets, and how many have done anything. */
function linksOf(queues: readonly Counted[], prefixes: Serves["prefixes"]): Pick<Figures, "links" | "linkCount"> {
  const all = queues.flatMap(({ effects }) => effects ?? []);
  if (all.length === 0) return { links: [], linkCount: 0 };
  const countOf = (way: number, effect: number) => {
    const at = effectsAt(prefixes.index(Math.floor(way / DIRECTIONS.length)), way % DIRECTIONS.length) + effect;
    let sum = 0;
    for (const effects of all) sum += effects[at];
    return sum;
  };
  const ways = DIRECTIONS.length * prefixes.length;
  const affected = new Float64Array(ways);
  for (let way = 0; way < ways; way++) {
    for (let effect = 0; effect < LINK_EFFECTS.length; effect++) affected[way] += countOf(way, effect);
  }
  return {
    links: greatest(ways, SHOWN, (way) => affected[way]).filter((way) => affected[way] > 0).map((way) => {
      const { text, name } = prefixes.at(Math.floor(way / DIRECTIONS.length));
      return {
        prefix: text, name, direction: DIRECTIONS[way % DIRECTIONS.length],
        effects: LINK_EFFECTS.map((_, effect) => countOf(way, effect)), affected: affected[way],
      };
    }),
    linkCount: affected.reduce((count, packets) => count + (packets > 0 ? 1 : 0), 0),
  };
}

type Taken = Pick<ServiceFigures, "protocol" | "service" | "taken">;

/** Returns what each service took, over all queues. */
function takenOf(queues: readonly Counted[]): Taken[] {
  const found = new Map<string, Taken>();
  for (const { counters, accepting = [] } of queues) {
    for (const { protocol, service, counter } of accepting) {
      const key = keyOf({ protocol, service });
      found.set(key, { protocol, service, taken: (found.get(key)?.taken ?? 0) + counters[counter] });
    }
  }
  return [...found.values()];
}

/** Adds what service threads count of a service, at its place there; -1 if it has none. */
function withCounts(service: Taken, place: number, threads: readonly ServiceCounts[]): ServiceFigures {
  const responses = STATUS_CLASSES.map(() => 0);
  if (place < 0) return { ...service, responses, errors: 0 };
  for (const counts of threads) {
    for (const [status, count] of counts.responses(place)) responses[Math.floor(status / 100) - 1] += count;
  }
  const sum = (of: (counts: ServiceCounts) => number) => threads.reduce((all, counts) => all + of(counts), 0);
  return {
    ...service, connections: service.protocol === "tcp" ? sum((counts) => counts.streams(place)) : undefined, responses,
    errors: sum((counts) => counts.errors(place)),
  };
}

function threadOf({ restarts, delays }: ServiceCounts, index: number): ThreadFigures {
  return {
    thread: String(index), restarts, beats: delays.buckets.reduce((sum, count) => sum + count, 0), late: delays.sum,
  };
}

/**
 * Returns the `most` of `count` items with the greatest values, the greatest first; if values are equal, the earlier
 * item first. A heap has the least of the items kept so far at its root. Most of a hundred thousand items thus cost one
 * comparison, and none costs many.
 */
export function greatest(count: number, most: number, valueOf: (item: number) => number): number[] {
  const order = (a: Valued, b: Valued) => b.value - a.value || a.item - b.item;
  const heap = Array.from({ length: Math.min(count, most) }, (_, item): Valued => ({ item, value: valueOf(item) }))
    .sort(order)
    .reverse();
  for (let item = heap.length; item < count; item++) {
    const value = valueOf(item);
    if (value <= heap[0].value) continue;
    const found = { item, value };
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && order(heap[child], heap[child + 1]) < 0) child++;
      if (order(heap[child], found) < 0) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = found;
  }
  return heap.sort(order).map(({ item }) => item);
}

interface Valued {
  readonly item: number;
  readonly value: number;
}
