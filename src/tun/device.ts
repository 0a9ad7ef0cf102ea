/**
 * A TUN or TAP device for as long as pongd runs, had in one of three ways:
 *
 *  made      by the first queue's TUNSETIFF, gone when the last queue is closed, and with it every address and route on it,
 *            however the process ends
 *  pre-made  persistent, made by `pongd device create` or `ip tuntap add` for a user without privileges. Its owner, flags, MTU,
 *            link, addresses and routes are left as they are: it stays what it was, however the process ends
 *  adopted   one of these two, its queues handed over by execve(2) from an image with privileges; see privileges.ts
 */
import { availableParallelism } from "node:os";
import { Mode } from "../abi.js";
import { EXIT, Failure, IPV6_MEND, NET_ADMIN_MEND } from "../failure.js";
import { BlockMap, FAMILIES, formatBytes, type Address, type Block, type Family, type Prefix } from "../prefixes.js";
import * as libc from "./libc.js";
import { Netlink, NetlinkError, watchLink, type Link, type Route, type TunInfo } from "./netlink.js";
import { isQueue, kindOf, openQueue, setGroup, setOwner, setPersist } from "./tun.js";
import * as uapi from "./uapi.js";

/** How the kernel refuses IPv6 addresses and routes where disable_ipv6 is set, and where it has no IPv6 at all. */
const NO_IPV6 = [libc.E.EACCES, libc.E.EAFNOSUPPORT, libc.E.EOPNOTSUPP];

/** Packets the device queues towards a reader that falls behind; the kernel's default of 500 loses bursts. */
const TX_QUEUE_LEN = 4096;

/** Commands in one line. */
const SHOWN = 3;

/** What the kernel says of a device's link. */
export interface LinkState {
  readonly up: boolean;
  readonly mtu: number;
  /** Prefixes that are routed elsewhere. */
  readonly lost: Prefix[];
  /** By family that lacks something that the kernel does not give back, or pongd may not put back: what, why, and what mends it. */
  readonly refused: Map<Family, string>;
}

/** Whose a persistent device is: of both, a program has to be both. */
export interface Owner {
  readonly user?: number | undefined;
  readonly group?: number | undefined;
}

export interface DeviceOptions {
  /** Up to 15 bytes of printable ASCII. */
  readonly name: string;
  /** TUN unless told otherwise. */
  readonly mode?: Mode;
  /** Bytes, ETH_MIN_MTU to ETH_MAX_MTU. Undefined: that of a pre-made device, else ETH_DATA_LEN. */
  readonly mtu?: number | undefined;
  /** `auto`: one for each CPU, or the one that a pre-made device has. */
  readonly queues: number | "auto";
  /** Makes a device that is to be persistent, for somebody to take as many queues of. Only `queues` of them are opened here. */
  readonly persistent?: Owner & { readonly multiQueue: boolean } | undefined;
  /** Adopts these, whatever `queues` says. */
  readonly fds?: readonly number[] | undefined;
}

/** What a family lacks on the device. */
interface Missing {
  readonly addresses: readonly Address[];
  readonly prefixes: readonly Prefix[];
}

export class TunDevice {
  readonly name: string;
  readonly mtu: number;
  /** Whether it was there before, and stays. */
  readonly premade: boolean;
  /** One file descriptor a queue, non-blocking. */
  readonly queues: readonly number[];
  readonly #mode: Mode;
  readonly #adopted: boolean;
  readonly #netlink = new Netlink();
  readonly #index: number;
  #addresses: readonly Address[] = [];
  #prefixes: readonly Prefix[] = [];
  /** What a pre-made device had counted before. */
  readonly #droppedBefore: number;
  #txDropped = 0;
  #closed = false;

