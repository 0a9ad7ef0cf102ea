/**
 * The client's process of `bench http`. The server's process starts it, in its own namespace; for the kernel's sockets
 * it goes to another one. It obeys its parent's messages.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { setProcessAffinity } from "./affinity.js";
import { failToParent, inputFromParent, tellParent } from "./child.js";
import type { LoadAnswer, LoadInput } from "./httpload.js";
import { clientOf, FIRST_ADDRESS, LOADS, PORT, type ClientMessage, type LoadCommand, type Loaded } from "./load.js";
import { enterNamespace } from "./namespace.js";
import { connectClient, createPair } from "./veth.js";
import { runWrk } from "./wrk.js";

export interface ClientInput {
  /** CPU to run on; undefined if there is only one. */
  readonly cpu: number | undefined;
  /** Process of the server in another namespace; undefined if the server is in this one. */
  readonly behindPair: number | undefined;
  readonly wrk: boolean;
  readonly seed: number;
}

const input = inputFromParent() as ClientInput;

try {
  main();
} catch (error) {
  fail(error);
}

function main(): void {
  const { cpu, behindPair, seed } = input;
  if (behindPair !== undefined) {
    enterNamespace("http");
    createPair(behindPair);
    connectClient();
  }
  if (cpu !== undefined) setProcessAffinity(cpu);
  const worker = new Worker(new URL("./httpload.js", import.meta.url), { workerData: { seed } satisfies LoadInput });
  worker.on("error", fail);
  process.on("message", (command: LoadCommand) => { obey(worker, command).catch(fail); });
  tellParent({ kind: "ready" });
}

async function obey(worker: Worker, command: LoadCommand): Promise<void> {
  const loaded = clientOf(command.test, input.wrk) === "wrk" ? await byWrk(command) : await byWorker(worker, command);
  const message: ClientMessage = { ...loaded, kind: "loaded" };
  tellParent(message);
}

function byWrk({ test, seconds }: LoadCommand): Promise<Loaded> {
  return runWrk(`http://${FIRST_ADDRESS.join(".")}:${PORT}/`, LOADS[test].connections, seconds);
}

async function byWorker(worker: Worker, command: LoadCommand): Promise<Loaded> {
  worker.postMessage(command);
  const [answer] = await once(worker, "message") as [LoadAnswer];
  if ("error" in answer) throw new Error(answer.error);
  return answer;
}

function fail(error: unknown): void {
  failToParent(error);
}
