/** Reloads: one at a time, and each request is met by one that begins after it, all those that came meanwhile by the same one. */
import { setImmediate } from "node:timers/promises";
import type { Logger } from "pino";
import { messageOf } from "../base/failure.js";
import { reloading, type ServiceManager } from "../sys/notify.js";

export class Reloads {
  /** Of the last one; a configuration that pongd started with counts. */
  successful = true;
  /** Unix time of the last one that was, in seconds. */
  succeededAt = Date.now() / 1000;
  readonly #apply: () => Promise<readonly string[]>;
  readonly #log: Logger;
  readonly #manager: ServiceManager;
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<readonly string[]> | undefined;

  /** `apply`: throws before it has changed anything, or not at all; returns what it could not do, a line each. */
  constructor(apply: () => Promise<readonly string[]>, log: Logger, manager: ServiceManager) {
    this.#apply = apply;
    this.#log = log;
    this.#manager = manager;
  }

  /** Fulfilled with what could not be done, a line each. @throws whatever was wrong with the configuration; it has been logged by then, and the old one holds. */
  request(): Promise<readonly string[]> {
    // One that fails at once leaves the event loop no turn: of a flood of signals each would be met by itself, and nothing else heard.
    this.#next ??= this.#running.then(() => setImmediate()).then(() => {
      this.#next = undefined;
      const reload = this.#reload();
      this.#running = reload.catch(() => undefined);
      return reload;
    });
    return this.#next;
  }

  async #reload(): Promise<readonly string[]> {
    this.#manager.notify(reloading());
    try {
      const lines = await this.#apply();
      this.successful = true;
      this.succeededAt = Date.now() / 1000;
      this.#log.info("configuration reloaded");
      return lines;
    } catch (error) {
      this.successful = false;
      for (const line of messageOf(error).split("\n")) this.#log.error(line);
      this.#log.error("the configuration was not reloaded: all is as it was");
      throw error;
    } finally {
      this.#manager.notify({ READY: "1" });
    }
  }
}
