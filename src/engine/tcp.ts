/**
 * TCP's part of a queue's memory: where connections, TIME-WAIT records, pages and services lie. assembly/tcp/ uses it.
 */
import { BATCH } from "../../abi/slots.js";
import {
  CONNECTION_SIZE, CONNECTIONS, CONNECTIONS_TOUCHED, HASH, HASH_KEY, HASH_MASK, MAX_BY_SOURCE, MAX_CONNECTIONS,
  MAX_LETTERS, MAX_PAGES, MAX_WAITS, PAGE_NEXT, PAGE_SIZE, PAGES, SERVICE_ROOM, SERVICE_ROOM_SIZE, SERVICE_SIZE,
  SERVICE_USERS, SERVICES, MAX_SERVICES, TCP_STATE_END, TS_OFFSET, WAIT_SIZE, WAITS,
} from "../../abi/tcp.js";

export interface TcpLimits {
  /** Maximum number of connections. Those that answer without a connection, as resets do, need none. */
  readonly connections: number;
  /** Maximum bytes of what is kept of streams. */
  readonly memory: number;
  /** Maximum number of connections of one source; 0 for no limit. */
  readonly bySource: number;
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
  readonly services: number;
  readonly servicesSize: number;
  readonly end: number;
}

/** Returns where TCP's parts lie behind `from`, with room for `services` bytes of services. */
export function layoutOf(from: number, limits: TcpLimits | undefined, services: number): TcpLayout {
  let end = from;
  const reserve = (bytes: number) => {
    const at = Math.ceil(end / ALIGN) * ALIGN;
    end = at + bytes;
    return at;
  };
  const { connections = 0, memory = 0 } = limits ?? {};
  const maxWaits = Math.min(connections, MOST_WAITS);
  const maxPages = Math.floor(memory / PAGE_SIZE);
  const hashEntries = connections > 0 ? 2 ** Math.ceil(Math.log2(connections)) : 0;
  return {
    connections: reserve(CONNECTION_SIZE * connections), hash: reserve(4 * hashEntries), hashEntries,
    waits: reserve(WAIT_SIZE * maxWaits), maxWaits,
    pageNext: reserve(4 * maxPages), pages: reserve(PAGE_SIZE * maxPages), maxPages,
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
}

/** Forgets all connections, as after a crash in the middle of one. What comes for them is reset then. */
export function forget(words: Uint32Array, touched: number): void {
  words.fill(0, CONNECTIONS_TOUCHED / 4, TCP_STATE_END / 4);
  words.fill(0, touched / 4, touched / 4 + BATCH + MAX_LETTERS);
  const hash = words[HASH / 4] / 4;
  if (words[MAX_CONNECTIONS / 4] > 0) words.fill(0, hash, hash + words[HASH_MASK / 4] + 1);
  for (let i = 0; i < MAX_SERVICES; i++) words[(SERVICES + SERVICE_SIZE * i + SERVICE_USERS) / 4] = 0;
}
