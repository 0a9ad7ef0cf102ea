/** Sends server-sent events: one a second, made once for all listeners, and only while there are any. */
import type { ServerResponse } from "node:http";

const EVERY_MS = 1000;
/** Most listeners. Each costs a descriptor, and up to MAX_WAITING bytes of memory. */
export const MAX_LISTENERS = 64;
/** Most bytes that wait for a listener: one that lets more pile up does not read, and is dropped. */
const MAX_WAITING = 65536;

export class Events {
  readonly #make: () => unknown;
  readonly #everyMs: number;
  readonly #listeners = new Set<ServerResponse>();
  #event = "";
  #timer: NodeJS.Timeout | undefined;

  /** `make` returns an event's data, to be sent as JSON; undefined is sent as null. */
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

  /**
   * Answers with the stream, from the last event on.
   * @throws what `make` throws; nothing has been answered then.
   */
  stream(response: ServerResponse): void {
    if (this.#timer === undefined) {
      this.#prepare();
      this.#timer = setInterval(() => { this.#tell(); }, this.#everyMs);
    }
    this.#listeners.add(response);
    response.once("close", () => { this.#forget(response); });
    // X-Accel-Buffering keeps nginx from buffering, which would hold events back.
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
      // Nobody catches an exception in a timer. Clients reconnect, and stream() then reports the reason.
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
