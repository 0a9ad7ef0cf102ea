/**
 * The way to a device: the host's addresses on it, its link, and the routes of the prefixes. On a device that pongd
 * made, pongd owns all of them, and makes them again if the kernel forgets them. On a pre-made device, or after giving
 * up privileges, it names what is missing and the command that mends it.
 *
 * There may be 100,000 prefixes, and a million routes of others. So this works in slices, and the event loop gets its
 * turn in between. One job runs at a time; the others wait for it.
 */
import { Mode } from "../../abi/control.js";
import { TX_QUEUE_LEN } from "../../abi/slots.js";
import { EXIT, Failure } from "../base/failure.js";
import { Pace, Stopped } from "../base/pace.js";
import { BlockSet, Selection, textOf } from "../prefix/blocks.js";
import { FAMILIES, type Address, type Block, type Family } from "../prefix/prefixes.js";
import * as libc from "../sys/libc.js";
import * as uapi from "../sys/uapi.js";
import { conflictsOf, linesOf } from "./conflicts.js";
import {
  addressCommand, lackOf, linkLocalOf, mendOf, refusalOf, routedElsewhere, staysOf, type Lacking, type Missing,
} from "./lack.js";
import type { Link } from "./messages.js";
import type { Netlink } from "./netlink.js";
import { MAX_LOOKS, OwnRoutes, type Target } from "./own.js";
import { NetlinkError } from "./refusal.js";

/** Maximum number of lost prefixes that are named. */
const LOST_SHOWN = 10;
/** State of a device's link, and what restore() did about it. */
export interface LinkState {
  readonly up: boolean;
  readonly carrier: boolean;
  readonly mtu: number;
  /** Prefixes that are routed elsewhere: their number, and the first ones. */
  readonly lost: { count: number; readonly first: string[] };
  /** Lines about what was missing and has been put back. */
  readonly mended: string[];
  /**
   * A line for each family that lacks something which the kernel does not give back or pongd may not put back: what,
   * why, and how to mend it.
   */
  readonly refused: Map<Family, string>;
  /** Lines about other things that pongd may not mend, with the command. They do not keep packets from reaching it. */
  readonly notes: string[];
}

/** Routes that were added, and those that could not be, since another route has their place. */
interface Added {
  readonly made: Selection;
  readonly lost: Selection;
}

export class Routing {
  readonly #netlink: Netlink;
  readonly #device: Target;
  readonly #pace = new Pace();
  #name: string;
  #addresses: readonly Address[] = [];
  #prefixes = new BlockSet();
  /** Settles when the last job that was asked for is over. */
  #last: Promise<unknown> = Promise.resolve();
  readonly #routes: OwnRoutes;

  constructor(netlink: Netlink, device: Target) {
    this.#netlink = netlink;
    this.#device = device;
    this.#routes = new OwnRoutes(netlink, device, this.#pace);
    this.#name = device.name;
    if (device.premade) this.#addresses = netlink.addresses(device.index);
  }

  /** Name of the device when the link was last looked at. */
  get name(): string {
    return this.#name;
  }

  /** The host's addresses on the device. */
  get addresses(): readonly Address[] {
    return this.#addresses;
  }

  /** Ends the job that runs, at its next turn, and those that wait. They fail with Stopped. */
  stop(): void {
    this.#pace.stop();
  }

