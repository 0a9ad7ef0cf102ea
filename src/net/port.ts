/**
 * A service thread's side of a queue's streams (abi/streams.ts): the rings, and each stream's record. Only this file of
 * the thread's reads and writes the queue's memory. What leaves it are copies: nobody else sees memory that changes.
 */
import {
  ASLEEP, CONNECT, DOZES, EPOCH_SEEN, EVENT_ASKED, EVENT_CLOSING, EVENT_ENDED, EVENT_FINISHED, EVENT_OPENED, IN_NEWS,
  IN_ORDERS, LENT_AT, LENT_HEAD, LENT_TAIL, LET_GO, LOOK, MAX_LENT, NEWS_AT, NEWS_HEAD, NEWS_MASK, NEWS_TAIL, ORDERED,
  ORDERS_AT, ORDERS_MASK, ORDERS_TAIL, REQUEST_ADDRESSES, REQUEST_FAMILY, REQUEST_NUMBER, REQUEST_PORTS, STREAM_ACKED,
  STREAM_CAME, STREAM_END, STREAM_EPOCH, STREAM_EVENTS, STREAM_FIRST, STREAM_LISTS, STREAM_NUMBER, STREAM_READ,
  STREAM_REQUEST, STREAM_SIZE, STREAM_THREAD, STREAM_WISHES, STREAMS, TAKEN, THREAD_SIZE, THREADS, Unopened, WISH_RESET,
  WISH_ROOM, WISH_SHUT,
} from "../../abi/streams.js";
import {
  ADDRESSES, CONNECTION_SIZE, CONNECTIONS, FLAGS, MAX_SERVICES, NAMED_SERVICES, OWNER, PAGE_BITS, PAGE_NEXT,
  PAGE_SIZE, PAGES, PORTS, SERVICE, SERVICE_BYTES, SERVICE_BYTES_LEN, SERVICE_SIZE, SERVICE_USERS, SERVICES, SIX,
} from "../../abi/tcp.js";
import { ID_BYTES } from "../prefix/streams.js";

/** Bytes of a stream that may be sent and not acknowledged; at least as many as two of the largest packets. */
const MAX_UNACKED = 1 << 18;
/** News of a turn, and the time in ms that they may take, so that the event loop's other work has its turn too. */
const TURN = 256;
export const TURN_MS = 20;
/** Bytes of a chunk that is read. */
const CHUNK = 1 << 16;
/** Index that no stream has. */
const NO_STREAM = -1;

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

/** Both ends of a connection that is to be opened. The addresses are of one family. */
export interface Target {
  /** 4 or 16 bytes, of a prefix that is served. */
  readonly localAddress: Uint8Array;
  /** 0 has the packet loop choose one. */
  readonly localPort: number;
  readonly remoteAddress: Uint8Array;
  readonly remotePort: number;
}

/** Whoever has asked for a connection. One of its methods is called, once, and never by what it calls. */
export interface Opener {
  /** The connection is established. Returns who has its stream, and does not throw. */
  opened(stream: Stream): Holder;
  /** There is no connection; `why` is an Unopened. */
  failed(why: number): void;
}

/** A connection that was asked for and is not established. */
export interface Opening {
  /**
   * Nobody wants it any more: the opener hears nothing of it. It may be established without the thread having heard of
   * that; then it ends by FIN, or with `resets` by a reset.
   */
  giveUp(resets?: boolean): void;
}

export class Port {
  /** A connection that the thread has from now on. It has to be given a holder. */
  readonly #opened: (stream: Stream) => Holder;
  /** Wakes the packet loop. */
  readonly #wake: () => void;
  readonly #streams = new Map<number, Stream>();
  /** Numbers of the streams that were let go last, by index: the packet loop may have told of them meanwhile. */
  readonly #gone = new Map<number, number>();
  /** Streams that wait for a page. */
  readonly #hungry = new Set<Stream>();
  /** Connections to be asked for once there is a page, and those that were, by their number. */
  readonly #waiting = new Set<Attempt>();
  readonly #asked = new Map<number, Attempt>();
  #request = 0;
  /** Pages that were taken out of LENT, and answers that were found there: a number and an Unopened. */
  readonly #pages: number[] = [];
  readonly #answers: (readonly [number, number])[] = [];
  /** What the packet loop has been told, as of then. */
  #ordersTail = 0;
  #newsHead = 0;
  #lentHead = 0;
  #taken = 0;
  #epoch: number;
  #turning = false;
  #flushing = false;
  #behind = false;
  #now = 0;
  /** How often the packet loop was told of orders: what was ordered since may still be changed. */
  flushes = 0;
  readonly #index: number;
  readonly #thread: number;
  readonly #news: number;
  readonly #newsMask: number;
  readonly #orders: number;
  readonly #ordersMask: number;
  readonly #lent: number;
  readonly words: Int32Array;
  readonly bytes: Buffer;

