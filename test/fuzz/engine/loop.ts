/**
 * Fuzzes a family: a round makes new memories, takes another configuration, and goes on until the journal is full. A
 * train of packets that runs through a branch for the first time is kept, and comes again, changed.
 */
import { Random } from "../../support/random.js";
import { Generator } from "./generate.js";
import { Harness } from "./harness.js";
import { HEADER_LEN, Journal } from "./journal.js";
import { Makers } from "./makers.js";
import { worldOf, type Family } from "./world.js";

/** Trains between two looks at all of the slots. */
const SWEEP = 256;
/** Trains of a round where links and paths are: there are many of them, and packets wait on each other for longer. */
const FAR_TRAINS = 8 * SWEEP;
/** Bytes of the journal that a train may take, and an input of a corpus, too. */
export const ROOM = 1 << 18;

export interface Kept {
  readonly configuration: number;
  readonly entries: Uint8Array;
}

export class Loop {
  readonly makers = new Makers();
  readonly kept: Kept[] = [];
  packets = 0;
  replies = 0;
  readonly #family: Family;
  readonly #random: Random;
  readonly #journal: Journal;
  readonly #watch: (end: number) => void;

  /** `watch` is told where the journal ends before the engines get what is in it. */
  constructor(family: Family, seed: number, buffer: SharedArrayBuffer, watch: (end: number) => void) {
    this.#family = family;
    this.#random = new Random(seed);
    this.#journal = new Journal(buffer);
    this.#watch = watch;
  }

  /** Runs a train that another loop has kept. @throws Error that says what does not hold. */
  async seed(bytes: Uint8Array): Promise<void> {
    const journal = this.#journal;
    const configuration = Buffer.from(bytes.buffer, bytes.byteOffset).readUInt32LE(0);
    journal.bytes.set(bytes);
    journal.end = bytes.length;
    this.#watch(journal.end);
    const harness = await Harness.create(this.#family, configuration, this.makers.all());
    harness.run(journal.bytes, HEADER_LEN, journal.end);
    harness.finish();
    this.makers.fresh();
    this.kept.push({ configuration, entries: bytes.slice(HEADER_LEN) });
  }

  /**
   * Runs a round. `isOver` is asked every few hundred trains. @throws Error that says what does not hold of what is in
   * the journal.
   */
  async round(isOver: () => boolean): Promise<void> {
    const random = this.#random;
    const journal = this.#journal;
    const configuration = random.next();
    journal.begin(configuration);
    const harness = await Harness.create(this.#family, configuration, this.makers.all());
    const world = worldOf(this.#family, configuration);
    const generator = new Generator(random, this.#family, world, journal);
    const most = world.between ? FAR_TRAINS : Infinity;
    for (let trains = 1; trains <= most && journal.room > ROOM; trains++) {
      const from = journal.end;
      if (this.kept.length > 0 && random.oneIn(3)) generator.again(random.pick(this.kept).entries);
      else generator.train();
      this.#watch(journal.end);
      harness.run(journal.bytes, from, journal.end);
      if (this.makers.fresh() > 0) {
        this.kept.push({ configuration, entries: journal.bytes.subarray(from, journal.end).map((byte) => byte) });
      }
      if (trains % SWEEP === 0) {
        harness.sweep();
        if (isOver()) break;
      }
    }
    harness.finish();
    this.packets += harness.packets;
    this.replies += harness.replies;
  }
}

/** Runs a journal through engines of its own. @throws Error that says what does not hold. */
export async function replay(family: Family, bytes: Uint8Array, makers = new Makers()): Promise<void> {
  const journal = Buffer.from(bytes);
  if (journal.length < HEADER_LEN) return;
  const harness = await Harness.create(family, journal.readUInt32LE(0), makers.all());
  harness.run(journal);
  harness.finish();
}
