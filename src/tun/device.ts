/**
 * A TUN or TAP device for as long as pongd runs. It comes in one of three ways:
 *
 *  made      The first queue's TUNSETIFF makes it. It is gone when the last queue is closed, with all its addresses and
 *            routes, however the process ends.
 *  pre-made  It is persistent: `pongd device create` or `ip tuntap add` made it for a user without privileges. pongd
 *            leaves its owner, flags, MTU, link, addresses and routes as they are, however the process ends.
 *  adopted   One of these two, whose queues an image with privileges has handed over by execve(2); see
 *            src/sys/privileges.ts.
 */
import { availableParallelism } from "node:os";
import { Mode } from "../../abi/control.js";
import { word } from "../base/shell.js";
import { EXIT, Failure, NET_ADMIN_MEND } from "../base/failure.js";
import * as libc from "../sys/libc.js";
import type { Link, TunInfo } from "./messages.js";
import { Netlink } from "./netlink.js";
import type { OverrunsOf } from "./overruns.js";
import { NetlinkError } from "./refusal.js";
import { Routing } from "./routing.js";
import { disableOffload, setHeaderSize } from "./offload.js";
import { closeQueue, hasVnetHeader, isQueue, kindOf, openQueueTo, setGroup, setOwner, setPersist } from "./tun.js";
import { watchLink } from "./watch.js";
import * as uapi from "../sys/uapi.js";

/** The flag, and the key of a configuration or of the library's. */
const OTHER_NAME = "choose another name (--device or device.name)";

/** Owner of a persistent device. If both are given, a program must have both to open it. */
export interface Owner {
  readonly user?: number | undefined;
  readonly group?: number | undefined;
}

export interface DeviceOptions {
  /** Interface name: up to 15 bytes of printable ASCII. */
  readonly name: string;
  /** TUN by default. */
  readonly mode?: Mode;
  /** Bytes, ETH_MIN_MTU to ETH_MAX_MTU. By default that of a pre-made device, else ETH_DATA_LEN. */
  readonly mtu?: number | undefined;
  /** `auto`: one for each CPU, or one if a pre-made device takes no more. */
  readonly queues: number | "auto";
  /**
   * Makes a device that will be persistent, and of which its owner may open several queues. Only `queues`
   * of them are opened here.
   */
  readonly persistent?: Owner & { readonly multiQueue: boolean } | undefined;
  /**
   * Whether struct virtio_net_hdr is to lie before each packet, which offload needs. Only a device that is made here
   * gets it. A pre-made one has it or not, and `refused` takes none that has it. `allowed` by default.
   */
  readonly vnetHeader?: "wanted" | "allowed" | "refused";
  /** Queues to adopt, whatever `queues` says. */
  readonly fds?: readonly number[] | undefined;
}

export class TunDevice {
  readonly mtu: number;
  /** The device's own MAC address; empty for a TUN device. */
  readonly address: Uint8Array;
  /** Whether the device existed before, and stays. */
  readonly premade: boolean;
  /** File descriptors of the queues, non-blocking. */
  readonly queues: readonly number[];
  /** Whether struct virtio_net_hdr lies before each packet that is read or written. */
  readonly vnetHeader: boolean;
  /** Addresses and routes of the device. */
  readonly routing: Routing;
  readonly #netlink = new Netlink();
  /** For whoever counts the packets that the queues have no room for. */
  readonly overruns: OverrunsOf;
  readonly #index: number;

