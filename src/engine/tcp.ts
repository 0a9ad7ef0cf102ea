/**
 * TCP's part of a queue's memory: where connections, TIME-WAIT records, pages and services lie. assembly/tcp/ uses it.
 */
import { DATAGRAM_RING } from "../../abi/datagrams.js";
import { MAX_TOUCHED } from "../../abi/slots.js";
import {
  DATAGRAMS_AT, LENT_AT, LENT_ENTRY, MAX_LENT, NEWS_AT, NEWS_ENTRY, NEWS_FOR, NEWS_MASK, NEWS_TAIL, ORDERED,
  ORDERS_AT, ORDERS_ENTRY, ORDERS_MASK, PAGE_FILLED, STARVED, STREAM_EPOCH, STREAM_SIZE, STREAMS, THREAD_COUNT,
  THREAD_SIZE, THREAD_STATE, ThreadState, THREADS, TOLD,
} from "../../abi/streams.js";
import {
  CONNECTION_SIZE, CONNECTIONS, CONNECTIONS_TOUCHED, HASH, HASH_KEY, HASH_MASK, MAX_BY_SOURCE, MAX_CONNECTIONS,
  MAX_PAGES, MAX_WAITS, PAGE_NEXT, PAGE_SIZE, PAGES, SERVICE_ROOM, SERVICE_ROOM_SIZE, SERVICE_SIZE,
  SERVICE_USERS, SERVICES, MAX_SERVICES, TCP_STATE_END, TS_OFFSET, WAIT_SIZE, WAITS,
} from "../../abi/tcp.js";

export interface TcpLimits {
  /** Maximum number of connections. Those that answer without a connection, as resets do, need none. */
  readonly connections: number;
  /** Maximum bytes of what is kept of streams. */
  readonly memory: number;
  /** Maximum number of connections of one source; 0 for no limit. */
  readonly bySource: number;
  /** Number of service threads, up to MAX_SERVICE_THREADS; none by default. */
  readonly threads?: number;
  /** Secrets that nobody outside may know, SECRETS bytes; all queues need the same ones. */
  readonly secrets: Uint8Array;
}

/** Bytes of secrets. */
export const SECRETS = TS_OFFSET + 4 - HASH_KEY;
/** Most TIME-WAIT records: a minute of more than a thousand connections a second. */
const MOST_WAITS = 65_536;
const ALIGN = 4096;

/** Where the parts lie, from the address that is given on. */
export interface TcpLayout {
  readonly connections: number;
  readonly hash: number;
  readonly hashEntries: number;
  readonly waits: number;
  readonly maxWaits: number;
  readonly pageNext: number;
  readonly pages: number;
  readonly maxPages: number;
  /** Where the parts of streams lie; undefined without service threads. */
  readonly streams: StreamLayout | undefined;
  readonly services: number;
  readonly servicesSize: number;
  readonly end: number;
}

interface Rings {
  readonly news: number;
  readonly orders: number;
  readonly lent: number;
  readonly datagrams: number;
}

/** Addresses of records, of the lengths of pages, and of each thread's rings. */
interface StreamLayout {
  readonly records: number;
  readonly pageFilled: number;
  readonly rings: readonly Rings[];
  readonly newsEntries: number;
  readonly ordersEntries: number;
}

/** Returns where TCP's parts lie behind `from`, with room for `services` bytes of services. */
export function layoutOf(from: number, limits: TcpLimits | undefined, services: number): TcpLayout {
  let end = from;
  const reserve = (bytes: number) => {
    const at = Math.ceil(end / ALIGN) * ALIGN;
    end = at + bytes;
    return at;
  };
  const { connections = 0, memory = 0, threads = 0 } = limits ?? {};
  const maxWaits = Math.min(connections, MOST_WAITS);
  const maxPages = Math.floor(memory / PAGE_SIZE);
  const hashEntries = connections > 0 ? powerOf2(connections) : 0;
  const newsEntries = powerOf2(connections);
  const ordersEntries = powerOf2(2 * connections + MAX_LENT);
  const streams = () => ({
    records: reserve(STREAM_SIZE * connections), pageFilled: reserve(2 * maxPages), newsEntries, ordersEntries,
    rings: Array.from({ length: threads }, () => ({
      news: reserve(NEWS_ENTRY * newsEntries), orders: reserve(ORDERS_ENTRY * ordersEntries),
      lent: reserve(LENT_ENTRY * MAX_LENT), datagrams: reserve(2 * DATAGRAM_RING),
    })),
  });
  return {
    connections: reserve(CONNECTION_SIZE * connections), hash: reserve(4 * hashEntries), hashEntries,
    waits: reserve(WAIT_SIZE * maxWaits), maxWaits,
    pageNext: reserve(4 * maxPages), pages: reserve(PAGE_SIZE * maxPages), maxPages,
    streams: threads > 0 ? streams() : undefined,
    services: reserve(services), servicesSize: services, end,
  };
}

