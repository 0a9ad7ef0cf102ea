/** States in a queue's memory that outlast tables, by name. */
import { createHash } from "node:crypto";
import { LINKED_TABLES } from "../../abi/links.js";

/** Where the names {u64 hash, u32 number of the last table that had it} and the states lie, and how many there are. */
interface NamesLayout {
  readonly names: number;
  readonly nameSize: number;
  readonly states: number;
  readonly stateSize: number;
  readonly count: number;
  readonly what: string;
}

export class Names {
  readonly #words: Uint32Array;
  readonly #hashes: BigUint64Array;
  readonly #layout: NamesLayout;
  /** Number of the table that is written. */
  readonly #tables: number;
  /** Places by hash. */
  readonly #places = new Map<bigint, number>();
  #free = 0;

  constructor({ buffer }: WebAssembly.Memory, layout: NamesLayout) {
    this.#words = new Uint32Array(buffer);
    this.#hashes = new BigUint64Array(buffer);
    this.#layout = layout;
    this.#tables = this.#words[LINKED_TABLES / 4];
    for (let i = 0; i < layout.count; i++) {
      const hash = this.#hashes[this.#nameAt(i) / 8];
      if (hash === 0n) break;
      this.#places.set(hash, i);
    }
  }

  /**
   * Returns the address of the state of a name, which is kept for as long as every table has it, but for those without
   * links.
   * @throws RangeError
   */
  stateOf(name: string): number {
    const hash = hashOf(name) | 1n;
    let place = this.#places.get(hash);
    if (place === undefined || this.#isOver(place)) {
      place ??= this.#next();
      this.#hashes[this.#nameAt(place) / 8] = hash;
      this.#places.set(hash, place);
      const at = this.#stateAt(place) / 4;
      this.#words.fill(0, at, at + this.#layout.stateSize / 4);
    }
    this.#words[this.#nameAt(place) / 4 + 2] = this.#tables;
    return this.#stateAt(place);
  }

  /** Returns a place that neither this table has nor the last one, which may be in use. */
  #next(): number {
    for (; this.#free < this.#layout.count; this.#free++) {
      const hash = this.#hashes[this.#nameAt(this.#free) / 8];
      if (hash !== 0n && !this.#isOver(this.#free)) continue;
      this.#places.delete(hash);
      return this.#free++;
    }
    throw new RangeError(`with the one before, it has more than ${this.#layout.count} ${this.#layout.what}; `
      + "restart, or reload without what changes first");
  }

  /** Returns whether the last table did not have what was at a place: by now it is something else. */
  #isOver(place: number): boolean {
    return this.#words[this.#nameAt(place) / 4 + 2] < this.#tables - 1;
  }

  #nameAt(place: number): number {
    return this.#layout.names + this.#layout.nameSize * place;
  }

  #stateAt(place: number): number {
    return this.#layout.states + this.#layout.stateSize * place;
  }
}

function hashOf(text: string): bigint {
  return createHash("sha256").update(text).digest().readBigUInt64LE();
}

/** Returns the seed of draws, which depends on nothing but these. */
export function seedOf(seed: bigint, name: string | undefined, what: number | string): bigint {
  return hashOf(JSON.stringify([seed.toString(), name ?? null, what]));
}
