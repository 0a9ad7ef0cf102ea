/**
 * A stream that a service thread has: its record, and the pages that its bytes lie in (abi/streams.ts). What leaves it
 * are copies: nobody else sees memory that changes.
 */
import {
  EVENT_CLOSING, EVENT_ENDED, EVENT_FINISHED, EVENT_OPENED, IN_ORDERS, LOOK, STREAM_ACKED, STREAM_CAME, STREAM_END,
  STREAM_EVENTS, STREAM_FIRST, STREAM_LISTS, STREAM_READ, STREAM_WISHES, Unopened, WISH_RESET, WISH_ROOM, WISH_SHUT,
} from "../../abi/streams.js";
import {
  ADDRESSES, CONNECTION_SIZE, CONNECTIONS, FLAGS, OWNER, PAGE_BITS, PAGE_NEXT, PAGE_SIZE, PAGES, PORTS, SERVICE, SIX,
} from "../../abi/tcp.js";

/** Bytes of a stream that may be sent and not acknowledged; at least as many as two of the largest packets. */
const MAX_UNACKED = 1 << 18;
/** Bytes of a chunk that is read. */
const CHUNK = 1 << 16;

/** Both ends of a connection, as they lie in the peer's packets. */
export interface Ends {
  /** 4 or 16 bytes. */
  readonly remoteAddress: Uint8Array;
  readonly localAddress: Uint8Array;
  readonly remotePort: number;
  readonly localPort: number;
  /** Owner of the local address; see abi/tables.ts. */
  readonly owner: number;
}

/**
 * Whoever has a stream. Its methods are called when the packet loop has told of it, and never by what it calls. They do
 * not throw: it would leave a ring half read.
 */
export interface Holder {
  /** Bytes have come, or the peer has closed. */
  came(): void;
  /** There may be room for what could not be written. */
  room(): void;
  /** pongd stops, or does not serve the address any more. */
  closing(): void;
  /** The connection is over; `how` is a Closed. */
  ended(how: number): void;
  /** The packet loop has crashed, and the stream is gone. */
  lost(): void;
}

/** Whoever has asked for a connection. One of its methods is called, once, and never by what it calls. */
export interface Opener {
  /** The connection is established. Returns who has its stream, and does not throw. */
  opened(stream: Stream): Holder;
  /** There is no connection; `why` is an Unopened. */
  failed(why: number): void;
}

/** What a stream has of its queue's rings (port.ts). */
export interface Rings {
  readonly words: Int32Array;
  readonly bytes: Buffer;
  /** As of a Port. */
  readonly isStale: boolean;
  readonly now: number;
  readonly flushes: number;
  idOf(service: number): string;
  order(index: number, what: number): number;
  amend(order: number, what: number): void;
  page(): number;
  hungers(stream: Stream): void;
  letGo(stream: Stream): void;
}

/** A stream, from when the thread has it until that lets go of it. */
export class Stream {
  holder: Holder | undefined;
  /** Set until the connection is established, if the thread has asked for it. */
  attempt: Opener | undefined;
  readonly index: number;
  /** Number that tells the stream from others with its index. */
  readonly number: number;
  readonly #port: Rings;
  readonly #words: Int32Array;
  readonly #record: number;
  /** Position up to which has been read; the page of that position, and of which of the lists that is. */
  #read = 0;
  #page = 0;
  #lists = 0;
  /** Bytes that were given to be sent. */
  #written = 0;
  /** The page that they are in, how many, since which of the port's flushes, and its order. */
  #sendPage = 0;
  #filled = PAGE_SIZE;
  #flushes = 0;
  #sendOrder = 0;
  #wishes = 0;
  #events = 0;
  #isGone = false;

  constructor(port: Rings, index: number, record: number, number: number) {
    this.#port = port;
    this.#words = port.words;
    this.#record = record;
    this.index = index;
    this.number = number;
  }

