/** Whether this host hands packets on between a device and its other interfaces, as its sysctls say. */
import { readdirSync, readFileSync } from "node:fs";
import { word } from "../base/shell.js";

/** Why packets of other machines do not come to pongd and back, and the command that mends it. */
export interface Lack {
  readonly what: string;
  readonly mend: string;
}

/** Undefined where they do, as far as forwarding goes. A `device` that is not there yet will have the defaults. */
export function forwardingLack(family: 4 | 6, device: string): Lack | undefined {
  return family === 4 ? lackOf4(device) : lackOf6(device);
}

/**
 * Interfaces on which the kernel drops what would not be answered by the way that it came (RFC 3704 §2.2), but for this
 * one.
 */
export function strictInterfaces(device: string): string[] {
  const filter = (name: string) => Math.max(valueOf(4, "all", "rp_filter"), valueOf(4, name, "rp_filter"));
  return othersThan(4, device).filter((name) => filter(name) === 1);
}

/**
 * The interface that a packet comes in by has to forward: the one of the link for requests, and the device for replies.
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
  // With slashes, since a name may have a dot in it.
  return {
    what: `IPv4 forwarding is off on ${device}, so no reply reaches another machine`,
    mend: `sudo sysctl -w ${word(`net/ipv4/conf/${device}/forwarding=1`)}`,
  };
}

/** One switch for all; from Linux 6.17 on an interface may forward without it. */
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

/** Of an interface, or the default of those to come; where the kernel does not say, as if it were on. */
function valueOf(family: 4 | 6, name: string, key: string, unsaid = 1): number {
  for (const where of [name, "default"]) {
    try {
      return Number(readFileSync(`/proc/sys/net/ipv${family}/conf/${where}/${key}`, "utf8"));
    } catch {
      // Not there: the next one.
    }
  }
  return unsaid;
}
