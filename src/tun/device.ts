/**
 * A TUN device for as long as pongd runs: made by the first queue's TUNSETIFF, gone when the last queue is closed, and with
 * it every address and route on it, however the process ends.
 */
import { Mode } from "../abi.js";
import { EXIT, Failure, IPV6_MEND, NET_ADMIN_MEND } from "../failure.js";
import { BlockMap, FAMILIES, formatBytes, type Address, type Block, type Family, type Prefix } from "../prefixes.js";
import * as libc from "./libc.js";
import { Netlink, NetlinkError, watchLink, type Route } from "./netlink.js";
import * as uapi from "./uapi.js";

export const TUN_PATH = "/dev/net/tun";

/** What each errno of open(2) means there, and what mends it. */
const TUN_PROBLEMS: Partial<Record<string, readonly [why: string, mend: string]>> = {
  ENOENT: ["it is missing", "on a host: sudo modprobe tun; for a container: --device /dev/net/tun --cap-add NET_ADMIN"],
  EACCES: ["its file mode does not let you", "run as root (sudo), or: sudo chmod 0666 /dev/net/tun"],
  EPERM: ["the container's device rules forbid it", "start the container with --device /dev/net/tun --cap-add NET_ADMIN"],
  ENODEV: ["no TUN driver is loaded", "on the host: sudo modprobe tun"],
  ENXIO: ["no TUN driver is loaded", "on the host: sudo modprobe tun"],
};

/** How the kernel refuses IPv6 addresses and routes where disable_ipv6 is set, and where it has no IPv6 at all. */
const NO_IPV6 = [libc.E.EACCES, libc.E.EAFNOSUPPORT, libc.E.EOPNOTSUPP];

/** Packets the device queues towards a reader that falls behind; the kernel's default of 500 loses bursts. */
const TX_QUEUE_LEN = 4096;

/** What the kernel says of a device's link. */
export interface LinkState {
  readonly up: boolean;
  readonly mtu: number;
  /** Prefixes that are routed elsewhere. */
  readonly lost: Prefix[];
  /** By family that the kernel has no addresses or routes of there: why. */
  readonly refused: Map<Family, string>;
}

export interface DeviceOptions {
  /** Up to 15 bytes of printable ASCII. */
  readonly name: string;
  /** TUN unless told otherwise. */
  readonly mode?: Mode;
  /** Bytes, ETH_MIN_MTU to ETH_MAX_MTU. */
  readonly mtu: number;
  readonly queues: number;
}

/**
 * Opens /dev/net/tun and closes it again.
 * @throws Failure (permission): one line for each way in which it can be out of reach, with what mends it.
 */
export function checkTunPath(): void {
  libc.close(openTun());
}

export class TunDevice {
  readonly name: string;
  readonly mtu: number;
  /** One file descriptor a queue, non-blocking. */
  readonly queues: readonly number[];
  readonly #mode: Mode;
  readonly #netlink = new Netlink();
  #index = 0;
  #addresses: readonly Address[] = [];
  #prefixes: readonly Prefix[] = [];

