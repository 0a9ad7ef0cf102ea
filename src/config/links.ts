/** Makes links of what a configuration says about them, and reads the files with their tables and traces. */
import { resolve } from "node:path";
import { EXIT, Failure } from "../base/failure.js";
import { DISTRIBUTIONS, ofSamples } from "../prefix/distribution.js";
import { CLEAR_WAY, type Chance, type Link, type LossModel, type Rate, type Slots, type Way } from "../prefix/link.js";
import { readRegular } from "./bytes.js";
import { netemOf } from "./netem.js";
import type { Path } from "./path.js";
import {
  byteNsOf, nanosecondsOf, PERCENT, queueOf, QUEUE, RATE, shareOf, TIME, type Quantity,
} from "./quantities.js";
import type { ChanceMap, LinkMap, LossMap, ReorderMap, SlotMap, WayMap } from "./types.js";

/** Most bytes of a file with delays, and most delays. */
const MAX_BYTES = 4 << 20;
const MAX_DELAYS = 200_000;
/** Packets that may wait for a rate where nothing else is said: netem's limit. */
const DEFAULT_QUEUE = 1000;
const MAX_RANGES = 10_000;
const MAX_NUMBER = 0xffff_ffff;
export const DISTRIBUTION_NAMES = ["uniform", "normal", "pareto", "paretonormal"] as const;
const NAME = /^[a-z][\w-]{0,63}$/i;

/** Reports what is wrong at a path. */
export type Say = (path: Path, message: string, which?: "key") => void;

const LINK_KEYS = ["rtt", "in", "out", "loss", "duplicate", "corrupt", "netem", "shared"];
const WAY_KEYS = [
  "delay", "jitter", "distribution", "correlation", "reorder", "loss", "ecn", "duplicate", "corrupt", "rate", "overhead",
  "queue", "slot",
];

/** Something is wrong at a path. */
class Wrong extends Error {
  constructor(readonly path: Path, readonly what: string) {
    super();
  }
}

/** The links of a configuration: those with a name, and, made when they are asked for, those of single prefixes. */
export class Links {
  readonly #named = new Map<string, Link>();
  readonly #own = new Map<string, Link | undefined>();
  readonly #folder: string;

  /** Relative paths of files are relative to `folder`. */
  constructor(maps: Readonly<Record<string, LinkMap>>, folder: string, say: Say) {
    this.#folder = folder;
    for (const [name, map] of Object.entries(maps)) {
      const path = ["links", name];
      if (!NAME.test(name) || name === "none") {
        say(path, `"${name.slice(0, 64)}" is no name of a link; expected a letter, then up to 63 letters, digits, "_" or "-"`, "key");
      }
      // A prefix may name a link that is wrong: that has been reported.
      const link = this.#linkOf(map, path, say) ?? { in: CLEAR_WAY, out: CLEAR_WAY };
      this.#named.set(name, map.shared === false ? link : { ...link, name });
    }
  }

