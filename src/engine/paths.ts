/** Paths in a queue's memory: how a table's paths are written, and where what their hops remember lies. */
import {
  FORK_BRANCHES, FORK_BY, FORK_SIZE, FORK_STATE, FORK_STRIDE, ForkBy, HOP_BLACK_HOLE, HOP_BURST, HOP_EXTENSION,
  HOP_EXTENSION6, HOP_FLAGS, HOP_IPV4, HOP_IPV6, HOP_LINK, HOP_MTU, HOP_RATE, HOP_SAYS, HOP_SAYS6, HOP_SIZE, HOP_STATE,
  HOP_STATE_SIZE, HOP_STATES, HOP_TTL, MAX_ROUTE_HOPS, MAX_ROUTES, PATH_COPIES, PATH_FORKS, PATH_FORKS_AT, PATH_MTU,
  PATH_RECORD_SIZE, PATH_ROUTES, PATH_ROUTES_AT, PATH_SEED, ROUTE_BACK, ROUTE_FLAGS, ROUTE_HOLE, ROUTE_HOPS,
  ROUTE_HOPS_AT, ROUTE_IN_TIME, ROUTE_SIZE,
} from "../../abi/hops.js";
import { HOP_NAMES_AT, HOP_STATES_AT, LINK_NAME_SIZE } from "../../abi/links.js";
import { MAX_PATH_DATA, PATH_DATA } from "../../abi/tables.js";
import type { Fork, Hop, Path } from "../prefix/path.js";
import { extensionOf } from "./extension.js";
import { needsTime } from "./links.js";
import { Names, seedOf } from "./names.js";

const ANY = 0xffff_ffff;
const MS_PER_S = 1000;

/** A path of a table. */
export interface PlacedPath {
  readonly path: Path;
  /** Whose path it is: its name, or the index of the one prefix that has it. */
  readonly owner: string | number;
  /** Places of its hops' links among those of the table, plus 1. */
  readonly links: ReadonlyMap<Hop, number>;
}

/** A hop or a fork, and where it is on its path: how many steps before it, and the branch and the place in that. */
export interface Placed<T> {
  readonly step: T;
  readonly at: readonly number[];
}

/** Returns the hops of a path, in order; those of a fork branch by branch. */
export function hopsOf({ steps }: Path): Placed<Hop>[] {
  return steps.flatMap((step, i) => isFork(step)
    ? step.branches.flatMap((branch, j) => branch.map((hop, k) => ({ step: hop, at: [i, j, k] })))
    : [{ step, at: [i] }]);
}

export function isFork(step: Hop | Fork): step is Fork {
  return "branches" in step;
}

/** Writes the paths of a table at an address, whose links are at `links`, and returns the addresses of the paths. */
export function place(
  memory: WebAssembly.Memory, table: number, paths: readonly PlacedPath[], links: readonly number[], seed: bigint,
): number[] {
  if (paths.length === 0) return [];
  const words = new Uint32Array(memory.buffer);
  const names = new Names(memory, {
    names: words[HOP_NAMES_AT / 4], nameSize: LINK_NAME_SIZE, states: words[HOP_STATES_AT / 4],
    stateSize: HOP_STATE_SIZE, count: HOP_STATES, what: "hops and forks",
  });
  const writer = new Writer(memory, table + PATH_DATA, names, links);
  return paths.map((path) => writer.path(path, seed));
}

class Writer {
  readonly #buffer: ArrayBufferLike;
  readonly #view: DataView;
  readonly #names: Names;
  readonly #links: readonly number[];
  readonly #end: number;
  #at: number;

  constructor({ buffer }: WebAssembly.Memory, at: number, names: Names, links: readonly number[]) {
    this.#buffer = buffer;
    this.#view = new DataView(buffer);
    this.#names = names;
    this.#links = links;
    this.#at = at;
    this.#end = at + MAX_PATH_DATA;
  }

