/**
 * Paths: the routers between a sender and a prefix. Times are in nanoseconds. abi/hops.ts has the form in which an
 * engine reads it.
 */
import type { Address } from "./address.js";
import type { Link } from "./link.js";

/** What an interface says of itself in an error (RFC 5837). */
export interface HopInterface {
  /** ifIndex of RFC 2863. */
  readonly index?: number | undefined;
  readonly name?: string | undefined;
  /** Whether the object carries the address of the hop. */
  readonly address: boolean;
  readonly mtu?: number | undefined;
}

/** A router. */
export interface Hop {
  /** Source of its errors, by family; without one of the packet's family it is as if silent. */
  readonly ipv4?: Address | undefined;
  readonly ipv6?: Address | undefined;
  /** Name in `pongd topology`. */
  readonly name?: string | undefined;
  /** It forwards, and never says anything. */
  readonly silent: boolean;
  /** The link that leads to it from the hop before, or from the sender. */
  readonly link?: Link | undefined;
  /** Longest packet that it forwards, in bytes; undefined for any. */
  readonly mtu?: number | undefined;
  /** Whether it drops what is longer without saying so. */
  readonly blackHole: boolean;
  /** TTL with which its errors start; 64 by default. */
  readonly ttl: number;
  /** Errors a second and at once. The prefix's general limits of errors apply besides. */
  readonly icmp: { readonly rate: number; readonly burst: number };
  /** Labels of MPLS that errors quote (RFC 4950), the outermost first. */
  readonly mpls: readonly number[];
  readonly interface?: HopInterface | undefined;
}

/** A place where the path divides. */
export interface Fork {
  readonly branches: readonly (readonly Hop[])[];
  /** What decides on the branch. */
  readonly by: "flow" | "destination" | "packet";
}

export function isFork(step: Hop | Fork): step is Fork {
  return "branches" in step;
}

export interface RouterPath {
  /** Its name if prefixes share it, and its hops' limits. */
  readonly name?: string | undefined;
  readonly steps: readonly (Hop | Fork)[];
  /** Hops of the way back; as many as there are on the way there by default. */
  readonly back?: number | undefined;
}
