/**
 * The metric of what links have done to packets, as text in pieces: with a sample for each prefix, way and effect that
 * has occurred, since very many prefixes may stand behind links.
 */
import { MAX_EFFECTS } from "../../abi/links.js";
import { DIRECTIONS, LINK_EFFECTS } from "./figures.js";
import { labelsOf, PIECE_LEN, type Serves } from "./prefixreplies.js";

const NAME = "pongd_link_packets";
const HELP = "Packets to which the link of a prefix has done something, by prefix, direction and effect.";
/** More characters than a sample has behind its prefix's labels. */
const REST_LEN = 100;

/** A queue as far as its links are concerned: effects by a prefix's index, direction and effect. */
export interface Impaired {
  readonly effects?: Float64Array | undefined;
}

/** Where a way's effects begin among those of a queue. `way` is an index into DIRECTIONS. */
export function effectsAt(prefix: number, way: number): number {
  return (prefix * DIRECTIONS.length + way) * MAX_EFFECTS;
}

export class LinkPackets {
  readonly #queues: readonly Impaired[];
  readonly #served: Serves;

  constructor(queues: readonly Impaired[], served: Serves) {
    this.#queues = queues;
    this.#served = served;
  }

  /** Yields the metric's text, in OpenMetrics or in Prometheus's own format; nothing where there can be no links. */
  * pieces(openMetrics: boolean): Generator<Buffer, void, undefined> {
    const { prefixes } = this.#served;
    const queues = this.#queues.flatMap(({ effects }) => effects ?? []);
    if (queues.length === 0) return;
    const family = openMetrics ? NAME : `${NAME}_total`;
    let text = `${openMetrics ? "" : "\n"}# HELP ${family} ${HELP}\n# TYPE ${family} counter\n`;
    for (let i = 0; i < prefixes.length; i++) {
      const from = effectsAt(prefixes.index(i), 0);
      const counts = Array.from({ length: DIRECTIONS.length * MAX_EFFECTS }, (_, j) =>
        queues.reduce((sum, effects) => sum + effects[from + j], 0));
      if (counts.every((count) => count === 0)) continue;
      const labels = labelsOf(prefixes.at(i));
      for (const [j, count] of counts.entries()) {
        if (count === 0) continue;
        const direction = DIRECTIONS[Math.floor(j / MAX_EFFECTS)];
        text += `${NAME}_total{${labels},direction="${direction}",effect="${LINK_EFFECTS[j % MAX_EFFECTS]}"} ${count}\n`;
      }
      if (text.length + LINK_EFFECTS.length * (labels.length + REST_LEN) > PIECE_LEN) {
        yield Buffer.from(text);
        text = "";
      }
    }
    yield Buffer.from(text);
  }
}
