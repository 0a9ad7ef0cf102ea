/**
 * Quantities: text with a unit, as tc(8) writes them, or as `pongd check` does. There may be a space before the unit.
 * Each has a pattern, and words for what is expected.
 */

export interface Quantity {
  readonly pattern: RegExp;
  readonly expected: string;
  /** Returns what is expected in place of a text that is likely to mean something; undefined for any other. */
  readonly meant?: (text: string) => string | undefined;
}

const NUMBER = String.raw`(\d{1,12}(?:\.\d{1,9})?|\.\d{1,9})`;
const TIME_TEXT = `${NUMBER} ?(ns|us|ms|s)`;

export const TIME: Quantity = {
  pattern: new RegExp(`^${TIME_TEXT}$`), expected: "a time like 100us, 5ms or 1.5s, at most an hour",
};
export const PERCENT: Quantity = {
  pattern: /^(100(?:\.0{1,9})?|\d{1,2}(?:\.\d{1,9})?|\.\d{1,9}) ?%$/, expected: "a percentage like 0.5%, at most 100%",
};
/** tc's mbps are megabytes, and almost everybody else's Mbps are megabits. One is taken, and the other is not. */
export const RATE: Quantity = {
  pattern: new RegExp(`^${NUMBER} ?(?:([kmgtKMGT]?)(bit|bit/s|B/s)|([kmgt]?)bps)$`),
  expected: "a rate like 56kbit or 10mbit, or of bytes like 1MB/s, at least 1bit",
  meant: (text) => {
    const [, count, thousands] = (/^([\d.]+) ?([kmgt]?)bp?\/?s$/i.exec(text) ?? []) as (string | undefined)[];
    return count === undefined || thousands === undefined
      ? undefined
      : `${count}${thousands}bit for bits, or ${count}${thousands}B/s for bytes, which tc calls `
        + `${thousands.toLowerCase()}bps`;
  },
};
/** What may wait: so long, so many bytes, or so many packets. */
export const QUEUE: Quantity = {
  pattern: new RegExp(String.raw`^(?:${TIME_TEXT}|(\d{1,9}) ?([kmKM]?)[bB]|(\d{1,5}) ?packets)$`),
  expected: `what may wait, like 100ms, 64kb or 50packets, at most 10000 packets`,
};

const NS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 };
const THOUSANDS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };
/** An hour. */
const MAX_NS = 3600e9;
/** Most packets that may wait. */
export const MAX_PACKETS = 10_000;

/** Returns what is expected in place of a text that is none. */
export function expectedFor({ pattern, expected, meant }: Quantity, text: unknown): string {
  return (typeof text === "string" && !pattern.test(text) ? meant?.(text) : undefined) ?? expected;
}

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
  const [, count, thousands, unit, ofBps = ""] = (RATE.pattern.exec(text) ?? []) as (string | undefined)[];
  if (count === undefined) return undefined;
  const size = THOUSANDS[(thousands ?? ofBps).toLowerCase()];
  const bytes = Number(count) * size / (unit?.startsWith("bit") ? 8 : 1);
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
  if (bytes !== undefined) return { bytes: Number(bytes) * THOUSANDS[(thousands ?? "").toLowerCase()] };
  const count = Number(packets ?? NaN);
  return count >= 1 && count <= MAX_PACKETS ? { packets: count } : undefined;
}
