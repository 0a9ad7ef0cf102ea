/**
 * A station of the benchmark: one combination of engine and I/O backend, in a process and a network namespace of its
 * own. It runs the whole program as `pongd run` does, and the sender that measures it. It obeys its parent's messages
 * and exits when its parent does.
 */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { pino } from "pino";
import { Content } from "../config/content.js";
import { DEFAULTS } from "../config/keys.js";
import type { FullOptions } from "../config/runoptions.js";
import { run } from "../daemon/supervisor.js";
import type { EngineName } from "../engine/contract.js";
import { DEFAULT_REASSEMBLY } from "../prefix/policy.js";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import type { IoName } from "../io/contract.js";
import { parseAddress, parsePrefix, serving } from "../prefix/prefixes.js";
import * as libc from "../sys/libc.js";
import { Netlink } from "../tun/netlink.js";
import { CLONE_NEWNET } from "../sys/uapi.js";
import { affinity, setAffinity } from "./affinity.js";
import type { Latency } from "./report.js";
import type { SenderAnswer, Command, FloodResult, SenderInput } from "./sender.js";

export interface StationInput {
  readonly engine: EngineName;
  readonly io: IoName;
  /** Bytes. */
  readonly mtu: number;
  readonly offload: boolean;
  readonly seed: number;
}

/** Message to the parent: one when the station is ready or has failed, then an answer to each command. */
export type StationMessage
  = | { readonly kind: "ready" }
    | { readonly kind: "failed"; readonly what: string; readonly status: Failure["exitStatus"]; readonly mend: string
      | undefined; }
  /** `received` and `systemCalls` are pongd's own counts over the whole flood. */
      | { readonly kind: "flood"; readonly flood: FloodResult; readonly systemCalls: number; readonly received: number }
      | { readonly kind: "ping"; readonly ping: Latency };

const DEVICE = "bench0";
const LISTEN = { host: "127.0.0.1", port: 7664 };
const RIGHTS = "run it as root (sudo), or in a user namespace of your own: unshare -r pongd bench tun";

const input = JSON.parse(process.argv[2]) as StationInput;
process.once("disconnect", () => { process.exit(); });
// The parent may have exited while this module was loading.
if (!process.connected) process.exit();

main().catch(fail);

async function main(): Promise<void> {
  if (libc.unshare(CLONE_NEWNET) < 0) {
    throw new Failure("bench tun makes a network namespace and a device of its own, and may not: "
      + new libc.SystemError("unshare", "CLONE_NEWNET", libc.errno()).code, EXIT.PERMISSION, { mend: RIGHTS });
  }
  const netlink = new Netlink();
  const loopback = netlink.link("lo");
  netlink.setLinkUp(loopback.index, loopback.mtu, 1000);
  writeFileSync("/proc/sys/net/ipv4/ping_group_range", `${process.getgid?.() ?? 0} ${process.getgid?.() ?? 0}`);

  // The packet thread inherits the CPU of this thread, which creates it. The sender runs on another CPU.
  const [first, ...others] = affinity();
  const last = others.at(-1);
  if (last !== undefined) setAffinity(last);
  await daemon();

  const workerData: SenderInput = { device: DEVICE, cpu: last === undefined ? undefined : first, seed: input.seed };
  const sender = new Worker(new URL("./sender.js", import.meta.url), { workerData });
  sender.on("error", fail);
  process.on("message", (command: Command) => { obey(sender, command).catch(fail); });
  tell({ kind: "ready" });
}

/** Starts pongd, and resolves once it answers packets. If pongd cannot start, the station fails. */
function daemon(): Promise<void> {
  const options: FullOptions = {
    serving: serving([parsePrefix("10.99.0.0/16")]), hostAddresses: [parseAddress("10.99.0.1")], device: DEVICE,
    mtu: input.mtu, offload: input.offload, offloadGiven: false, queues: 1,
    engine: input.engine, io: input.io, shutdownDelayMs: 0, tcp: undefined, accepts: false, streams: [],
    spin: 0, reassembly: DEFAULT_REASSEMBLY, listen: [LISTEN], listenGiven: true,
    webConfig: undefined, maxRequests: 40, logLevel: "error", logFormat: "text",
    hostAddressGiven: false, routes: true, dropPrivileges: false, queueFds: undefined,
  };
  return new Promise((resolve) => {
    const ended = run(new Content({ options, values: DEFAULTS }), pino({ level: "silent" }), () => { resolve(); });
    ended.then(() => { fail(new Error("pongd ended while it was measured")); }).catch(fail);
  });
}

async function obey(sender: Worker, command: Command): Promise<void> {
  const before = await counters();
  sender.postMessage(command);
  const [answer] = await once(sender, "message") as [SenderAnswer];
  if ("error" in answer) throw new Error(answer.error);
  const after = await counters();
  if (answer.kind === "ping") tell(answer);
  else tell(
    { ...answer, systemCalls: after.systemCalls - before.systemCalls, received: after.received - before.received },
  );
}

/** Reads the counters from /metrics, as Prometheus does. */
async function counters(): Promise<{ systemCalls: number; received: number }> {
  const page = await (await fetch(`http://${LISTEN.host}:${LISTEN.port}/metrics`)).text();
  const value = (name: string) => Number(new RegExp(`^${name}\\{.*\\} (\\S+)$`, "m").exec(page)?.[1]);
  return { systemCalls: value("pongd_syscalls_total"), received: value("pongd_packets_received_total") };
}

function tell(message: StationMessage): void {
  if (process.connected) process.send?.(message);
}

/** Tells the parent why, and exits: half a station is of no use to it. */
function fail(error: unknown): void {
  const failure = error instanceof Failure ? error : new Failure(messageOf(error), EXIT.RUNTIME);
  // The failure's own advice, --io auto, would measure another backend.
  const mend = failure.what.startsWith("io_uring")
    ? "measure what works here: pongd bench tun --io readwrite"
    : failure.mend;
  if (!process.connected) process.exit();
  process.send?.(
    { kind: "failed", what: failure.what, status: failure.exitStatus, mend } satisfies StationMessage,
    () => process.exit(),
  );
}
