/** Statistics of samples, and of the models that they are compared with. */

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function deviation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
}

/** Returns the correlation of each value with the one before. */
export function autocorrelation(values: readonly number[]): number {
  const middle = mean(values);
  let [products, squares] = [0, 0];
  for (let i = 1; i < values.length; i++) {
    products += (values[i] - middle) * (values[i - 1] - middle);
    squares += (values[i] - middle) ** 2;
  }
  return products / squares;
}

/** Returns the statistic of Kolmogorov and Smirnov: how far samples are from a distribution function. */
export function distance(samples: readonly number[], cdf: (x: number) => number): number {
  const sorted = Float64Array.from(samples).sort();
  const n = sorted.length;
  return sorted.reduce((most, x, i) => Math.max(most, cdf(x) - i / n, (i + 1) / n - cdf(x)), 0);
}

/** Returns the distance that independent samples exceed once in a thousand times. */
export function critical(n: number): number {
  return 1.95 / Math.sqrt(n);
}

/** Returns the normal distribution function, by the series at 0 of its integral (NIST DLMF 7.6.2). */
export function phi(z: number): number {
  if (Math.abs(z) > 6) return z < 0 ? 0 : 1;
  let [sum, term] = [z, z];
  for (let k = 1; Math.abs(term) > 1e-17; k++) {
    term *= z * z / (2 * k + 1);
    sum += term;
  }
  return 0.5 + sum * Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI);
}

/** Returns where an increasing function has a value, between two places. */
export function inverse(value: number, f: (x: number) => number, from: number, to: number): number {
  let [low, high] = [from, to];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (f(middle) < value) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** A Markov chain: the chances from one state to another, and to be lost in each. */
export interface Chain {
  readonly steps: readonly (readonly number[])[];
  readonly lost: readonly number[];
}

/** Returns the share of losses, how many come one after the other on average, and their autocorrelation. */
export function lossesOf({ steps, lost }: Chain): { share: number; burst: number; correlation: number } {
  // Power iteration: what the shares of the states come to, on average where they alternate.
  let states = lost.map((_, i) => Number(i === 0));
  for (let change = 1; change > 1e-12;) {
    const next = states.map((own, to) => states.reduce((sum, p, at) => sum + p * steps[at][to], own) / 2);
    change = Math.max(...next.map((p, i) => Math.abs(p - states[i])));
    states = next;
  }
  const share = states.reduce((sum, p, i) => sum + p * lost[i], 0);
  const next = steps.map((row) => row.reduce((sum, p, to) => sum + p * lost[to], 0));
  const both = states.reduce((sum, p, i) => sum + p * lost[i] * next[i], 0);
  return { share, burst: share / (share - both), correlation: (both - share * share) / (share - share * share) };
}

/** Returns the mean length of runs of true. */
export function burstOf(values: readonly boolean[]): number {
  const runs = values.filter((value, i) => value && (i === 0 || !values[i - 1])).length;
  return values.filter(Boolean).length / runs;
}