  /** Returns the link that a name or a map stands for; undefined for "none", or once it is reported what is wrong. */
  of(setting: string | LinkMap, path: Path, say: Say): Link | undefined {
    if (setting === "none") return undefined;
    if (typeof setting === "string") {
      const link = this.#named.get(setting);
      if (!link) {
        const names = [...this.#named.keys()];
        const known = names.length === 0 ? "there are none" : `there are ${names.slice(0, 10).join(", ")}`;
        say(path, `"${setting.slice(0, 64)}" is no link under links: ${known}`);
      }
      return link;
    }
    const text = JSON.stringify(setting);
    if (!this.#own.has(text)) this.#own.set(text, this.#linkOf(setting, path, say));
    return this.#own.get(text);
  }

  #linkOf(map: LinkMap, path: Path, say: Say): Link | undefined {
    try {
      return linkOf(map, this.#folder);
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      say([...path, ...error.path], error.what);
      return undefined;
    }
  }
}

/** Checks the keys of a map, which an option may have given, and no schema has seen. */
function check(value: object, path: Path, keys: readonly string[]): void {
  if (typeof value !== "object") throw new Wrong(path, `${path.join(".")} is ${JSON.stringify(value)}; expected ${keys.join(", ")} in it`);
  const unknown = Object.keys(value).find((key) => !keys.includes(key));
  if (unknown === undefined) return;
  const ways = path.length === 0 && (unknown === "delay" || unknown === "jitter");
  const hint = ways ? `in.${unknown} or out.${unknown}${unknown === "delay" ? ", or rtt for there and back" : ""}` : keys.join(", ");
  throw new Wrong([...path, unknown], `"${unknown.slice(0, 40)}" is no key of a link here; expected ${hint}`);
}

function linkOf(map: LinkMap, folder: string): Link {
  check(map, [], LINK_KEYS);
  const { rtt, in: inward, out: outward, loss, duplicate, corrupt, netem } = map;
  if (outward) check(outward, ["out"], WAY_KEYS);
  if (inward) check(inward, ["in"], WAY_KEYS);
  const half = rtt === undefined ? 0 : quantity(["rtt"], rtt, TIME, nanosecondsOf) / 2;
  const both = { loss, duplicate, corrupt };
  for (const [key, value] of Object.entries(both)) {
    if (value !== undefined && outward && key in outward) {
      throw new Wrong([key], `${key} is given here and in out; give one of them`);
    }
  }
  if (netem !== undefined && outward) throw new Wrong(["netem"], "netem says what out does; give one of them");
  const parsed = netem === undefined ? undefined : netemOf(netem);
  if (typeof parsed === "string") throw new Wrong(["netem"], `netem: ${parsed}`);
  const out: WayMap = { ...parsed ?? outward, ...given(both) };
  return { in: wayOf(inward ?? {}, ["in"], half, folder), out: wayOf(out, ["out"], half, folder) };
}

/** Returns the entries that have a value. */
function given<T extends object>(map: T): Partial<T> {
  return Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined)) as Partial<T>;
}

function wayOf(map: WayMap, path: Path, delayNs: number, folder: string): Way {
  const at = (...keys: Path) => [...path, ...keys];
  const { delay, jitter, distribution, correlation, reorder, loss, duplicate, corrupt, rate, slot } = map;
  const isTrace = typeof delay === "object";
  const fixed = delay === undefined || isTrace ? 0 : quantity(at("delay"), delay, TIME, nanosecondsOf);
  const trace = isTrace
    ? {
        delaysNs: Float64Array.from(numbersOf(delay.file, at("delay", "file"), folder), (ms) => ms * 1e6),
        stepNs: positive(at("delay", "step"), delay.step),
      }
    : undefined;
  if (rate === undefined && (map.queue !== undefined || map.overhead !== undefined)) {
    throw new Wrong(at(map.queue === undefined ? "overhead" : "queue"), "nothing waits without a rate; give rate, too");
  }
  return {
    delayNs: delayNs + fixed,
    jitterNs: jitter === undefined ? 0 : quantity(at("jitter"), jitter, TIME, nanosecondsOf),
    quantiles: distribution === undefined ? undefined : quantilesOf(distribution, at("distribution"), folder),
    correlation: correlation === undefined ? 0 : percent(at("correlation"), correlation),
    trace,
    mayPass: reorder === true,
    loss: loss === undefined ? undefined : lossOf(loss, at("loss")),
    ecn: map.ecn ?? false,
    duplicate: duplicate === undefined ? undefined : chanceOf(duplicate, at("duplicate")),
    corrupt: corrupt === undefined ? undefined : chanceOf(corrupt, at("corrupt")),
    ahead: typeof reorder === "object" ? aheadOf(reorder, at("reorder")) : undefined,
    rate: rate === undefined ? undefined : rateOf(rate, map, path),
    slots: slot === undefined ? undefined : slotsOf(slot, at("slot")),
  };
}

/** Reads a quantity. */
function quantity(path: Path, text: string, { expected }: Quantity, read: (text: string) => number | undefined): number {
  const value = read(text);
  if (value === undefined) throw new Wrong(path, `${path.slice(-1).join("")} is ${JSON.stringify(text)}; expected ${expected}`);
  return value;
}

function percent(path: Path, text: string): number {
  return quantity(path, text, PERCENT, shareOf);
}

