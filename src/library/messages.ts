/** Messages between the library's caller and its supervisor. Those about streams are in src/net/messages.ts. */
import type { Sources } from "../prefix/streams.js";
import type { Failed } from "./error.js";

/** What the supervisor is given when it is made. */
export interface SupervisorInput {
  /** What a configuration file would have been read as. */
  readonly configuration: unknown;
  /** Write end of the pipe by which packet loops wake the caller's thread. */
  readonly wakeFd: number;
  /** What the caller's thread counts. */
  readonly counts: SharedArrayBuffer;
}

/** Ports whose connections, or datagrams, the caller takes. */
export type Taken = {
  /** Tells it from every other one. */
  readonly id: number;
  /** A port, or a range of ports. */
  readonly ports: string;
  /** The prefix whose ports they are; undefined for all prefixes. */
  readonly prefix: string | undefined;
} & (
  /** With `peerFirst`, a connection is handed over when the peer has spoken. */
  | { readonly protocol: "tcp"; readonly peerFirst: boolean }
  | { readonly protocol: "udp"; readonly sources: Sources }
);

/** Each request is answered by its number. */
export type ToSupervisor
  = | { readonly kind: "serve"; readonly request: number; readonly taken: Taken }
    | { readonly kind: "refuse"; readonly request: number; readonly id: number }
    | { readonly kind: "metrics"; readonly request: number }
    | { readonly kind: "close" };

/** Facts about a pongd that runs. */
export interface RunningFacts {
  readonly device: string;
  readonly mtu: number;
  readonly queues: number;
  readonly hostAddresses: readonly string[];
  /** Addresses that answer, one of each family where there is one. */
  readonly addresses: readonly string[];
  readonly urls: readonly string[];
}

export type FromSupervisor
  = | { readonly kind: "running"; readonly facts: RunningFacts }
    | { readonly kind: "answer"; readonly request: number; readonly failed?: Failed; readonly text?: string }
    /** A line for the log, as JSON. */
    | { readonly kind: "log"; readonly line: string }
    /** All is gone. */
    | { readonly kind: "ended"; readonly failed?: Failed };
