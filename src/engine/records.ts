/**
 * Reads records of a queue's memory from another thread, while the packet loop changes them. A record may be half
 * written, or be another one's by the time that it is read. So it is copied, and what says whose it is is compared with
 * what is there then. Nothing in it is to be used as an address or an index before it is checked.
 */
import type { Block } from "../prefix/prefixes.js";

/** One end of a connection or a session. */
export interface Endpoint {
  /** Address, 4 or 16 bytes. */
  readonly bytes: Uint8Array;
  readonly port: number;
}

/** Offsets in a record: the first byte, and the first one behind. */
export type Span = readonly [from: number, end: number];

/** Records that are looked at between two looks at the time. */
export const STEP = 1024;
/** Times that a record which changes is read. */
const READS = 4;

/** A copy of a record, one at a time. */
export class RecordCopy {
  readonly #memory: Uint8Array;
  readonly bytes: Uint8Array;
  readonly view: DataView;

  /** `size`: bytes of the longest record. */
  constructor(memory: Uint8Array, size: number) {
    this.#memory = memory;
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }

  /**
   * Copies the record of `size` bytes at `at`. Returns false if what lies in the spans has changed meanwhile each time:
   * it has become another one's, or a number of 64 bits has passed 2^32.
   */
  take(at: number, size: number, spans: readonly Span[]): boolean {
    for (let i = 0; i < READS; i++) {
      this.bytes.set(this.#memory.subarray(at, at + size));
      if (spans.every((span) => this.#isStill(at, span))) return true;
    }
    return false;
  }

  #isStill(at: number, [from, end]: Span): boolean {
    for (let i = from; i < end; i++) if (this.#memory[at + i] !== this.bytes[i]) return false;
    return true;
  }

  /** Returns both ends. Addresses, of `size` bytes each, and ports lie as in a packet of the peer's. */
  ends(addresses: number, size: number, ports: number): { readonly remote: Endpoint; readonly local: Endpoint } {
    return {
      remote: { bytes: this.bytes.slice(addresses, addresses + size), port: this.view.getUint16(ports) },
      local: { bytes: this.bytes.slice(addresses + size, addresses + 2 * size), port: this.view.getUint16(ports + 2) },
    };
  }
}

/** Returns how many records of this size there are up to the memory's end, at most. */
export function roomFor(memory: Uint8Array, from: number, size: number): number {
  return Math.floor((memory.length - from) / size);
}

/** Returns whether a block contains the address of `size` bytes at `at`. */
export function isWithin(block: Block, bytes: Uint8Array, at: number, size: number): boolean {
  if (block.bytes.length !== size) return false;
  const whole = block.length >> 3;
  for (let i = 0; i < whole; i++) if (bytes[at + i] !== block.bytes[i]) return false;
  const bits = block.length & 7;
  return bits === 0 || (bytes[at + whole] ^ block.bytes[whole]) >> 8 - bits === 0;
}
