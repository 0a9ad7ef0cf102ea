/**
 * A service thread's side of a queue's datagrams (abi/datagrams.ts). What leaves this file are copies: nobody else sees
 * memory that changes.
 */
import {
  DATA_LEN, DATAGRAM_ADDRESSES, DATAGRAM_FAMILY, DATAGRAM_HEADER, DATAGRAM_OWNER, DATAGRAM_PORTS, DATAGRAM_RING,
  DATAGRAM_SERVICE, MAX_DATA4, MAX_DATA6,
} from "../../abi/datagrams.js";
import {
  ANSWERS_HEAD, ANSWERS_TAIL, ASLEEP, DATAGRAMS_AT, DATAGRAMS_HEAD, DATAGRAMS_TAIL, EPOCH_SEEN, ORDERED, STREAM_EPOCH,
  THREAD_SIZE, THREADS,
} from "../../abi/streams.js";
import { ID_BYTES } from "../prefix/streams.js";
import type { Ends } from "./stream.js";
import { TURN_MS } from "./port.js";

/** Datagrams of a turn, which also ends after TURN_MS, so that the event loop's other work has its turn too. */
const TURN = 64;

/**
 * Sends a datagram from where the first one went to where it came from. Returns false if there is no room for it: then
 * it is lost, as any datagram may be.
 * @throws TypeError, RangeError
 */
export type Reply = (data: Uint8Array | string) => boolean;

export interface Datagram {
  /** Id of the service of its port (prefix/streams.ts). */
  readonly service: string;
  readonly ends: Ends;
  readonly message: Buffer;
  readonly reply: Reply;
}

export class Datagrams {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #thread: number;
  /** Address of the ring of datagrams, and of that of answers. */
  readonly #came: number;
  readonly #answers: number;
  readonly #received: (datagram: Datagram) => void;
  readonly #wake: () => void;
  #epoch: number;
  #head = 0;
  #tail = 0;
  #flushing = false;

  /** `thread`: which of the threads this is, whose Port of the queue has been made. `wake` wakes the packet loop. */
  constructor(
    { buffer }: { readonly buffer: ArrayBufferLike }, thread: number, received: (datagram: Datagram) => void,
    wake: () => void,
  ) {
    this.#words = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#thread = (THREADS + THREAD_SIZE * thread) / 4;
    this.#came = this.#words[this.#thread + DATAGRAMS_AT / 4] >>> 0;
    this.#answers = this.#came + DATAGRAM_RING;
    this.#received = received;
    this.#wake = wake;
    this.#epoch = Atomics.load(this.#words, this.#thread + EPOCH_SEEN / 4);
  }

  /** True if datagrams have come that were not taken yet. */
  get isNews(): boolean {
    return this.#isCurrent() && Atomics.load(this.#words, this.#thread + DATAGRAMS_TAIL / 4) !== this.#head;
  }

  /** Takes datagrams, as many as a turn may. Returns whether there are more. */
  turn(): boolean {
    const end = performance.now() + TURN_MS;
    for (let left = TURN; left > 0 && this.isNews && performance.now() < end; left--) this.#received(this.#take());
    return this.isNews;
  }

  #take(): Datagram {
    const header = new Uint8Array(DATAGRAM_HEADER);
    const record = this.#came + this.#place(this.#head);
    header.set(this.#bytes.subarray(record, record + DATAGRAM_HEADER));
    const view = new DataView(header.buffer);
    const length = view.getUint32(DATA_LEN, true);
    const message = Buffer.allocUnsafe(length);
    const at = this.#place(this.#head + DATAGRAM_HEADER);
    const first = Math.min(length, DATAGRAM_RING - at);
    message.set(this.#bytes.subarray(this.#came + at, this.#came + at + first));
    message.set(this.#bytes.subarray(this.#came, this.#came + length - first), first);
    this.#head = this.#head + sizeOf(length) | 0;
    Atomics.store(this.#words, this.#thread + DATAGRAMS_HEAD / 4, this.#head);
    return {
      service: Buffer.from(header.subarray(DATAGRAM_SERVICE, DATAGRAM_SERVICE + ID_BYTES)).toString("hex"),
      ends: endsOf(header, view), message, reply: (data) => this.#reply(header, data),
    };
  }

  #reply(header: Uint8Array, data: Uint8Array | string): boolean {
    const bytes = typeof data === "string" ? Buffer.from(data) : data as unknown;
    if (!(bytes instanceof Uint8Array)) throw new TypeError("a reply is a string, a Buffer or another Uint8Array");
    const most = header[DATAGRAM_FAMILY] === 6 ? MAX_DATA6 : MAX_DATA4;
    if (bytes.length > most) throw new RangeError(`a reply has ${bytes.length} bytes; a datagram holds ${most}`);
    if (!this.#isCurrent()) return false;
    const used = this.#tail - Atomics.load(this.#words, this.#thread + ANSWERS_HEAD / 4) >>> 0;
    const size = sizeOf(bytes.length);
    if (size > DATAGRAM_RING - used) return false;
    const record = this.#answers + this.#place(this.#tail);
    this.#bytes.set(header, record);
    this.#words[(record + DATA_LEN) / 4] = bytes.length;
    const at = this.#place(this.#tail + DATAGRAM_HEADER);
    const first = Math.min(bytes.length, DATAGRAM_RING - at);
    this.#bytes.set(bytes.subarray(0, first), this.#answers + at);
    this.#bytes.set(bytes.subarray(first), this.#answers);
    this.#tail = this.#tail + size | 0;
    if (!this.#flushing) {
      this.#flushing = true;
      // What is sent within one task leaves together.
      process.nextTick(this.#flush);
    }
    return true;
  }

  readonly #flush = (): void => {
    this.#flushing = false;
    if (!this.#isCurrent()) return;
    Atomics.store(this.#words, this.#thread + ANSWERS_TAIL / 4, this.#tail);
    Atomics.store(this.#words, ORDERED / 4, 1);
    if (Atomics.load(this.#words, ASLEEP / 4) !== 0) this.#wake();
  };

  /**
   * Returns false between a crash of the packet loop and the Port's noticing it. After that, both rings begin anew:
   * what was in them is lost.
   */
  #isCurrent(): boolean {
    const epoch = Atomics.load(this.#words, this.#thread + EPOCH_SEEN / 4);
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#head = this.#tail = 0;
    }
    return Atomics.load(this.#words, STREAM_EPOCH / 4) === epoch;
  }

  #place(position: number): number {
    return position & DATAGRAM_RING - 1;
  }
}

/** Returns the bytes of a record with so much data. */
function sizeOf(length: number): number {
  return DATAGRAM_HEADER + Math.ceil(length / DATAGRAM_HEADER) * DATAGRAM_HEADER;
}

function endsOf(header: Uint8Array, view: DataView): Ends {
  const length = header[DATAGRAM_FAMILY] === 6 ? 16 : 4;
  const address = (at: number) => header.slice(DATAGRAM_ADDRESSES + at, DATAGRAM_ADDRESSES + at + length);
  return {
    remoteAddress: address(0), localAddress: address(length), remotePort: view.getUint16(DATAGRAM_PORTS),
    localPort: view.getUint16(DATAGRAM_PORTS + 2), owner: view.getInt32(DATAGRAM_OWNER, true),
  };
}
