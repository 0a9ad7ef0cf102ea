/** A device's own routes among all that the host has: those by which packets come to it. */
import type { Mode } from "../../abi/control.js";
import { SLICE_MS, type Pace } from "../base/pace.js";
import { BlockSet, Selection } from "../prefix/blocks.js";
import type { Family } from "../prefix/prefixes.js";
import * as uapi from "../sys/uapi.js";
import { eachRoute } from "./dump.js";
import type { Netlink } from "./netlink.js";
import { ROUTE_METRIC, type Route } from "./route.js";

/** Times that routes must be missed, one after the other, to count as missing. */
export const MAX_LOOKS = 4;
/** Routes on the host below which the kernel finds those of one interface in a moment. */
const FEW_ROUTES = 100_000;

/** The part of a device that matters to its routes. */
export interface Target {
  /** Name at the beginning. Somebody may rename the device. */
  readonly name: string;
  readonly index: number;
  readonly mode: Mode;
  /** Bytes. */
  readonly mtu: number;
  /** Whether the device existed before and has to stay as it is. */
  readonly premade: boolean;
  /** Whether an image with privileges has set it up. */
  readonly adopted: boolean;
}

export class OwnRoutes {
  readonly #netlink: Netlink;
  readonly #device: Target;
  readonly #pace: Pace;
  /** Families of which the host has so many routes that it takes the kernel long to pick the device's own. */
  readonly #crowded = new Set<Family>();

  constructor(netlink: Netlink, device: Target, pace: Pace) {
    this.#netlink = netlink;
    this.#device = device;
    this.#pace = pace;
  }

  /** True if pongd makes the device's routes. */
  get owned(): boolean {
    return !this.#device.premade && !this.#device.adopted;
  }

  /** Returns those of a family's prefixes whose packets do not come to the device. */
  async unrouted(family: Family, prefixes: Selection): Promise<Selection> {
    if (prefixes.length === 0) return prefixes;
    const { set } = prefixes;
    const there = new Uint8Array(set.size);
    // Where pongd makes the routes, each prefix has one of its own. Where others make them, one may serve several
    // prefixes.
    const routes = this.owned ? undefined : new BlockSet();
    await this.#eachRoute(family, (route) => {
      const position = set.find(route);
      if (position >= 0) there[position] = 1;
      routes?.add(route);
    });
    const unrouted = prefixes.filter((position) => there[position] === 0);
    if (!routes) return unrouted;
    await this.#pace.each(unrouted.positions, (position) => {
      if (routes.around(set.at(position)) >= 0) there[position] = 1;
    });
    return unrouted.filter((position) => there[position] === 0);
  }

  /** Returns those of the prefixes that have a route of their own to the device. */
  async present({ set, positions }: Selection): Promise<Selection> {
    const there = new Uint8Array(set.size);
    for (const family of set.families) {
      const absent = () => positions.some((position) => there[position] === 0 && set.familyAt(position) === family);
      // A dump may miss routes if others change theirs meanwhile. It is unlikely to miss the same ones twice.
      for (let looks = 0; looks < MAX_LOOKS && absent(); looks++) {
        await this.#eachRoute(family, (route) => {
          const position = set.find(route);
          if (position >= 0) there[position] = 1;
        });
      }
    }
    const ordered = set.families.flatMap((family) => positions.filter((position) => set.familyAt(position) === family));
    return new Selection(set, ordered.filter((position) => there[position] === 1));
  }

  /** Visits the routes by which packets of a family come to the device. */
  async #eachRoute(family: Family, visit: (route: Route) => void): Promise<void> {
    const { index } = this.#device;
    const all = this.#crowded.has(family);
    let others = 0;
    const wide = this.owned ? { table: uapi.RT_TABLE_MAIN } : {};
    const { slowest } = await eachRoute(family, all ? wide : { oif: index }, this.#pace, (route) => {
      if (this.#counts(route, family)) visit(route);
      else others++;
    });
    if (all) this.reckon(family, others);
    // The kernel has gone through others' routes in one system call. Next time it passes them on.
    else if (slowest > 2 * SLICE_MS) this.#crowded.add(family);
  }

  /** Takes note of how many routes of others the host has. */
  reckon(family: Family, others: number): void {
    if (others < FEW_ROUTES) this.#crowded.delete(family);
    else this.#crowded.add(family);
  }

  /**
   * Returns whether a route counts as one to the device. pongd's own routes have their table and metric too. Whoever
   * makes routes by hand chooses the metric, and also the table, provided that rules lead to it.
   */
  #counts({ oif, type, table, tos, metric, bytes }: Route, family: Family): boolean {
    if (oif !== this.#device.index || type !== uapi.RTN_UNICAST || tos !== 0) return false;
    if (table === uapi.RT_TABLE_MAIN) return !this.owned || metric === ROUTE_METRIC[family];
    return this.#device.premade && this.#netlink.lookUp(bytes)?.oif === oif;
  }

  /** Returns the metrics of the routes that the prefixes, by their positions, have to the device. */
  async metrics(prefixes: BlockSet): Promise<Map<number, number>> {
    const metrics = new Map<number, number>();
    for (const family of prefixes.families) {
      await eachRoute(family, { oif: this.#device.index }, this.#pace, (route) => {
        const position = prefixes.find(route);
        const own = route.oif === this.#device.index && route.table === uapi.RT_TABLE_MAIN;
        if (own && position >= 0) metrics.set(position, route.metric);
      });
    }
    return metrics;
  }
}