/** Reads a time that is not 0. */
function positive(path: Path, text: string): number {
  const ns = quantity(path, text, TIME, nanosecondsOf);
  if (ns === 0) throw new Wrong(path, `${path.slice(-1).join("")} is 0; expected a time above 0`);
  return ns;
}

function chanceOf(chance: string | ChanceMap, path: Path): Chance {
  if (typeof chance !== "object") return { probability: percent(path, chance), correlation: 0 };
  return {
    probability: percent([...path, "probability"], chance.probability),
    correlation: chance.correlation === undefined ? 0 : percent([...path, "correlation"], chance.correlation),
  };
}

function aheadOf({ gap = 1, ...chance }: ReorderMap, path: Path): Chance & { gap: number } {
  if (!Number.isInteger(gap) || gap < 1 || gap > MAX_NUMBER) {
    throw new Wrong([...path, "gap"], `gap is ${gap}; expected a whole number from 1 on`);
  }
  return { ...chanceOf(chance, path), gap };
}

function lossOf(loss: string | LossMap, path: Path): LossModel {
  if (typeof loss !== "object") return { kind: "random", probability: percent(path, loss) };
  const of = (key: string, text: string | undefined, usual = 0) =>
    text === undefined ? usual : percent([...path, key], text);
  const { probability, correlation, burst, gemodel, state, packets } = loss;
  check(loss, path, ["probability", "correlation", "burst", "gemodel", "state", "packets"]);
  const models = [probability, burst, gemodel, state, packets].filter((model) => model !== undefined);
  if (models.length !== 1) {
    throw new Wrong(path, "loss: expected exactly one of probability, burst, gemodel, state and packets");
  }
  if (correlation !== undefined && probability === undefined) {
    throw new Wrong([...path, "correlation"], "correlation goes with probability alone");
  }
  if (probability !== undefined) {
    const [p, c] = [of("probability", probability), of("correlation", correlation)];
    if (c === 0) return { kind: "random", probability: p };
    // Lost again by p + c (1 - p), and anew by p (1 - c): the share of p stays.
    return { kind: "gilbert", toBad: p * (1 - c), toGood: (1 - p) * (1 - c), inGood: 0, inBad: 1 };
  }
  if (burst) {
    const share = percent([...path, "burst", "loss"], burst.loss);
    const { length } = burst;
    if (!(length >= 1 && length <= 1e6)) {
      throw new Wrong([...path, "burst", "length"], `length is ${length}; expected a number of packets from 1 on`);
    }
    const toGood = 1 / length;
    const toBad = share < 1 ? share * toGood / (1 - share) : 1;
    if (toBad > 1) {
      throw new Wrong([...path, "burst"], `${burst.loss} cannot be lost in bursts of ${length}: there is a gap of at `
        + "least one packet between two; raise length");
    }
    return { kind: "gilbert", toBad, toGood: share < 1 ? toGood : 0, inGood: 0, inBad: 1 };
  }
  if (gemodel) {
    const toBad = percent([...path, "gemodel", "p"], gemodel.p);
    return {
      kind: "gilbert", toBad,
      toGood: gemodel.r === undefined ? 1 - toBad : percent([...path, "gemodel", "r"], gemodel.r),
      inBad: gemodel.bad === undefined ? 1 : percent([...path, "gemodel", "bad"], gemodel.bad),
      inGood: gemodel.good === undefined ? 0 : percent([...path, "gemodel", "good"], gemodel.good),
    };
  }
  if (state) {
    const p13 = percent([...path, "state", "p13"], state.p13);
    const each = (key: "p31" | "p32" | "p23" | "p14", usual: number) =>
      state[key] === undefined ? usual : percent([...path, "state", key], state[key]);
    // As in tc-netem(8).
    const [p31, p32, p23, p14] = [each("p31", 1 - p13), each("p32", 0), each("p23", 1), each("p14", 0)];
    if (p13 + p14 > 1 || p31 + p32 > 1) throw new Wrong([...path, "state"], "state: p13 + p14 and p31 + p32 are at most 100%");
    return { kind: "states", p13, p31, p32, p23, p14 };
  }
  return { kind: "packets", ranges: rangesOf(packets ?? [], [...path, "packets"]) };
}

