/**
 * Makes the engines' configuration, and what an oracle knows of it, which is written as plainly as the configuration
 * and by other means than the engines' tables.
 */
import { MacPolicy } from "../../../abi/control.js";
import { SourceRoute, Unreachable } from "../../../abi/tables.js";
import { Service } from "../../../abi/tcp.js";
import { interfaceBytes } from "../../../src/prefix/interfaces.js";
import type { BenchOptions, Treatment } from "../../support/engines.js";
import { SHARED_MAC, macBytes } from "../../support/frames.js";
import { between, KEPT, LINKS, PATHS, type Between } from "./between.js";

export type Family = "ipv4" | "ipv6" | "frames";
export const FAMILIES: readonly Family[] = ["ipv4", "ipv6", "frames"];

export const PREFIXES = ["10.99.0.0/16", "10.99.7.0/24", "192.0.2.128/25", "203.0.113.9/32"];
export const PREFIXES6 = ["fd99::/64", "fd99::7:0/112", "2001:db8::9/128"];
export const EXCEPTIONS = ["10.99.9.0/24"];
export const EXCEPTIONS6 = ["fd99::9:0/112"];

/** The least MTU of RFC 791, that of RFC 8200, and what is usual. */
const MTUS: Record<Family, readonly number[]> = {
  ipv4: [68, 256, 576, 1500], ipv6: [1280, 1500], frames: [1280, 1500],
};

/** UDP ports in some worlds: any 16 bits are likely to be one of each. */
const UDP = { ports: ([[1, 20000, "echo"], [20001, 30000, "silent"], [30001, 40000, "discard"]] as const).map(
  ([first, last, name]) => ({ first, last, service: { name, kind: Service[name] } }),
) };

/** Interfaces in some worlds: what the generator asks for is likely to be one's, or several's, or nothing's. */
const INTERFACES = interfaceBytes([
  { name: Buffer.from("a"), index: 1, addresses: [], active: true, ipv4: true, ipv6: true },
  {
    name: Buffer.from("bb"), index: 1, addresses: [{ afi: 1, bytes: new Uint8Array(4) }], active: false, ipv4: true,
    ipv6: true,
  },
  { addresses: [{ afi: 1, bytes: new Uint8Array(4) }, { afi: 2, bytes: new Uint8Array(16) }], neighbor: "failed" },
]);

export interface World extends Treatment {
  readonly mtu: number;
  readonly tap: boolean;
  readonly perAddress: boolean;
  /** True if replies are bounded by rates, which the engines then have to count alike. */
  readonly limited: boolean;
  /** What lies between the senders and the prefixes; undefined where packets are answered at once. */
  readonly between: Between | undefined;
}

