/** What a TAP device brings with it: the MAC addresses of the addresses that answer. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { MacPolicy } from "../../abi/control.js";

export interface Link {
  readonly policy: MacPolicy;
  /** The one that all have under MacPolicy.shared: 6 bytes. */
  readonly address: Uint8Array;
}

/**
 * The link of a device. Its address is the same whenever it is made on this host, so that neighbours need not learn it anew, and
 * another on another host: unicast, locally administered (IEEE 802 §8.4), the rest a hash of the machine's identity and the name.
 */
export function linkOf(device: string, policy: MacPolicy, machine = machineId()): Link {
  const address = new Uint8Array(createHash("sha256").update(`pongd\0${machine}\0${device}`).digest().subarray(0, 6));
  address[0] = address[0] & 0xfc | 0x02;
  return { policy, address };
}

/** machine-id(5), which is not to be shown but hashed; the host's name where there is none. */
function machineId(): string {
  try {
    return readFileSync("/etc/machine-id", "utf8").trim() || hostname();
  } catch {
    return hostname();
  }
}

export function formatMac(address: Uint8Array): string {
  return Buffer.from(address).toString("hex").replace(/..(?=.)/g, "$&:");
}
