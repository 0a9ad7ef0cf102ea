/** Makes loss models of what a link says about the packets that are lost. */
import type { LossModel } from "../prefix/link.js";
import { percent, shown, Wrong } from "./linkvalues.js";
import type { Path } from "./path.js";
import type { LossMap } from "./types.js";

const MAX_RANGES = 10_000;
const MAX_NUMBER = 0xffff_ffff;

export function lossOf(loss: string | LossMap, path: Path): LossModel {
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
