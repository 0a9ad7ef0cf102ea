/**
 * Distributions of jitter as tables of quantiles, with mean 0 and standard deviation 1. A variate is looked up by a
 * uniform one, or by a normal one where it depends on the last (assembly/link/delay.ts).
 */
import { PHI_RANGE, QUANTILES } from "../../abi/ways.js";

/** Terms of the expansion by which a correlation is found: more change nothing that is seen. */
const TERMS = 40;
/** Steps of integrals over the normal distribution. */
const STEPS = 4000;
/** Halvings until a correlation is exact. */
const HALVINGS = 50;
/** Exponent of the Pareto distribution that iproute2's tables have (netem/pareto.c). */
const PARETO_ALPHA = 3;

function density(z: number): number {
  return Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI);
}

/** Tables are made when they are needed: most threads load this file for nothing of it. */
function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => made ??= make();
}

/** Returns the normal distribution function at QUANTILES + 1 places from -PHI_RANGE to PHI_RANGE. */
export const phiValues = once(cumulated);

function cumulated(): Float64Array {
  const values = new Float64Array(QUANTILES + 1);
  const step = 2 * PHI_RANGE / QUANTILES;
  for (let i = 0; i < QUANTILES; i++) {
    const z = i * step - PHI_RANGE;
    // Simpson's rule.
    values[i + 1] = values[i] + step / 6 * (density(z) + 4 * density(z + step / 2) + density(z + step));
  }
  return values.map((value) => value / values[QUANTILES]);
}

/** Returns the normal quantile of a probability between 0 and 1. */
function normalQuantile(u: number): number {
  let low = -PHI_RANGE;
  let high = PHI_RANGE;
  for (let i = 0; i < HALVINGS; i++) {
    const z = (low + high) / 2;
    if (phi(z) < u) low = z;
    else high = z;
  }
  return (low + high) / 2;
}

function phi(z: number): number {
  const at = Math.max(0, Math.min(QUANTILES, (z / PHI_RANGE + 1) / 2 * QUANTILES));
  const index = Math.min(QUANTILES - 1, Math.floor(at));
  const values = phiValues();
  return values[index] + (values[index + 1] - values[index]) * (at - index);
}

/** Returns a table of the quantiles of a distribution, scaled to mean 0 and standard deviation 1. */
function tableOf(quantile: (u: number) => number): Float32Array {
  // Both ends may be infinite. The table has the mean of what lies beyond in place of that.
  const ends = 64;
  const mean = (from: number) => {
    let sum = 0;
    for (let i = 0; i < ends; i++) sum += quantile((from + (i + 0.5) / ends) / QUANTILES);
    return sum / ends;
  };
  const values = new Float64Array(QUANTILES + 1);
  for (let i = 1; i < QUANTILES; i++) values[i] = quantile(i / QUANTILES);
  values[0] = 2 * mean(0) - values[1];
  values[QUANTILES] = 2 * mean(QUANTILES - 1) - values[QUANTILES - 1];
  return scaled(values);
}

/** Scales what an interpolation of these values makes of a uniform variate to mean 0 and standard deviation 1. */
function scaled(values: Float64Array): Float32Array {
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < QUANTILES; i++) {
    const [a, b] = [values[i], values[i + 1]];
    sum += (a + b) / 2;
    squares += (a * a + a * b + b * b) / 3;
  }
  const mean = sum / QUANTILES;
  const deviation = Math.sqrt(squares / QUANTILES - mean * mean);
  return Float32Array.from(values, (value) => (value - mean) / deviation);
}

function pareto(u: number): number {
  return (1 - u) ** (-1 / PARETO_ALPHA);
}

const [PARETO_MEAN, PARETO_DEVIATION] = [1.5, Math.sqrt(0.75)];

const normal = once(() => tableOf(normalQuantile));
const paretoTable = once(() => tableOf(pareto));
// A quarter of one and three of the other, as in iproute2 (netem/paretonormal.c).
const paretonormal = once(() =>
  tableOf((u) => 0.25 * normalQuantile(u) + 0.75 * (pareto(u) - PARETO_MEAN) / PARETO_DEVIATION));

/** Distributions by the names that tc(8) has for them. */
export const DISTRIBUTIONS = {
  get normal() { return normal(); },
  get pareto() { return paretoTable(); },
  get paretonormal() { return paretonormal(); },
} as const;

/** Returns the table of a distribution of which there are samples: at least two that differ. */
export function ofSamples(samples: readonly number[]): Float32Array {
  const all = Float64Array.from(samples).sort();
  // Samples that differ by little from each other, and by much from 0, would lose that in their squares.
  const middle = all[all.length >> 1];
  const sorted = all.map((sample) => sample - middle);
  const values = Float64Array.from({ length: QUANTILES + 1 }, (_, i) => {
    const at = i / QUANTILES * (sorted.length - 1);
    const index = Math.min(sorted.length - 2, Math.floor(at));
    return sorted[index] + (sorted[index + 1] - sorted[index]) * (at - index);
  });
  return scaled(values);
}

/**
 * Returns the correlation that normal variates need so that the jitter made of them has the correlation asked for, from
 * 0 to 1. It is a little larger: what is bent on the way correlates less. The reason is the expansion of a function of
 * a normal variate in Hermite polynomials, each of which keeps a power of the correlation.
 */
export function normalCorrelation(correlation: number, quantiles: Float32Array | undefined): number {
  if (correlation === 0) return 0;
  const shares = sharesOf(quantiles);
  const made = (normal: number) => shares.reduce((sum, share, k) => sum + share * normal ** k, 0);
  let [low, high] = [0, 1];
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (made(middle) < correlation) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Shares of each table: links by the thousand have the same few tables. */
const known = new WeakMap<Float32Array, Float64Array>();
const UNIFORM = new Float32Array(0);

/** Returns what share of a distribution's variance each polynomial has. */
function sharesOf(quantiles: Float32Array | undefined): Float64Array {
  const shares = known.get(quantiles ?? UNIFORM) ?? expand(quantiles);
  known.set(quantiles ?? UNIFORM, shares);
  return shares;
}

function expand(quantiles: Float32Array | undefined): Float64Array {
  const step = 2 * PHI_RANGE / STEPS;
  const terms = new Float64Array(TERMS + 1);
  for (let i = 0; i < STEPS; i++) {
    const z = (i + 0.5) * step - PHI_RANGE;
    const value = quantileAt(quantiles, phi(z));
    // Normalized Hermite polynomials, by their recurrence.
    let [before, now] = [0, 1];
    for (let k = 0; k <= TERMS; k++) {
      terms[k] += value * now * density(z) * step;
      [before, now] = [now, (z * now - Math.sqrt(k) * before) / Math.sqrt(k + 1)];
    }
  }
  const squares = terms.map((term, k) => k === 0 ? 0 : term ** 2);
  const total = squares.reduce((a, b) => a + b);
  return squares.map((square) => square / total);
}

function quantileAt(quantiles: Float32Array | undefined, u: number): number {
  if (!quantiles) return 2 * u - 1;
  const at = u * QUANTILES;
  const index = Math.min(QUANTILES - 1, Math.floor(at));
  return quantiles[index] + (quantiles[index + 1] - quantiles[index]) * (at - index);
}
