/**
 * Writes and reads journals: what an engine is given, as bytes. A number says how the engine is configured. Entries
 * follow: 16 bits each, and behind them the packet that they announce.
 *
 *   length | TOGETHER    a packet, which is in the same batch as the next one
 *   length               a packet, and the batch's end
 *   TIME | n             n of 256: 2^(n mod 128) ms go by, or come again from 128 on
 *
 * Any bytes are a journal: one that ends too early ends there.
 */
export const TOGETHER = 0x8000;
export const TIME = 0x4000;
export const MAX_LEN = 0x3fff;
export const HEADER_LEN = 4;

/** Writes a journal to memory that another thread may read. */
export class Journal {
  readonly bytes: Buffer;
  /** Where the next entry goes. */
  end = HEADER_LEN;
  /** Where the packet lies that is being written. */
  #entry = 0;

  constructor(buffer: SharedArrayBuffer | ArrayBuffer) {
    this.bytes = Buffer.from(buffer);
  }

  get room(): number {
    return this.bytes.length - this.end;
  }

  begin(configuration: number): void {
    this.bytes.writeUInt32LE(configuration, 0);
    this.end = HEADER_LEN;
  }

  /** Returns where a packet of up to MAX_LEN bytes is to be written, before packet(). */
  open(): number {
    this.#entry = this.end;
    return this.end + 2;
  }

  packet(length: number, together: boolean): void {
    this.bytes.writeUInt16LE(length | (together ? TOGETHER : 0), this.#entry);
    this.end = this.#entry + 2 + length;
  }

  time(exponent: number, back: boolean): void {
    this.bytes.writeUInt16LE(TIME | (back ? 128 : 0) | exponent, this.end);
    this.end += 2;
  }
}

/** Yields the entries of a journal that lie between two places of it; one of time has nothing behind its 16 bits. */
export function* entries(
  bytes: Uint8Array, from = HEADER_LEN, to = bytes.length,
): Generator<{ from: number; to: number }> {
  for (let at = from; at + 2 <= to;) {
    const word = bytes[at] | bytes[at + 1] << 8;
    const end = at + 2 + (word & TIME ? 0 : word & MAX_LEN);
    if (end > to) return;
    yield { from: at, to: end };
    at = end;
  }
}