/** Writes the words that say where the parts lie. */
export function describe(words: Uint32Array, limits: TcpLimits | undefined, layout: TcpLayout): void {
  words[SERVICE_ROOM / 4] = layout.services;
  words[SERVICE_ROOM_SIZE / 4] = layout.servicesSize;
  if (!limits) return;
  new Uint8Array(words.buffer).set(limits.secrets, HASH_KEY);
  words[MAX_CONNECTIONS / 4] = limits.connections;
  words[CONNECTIONS / 4] = layout.connections;
  words[HASH / 4] = layout.hash;
  words[HASH_MASK / 4] = layout.hashEntries - 1;
  words[MAX_WAITS / 4] = layout.maxWaits;
  words[WAITS / 4] = layout.waits;
  words[MAX_PAGES / 4] = layout.maxPages;
  words[PAGES / 4] = layout.pages;
  words[PAGE_NEXT / 4] = layout.pageNext;
  words[MAX_BY_SOURCE / 4] = limits.bySource;
  if (layout.streams) describeStreams(words, layout.streams);
}

function describeStreams(words: Uint32Array, layout: StreamLayout): void {
  const { records, pageFilled, rings, newsEntries, ordersEntries } = layout;
  words[STREAMS / 4] = records;
  words[PAGE_FILLED / 4] = pageFilled;
  words[THREAD_COUNT / 4] = rings.length;
  for (const [i, { news, orders, lent, datagrams }] of rings.entries()) {
    const thread = (THREADS + THREAD_SIZE * i) / 4;
    words[thread + NEWS_AT / 4] = news;
    words[thread + NEWS_MASK / 4] = newsEntries - 1;
    words[thread + ORDERS_AT / 4] = orders;
    words[thread + ORDERS_MASK / 4] = ordersEntries - 1;
    words[thread + LENT_AT / 4] = lent;
    words[thread + DATAGRAMS_AT / 4] = datagrams;
  }
}

/** Returns the least power of two that is not less than `count`. */
function powerOf2(count: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(count, 1)));
}

/** Forgets all connections, as after a crash in the middle of one. What comes for them is reset then. */
export function forget(words: Uint32Array, touched: number): void {
  // First: a thread that still sees the last epoch has seen nothing of what follows.
  Atomics.add(words, STREAM_EPOCH / 4, 1);
  if (words[THREAD_COUNT / 4] > 0) forgetStreams(words);
  words.fill(0, CONNECTIONS_TOUCHED / 4, TCP_STATE_END / 4);
  words.fill(0, touched / 4, touched / 4 + MAX_TOUCHED);
  const hash = words[HASH / 4] / 4;
  if (words[MAX_CONNECTIONS / 4] > 0) words.fill(0, hash, hash + words[HASH_MASK / 4] + 1);
  for (let i = 0; i < MAX_SERVICES; i++) words[(SERVICES + SERVICE_SIZE * i + SERVICE_USERS) / 4] = 0;
}

/** Empties the rings. A thread has streams again, and may order something, when it has seen the new epoch. */
function forgetStreams(words: Uint32Array): void {
  const { ending, gone } = ThreadState;
  for (let i = 0; i < words[THREAD_COUNT / 4]; i++) {
    const thread = THREADS + THREAD_SIZE * i;
    words.fill(0, (thread + NEWS_TAIL) / 4, (thread + TOLD) / 4 + 1);
    // The sweep that was to end it is forgotten, too.
    Atomics.compareExchange(words, (thread + THREAD_STATE) / 4, ending, gone);
  }
  const records = words[STREAMS / 4] / 4;
  words.fill(0, records, records + STREAM_SIZE / 4 * words[CONNECTIONS_TOUCHED / 4]);
  words[STARVED / 4] = 0;
  // Threads that sleep are woken, and lose their streams; and those that are gone are looked for.
  words[NEWS_FOR / 4] = 2 ** words[THREAD_COUNT / 4] - 1;
  Atomics.store(words, ORDERED / 4, 1);
}
