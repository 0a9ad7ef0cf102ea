/** What the page at / is told, read from the counters when it is asked for. */
import { PREFIX_REPLIES } from "../../abi/counters.js";
import type { Figures } from "./figures.js";
import { verdicts, type Counted, type Indexed } from "./metrics.js";
import { version } from "../base/version.js";

/** Of more prefixes those are shown that answered most. */
const SHOWN = 100;

export interface Snapshot {
  /** When it came up, by the clock of `figures.at`. */
  readonly since: number;
  /** An address that is answered, if there is one. */
  readonly example: string | undefined;
  /** The machine's name. */
  readonly host: string;
  readonly device: Device;
  readonly figures: Figures;
}

/** The device's link as the kernel has it now. */
export interface DeviceLink {
  /** Without a carrier the kernel drops what is routed to the device, although that is set up. */
  readonly state: "up" | "down" | "no carrier";
  /** Bytes. */
  readonly mtu: number;
}

export interface Device extends DeviceLink {
  readonly name: string;
}

/**
 * `overrun`: packets that the device's own queue had no room for. `ready`: whether all that is served can be reached.
 */
export function figuresOf(
  queues: readonly Counted[], { prefixes, indices }: Indexed, overrun: number, ready: boolean,
): Figures {
  const columns = queues.map(({ counters }) => counters);
  const repliedOf = (i: number) => {
    let sum = 0;
    for (const counters of columns) sum += counters[PREFIX_REPLIES + indices[i]];
    return sum;
  };
  return {
    // The wall clock may be set; rates are of a clock that may not.
    at: performance.timeOrigin + performance.now(),
    version,
    ready,
    queues: queues.map((queue) => {
      const { received, replied, dropped } = verdicts([queue]);
      return {
        queue: String(queue.index), engine: queue.engine, io: queue.io, received, replied,
        dropped: Object.values(dropped).reduce((sum, count) => sum + count, 0), restarts: queue.restarts,
      };
    }),
    dropped: verdicts(queues).dropped,
    overrun,
    prefixes: greatest(prefixes.length, SHOWN, repliedOf).map(
      (i) => ({ prefix: prefixes[i].text, name: prefixes[i].name, replied: repliedOf(i) }),
    ),
    prefixCount: prefixes.length,
  };
}

/**
 * Those `most` of `count` items whose values are greatest, the greatest first, and of equal ones the earlier. The least
 * of those found so far is on top of a heap, so that most of a hundred thousand items cost one comparison, and none
 * costs many.
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
