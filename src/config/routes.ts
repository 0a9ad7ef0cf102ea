/** Looks at the paths of a configuration: who stands behind them, and which hops a packet passes in which order. */
import type { Link } from "../prefix/link.js";
import { isFork, type Fork, type Hop, type RouterPath } from "../prefix/path.js";
import type { Address, ServedPrefix } from "../prefix/prefixes.js";
import { Trips } from "./expectation.js";

/** A path and the prefixes behind it. */
export interface ServedPath {
  /** Its name in messages. */
  readonly name: string;
  readonly path: RouterPath;
  readonly prefixes: readonly ServedPrefix[];
}

/** A hop, with the numbers that it has for traceroute: several where the branches before it differ in length. */
export interface Place {
  readonly hop: Hop;
  readonly first: number;
  readonly last: number;
  /** Number of the step of the path. */
  readonly step: number;
  /** Where the step is a fork, this one and the number of the branch. */
  readonly fork?: Fork | undefined;
  readonly branch: number;
  /** Round trips to it, by the shortest and by the longest branches before it. */
  readonly trips: Both;
}

interface Both {
  readonly short: Trips;
  readonly long: Trips;
}

/** Returns the paths that prefixes have. */
export function routesOf(prefixes: readonly ServedPrefix[]): ServedPath[] {
  const found = new Map<RouterPath, ServedPrefix[]>();
  for (const prefix of prefixes) {
    const { path } = prefix.answers;
    if (!path) continue;
    const behind = found.get(path);
    if (behind) behind.push(prefix);
    else found.set(path, [prefix]);
  }
  return Array.from(found, ([path, behind]) => ({
    name: path.name === undefined ? `the path of ${behind[0].text}` : `path ${path.name}`, path, prefixes: behind,
  }));
}

/** Returns the hops of a path in their order, and the round trips through all of them. */
export function placesOf({ steps }: RouterPath): { readonly places: readonly Place[]; readonly trips: Both } {
  const places: Place[] = [];
  let [first, last] = [1, 1];
  let trips: Both = { short: Trips.none, long: Trips.none };
  for (const [step, part] of steps.entries()) {
    const branches = isFork(part) ? part.branches : [[part]];
    const ends = branches.map((hops, branch) => {
      let at = trips;
      for (const [i, hop] of hops.entries()) {
        at = through(at, hop.link);
        const fork = isFork(part) ? part : undefined;
        places.push({ hop, first: first + i, last: last + i, step, fork, branch, trips: at });
      }
      return at;
    });
    trips = {
      short: ends.map(({ short }) => short).reduce((a, b) => b.delayNs < a.delayNs ? b : a),
      long: ends.map(({ long }) => long).reduce((a, b) => b.delayNs > a.delayNs ? b : a),
    };
    first += Math.min(...branches.map(({ length }) => length));
    last += Math.max(...branches.map(({ length }) => length));
  }
  return { places, trips };
}

/** Returns the trips that go through that link as well. */
export function through({ short, long }: Both, link: Link | undefined): Both {
  const next = short.through(link);
  return { short: next, long: long === short ? next : long.through(link) };
}

/** Returns the addresses of a hop. */
export function addressesOf({ ipv4, ipv6 }: Hop): Address[] {
  return [ipv4, ipv6].filter((address) => address !== undefined);
}

/** Returns what a hop is called in messages: its addresses, or that it is silent. */
export function calledHop(hop: Hop): string {
  const name = hop.name === undefined ? "" : ` (${hop.name})`;
  const addresses = addressesOf(hop).map(({ text }) => text).join(" and ");
  const silent = hop.silent ? "silent" : "";
  return `${[addresses, silent].filter(Boolean).join(", ")}${name}`;
}

/** Returns the number that a hop has for traceroute, in words. */
export function numberOf({ first, last, fork, branch }: Place): string {
  const number = first === last ? String(first) : `${first} ${last === first + 1 ? "or" : "to"} ${last}`;
  return fork ? `${number}, branch ${branch + 1}` : number;
}

/** Returns the round trips in words. */
export function inWords({ short, long }: Both): string {
  const one = short.text;
  const other = long === short ? one : long.text;
  return one === other ? one : `${one}, or by the longest branches ${other}`;
}

/** Returns the first few texts, and how many more there are. */
export function listed(texts: readonly string[], most: number): string {
  const more = texts.length > most ? ` and ${texts.length - most} more` : "";
  return `${texts.slice(0, most).join(", ")}${more}`;
}
