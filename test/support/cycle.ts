/**
 * Brings pongd up and down in one process: `cycle.js COUNT IO`. Prints how many descriptors were open after the first
 * time and after the last.
 */
import { readdirSync } from "node:fs";
import { pino } from "pino";
import { Content } from "../../src/config/content.js";
import { DEFAULTS } from "../../src/config/keys.js";
import type { FullOptions } from "../../src/config/runoptions.js";
import { run } from "../../src/daemon/supervisor.js";
import { DEFAULT_REASSEMBLY } from "../../src/prefix/policy.js";
import type { IoChoice } from "../../src/io/contract.js";
import { parseAddress, parsePrefix, serving } from "../../src/prefix/prefixes.js";

const options: FullOptions = {
  serving: serving([parsePrefix("10.99.0.0/16")]),
  hostAddresses: [parseAddress("10.99.0.1")],
  device: "pong0",
  mtu: 1500,
  offload: true,
  offloadGiven: false,
  queues: 2,
  engine: "wasm",
  io: process.argv[3] as IoChoice,
  spin: 0, precision: "coarse",
  shutdownDelayMs: 0,
  reassembly: DEFAULT_REASSEMBLY,
  tcp: undefined,
  sessions: 0, kept: 0, linked: false, seed: 0,
  accepts: false,
  streams: [], exposed: [],
  hostAddressGiven: false,
  routes: true,
  dropPrivileges: false,
  logLevel: "error",
  logFormat: "text",
  queueFds: undefined,
  listen: [{ host: "127.0.0.1", port: 7664 }],
  listenGiven: true,
  webConfig: undefined,
  maxRequests: 0,
};
const configuration = new Content({ options, values: DEFAULTS });
const open: number[] = [];
for (let i = 0; i < Number(process.argv[2]); i++) {
  await run(configuration, pino({ level: "silent" }), () => {
    process.kill(process.pid, i % 2 ? "SIGTERM" : "SIGINT");
  });
  open.push(readdirSync("/proc/self/fd").length);
}
console.log(JSON.stringify({ first: open[0], last: open.at(-1) }));
