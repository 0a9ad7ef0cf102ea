/**
 * The way to a device: the host's addresses on it, its link, and the routes of the prefixes. On a device that pongd
 * made, pongd owns all of them, and makes them again if the kernel forgets them. On a pre-made device, or after giving
 * up privileges, it names what is missing and the command that mends it.
 */
import { Mode } from "../../abi/control.js";
import { word } from "../base/shell.js";
import { EXIT, Failure, IPV6_MEND } from "../base/failure.js";
import { BlockMap, FAMILIES, type Address, type Family, type Prefix } from "../prefix/prefixes.js";
import { conflictsOf, linesOf, textOf } from "./conflicts.js";
import * as libc from "../sys/libc.js";
import { ROUTE_METRIC, type Link, type Route } from "./messages.js";
import { NetlinkError, type Netlink } from "./netlink.js";
import * as uapi from "../sys/uapi.js";

/** Errnos by which the kernel refuses IPv6 addresses and routes if disable_ipv6 is set or it has no IPv6 at all. */
const NO_IPV6 = [libc.E.EACCES, libc.E.EAFNOSUPPORT, libc.E.EOPNOTSUPP];

/** Packets that the device queues for a reader that falls behind. The kernel's default of 500 loses bursts. */
const TX_QUEUE_LEN = 4096;

/** Maximum number of commands in one line. */
const SHOWN = 3;

/** State of a device's link, and what restore() did about it. */
export interface LinkState {
  readonly up: boolean;
  readonly carrier: boolean;
  readonly mtu: number;
  /** Prefixes that are routed elsewhere. */
  lost: readonly Prefix[];
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

/** Addresses and routes that a family lacks on the device. */
interface Missing {
  readonly addresses: readonly Address[];
  readonly prefixes: readonly Prefix[];
}

/** The part of a device that matters here. */
interface Target {
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

export class Routing {
  readonly #netlink: Netlink;
  readonly #device: Target;
  #name: string;
  #addresses: readonly Address[] = [];
  #prefixes: readonly Prefix[] = [];

