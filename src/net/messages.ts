/** Messages between the supervisor and a service thread. */
import type { LogFormat, LogLevel } from "../base/log.js";
import type { StreamService } from "../prefix/streams.js";

/** What the thread is given when it is made. */
export interface ServiceInput {
  /** Which of the service threads this is. */
  readonly thread: number;
  /** Read end of the pipe by which packet loops wake it. */
  readonly wakeFd: number;
  /** What it counts. */
  readonly counts: SharedArrayBuffer;
  /** How many lines of the log were dropped: one word. */
  readonly drops: Uint32Array;
  readonly logFormat: LogFormat;
  readonly logLevel: LogLevel;
}

/** A service, and where it is counted. */
export interface Counted {
  readonly service: StreamService;
  readonly counted: number;
}

export type ToService
  /** Streams of this queue go to the thread. */
  = | { readonly kind: "queue"; readonly queue: number; readonly memory: WebAssembly.Memory; readonly wakeFd: number }
    /** The services that there are to be: the thread loads those that it does not have, and answers. */
    | { readonly kind: "prepare"; readonly request: number; readonly services: readonly Counted[] }
    /** The services of that request are those that there are, of these prefixes. */
    | {
      readonly kind: "use"; readonly request: number; readonly prefixes: SharedArrayBuffer; readonly logLevel: LogLevel;
    };

export type FromService
  /** It has the services, but for those that could not be loaded: a line each. */
  = | { readonly kind: "prepared"; readonly request: number; readonly failures: readonly string[] }
    /** A line for the log. */
    | { readonly kind: "line"; readonly line: string };