  /** `thread`: which of the threads this is. */
  constructor(
    { buffer }: { readonly buffer: ArrayBufferLike }, thread: number, opened: (stream: Stream) => Holder,
    wake: () => void,
  ) {
    const words = this.words = new Int32Array(buffer);
    this.bytes = Buffer.from(buffer);
    this.#opened = opened;
    this.#wake = wake;
    this.#index = thread;
    const at = this.#thread = (THREADS + THREAD_SIZE * thread) / 4;
    this.#news = words[at + NEWS_AT / 4] / 4;
    this.#newsMask = words[at + NEWS_MASK / 4];
    this.#orders = words[at + ORDERS_AT / 4] / 4;
    this.#ordersMask = words[at + ORDERS_MASK / 4];
    this.#lent = words[at + LENT_AT / 4] / 4;
    this.#epoch = Atomics.load(words, STREAM_EPOCH / 4);
    Atomics.store(words, at + EPOCH_SEEN / 4, this.#epoch);
  }

  /** True once the packet loop has crashed, and so has forgotten everything, and turn() has not been called since. */
  get isStale(): boolean {
    return Atomics.load(this.words, STREAM_EPOCH / 4) !== this.#epoch;
  }

  /** Time in ms, by performance.now(); within a turn, that of its beginning. */
  get now(): number {
    return this.#turning ? this.#now : performance.now();
  }

  /** Streams that the thread has. */
  get count(): number {
    return this.#streams.size;
  }

  /** Ids of the services that connections have (prefix/streams.ts), whichever thread has these. */
  get services(): Set<string> {
    const ids = new Set<string>();
    for (let index = NAMED_SERVICES; index < MAX_SERVICES; index++) {
      const service = (SERVICES + SERVICE_SIZE * index) / 4;
      if (Atomics.load(this.words, service + SERVICE_USERS / 4) > 0) ids.add(this.idOf(service));
    }
    return ids;
  }

  /** Returns the id of the service whose record begins at this word. */
  idOf(service: number): string {
    const [at, length] = [this.words[service + SERVICE_BYTES / 4] >>> 0, this.words[service + SERVICE_BYTES_LEN / 4]];
    return Buffer.from(this.bytes.subarray(at, at + Math.min(length, ID_BYTES))).toString("hex");
  }

  /** Looks at news, as much as a turn may take. Returns whether there is more to look at. */
  turn(): boolean {
    const { words } = this;
    if (this.isStale) this.#lose();
    this.#now = performance.now();
    this.#turning = true;
    const tail = Atomics.load(words, this.#thread + NEWS_TAIL / 4);
    let left = TURN;
    for (; this.#newsHead !== tail && left > 0 && !this.isStale; left--) {
      const index = words[this.#news + (this.#newsHead & this.#newsMask)];
      this.#newsHead = this.#newsHead + 1 | 0;
      this.#look(index);
      if (performance.now() - this.#now > TURN_MS) break;
    }
    words[this.#thread + NEWS_HEAD / 4] = this.#newsHead;
    if (this.#asked.size > 0) this.#hear();
    if (this.#waiting.size > 0) this.#askWaiting();
    if (this.#hungry.size > 0 && this.#hasPage()) {
      const hungry = [...this.#hungry];
      this.#hungry.clear();
      for (const stream of hungry) stream.holder?.room();
    }
    this.#turning = false;
    this.flush();
    return this.#newsHead !== tail;
  }

  /** Says that the thread is about to sleep. Returns false if there is news: then it must not. */
  doze(): boolean {
    const { words } = this;
    Atomics.store(words, this.#thread + DOZES / 4, 1);
    const isNews = Atomics.load(words, this.#thread + NEWS_TAIL / 4) !== this.#newsHead || this.#answers.length > 0
      || (this.#hungry.size + this.#waiting.size > 0 && this.#hasPage()) || (this.#asked.size > 0 && this.#isLent())
      || this.isStale;
    if (isNews) Atomics.store(words, this.#thread + DOZES / 4, 0);
    return !isNews;
  }

  /** Has the packet loop take the orders. */
  flush(): void {
    this.#flushing = false;
    const { words } = this;
    if (!this.#behind || this.isStale) return;
    this.#behind = false;
    this.flushes++;
    Atomics.store(words, this.#thread + ORDERS_TAIL / 4, this.#ordersTail);
    Atomics.store(words, ORDERED / 4, 1);
    if (Atomics.load(words, ASLEEP / 4) !== 0) this.#wake();
  }

  /** The packet loop has ended: hears what it has told, and then nothing is left of any stream. */
  end(): void {
    while (this.turn());
    this.#forget();
  }

  /** Returns which order it is, for amend(). */
  order(index: number, what: number): number {
    const at = this.#orders + 2 * (this.#ordersTail & this.#ordersMask);
    this.words[at] = index;
    this.words[at + 1] = what;
    this.#ordersTail = this.#ordersTail + 1 | 0;
    this.#behind = true;
    // What is done within a turn, or within one task, leaves together.
    if (!this.#turning && !this.#flushing) {
      this.#flushing = true;
      process.nextTick(this.#flush);
    }
    return at;
  }

  /** Changes an order that the packet loop has not been told of. */
  amend(order: number, what: number): void {
    this.words[order + 1] = what;
  }

  /** Takes an empty page, and returns its address; 0 if there is none. */
  page(): number {
    if (this.isStale) return 0;
    if (this.#pages.length === 0 && this.#isLent()) this.#takeLent();
    return this.#pages.pop() ?? 0;
  }

  /**
   * Asks for a connection.
   * @throws RangeError for addresses of two families, or no port's number
   */
  connect(target: Target, opener: Opener): Opening {
    const { localAddress, localPort, remoteAddress, remotePort } = target;
    const { length } = localAddress;
    if (length !== remoteAddress.length || (length !== 4 && length !== 16)) throw new RangeError("not of one family");
    for (const port of [localPort, remotePort]) if (!(port >= 0 && port <= 65535)) throw new RangeError(`port ${port}`);
    const attempt = new Attempt(target, opener);
    if (!this.#ask(attempt)) {
      this.#waiting.add(attempt);
      // The packet loop lends pages when it has orders.
      if (this.#waiting.size === 1) this.order(NO_STREAM, LOOK);
    }
    return attempt;
  }

  /** Calls the stream's holder when there are pages again. The packet loop lends them when it has orders. */
  hungers(stream: Stream): void {
    this.#hungry.add(stream);
  }

  letGo(stream: Stream): void {
    this.#streams.delete(stream.index);
    this.#gone.set(stream.index, stream.number);
    this.#hungry.delete(stream);
    this.order(stream.index, LET_GO);
  }

  readonly #flush = (): void => {
    this.flush();
  };

  #hasPage(): boolean {
    return this.#pages.length > 0 || this.#isLent();
  }

  #isLent(): boolean {
    return Atomics.load(this.words, this.#thread + LENT_TAIL / 4) !== this.#lentHead;
  }

  /** Takes a page out of LENT. If it has a request that was refused, the answer waits for the next turn. */
  #takeLent(): void {
    const entry = this.words[this.#lent + (this.#lentHead & MAX_LENT - 1)] >>> 0;
    this.#lentHead = this.#lentHead + 1 | 0;
    this.words[this.#thread + LENT_HEAD / 4] = this.#lentHead;
    const why = entry & PAGE_SIZE - 1;
    if (why > 0) this.#answers.push([this.words[(entry - why + REQUEST_NUMBER) / 4], why]);
    this.#pages.push(entry - why);
  }

  /** Looks for answers of requests that were refused at once. */
  #hear(): void {
    while (this.#isLent()) this.#takeLent();
    for (const [number, why] of this.#answers.splice(0)) {
      const attempt = this.#asked.get(number);
      this.#asked.delete(number);
      attempt?.fail(why);
    }
  }

  /** Writes a request into a page. Returns false if there is none. */
  #ask(attempt: Attempt): boolean {
    const page = this.page();
    if (page === 0) return false;
    const { localAddress, localPort, remoteAddress, remotePort } = attempt.target;
    const { words, bytes } = this;
    this.#request = this.#request + 1 | 0;
    words[(page + REQUEST_NUMBER) / 4] = this.#request;
    words[(page + REQUEST_FAMILY) / 4] = localAddress.length === 4 ? 4 : 6;
    bytes.set(remoteAddress, page + REQUEST_ADDRESSES);
    bytes.set(localAddress, page + REQUEST_ADDRESSES + remoteAddress.length);
    bytes.set([remotePort >> 8, remotePort & 255, localPort >> 8, localPort & 255], page + REQUEST_PORTS);
    this.#asked.set(this.#request, attempt);
    this.order(page | 0, CONNECT);
    return true;
  }

  #askWaiting(): void {
    for (const attempt of this.#waiting) {
      if (!attempt.isOver && !this.#ask(attempt)) return;
      this.#waiting.delete(attempt);
    }
  }

  #look(index: number): void {
    const record = (this.words[STREAMS / 4] >>> 0) / 4 + index * STREAM_SIZE / 4;
    // Before its record is read: what changes from now on is told anew.
    Atomics.and(this.words, record + IN_NEWS / 4, ~(1 << this.#index));
    const known = this.#streams.get(index);
    if (known) {
      known.look();
      return;
    }
    // The news may be of a stream that was let go, and the block another one's, or another thread's, by now. If that
    // changes while the record is read, whoever has the block then is told anew.
    const number = Atomics.load(this.words, record + STREAM_NUMBER / 4);
    const events = Atomics.load(this.words, record + STREAM_EVENTS / 4) & (EVENT_OPENED | EVENT_ASKED);
    const isMine = Atomics.load(this.words, record + STREAM_THREAD / 4) === this.#index;
    if (events === 0 || !isMine || this.#gone.get(index) === number || this.isStale) return;
    if (Atomics.load(this.words, record + STREAM_NUMBER / 4) !== number) return;
    this.#gone.delete(index);
    const stream = new Stream(this, index, record, number);
    this.#streams.set(index, stream);
    if (events & EVENT_ASKED) {
      const request = this.words[record + STREAM_REQUEST / 4];
      const attempt = this.#asked.get(request);
      this.#asked.delete(request);
      if (attempt) attempt.has(stream);
      else stream.letGo();
      return;
    }
    this.#taken = this.#taken + 1 | 0;
    Atomics.store(this.words, this.#thread + TAKEN / 4, this.#taken);
    stream.holder = this.#opened(stream);
    stream.look();
  }

  /** The packet loop has crashed and forgotten everything. */
  #lose(): void {
    const { words } = this;
    this.#epoch = Atomics.load(words, STREAM_EPOCH / 4);
    this.#newsHead = this.#ordersTail = this.#lentHead = this.#taken = 0;
    this.#behind = false;
    this.flushes++;
    words.fill(0, this.#thread + NEWS_HEAD / 4, this.#thread + TAKEN / 4 + 1);
    Atomics.store(words, this.#thread + EPOCH_SEEN / 4, this.#epoch);
    this.#forget();
  }

  /** Nothing is left of any stream. */
  #forget(): void {
    const streams = [...this.#streams.values()];
    const attempts = [...this.#asked.values(), ...this.#waiting];
    this.#streams.clear();
    this.#gone.clear();
    this.#hungry.clear();
    this.#waiting.clear();
    this.#asked.clear();
    this.#pages.length = this.#answers.length = 0;
    for (const stream of streams) stream.lose();
    for (const attempt of attempts) attempt.fail(Unopened.ended);
  }
}

/** A connection that was asked for, until it is established or there is none. */
class Attempt implements Opening {
  isOver = false;
  readonly target: Target;
  readonly #opener: Opener;
  #stream: Stream | undefined;
  #resets = false;

  constructor(target: Target, opener: Opener) {
    this.target = target;
    this.#opener = opener;
  }

  giveUp(resets = false): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#resets = resets;
    if (this.#stream) this.#end(this.#stream);
  }

  /** The packet loop has a block for it. */
  has(stream: Stream): void {
    if (this.isOver) {
      this.#end(stream);
      return;
    }
    this.#stream = stream;
    stream.attempt = this;
    stream.look();
  }

  open(stream: Stream): Holder {
    this.isOver = true;
    return this.#opener.opened(stream);
  }

  fail(why: number): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#stream?.letGo();
    this.#opener.failed(why);
  }

  #end(stream: Stream): void {
    if (!this.#resets) stream.shut();
    stream.letGo();
  }
}

/** A stream, from when the thread has it until that lets go of it. */
export class Stream {
  holder: Holder | undefined;
  /** Set until the connection is established, if the thread has asked for it. */
  attempt: Attempt | undefined;
  readonly index: number;
  /** Number that tells the stream from others with its index. */
  readonly number: number;
  readonly #port: Port;
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

  constructor(port: Port, index: number, record: number, number: number) {
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

  #tryOpen(attempt: Attempt, events: number): void {
    if (events & EVENT_OPENED) {
      this.attempt = undefined;
      this.holder = attempt.open(this);
    } else if (events & EVENT_ENDED) {
      this.attempt = undefined;
      attempt.fail(events >>> 24);
    }
  }

  /** The stream is gone with the packet loop. */
  lose(): void {
    this.#isGone = true;
    this.holder?.lost();
    this.attempt?.fail(Unopened.ended);
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