/** Returns the configuration that a number stands for: any number stands for one. */
export function worldOf(family: Family, configuration: number): World {
  let rest = configuration >>> 0;
  const pick = <T>(...values: T[]): T => {
    const value = values[rest % values.length];
    rest = Math.floor(rest / values.length);
    return value;
  };
  const mtu = pick(...MTUS[family]);
  const reassembly = pick(64, 0, 1, 3);
  const udp = pick(Unreachable.on, Unreachable.off, Unreachable.silent);
  const other = pick(Unreachable.on, Unreachable.off, Unreachable.silent);
  const sourceRoute = pick(SourceRoute.reverse, SourceRoute.drop);
  const perAddress = pick(false, true);
  const limited = pick(false, false, false, true);
  const [echo, timestamp, errors] = [
    pick(true, true, true, false), pick(true, true, true, false), pick(true, true, true, false),
  ];
  const ttl = pick(64, 1, 255);
  const udpServices = pick({ ports: [] }, UDP);
  const interfaces = pick(undefined, INTERFACES);
  const isNear = pick(true, false);
  const [link, path] = [pick(undefined, ...numbers(LINKS)), pick(undefined, ...numbers(PATHS))];
  const far = isNear || (link ?? path) === undefined ? undefined : between(mtu, link, path);
  return {
    mtu, tap: family === "frames", perAddress, limited, reassembly, unreachable: { udp, other }, sourceRoute, echo,
    timestamp, errors, ttl, udp: udpServices, interfaces, between: far, link: far?.link, path: far?.path,
    ...limited ? { limit: { rate: 100, burst: 20 }, sourceLimit: { rate: 50, burst: 10 } } : {},
  };
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

export function rigOptions(world: World): BenchOptions {
  const { mtu, tap, perAddress, between: far, ...policy } = world;
  const both = mtu >= 1280;
  return {
    mtu, policy, ...far ? { kept: KEPT } : {},
    prefixes: both ? [...PREFIXES, ...PREFIXES6] : PREFIXES,
    exceptions: both ? [...EXCEPTIONS, ...EXCEPTIONS6] : EXCEPTIONS,
    ...tap
      ? { link: { policy: perAddress ? MacPolicy.per_address : MacPolicy.shared, address: macBytes(SHARED_MAC) } }
      : {},
  };
}

/** True if the IPv4 address at `at` is one that pongd answers for. */
export function isOurs(b: Uint8Array, at: number): boolean {
  if (b[at] === 10) return b[at + 1] === 99 && b[at + 2] !== 9 && !(b[at + 2] === 0 && b[at + 3] === 1);
  if (b[at] === 192) return b[at + 1] === 0 && b[at + 2] === 2 && b[at + 3] >= 128;
  return b[at] === 203 && b[at + 1] === 0 && b[at + 2] === 113 && b[at + 3] === 9;
}

/** True if the IPv4 address at `at` is no host's. */
export function isInvalid(b: Uint8Array, at: number): boolean {
  return b[at] === 0 || b[at] === 127 || b[at] >= 224;
}

export function isOurs6(b: Uint8Array, at: number): boolean {
  if (b[at] === 0xfd) {
    if (b[at + 1] !== 0x99 || !zeros(b, at + 2, 6)) return false;
    if (zeros(b, at + 8, 4) && b[at + 12] === 0 && b[at + 13] === 9) return false;
    return !(zeros(b, at + 8, 7) && b[at + 15] === 1);
  }
  return b[at] === 0x20 && b[at + 1] === 0x01 && b[at + 2] === 0x0d && b[at + 3] === 0xb8 && zeros(b, at + 4, 11)
    && b[at + 15] === 9;
}

export function isInvalid6(b: Uint8Array, at: number): boolean {
  if (b[at] === 0xff) return true;
  if (!zeros(b, at, 10)) return false;
  if (b[at + 10] === 0xff && b[at + 11] === 0xff) return true;
  return zeros(b, at + 10, 5) && b[at + 15] <= 1;
}

function zeros(b: Uint8Array, at: number, count: number): boolean {
  for (let i = at; i < at + count; i++) if (b[i] !== 0) return false;
  return true;
}

/** True if the MAC address at `mac` is the one that our address at `address` has. */
export function isMacOf(world: World, b: Uint8Array, mac: number, address: number, six: boolean): boolean {
  if (!world.perAddress) return SHARED.every((byte, i) => b[mac + i] === byte);
  if (!six) {
    return b[mac] === 0x02 && b[mac + 1] === 0x70 && [0, 1, 2, 3].every((i) => b[mac + 2 + i] === b[address + i]);
  }
  return macOf6(b, address).every((byte, i) => b[mac + i] === byte);
}

const SHARED = macBytes(SHARED_MAC);

/** Returns 02:76, and then 32 bits of all of the address (docs/tap.md). */
export function macOf6(b: Uint8Array, address: number): number[] {
  let bits = 0;
  for (let i = 0; i < 16; i += 4) {
    const word = b[address + i] | b[address + i + 1] << 8 | b[address + i + 2] << 16 | b[address + i + 3] << 24;
    const mixed = Math.imul(bits ^ word, 0x9e3779b1);
    bits = mixed << 15 | mixed >>> 17;
  }
  return [0x02, 0x76, bits & 255, bits >>> 8 & 255, bits >>> 16 & 255, bits >>> 24];
}

/** True if a datagram from one of our ports to another one may be the echo of one that came. */
export function mayBeEcho({ udp }: World, port: number, to: number): boolean {
  const isEcho = (each: number) => udp !== undefined && udp.ports.length > 0 && each >= 1 && each <= 20000;
  return isEcho(port) && to >= 1024 && !isEcho(to);
}
