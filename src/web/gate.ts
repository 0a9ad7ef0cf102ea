/** Limits how many responses are under way at a time, and cuts those that clients do not read. */
import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { cut, taken } from "../net/response.js";

/** Milliseconds for which a response may wait for its client while others wait for its place. */
const PATIENCE_MS = 250;

export class Gate {
  readonly #limit: number;
  /** Responses under way. */
  readonly #open = new Set<ServerResponse>();
  /** Responses that wait for their client, and since when; the one that has waited longest first. */
  readonly #waiting = new Map<ServerResponse, number>();
  /** Fulfilled when the next response may enter. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Called when a place is free. */
  #free: () => void = () => undefined;

  /** `limit`: most responses at a time; 0 for no limit. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Responses under way. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * Writes a whole response in pieces, each once the client has taken the ones before it. So what waits for a client is
   * two pieces, and the rest stays shared with other responses, or is not made yet. If all places are taken, it waits
   * for one. A response that has waited too long for its client then loses its place. So clients that do not read keep
   * nobody out, and those that do are not cut. Fulfilled when all is written, or the client is gone.
   */
  async pour(response: ServerResponse, pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
    const client = { gone: false };
    response.once("close", () => {
      client.gone = true;
      this.#leave(response);
    });
    await this.#enter(response, client);
    // The end is told with the last piece, which is known as such when no other follows.
    let last: Uint8Array | undefined;
    for await (const piece of pieces) {
      if (last && !await this.#write(response, last)) return;
      last = piece;
    }
    if (client.gone || response.destroyed) return;
    response.end(last);
    this.#waits(response);
  }

  /** Writes a piece, and waits until there is room for another. Returns false if the client is gone. */
  async #write(response: ServerResponse, piece: Uint8Array): Promise<boolean> {
    if (response.closed || response.destroyed) return false;
    if (response.write(piece)) return true;
    this.#waits(response);
    await taken(response);
    this.#waiting.delete(response);
    return !response.destroyed;
  }

  /** Takes a place, unless the client has gone by then. */
  async #enter(response: ServerResponse, client: { readonly gone: boolean }): Promise<void> {
    if (this.#limit === 0) return;
    const entered = this.#turn.then(async () => {
      while (!client.gone && this.#open.size >= this.#limit) await this.#makeRoom();
      if (!client.gone) this.#open.add(response);
    });
    this.#turn = entered;
    await entered;
  }

  /** Fulfilled when a place may be free: if need be, that of the response that has waited longest. */
  async #makeRoom(): Promise<void> {
    const [slowest, since] = this.#waiting.entries().next().value ?? [undefined, performance.now()];
    const left = since + PATIENCE_MS - performance.now();
    if (slowest && left <= 0) {
      this.#leave(slowest);
      cut(slowest);
      return;
    }
    const over = new AbortController();
    const freed = new Promise<void>((resolve) => { this.#free = resolve; });
    await Promise.race([freed, sleep(left, undefined, { signal: over.signal }).catch(() => undefined)]);
    over.abort();
  }

  #waits(response: ServerResponse): void {
    if (this.#open.has(response)) this.#waiting.set(response, performance.now());
  }

  #leave(response: ServerResponse): void {
    this.#open.delete(response);
    this.#waiting.delete(response);
    this.#free();
  }
}

/**
 * Limits how many requests are under way over all connections. Of HTTP/2, a connection may have many. If there are too
 * many, the connection with the most is closed.
 */
export class Crowd<Connection extends object> {
  readonly #limit: number;
  readonly #close: (connection: Connection) => void;
  readonly #requests = new Map<Connection, number>();
  #total = 0;

  constructor(limit: number, close: (connection: Connection) => void) {
    this.#limit = limit;
    this.#close = close;
  }

  get total(): number {
    return this.#total;
  }

  /** Counts a request until its response is closed. */
  enter(connection: Connection, response: Pick<ServerResponse, "once">): void {
    this.#requests.set(connection, (this.#requests.get(connection) ?? 0) + 1);
    this.#total++;
    response.once("close", () => {
      const left = this.#requests.get(connection);
      // The connection was closed for having too many.
      if (left === undefined) return;
      this.#total--;
      if (left > 1) this.#requests.set(connection, left - 1);
      else this.#requests.delete(connection);
    });
    if (this.#total <= this.#limit) return;
    const [most, count] = [...this.#requests].reduce((a, b) => b[1] > a[1] ? b : a);
    this.#requests.delete(most);
    this.#total -= count;
    this.#close(most);
  }
}

/**
 * Cuts a response that is written but not read in time. One that is still being written is left alone: its writer
 * watches over it.
 */
export function limitTaking(response: ServerResponse, termMs: number): void {
  if (response.writableEnded) giveTerm(response, termMs);
}

/** Cuts a response that is not closed in time. */
export function giveTerm(response: ServerResponse, termMs: number): void {
  const term = setTimeout(() => { cut(response); }, termMs).unref();
  response.once("close", () => { clearTimeout(term); });
}
