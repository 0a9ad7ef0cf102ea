/** Makes a way of a link, in or out, of what a configuration says about it. */
import type { Chance, Rate, Slots, Way } from "../prefix/link.js";
import { delaysOf, quantilesOf } from "./delays.js";
import { chanceOf, percent, positive, quantity, shown, Wrong } from "./linkvalues.js";
import { lossOf } from "./losses.js";
import type { Path } from "./path.js";
import { byteNsOf, nanosecondsOf, queueOf, QUEUE, RATE, TIME } from "./quantities.js";
import type { ReorderMap, SlotMap, WayMap } from "./types.js";

/** Packets that may wait for a rate where nothing else is said: netem's limit. */
const DEFAULT_QUEUE = 1000;
const MAX_GAP = 0xffff_ffff;

/** `isLossy` says whether packets are lost even if the map does not say so. */
export function wayOf(map: WayMap, path: Path, delayNs: number, folder: string, isLossy = false): Way {
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

function aheadOf({ gap = 1, ...chance }: ReorderMap, path: Path): Chance & { gap: number } {
  if (!Number.isInteger(gap) || gap < 1 || gap > MAX_GAP) {
    throw new Wrong([...path, "gap"], ` is ${gap}; expected a whole number from 1 on`);
  }
  return { ...chanceOf(chance, path), gap };
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
