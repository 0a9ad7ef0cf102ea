/**
 * A station of the benchmark: one combination of engine and I/O backend, in a process and a network namespace of its
 * own. It runs the whole program as `pongd run` does, and the sender that measures it. It obeys its parent's messages
 * and exits when its parent does.
 */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import type { EngineName } from "../engine/contract.js";
import { Failure } from "../base/failure.js";
import type { IoName } from "../io/contract.js";
import { affinity, setAffinity } from "./affinity.js";
import { failToParent, inputFromParent, tellParent } from "./child.js";
import { enterNamespace } from "./namespace.js";
import { DEVICE, LISTEN, startPongd } from "./pongd.js";
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

/** Answer to a command. `received` and `systemCalls` are pongd's own counts over the whole flood. */
export type StationMessage
  = | { readonly kind: "flood"; readonly flood: FloodResult; readonly systemCalls: number; readonly received: number }
    | { readonly kind: "ping"; readonly ping: Latency };

const input = inputFromParent() as StationInput;

main().catch(fail);

async function main(): Promise<void> {
  enterNamespace("tun");
  writeFileSync("/proc/sys/net/ipv4/ping_group_range", `${process.getgid?.() ?? 0} ${process.getgid?.() ?? 0}`);

  // The packet thread inherits the CPU of this thread, which creates it. The sender runs on another CPU.
  const [first, ...others] = affinity();
  const last = others.at(-1);
  if (last !== undefined) setAffinity(last);
  const { engine, io, mtu, offload } = input;
  await startPongd({ engine, io, mtu, offload, tcp: undefined }, fail);

  const workerData: SenderInput = { device: DEVICE, cpu: last === undefined ? undefined : first, seed: input.seed };
  const sender = new Worker(new URL("./sender.js", import.meta.url), { workerData });
  sender.on("error", fail);
  process.on("message", (command: Command) => { obey(sender, command).catch(fail); });
  tellParent({ kind: "ready" });
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
  tellParent(message);
}

function fail(error: unknown): void {
  // The failure's own advice, --io auto, would measure another backend.
  const isUring = error instanceof Failure && error.what.startsWith("io_uring");
  failToParent(error, isUring ? "measure what works here: pongd bench tun --io readwrite" : undefined);
}
