/**
 * The metric with a sample for each prefix, as text in pieces. There may be a hundred thousand samples, so that objects
 * for each, or one text of all, would cost more than everything else: the labels are bytes, made once for a list of
 * prefixes, and a piece is filled with them and the numbers.
 */
import { PREFIX_REPLIES } from "../../abi/counters.js";
import type { Listed, PrefixList } from "../prefix/list.js";
import { total, type Counted } from "./verdicts.js";

/** Bytes of a piece. */
export const PIECE_LEN = 65536;
/** More digits than a number has, and the line's end. */
const VALUE_LEN = 32;
/** Prefixes whose labels are made at a time. */
const BLOCK = 1000;

const NAME = "pongd_prefix_replies";
const HELP = "Packets answered, by the prefix of the address that answered.";

/** The prefixes that are served now. */
export interface Serves {
  readonly prefixes: PrefixList;
}

export class PrefixReplies {
  readonly #queues: readonly Pick<Counted, "counters">[];
  readonly #served: Serves;
  #labelled: Labelled | undefined;

  constructor(queues: readonly Pick<Counted, "counters">[], served: Serves) {
    this.#queues = queues;
    this.#served = served;
  }

  /** Yields the metric's text, in OpenMetrics or in Prometheus's own format. */
  * pieces(openMetrics: boolean): Generator<Buffer, void, undefined> {
    const { prefixes } = this.#served;
    if (this.#labelled?.prefixes !== prefixes) this.#labelled = label(prefixes);
    const { labels, ends } = this.#labelled;
    const family = openMetrics ? NAME : `${NAME}_total`;
    let piece = Buffer.allocUnsafeSlow(PIECE_LEN);
    let at = piece.write(`${openMetrics ? "" : "\n"}# HELP ${family} ${HELP}\n# TYPE ${family} counter\n`);
    for (let i = 0, from = 0; i < ends.length; from = ends[i++]) {
      if (at + ends[i] - from + VALUE_LEN > PIECE_LEN) {
        yield piece.subarray(0, at);
        piece = Buffer.allocUnsafeSlow(PIECE_LEN);
        at = 0;
      }
      at += labels.copy(piece, at, from, ends[i]);
      at += piece.write(`${total(this.#queues, PREFIX_REPLIES + prefixes.index(i))}\n`, at, "latin1");
    }
    yield piece.subarray(0, at);
  }
}

/** Each sample's name and labels: sample `i` ends at `ends[i]` in `labels`, and the one before it where it begins. */
interface Labelled {
  readonly prefixes: PrefixList;
  readonly labels: Buffer;
  readonly ends: Uint32Array;
}

function label(prefixes: PrefixList): Labelled {
  const ends = new Uint32Array(prefixes.length);
  const blocks: Buffer[] = [];
  let length = 0;
  for (let first = 0; first < prefixes.length; first += BLOCK) {
    let block = "";
    let before = length;
    for (let i = first; i < Math.min(first + BLOCK, prefixes.length); i++) {
      const line = `${NAME}_total{${labelsOf(prefixes.at(i))}} `;
      ends[i] = before += Buffer.byteLength(line);
      block += line;
    }
    blocks.push(Buffer.from(block));
    length = before;
  }
  return { prefixes, labels: Buffer.concat(blocks, length), ends };
}

/** Returns the labels of a prefix. */
export function labelsOf({ text, name }: Pick<Listed, "text" | "name">): string {
  return `prefix="${text}"${name === undefined ? "" : `,name="${escape(name)}"`}`;
}

/** A name has no line ends: the configuration allows none. */
export function escape(name: string): string {
  return name.replaceAll("\\", "\\\\").replaceAll("\"", "\\\"");
}