  /**
   * Takes the queues of a pre-made device, or makes one, down and without addresses.
   * @throws Failure where it is in use, not permitted, missing, or not what was asked for.
   */
  constructor(options: DeviceOptions) {
    const { name, mode = Mode.tun, mtu, persistent, fds } = options;
    this.name = name;
    this.#mode = mode;
    this.#adopted = fds !== undefined;
    const opened: number[] = [];
    this.queues = fds ?? opened;
    try {
      const there = this.#netlink.find(name);
      let link: Link;
      if (fds) {
        link = adopt(there, fds, options);
      } else if (there?.tun?.persist && !persistent) {
        checkPremade(there, there.tun, options);
        const queues = countOf(options.queues, there.tun.multiQueue);
        const flags = uapi.IFF_NO_PI | (there.tun.multiQueue ? uapi.IFF_MULTI_QUEUE : 0);
        for (let queue = 0; queue < queues; queue++) opened.push(attachQueue(name, mode, flags, there.tun));
        link = this.#netlink.link(name);
        // Somebody else may have come or, with privileges, deleted it since.
        if (link.index !== there.index || (there.tun.multiQueue && link.tun?.queues !== queues)) throw inUse(name);
      } else {
        if (there) throw exists(there, persistent !== undefined);
        const owner: Owner & { multiQueue: boolean } = persistent ?? { user: process.geteuid?.(), multiQueue: true };
        const queues = countOf(options.queues, owner.multiQueue);
        for (let queue = 0; queue < queues; queue++) {
          opened.push(makeQueue(name, mode, owner.multiQueue, queue === 0));
          // A device without an owner takes a further queue from anybody who may open /dev/net/tun, which is often everybody.
          if (owner.user !== undefined) setOwner(opened[queue], owner.user);
          if (owner.group !== undefined) setGroup(opened[queue], owner.group);
        }
        link = this.#netlink.link(name);
      }
      this.#index = link.index;
      this.premade = link.tun?.persist ?? false;
      this.mtu = this.premade || fds ? link.mtu : mtu ?? uapi.ETH_DATA_LEN;
      if (this.premade) this.#addresses = this.#netlink.addresses(link.index);
      this.#droppedBefore = this.premade ? this.#netlink.stats(link.index).txDropped : 0;
    } catch (error) {
      for (const fd of opened) libc.close(fd);
      this.#netlink.close();
      throw error;
    }
  }

  /** The host's on it. */
  get addresses(): readonly Address[] {
    return this.#addresses;
  }

