/** Makes links of what a configuration says about them, and reads the files with their tables and traces. */
import { resolve } from "node:path";
import { EXIT, Failure } from "../base/failure.js";
import { excerpt } from "../base/printable.js";
import { DISTRIBUTIONS, ofSamples } from "../prefix/distribution.js";
import { CLEAR_WAY, type Chance, type Link, type LossModel, type Rate, type Slots, type Way } from "../prefix/link.js";
import { readRegular } from "./bytes.js";
import { arithmeticOf } from "./compat.js";
import { netemOf } from "./netem.js";
import { nameOf, type Path } from "./path.js";
import {
  byteNsOf, expectedFor, nanosecondsOf, PERCENT, queueOf, QUEUE, RATE, shareOf, TIME, type Quantity,
} from "./quantities.js";
import {
  eitherOf, type ChanceMap, type LinkMap, type LossMap, type ReorderMap, type SlotMap, type WayMap,
} from "./types.js";

/** Most bytes of a file with delays, and most delays. */
const MAX_BYTES = 4 << 20;
const MAX_DELAYS = 200_000;
/** Most characters of netem's words: a tc command that has them all takes a tenth of it. */
const MAX_WORDS = 4096;
/** An hour, as for every time (quantities.ts). */
const MAX_DELAY_MS = 3_600_000;
/** Most names of links that a message shows. */
const MAX_SHOWN = 10;
/** Packets that may wait for a rate where nothing else is said: netem's limit. */
const DEFAULT_QUEUE = 1000;
const MAX_RANGES = 10_000;
const MAX_NUMBER = 0xffff_ffff;
export const DISTRIBUTION_NAMES = ["uniform", "normal", "pareto", "paretonormal"] as const;
const NAME = /^[a-z][\w-]{0,63}$/i;

/** Reports what is wrong at a path. */
export type Say = (path: Path, message: string, which?: "key") => void;

/** What a value may be: a text, a number, true or false, a list, or a map with these keys. */
type Shape = "text" | "number" | "boolean" | "list" | Shapes;
/** The shapes that each key's value may have. */
// eslint-disable-next-line @typescript-eslint/consistent-indexed-object-style -- a Record may not refer to itself
interface Shapes { readonly [key: string]: readonly Shape[] }

const TEXT = ["text"] as const;
const NUMBER = ["number"] as const;
const SWITCH = ["boolean"] as const;
const CHANCE = { probability: TEXT, correlation: TEXT };
const LOSS = {
  ...CHANCE, burst: [{ loss: TEXT, length: NUMBER }], gemodel: [{ p: TEXT, r: TEXT, bad: TEXT, good: TEXT }],
  state: [{ p13: TEXT, p31: TEXT, p32: TEXT, p23: TEXT, p14: TEXT }], packets: ["list"],
} as const;
const WAY = {
  delay: ["text", { file: TEXT, step: TEXT }], jitter: TEXT, distribution: ["text", { file: TEXT }], correlation: TEXT,
  reorder: ["boolean", { ...CHANCE, gap: NUMBER }], loss: ["text", LOSS], ecn: SWITCH, duplicate: ["text", CHANCE],
  corrupt: ["text", CHANCE], rate: TEXT, overhead: NUMBER, queue: TEXT,
  slot: [{ min: TEXT, max: TEXT, packets: NUMBER, bytes: NUMBER }],
} as const;
/** The shape of a link. The file's schema sees to it as well, but not to what an option gives. */
const LINK: Shapes = {
  rtt: TEXT, in: [WAY], out: [WAY], loss: WAY.loss, duplicate: WAY.duplicate, corrupt: WAY.corrupt, netem: TEXT,
  compat: TEXT, shared: SWITCH,
};

