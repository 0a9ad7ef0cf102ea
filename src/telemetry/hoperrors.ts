/** The metric of the errors of hops, as text: with a sample for each hop and type that has occurred. */
import { HopError, MAX_HOP_ERRORS } from "../../abi/hops.js";
import type { HopErrors as Counted } from "../engine/paths.js";
import { escape, PIECE_LEN, type Serves } from "./prefixreplies.js";

const NAME = "pongd_hop_errors";
const HELP = "ICMP errors that the hops of paths have sent, by path, hop and type.";
const TYPES = Object.keys(HopError).filter((key) => Number.isNaN(Number(key)));

/** A queue as far as the hops of its paths are concerned. */
export interface Speaks {
  readonly hopErrors: readonly Counted[];
}

export class HopErrors {
  readonly #queues: readonly Speaks[];
  readonly #served: Serves;

  constructor(queues: readonly Speaks[], served: Serves) {
    this.#queues = queues;
    this.#served = served;
  }

  /** Yields the metric's text, in OpenMetrics or in Prometheus's own format; nothing where no hop has said anything. */
  * pieces(openMetrics: boolean): Generator<Buffer, void, undefined> {
    const sums = this.#sums();
    if (sums.size === 0) return;
    const family = openMetrics ? NAME : `${NAME}_total`;
    let text = `${openMetrics ? "" : "\n"}# HELP ${family} ${HELP}\n# TYPE ${family} counter\n`;
    for (const [labels, count] of sums) {
      text += `${NAME}_total{${labels}} ${count}\n`;
      if (text.length < PIECE_LEN / 2) continue;
      yield Buffer.from(text);
      text = "";
    }
    yield Buffer.from(text);
  }

  /** Returns the errors by their labels. Hops that have a path and a label in common are one. */
  #sums(): Map<string, number> {
    const sums = new Map<string, number>();
    let texts: Map<number, string> | undefined;
    for (const { path, hop, errors } of this.#queues.flatMap(({ hopErrors }) => hopErrors)) {
      for (let type = 0; type < MAX_HOP_ERRORS; type++) {
        if (errors[type] === 0) continue;
        if (typeof path === "number") texts ??= this.#texts();
        const name = typeof path === "string" ? path : texts?.get(path) ?? `${path}`;
        const labels = `path="${escape(name)}",hop="${escape(hop)}",type="${TYPES[type]}"`;
        sums.set(labels, (sums.get(labels) ?? 0) + errors[type]);
      }
    }
    return sums;
  }

  /** Returns the prefixes by their indices. */
  #texts(): Map<number, string> {
    return new Map([...this.#served.prefixes].map(({ index, text }) => [index, text]));
  }
}