  /**
   * Takes the queues of a pre-made device, or makes one, down and without addresses.
   * @throws Failure where it is in use, not permitted, missing, or not what was asked for.
   */
  constructor(options: DeviceOptions) {
    const { name, mode = Mode.tun, mtu, persistent, vnetHeader, fds } = options;
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
        const flags = (there.tun.multiQueue ? uapi.IFF_MULTI_QUEUE : 0) | (there.tun.vnetHdr ? uapi.IFF_VNET_HDR : 0);
        for (let queue = 0; queue < queues; queue++) opened.push(attachQueue(name, mode, flags, there.tun));
        link = this.#netlink.link(name);
        // Somebody else may have opened it since or, with privileges, deleted it.
        if (link.index !== there.index || (there.tun.multiQueue && link.tun?.queues !== queues)) throw inUse(name);
      } else {
        if (there) throw exists(there, persistent !== undefined);
        const owner: Owner & { multiQueue: boolean } = persistent ?? { user: process.geteuid?.(), multiQueue: true };
        const queues = countOf(options.queues, owner.multiQueue);
        // IFF_MULTI_QUEUE from the start: a device made without it never takes a second queue.
        const flags = (owner.multiQueue ? uapi.IFF_MULTI_QUEUE : 0) | (vnetHeader === "wanted" ? uapi.IFF_VNET_HDR : 0);
        for (let queue = 0; queue < queues; queue++) {
          // IFF_TUN_EXCL: without it, a second pongd would silently become another queue of the first one's device and
          // take a share of its packets.
          opened.push(makeQueue(name, mode, queue === 0 ? flags | uapi.IFF_TUN_EXCL : flags));
          // A device without an owner gives another queue to anybody who may open /dev/net/tun,
          // which is often everybody.
          if (owner.user !== undefined) setOwner(opened[queue], owner.user);
          if (owner.group !== undefined) setGroup(opened[queue], owner.group);
        }
        link = this.#netlink.link(name);
      }
      this.#index = link.index;
      this.address = link.address;
      this.premade = link.tun?.persist ?? false;
      this.vnetHeader = hasVnetHeader(this.queues[0]);
      if (this.vnetHeader) setHeaderSize(this.queues[0]);
      this.mtu = this.premade || fds ? link.mtu : mtu ?? uapi.ETH_DATA_LEN;
      this.routing = new Routing(
        this.#netlink,
        { name, index: link.index, mode, mtu: this.mtu, premade: this.premade, adopted: fds !== undefined },
      );
      // A pre-made device has a past.
      this.overruns = {
        index: link.index, before: this.premade ? this.#netlink.stats(link.index).txDropped : 0,
      };
    } catch (error) {
      for (const fd of opened) closeQueue(fd);
      this.#netlink.close();
      throw error;
    }
  }

  /** Name of the device when the link was last looked at. */
  get name(): string {
    return this.routing.name;
  }

  /** Makes the device outlive its last queue. */
  persist(): void {
    setPersist(this.queues[0], true);
  }

  /**
   * Calls back when the link, its addresses or its routes have changed; see watchLink(). Returns a
   * function that ends this.
   */
  watch(callback: (link: boolean) => void): () => void {
    return watchLink(this.#index, callback);
  }

  /** False if somebody has deleted the device. */
  get exists(): boolean {
    try {
      this.#netlink.link(this.#index);
      return true;
    } catch (error) {
      return !(error instanceof NetlinkError) || error.errno !== libc.E.ENODEV;
    }
  }

  /** Closes the queues. With the last of them the kernel removes a device that is not persistent. */
  close(): void {
    this.routing.stop();
    // The device stays, and whoever has it next may know nothing of offload.
    if (this.premade && this.vnetHeader) disableOffload(this.queues[0]);
    for (const fd of this.queues) closeQueue(fd);
    this.#netlink.close();
  }
}

function countOf(queues: number | "auto", multiQueue: boolean): number {
  return queues !== "auto" ? queues : multiQueue ? availableParallelism() : 1;
}

/**
 * Returns the link, after checking that the descriptors are the queues of a device of that name and
 * kind. @throws Failure (usage)
 */
function adopt(
  link: Link | undefined, fds: readonly number[], { name, mode = Mode.tun, vnetHeader }: DeviceOptions,
): Link {
  const wrong = fds.find((fd) => !isQueue(fd, name, mode) || (vnetHeader === "refused" && hasVnetHeader(fd)));
  if (!link?.tun || wrong !== undefined || (link.tun.multiQueue && link.tun.queues !== fds.length)) {
    throw new Failure(
      `--queue-fds ${fds.join(",")}: ${wrong === undefined ? "not all queues" : `${wrong} is no queue`} of ${name}; `
      + "it is for pongd's own use: leave it out",
      EXIT.USAGE,
    );
  }
  for (const fd of fds) libc.check(libc.fcntl(fd, uapi.F_SETFD, uapi.FD_CLOEXEC), "fcntl", "FD_CLOEXEC");
  return link;
}

