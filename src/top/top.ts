/** Shows the figures of a running pongd and refreshes them until it is told to stop. */
import { setTimeout as sleep } from "node:timers/promises";
import { EXIT, Failure } from "../base/failure.js";
import type { Figures } from "../telemetry/figures.js";
import { ScrapeError } from "./client.js";
import { now, type Scraper } from "./scraper.js";
import { viewOf, type View } from "./view.js";

export interface TopOptions {
  /** URL without credentials. */
  readonly url: string;
  readonly intervalMs: number;
  /** Number of refreshes after which it ends. */
  readonly count: number;
}

/**
 * Ends after `count` refreshes, or when the signal is aborted. Returns whether the last refresh succeeded.
 * @throws Failure if the first figures cannot be had.
 */
export async function top(
  scraper: Scraper, { url, intervalMs, count }: TopOptions, show: (view: View) => void, signal: AbortSignal,
): Promise<boolean> {
  let view: View;
  try {
    let older: Figures;
    try {
      older = await scraper.scrape(signal);
    } catch (error) {
      throw error instanceof ScrapeError ? new Failure(error.message, EXIT.RUNTIME, { cause: error }) : error;
    }
    view = viewOf(url, undefined, older);
    show(view);
    let next = now();
    for (let refreshes = 0; refreshes < count; refreshes++) {
      // A refresh that took longer than the interval delays those after it.
      next = Math.max(next + intervalMs, now());
      await sleep(next - now(), undefined, { signal });
      try {
        const newer = await scraper.scrape(signal);
        view = viewOf(url, older, newer, view.rates);
        older = newer;
      } catch (error) {
        if (!(error instanceof ScrapeError)) throw error;
        view = { ...view, trouble: error.message };
      }
      show(view);
    }
    return view.trouble === undefined;
  } catch (error) {
    if (!signal.aborted) throw error;
    return true;
  }
}
