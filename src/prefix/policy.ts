import { SourceRoute, Unreachable } from "../../abi/tables.js";
import type { Service } from "../../abi/tcp.js";
import type { Link } from "./link.js";
import type { RouterPath } from "./path.js";
import type { StreamService } from "./streams.js";

/**
 * A token bucket: `rate`, above 0, is the long-run number of answers a second. `burst`, at
 * least 1, may be sent at once.
 */
export interface Limit {
  readonly rate: number;
  readonly burst: number;
}

/** A service of TCP or UDP: what a port does. */
export interface PortService {
  /** Label value in metrics: the name in the configuration, or the kind's. */
  readonly name: string;
  readonly kind: Service;
  /** Bytes that a banner or reply sends, or what else pongd has to know of the service. */
  readonly bytes?: Uint8Array;
  /** End of a request that has a reply, 1 to MAX_AFTER bytes. */
  readonly after?: Uint8Array;
  /** What a service thread does with its connections, if one has them. `bytes` are then its id. */
  readonly stream?: StreamService;
  /** True if it answers datagrams from the ports of services, too. */
  readonly anySource?: boolean;
  /** A line if others than their owner may read the files with its keys. */
  readonly exposed?: string | undefined;
}

/** The ports `first` to `last` have this service. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
  readonly service: PortService;
}

/** TCP of a prefix's addresses. */
export interface Tcp {
  /** In ascending order, none of which overlap. All other ports refuse. */
  readonly ports: readonly PortRange[];
  /** Most connections of the whole prefix; undefined for no limit of its own. */
  readonly connections?: number | undefined;
}

/** UDP of a prefix's addresses. */
export interface Udp {
  /** In ascending order, none of which overlap. All other ports are unreachable. */
  readonly ports: readonly PortRange[];
}

/** Answers of a prefix's addresses. */
export interface Answers {
  /** TTL, or hop limit, of their packets, 1 to 255. */
  readonly ttl: number;
  readonly echo: boolean;
  readonly timestamp: boolean;
  /** ICMP errors of any kind. Only the wasm engine has them. */
  readonly errors: boolean;
  /** Treatment of UDP to a port without a service, and of other protocols. Only the wasm engine has it. */
  readonly unreachable: { readonly udp: Unreachable; readonly other: Unreachable };
  /** Undefined leaves TCP unread. Only the wasm engine has it. */
  readonly tcp?: Tcp | undefined;
  /** Undefined is as if no port had a service. Only the wasm engine has it. */
  readonly udp?: Udp | undefined;
  /** Interfaces that PROBE tells of, as interfaceBytes() makes them; undefined for none. Only for the wasm engine. */
  readonly interfaces?: Uint8Array | undefined;
  /** Limit of the whole prefix; undefined for none. */
  readonly limit?: Limit | undefined;
  /** What its packets go through, there and back; undefined for none. Only the wasm engine has it. */
  readonly link?: Link | undefined;
  /** The routers before it; undefined for none. Only the wasm engine has it. */
  readonly path?: RouterPath | undefined;
}

/** Settings that hold for all addresses. */
export interface Policy {
  /** Treatment of IPv4 packets with a source route. Only the wasm engine has it. */
  readonly sourceRoute: SourceRoute;
  /** Limit of all answers to one source, IPv4 /24 or IPv6 /56; undefined for none. */
  readonly sourceLimit?: Limit | undefined;
  /** Seed of what links leave to chance; 0 by default. */
  readonly seed?: bigint | undefined;
}

export const DEFAULT_ANSWERS: Answers = {
  ttl: 64, echo: true, timestamp: true, errors: true, unreachable: { udp: Unreachable.on, other: Unreachable.on },
  tcp: { ports: [] }, udp: { ports: [] },
};
export const DEFAULT_POLICY: Policy = { sourceRoute: SourceRoute.drop };
/** Maximum number of datagrams in reassembly at a time, up to 67 KiB each. */
export const DEFAULT_REASSEMBLY = 64;
