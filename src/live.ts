/** What the page at / is told, read from the counters when it is asked for. */
import { PREFIX_REPLIES } from "./abi.js";
import type { Figures } from "./figures.js";
import { verdicts, type Counted } from "./metrics.js";
import type { Served } from "./prefixes.js";
import { version } from "./version.js";

/** Of more prefixes those are shown that answered most. */
const SHOWN = 100;

export interface Live {
  /** Whether packets are being answered now. */
  readonly answering: boolean;
  /** When it came up: Unix time in ms. */
  readonly since: number;
  /** An address that is answered, if there is one. */
  readonly example: string | undefined;
  readonly figures: Figures;
}

/** The prefixes that are served, and at which index each is counted. */
export interface Indexed {
  readonly prefixes: readonly Served[];
  readonly indices: readonly number[];
}

/** `overrun`: packets that the device's own queue had no room for. */
export function figuresOf(queues: readonly Counted[], { prefixes, indices }: Indexed, overrun: number): Figures {
  const columns = queues.map(({ counters }) => counters);
  const repliedOf = (i: number) => columns.reduce((sum, counters) => sum + counters[PREFIX_REPLIES + indices[i]], 0);
  return {
    at: Date.now(),
    version,
    queues: queues.map((queue) => {
      const { received, replied, dropped } = verdicts([queue]);
      return {
        queue: String(queue.index), engine: queue.engine, io: queue.io, received, replied,
        dropped: Object.values(dropped).reduce((sum, count) => sum + count, 0), restarts: queue.restarts,
      };
    }),
    dropped: verdicts(queues).dropped,
    overrun,
    prefixes: greatest(prefixes.length, SHOWN, repliedOf).map((i) => ({ prefix: prefixes[i].text, name: prefixes[i].name, replied: repliedOf(i) })),
    prefixCount: prefixes.length,
  };
}

/** Those `most` of `count` items whose values are greatest, the greatest first, and of equal ones the earlier. Most of a hundred thousand cost one comparison. */
export function greatest(count: number, most: number, valueOf: (item: number) => number): number[] {
  const found: { readonly item: number; readonly value: number }[] = [];
  for (let item = 0; item < count; item++) {
    const value = valueOf(item);
    if (found.length === most && value <= found[most - 1].value) continue;
    const after = found.findLastIndex((other) => other.value >= value);
    found.splice(after + 1, 0, { item, value });
    if (found.length > most) found.pop();
  }
  return found.map(({ item }) => item);
}