  path({ path, owner, links }: PlacedPath, seed: bigint): number {
    const at = this.#take(PATH_RECORD_SIZE);
    const key = (where: readonly number[]) => JSON.stringify([owner, ...where]);
    const hops = new Map(
      hopsOf(path).map(({ step, at: where }) => [step, this.#hop(step, key(where), links.get(step))]),
    );
    const forks = path.steps.flatMap((step, i) => isFork(step) ? [{ step, at: [i] }] : []);
    const routes = routesOf(path);
    const forksAt = this.#take(FORK_SIZE * forks.length);
    let stride = routes.length;
    for (const [i, { step: { branches, by }, at: where }] of forks.entries()) {
      stride /= branches.length;
      const fork = forksAt + FORK_SIZE * i;
      this.#word(fork + FORK_BRANCHES, branches.length);
      this.#word(fork + FORK_BY, ForkBy[by]);
      this.#word(fork + FORK_STRIDE, stride);
      this.#word(fork + FORK_STATE, this.#names.stateOf(key([...where, -1])));
    }
    const routesAt = this.#take(ROUTE_SIZE * routes.length);
    for (const [i, route] of routes.entries()) this.#route(routesAt + ROUTE_SIZE * i, route, path, hops);
    this.#word(at + PATH_FORKS, forks.length);
    this.#word(at + PATH_FORKS_AT, forksAt);
    this.#word(at + PATH_ROUTES, routes.length);
    this.#word(at + PATH_ROUTES_AT, routesAt);
    this.#view.setBigUint64(at + PATH_SEED, seedOf(seed, typeof owner === "string" ? owner : undefined, "path"), true);
    const all = [...hops.keys()];
    this.#word(at + PATH_MTU, Math.min(ANY, ...all.flatMap(({ mtu, blackHole }) => blackHole ? [] : mtu ?? [])));
    this.#word(at + PATH_COPIES, Math.max(...routes.map((route) => route.filter(copies).length)));
    return at;
  }

  #route(at: number, route: readonly Hop[], { back }: Path, hops: ReadonlyMap<Hop, number>): void {
    const list = this.#take(4 * route.length);
    route.forEach((hop, i) => { this.#word(list + 4 * i, hops.get(hop) ?? 0); });
    this.#word(at + ROUTE_HOPS, route.length);
    this.#word(at + ROUTE_HOPS_AT, list);
    this.#word(at + ROUTE_BACK, back ?? route.length);
    this.#word(at + ROUTE_HOLE, Math.min(ANY, ...route.flatMap(({ mtu, blackHole }) => blackHole ? mtu ?? [] : [])));
    this.#word(at + ROUTE_FLAGS, route.some(({ link }) => link && needsTime(link.out)) ? ROUTE_IN_TIME : 0);
  }

  #hop(hop: Hop, key: string, link: number | undefined): number {
    const { ipv4, ipv6, silent, mtu, blackHole, ttl, icmp } = hop;
    const at = this.#take(HOP_SIZE);
    const bytes = new Uint8Array(this.#buffer);
    bytes.set(ipv6?.bytes ?? new Uint8Array(16), at + HOP_IPV6);
    bytes.set(ipv4?.bytes ?? new Uint8Array(4), at + HOP_IPV4);
    const says = silent ? 0 : (ipv4 ? HOP_SAYS : 0) | (ipv6 ? HOP_SAYS6 : 0);
    this.#word(at + HOP_FLAGS, says | (blackHole ? HOP_BLACK_HOLE : 0));
    this.#word(at + HOP_LINK, link === undefined ? 0 : this.#links[link - 1]);
    this.#word(at + HOP_MTU, mtu ?? ANY);
    this.#word(at + HOP_TTL, ttl);
    this.#word(at + HOP_STATE, this.#names.stateOf(key));
    this.#view.setFloat32(at + HOP_RATE, icmp.rate / MS_PER_S, true);
    this.#view.setFloat32(at + HOP_BURST, icmp.burst, true);
    for (const [offset, family] of [[HOP_EXTENSION, 4], [HOP_EXTENSION6, 6]] as const) {
      const extension = extensionOf(hop, family);
      const to = this.#take(extension.length);
      bytes.set(extension, to);
      this.#word(at + offset, to);
      this.#word(at + offset + 4, extension.length);
    }
    return at;
  }

  #word(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  /** Returns the address of so many bytes. @throws RangeError */
  #take(bytes: number): number {
    const at = this.#at;
    this.#at = Math.ceil((at + bytes) / 8) * 8;
    if (this.#at > this.#end) throw new RangeError(`paths need more than ${MAX_PATH_DATA} bytes`);
    return at;
  }
}

function copies({ link }: Hop): boolean {
  return link?.out.duplicate !== undefined;
}

/** Returns the hops of each route, the first fork's branches furthest apart. @throws RangeError */
function routesOf({ steps }: Path): Hop[][] {
  let routes: Hop[][] = [[]];
  for (const step of steps) {
    const branches = isFork(step) ? step.branches : [[step]];
    if (routes.length * branches.length > MAX_ROUTES) {
      throw new RangeError(`a path with more than ${MAX_ROUTES} routes`);
    }
    routes = routes.flatMap((route) => branches.map((branch) => [...route, ...branch]));
  }
  const most = Math.max(...routes.map(({ length }) => length));
  if (most > MAX_ROUTE_HOPS) throw new RangeError(`a path with ${most} hops; at most ${MAX_ROUTE_HOPS} fit`);
  return routes;
}
