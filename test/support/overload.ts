/**
 * Runs the benchmark's sender as a process of its own: `overload.js DEVICE CPU`. Each line of standard input is a
 * command of src/bench/sender.ts as JSON, and each line of standard output is what it measured.
 */
import { once } from "node:events";
import { createInterface } from "node:readline";
import { Worker } from "node:worker_threads";
import type { SenderAnswer, SenderInput } from "../../src/bench/sender.js";

const workerData: SenderInput = { device: process.argv[2], cpu: Number(process.argv[3]), seed: 1 };
const sender = new Worker(new URL("../../src/bench/sender.js", import.meta.url), { workerData });
for await (const line of createInterface(process.stdin)) {
  sender.postMessage(JSON.parse(line));
  const [answer] = await once(sender, "message") as [SenderAnswer];
  console.log(JSON.stringify(answer));
}
await sender.terminate();
