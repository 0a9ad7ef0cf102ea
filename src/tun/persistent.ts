/** Persistent devices. They remain when the program that uses them ends, and serve users who may not make one. */
import { Mode } from "../../abi/control.js";
import { EXIT, Failure } from "../base/failure.js";
import type { Address, Prefix } from "../prefix/prefixes.js";
import { inUse, TunDevice, type Owner } from "./device.js";
import { Netlink } from "./netlink.js";
import { closeQueue, openQueueTo, setPersist } from "./tun.js";
import { IFF_MULTI_QUEUE, IFF_NO_PI, IFF_TAP } from "../sys/uapi.js";

export interface PersistentOptions {
  readonly name: string;
  readonly mode: Mode;
  /** Bytes. */
  readonly mtu: number;
  /** Whether it can have more than one queue. */
  readonly multiQueue: boolean;
  /** Whether there is room before its packets for what offload needs. */
  readonly offload: boolean;
  readonly owner: Owner;
  readonly hostAddresses: readonly Address[];
  /** Prefixes to route to it. */
  readonly prefixes: readonly Prefix[];
}

/**
 * Makes a device, as `ip tuntap add` does, and configures it as pongd configures its own. Returns a line for each part
 * of the prefixes that will not reach it. @throws Failure; there is no device then.
 */
export async function createDevice(
  { name, mode, mtu, multiQueue, offload, owner, hostAddresses, prefixes }: PersistentOptions,
): Promise<string[]> {
  const device = new TunDevice({
    name, mode, mtu, queues: 1, persistent: { ...owner, multiQueue }, vnetHeader: offload ? "wanted" : "allowed",
  });
  try {
    const exceptions = await device.routing.configure(hostAddresses, prefixes);
    // This comes last: until then the device goes with this process, whatever happens.
    device.persist();
    return exceptions;
  } finally {
    device.close();
  }
}

/**
 * Removes a persistent device with its addresses and routes. @throws Failure for any other
 * interface, and for one in use.
 */
export function removeDevice(name: string): void {
  const netlink = new Netlink();
  try {
    const link = netlink.find(name);
    if (!link) throw new Failure(`there is no interface ${name}`, EXIT.RUNTIME, { mend: "see: ip -br link" });
    if (!link.tun) throw new Failure(
      `interface ${name} is no TUN or TAP device${link.kind ? ` but a ${link.kind}` : ""}: it is left alone`,
      EXIT.RUNTIME,
    );
    if (!link.tun.persist) throw new Failure(
      `device ${name} is not persistent: it goes with the program that has it open`, EXIT.RUNTIME, { mend: "end that" },
    );
    if (link.tun.queues > 0) throw inUse(name);
    const fd = openQueueTo({
      what: `remove ${name}`,
      busy: inUse(name),
      denied: { mend: "run as its owner, or as root (sudo)" },
    }, name, link.tun.type === IFF_TAP ? Mode.tap : Mode.tun, IFF_NO_PI | (link.tun.multiQueue ? IFF_MULTI_QUEUE : 0));
    try {
      setPersist(fd, false);
    } finally {
      closeQueue(fd);
    }
  } finally {
    netlink.close();
  }
}
