/**
 * Netem's own arithmetic for a way of a link: what `tc` tells the kernel. abi/netem.ts has the form in which an engine
 * reads it.
 */
import { NETEM_ALL, NETEM_SCALE, NETEM_TABLE_LEN } from "../../abi/netem.js";

/** A chance in parts of 2^32 - 1, and its correlation. */
export interface NetemChance {
  readonly probability: number;
  readonly correlation: number;
}

/** Netem's own models of losses, with the kernel's a1 to a5. */
export interface NetemModel {
  readonly kind: "states" | "gilbert";
  readonly parameters: readonly number[];
}

export interface Netem {
  readonly latencyNs: number;
  readonly jitterNs: number;
  readonly delayCorrelation: number;
  /** Table of the distribution; undefined for a uniform one. */
  readonly table?: Int16Array | undefined;
  readonly limit: number;
  readonly gap: number;
  readonly loss: NetemChance;
  /** What decides in place of `loss`. */
  readonly model?: NetemModel | undefined;
  readonly duplicate: NetemChance;
  readonly corrupt: NetemChance;
  readonly reorder: NetemChance;
  /** Bytes a second; 0 for any number. */
  readonly rate: number;
  readonly overhead: number;
  /** Undefined for one that depends on the seed of all links. */
  readonly seed?: bigint | undefined;
}

/** Returns a share in the kernel's units, as tc rounds it. */
export function partsOf(share: number): number {
  return Math.round(share * NETEM_ALL);
}

/** Steps in which the generator of the normal table goes, and its finer table (iproute2, netem/normal.c). */
const STEP = 0.000_05;
const FINE = 4 * NETEM_TABLE_LEN;
const FROM = -10;

/**
 * Returns the quantiles of the normal distribution as iproute2's generator finds them: of each place in a table four
 * times as long, the last step whose value of the distribution function is rounded to it.
 */
function normalValues(): number[] {
  const values: number[] = [];
  let below = 0;
  for (let i = 0; values.length < NETEM_TABLE_LEN; i++) {
    const middle = FROM + (i + 0.5) * STEP;
    below += Math.exp(-middle * middle / 2) * STEP / Math.sqrt(2 * Math.PI);
    // The next step's value belongs to a later place, so that this one is the last.
    while (values.length < NETEM_TABLE_LEN && below * FINE >= 4 * values.length + 0.5) {
      values.push(Math.round((FROM + i * STEP) * NETEM_SCALE));
    }
  }
  return values;
}

/** Returns those of the Pareto distribution, of an exponent of 3 (netem/pareto.c). */
function paretoValues(): number[] {
  return Array.from({ length: NETEM_TABLE_LEN }, (_, i) =>
    Math.min(0x7fff, Math.round(((1 - i / NETEM_TABLE_LEN) ** (-1 / 3) - 1.5) * 4 / 3 * NETEM_SCALE)));
}

/** Returns a quarter of the one and three of the other (netem/paretonormal.c). */
function paretonormalValues(): number[] {
  const pareto = paretoValues();
  return normalValues().map((value, i) => Math.trunc((value + 3 * pareto[i]) / 4));
}

const MAKERS = { normal: normalValues, pareto: paretoValues, paretonormal: paretonormalValues };
const made = new Map<string, Int16Array>();

/** Returns tc's table of a distribution, entry for entry. */
export function tableOf(distribution: keyof typeof MAKERS): Int16Array {
  let table = made.get(distribution);
  if (!table) {
    table = Int16Array.from(MAKERS[distribution](), (value) => Math.max(-0x8000, Math.min(0x7fff, value)));
    made.set(distribution, table);
  }
  return table;
}

/** Places at which a distribution function is computed, and the most steps until it has settled. */
const PLACES = 20_000;
const STEPS = 400;

/**
 * Returns the share of packets to which something happens by a chance of netem's. With a correlation, each number is a
 * mean of a new one and the last, and so seldom small; the share is less than the probability, or more if that is above
 * one half.
 */
export function shareOf({ probability, correlation }: NetemChance): number {
  const p = probability / NETEM_ALL;
  const rho = correlation / NETEM_ALL;
  if (rho === 0 || p === 0 || rho === 1) return p;
  let cdf = Float64Array.from({ length: PLACES + 1 }, (_, i) => i / PLACES);
  const sums = new Float64Array(PLACES + 1);
  /** Integral of the distribution function up to x. */
  const below = (x: number) => {
    if (x <= 0) return 0;
    if (x >= 1) return sums[PLACES] + x - 1;
    const at = x * PLACES;
    const i = Math.floor(at);
    return sums[i] + (at - i) / PLACES * (cdf[i] + (at - i) * (cdf[Math.min(PLACES, i + 1)] - cdf[i]) / 2);
  };
  for (let step = 0; step < STEPS; step++) {
    for (let i = 0; i < PLACES; i++) sums[i + 1] = sums[i] + (cdf[i] + cdf[i + 1]) / 2 / PLACES;
    let change = 0;
    const next = cdf.map((before, i) => {
      const x = i / PLACES;
      const value = Math.min(1, (below(x / rho) - below((x - 1 + rho) / rho)) * rho / (1 - rho));
      change = Math.max(change, Math.abs(value - before));
      return value;
    });
    cdf = next;
    if (change < 1e-7) break;
  }
  const at = p * PLACES;
  const i = Math.min(PLACES - 1, Math.floor(at));
  return cdf[i] + (at - i) * (cdf[i + 1] - cdf[i]);
}
