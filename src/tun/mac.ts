/** The MAC addresses that answer on a TAP device. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { MacPolicy } from "../../abi/control.js";

export interface Ethernet {
  readonly policy: MacPolicy;
  /** The one that all share under MacPolicy.shared: 6 bytes. */
  readonly address: Uint8Array;
}

/**
 * Returns a device's MAC addresses. The shared one is the same whenever the device is made on this host, so that
 * neighbours need not learn it anew, and differs from host to host: unicast, locally administered (IEEE 802 §8.4), the
 * rest a hash of the machine's identity and the name.
 */
export function ethernetOf(device: string, policy: MacPolicy, machine = machineId()): Ethernet {
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