  constructor(netlink: Netlink, device: Target) {
    this.#netlink = netlink;
    this.#device = device;
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

  /**
   * Gives the host its addresses, sets the link up, and routes the prefixes to it. Returns a line for each part of the
   * prefixes that will not reach it because it has a route of its own. A pre-made device is not changed: it must have
   * `addresses` already, which then come first.
   * @throws Failure where the kernel refuses, or a prefix is routed elsewhere already.
   */
  configure(addresses: readonly Address[], prefixes: readonly Prefix[]): string[] {
    this.#prefixes = prefixes;
    if (this.#device.premade) {
      this.#addresses = [
        ...addresses.map((address) => this.#ownAddress(address)),
        ...this.#addresses.filter(({ text }) => addresses.every((given) => given.text !== text)),
      ];
      return this.#device.adopted ? [] : this.#checkRoutes(prefixes);
    }
    this.#addresses = addresses;
    if (this.#device.adopted) return [];
    const exceptions = this.#checkRoutes(prefixes);
    try {
      this.#quieten(this.#netlink.link(this.#device.index));
      this.#netlink.setLinkUp(this.#device.index, this.#device.mtu, TX_QUEUE_LEN);
      const lost = this.#families().flatMap((family) => this.#add(family, this.#missing(family, prefixes))).at(0);
      if (lost) throw routedElsewhere(lost);
      return exceptions;
    } catch (error) {
      throw this.#failure(error, [...addresses, ...prefixes]);
    }
  }

  /**
   * Routes those prefixes to the device that were not routed to it so far. Existing routes stay. If one of the prefixes
   * cannot be routed, nothing is changed. Returns lines about parts that will not reach it, and about routes that pongd
   * may not make, with the command.
   * @throws Failure as configure() does.
   */
  addRoutes(prefixes: readonly Prefix[]): string[] {
    const before = new BlockMap(this.#prefixes);
    const added = prefixes.filter((prefix) => !before.get(prefix));
    const lines = this.#checkRoutes(added);
    let tried: readonly Prefix[] = [];
    let lost: readonly Prefix[] = [];
    try {
      for (const family of FAMILIES) {
        const missing = this.#missing(family, added);
        if (missing.prefixes.length === 0) continue;
        tried = [...tried, ...missing.prefixes];
        try {
          if (this.#device.premade) lines.push(this.#mendOf(missing));
          else lost = [...lost, ...this.#add(family, missing)];
          // The routes need this source address, which somebody has just removed.
          if (!this.#device.premade && missing.addresses.length > 0) {
            lines.push(`${this.#lackOf({ ...missing, prefixes: [] })}: put back`);
          }
        } catch (error) {
          if (!(error instanceof NetlinkError)) throw error;
          if (error.errno === libc.E.EPERM) lines.push(this.#mendOf(missing));
          // While the link is down there are no routes. restore() makes them later.
          else if (error.errno !== libc.E.ENETDOWN) throw error;
        }
      }
      if (lost.length > 0) throw routedElsewhere(lost[0]);
    } catch (error) {
      this.#netlink.deleteRoutes(this.#device.index, this.#routed(tried));
      throw this.#failure(error, added);
    }
    this.#prefixes = [...this.#prefixes, ...added];
    return lines;
  }

  /**
   * Removes the routes of all prefixes but these. Adds none. Returns lines about routes that pongd may not
   * remove, with the command.
   */
  keepRoutes(prefixes: readonly Prefix[]): string[] {
    const kept = new BlockMap(prefixes);
    const gone = this.#prefixes.filter((prefix) => !kept.get(prefix));
    this.#prefixes = this.#prefixes.filter((prefix) => kept.get(prefix));
    if (this.#device.premade) return [];
    const routed = this.#routed(gone);
    try {
      this.#netlink.deleteRoutes(this.#device.index, routed);
      return [];
    } catch (error) {
      if (!(error instanceof NetlinkError) || error.errno !== libc.E.EPERM) throw error;
      const commands = routed.map(({ text }) => `sudo ip route del ${text} dev ${word(this.#name)}`);
      return [`${listed(routed)} still routed to ${this.#name}${this.#lack()}; ${listCommands(commands)}`];
    }
  }

  /**
   * Puts back what is missing, whoever removed it, and returns the state of the link. Routes (and IPv6 addresses) do
   * not survive a link that goes down, IPv6's do not survive a sysctl that disables it, and a person may have deleted
   * one. A route that has taken the place of pongd's stays. `lost` has the prefixes with such a route. `refused` has
   * the families that are not complete again, and why: IPv6 on a link whose MTU is too small for it or where it was
   * disabled; a pre-made device; or privileges that were given up. Returns undefined where the device is gone.
   */
  restore(): LinkState | undefined {
    try {
      const link = this.#netlink.link(this.#device.index);
      const { up, carrier, mtu } = link;
      this.#name = link.name;
      const state: LinkState = {
        up, carrier, mtu, lost: [], mended: [], refused: new Map(), notes: this.#quieten(link),
      };
      for (const family of up ? this.#families() : []) {
        const missing = this.#missing(family, this.#prefixes);
        if (missing.addresses.length + missing.prefixes.length === 0) continue;
        try {
          if (this.#device.premade) {
            state.refused.set(family, this.#mendOf(missing));
            continue;
          }
          const lost = this.#add(family, missing);
          const back = { ...missing, prefixes: missing.prefixes.filter((prefix) => !lost.includes(prefix)) };
          state.lost = [...state.lost, ...lost];
          if (back.addresses.length + back.prefixes.length > 0) state.mended.push(this.#lackOf(back));
        } catch (error) {
          if (!(error instanceof NetlinkError) || error.errno === libc.E.ENETDOWN || error.errno === libc.E.ENODEV) {
            throw error;
          }
          state.refused.set(family, error.errno === libc.E.EPERM
            ? this.#mendOf(missing)
            : `nothing is answered by IPv${family}: ${error.message}`);
        }
      }
      return state;
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      // ENETDOWN: the link went down again meanwhile, and a notification about that is on its way.
      if (error.errno === libc.E.ENETDOWN) return {
        up: false, carrier: false, mtu: this.#device.mtu, lost: [], mended: [], refused: new Map(), notes: [],
      };
      if (error.errno === libc.E.ENODEV) return undefined;
      throw error;
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
      const name = word(this.#name);
      const mend = listCommands(
        [`sudo ip link set ${name} addrgenmode none`, `sudo ip -6 addr flush dev ${name} scope link`],
      );
      return [`the kernel has given ${this.#name} an IPv6 link-local address${this.#lack()}; ${mend}`];
    }
  }

  /** Returns which of the host's addresses and of these prefixes' routes are missing, for one family. */
  #missing(family: Family, prefixes: readonly Prefix[]): Missing {
    const own = prefixes.filter((prefix) => prefix.family === family);
    const there = new Set(this.#netlink.addresses(this.#device.index).map(({ text }) => text));
    const addresses = this.#addresses.filter((address) => address.family === family && !there.has(address.text));
    if (own.length === 0) return { addresses, prefixes: [] };
    const ours = this.#routes(family);
    // Where pongd makes the routes, each prefix has one of its own. Where others make them, one
    // may serve several prefixes.
    return { addresses, prefixes: own.filter(
      (prefix) => !ours.get(prefix) && !((this.#device.premade || this.#device.adopted) && ours.around(prefix)),
    ) };
  }

  /** Returns the routes by which packets come to the device. */
  #routes(family: Family): BlockMap<Route> {
    return new BlockMap(
      this.#netlink.routes(family, this.#device.index).filter((route) => this.#counts(route, family)),
    );
  }

  /**
   * Returns whether a route counts as one to the device. pongd's own routes have their table and metric too. Whoever
   * makes routes by hand chooses the metric, and also the table, provided that rules lead to it.
   */
  #counts({ oif, type, table, tos, metric, bytes }: Route, family: Family): boolean {
    if (oif !== this.#device.index || type !== uapi.RTN_UNICAST || tos !== 0) return false;
    if (table === uapi.RT_TABLE_MAIN) {
      return this.#device.premade || this.#device.adopted || metric === ROUTE_METRIC[family];
    }
    return this.#device.premade && this.#netlink.lookUp(bytes)?.oif === oif;
  }

  /** Adds what is missing. Returns the prefixes that are routed elsewhere. */
  #add(family: Family, missing: Missing): Prefix[] {
    for (const address of missing.addresses) this.#netlink.addAddress(this.#device.index, address);
    return this.#netlink.addRoutes(
      this.#device.index, missing.prefixes, this.#addresses.find((own) => own.family === family),
    );
  }

  /** Returns the prefixes that have a route of their own to the device. */
  #routed(prefixes: readonly Prefix[]): Prefix[] {
    return FAMILIES.flatMap((family) => {
      const own = prefixes.filter((prefix) => prefix.family === family);
      const ours = own.length === 0 ? undefined : this.#routes(family);
      return own.filter((prefix) => ours?.get(prefix));
    });
  }

  /** Returns the families of the addresses and the prefixes. */
  #families(): Family[] {
    return FAMILIES.filter((family) => [...this.#addresses, ...this.#prefixes].some((own) => own.family === family));
  }

  /**
   * Returns lines about what others' routes take away from the prefixes.
   * @throws Failure where a whole prefix is routed elsewhere. On a pre-made device that is not pongd's to decide, so it
   * returns a line about it.
   */
  #checkRoutes(checked: readonly Prefix[]): string[] {
    if (checked.length === 0) return [];
    const families = FAMILIES.filter((family) => checked.some((prefix) => prefix.family === family));
    const routes = families.flatMap((family) => this.#netlink.routes(family));
    const own = this.#device.premade
      ? new BlockMap(routes.filter(({ oif, table }) => oif === this.#device.index && table === uapi.RT_TABLE_MAIN))
      : undefined;
    const { taken, told } = conflictsOf(
      routes.filter(({ oif }) => oif !== this.#device.index), checked, (oif) => this.#netlink.link(oif).name,
      (prefix) => own?.get(prefix)?.metric ?? ROUTE_METRIC[prefix.family],
    );
    if (taken.length > 0 && !this.#device.premade) {
      throw routedElsewhere(taken[0].prefix, taken[0].why, textOf(taken[0].route));
    }
    return linesOf(
      [...taken.map(({ prefix, why }) => () => `prefix ${prefix.text} ${why}: it does not reach pongd`), ...told],
    );
  }

  /** @throws Failure where a pre-made device does not have the address. */
  #ownAddress(address: Address): Address {
    if (this.#addresses.some(({ text }) => text === address.text)) return address;
    throw new Failure(
      `host address ${address.text} is not on ${this.#name}, which is pre-made`,
      EXIT.RUNTIME,
      { mend: `leave --host-address out, or: ${this.#addressCommand(address)}` },
    );
  }

  /** Says what is missing. */
  #lackOf({ addresses, prefixes }: Missing): string {
    return [
      ...addresses.map(({ text }) => `host address ${text} is not on ${this.#name}`),
      ...prefixes.length > 0 ? [`${listed(prefixes)} not routed to ${this.#name}`] : [],
    ].join(", ");
  }

  /** Says what is missing, why pongd does not put it back, and how a person does. */
  #mendOf(missing: Missing): string {
    const { addresses, prefixes } = missing;
    const commands = [
      ...addresses.map((address) => this.#addressCommand(address)),
      ...prefixes.map((prefix) => this.#routeCommand(prefix)),
    ];
    return `${this.#lackOf(missing)}${this.#lack()}; ${listCommands(commands)}`;
  }

  #lack(): string {
    if (this.#device.premade) return "";
    return this.#device.adopted
      ? ": that needs CAP_NET_ADMIN, which was given up"
      : ": that needs CAP_NET_ADMIN, which pongd does not have";
  }

  #routeCommand({ text, family }: Prefix): string {
    const own = this.#addresses.find((address) => address.family === family);
    return `sudo ip route add ${text} dev ${word(this.#name)}${own ? ` src ${own.text}` : ""}`;
  }

  #addressCommand({ text, family }: Address): string {
    return `sudo ip addr add ${text}/${family === 4 ? 32 : "128 nodad"} dev ${word(this.#name)}`;
  }

  /** Converts the kernel's refusal to make these into a Failure. */
  #failure(error: unknown, wanted: readonly Address[]): unknown {
    if (!(error instanceof NetlinkError)) return error;
    if (wanted.some(({ family }) => family === 6) && NO_IPV6.includes(error.errno)) {
      return new Failure(
        `IPv6 is disabled on this host, so its prefixes cannot be routed (${error.message})`,
        EXIT.RUNTIME,
        { mend: `${IPV6_MEND}; or give IPv4 prefixes alone`, cause: error },
      );
    }
    return new Failure(
      `cannot set up ${this.#name}: ${error.message}`,
      error.errno === libc.E.EPERM ? EXIT.PERMISSION : EXIT.RUNTIME,
      { cause: error },
    );
  }
}

/** Names the prefixes, followed by "is" or "are". */
function listed(prefixes: readonly Prefix[]): string {
  return prefixes.length === 1
    ? `prefix ${prefixes[0].text} is`
    : `${prefixes.length} prefixes, ${prefixes[0].text} first, are`;
}

function listCommands(commands: readonly string[]): string {
  return `${commands.slice(0, SHOWN).join(" && ")}${commands.length > SHOWN
    ? ` and ${commands.length - SHOWN} more`
    : ""}`;
}

/** `route` is what `ip` is asked for. */
function routedElsewhere({ text }: Prefix, why = "is routed elsewhere already", route = text): Failure {
  return new Failure(
    `prefix ${text} ${why}`, EXIT.RUNTIME, { mend: `choose another prefix, or see: ip route show table all ${route}` },
  );
}
