/** The parts of a run: what the configuration comes to, checked and in the form that the daemon works with. */
import type { LogFormat, LogLevel } from "../base/log.js";
import type { EngineName } from "../engine/contract.js";
import type { IoChoice } from "../io/contract.js";
import type { Endpoint } from "../prefix/endpoints.js";
import type { Address, Serving } from "../prefix/prefixes.js";
import type { Link } from "../tun/mac.js";

export interface RunOptions {
  readonly serving: Serving;
  readonly device: string;
  /** Of a TAP device; without one it is a TUN device. */
  readonly link?: Link | undefined;
  /** Whether to route the prefixes to the device; yes unless told otherwise. */
  readonly routes: boolean;
  /** Bytes; undefined for 1500, or what a device that is there already has. */
  readonly mtu: number | undefined;
  /** `auto`: one for each CPU. */
  readonly queues: number | "auto";
  /** The host's own addresses on the device, at most one a family; without one, only routes are made. */
  readonly hostAddresses: readonly Address[];
  /** Whether they were asked for: a pre-made device has to have them then, and else has its own. */
  readonly hostAddressGiven: boolean;
  readonly engine: EngineName;
  readonly io: IoChoice;
  /** Rounds of the packet loop that may come up empty before it sleeps. */
  readonly spin: number;
  /** Datagrams that may be in reassembly at a time, for each queue. */
  readonly reassembly: number;
  readonly listen: readonly Endpoint[];
  /** Whether that was asked for; else sockets that systemd hands over are in its place. */
  readonly listenGiven: boolean;
  /** A file with TLS, users and headers for it. */
  readonly webConfig: string | undefined;
  /** Requests for metrics that are served at a time; 0 for no limit. */
  readonly maxRequests: number;
  /** Whether to give up all privileges once the device is configured. */
  readonly dropPrivileges: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Queues that are open already: descriptors handed over by execve(2). */
  readonly queueFds: readonly number[] | undefined;
}
