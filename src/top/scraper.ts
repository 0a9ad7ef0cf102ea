/** Fetches /metrics again and again. */
import type { Figures } from "../telemetry/figures.js";
import type { MetricsAddress } from "./address.js";
import { Client, type Credentials } from "./client.js";
import { figuresOf } from "./collect.js";

/** Timeout of a scrape. Prometheus waits as long by default. */
const TIMEOUT_MS = 10_000;

export class Scraper {
  readonly #client: Client;

  constructor(address: MetricsAddress, credentials: Credentials, timeoutMs = TIMEOUT_MS) {
    this.#client = new Client(
      address, credentials, { what: "metrics", accept: "text/plain; version=0.0.4", timeoutMs },
    );
  }

  /** Fetches the figures once. @throws ScrapeError, or the signal's reason once that is aborted */
  scrape(signal: AbortSignal): Promise<Figures> {
    // Rates need a clock that nobody sets; the wall clock may be set.
    return this.#client.get((body) => figuresOf(body, now()), signal);
  }

  close(): void {
    this.#client.close();
  }
}

/** Returns Unix time in ms, by a clock that nobody sets. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
