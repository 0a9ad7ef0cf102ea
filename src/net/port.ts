/**
 * A service thread's side of a queue's streams (abi/streams.ts): the rings. Of what a thread runs, only this file,
 * stream.ts and datagrams.ts read and write the queue's memory.
 */
import {
  ASLEEP, CONNECT, DOZES, EPOCH_SEEN, EVENT_ASKED, EVENT_OPENED, IN_NEWS, LENT_AT, LENT_HEAD, LENT_TAIL, LET_GO, LOOK,
  MAX_LENT, NEWS_AT, NEWS_HEAD, NEWS_MASK, NEWS_TAIL, ORDERED, ORDERS_AT, ORDERS_MASK, ORDERS_TAIL, REQUEST_ADDRESSES,
  REQUEST_FAMILY, REQUEST_NUMBER, REQUEST_PORTS, STREAM_EPOCH, STREAM_EVENTS, STREAM_NUMBER, STREAM_REQUEST,
  STREAM_SIZE, STREAM_THREAD, STREAMS, TAKEN, THREAD_SIZE, THREADS, Unopened,
} from "../../abi/streams.js";
import {
  MAX_SERVICES, NAMED_SERVICES, PAGE_SIZE, SERVICE_BYTES, SERVICE_BYTES_LEN, SERVICE_SIZE, SERVICE_USERS, SERVICES,
} from "../../abi/tcp.js";
import { ID_BYTES } from "../prefix/streams.js";
import { Attempt, type Opening, type Target } from "./attempt.js";
import { type Holder, type Opener, type Rings, Stream } from "./stream.js";

/** News of a turn, and the time in ms that they may take, so that the event loop's other work has its turn too. */
const TURN = 256;
export const TURN_MS = 20;
/** Index that no stream has. */
const NO_STREAM = -1;

export class Port implements Rings {
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
      attempt?.failed(why);
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
    for (const attempt of attempts) attempt.failed(Unopened.ended);
  }
}
