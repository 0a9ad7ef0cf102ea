/**
 * netem's own words: what `tc qdisc add … netem` takes, as tc-netem(8) describes it. They come to the same as the words
 * of a way, and so to what they say: a correlation is one, and a loss of 10 % with a correlation is still 10 %. With
 * `compat: netem` they come to what the kernel makes of them (compat.ts).
 */
import { excerpt } from "../base/printable.js";
import { MAX_PACKETS, queueOf } from "./quantities.js";
import type { LossMap, SlotMap, WayMap } from "./types.js";

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Words by which tc finds the end of what came before. */
const WORDS: ReadonlySet<string> = new Set([
  "delay", "latency", "loss", "drop", "duplicate", "corrupt", "reorder", "gap", "rate", "slot", "limit", "distribution",
  "ecn", "seed",
]);

const WHOLE = /^\d{1,9}$/;
/** What the kernel has for any number of packets. */
const MAX_SLOT = 0x7fff_ffff;
const MAX_SEED = 2n ** 64n - 1n;

/** What netem's words say. */
export interface Netems {
  readonly map: WayMap;
  /** Packets that may be in the queue. */
  readonly limit?: number | undefined;
  readonly seed?: bigint | undefined;
  /** What words do nothing, in words. */
  readonly idle?: readonly string[] | undefined;
}

/**
 * Returns what the words say; or what is wrong with them. `compat` says that netem's own arithmetic is meant, which has
 * a seed of its own, and a limit even where there is no rate.
 */
export function netemOf(text: string, compat: boolean): Netems | string {
  const words = text.trim().split(/\s+/).filter(Boolean);
  if (words.length === 0) return "expected words of netem, like delay 100ms 10ms";
  const way: Writable<WayMap> = {};
  let limit: string | undefined;
  let gap: number | undefined;
  let seed: bigint | undefined;
  for (const [word, ...rest] of clauses(words)) {
    switch (word) {
      case "delay": case "latency": {
        if (rest.length < 1 || rest.length > 3) return `"${word}" takes a time, a jitter and a correlation`;
        [way.delay, way.jitter, way.correlation] = [timeOf(rest[0]), timeOf(rest[1]), percentOf(rest[2])];
        break;
      }
      case "distribution": {
        const [name] = rest;
        if (rest.length !== 1 || !["uniform", "normal", "pareto", "paretonormal"].includes(name)) {
          return `"distribution" is one of uniform, normal, pareto and paretonormal`;
        }
        way.distribution = name as "normal";
        break;
      }
      case "loss": case "drop": {
        const loss = lossOf(rest);
        if (typeof loss === "string") return loss;
        way.loss = loss;
        break;
      }
      case "ecn":
        if (rest.length > 0) return `"ecn" takes nothing; there is "${excerpt(rest[0])}"`;
        way.ecn = true;
        break;
      case "duplicate": case "corrupt": {
        if (rest.length < 1 || rest.length > 2) return `"${word}" takes a percentage and a correlation`;
        way[word] = { probability: percentOf(rest[0]) ?? "", correlation: percentOf(rest[1]) };
        break;
      }
      case "reorder": {
        if (rest.length < 1 || rest.length > 2) return `"reorder" takes a percentage and a correlation`;
        way.reorder = { probability: percentOf(rest[0]) ?? "", correlation: percentOf(rest[1]) };
        break;
      }
      case "gap":
        if (rest.length !== 1 || !WHOLE.test(rest[0])) return "\"gap\" takes a number of packets";
        gap = Number(rest[0]);
        break;
      case "rate": {
        if (rest.length < 1 || rest.length > 2) return `"rate" takes a rate and an overhead in bytes`;
        if (rest.length === 2 && !/^-?\d{1,9}$/.test(rest[1])) return "\"rate\" takes an overhead in whole bytes";
        // tc takes a rate without a unit for bits a second.
        way.rate = /^[\d.]+$/.test(rest[0]) ? `${rest[0]}bit` : rest[0].toLowerCase();
        if (rest.length === 2) way.overhead = Number(rest[1]);
        break;
      }
      case "limit":
        if (rest.length !== 1 || !WHOLE.test(rest[0])) return "\"limit\" takes a number of packets";
        limit = rest[0];
        break;
      case "slot": {
        const [min, second, ...more] = rest as readonly (string | undefined)[];
        if (min === undefined) {
          return "\"slot\" takes a time, a second one, packets and bytes; distributions are not known";
        }
        const max = second !== undefined && /^\d/.test(second) ? timeOf(second) : undefined;
        const options = max === undefined && second !== undefined ? [second, ...more] : more;
        const slot: Writable<SlotMap> = { min: timeOf(min) ?? "", ...max !== undefined && { max } };
        for (let i = 0; i < options.length; i += 2) {
          const key = options[i];
          if (key !== "packets" && key !== "bytes") return `"slot" takes two times, packets and bytes`;
          slot[key] = Number(options[i + 1]);
        }
        // Without a limit, all that has come leaves with the slot.
        if (options.length === 0) slot.packets = MAX_SLOT;
        way.slot = slot;
        break;
      }
      case "seed":
        if (compat) {
          if (rest.length !== 1 || !/^\d{1,20}$/.test(rest[0]) || BigInt(rest[0]) > MAX_SEED) {
            return "\"seed\" takes a whole number of 64 bits";
          }
          seed = BigInt(rest[0]);
          break;
        }
        return "\"seed\" is the seed of all links: give it as seed, outside of links";
      case "tc": case "netem": return "leave out what a tc command has up to the word netem, and that word";
      default:
        return `"${excerpt(word)}" is no word of netem's that is known here; expected `
          + [...WORDS].filter((known) => known !== "seed").join(", ");
    }
  }
  if (gap !== undefined) {
    if (typeof way.reorder !== "object") return "\"gap\" goes with reorder";
    way.reorder = { ...way.reorder, gap };
  }
  if (typeof way.reorder === "object" && way.delay === undefined) return "\"reorder\" needs a delay, as in netem";
  if (compat) return { map: way, limit: limit === undefined ? undefined : Number(limit), seed };
  if (limit === undefined) return { map: way };
  if (way.rate === undefined) {
    return { map: way, idle: ["limit of netem's does nothing without a rate, but for compat: netem"] };
  }
  way.queue = `${limit}packets`;
  return queueOf(way.queue)
    ? { map: way }
    : `"limit" is ${limit}; expected 1 to ${MAX_PACKETS} packets, or compat: netem beside it`;
}

