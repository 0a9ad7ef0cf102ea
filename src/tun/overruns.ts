/** Counts the packets that a device's own queues had no room for, so that pongd never read them. */
import * as libc from "../sys/libc.js";
import type { Netlink } from "./netlink.js";
import { NetlinkError } from "./refusal.js";

/** A device, and what it had dropped before pongd opened it. */
export interface OverrunsOf {
  /** Index of the interface. */
  readonly index: number;
  readonly before: number;
}

export class Overruns {
  readonly #netlink: Netlink;
  readonly #of: OverrunsOf;
  #count = 0;

  constructor(netlink: Netlink, of: OverrunsOf) {
    this.#netlink = netlink;
    this.#of = of;
  }

  /** Returns how many packets there were since pongd opened the device; the last known number if the device is gone. */
  txDropped(): number {
    const { index, before } = this.#of;
    try {
      this.#count = this.#netlink.stats(index).txDropped - before;
    } catch (error) {
      if (!(error instanceof NetlinkError) || error.errno !== libc.E.ENODEV) throw error;
    }
    return this.#count;
  }
}
