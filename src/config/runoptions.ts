/** The parts of a run: what the configuration comes to, checked and in the form that the daemon works with. */
import type { LogFormat, LogLevel } from "../base/log.js";
import type { EngineName } from "../engine/contract.js";
import type { IoChoice } from "../io/contract.js";
import type { Endpoint } from "../prefix/endpoints.js";
import type { Address, Serving } from "../prefix/prefixes.js";
import type { Ethernet } from "../tun/mac.js";

export interface RunOptions {
  readonly serving: Serving;
  /** The device's name. */
  readonly device: string;
  /** The MAC addresses of a TAP device; undefined for a TUN device. */
  readonly link?: Ethernet | undefined;
  /** True where the prefixes are to be routed to the device. */
  readonly routes: boolean;
  /** Bytes; undefined for 1500, or what a device that is there already has. */
  readonly mtu: number | undefined;
  /** `auto`: one for each CPU. */
  readonly queues: number | "auto";
  /** The host's own addresses on the device, at most one a family. Without one, only routes are made. */
  readonly hostAddresses: readonly Address[];
  /** True where they were asked for: a pre-made device must have them then, and otherwise keeps its own. */
  readonly hostAddressGiven: boolean;
  readonly engine: EngineName;
  readonly io: IoChoice;
  /** Rounds of the packet loop that may come up empty before it sleeps. */
  readonly spin: number;
  /** Datagrams that may be in reassembly at a time, for each queue. */
  readonly reassembly: number;
  readonly listen: readonly Endpoint[];
  /** True where `listen` was asked for: otherwise sockets that systemd hands over replace it. */
  readonly listenGiven: boolean;
  /** A file with TLS, users and headers for what is served. */
  readonly webConfig: string | undefined;
  /** Requests for metrics that are served at a time; 0 for no limit. */
  readonly maxRequests: number;
  /** True where all privileges are given up once the device is configured. */
  readonly dropPrivileges: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Queues that are open already: descriptors handed over by execve(2). */
  readonly queueFds: readonly number[] | undefined;
}
