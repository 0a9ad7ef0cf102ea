/** Server-sent events: one a second, made once for all who listen, and only while somebody does. */
import type { ServerResponse } from "node:http";

const EVERY_MS = 1000;
/** Each costs a descriptor, and as much memory as below. */
export const MAX_LISTENERS = 64;
/** Bytes that wait for a listener: one that leaves more than that does not listen, and is dropped. */
const MAX_WAITING = 65536;

export class Events {
  readonly #make: () => unknown;
  readonly #everyMs: number;
  readonly #listeners = new Set<ServerResponse>();
  #event = "";
  #timer: NodeJS.Timeout | undefined;

  /** `make`: what an event has, as JSON; null where it makes nothing. */
  constructor(make: () => unknown, everyMs = EVERY_MS) {
    this.#make = make;
    this.#everyMs = everyMs;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  get full(): boolean {
    return this.#listeners.size >= MAX_LISTENERS;
  }

  /** Answers with the stream, from the last event on. @throws what `make` does, and then nothing has been answered. */
  stream(response: ServerResponse): void {
    if (this.#timer === undefined) {
      this.#prepare();
      this.#timer = setInterval(() => { this.#tell(); }, this.#everyMs);
    }
    this.#listeners.add(response);
    response.once("close", () => { this.#forget(response); });
    // Proxies that buffer (nginx) would hold events back.
    response.writeHead(
      200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no" },
    );
    response.write(this.#event);
  }

  /** Ends every stream. */
  close(): void {
    for (const response of this.#listeners) {
      this.#forget(response);
      response.end();
    }
  }

  #prepare(): void {
    this.#event = `data: ${JSON.stringify(this.#make() ?? null)}\n\n`;
  }

  #tell(): void {
    try {
      this.#prepare();
    } catch {
      // Called back from a timer, where nobody catches it. Whoever asks again hears why.
      this.close();
      return;
    }
    for (const response of this.#listeners) {
      if (response.writableLength > MAX_WAITING) {
        this.#forget(response);
        response.destroy();
      } else {
        response.write(this.#event);
      }
    }
  }

  #forget(response: ServerResponse): void {
    this.#listeners.delete(response);
    if (this.#listeners.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
