/** Paths in a queue's memory: how a table's paths are written, and where what their hops remember lies. */
import {
  FORK_BRANCHES, FORK_BY, FORK_SIZE, FORK_STATE, FORK_STRIDE, ForkBy, HOP_BLACK_HOLE, HOP_BURST, HOP_EXTENSION,
  HOP_EXTENSION6, HOP_ERRORS, HOP_FLAGS, HOP_IPV4, HOP_IPV6, HOP_LINK, HOP_MTU, HOP_RATE, HOP_RECORD_SIZE, HOP_RECORDS,
  HOP_RECORDS_AT, HOP_SAYS, HOP_SAYS6, HOP_SIZE, HOP_STATE, HOP_STATE_SIZE, HOP_STATES, HOP_TTL, MAX_HOP_ERRORS,
  MAX_ROUTES, PATH_COPIES, PATH_FORKS, PATH_FORKS_AT, PATH_MTU, PATH_RECORD_SIZE, PATH_ROUTES,
  PATH_ROUTES_AT, PATH_SEED, PATHS_HEADER_SIZE, RECORD_LABEL, RECORD_PATH, RECORD_PREFIX, RECORD_STATE, ROUTE_BACK,
  ROUTE_FLAGS, ROUTE_HOLE, ROUTE_HOPS, ROUTE_HOPS_AT, ROUTE_IN_TIME, ROUTE_SIZE,
} from "../../abi/hops.js";
import { HOP_NAMES_AT, HOP_STATES_AT, LINK_NAME_SIZE, MAX_ROUTE_HOPS } from "../../abi/links.js";
import { MAX_PATH_DATA, PATH_DATA } from "../../abi/tables.js";
import { isFork, type Hop, type RouterPath } from "../prefix/path.js";
import { extensionOf } from "./extension.js";
import { bucketOf } from "./limits.js";
import { needsTime, roundUp } from "./links.js";
import { Names, seedOf } from "./names.js";

const ANY = 0xffff_ffff;

/** A path of a table. */
export interface PlacedPath {
  readonly path: RouterPath;
  /** Whose path it is: its name, or the index of the one prefix that has it. */
  readonly owner: string | number;
  /** Places of its hops' links among those of the table, plus 1. */
  readonly links: ReadonlyMap<Hop, number>;
}

/** All paths of a table. */
interface PlacedPaths {
  readonly paths: readonly PlacedPath[];
  readonly seed: bigint;
  /** Number of engines that share the limits of the hops. */
  readonly shares: number;
}

/** A hop or a fork, and where it is on its path: how many steps before it, and the branch and the place in that. */
export interface Placed<T> {
  readonly step: T;
  readonly at: readonly number[];
}

/** Returns the hops of a path, in order; those of a fork branch by branch. */
export function hopsOf({ steps }: RouterPath): Placed<Hop>[] {
  return steps.flatMap((step, i) => isFork(step)
    ? step.branches.flatMap((branch, j) => branch.map((hop, k) => ({ step: hop, at: [i, j, k] })))
    : [{ step, at: [i] }]);
}

/** Returns how many states of hops and forks a path has. */
export function statesOf(path: RouterPath): number {
  return hopsOf(path).length + path.steps.filter(isFork).length;
}

/** Returns how many bytes a path takes of what a table has of paths. @throws RangeError as routesOf() does */
export function lenOf(path: RouterPath): number {
  const [routes, forks] = [routesOf(path), path.steps.filter(isFork)];
  return [
    PATH_RECORD_SIZE, FORK_SIZE * forks.length, ROUTE_SIZE * routes.length, ...routes.map(({ length }) => 4 * length),
    ...hopsOf(path).flatMap(({ step, at }) => [
      HOP_SIZE, extensionOf(step, 4).length, extensionOf(step, 6).length,
      HOP_RECORD_SIZE, Buffer.byteLength(labelOf(step, at)), Buffer.byteLength(path.name ?? ""),
    ]),
  ].reduce((sum, bytes) => sum + roundUp(bytes), 0);
}

/** Writes the paths of a table at an address, whose links are at `links`, and returns the addresses of the paths. */
export function place(
  memory: WebAssembly.Memory, table: number, { paths, seed, shares }: PlacedPaths, links: readonly number[],
): number[] {
  const words = new Uint32Array(memory.buffer);
  words[(table + PATH_DATA + HOP_RECORDS) / 4] = 0;
  if (paths.length === 0) return [];
  const names = new Names(memory, {
    names: words[HOP_NAMES_AT / 4], nameSize: LINK_NAME_SIZE, states: words[HOP_STATES_AT / 4],
    stateSize: HOP_STATE_SIZE, count: HOP_STATES, what: "hops and branching points",
  });
  const writer = new Writer(memory, table + PATH_DATA, names, links, shares);
  const placed = paths.map((path) => writer.path(path, seed));
  writer.end(table + PATH_DATA);
  return placed;
}

/** Errors of a hop, by HopError. */
export interface HopErrors {
  /** Its path's name, or the index of the prefix that has the path. */
  readonly path: string | number;
  readonly hop: string;
  readonly errors: Float64Array;
}