  get ends(): Ends {
    const { bytes } = this.#port;
    const words = this.#words;
    const block = (words[CONNECTIONS / 4] >>> 0) + CONNECTION_SIZE * this.index;
    const length = bytes[block + FLAGS] & SIX ? 16 : 4;
    const address = (at: number) => Uint8Array.from(bytes.subarray(at, at + length));
    const port = (at: number) => bytes[at] << 8 | bytes[at + 1];
    return {
      remoteAddress: address(block + ADDRESSES), localAddress: address(block + ADDRESSES + length),
      remotePort: port(block + PORTS), localPort: port(block + PORTS + 2),
      owner: words[(block + OWNER) / 4],
    };
  }

  /** As of the port. */
  get now(): number {
    return this.#port.now;
  }

  /** Id of the connection's service (prefix/streams.ts); "" for the one that needs no entry. */
  get service(): string {
    const words = this.#words;
    return this.#port.idOf(words[((words[CONNECTIONS / 4] >>> 0) + CONNECTION_SIZE * this.index + SERVICE) / 4] / 4);
  }

  /** Bytes that have come and are not read. */
  get readable(): number {
    if (this.#isGone || this.#port.isStale) return 0;
    return Atomics.load(this.#words, this.#record + STREAM_CAME / 4) - this.#read >>> 0;
  }

  /** True if nothing comes any more but what is readable now. */
  get finished(): boolean {
    return (Atomics.load(this.#words, this.#record + STREAM_EVENTS / 4) & EVENT_FINISHED) !== 0;
  }

  /** Bytes that were given to be sent and that the peer has not acknowledged. */
  get unacked(): number {
    return this.#written - Atomics.load(this.#words, this.#record + STREAM_ACKED / 4) >>> 0;
  }

  /** Returns a copy of bytes that have come, at most CHUNK or `most`; undefined if there are none. */
  read(most = CHUNK): Buffer | undefined {
    const length = Math.min(this.readable, CHUNK, most);
    if (length === 0) return undefined;
    const words = this.#words;
    const { bytes } = this.#port;
    const lists = words[this.#record + STREAM_LISTS / 4];
    let offset = this.#read & PAGE_SIZE - 1;
    if (lists !== this.#lists) {
      this.#lists = lists;
      this.#page = words[this.#record + STREAM_FIRST / 4] >>> 0;
    } else if (offset === 0) {
      this.#page = this.#next(this.#page);
    }
    const chunk = Buffer.allocUnsafe(length);
    for (let at = 0; ;) {
      const count = Math.min(length - at, PAGE_SIZE - offset);
      chunk.set(bytes.subarray(this.#page + offset, this.#page + offset + count), at);
      at += count;
      if (at === length) break;
      offset = 0;
      this.#page = this.#next(this.#page);
    }
    // What was copied may be another stream's if the packet loop has crashed meanwhile.
    if (this.#port.isStale) return undefined;
    this.#read = this.#read + length >>> 0;
    Atomics.store(words, this.#record + STREAM_READ / 4, this.#read);
    this.#order();
    return chunk;
  }

  /**
   * Gives as much to be sent as there is room for, and returns how many bytes that is. If that is not all of them, the
   * holder's room() is called later.
   */
  write(data: Uint8Array): number {
    if (this.#isGone) return data.length;
    for (let at = 0; ;) {
      const place = at < data.length ? this.#place(1) : 0;
      if (place === 0) return at;
      const count = Math.min(data.length - at, PAGE_SIZE - this.#filled);
      this.#port.bytes.set(count === data.length ? data : data.subarray(at, at + count), place);
      this.#fill(count);
      at += count;
    }
  }

  /**
   * Gives a short text to be sent, whose bytes are not made first. Returns how many these are; undefined if none was
   * taken, since there may be no room, or the encoding is none that this does.
   */
  writeText(text: string, encoding: BufferEncoding): number | undefined {
    const most = encoding === "latin1" ? text.length : encoding === "utf8" ? 3 * text.length : Infinity;
    if (most === 0 || most > PAGE_SIZE) return undefined;
    if (this.#isGone) return Buffer.byteLength(text, encoding);
    const place = this.#place(most);
    if (place === 0) return undefined;
    const count = this.#port.bytes.write(text, place, encoding);
    this.#fill(count);
    return count;
  }

  /** Returns where there is room for so many bytes, at most PAGE_SIZE; 0 if there is none now. */
  #place(bytes: number): number {
    const port = this.#port;
    if (this.#flushes === port.flushes && bytes <= PAGE_SIZE - this.#filled) return this.#sendPage + this.#filled;
    if (this.unacked >= MAX_UNACKED) {
      this.#wish(WISH_ROOM);
      // It may have been acknowledged before the wish was seen.
      if (this.unacked >= MAX_UNACKED) return 0;
    }
    const page = port.page();
    if (page === 0) {
      port.hungers(this);
      this.#order();
      return 0;
    }
    if (this.#wishes & WISH_ROOM) this.#unwish(WISH_ROOM);
    this.#sendPage = page;
    this.#filled = 0;
    this.#flushes = port.flushes;
    return page;
  }

  /** So many bytes have been put where #place() said. */
  #fill(count: number): void {
    const isNew = this.#filled === 0;
    this.#filled += count;
    this.#written = this.#written + count >>> 0;
    const what = this.#sendPage + this.#filled - 1;
    if (isNew) this.#sendOrder = this.#port.order(this.index, what);
    else this.#port.amend(this.#sendOrder, what);
  }

  /** Has FIN sent behind all that was written. */
  shut(): void {
    if (this.#isGone) return;
    this.#words[this.#record + STREAM_END / 4] = this.#written;
    this.#wish(WISH_SHUT);
    this.#order();
  }

  reset(): void {
    if (this.#isGone) return;
    this.#wish(WISH_RESET);
    this.#order();
  }

  /** Lets go of the stream. What was written is still sent, if shut() was called; otherwise the peer gets a reset. */
  letGo(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#port.letGo(this);
  }

  /** The packet loop has told of it. */
  look(): void {
    const events = Atomics.load(this.#words, this.#record + STREAM_EVENTS / 4);
    const fresh = events & ~this.#events;
    this.#events = events;
    if (this.attempt) this.#tryOpen(this.attempt, events);
    const { holder } = this;
    if (!holder) return;
    if (this.readable > 0 || fresh & EVENT_FINISHED) holder.came();
    if (this.#wishes & WISH_ROOM && !this.#isGone) holder.room();
    if (fresh & EVENT_CLOSING && !this.#isGone) holder.closing();
    if (fresh & EVENT_ENDED && !this.#isGone) holder.ended(events >>> 16 & 255);
  }

  #tryOpen(attempt: Opener, events: number): void {
    if (events & EVENT_OPENED) {
      this.attempt = undefined;
      this.holder = attempt.opened(this);
    } else if (events & EVENT_ENDED) {
      this.attempt = undefined;
      attempt.failed(events >>> 24);
    }
  }

  /** The stream is gone with the packet loop. */
  lose(): void {
    this.#isGone = true;
    this.holder?.lost();
    this.attempt?.failed(Unopened.ended);
  }

  #order(): void {
    if (Atomics.exchange(this.#words, this.#record + IN_ORDERS / 4, 1) === 0) this.#port.order(this.index, LOOK);
  }

  #wish(wish: number): void {
    this.#wishes |= wish;
    Atomics.store(this.#words, this.#record + STREAM_WISHES / 4, this.#wishes);
  }

  #unwish(wish: number): void {
    this.#wishes &= ~wish;
    Atomics.store(this.#words, this.#record + STREAM_WISHES / 4, this.#wishes);
  }

  #next(page: number): number {
    const words = this.#words;
    return words[(words[PAGE_NEXT / 4] >>> 0) / 4 + (page - (words[PAGES / 4] >>> 0) >>> PAGE_BITS)] >>> 0;
  }
}
