/** Limits how many responses are under way at a time, and cuts those that clients do not read. */
import type { ServerResponse } from "node:http";
import { Http2ServerResponse } from "node:http2";

export class Gate {
  /** Responses under way, the oldest first. */
  readonly #open = new Set<ServerResponse>();

  /** `limit`: most responses at a time; 0 for no limit. */
  constructor(readonly limit: number) {}

  /**
   * Returns whether a request may be served. If all places are taken, the oldest response that is written and waits for
   * its reader loses its place. Clients that do not read thus keep nobody out.
   */
  enter(response: ServerResponse): boolean {
    if (this.limit === 0) return true;
    if (this.#open.size >= this.limit) {
      const slowest = [...this.#open].find(({ writableEnded }) => writableEnded);
      if (!slowest) return false;
      this.#open.delete(slowest);
      cut(slowest);
    }
    this.#open.add(response);
    response.once("close", () => this.#open.delete(response));
    return true;
  }
}

/**
 * Cuts a response that is written but not read in time. One that is still being written is left alone: its writer
 * watches over it.
 */
export function limitTaking(response: ServerResponse, termMs: number): void {
  if (!response.writableEnded) return;
  const term = setTimeout(() => { cut(response); }, termMs).unref();
  response.once("close", () => { clearTimeout(term); });
}

/**
 * Ends a response where it is, and its connection: an HTTP/2 session would go on counting what a destroyed stream left
 * behind, and take no new ones for it.
 */
export function cut(response: ServerResponse | Http2ServerResponse): void {
  if (response instanceof Http2ServerResponse) response.stream.session?.destroy();
  else response.destroy();
}
