/** The loads of `bench http`, and what their clients and servers say to each other. */
import type { HttpResult, HttpTest } from "./report.js";

export const PORT = 80;

interface Load {
  readonly connections: number;
  /** True if each request has a connection of its own. */
  readonly close: boolean;
  /** Addresses that are connected to in turn. */
  readonly addresses: number;
  /** True if a response is read until the time is over. */
  readonly long: boolean;
}

export const LOADS: Readonly<Record<HttpTest, Load>> = {
  keepalive: { connections: 64, close: false, addresses: 1, long: false },
  lone: { connections: 1, close: false, addresses: 1, long: false },
  connect: { connections: 64, close: true, addresses: 60_000, long: false },
  bulk: { connections: 1, close: false, addresses: 1, long: true },
};

/** Returns who measures: wrk, where it is installed, knows one address and short responses. */
export function clientOf(test: HttpTest, wrk: boolean): HttpResult["client"] {
  const { close, long } = LOADS[test];
  return wrk && !close && !long ? "wrk" : "own";
}

/** Where the addresses begin. */
export const FIRST_ADDRESS = [10, 99, 1, 1] as const;

export interface LoadCommand {
  readonly test: HttpTest;
  readonly seconds: number;
}

export interface Loaded {
  /** Requests that were answered, or bytes of a long response. */
  readonly count: number;
  readonly seconds: number;
  readonly p50Us: number | null;
  readonly p99Us: number | null;
}

/** Answer of a client's process. */
export interface ClientMessage extends Loaded {
  readonly kind: "loaded";
}

/** Answer of a server's process. */
export interface ServerMessage extends Loaded {
  readonly kind: "served";
  /** CPU time of the process meanwhile. */
  readonly cpuUs: number;
}
