/** The MAC addresses that answer on a TAP device. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { MacPolicy } from "../../abi/control.js";

export interface Ethernet {
  readonly policy: MacPolicy;
  /** The MAC address that all addresses share under MacPolicy.shared: 6 bytes. */
  readonly address: Uint8Array;
}

/**
 * Returns a device's MAC addresses. The shared one is the same each time the device is made on this host, so that
 * neighbours need not learn it anew, and differs from host to host. It is unicast and locally administered (IEEE 802
 * §8.4); its other bits are a hash of the machine's identity and the device's name.
 */
export function ethernetOf(device: string, policy: MacPolicy, machine = machineId()): Ethernet {
  const address = new Uint8Array(createHash("sha256").update(`pongd\0${machine}\0${device}`).digest().subarray(0, 6));
  address[0] = address[0] & 0xfc | 0x02;
  return { policy, address };
}

/** Returns machine-id(5), which must be hashed before it is shown; the host's name if there is none. */
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
