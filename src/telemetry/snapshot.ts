/** The snapshot that the page at / shows, read from the counters on request. */
import { Counter, PREFIX_REPLIES } from "../../abi/counters.js";
import type { Figures } from "./figures.js";
import { total, verdicts, type Counted } from "./verdicts.js";
import type { Serves } from "./prefixreplies.js";
import { version } from "../base/version.js";

/** Most prefixes in a snapshot: those that answered most. */
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
 * room in the device's own queue. `ready`: true if all served prefixes can be reached.
 */
export function figuresOf(
  queues: readonly Counted[], { prefixes }: Serves, at: number, overrun: number, ready: boolean,
): Figures {
  const columns = queues.map(({ counters }) => counters);
  const repliedOf = (i: number) => {
    let sum = 0;
    for (const counters of columns) sum += counters[PREFIX_REPLIES + prefixes.index(i)];
    return sum;
  };
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
    dropped: verdicts(queues).dropped,
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
    prefixes: greatest(prefixes.length, SHOWN, repliedOf).map((i) => {
      const { text, name } = prefixes.at(i);
      return { prefix: text, name, replied: repliedOf(i) };
    }),
    prefixCount: prefixes.length,
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
