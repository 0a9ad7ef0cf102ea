import { masked, type Block } from "./prefixes.js";

/** Blocks by the addresses that they span. A lookup's cost does not depend on how many there are. */
export class BlockMap<T extends Block> {
  /** Blocks by length, then by bytes, whose number tells the family. */
  readonly #lengths = new Map<number, Map<string, T>>();

  constructor(blocks: Iterable<T>) {
    for (const block of blocks) {
      const { bytes, length } = block;
      let all = this.#lengths.get(length);
      if (!all) this.#lengths.set(length, all = new Map<string, T>());
      all.set(keyOf(bytes), block);
    }
  }

  /** Returns the block that spans the same addresses. */
  get({ bytes, length }: Block): T | undefined {
    return this.#lengths.get(length)?.get(keyOf(bytes));
  }

  /** Returns a larger block that contains it. */
  around({ bytes, length: inner }: Block): T | undefined {
    for (const [length, blocks] of this.#lengths) {
      const found = length < inner ? blocks.get(keyOf(masked(bytes, length))) : undefined;
      if (found) return found;
    }
    return undefined;
  }
}

function keyOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
