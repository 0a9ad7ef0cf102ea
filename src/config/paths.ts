/** Makes paths of what a configuration says about them. hops.ts makes each hop. */
import { MAX_ROUTES } from "../../abi/hops.js";
import { isFork, type Fork, type Hop, type RouterPath } from "../prefix/path.js";
import type { Family } from "../prefix/prefixes.js";
import { IPV6_MIN_MTU } from "../sys/uapi.js";
import { hopOf } from "./hops.js";
import type { Links, Say } from "./links.js";
import { nameOf, type Path } from "./path.js";
import type { PathMaps, PathSetting, StepMap } from "./types.js";

/** Most hops on any way of a path, and most branches where it divides. */
export const MAX_HOPS = 64;
export const MAX_BRANCHES = 16;
/** Most names of paths that a message shows. */
const MAX_SHOWN = 10;
const NAME = /^[a-z][\w-]{0,63}$/i;

/** The paths of a configuration: those with a name, and, made when they are asked for, those of single prefixes. */
export class Paths {
  readonly #named = new Map<string, RouterPath | undefined>();
  readonly #own = new Map<string, RouterPath | undefined>();
  readonly #links: Links;

  constructor(maps: PathMaps, links: Links, say: Say) {
    this.#links = links;
    for (const [name, steps] of Object.entries(maps)) {
      const path = ["paths", name];
      if (!NAME.test(name) || name === "none") {
        say(path, `"${name.slice(0, 64)}" is no name of a path; expected a letter, then up to 63 letters, digits, "_" or `
        + `"-"${name === "none" ? "; none stands for no path" : ""}`, "key");
      }
      const route = this.#pathOf(steps, path, say);
      this.#named.set(name, route && { ...route, name });
    }
  }

  /**
   * Returns the path that a name or a list at this path stands for; undefined for "none", or once it is reported what
   * is wrong.
   */
  of(setting: PathSetting, path: Path, say: Say): RouterPath | undefined {
    if (setting === "none") return undefined;
    if (typeof setting !== "string") {
      const text = JSON.stringify(setting);
      if (!this.#own.has(text)) this.#own.set(text, this.#pathOf(setting, path, say));
      return this.#own.get(text);
    }
    if (!this.#named.has(setting)) {
      const names = [...this.#named.keys()];
      const more = names.length > MAX_SHOWN ? ` and ${names.length - MAX_SHOWN} more` : "";
      const known = names.length === 0 ? "has none" : `has ${names.slice(0, MAX_SHOWN).join(", ")}${more}`;
      say(path, `"${setting.slice(0, 64)}" is no path's name; expected one under paths, which ${known}, or none`);
    }
    return this.#named.get(setting);
  }

  #pathOf(maps: readonly StepMap[], path: Path, say: Say): RouterPath | undefined {
    const last = maps.length - 1;
    const steps: (Hop | Fork | undefined)[] = [];
    let back: number | undefined;
    for (const [i, map] of maps.entries()) {
      const at = [...path, i];
      if (map.back === undefined) {
        steps.push(this.#stepOf(map, at, say));
        continue;
      }
      back = map.back;
      if (Object.values(map).filter((value) => value !== undefined).length > 1) {
        say(at, `${nameOf(at)}: back is a step by itself; leave the other keys out`);
      } else if (i < last) {
        say(at, `${nameOf(at)}: back is the last step, and there is one of it`);
      }
    }
    if (steps.length === 0) say(path, `${nameOf(path)} has no hop; expected at least one`);
    if (steps.length === 0 || steps.includes(undefined)) return undefined;
    const route: RouterPath = { steps: steps as (Hop | Fork)[], back };
    return fits(route, path, say) ? route : undefined;
  }

  #stepOf(map: StepMap, at: Path, say: Say): Hop | Fork | undefined {
    const { any, hash, ...rest } = map;
    if (!any) {
      if (hash !== undefined) {
        say([...at, "hash"], `${nameOf([...at, "hash"])} decides on a branch; give any, too`);
        return undefined;
      }
      if (map.hop === undefined && map.silent !== true) {
        say(at, `${nameOf(at)} is no step; expected hop, silent: true, any or back`);
        return undefined;
      }
      return hopOf(map, at, this.#links, say);
    }
    const other = (Object.keys(rest) as (keyof typeof rest)[]).find((key) => rest[key] !== undefined);
    if (other !== undefined) {
      say([...at, other], `${nameOf([...at, other])} is of a hop, and any is there; give it to the hops of the branches`);
      return undefined;
    }
    const branches = any.map((hops, i) => hops.map((hop, j) => hopOf(hop, [...at, "any", i, j], this.#links, say)));
    if (branches.flat().includes(undefined)) return undefined;
    return { branches: branches as Hop[][], by: hash ?? "flow" };
  }
}

export function hopsOf(count: number): string {
  return count === 1 ? "1 hop" : `${count} hops`;
}

/** Reports a path that is too long, or whose errors would not reach the sender. */
function fits({ steps }: RouterPath, path: Path, say: Say): boolean {
  let before = 0;
  let fit = true;
  const check = (hop: Hop, position: number, at: Path) => {
    if (hop.silent || hop.ttl >= position) return;
    say(at, `${nameOf(at)} sends errors with a TTL of ${hop.ttl}, and they pass ${hopsOf(position - 1)} on their way back; `
    + `expected ttl: ${position} at least`);
    fit = false;
  };
  for (const [i, step] of steps.entries()) {
    const at = [...path, i];
    for (const [j, branch] of (isFork(step) ? step.branches : [[step]]).entries()) {
      const place = (k: number) => isFork(step) ? [...at, "any", j, k] : at;
      for (const [k, hop] of branch.entries()) check(hop, before + k + 1, place(k));
    }
    before += isFork(step) ? Math.max(...step.branches.map(({ length }) => length)) : 1;
  }
  const ways = steps.reduce((product, step) => product * (isFork(step) ? step.branches.length : 1), 1);
  if (ways > MAX_ROUTES) {
    say(path, `${nameOf(path)} has ${ways} ways through its branches; at most ${MAX_ROUTES} fit`);
    return false;
  }
  if (before <= MAX_HOPS) return fit;
  say(path, `${nameOf(path)} has ${before} hops on its longest way; at most ${MAX_HOPS} fit`);
  return false;
}

/** Says why a prefix cannot stand behind a path: by its family, and the TTL of its replies; undefined if it can. */
export class Places {
  readonly #known = new Map<RouterPath, { readonly hops: number; readonly mtu: number }>();

  misfit(route: RouterPath, family: Family, ttl: number): string | undefined {
    const { hops, mtu } = this.#of(route);
    if (family === 6 && mtu < IPV6_MIN_MTU) {
      return `the path has a hop that forwards ${mtu} bytes at most; IPv6 needs at least ${IPV6_MIN_MTU}`;
    }
    if (ttl > hops) return undefined;
    return `replies start with a TTL of ${ttl}, which the ${hopsOf(hops)} of the way back use up; raise ttl above ${hops}`;
  }

  #of(route: RouterPath): { readonly hops: number; readonly mtu: number } {
    const known = this.#known.get(route);
    if (known) return known;
    const all = route.steps.flatMap((step) => isFork(step) ? step.branches.flat() : [step]);
    const there = route.steps.reduce((sum, step) =>
      sum + (isFork(step) ? Math.max(...step.branches.map(({ length }) => length)) : 1), 0);
    const found = { hops: route.back ?? there, mtu: Math.min(...all.map(({ mtu = Infinity }) => mtu)) };
    this.#known.set(route, found);
    return found;
  }
}