/** Splits words before each one by which tc finds the end of what came before. */
function clauses(words: readonly string[]): string[][] {
  const found: string[][] = [];
  for (const word of words) {
    if (found.length === 0 || WORDS.has(word)) found.push([word]);
    else found[found.length - 1].push(word);
  }
  return found;
}

/** tc takes a time without a unit for microseconds. */
function timeOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const time = text.toLowerCase().replace(/(\d)(?:secs?)$/, "$1s").replace(/msecs?$/, "ms").replace(/usecs?$/, "us");
  return /^[\d.]+$/.test(time) ? `${time}us` : time;
}

/** tc takes a number without a unit for a percentage. */
function percentOf(text: string | undefined): string | undefined {
  return text === undefined || text.endsWith("%") ? text : `${text}%`;
}

function lossOf([kind, ...rest]: readonly string[]): string | LossMap {
  const values = rest.map((text) => percentOf(text) ?? "");
  const other = rest.find((text) => !/^[\d.]+%?$/.test(text));
  if (other !== undefined) return `"${excerpt(other)}" is no percentage of "loss"`;
  if (kind === "state") {
    const [p13, p31, p32, p23, p14] = values;
    return values.length < 1 || values.length > 5
      ? "\"loss state\" takes p13, p31, p32, p23 and p14"
      : { state: { p13, p31, p32, p23, p14 } };
  }
  if (kind === "gemodel") {
    const [p, r, h, k] = values;
    if (values.length < 1 || values.length > 4) return "\"loss gemodel\" takes p, r, 1-h and 1-k";
    return { gemodel: { p, r, bad: h, good: k } };
  }
  const [probability, correlation, ...more] = kind === "random" ? values : [percentOf(kind), ...values];
  if (probability === undefined || more.length > 0) {
    return "\"loss\" takes a percentage and a correlation, or state, or gemodel";
  }
  return { probability, correlation };
}
