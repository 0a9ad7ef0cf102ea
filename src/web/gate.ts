/** How many responses may be under way at a time, and what becomes of those that nobody takes. */
import type { ServerResponse } from "node:http";
import { Http2ServerResponse } from "node:http2";

export class Gate {
  /** Requests under way, the oldest first. */
  readonly #open = new Set<ServerResponse>();

  /** `limit`: 0 for none. */
  constructor(readonly limit: number) {}

  /**
   * Whether a request may be served. Where all places are taken, a response that is written and waits for its reader
   * loses its own, the oldest first: so readers that do not read keep nobody out.
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
 * Cuts a response that is written and not taken in time. One that goes on is left alone: whoever writes it watches over
 * it.
 */
export function limitTaking(response: ServerResponse, termMs: number): void {
  if (!response.writableEnded) return;
  const term = setTimeout(() => { cut(response); }, termMs).unref();
  response.once("close", () => { clearTimeout(term); });
}

/**
 * Ends a response where it is, and its connection: an HTTP/2 session goes on counting what a stream left behind, and
 * takes no others for it.
 */
export function cut(response: ServerResponse | Http2ServerResponse): void {
  if (response instanceof Http2ServerResponse) response.stream.session?.destroy();
  else response.destroy();
}
