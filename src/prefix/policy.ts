import { SourceRoute, Unreachable } from "../../abi/tables.js";

/**
 * A token bucket: `rate`, above 0, is the long-run number of answers a second. `burst`, at
 * least 1, may be sent at once.
 */
export interface Limit {
  readonly rate: number;
  readonly burst: number;
}

/** Answers of a prefix's addresses. */
export interface Answers {
  /** TTL, or hop limit, of their packets, 1 to 255. */
  readonly ttl: number;
  readonly echo: boolean;
  readonly timestamp: boolean;
  /** ICMP errors of any kind. Only the wasm engine has them. */
  readonly errors: boolean;
  /** Treatment of UDP to any port, and of protocols that pongd does not speak. Only the wasm engine has it. */
  readonly unreachable: { readonly udp: Unreachable; readonly other: Unreachable };
  /** Limit of the whole prefix; undefined for none. */
  readonly limit?: Limit | undefined;
}

/** Settings that hold for all addresses. */
export interface Policy {
  /** Treatment of IPv4 packets with a source route. Only the wasm engine has it. */
  readonly sourceRoute: SourceRoute;
  /** Limit of all answers to one source, IPv4 /24 or IPv6 /56; undefined for none. */
  readonly sourceLimit?: Limit | undefined;
}

export const DEFAULT_ANSWERS: Answers = {
  ttl: 64, echo: true, timestamp: true, errors: true, unreachable: { udp: Unreachable.on, other: Unreachable.on },
};
export const DEFAULT_POLICY: Policy = { sourceRoute: SourceRoute.drop };
/** Maximum number of datagrams in reassembly at a time, up to 67 KiB each. */
export const DEFAULT_REASSEMBLY = 64;