  /**
   * Gives the host its addresses, takes the link up and routes the prefixes to it. Returns what will not reach it all the
   * same, a line each: parts of the prefixes that have routes of their own. Of a pre-made device nothing is changed: `addresses`
   * are those that it must have, which then come first.
   * @throws Failure where the kernel refuses, or a prefix is routed elsewhere already.
   */
  configure(addresses: readonly Address[], prefixes: readonly Prefix[]): string[] {
    this.#prefixes = prefixes;
    if (this.premade) {
      this.#addresses = [...addresses.map((address) => this.#ownAddress(address)), ...this.#addresses.filter(({ text }) => addresses.every((given) => given.text !== text))];
      return this.#adopted ? [] : this.#checkRoutes(prefixes);
    }
    this.#addresses = addresses;
    if (this.#adopted) return [];
    const exceptions = this.#checkRoutes(prefixes);
    try {
      if (this.#mode === Mode.tun) this.#quieten();
      this.#netlink.setLinkUp(this.#index, this.mtu, TX_QUEUE_LEN);
      const lost = this.#families().flatMap((family) => this.#add(family, this.#missing(family, prefixes))).at(0);
      if (lost) throw routedElsewhere(lost);
      return exceptions;
    } catch (error) {
      throw this.#failure(error, [...addresses, ...prefixes]);
    }
  }

  /** Has the device outlive its last queue. */
  persist(): void {
    setPersist(this.queues[0], true);
  }

  /**
   * Routes those of the prefixes to it that were not routed to it so far; what was, stays. Nothing is changed where one of them cannot
   * be had. Returns, a line each, what will not reach it all the same, with what pongd may not route, and the command that does.
   * @throws Failure as configure() does.
   */
  addRoutes(prefixes: readonly Prefix[]): string[] {
    const before = new BlockMap(this.#prefixes);
    const added = prefixes.filter((prefix) => !before.get(prefix));
    const lines = this.#checkRoutes(added);
    const tried: Prefix[] = [];
    const lost: Prefix[] = [];
    try {
      for (const family of FAMILIES) {
        const missing = { addresses: [], prefixes: this.#missing(family, added).prefixes };
        if (missing.prefixes.length === 0) continue;
        tried.push(...missing.prefixes);
        try {
          if (this.premade) lines.push(this.#mendOf(missing));
          else lost.push(...this.#add(family, missing));
        } catch (error) {
          if (!(error instanceof NetlinkError)) throw error;
          if (error.errno === libc.E.EPERM) lines.push(this.#mendOf(missing));
          // While the link is down there are no routes: restore() makes them.
          else if (error.errno !== libc.E.ENETDOWN) throw error;
        }
      }
      if (lost.length > 0) throw routedElsewhere(lost[0]);
    } catch (error) {
      this.#netlink.deleteRoutes(this.#index, this.#routed(tried));
      throw this.#failure(error, added);
    }
    this.#prefixes = [...this.#prefixes, ...added];
    return lines;
  }

  /** Routes to it what of these was, and nothing else. Returns what pongd may not take away, as addRoutes() does. */
  keepRoutes(prefixes: readonly Prefix[]): string[] {
    const kept = new BlockMap(prefixes);
    const gone = this.#prefixes.filter((prefix) => !kept.get(prefix));
    this.#prefixes = this.#prefixes.filter((prefix) => kept.get(prefix));
    if (this.premade) return [];
    const routed = this.#routed(gone);
    try {
      this.#netlink.deleteRoutes(this.#index, routed);
      return [];
    } catch (error) {
      if (!(error instanceof NetlinkError) || error.errno !== libc.E.EPERM) throw error;
      const commands = routed.map(({ text }) => `sudo ip route del ${text} dev ${this.name}`);
      return [`${listed(routed)} still routed to ${this.name}${this.#lack()}; ${listCommands(commands)}`];
    }
  }

  /**
   * What the kernel says of the link now, after putting back what it took away: routes (and IPv6 addresses) do not survive
   * a link that goes down. `lost`: prefixes that have got another route meanwhile. `refused`: families that are not whole again, and why:
   * IPv6 on a link whose MTU is too small for it, or where it was disabled; a pre-made device, or privileges that were given up. Undefined
   * where the device is gone.
   */
  restore(): LinkState | undefined {
    try {
      const { up, mtu } = this.#netlink.link(this.#index);
      const state: LinkState = { up, mtu, lost: [], refused: new Map() };
      for (const family of up ? this.#families() : []) {
        const missing = this.#missing(family, this.#prefixes);
        if (missing.addresses.length + missing.prefixes.length === 0) continue;
        try {
          if (this.premade) state.refused.set(family, this.#mendOf(missing));
          else state.lost.push(...this.#add(family, missing));
        } catch (error) {
          if (!(error instanceof NetlinkError) || error.errno === libc.E.ENETDOWN || error.errno === libc.E.ENODEV) throw error;
          state.refused.set(family, error.errno === libc.E.EPERM ? this.#mendOf(missing) : `nothing is answered by IPv${family}: ${error.message}`);
        }
      }
      return state;
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      // ENETDOWN: it went down again in between, and another change is about to be told.
      if (error.errno === libc.E.ENETDOWN) return { up: false, mtu: this.mtu, lost: [], refused: new Map() };
      if (error.errno === libc.E.ENODEV) return undefined;
      throw error;
    }
  }

  /** Calls back when the link has changed; returns how to end that. */
  watch(callback: () => void): () => void {
    return watchLink(this.#index, callback);
  }

  /** Packets that the queues had no room for while pongd had them. Of a device that is gone or closed, what it came to when last asked. */
  txDropped(): number {
    try {
      if (!this.#closed) this.#txDropped = this.#netlink.stats(this.#index).txDropped - this.#droppedBefore;
    } catch (error) {
      if (!(error instanceof NetlinkError) || error.errno !== libc.E.ENODEV) throw error;
    }
    return this.#txDropped;
  }

  /** Closes the queues; with the last of them the kernel removes a device that is not persistent. */
  close(): void {
    this.#closed = true;
    for (const fd of this.queues) libc.close(fd);
    this.#netlink.close();
  }

  /** What the kernel sends of its own accord would reach pongd alone. A TAP device may have more behind it, and neighbours to ask there. */
  #quieten(): void {
    try {
      this.#netlink.setNoLinkLocal(this.#index);
    } catch (error) {
      // Without IPv6 there is nothing to send.
      if (!(error instanceof NetlinkError) || error.errno !== libc.E.EAFNOSUPPORT) throw error;
    }
  }

  /** What of the host's addresses, and of the routes of these prefixes, is not there, of one family. */
  #missing(family: Family, prefixes: readonly Prefix[]): Missing {
    const own = prefixes.filter((prefix) => prefix.family === family);
    const there = new Set(this.#netlink.addresses(this.#index).map(({ text }) => text));
    const addresses = this.#addresses.filter((address) => address.family === family && !there.has(address.text));
    if (own.length === 0) return { addresses, prefixes: [] };
    const ours = this.#routes(family);
    // Where pongd makes routes, each prefix has one of its own; where others do, one may serve several.
    return { addresses, prefixes: own.filter((prefix) => !ours.get(prefix) && !((this.premade || this.#adopted) && ours.around(prefix))) };
  }

  /** That lead to the device. */
  #routes(family: Family): BlockMap<Route> {
    return new BlockMap(this.#netlink.routes(family, this.#index).filter(({ oif, type }) => oif === this.#index && type === uapi.RTN_UNICAST));
  }

  /** Adds what is missing; returns the prefixes that are routed elsewhere. */
  #add(family: Family, missing: Missing): Prefix[] {
    for (const address of missing.addresses) this.#netlink.addAddress(this.#index, address);
    return this.#netlink.addRoutes(this.#index, missing.prefixes, this.#addresses.find((own) => own.family === family));
  }

  /** Those that have a route of their own to the device. */
  #routed(prefixes: readonly Prefix[]): Prefix[] {
    return FAMILIES.flatMap((family) => {
      const own = prefixes.filter((prefix) => prefix.family === family);
      const ours = own.length === 0 ? undefined : this.#routes(family);
      return own.filter((prefix) => ours?.get(prefix));
    });
  }

  /** The families of the addresses and the prefixes. */
  #families(): Family[] {
    return FAMILIES.filter((family) => [...this.#addresses, ...this.#prefixes].some((own) => own.family === family));
  }

  /**
   * Returns what others' routes take away from the prefixes. @throws Failure where one of them is routed elsewhere as a whole; on a
   * pre-made device it is not pongd's to decide, and of those that are the host's own there is a line.
   */
  #checkRoutes(checked: readonly Prefix[]): string[] {
    const lines: string[] = [];
    if (checked.length === 0) return lines;
    const prefixes = new BlockMap(checked);
    const families = FAMILIES.filter((family) => checked.some((prefix) => prefix.family === family));
    const routes = families.flatMap((family) => this.#netlink.routes(family)).filter(({ oif }) => oif !== this.#index);
    const where = (route: Route) => route.type === uapi.RTN_LOCAL ? "is this host's own" : route.oif === 0 ? "is routed elsewhere" : `is routed to ${this.#netlink.link(route.oif).name}`;
    const refuse = (prefix: Prefix, route: Route) => {
      if (!this.premade) throw routedElsewhere(prefix, where(route), textOf(route));
      if (route.type === uapi.RTN_LOCAL) lines.push(`prefix ${prefix.text} ${where(route)}: it does not reach pongd`);
    };
    // The kernel looks local routes up before all others, however short they are.
    const local = new BlockMap(routes.filter(({ type }) => type === uapi.RTN_LOCAL));
    for (const prefix of checked) {
      const route = local.around(prefix);
      if (route) refuse(prefix, route);
    }
    for (const route of routes) {
      const prefix = prefixes.get(route);
      if (prefix) refuse(prefix, route);
      const outer = prefixes.around(route);
      if (outer) lines.push(`${textOf(route)}, a part of ${outer.text}, ${where(route)}: it does not reach pongd`);
    }
    return lines;
  }

  /** @throws Failure where a pre-made device does not have the address. */
  #ownAddress(address: Address): Address {
    if (this.#addresses.some(({ text }) => text === address.text)) return address;
    throw new Failure(`host address ${address.text} is not on ${this.name}, which is pre-made`, EXIT.RUNTIME, { mend: `leave --host-address out, or: ${this.#addressCommand(address)}` });
  }

  /** Says what is missing, why pongd does not put it there, and how a person does. */
  #mendOf({ addresses, prefixes }: Missing): string {
    const what = [
      ...addresses.map(({ text }) => `host address ${text} is not on ${this.name}`),
      ...prefixes.length > 0 ? [`${listed(prefixes)} not routed to ${this.name}`] : [],
    ];
    const commands = [...addresses.map((address) => this.#addressCommand(address)), ...prefixes.map((prefix) => this.#routeCommand(prefix))];
    return `${what.join(", ")}${this.#lack()}; ${listCommands(commands)}`;
  }

  #lack(): string {
    if (this.premade) return "";
    return this.#adopted ? ": that needs CAP_NET_ADMIN, which was given up" : ": that needs CAP_NET_ADMIN, which pongd does not have";
  }

  #routeCommand({ text, family }: Prefix): string {
    const own = this.#addresses.find((address) => address.family === family);
    return `sudo ip route add ${text} dev ${this.name}${own ? ` src ${own.text}` : ""}`;
  }

  #addressCommand({ text, family }: Address): string {
    return `sudo ip addr add ${text}/${family === 4 ? 32 : "128 nodad"} dev ${this.name}`;
  }

  /** In words, what the kernel refused to make of these. */
  #failure(error: unknown, wanted: readonly Address[]): unknown {
    if (!(error instanceof NetlinkError)) return error;
    if (wanted.some(({ family }) => family === 6) && NO_IPV6.includes(error.errno)) {
      return new Failure(`IPv6 is disabled on this host, so its prefixes cannot be routed (${error.message})`, EXIT.RUNTIME, { mend: `${IPV6_MEND}; or give IPv4 prefixes alone`, cause: error });
    }
    return new Failure(`cannot set up ${this.name}: ${error.message}`, error.errno === libc.E.EPERM ? EXIT.PERMISSION : EXIT.RUNTIME, { cause: error });
  }
}

function textOf({ bytes, length }: Block): string {
  return `${formatBytes(bytes)}/${length}`;
}

/** With the verb. */
function listed(prefixes: readonly Prefix[]): string {
  return prefixes.length === 1 ? `prefix ${prefixes[0].text} is` : `${prefixes.length} prefixes, ${prefixes[0].text} first, are`;
}

function listCommands(commands: readonly string[]): string {
  return `${commands.slice(0, SHOWN).join(" && ")}${commands.length > SHOWN ? ` and ${commands.length - SHOWN} more` : ""}`;
}

/** `route`: as `ip` is asked for it. */
function routedElsewhere({ text }: Prefix, where = "is routed elsewhere", route = text): Failure {
  return new Failure(`prefix ${text} ${where} already`, EXIT.RUNTIME, { mend: `choose another prefix, or see: ip route show table all ${route}` });
}

function countOf(queues: number | "auto", multiQueue: boolean): number {
  return queues !== "auto" ? queues : multiQueue ? availableParallelism() : 1;
}

/** The link, where the descriptors are the queues of a device of that name and kind. @throws Failure (usage) */
function adopt(link: Link | undefined, fds: readonly number[], { name, mode = Mode.tun }: DeviceOptions): Link {
  const wrong = fds.find((fd) => !isQueue(fd, name, mode));
  if (!link?.tun || wrong !== undefined || (link.tun.multiQueue && link.tun.queues !== fds.length)) {
    throw new Failure(`--queue-fds ${fds.join(",")}: ${wrong === undefined ? "not all queues" : `${wrong} is no queue`} of ${name}; it is for pongd's own use: leave it out`, EXIT.USAGE);
  }
  for (const fd of fds) libc.check(libc.fcntl(fd, uapi.F_SETFD, uapi.FD_CLOEXEC), "fcntl", "FD_CLOEXEC");
  return link;
}

/** @throws Failure for what would have to be changed on a pre-made device, with the command that does, and where it is in use. */
function checkPremade({ name, mtu: own }: Link, tun: TunInfo, { mode = Mode.tun, mtu, queues: asked }: DeviceOptions): void {
  const queues = countOf(asked, tun.multiQueue);
  const remade = `make it anew: sudo pongd device remove ${name} && ${createCommand(name, mode, tun, Math.max(queues, tun.multiQueue ? 2 : 1))}`;
  const refuse = (what: string, mend: string) => { throw new Failure(`device ${name} is pre-made and ${what}`, EXIT.RUNTIME, { mend }); };
  if (tun.type !== kindOf(mode)) refuse(`a ${nameOf(tun)} device`, `run with --mode ${nameOf(tun).toLowerCase()}, or ${remade}`);
  if (tun.pi) refuse("puts packet information (pi) before each packet", remade);
  if (tun.vnetHdr) refuse("puts a virtio-net header (vnet_hdr) before each packet", remade);
  if (queues > 1 && !tun.multiQueue) refuse("has one queue alone", `leave --queues out, or ${remade}`);
  if (mtu !== undefined && mtu !== own) refuse(`has MTU ${own}`, `leave --mtu out, or: sudo ip link set ${name} mtu ${mtu}`);
  if (tun.queues > 0) throw inUse(name);
}

/** The command that makes a device like it. */
function createCommand(name: string, mode: Mode, { owner, group }: TunInfo, queues: number): string {
  return [
    `sudo pongd device create ${name} PREFIX`,
    owner === undefined && group === undefined ? "--user USER" : "",
    owner === undefined ? "" : `--user ${owner}`,
    group === undefined ? "" : `--group ${group}`,
    queues > 1 ? `--queues ${queues}` : "",
    mode === Mode.tap ? "--mode tap" : "",
  ].filter(Boolean).join(" ");
}

/** TUN or TAP. */
function nameOf({ type }: TunInfo): string {
  return type === uapi.IFF_TAP ? "TAP" : "TUN";
}

export function inUse(name: string): Failure {
  return new Failure(`device ${name} is in use: another program, perhaps another pongd, has it open`, EXIT.RUNTIME, { mend: "end that, or choose another device" });
}

function exists({ name, kind, tun }: Link, persistent: boolean): Failure {
  if (!persistent) return new Failure(`an interface named ${name} exists already, perhaps of another pongd; choose another name with --device`, EXIT.RUNTIME);
  if (tun?.persist) return new Failure(`device ${name} exists already`, EXIT.RUNTIME, { mend: `remove it first: sudo pongd device remove ${name}` });
  return new Failure(`an interface named ${name} exists already${tun ? ", a device of a program that runs" : kind ? ` (${kind})` : ""}`, EXIT.RUNTIME, { mend: "choose another name" });
}

function makeQueue(name: string, mode: Mode, multiQueue: boolean, first: boolean): number {
  // Multi-queue from the start: a device made without it never takes a second queue. Exclusive, or a second pongd would
  // silently become another queue of the first one's device and take a share of its packets.
  const flags = uapi.IFF_NO_PI | (multiQueue ? uapi.IFF_MULTI_QUEUE : 0) | (first ? uapi.IFF_TUN_EXCL : 0);
  try {
    return openQueue(name, mode, flags);
  } catch (error) {
    if (!(error instanceof libc.SystemError)) throw error;
    switch (error.errno) {
      case libc.E.EBUSY:
        throw new Failure(`an interface named ${name} exists already, perhaps of another pongd; choose another name with --device`, EXIT.RUNTIME, { cause: error });
      case libc.E.EPERM:
        throw new Failure(`making device ${name} needs CAP_NET_ADMIN`, EXIT.PERMISSION, { mend: NET_ADMIN_MEND, cause: error });
      default:
        throw new Failure(`cannot make device ${name}: ${error.message}`, EXIT.RUNTIME, { mend: "choose another name with --device", cause: error });
    }
  }
}

function attachQueue(name: string, mode: Mode, flags: number, { owner, group }: TunInfo): number {
  try {
    return openQueue(name, mode, flags);
  } catch (error) {
    if (!(error instanceof libc.SystemError)) throw error;
    if (error.errno === libc.E.EBUSY) throw inUse(name);
    if (error.errno !== libc.E.EPERM) throw new Failure(`cannot take a queue of ${name}: ${error.message}`, EXIT.RUNTIME, { cause: error });
    const whose = [...owner === undefined ? [] : [`user ${owner}`], ...group === undefined ? [] : [`group ${group}`]].join(" and ");
    throw new Failure(`device ${name} belongs to ${whose}`, EXIT.PERMISSION, { mend: `run pongd as that, or as root (sudo)`, cause: error });
  }
}
