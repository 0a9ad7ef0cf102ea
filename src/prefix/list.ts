/**
 * Prefixes in shared memory: made once by the thread that reads a configuration, and handed to every thread that needs
 * them without a copy.
 *
 *     u32 count, u32 bytes of names
 *     count entries: u8[16] address, u8 family, u8 length, u16 bytes of the name, u32 offset of the name, u32 index
 *     the names, in UTF-8
 */
import { FAMILIES, formatBytes, type Block, type Family, type Prefix } from "./prefixes.js";

const HEADER = 8;
const ENTRY = 28;
const FAMILY = 16;
const LENGTH = 17;
const NAME_LENGTH = 18;
const NAME = 20;
const INDEX = 24;

/** A prefix with its name and the index at which it is counted. */
export interface Listed extends Prefix {
  readonly name: string | undefined;
  readonly index: number;
}

export class PrefixList implements Iterable<Listed> {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  /** Reads what of() has made. */
  constructor(readonly buffer: SharedArrayBuffer) {
    this.#view = new DataView(buffer);
    this.#bytes = new Uint8Array(buffer);
  }

  /** Makes the list of these prefixes. `indices` has the index of each; by default it is the position. */
  static of(
    prefixes: readonly (Prefix & { readonly name?: string | undefined })[], indices?: readonly number[],
  ): PrefixList {
    const namesAt = HEADER + ENTRY * prefixes.length;
    const namesLength = prefixes.reduce((sum, { name = "" }) => sum + Buffer.byteLength(name), 0);
    const list = new PrefixList(new SharedArrayBuffer(namesAt + namesLength));
    const names = Buffer.from(list.buffer);
    const view = list.#view;
    view.setUint32(0, prefixes.length);
    view.setUint32(4, namesLength);
    let nameAt = namesAt;
    for (const [i, { family, bytes, length, name }] of prefixes.entries()) {
      const at = HEADER + ENTRY * i;
      const nameLength = name === undefined ? 0 : names.write(name, nameAt);
      list.#bytes.set(bytes, at);
      view.setUint8(at + FAMILY, family);
      view.setUint8(at + LENGTH, length);
      view.setUint16(at + NAME_LENGTH, nameLength);
      view.setUint32(at + NAME, name === undefined ? 0 : nameAt);
      view.setUint32(at + INDEX, indices?.[i] ?? i);
      nameAt += nameLength;
    }
    return list;
  }

  get length(): number {
    return this.#view.getUint32(0);
  }

  /** Families of the prefixes. */
  get families(): Family[] {
    const found = new Set<number>();
    for (let i = 0; i < this.length && found.size < FAMILIES.length; i++) {
      found.add(this.#view.getUint8(HEADER + ENTRY * i + FAMILY));
    }
    return FAMILIES.filter((family) => found.has(family));
  }

  /** Returns the index at which prefix `i` is counted. */
  index(i: number): number {
    return this.#view.getUint32(HEADER + ENTRY * i + INDEX);
  }

  /** Returns the addresses of prefix `i`, which is quicker than all about it. */
  block(i: number): Block {
    const at = HEADER + ENTRY * i;
    const bytes = this.#bytes.slice(at, at + (this.#view.getUint8(at + FAMILY) === 4 ? 4 : 16));
    return { bytes, length: this.#view.getUint8(at + LENGTH) };
  }

  /** The addresses of all prefixes, one after the other. */
  get blocks(): Iterable<Block> {
    return { [Symbol.iterator]: () => this.#blocks() };
  }

  at(i: number): Listed {
    const at = HEADER + ENTRY * i;
    const family = this.#view.getUint8(at + FAMILY) as Family;
    const { bytes, length } = this.block(i);
    const nameAt = this.#view.getUint32(at + NAME);
    const name = nameAt === 0
      ? undefined
      : new TextDecoder().decode(this.#bytes.slice(nameAt, nameAt + this.#view.getUint16(at + NAME_LENGTH)));
    return { family, bytes, length, text: `${formatBytes(bytes)}/${length}`, name, index: this.index(i) };
  }

  * #blocks(): Generator<Block, void, undefined> {
    for (let i = 0; i < this.length; i++) yield this.block(i);
  }

  * [Symbol.iterator](): Generator<Listed, void, undefined> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }
}
