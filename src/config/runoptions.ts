/** The options of a run: the configuration, checked and in the form that the daemon works with. */
import type { LogFormat, LogLevel } from "../base/log.js";
import type { EngineName } from "../engine/contract.js";
import type { TcpLimits } from "../engine/tcp.js";
import type { IoChoice } from "../io/contract.js";
import type { Precision } from "../io/wait.js";
import type { Endpoint } from "../prefix/endpoints.js";
import type { PrefixList } from "../prefix/list.js";
import type { Address, Serving } from "../prefix/prefixes.js";
import type { StreamService } from "../prefix/streams.js";
import type { Ethernet } from "../tun/mac.js";
import type { PortProtocol } from "./types.js";

export interface RunOptions extends Settled {
  readonly serving: Listing;
}

/** All that is served, in a form that costs the same however much it is. */
export interface Listing {
  readonly prefixes: PrefixList;
  /** Prefixes inside these that are not answered. */
  readonly exceptions: PrefixList;
  /** True if a prefix answers timestamp requests. */
  readonly timestamps: boolean;
  /** Services of all prefixes, by port or range. */
  readonly services: Readonly<Record<PortProtocol, Services>>;
}

/** The first services, each as "7 echo", and how many there are. */
export interface Services {
  readonly first: readonly string[];
  readonly count: number;
}

/** The options with all of what is served. */
export interface FullOptions extends Settled {
  readonly serving: Serving;
}

export type TcpSettings = Omit<TcpLimits, "secrets">;

interface Settled {
  /** The device's name. */
  readonly device: string;
  /** The MAC addresses of a TAP device; undefined for a TUN device. */
  readonly link?: Ethernet | undefined;
  /** True if the prefixes are to be routed to the device. */
  readonly routes: boolean;
  /** Bytes; undefined for 1500, or the MTU of a device that is there already. */
  readonly mtu: number | undefined;
  /** True if the kernel is to compute checksums and cut packets, where that works. */
  readonly offload: boolean;
  /** True if that was asked for, and not chosen. */
  readonly offloadGiven: boolean;
  /** Number of queues; `auto` is one for each CPU. */
  readonly queues: number | "auto";
  /** The host's own addresses on the device, at most one a family. Without one, only routes are made. */
  readonly hostAddresses: readonly Address[];
  /** True if they were asked for. A pre-made device must then have them; otherwise it keeps its own. */
  readonly hostAddressGiven: boolean;
  readonly engine: EngineName;
  readonly io: IoChoice;
  /** Rounds of the packet loop that may come up empty before it sleeps. */
  readonly spin: number;
  readonly precision: Precision;
  /** Datagrams that may be in reassembly at a time, for each queue. */
  readonly reassembly: number;
  /** Limits of TCP's connections, for each queue; undefined if there are to be none. */
  readonly tcp: TcpSettings | undefined;
  /** Most sessions of UDP services, for each queue; 0 if no service can have any. */
  readonly sessions: number;
  /** Most packets that links keep, for each queue; 0 if there can be no links. */
  readonly kept: number;
  /** True if a prefix stands behind a link. */
  readonly linked: boolean;
  /** Seed of what links leave to chance. */
  readonly seed: number;
  /** True if a port has a service that accepts connections. */
  readonly accepts: boolean;
  /** Services of ports that service threads have. */
  readonly streams: readonly StreamService[];
  /** A line for each service whose keys others than their owner may read. */
  readonly exposed: readonly string[];
  /** Milliseconds that connections have to end when pongd stops. */
  readonly shutdownDelayMs: number;
  readonly listen: readonly Endpoint[];
  /** True if `listen` was asked for; if not, sockets that systemd hands over replace it. */
  readonly listenGiven: boolean;
  /** A file with TLS, users and headers for what is served. */
  readonly webConfig: string | undefined;
  /** Requests for metrics that are served at a time; 0 for no limit. */
  readonly maxRequests: number;
  /** True if all privileges are given up once the device is configured. */
  readonly dropPrivileges: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Queues that are open already: descriptors handed over by execve(2). */
  readonly queueFds: readonly number[] | undefined;
}
