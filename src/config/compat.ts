/** Makes netem's own numbers of its words, as tc does (iproute2, tc/q_netem.c). */
import { NETEM_ALL } from "../../abi/netem.js";
import type { Way } from "../prefix/link.js";
import { partsOf, tableOf, type Netem, type NetemChance, type NetemModel } from "../prefix/netem.js";
import type { Netems } from "./netem.js";
import { shareOf } from "./quantities.js";
import type { ChanceMap, LossMap } from "./types.js";

/** tc's limit of a queue. */
const DEFAULT_LIMIT = 1000;
const NEVER: NetemChance = { probability: 0, correlation: 0 };

/** Returns netem's numbers for words that have been checked. `way` is what the words come to. */
export function arithmeticOf({ map, limit = DEFAULT_LIMIT, seed }: Netems, way: Way): Netem {
  const { loss, duplicate, corrupt, reorder, correlation, distribution } = map;
  const model = typeof loss === "object" ? modelOf(loss) : undefined;
  const random = typeof loss === "object" && loss.probability !== undefined
    ? chanceOf({ probability: loss.probability, correlation: loss.correlation })
    : NEVER;
  return {
    latencyNs: way.delayNs,
    jitterNs: way.jitterNs,
    delayCorrelation: parts(correlation),
    table: typeof distribution === "string" && distribution !== "uniform" ? tableOf(distribution) : undefined,
    limit,
    gap: way.ahead?.gap ?? 0,
    loss: random,
    model,
    duplicate: typeof duplicate === "object" ? chanceOf(duplicate) : NEVER,
    corrupt: typeof corrupt === "object" ? chanceOf(corrupt) : NEVER,
    reorder: typeof reorder === "object" ? chanceOf(reorder) : NEVER,
    // Bytes a second are whole ones.
    rate: way.rate ? Math.max(1, Math.floor(1e9 / way.rate.byteNs + 1e-6)) : 0,
    overhead: way.rate?.overhead ?? 0,
    seed,
  };
}

function parts(percentage: string | undefined): number {
  return partsOf(percentage === undefined ? 0 : shareOf(percentage) ?? 0);
}

function chanceOf({ probability, correlation }: ChanceMap): NetemChance {
  return { probability: parts(probability), correlation: parts(correlation) };
}

function modelOf({ gemodel, state }: LossMap): NetemModel | undefined {
  const or = (percentage: string | undefined, usual: number) => percentage === undefined ? usual : parts(percentage);
  if (gemodel) {
    const p = parts(gemodel.p);
    return {
      kind: "gilbert",
      // The kernel has h and 1-k where tc's words are 1-h and 1-k.
      parameters: [p, or(gemodel.r, NETEM_ALL - p), NETEM_ALL - or(gemodel.bad, NETEM_ALL), or(gemodel.good, 0)],
    };
  }
  if (!state) return undefined;
  const p13 = parts(state.p13);
  return {
    kind: "states",
    parameters: [p13, or(state.p31, NETEM_ALL - p13), or(state.p32, 0), or(state.p14, 0), or(state.p23, NETEM_ALL)],
  };
}