/**
 * Checks that a pre-made device can be used as it is.
 * @throws Failure where something would have to be changed, with the command that does it, and
 * where the device is in use.
 */
function checkPremade(
  { name, mtu: own }: Link, tun: TunInfo, { mode = Mode.tun, mtu, queues: asked, vnetHeader }: DeviceOptions,
): void {
  const queues = countOf(asked, tun.multiQueue);
  const remade = `make it anew: sudo pongd device remove ${word(name)} && `
    + createCommand(name, mode, tun, Math.max(queues, tun.multiQueue ? 2 : 1));
  const refuse = (what: string, mend: string) => {
    throw new Failure(`device ${name} is pre-made and ${what}`, EXIT.RUNTIME, { mend });
  };
  if (tun.type !== kindOf(mode)) {
    refuse(`a ${nameOf(tun)} device`, `run with --mode ${nameOf(tun).toLowerCase()}, or ${remade}`);
  }
  if (tun.pi) refuse("puts packet information (pi) before each packet", remade);
  if (vnetHeader === "refused" && tun.vnetHdr) {
    refuse("puts a virtio-net header (vnet_hdr) before each packet", `leave --engine out, or ${remade}`);
  }
  if (queues > 1 && !tun.multiQueue) refuse("has one queue alone", `leave --queues out, or ${remade}`);
  if (mtu !== undefined && mtu !== own) {
    refuse(`has MTU ${own}`, `leave --mtu out, or: sudo ip link set ${word(name)} mtu ${mtu}`);
  }
  if (tun.queues > 0) throw inUse(name);
}

/** Returns the command that makes a device like it. */
function createCommand(name: string, mode: Mode, { owner, group }: TunInfo, queues: number): string {
  return [
    `sudo pongd device create ${word(name)} PREFIX`,
    owner === undefined && group === undefined ? "--user USER" : "",
    owner === undefined ? "" : `--user ${owner}`,
    group === undefined ? "" : `--group ${group}`,
    queues > 1 ? `--queues ${queues}` : "",
    mode === Mode.tap ? "--mode tap" : "",
  ].filter(Boolean).join(" ");
}

/** Returns TUN or TAP. */
function nameOf({ type }: TunInfo): string {
  return type === uapi.IFF_TAP ? "TAP" : "TUN";
}

export function inUse(name: string): Failure {
  return new Failure(`device ${name} is in use: another program, perhaps another pongd, has it open`, EXIT.RUNTIME, {
    mend: "end that, or choose another device",
  });
}

function exists({ name, kind, tun }: Link, persistent: boolean): Failure {
  if (!persistent) return existsAlready(name);
  if (tun?.persist) return new Failure(
    `device ${name} exists already`, EXIT.RUNTIME, { mend: `remove it first: sudo pongd device remove ${word(name)}` },
  );
  return new Failure(
    `an interface named ${name} exists already${tun ? ", a device of a program that runs" : kind ? ` (${kind})` : ""}`,
    EXIT.RUNTIME,
    { mend: "choose another name" },
  );
}

function makeQueue(name: string, mode: Mode, flags: number): number {
  return openQueueTo({
    what: `make device ${name}`,
    busy: existsAlready(name),
    denied: { what: `making device ${name} needs CAP_NET_ADMIN`, mend: NET_ADMIN_MEND },
    mend: (errno) => errno === libc.E.EINVAL ? OTHER_NAME : undefined,
  }, name, mode, uapi.IFF_NO_PI | flags);
}

function attachQueue(name: string, mode: Mode, flags: number, { owner, group }: TunInfo): number {
  const owners = [...owner === undefined ? [] : [`user ${owner}`], ...group === undefined ? [] : [`group ${group}`]];
  return openQueueTo({
    what: `take a queue of ${name}`,
    busy: inUse(name),
    denied: { what: `device ${name} belongs to ${owners.join(" and ")}`, mend: "run pongd as that, or as root (sudo)" },
  }, name, mode, uapi.IFF_NO_PI | flags);
}

function existsAlready(name: string): Failure {
  const what = `an interface named ${name} exists already, perhaps of another pongd`;
  return new Failure(what, EXIT.RUNTIME, { mend: OTHER_NAME });
}
