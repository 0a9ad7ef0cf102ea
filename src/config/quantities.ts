/** Quantities as tc(8) writes them: text with a unit. Each has a pattern, and words for what is expected. */

export interface Quantity {
  readonly pattern: RegExp;
  readonly expected: string;
}

const NUMBER = String.raw`(\d{1,12}(?:\.\d{1,9})?)`;

export const TIME: Quantity = {
  pattern: new RegExp(`^${NUMBER}(ns|us|ms|s)$`), expected: "a time like 100us, 5ms or 1.5s, at most an hour",
};
export const PERCENT: Quantity = {
  pattern: /^(100(?:\.0{1,9})?|\d{1,2}(?:\.\d{1,9})?)%$/, expected: "a percentage like 0.5%, at most 100%",
};
export const RATE: Quantity = {
  pattern: new RegExp(`^${NUMBER}([kmgt]?)(bit|bps)$`),
  expected: "a rate like 56kbit or 10mbit, or of bytes like 1mbps, at least 1bit",
};
/** What may wait: so long, so many bytes, or so many packets. */
export const QUEUE: Quantity = {
  pattern: /^(?:(\d{1,12}(?:\.\d{1,9})?)(ns|us|ms|s)|(\d{1,9})([km]?)b|(\d{1,5})packets)$/,
  expected: `what may wait, like 100ms, 64kb or 50packets, at most 10000 packets`,
};

const NS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 };
const THOUSANDS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };
/** An hour. */
const MAX_NS = 3600e9;
const MAX_PACKETS = 10_000;

/** Returns the nanoseconds of a time; undefined if it is none. */
export function nanosecondsOf(text: string): number | undefined {
  const [, count, unit] = (TIME.pattern.exec(text) ?? []) as (string | undefined)[];
  if (count === undefined || unit === undefined) return undefined;
  const ns = Math.round(Number(count) * NS[unit]);
  return ns <= MAX_NS ? ns : undefined;
}

/** Returns a percentage as a share of 1; undefined if it is none. */
export function shareOf(text: string): number | undefined {
  const [, count] = (PERCENT.pattern.exec(text) ?? []) as (string | undefined)[];
  return count === undefined ? undefined : Number(count) / 100;
}

/** Returns the nanoseconds that a byte takes at a rate; undefined if it is none, or too low for times in 64 bits. */
export function byteNsOf(text: string): number | undefined {
  const [, count, thousands, unit] = (RATE.pattern.exec(text) ?? []) as (string | undefined)[];
  if (count === undefined || thousands === undefined) return undefined;
  const bytes = Number(count) * THOUSANDS[thousands] / (unit === "bit" ? 8 : 1);
  return bytes >= 1 / 8 ? 1e9 / bytes : undefined;
}

/** Returns what may wait, as it is written: ns, bytes or packets; undefined if it is none of them. */
export function queueOf(text: string): { ns?: number; bytes?: number; packets?: number } | undefined {
  const found = (QUEUE.pattern.exec(text) ?? []) as (string | undefined)[];
  const [, time, unit, bytes, thousands, packets] = found;
  if (time !== undefined && unit !== undefined) {
    const ns = nanosecondsOf(time + unit);
    return ns === undefined ? undefined : { ns };
  }
  if (bytes !== undefined) return { bytes: Number(bytes) * THOUSANDS[thousands ?? ""] };
  const count = Number(packets ?? NaN);
  return count >= 1 && count <= MAX_PACKETS ? { packets: count } : undefined;
}
