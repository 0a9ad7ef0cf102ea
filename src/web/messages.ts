/** Messages between the supervisor and the web thread. All of it is small, or lies in memory that both share. */
import type { Failure } from "../base/failure.js";
import type { LogFormat, LogLevel } from "../base/log.js";
import type { EngineName } from "../engine/contract.js";
import type { Accepting } from "../engine/services.js";
import type { IoName } from "../io/contract.js";
import type { Reloaded } from "../telemetry/metrics.js";
import type { SharedCounters } from "../telemetry/shown.js";
import type { CountedServices } from "../telemetry/services.js";
import type { Device } from "../telemetry/snapshot.js";
import type { OverrunsOf } from "../tun/overruns.js";

/** What the thread is given when it is made. */
export interface WebInput {
  /** Descriptors of sockets that listen; the thread closes them at its end. */
  readonly sockets: readonly number[];
  /** One word: 1 once the sockets are the thread's to close. */
  readonly taken: Int32Array;
  /** Full path of the web configuration, if there is one. */
  readonly webConfig: string | undefined;
  /** Requests for metrics that are served at a time; 0 for no limit. */
  readonly maxRequests: number;
  readonly logFormat: LogFormat;
  readonly state: WebState;
  /** A netlink socket for this thread. The supervisor closes it when the thread has ended. */
  readonly netlink: number;
  /** How many lines of the log were dropped: one word, which the supervisor adds to. */
  readonly drops: Uint32Array;
}

/** What pongd is like now. */
export interface WebState {
  /** Why not everything is answered, in one line; undefined if everything is. */
  readonly obstacle: string | undefined;
  readonly logLevel: LogLevel;
  /** Undefined while pongd starts or stops. */
  readonly up: UpState | undefined;
}

export interface UpState {
  /** When packets were answered first: Unix time in ms, and the same moment by process.hrtime.bigint(). */
  readonly since: number;
  readonly sinceNs: bigint;
  /** An address that answers ping, if there is one. */
  readonly example: string | undefined;
  readonly device: Device;
  readonly overruns: OverrunsOf;
  readonly queues: readonly QueueState[];
  /** A PrefixList's. */
  readonly prefixes: SharedArrayBuffer;
  readonly services: CountedServices;
  /** Whether there is a configuration to read again. */
  readonly reloadable: boolean;
  readonly reloaded: Reloaded;
}

export interface QueueState {
  readonly index: number;
  readonly engine: EngineName;
  readonly io: IoName;
  readonly restarts: number;
  readonly memory: WebAssembly.Memory;
  readonly counters: SharedCounters;
  /** Its TCP services that accept connections. */
  readonly accepting: readonly Accepting[];
}

/** From the supervisor. A reload's outcome comes with the state that it led to. */
export type ToWeb
  = | { readonly kind: "state"; readonly state: WebState }
    | { readonly kind: "reloaded"; readonly outcome: ReloadOutcome; readonly state: WebState }
    /** The thread is to close everything, and to end. */
    | { readonly kind: "close" };

export type ReloadOutcome
  /** What could not be done, a line each. */
  = | { readonly lines: readonly string[] }
    /** What is wrong with the configuration. */
    | { readonly wrong: string }
    /** There is no configuration to read, or pongd is stopping. */
    | { readonly refused: true };

/** From the thread. */
export type FromWeb
  /** It accepts connections. */
  = | { readonly kind: "serving"; readonly secure: boolean }
    /** It cannot: a Failure's parts. It ends. */
    | {
      readonly kind: "failed"; readonly what: readonly string[]; readonly exitStatus: Failure["exitStatus"];
      readonly mend: string | undefined;
    }
    /** It has taken up a message of kind "state". */
    | { readonly kind: "seen" }
    /** Somebody asks for a reload. There is one such request at a time. */
    | { readonly kind: "reload" }
    /** A line for the log. */
    | { readonly kind: "line"; readonly line: string };