/** Something is wrong at a path. `what` goes on from the path's name. */
class Wrong extends Error {
  constructor(readonly path: Path, readonly what: string, readonly which?: "key") {
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
        say(path, `"${name.slice(0, 64)}" is no name of a link; expected a letter, then up to 63 letters, digits, "_" or `
        + `"-"${name === "none" ? "; none stands for no link" : ""}`, "key");
      }
      // A prefix may name a link that is wrong: that has been reported.
      const link = this.#linkOf(map, path, say) ?? { in: CLEAR_WAY, out: CLEAR_WAY };
      this.#named.set(name, map.shared === false ? link : { ...link, name });
    }
  }

  /**
   * Returns the link that a name or a map at this path stands for; undefined for "none", or once it is reported what is
   * wrong.
   */
  of(setting: string | LinkMap, path: Path, say: Say): Link | undefined {
    if (setting === "none") return undefined;
    if (typeof setting === "string") {
      const link = this.#named.get(setting);
      if (!link) {
        const names = [...this.#named.keys()];
        const more = names.length > MAX_SHOWN ? ` and ${names.length - MAX_SHOWN} more` : "";
        const known = names.length === 0 ? "has none" : `has ${names.slice(0, MAX_SHOWN).join(", ")}${more}`;
        say(path, `"${setting.slice(0, 64)}" is no link's name; expected one under links, which ${known}, or none`);
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
      const name = nameOf([...path, ...error.path]);
      say([...path, ...error.path], `${name}${error.what}`, error.which);
      return undefined;
    }
  }
}

/** Checks a value and those within it, but not what texts and numbers say. */
function check(value: unknown, shapes: readonly Shape[], path: Path): void {
  const map = shapes.find((shape) => typeof shape === "object");
  if (map && typeof value === "object" && value !== null && !Array.isArray(value)) {
    for (const [key, item] of Object.entries(value)) {
      const at = [...path, key];
      if (!Object.hasOwn(map, key)) throw new Wrong(at, `: unknown key; expected ${hintFor(key, map)}`, "key");
      if (item !== undefined) check(item, map[key], at);
    }
    return;
  }
  const kind = Array.isArray(value) ? "list" : typeof value === "string" ? "text" : typeof value;
  if (!shapes.includes(kind as Shape)) {
    const wanted = shapes.map((shape) => typeof shape === "object"
      ? `a map of ${Object.keys(shape).join(", ")}`
      : { text: "text", number: "a number", boolean: "true or false", list: "a list" }[shape]);
    throw new Wrong(path, ` is ${shown(value)}; expected ${wanted.join(", or ")}`);
  }
}

/** Returns what may stand in place of an unknown key. */
function hintFor(key: string, map: object): string {
  if (map === LINK && key === "delay") return "in.delay or out.delay, or rtt for there and back";
  if (map === LINK && Object.hasOwn(WAY, key)) return `in.${key} or out.${key}`;
  return Object.keys(map).join(", ");
}

function linkOf(map: LinkMap, folder: string): Link {
  check(map, [LINK], []);
  const { rtt, in: inward = {}, out: outward, loss, duplicate, corrupt, netem, compat } = map;
  const half = rtt === undefined ? 0 : quantity(["rtt"], rtt, TIME, nanosecondsOf) / 2;
  const both = { loss, duplicate, corrupt };
  if (netem !== undefined && outward) throw new Wrong(["netem"], " says what out does, which is given, too; give one");
  if (netem !== undefined && netem.length > MAX_WORDS) {
    throw new Wrong(["netem"], ` has ${netem.length} characters; at most ${MAX_WORDS} fit`);
  }
  const isCompat = compat !== undefined;
  if (isCompat) checkCompat(map);
  const words = netem === undefined ? undefined : netemOf(netem, isCompat);
  if (typeof words === "string") throw new Wrong(["netem"], `: ${words}`);
  const parsed = words?.map;
  for (const [key, value] of Object.entries(both)) {
    if (value !== undefined && Object.hasOwn(parsed ?? outward ?? {}, key)) {
      throw new Wrong([key], ` is given here and in ${parsed ? "netem" : "out"}; give one of them`);
    }
  }
  const there = wayOf(inward, ["in"], half, folder);
  const beside = wayWith(both);
  const isLossy = loss !== undefined;
  if (!words || !parsed) {
    return { in: there, out: { ...wayOf(outward ?? {}, ["out"], half, folder, isLossy), ...beside } };
  }
  const back = inNetem(() => wayOf(parsed, ["out"], half, folder, isLossy));
  // In netem, jitter reorders.
  const out = { ...back, ...beside, mayPass: parsed.jitter !== undefined };
  return { in: there, out: isCompat ? { ...out, netem: arithmeticOf(words, out) } : out };
}

/** Checks what stands beside `compat`. */
function checkCompat({ compat, netem, loss, duplicate, corrupt }: LinkMap): void {
  if (compat !== "netem") throw new Wrong(["compat"], ` is ${shown(compat)}; expected netem`);
  if (netem === undefined) throw new Wrong(["compat"], " is for netem's words; give netem, too");
  for (const [key, value] of Object.entries({ loss, duplicate, corrupt })) {
    if (value !== undefined) throw new Wrong([key], " is to be among netem's words where compat is given");
  }
}

/** Reads what a link says of the way out outside of out. */
function wayWith({ loss, duplicate, corrupt }: Pick<LinkMap, "loss" | "duplicate" | "corrupt">): Partial<Way> {
  return given({
    loss: loss === undefined ? undefined : lossOf(loss, ["loss"]),
    duplicate: duplicate === undefined ? undefined : chanceOf(duplicate, ["duplicate"]),
    corrupt: corrupt === undefined ? undefined : chanceOf(corrupt, ["corrupt"]),
  });
}

/** Says of what is wrong with netem's words that they are netem's. */
function inNetem<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    throw new Wrong(["netem"], `: ${nameOf(error.path.slice(1))}${error.what}`);
  }
}