  /** Makes the device, down and without addresses. @throws Failure where it is in use, not permitted or missing. */
  constructor({ name, mode = Mode.tun, mtu, queues }: DeviceOptions) {
    this.name = name;
    this.#mode = mode;
    this.mtu = mtu;
    const opened: number[] = [];
    this.queues = opened;
    try {
      for (let queue = 0; queue < queues; queue++) opened.push(openQueue(name, mode, queue === 0));
      this.#index = this.#netlink.link(name).index;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Gives the host its addresses, takes the link up and routes the prefixes to it. Returns what will not reach it all the
   * same, a line each: parts of the prefixes that have routes of their own.
   * @throws Failure where the kernel refuses, or a prefix is routed elsewhere already.
   */
  configure(addresses: readonly Address[], prefixes: readonly Prefix[]): string[] {
    this.#addresses = addresses;
    this.#prefixes = prefixes;
    const exceptions = this.#checkRoutes();
    try {
      if (this.#mode === Mode.tun) this.#quieten();
      this.#netlink.setLinkUp(this.#index, this.mtu, TX_QUEUE_LEN);
      const lost = this.#families().flatMap((family) => this.#ensure(family)).at(0);
      if (lost) throw new Failure(`prefix ${lost.text} is routed elsewhere already`, EXIT.RUNTIME, { mend: `choose another prefix, or see: ip route show table all ${lost.text}` });
      return exceptions;
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      if (this.#families().includes(6) && NO_IPV6.includes(error.errno)) {
        throw new Failure(`IPv6 is disabled on this host, so its prefixes cannot be routed (${error.message})`, EXIT.RUNTIME, { mend: `${IPV6_MEND}; or give IPv4 prefixes alone`, cause: error });
      }
      const status = error.errno === libc.E.EPERM ? EXIT.PERMISSION : EXIT.RUNTIME;
      throw new Failure(`cannot set up ${this.name}: ${error.message}`, status, { cause: error });
    }
  }

  /**
   * What the kernel says of the link now, after putting back what it took away: routes (and IPv6 addresses) do not survive
   * a link that goes down. `lost`: prefixes that have got another route meanwhile. `refused`: families that the kernel does not take
   * back, and why: IPv6 on a link whose MTU is too small for it, or where it was disabled. Undefined where the device is gone.
   */
  restore(): LinkState | undefined {
    try {
      const { up, mtu } = this.#netlink.link(this.#index);
      const state: LinkState = { up, mtu, lost: [], refused: new Map() };
      for (const family of up ? this.#families() : []) {
        try {
          state.lost.push(...this.#ensure(family));
        } catch (error) {
          if (!(error instanceof NetlinkError) || error.errno === libc.E.ENETDOWN || error.errno === libc.E.ENODEV) throw error;
          state.refused.set(family, error.message);
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

  /** Closes the queues; the kernel removes the device with the last of them. */
  close(): void {
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

  /** Adds what is missing; returns the prefixes that are routed elsewhere. */
  #ensure(family: Family): Prefix[] {
    const address = this.#addresses.find((own) => own.family === family);
    if (address) unlessThere(() => { this.#netlink.addAddress(this.#index, address); });
    const prefixes = this.#prefixes.filter((prefix) => prefix.family === family);
    if (prefixes.length === 0) return [];
    const ours = new BlockMap(this.#netlink.routes(family, this.#index).filter(({ oif, type }) => oif === this.#index && type === uapi.RTN_UNICAST));
    return this.#netlink.addRoutes(this.#index, prefixes.filter((prefix) => !ours.get(prefix)), address);
  }

  /** The families of the addresses and the prefixes. */
  #families(): Family[] {
    return FAMILIES.filter((family) => [...this.#addresses, ...this.#prefixes].some((own) => own.family === family));
  }

  /** @throws Failure where one of the prefixes is routed; returns what more specific routes take away from them. */
  #checkRoutes(): string[] {
    const exceptions: string[] = [];
    const prefixes = new BlockMap(this.#prefixes);
    const routes = this.#families().flatMap((family) => this.#netlink.routes(family));
    const where = (route: Route) => route.type === uapi.RTN_LOCAL ? "is this host's own" : route.oif === 0 ? "is routed elsewhere" : `is routed to ${this.#netlink.link(route.oif).name}`;
    const refuse = (prefix: Prefix, route: Route) => {
      throw new Failure(`prefix ${prefix.text} ${where(route)} already`, EXIT.RUNTIME, { mend: `choose another prefix, or see: ip route show table all ${textOf(route)}` });
    };
    // The kernel looks local routes up before all others, however short they are.
    const local = new BlockMap(routes.filter(({ type }) => type === uapi.RTN_LOCAL));
    for (const prefix of this.#prefixes) {
      const route = local.around(prefix);
      if (route) refuse(prefix, route);
    }
    for (const route of routes) {
      const prefix = prefixes.get(route);
      if (prefix) refuse(prefix, route);
      const outer = prefixes.around(route);
      if (outer) exceptions.push(`${textOf(route)}, a part of ${outer.text}, ${where(route)}: it does not reach pongd`);
    }
    return exceptions;
  }
}

function textOf({ bytes, length }: Block): string {
  return `${formatBytes(bytes)}/${length}`;
}

function openTun(): number {
  const fd = libc.open(TUN_PATH, uapi.O_RDWR | uapi.O_NONBLOCK | uapi.O_CLOEXEC);
  if (fd >= 0) return fd;
  const error = new libc.SystemError("open", TUN_PATH, libc.errno());
  const [why, mend] = TUN_PROBLEMS[error.code] ?? ["the kernel refused", "see man 2 open for what this means"];
  throw new Failure(`cannot open ${TUN_PATH}: ${error.code}, ${why}`, EXIT.PERMISSION, { mend, cause: error });
}

function openQueue(name: string, mode: Mode, first: boolean): number {
  const fd = openTun();
  const ifreq = Buffer.alloc(uapi.SIZEOF_IFREQ);
  ifreq.write(name, "latin1");
  // Multi-queue from the start: a device made without it never takes a second queue. Exclusive, or a second pongd would
  // silently become another queue of the first one's device and take a share of its packets.
  const exclusive = first ? uapi.IFF_TUN_EXCL : 0;
  const kind = mode === Mode.tap ? uapi.IFF_TAP : uapi.IFF_TUN;
  ifreq.writeUInt16LE(kind | uapi.IFF_NO_PI | uapi.IFF_MULTI_QUEUE | exclusive, uapi.IFNAMSIZ);
  if (libc.ioctl(fd, uapi.TUNSETIFF, ifreq) === 0) {
    // A device without an owner takes a further queue from anybody who may open /dev/net/tun, which is often everybody.
    libc.check(libc.ioctl(fd, uapi.TUNSETOWNER, BigInt(process.geteuid?.() ?? 0)), "TUNSETOWNER", name);
    return fd;
  }
  const error = new libc.SystemError("TUNSETIFF", name, libc.errno());
  libc.close(fd);
  switch (error.errno) {
    case libc.E.EBUSY:
      throw new Failure(`an interface named ${name} exists already, perhaps of another pongd; choose another name with --device`, EXIT.RUNTIME, { cause: error });
    case libc.E.EPERM:
      throw new Failure(`making device ${name} needs CAP_NET_ADMIN`, EXIT.PERMISSION, { mend: NET_ADMIN_MEND, cause: error });
    case libc.E.ENOTTY:
      throw new Failure(`${TUN_PATH} is not the TUN driver's`, EXIT.PERMISSION, { mend: `sudo rm ${TUN_PATH} && sudo mknod ${TUN_PATH} c 10 200`, cause: error });
    default:
      throw new Failure(`cannot make device ${name}: ${error.message}`, EXIT.RUNTIME, { mend: "choose another name with --device", cause: error });
  }
}

/** Whether it was added; false where it is there already. */
function unlessThere(add: () => void): boolean {
  try {
    add();
    return true;
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.errno !== libc.E.EEXIST) throw error;
    return false;
  }
}
