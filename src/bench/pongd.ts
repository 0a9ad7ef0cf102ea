/** pongd inside a process of a benchmark: the whole program, as `pongd run` runs it. */
import { pino } from "pino";
import { Content } from "../config/content.js";
import { DEFAULTS } from "../config/keys.js";
import type { FullOptions } from "../config/runoptions.js";
import { run } from "../daemon/supervisor.js";
import { DEFAULT_REASSEMBLY, type Tcp } from "../prefix/policy.js";
import { parseAddress, parsePrefix, serving } from "../prefix/prefixes.js";

/** What it serves: 10.99.0.0/16, in which the host has this address. */
export const PREFIX = parsePrefix("10.99.0.0/16");
export const HOST = parseAddress("10.99.0.1");
export const DEVICE = "bench0";
/** Where its metrics are. */
export const LISTEN = { host: "127.0.0.1", port: 7664 };

type Chosen = Pick<FullOptions, "engine" | "io" | "mtu" | "offload" | "tcp"> & { readonly ports?: Tcp["ports"] };

/**
 * Starts pongd on one queue. `ports` are the ports of every address that have a service.
 * @returns once it answers packets. `onEnd` is called with the reason if it cannot start, or if it ends.
 */
export function startPongd({ ports = [], ...chosen }: Chosen, onEnd: (error: unknown) => void): Promise<void> {
  const options: FullOptions = {
    ...chosen, serving: serving([PREFIX], { tcp: { ports } }), hostAddresses: [HOST], device: DEVICE,
    offloadGiven: false, queues: 1, shutdownDelayMs: 0, sessions: 0, kept: 0, linked: false, seed: 0,
    accepts: ports.length > 0,
    streams: ports.flatMap(({ service: { stream } }) => stream ?? []), exposed: [], spin: 0, precision: "coarse",
    reassembly: DEFAULT_REASSEMBLY,
    listen: [LISTEN], listenGiven: true, webConfig: undefined, maxRequests: 40, logLevel: "error", logFormat: "text",
    hostAddressGiven: false, routes: true, dropPrivileges: false, queueFds: undefined,
  };
  return new Promise((resolve) => {
    const ended = run(new Content({ options, values: DEFAULTS }), pino({ level: "silent" }), () => { resolve(); });
    ended.then(() => { onEnd(new Error("pongd ended while it was measured")); }).catch(onEnd);
  });
}
