/** Makes inputs from other inputs, by a few random changes each. */
import type { Random } from "../support/random.js";

/** Numbers at which a range ends, or the sign or the length in text changes. */
const BORDERS = [0n, 1n, 2n, 3n, 4n, 7n, 8n, 15n, 16n, 31n, 32n, 63n, 64n, 127n, 128n, 255n, 256n, 1023n, 1024n, 4095n,
  4096n, 32767n, 32768n, 65535n, 65536n,
  262144n, 0x7fffffffn, 0x80000000n, 0xfffffffcn, 0xffffffffn, 0x100000000n, 0x7fffffffffffffffn, 0xffffffffffffffffn];
/** Texts that stand for a number, and may be none. */
const NUMBERS = [
  ...BORDERS.map(String), "-1", "-0", "00", "0x10", "0o17", "1e3", "1e309", "1.5", ".5", "5.", "NaN", "Infinity",
  "9007199254740993",
];
/** The most changes to one input. */
const CHANGES = 6;

export class Mutator {
  readonly #random: Random;
  readonly #dictionary: readonly Uint8Array[];
  readonly #maxLen: number;

  /** `dictionary`: texts and bytes that mean something to the reader. `maxLen`: the most bytes of an input. */
  constructor(random: Random, dictionary: readonly Uint8Array[], maxLen: number) {
    this.#random = random;
    this.#dictionary = dictionary;
    this.#maxLen = maxLen;
  }

  /** Returns a new input made from `input`, perhaps with parts of `other`. */
  mutate(input: Uint8Array, other: Uint8Array): Uint8Array {
    let bytes: Buffer = Buffer.from(input);
    for (let changes = 1 + this.#random.below(CHANGES); changes > 0; changes--) bytes = this.#change(bytes, other);
    return new Uint8Array(bytes.subarray(0, this.#maxLen));
  }

  #change(bytes: Buffer, other: Uint8Array): Buffer {
    const random = this.#random;
    const at = random.below(bytes.length + 1);
    // Short blocks are what formats are made of.
    const length = Math.min(bytes.length - at, 1 + random.below(random.oneIn(3) ? 256 : 8));
    switch (random.below(14)) {
      case 0:
        return edit(bytes, at, 1, Uint8Array.of(bytes[at % Math.max(1, bytes.length)] ^ 1 << random.below(8)));
      case 1:
        return edit(bytes, at, 1, Uint8Array.of(random.below(256)));
      case 2:
        return edit(bytes, at, length, new Uint8Array(0));
      case 3:
        return edit(bytes, random.below(bytes.length + 1), 0, bytes.subarray(at, at + length));
      case 4:
        return edit(bytes, at, 0, Uint8Array.from({ length: 1 + random.below(8) }, () => random.below(256)));
      case 5:
      case 6:
        return this.#dictionary.length === 0 ? bytes : edit(bytes, at, 0, random.pick(this.#dictionary));
      case 7: {
        const token = this.#dictionary.length === 0 ? Uint8Array.of(0) : random.pick(this.#dictionary);
        return edit(bytes, at, random.oneIn(2) ? token.length : length, token);
      }
      case 8: {
        const from = random.below(other.length + 1);
        return edit(bytes, at, random.oneIn(2) ? length : 0, other.subarray(from, from + 1 + random.below(64)));
      }
      case 9:
        return Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.length + 1))]);
      case 10:
        return edit(bytes, at, 1, Uint8Array.of(bytes[at % Math.max(1, bytes.length)] + random.below(9) - 4));
      case 11:
      case 12:
        return this.#number(bytes, at);
      default:
        return this.#decimal(bytes, at);
    }
  }

  /** Writes a border in 1, 2, 4 or 8 bytes, or how long the input is, or what is left of it. */
  #number(bytes: Buffer, at: number): Buffer {
    const width = this.#random.pick([1, 2, 4, 8]);
    const near = BigInt(this.#random.below(3) - 1);
    const value = this.#random.pick([
      this.#random.pick(BORDERS), this.#random.pick(BORDERS) + near, BigInt(bytes.length) + near,
      BigInt(bytes.length - at) + near,
    ]);
    const number = Uint8Array.from({ length: width }, (_, i) => Number(value >> BigInt(8 * i) & 0xffn));
    return edit(bytes, at, width, this.#random.oneIn(2) ? number : number.reverse());
  }

  /** Replaces the decimal number at or behind that place, if there is one. */
  #decimal(bytes: Buffer, at: number): Buffer {
    const digits = /\d+/g;
    digits.lastIndex = at;
    const found = digits.exec(bytes.toString("latin1"));
    return found ? edit(bytes, found.index, found[0].length, Buffer.from(this.#random.pick(NUMBERS))) : bytes;
  }
}

/** Replaces `length` bytes at `at`. */
function edit(bytes: Buffer, at: number, length: number, by: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, at), by, bytes.subarray(at + length)]);
}