  /**
   * Gives the host its addresses, sets the link up, and routes the prefixes to it. Returns a line for each part of the
   * prefixes that will not reach it because it has a route of its own. A pre-made device is not changed: it must have
   * `addresses` already, which then come first.
   * @throws Failure where the kernel refuses, or a prefix is routed elsewhere already; Stopped
   */
  configure(addresses: readonly Address[], prefixes: Iterable<Block>): Promise<string[]> {
    return this.#job(async () => {
      await this.#pace.each(prefixes, (prefix) => this.#prefixes.add(prefix));
      if (this.#device.premade) {
        this.#addresses = [
          ...addresses.map((address) => this.#ownAddress(address)),
          ...this.#addresses.filter(({ text }) => addresses.every((given) => given.text !== text)),
        ];
        return this.#device.adopted ? [] : this.#checkRoutes(this.#prefixes);
      }
      this.#addresses = addresses;
      if (this.#device.adopted) return [];
      const exceptions = await this.#checkRoutes(this.#prefixes);
      try {
        this.#quieten(this.#netlink.link(this.#device.index));
        this.#netlink.setLinkUp(this.#device.index, this.#device.mtu, TX_QUEUE_LEN);
        for (const family of this.#families()) {
          const { lost } = await this.#add(family, await this.#missing(family, this.#prefixes));
          if (lost.length > 0) throw lostTo(lost);
        }
        return exceptions;
      } catch (error) {
        throw refusalOf(error, this.#lacking, this.#families().includes(6));
      }
    });
  }

  /**
   * Routes those prefixes to the device that were not routed to it so far. Existing routes stay. If one of the prefixes
   * cannot be routed, nothing is changed. Returns lines about parts that will not reach it, and about routes that pongd
   * may not make, with the command.
   * @throws Failure as configure() does; Stopped, with some of the routes made
   */
  addRoutes(prefixes: Iterable<Block>): Promise<string[]> {
    return this.#job(async () => {
      const added = new BlockSet();
      await this.#pace.each(prefixes, (prefix) => { if (this.#prefixes.find(prefix) < 0) added.add(prefix); });
      const lines = await this.#checkRoutes(added);
      const tried: Selection[] = [];
      try {
        for (const family of added.families) {
          const missing = await this.#missing(family, added);
          if (missing.prefixes.length === 0) continue;
          tried.push(missing.prefixes);
          lines.push(...await this.#addNew(family, missing));
        }
      } catch (error) {
        if (error instanceof Stopped) throw error;
        for (const prefixes of tried) await this.#remove(await this.#routes.present(prefixes));
        throw refusalOf(error, this.#lacking, added.families.includes(6));
      }
      await this.#pace.each(added, (prefix) => this.#prefixes.add(prefix));
      return lines;
    });
  }