/** Returns the errors of the hops that the table at this address has. */
export function errorsOf({ buffer }: WebAssembly.Memory, table: number): HopErrors[] {
  const words = new Uint32Array(buffer);
  const bytes = Buffer.from(buffer);
  const text = (at: number) => bytes.toString("utf8", words[at], words[at] + words[at + 1]);
  const [count, from] = [words[(table + PATH_DATA + HOP_RECORDS) / 4], words[(table + PATH_DATA + HOP_RECORDS_AT) / 4]];
  return Array.from({ length: count }, (_, i) => {
    const at = (from + HOP_RECORD_SIZE * i) / 4;
    return {
      path: words[at + RECORD_PATH / 4 + 1] > 0 ? text(at + RECORD_PATH / 4) : words[at + RECORD_PREFIX / 4],
      hop: text(at + RECORD_LABEL / 4),
      errors: new Float64Array(buffer, words[at + RECORD_STATE / 4] + HOP_ERRORS, MAX_HOP_ERRORS),
    };
  });
}

/** Returns what a hop's errors are counted as: its name, an address, or its place on the path, from 1 on. */
function labelOf({ name, ipv4, ipv6 }: Hop, at: readonly number[]): string {
  return name ?? ipv4?.text ?? ipv6?.text ?? at.map((place) => place + 1).join(".");
}

class Writer {
  readonly #buffer: ArrayBufferLike;
  readonly #view: DataView;
  readonly #names: Names;
  readonly #links: readonly number[];
  readonly #shares: number;
  readonly #end: number;
  readonly #records: { label: string; path: string; owner: number; state: number }[] = [];
  #at: number;

  constructor({ buffer }: WebAssembly.Memory, at: number, names: Names, links: readonly number[], shares: number) {
    this.#buffer = buffer;
    this.#view = new DataView(buffer);
    this.#names = names;
    this.#links = links;
    this.#shares = shares;
    this.#at = at + PATHS_HEADER_SIZE;
    this.#end = at + MAX_PATH_DATA;
  }

  /** Writes the beginning of what the table has of paths, at `at`. */
  end(at: number): void {
    const from = this.#take(HOP_RECORD_SIZE * this.#records.length);
    for (const [i, { label, path, owner, state }] of this.#records.entries()) {
      const record = from + HOP_RECORD_SIZE * i;
      this.#text(record + RECORD_LABEL, Buffer.from(label));
      this.#text(record + RECORD_PATH, Buffer.from(path));
      this.#word(record + RECORD_PREFIX, owner);
      this.#word(record + RECORD_STATE, state);
    }
    this.#word(at + HOP_RECORDS, this.#records.length);
    this.#word(at + HOP_RECORDS_AT, from);
  }

  path({ path, owner, links }: PlacedPath, seed: bigint): number {
    const at = this.#take(PATH_RECORD_SIZE);
    const key = (where: readonly number[]) => JSON.stringify([owner, ...where]);
    const hops = new Map(hopsOf(path).map(({ step, at: where }) => {
      const state = this.#names.stateOf(key(where));
      const named = typeof owner === "string";
      this.#records.push({
        label: labelOf(step, where), path: named ? owner : "", owner: named ? 0 : owner, state,
      });
      return [step, this.#hop(step, state, links.get(step))];
    }));
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

  #route(at: number, route: readonly Hop[], { back }: RouterPath, hops: ReadonlyMap<Hop, number>): void {
    const list = this.#take(4 * route.length);
    route.forEach((hop, i) => { this.#word(list + 4 * i, hops.get(hop) ?? 0); });
    this.#word(at + ROUTE_HOPS, route.length);
    this.#word(at + ROUTE_HOPS_AT, list);
    this.#word(at + ROUTE_BACK, back ?? route.length);
    this.#word(at + ROUTE_HOLE, Math.min(ANY, ...route.flatMap(({ mtu, blackHole }) => blackHole ? mtu ?? [] : [])));
    this.#word(at + ROUTE_FLAGS, route.some(({ link }) => link && needsTime(link.out)) ? ROUTE_IN_TIME : 0);
  }

  #hop(hop: Hop, state: number, link: number | undefined): number {
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
    this.#word(at + HOP_STATE, state);
    const [rate, burst] = bucketOf(icmp, this.#shares);
    this.#view.setFloat32(at + HOP_RATE, rate, true);
    this.#view.setFloat32(at + HOP_BURST, burst, true);
    for (const [offset, family] of [[HOP_EXTENSION, 4], [HOP_EXTENSION6, 6]] as const) {
      this.#text(at + offset, extensionOf(hop, family));
    }
    return at;
  }

  /** Writes bytes, and {u32 address, u32 bytes} of them. */
  #text(at: number, text: Uint8Array): void {
    const to = this.#take(text.length);
    new Uint8Array(this.#buffer).set(text, to);
    this.#word(at, to);
    this.#word(at + 4, text.length);
  }

  #word(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  /** Returns the address of so many bytes. @throws RangeError */
  #take(bytes: number): number {
    const at = this.#at;
    this.#at = at + roundUp(bytes);
    if (this.#at > this.#end) throw new RangeError(`paths need more than ${MAX_PATH_DATA} bytes`);
    return at;
  }
}

function copies({ link }: Hop): boolean {
  return link?.out.duplicate !== undefined;
}

/** Returns the hops of each route, the first fork's branches furthest apart. @throws RangeError */
function routesOf({ steps }: RouterPath): Hop[][] {
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
