/** Forwarding between a device and this host's other interfaces, as the sysctls have it. */
import { readdirSync, readFileSync } from "node:fs";
import { word } from "../base/shell.js";

/** A reason why packets of other machines do not reach pongd or get no reply, and the command that mends it. */
export interface Lack {
  readonly what: string;
  readonly mend: string;
}

/**
 * Returns what keeps forwarding from working; undefined if nothing does. A `device` that does not exist
 * yet will have the defaults.
 */
export function forwardingLack(family: 4 | 6, device: string): Lack | undefined {
  return family === 4 ? lackOf4(device) : lackOf6(device);
}

/**
 * Returns the other interfaces on which the kernel drops packets whose reply would take another way (RFC 3704 §2.2).
 */
export function strictInterfaces(device: string): string[] {
  const filter = (name: string) => Math.max(valueOf(4, "all", "rp_filter"), valueOf(4, name, "rp_filter"));
  return othersThan(4, device).filter((name) => filter(name) === 1);
}

/**
 * Checks IPv4, where the interface that a packet comes in by has to forward: another one for
 * requests, the device for replies.
 */
function lackOf4(device: string): Lack | undefined {
  const others = othersThan(4, device);
  const on = (name: string) => valueOf(4, name, "forwarding") !== 0;
  if (!(others.length > 0 ? others.some(on) : on("all"))) {
    return {
      what: "IPv4 forwarding is off, so nothing from other machines reaches pongd",
      mend: "sudo sysctl -w net.ipv4.ip_forward=1",
    };
  }
  if (on(device)) return undefined;
  // With slashes, since a name may contain a dot.
  return {
    what: `IPv4 forwarding is off on ${device}, so no reply reaches another machine`,
    mend: `sudo sysctl -w ${word(`net/ipv4/conf/${device}/forwarding=1`)}`,
  };
}

/** Checks IPv6, which has one switch for all interfaces. From Linux 6.17 on an interface may forward without it. */
function lackOf6(device: string): Lack | undefined {
  const forced = (name: string) => valueOf(6, name, "force_forwarding", 0) !== 0;
  if (valueOf(6, "all", "forwarding") !== 0 || (forced(device) && othersThan(6, device).some(forced))) return undefined;
  return {
    what: "IPv6 forwarding is off, so nothing from other machines reaches pongd",
    mend: "sudo sysctl -w net.ipv6.conf.all.forwarding=1",
  };
}

function othersThan(family: 4 | 6, device: string): string[] {
  try {
    return readdirSync(`/proc/sys/net/ipv${family}/conf`).filter(
      (name) => !["all", "default", "lo", device].includes(name),
    );
  } catch {
    return [];
  }
}

/**
 * Returns an interface's value, or the default for later interfaces. If the kernel has neither, returns `unsaid`, by
 * default as if it were on.
 */
function valueOf(family: 4 | 6, name: string, key: string, unsaid = 1): number {
  for (const where of [name, "default"]) {
    try {
      return Number(readFileSync(`/proc/sys/net/ipv${family}/conf/${where}/${key}`, "utf8"));
    } catch {
      // It is not there: the next one is tried.
    }
  }
  return unsaid;
}