function rangesOf(items: readonly (number | string)[], path: Path): [number, number][] {
  if (items.length > MAX_RANGES) throw new Wrong(path, `packets: ${items.length} ranges; at most ${MAX_RANGES} fit`);
  let before = 0;
  return items.map((item, i) => {
    const [, from = NaN, to = from] = (/^(\d{1,10})(?:-(\d{1,10}))?$/.exec(String(item)) ?? [])
      .map((part: string | undefined) => part === undefined ? undefined : Number(part));
    if (!(from > before && to >= from && to <= MAX_NUMBER)) {
      throw new Wrong([...path, i], `packets[${i}] is ${JSON.stringify(item)}; expected numbers of packets, from 1 on, or `
        + "ranges like 20-25, in ascending order");
    }
    before = to;
    return [from, to];
  });
}

function rateOf(rate: string, { overhead = 0, queue }: WayMap, path: Path): Rate {
  const byteNs = quantity([...path, "rate"], rate, RATE, byteNsOf);
  if (!Number.isInteger(overhead) || Math.abs(overhead) > 10_000) {
    throw new Wrong([...path, "overhead"], `overhead is ${overhead}; expected whole bytes of each packet, like 14`);
  }
  if (queue === undefined) return { byteNs, overhead, queueNs: Infinity, queuePackets: DEFAULT_QUEUE };
  const limit = queueOf(queue);
  if (!limit) throw new Wrong([...path, "queue"], `queue is ${JSON.stringify(queue)}; expected ${QUEUE.expected}`);
  const { ns, bytes, packets } = limit;
  return { byteNs, overhead, queueNs: ns ?? (bytes === undefined ? Infinity : bytes * byteNs), queuePackets: packets };
}

function slotsOf({ min, max = min, packets, bytes }: SlotMap, path: Path): Slots {
  const [minNs, maxNs] = [positive([...path, "min"], min), positive([...path, "max"], max)];
  if (maxNs < minNs) throw new Wrong([...path, "max"], `max is ${max}, which is less than min; expected more`);
  if (packets === undefined && bytes === undefined) {
    throw new Wrong(path, "slot: expected packets or bytes, of which so many leave together");
  }
  for (const [key, value] of [["packets", packets], ["bytes", bytes]] as const) {
    if (value !== undefined && !(Number.isInteger(value) && value >= 1 && value <= 0x7fff_ffff)) {
      throw new Wrong([...path, key], `${key} is ${value}; expected a whole number from 1 on`);
    }
  }
  return { minNs, maxNs, packets, bytes };
}

const FILES = new Map<string, Float32Array>();

function quantilesOf(
  distribution: NonNullable<WayMap["distribution"]>, path: Path, folder: string,
): Float32Array | undefined {
  if (typeof distribution === "object") {
    const samples = numbersOf(distribution.file, [...path, "file"], folder);
    if (new Set(samples).size < 2) throw new Wrong([...path, "file"], `${distribution.file}: expected samples that differ`);
    const text = samples.join();
    const known = FILES.get(text) ?? ofSamples(samples);
    FILES.set(text, known);
    return known;
  }
  return distribution === "uniform" ? undefined : DISTRIBUTIONS[distribution];
}

/** Reads the numbers of a file, with lines that begin with # left out: tc's own tables, or one column of a CSV file. */
function numbersOf(file: string, path: Path, folder: string): number[] {
  let text: string;
  try {
    text = readRegular(file, resolve(folder, file), MAX_BYTES, "file").toString("latin1");
  } catch (error) {
    if (!(error instanceof Failure) || error.exitStatus !== EXIT.CONFIG) throw error;
    throw new Wrong(path, error.what);
  }
  const lines = text.split("\n").filter((line) => !line.startsWith("#") && line.trim() !== "");
  const numbers = lines.flatMap((line) => line.trim().split(/[\s,;]+/).filter(Boolean)).map(Number);
  const wrong = numbers.findIndex((number) => !Number.isFinite(number));
  if (wrong >= 0 || numbers.length === 0 || numbers.length > MAX_DELAYS) {
    const what = numbers.length > MAX_DELAYS ? `${numbers.length} numbers; at most ${MAX_DELAYS} fit` : "expected numbers alone";
    throw new Wrong(path, `${file}: ${what}`);
  }
  return numbers;
}
