/**
 * Sets of blocks of addresses, in typed arrays: there may be 100,000 blocks, and an object for each would cost memory
 * and the garbage collector's time. A block has a position in its set, by which others may keep something about it.
 */
import { FAMILIES, formatBytes, type Block, type Family } from "./prefixes.js";

/** 32-bit words of an address. IPv4 uses the first one. */
const WORDS = 4;
const MIN_ROOM = 16;

/** One of these families' blocks, to be filled in. */
const recordOf = (family: Family) => ({ bytes: new Uint8Array(family === 4 ? 4 : 16), length: 0 });

export class BlockSet implements Iterable<Block> {
  /** Prefix lengths of each family, in the order in which they were first added. */
  readonly #lengths: Record<Family, number[]> = { 4: [], 6: [] };
  /** Addresses, WORDS words each. */
  #words = new Uint32Array(WORDS * MIN_ROOM);
  /** Family and length of each block. */
  #kinds = new Uint16Array(MIN_ROOM);
  /** Hash table with linear probing: position + 1, or 0. At most half of it is in use. */
  #table = new Int32Array(2 * MIN_ROOM);
  #size = 0;
  /** Makes collisions unpredictable to whoever chooses the blocks. */
  readonly #seed = Math.floor(Math.random() * 2 ** 32);
  /** The address that is looked up, and its family and length. */
  readonly #sought = new Uint32Array(WORDS);
  #kind = 0;

  get size(): number {
    return this.#size;
  }

  /** Families that it has blocks of. */
  get families(): Family[] {
    return FAMILIES.filter((family) => this.#lengths[family].length > 0);
  }

  familyAt(position: number): Family {
    return this.#kinds[position] >> 8 as Family;
  }

  /** Adds a block, unless it is there. Returns its position. */
  add(block: Block): number {
    const slot = this.#seek(block);
    if (this.#table[slot] > 0) return this.#table[slot] - 1;
    const position = this.#size++;
    const family = blockFamily(block);
    if (!this.#lengths[family].includes(block.length)) this.#lengths[family].push(block.length);
    if (position === this.#kinds.length) this.#grow();
    this.#words.set(this.#sought, WORDS * position);
    this.#kinds[position] = this.#kind;
    this.#table[this.#probe(this.#sought, 0, this.#kind)] = position + 1;
    return position;
  }

  /** Returns the position of the block, or -1. */
  find(block: Block): number {
    return this.#table[this.#seek(block)] - 1;
  }

  /** Returns the position of a larger block that contains it, or -1. */
  around(block: Block): number {
    const family = blockFamily(block);
    for (const length of this.#lengths[family]) {
      if (length >= block.length) continue;
      this.#load(block.bytes);
      for (let i = 0; i < WORDS; i++) this.#sought[i] &= maskOf(length, i);
      const found = this.#table[this.#probe(this.#sought, 0, family << 8 | length)];
      if (found > 0) return found - 1;
    }
    return -1;
  }

  at(position: number): Block {
    return this.read(position, recordOf(this.familyAt(position)));
  }

  /** Yields the blocks as Selection does. */
  [Symbol.iterator](): Generator<Block, void, undefined> {
    return this.select(() => true)[Symbol.iterator]();
  }

  /** Returns the blocks at whose positions the predicate holds. */
  select(predicate: (position: number) => boolean): Selection {
    const positions: number[] = [];
    for (let position = 0; position < this.#size; position++) if (predicate(position)) positions.push(position);
    return new Selection(this, positions);
  }

  /** Fills in a record of the block's family with it, and returns that. */
  read<T extends { readonly bytes: Uint8Array; length: number }>(position: number, record: T): T {
    const { bytes } = record;
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.#words[WORDS * position + (i >> 2)] >>> 24 - 8 * (i & 3);
    record.length = this.#kinds[position] & 0xff;
    return record;
  }

  /** Loads a block's address and kind. Returns its slot in the table: its own, or the free one where it would be. */
  #seek(block: Block): number {
    this.#load(block.bytes);
    this.#kind = blockFamily(block) << 8 | block.length;
    return this.#probe(this.#sought, 0, this.#kind);
  }

  #load(bytes: Uint8Array): void {
    const sought = this.#sought;
    for (let i = 0; i < WORDS; i++) {
      const at = 4 * i;
      sought[i] = at < bytes.length
        ? bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3]
        : 0;
    }
  }

  #probe(words: Uint32Array, from: number, kind: number): number {
    const table = this.#table;
    const mask = table.length - 1;
    let hash = this.#seed ^ kind;
    for (let i = 0; i < WORDS; i++) {
      hash = Math.imul(hash ^ words[from + i], 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    let slot = hash & mask;
    for (; table[slot] > 0; slot = slot + 1 & mask) {
      const position = table[slot] - 1;
      if (this.#kinds[position] === kind && this.#equals(position, words, from)) break;
    }
    return slot;
  }

  #equals(position: number, words: Uint32Array, from: number): boolean {
    for (let i = 0; i < WORDS; i++) if (this.#words[WORDS * position + i] !== words[from + i]) return false;
    return true;
  }

  #grow(): void {
    const [words, kinds] = [this.#words, this.#kinds];
    this.#words = new Uint32Array(2 * words.length);
    this.#words.set(words);
    this.#kinds = new Uint16Array(2 * kinds.length);
    this.#kinds.set(kinds);
    this.#table = new Int32Array(4 * kinds.length);
    for (let position = 0; position < kinds.length; position++) {
      this.#table[this.#probe(words, WORDS * position, kinds[position])] = position + 1;
    }
  }
}

/** Some of a set's blocks, by their positions. */
export class Selection implements Iterable<Block> {
  constructor(readonly set: BlockSet, readonly positions: readonly number[]) {}

  get length(): number {
    return this.positions.length;
  }

  /** Returns the first `count` blocks. */
  first(count: number): Block[] {
    return this.positions.slice(0, count).map((position) => this.set.at(position));
  }

  /** Returns those of its blocks at whose positions the predicate holds. */
  filter(predicate: (position: number) => boolean): Selection {
    return new Selection(this.set, this.positions.filter(predicate));
  }

  /** Splits it into those at these indices in `positions`, which ascend, and the others. */
  split(indices: readonly number[]): [Selection, Selection] {
    const picked = indices.map((index) => this.positions[index]);
    let next = 0;
    const others = this.filter((position) => {
      if (position !== picked[next]) return true;
      next++;
      return false;
    });
    return [new Selection(this.set, picked), others];
  }

  /** Yields each block in a record of its family, which the next one overwrites. */
  * [Symbol.iterator](): Generator<Block, void, undefined> {
    const records = { 4: recordOf(4), 6: recordOf(6) };
    for (const position of this.positions) yield this.set.read(position, records[this.set.familyAt(position)]);
  }
}

export function textOf({ bytes, length }: Block): string {
  return `${formatBytes(bytes)}/${length}`;
}

export function blockFamily({ bytes }: Block): Family {
  return bytes.length === 4 ? 4 : 6;
}

/** Returns the mask of the bits of word `i` within the length. */
function maskOf(length: number, i: number): number {
  const bits = Math.max(0, Math.min(32, length - 32 * i));
  return bits === 0 ? 0 : -1 << 32 - bits;
}