  /**
   * Removes the routes of all prefixes but these. Adds none. Returns lines about routes that pongd may not
   * remove, with the command.
   * @throws NetlinkError, Stopped
   */
  keepRoutes(prefixes: Iterable<Block>): Promise<string[]> {
    return this.#job(async () => {
      const before = this.#prefixes;
      const stays = new Uint8Array(before.size);
      await this.#pace.each(prefixes, (prefix) => {
        const position = before.find(prefix);
        if (position >= 0) stays[position] = 1;
      });
      const gone = before.select((position) => stays[position] === 0);
      if (gone.length === 0) return [];
      const kept = new BlockSet();
      await this.#pace.each(before.select((position) => stays[position] === 1), (prefix) => kept.add(prefix));
      this.#prefixes = kept;
      if (this.#device.premade) return [];
      const routed = await this.#routes.present(gone);
      try {
        await this.#remove(routed);
        return [];
      } catch (error) {
        if (!(error instanceof NetlinkError) || error.errno !== libc.E.EPERM) throw error;
        return [staysOf(this.#lacking, routed)];
      }
    });
  }

  /**
   * Puts back what is missing, whoever removed it, and returns the state of the link. Routes (and IPv6 addresses) do
   * not survive a link that goes down, IPv6's do not survive a sysctl that disables it, and a person may have deleted
   * one. A route that has taken the place of pongd's stays. `lost` has the prefixes with such a route. `refused` has
   * the families that are not complete again, and why: IPv6 on a link whose MTU is too small for it or where it was
   * disabled; a pre-made device; or privileges that were given up. Returns undefined where the device is gone.
   * @throws SystemError, Failure, Stopped
   */
  restore(): Promise<LinkState | undefined> {
    return this.#job(async () => {
      try {
        const link = this.#netlink.link(this.#device.index);
        const { up, carrier, mtu } = link;
        this.#name = link.name;
        const state: LinkState = {
          up, carrier, mtu, lost: { count: 0, first: [] }, mended: [], refused: new Map(), notes: this.#quieten(link),
        };
        for (const family of up ? this.#families() : []) await this.#restore(family, state);
        return state;
      } catch (error) {
        if (!(error instanceof NetlinkError)) throw error;
        // ENETDOWN: the link went down again meanwhile, and a notification about that is on its way.
        if (error.errno === libc.E.ENETDOWN) return {
          up: false, carrier: false, mtu: this.#device.mtu, lost: { count: 0, first: [] }, mended: [],
          refused: new Map(), notes: [],
        };
        if (error.errno === libc.E.ENODEV) return undefined;
        throw error;
      }
    });
  }

  /** Runs a job after all that were asked for before. */
  #job<T>(work: () => Promise<T>): Promise<T> {
    const job = this.#last.then(work);
    this.#last = job.catch(() => undefined);
    return job;
  }

  async #restore(family: Family, state: LinkState): Promise<void> {
    const missing = await this.#missing(family, this.#prefixes);
    if (missing.addresses.length + missing.prefixes.length === 0) return;
    if (this.#device.premade) {
      state.refused.set(family, mendOf(this.#lacking, missing));
      return;
    }
    try {
      const { made, lost } = await this.#add(family, missing);
      const room = LOST_SHOWN - state.lost.first.length;
      state.lost.count += lost.length;
      state.lost.first.push(...lost.first(room).map(textOf));
      const back = { ...missing, prefixes: made };
      if (back.addresses.length + made.length > 0) state.mended.push(lackOf(this.#lacking, back));
    } catch (error) {
      if (!(error instanceof NetlinkError) || error.errno === libc.E.ENETDOWN || error.errno === libc.E.ENODEV) {
        throw error;
      }
      state.refused.set(family, error.errno === libc.E.EPERM
        ? mendOf(this.#lacking, missing)
        : `nothing is answered by IPv${family}: ${error.message}`);
    }
  }

  /**
   * Keeps the kernel from sending anything of its own accord, which only pongd would receive. A TAP device is exempt,
   * since there may be neighbours behind it. The kernel forgets this setting while the MTU is too small for IPv6, and
   * gives the link an address afterwards. Returns a line about what pongd may not do, with the command.
   */
  #quieten({ addrGenMode }: Link): string[] {
    const { mode, premade, index } = this.#device;
    if (mode !== Mode.tun || premade || addrGenMode === undefined || addrGenMode === uapi.IN6_ADDR_GEN_MODE_NONE) {
      return [];
    }
    try {
      this.#netlink.setNoLinkLocal(index);
      this.#netlink.deleteLinkLocal(index);
      return [];
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      // IPv6 has been disabled meanwhile.
      if (error.errno === libc.E.EAFNOSUPPORT || error.errno === libc.E.EADDRNOTAVAIL) return [];
      if (error.errno !== libc.E.EPERM) throw error;
      return [linkLocalOf(this.#lacking)];
    }
  }

  /** Returns which of the host's addresses and of these prefixes' routes are missing, for one family. */
  async #missing(family: Family, set: BlockSet): Promise<Missing> {
    const there = new Set(this.#netlink.addresses(this.#device.index).map(({ text }) => text));
    const addresses = this.#addresses.filter((address) => address.family === family && !there.has(address.text));
    const own = set.select((position) => set.familyAt(position) === family);
    let prefixes = await this.#routes.unrouted(family, own);
    // A dump may miss routes if others change theirs meanwhile. Where pongd makes the routes, the kernel then says that
    // they are there.
    if (!this.#routes.owned) prefixes = await this.#routes.unrouted(family, prefixes);
    return { addresses, prefixes };
  }

  /** Adds what is missing. */
  async #add(family: Family, { addresses, prefixes }: Missing): Promise<Added> {
    const { index } = this.#device;
    for (const address of addresses) this.#netlink.addAddress(index, address);
    const source = this.#addresses.find((own) => own.family === family);
    const refused = await this.#netlink.addRoutes(index, family, prefixes, source, this.#pace);
    const [there, made] = prefixes.split(refused);
    // One of these may be pongd's own after all, see #missing().
    let lost = await this.#routes.unrouted(family, there);
    // A dump may miss routes if others change theirs meanwhile. It is unlikely to miss the same ones time and again.
    for (let looks = 1; looks < MAX_LOOKS && lost.length > 0; looks++) {
      lost = await this.#routes.unrouted(family, lost);
    }
    return { made, lost };
  }

  /** Adds what a reload's prefixes lack. Returns lines as addRoutes() does. */
  async #addNew(family: Family, missing: Missing): Promise<string[]> {
    if (this.#device.premade) return [mendOf(this.#lacking, missing)];
    try {
      const { lost } = await this.#add(family, missing);
      if (lost.length > 0) throw lostTo(lost);
      // The routes need this source address, which somebody has just removed.
      const addresses = { ...missing, prefixes: lost };
      return missing.addresses.length > 0 ? [`${lackOf(this.#lacking, addresses)}: put back`] : [];
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      if (error.errno === libc.E.EPERM) return [mendOf(this.#lacking, missing)];
      // While the link is down there are no routes. restore() makes them later.
      if (error.errno === libc.E.ENETDOWN) return [];
      throw error;
    }
  }

  /** Removes the routes of these prefixes. */
  async #remove(prefixes: Selection): Promise<void> {
    const { set } = prefixes;
    for (const family of set.families) {
      const own = prefixes.filter((position) => set.familyAt(position) === family);
      await this.#netlink.deleteRoutes(this.#device.index, family, own, this.#pace);
    }
  }

  /** Returns the families of the addresses and the prefixes. */
  #families(): Family[] {
    const prefixes = this.#prefixes.families;
    return FAMILIES.filter(
      (family) => prefixes.includes(family) || this.#addresses.some((own) => own.family === family),
    );
  }

  get #lacking(): Lacking {
    const { premade, adopted } = this.#device;
    return { name: this.#name, premade, adopted, addresses: this.#addresses };
  }

  /**
   * Returns lines about what others' routes take away from the prefixes.
   * @throws Failure where a whole prefix is routed elsewhere. On a pre-made device that is not pongd's to decide, so it
   * returns a line about it.
   */
  async #checkRoutes(prefixes: BlockSet): Promise<string[]> {
    const { index, premade } = this.#device;
    const metrics = premade ? await this.#routes.metrics(prefixes) : undefined;
    const { taken, told, others } = await conflictsOf(prefixes, {
      device: index, nameOf: (oif) => this.#netlink.link(oif).name, metricOf: (position) => metrics?.get(position),
    }, this.#pace);
    for (const [family, count] of others) this.#routes.reckon(family, count);
    const [first] = taken.first;
    if (taken.count > 0 && !premade) throw routedElsewhere(first.prefix, first.why, first.route);
    const lines = taken.first.map(({ prefix, why }) => `prefix ${prefix} ${why}: it does not reach pongd`);
    return linesOf({ first: lines, count: taken.count }, told);
  }

  /** @throws Failure where a pre-made device does not have the address. */
  #ownAddress(address: Address): Address {
    if (this.#addresses.some(({ text }) => text === address.text)) return address;
    throw new Failure(
      `host address ${address.text} is not on ${this.#name}, which is pre-made`,
      EXIT.RUNTIME,
      { mend: `leave --host-address out, or: ${addressCommand(this.#lacking, address)}` },
    );
  }
}

function lostTo(lost: Selection): Failure {
  return routedElsewhere(textOf(lost.first(1)[0]));
}