/** Returns the entries that have a value. */
function given<T extends object>(map: T): Partial<T> {
  return Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** `isLossy` says whether packets are lost even if the map does not say so. */
function wayOf(map: WayMap, path: Path, delayNs: number, folder: string, isLossy = false): Way {
  const at = (...keys: Path) => [...path, ...keys];
  const { delay, jitter, distribution, correlation, reorder, loss, duplicate, corrupt, rate, slot } = map;
  if (jitter === undefined && (distribution !== undefined || correlation !== undefined)) {
    const key = distribution === undefined ? "correlation" : "distribution";
    throw new Wrong(at(key), " is of the jitter; give jitter, too");
  }
  if (map.ecn === true && loss === undefined && !isLossy) {
    throw new Wrong(at("ecn"), " marks packets in place of a loss; give loss, too");
  }
  const isTrace = typeof delay === "object";
  const fixed = delay === undefined || isTrace ? 0 : quantity(at("delay"), delay, TIME, nanosecondsOf);
  const trace = isTrace
    ? {
        delaysNs: delaysOf(delay.file, at("delay", "file"), folder),
        stepNs: positive(at("delay", "step"), delay.step),
      }
    : undefined;
  if (rate === undefined && (map.queue !== undefined || map.overhead !== undefined)) {
    throw new Wrong(at(map.queue === undefined ? "overhead" : "queue"), " is for a rate; give rate, too");
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

function shown(value: unknown): string {
  return value === undefined ? "missing" : excerpt(JSON.stringify(value));
}

/** Reads a quantity. */
function quantity(
  path: Path, text: string, kind: Quantity, read: (text: string) => number | undefined,
): number {
  const value = read(text);
  if (value === undefined) throw new Wrong(path, ` is ${shown(text)}; expected ${expectedFor(kind, text)}`);
  return value;
}

function percent(path: Path, text: string): number {
  return quantity(path, text, PERCENT, shareOf);
}

/** Reads a time that is not 0. */
function positive(path: Path, text: string): number {
  const ns = quantity(path, text, TIME, nanosecondsOf);
  if (ns === 0) throw new Wrong(path, " is 0; expected a time above 0");
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
    throw new Wrong([...path, "gap"], ` is ${gap}; expected a whole number from 1 on`);
  }
  return { ...chanceOf(chance, path), gap };
}

function lossOf(loss: string | LossMap, path: Path): LossModel {
  if (typeof loss !== "object") return { kind: "random", probability: percent(path, loss) };
  const of = (key: string, text: string | undefined, usual = 0) =>
    text === undefined ? usual : percent([...path, key], text);
  const { probability, correlation, burst, gemodel, state, packets } = loss;
  const models = [probability, burst, gemodel, state, packets].filter((model) => model !== undefined);
  if (models.length !== 1) {
    throw new Wrong(path, ": expected exactly one of probability, burst, gemodel, state and packets");
  }
  if (correlation !== undefined && probability === undefined) {
    throw new Wrong([...path, "correlation"], " goes with probability alone; leave it out");
  }
  if (probability !== undefined) {
    const [p, c] = [of("probability", probability), of("correlation", correlation)];
    if (c === 1) throw new Wrong([...path, "correlation"], " is 100%, by which all are lost or none; expected less");
    if (c === 0) return { kind: "random", probability: p };
    // Lost again by p + c (1 - p), and anew by p (1 - c): the share of p stays.
    return { kind: "gilbert", toBad: p * (1 - c), toGood: (1 - p) * (1 - c), inGood: 0, inBad: 1 };
  }
  if (burst) {
    const share = percent([...path, "burst", "loss"], burst.loss);
    const { length } = burst;
    if (!(length >= 1 && length <= 1e6)) {
      throw new Wrong([...path, "burst", "length"], ` is ${shown(length)}; expected a number of packets from 1 to 1000000`);
    }
    const toGood = 1 / length;
    const toBad = share < 1 ? share * toGood / (1 - share) : 1;
    if (toBad > 1) {
      throw new Wrong([...path, "burst"], `: ${burst.loss} cannot be lost in bursts of ${length}, since at least one `
        + "packet comes between two bursts; raise length");
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
    if (p13 + p14 > 1 || p31 + p32 > 1) {
      throw new Wrong([...path, "state"], ": p13 + p14 and p31 + p32 are at most 100%");
    }
    return { kind: "states", p13, p31, p32, p23, p14 };
  }
  return { kind: "packets", ranges: rangesOf(packets ?? [], [...path, "packets"]) };
}

function rangesOf(items: readonly (number | string)[], path: Path): [number, number][] {
  if (items.length > MAX_RANGES) throw new Wrong(path, ` has ${items.length} ranges; at most ${MAX_RANGES} fit`);
  let before = 0;
  return items.map((item, i) => {
    const [, from = NaN, to = from] = (/^(\d{1,10})(?:-(\d{1,10}))?$/.exec(String(item)) ?? [])
      .map((part: string | undefined) => part === undefined ? undefined : Number(part));
    if (!(from > before && to >= from && to <= MAX_NUMBER)) {
      throw new Wrong([...path, i], ` is ${shown(item)}; expected numbers of packets, from 1 on, or `
        + "ranges like 20-25, in ascending order");
    }
    before = to;
    return [from, to];
  });
}

function rateOf(rate: string, { overhead = 0, queue }: WayMap, path: Path): Rate {
  const byteNs = quantity([...path, "rate"], rate, RATE, byteNsOf);
  if (!Number.isInteger(overhead) || Math.abs(overhead) > 10_000) {
    throw new Wrong([...path, "overhead"], ` is ${overhead}; expected whole bytes of each packet, like 14`);
  }
  if (queue === undefined) return { byteNs, overhead, queueNs: Infinity, queuePackets: DEFAULT_QUEUE };
  const limit = queueOf(queue);
  if (!limit) throw new Wrong([...path, "queue"], ` is ${shown(queue)}; expected ${QUEUE.expected}`);
  const { ns, bytes, packets } = limit;
  return { byteNs, overhead, queueNs: ns ?? (bytes === undefined ? Infinity : bytes * byteNs), queuePackets: packets };
}

function slotsOf({ min, max = min, packets, bytes }: SlotMap, path: Path): Slots {
  const [minNs, maxNs] = [positive([...path, "min"], min), positive([...path, "max"], max)];
  if (maxNs < minNs) throw new Wrong([...path, "max"], ` is ${max}, which is less than min; expected more`);
  if (packets === undefined && bytes === undefined) {
    throw new Wrong(path, ": expected packets or bytes, of which so many leave together");
  }
  for (const [key, value] of [["packets", packets], ["bytes", bytes]] as const) {
    if (value !== undefined && !(Number.isInteger(value) && value >= 1 && value <= 0x7fff_ffff)) {
      throw new Wrong([...path, key], ` is ${value}; expected a whole number from 1 on`);
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
    if (new Set(samples).size < 2) throw new Wrong([...path, "file"], `: ${distribution.file}: expected samples that differ`);
    const text = samples.join();
    const known = FILES.get(text) ?? ofSamples(samples);
    if (!known.every(Number.isFinite)) {
      throw new Wrong([...path, "file"], `: ${distribution.file}: expected smaller numbers`);
    }
    FILES.set(text, known);
    return known;
  }
  if (!DISTRIBUTION_NAMES.includes(distribution)) {
    throw new Wrong(path, ` is ${shown(distribution)}; expected ${eitherOf(DISTRIBUTION_NAMES)}, or a map with file`);
  }
  return distribution === "uniform" ? undefined : DISTRIBUTIONS[distribution];
}

/** Reads the numbers of a file, with lines that begin with # left out: tc's own tables, or one column of a CSV file. */
function numbersOf(file: string | undefined, path: Path, folder: string): number[] {
  if (file === undefined) throw new Wrong(path, " is missing; expected a file's path");
  let text: string;
  try {
    text = readRegular(file, resolve(folder, file), MAX_BYTES, "table of numbers").toString("latin1");
  } catch (error) {
    if (!(error instanceof Failure) || error.exitStatus !== EXIT.CONFIG) throw error;
    throw new Wrong(path, `: ${error.what}`);
  }
  const numbers: number[] = [];
  for (const [i, line] of text.split("\n").entries()) {
    if (line.startsWith("#")) continue;
    for (const word of line.split(/[\s,;]+/).filter(Boolean)) {
      const number = Number(word);
      if (!Number.isFinite(number)) {
        throw new Wrong(path, `: ${file}:${i + 1}: ${JSON.stringify(word.slice(0, 40))}; expected numbers alone`);
      }
      numbers.push(number);
    }
  }
  if (numbers.length === 0) throw new Wrong(path, `: ${file}: no number; expected at least one`);
  if (numbers.length > MAX_DELAYS) throw new Wrong(path, `: ${file}: ${numbers.length} numbers; at most ${MAX_DELAYS} fit`);
  return numbers;
}

/** Reads a file with delays in milliseconds. */
function delaysOf(file: string | undefined, path: Path, folder: string): Float64Array {
  const delays = numbersOf(file, path, folder);
  const wrong = delays.find((ms) => ms < 0 || ms > MAX_DELAY_MS);
  if (wrong !== undefined) {
    throw new Wrong(path, `: ${file}: ${wrong}; expected milliseconds from 0 to ${MAX_DELAY_MS}`);
  }
  return Float64Array.from(delays, (ms) => ms * 1e6);
}
