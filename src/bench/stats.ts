/** Computes statistics of rounds. It assumes no distribution, since a machine's disturbances follow none. */
import type { Spread } from "./report.js";

/** Returns the middle value, or the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** Returns the value that `fraction` of the values do not exceed. */
export function percentile(values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)];
}

/**
 * Bounds the median with 95 % confidence, by order statistics. The number of n values that lie below the median is
 * binomial with p = 1/2, so the values at ranks (n ± 1.96 √n) / 2 enclose it. With fewer than 6 values the bounds are
 * the least and the greatest.
 */
export function medianInterval(values: readonly number[]): [low: number, high: number] {
  const sorted = values.toSorted((a, b) => a - b);
  const reach = 1.96 * Math.sqrt(sorted.length);
  const low = Math.floor((sorted.length - reach) / 2);
  const high = Math.ceil((sorted.length + reach) / 2);
  return [sorted[Math.max(0, low - 1)], sorted[Math.min(sorted.length - 1, high)]];
}

export function spreadOf(values: readonly number[]): Spread {
  const [low, high] = medianInterval(values);
  return {
    median: median(values), min: Math.min(...values), max: Math.max(...values), p95: percentile(values, 0.95), low,
    high,
  };
}
