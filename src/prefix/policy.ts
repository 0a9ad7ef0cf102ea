import { SourceRoute, Unreachable } from "../../abi/tables.js";

/** A token bucket: answers a second in the long run, above 0, and at once, 1 or more. */
export interface Limit {
  readonly rate: number;
  readonly burst: number;
}

/** What the addresses of a prefix answer, and how. */
export interface Answers {
  /** TTL, or hop limit, of what they send, 1 to 255. */
  readonly ttl: number;
  readonly echo: boolean;
  readonly timestamp: boolean;
  /** ICMP errors of any kind. The wasm engine's alone. */
  readonly errors: boolean;
  /** What becomes of UDP, to whatever port, and of protocols that nobody here speaks. The wasm engine's alone. */
  readonly unreachable: { readonly udp: Unreachable; readonly other: Unreachable };
  /** Of all of the prefix together; none where it is missing. */
  readonly limit?: Limit | undefined;
}

/** The same for whatever address. */
export interface Policy {
  /** What becomes of IPv4 packets with a source route. The wasm engine's alone. */
  readonly sourceRoute: SourceRoute;
  /** Of all that goes to one source, IPv4 /24 or IPv6 /56; none where it is missing. */
  readonly sourceLimit?: Limit | undefined;
}

export const DEFAULT_ANSWERS: Answers = {
  ttl: 64, echo: true, timestamp: true, errors: true, unreachable: { udp: Unreachable.on, other: Unreachable.on },
};
export const DEFAULT_POLICY: Policy = { sourceRoute: SourceRoute.drop };
/** Datagrams that may be in reassembly at a time, up to 67 KiB each. */
export const DEFAULT_REASSEMBLY = 64;
