/**
 * Finds others' routes that take packets from a prefix, by the kernel's rules. It looks in the table of the host's own
 * addresses first, then in the main table, where pongd's routes are. Within a table the longest prefix wins, and among
 * equal ones the lowest metric. Other tables are used where a rule says so (ip-rule(8)).
 */
import type { Pace } from "../base/pace.js";
import { BlockSet, textOf } from "../prefix/blocks.js";
import type { Block, Family } from "../prefix/prefixes.js";
import { eachRoute } from "./dump.js";
import { ROUTE_METRIC, type Route } from "./route.js";
import * as uapi from "../sys/uapi.js";

/** Maximum number of routes that are named one by one. A routing daemon may have a million within a prefix. */
const SHOWN = 10;

/** Makers of routes that set up the host's own network. To win over one of these would cut the host off. */
const OWN_NETWORK: readonly number[] = [uapi.RTPROT_KERNEL, uapi.RTPROT_RA, uapi.RTPROT_DHCP];

/** A prefix whose packets go elsewhere, and why. All are texts. */
export interface Taken {
  readonly prefix: string;
  readonly route: string;
  readonly why: string;
}

/** Conflicts of a kind: the first ones, and how many there are. */
export interface Counted<T> {
  readonly first: readonly T[];
  readonly count: number;
}

export interface Conflicts {
  /** Prefixes that are routed elsewhere as a whole. */
  readonly taken: Counted<Taken>;
  /** Lines about other conflicts. */
  readonly told: Counted<string>;
  /** Number of others' routes on this host, for each family that was looked at. */
  readonly others: ReadonlyMap<Family, number>;
}

/** Ways to find out more about routes. */
export interface Lookups {
  /** Index of the device. Its routes conflict with nothing. */
  readonly device: number | undefined;
  /** Returns an interface's name. */
  readonly nameOf: (oif: number) => string;
  /** Returns the metric of the route that the prefix at that position has. By default pongd gives it one. */
  readonly metricOf?: (position: number) => number | undefined;
}

/** Judges the routes of others on this host. @throws SystemError, Failure, Stopped */
export async function conflictsOf(prefixes: BlockSet, lookups: Lookups, pace: Pace): Promise<Conflicts> {
  const judge = new Judge(prefixes, lookups);
  const others = new Map<Family, number>();
  for (const family of prefixes.families) {
    let count = 0;
    await eachRoute(family, {}, pace, (route) => {
      if (route.oif === lookups.device) return;
      count++;
      judge.see(route);
    });
    others.set(family, count);
  }
  return { ...await judge.conflicts(pace), others };
}

/** Returns the first lines, and how many more there are. */
export function linesOf(...told: readonly Counted<string>[]): string[] {
  const lines = told.flatMap(({ first }) => first).slice(0, SHOWN);
  const count = told.reduce((sum, counted) => sum + counted.count, 0);
  return count > SHOWN
    ? [...lines, `and ${count - SHOWN} more routes like these; see: ip route show table all`]
    : lines;
}

/** The first items that were added, and how many were. */
class First<T> implements Counted<T> {
  readonly first: T[] = [];
  count = 0;

  /** `make` is only called for the first ones, since making a line asks the kernel for a name. */
  add(make: () => T): void {
    this.count++;
    if (this.first.length < SHOWN) this.first.push(make());
  }
}

/** A route that takes a prefix's packets. */
type Taker = Pick<Route, "bytes" | "length" | "type" | "oif">;

class Judge {
  readonly #prefixes: BlockSet;
  readonly #lookups: Lookups;
  readonly #taken = new First<Taken>();
  readonly #told = new First<string>();
  /** The table of the host's own addresses, with each route's type and interface. */
  readonly #local = new BlockSet();
  readonly #types: number[] = [];
  readonly #interfaces: number[] = [];

  constructor(prefixes: BlockSet, lookups: Lookups) {
    this.#prefixes = prefixes;
    this.#lookups = lookups;
  }

  see(route: Route): void {
    const { table, tos, metric, protocol } = route;
    if (table === uapi.RT_TABLE_LOCAL) {
      const position = this.#local.add(route);
      this.#types[position] = route.type;
      this.#interfaces[position] = route.oif;
    }
    const prefix = this.#prefixes.find(route);
    const outer = this.#prefixes.around(route);
    if (outer >= 0 || prefix >= 0) this.#tellOfPart(route, prefix, outer);
    if (prefix < 0 || table !== uapi.RT_TABLE_MAIN) return;
    const own = this.#lookups.metricOf?.(prefix) ?? ROUTE_METRIC[this.#prefixes.familyAt(prefix)];
    if (tos !== 0) this.#take(prefix, route, ` for TOS 0x${tos.toString(16)}`);
    else if (metric < own) this.#take(prefix, route, `, and its metric, ${metric}, wins over pongd's, ${own}`);
    else if (metric === own) this.#take(prefix, route);
    else if (OWN_NETWORK.includes(protocol)) this.#take(prefix, route, ", which is its own network");
    else this.#told.add(() => `prefix ${this.#text(prefix)} ${this.#where(route)} as well: the metric of pongd's route, `
      + `${own}, wins over ${metric}`);
  }

  /** Returns what was seen. The host's own addresses come first. */
  async conflicts(pace: Pace): Promise<Omit<Conflicts, "others">> {
    const own = new First<Taken>();
    await pace.each(this.#prefixes, (block) => {
      const found = this.#local.find(block);
      const local = found < 0 ? this.#local.around(block) : found;
      if (local < 0) return;
      const route = { ...this.#local.at(local), type: this.#types[local], oif: this.#interfaces[local] };
      own.add(() => this.#taking(block, route));
    });
    const taken = { first: [...own.first, ...this.#taken.first], count: own.count + this.#taken.count };
    return { taken, told: this.#told };
  }

  /** Tells of a route to a part of a prefix, or in a table of its own. `prefix` and `outer` are -1 for none. */
  #tellOfPart(route: Route, prefix: number, outer: number): void {
    const { table } = route;
    if (table === uapi.RT_TABLE_LOCAL || table === uapi.RT_TABLE_MAIN) {
      if (outer >= 0) this.#told.add(() => `${textOf(route)}, a part of ${this.#text(outer)}, ${this.#where(route)}: it `
        + "does not reach pongd");
    } else if (table !== uapi.RT_TABLE_DEFAULT && (prefix >= 0 || outer >= 0)) {
      this.#told.add(() => `${textOf(route)} ${this.#where(route)} in table ${table}: packets that a rule sends there `
        + "do not reach pongd");
    }
  }

  #take(prefix: number, route: Taker, reason = ""): void {
    this.#taken.add(() => this.#taking(this.#prefixes.at(prefix), route, reason));
  }

  #taking(prefix: Block, route: Taker, reason = ""): Taken {
    return { prefix: textOf(prefix), route: textOf(route), why: `${this.#where(route)} already${reason}` };
  }

  #where({ type, oif }: Taker): string {
    if (type === uapi.RTN_LOCAL) return "is this host's own";
    return oif === 0 ? "is routed elsewhere" : `is routed to ${this.#lookups.nameOf(oif)}`;
  }

  #text(prefix: number): string {
    return textOf(this.#prefixes.at(prefix));
  }
}
