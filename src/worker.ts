/**
 * The packet loop of one queue, on a thread of its own:
 *
 *  1. receive: packets from the queue into free slots; sleeps here, and only here, when there are none
 *  2. respond: the engine judges each packet, counts it, and turns requests into replies where they lie
 *  3. send: replies to the queue, their slots back to the pool
 *
 * The main thread ends it by setting STOP and waking the wait. What was answered is sent before the loop looks at STOP.
 */
import { parentPort, workerData } from "node:worker_threads";
import { STOP } from "./abi.js";
import type { Engine } from "./engine/engine.js";
import { JsEngine } from "./engine/js.js";
import { LinearMemory } from "./engine/memory.js";
import { WasmEngine } from "./engine/wasm.js";
import { ownDescriptorTable } from "./io/descriptors.js";
import { ReadWriteIo } from "./io/readwrite.js";

export interface WorkerInput {
  readonly memory: WebAssembly.Memory;
  /** Bytes, as given to LinearMemory.create. */
  readonly mtu: number;
  /** The compiled WebAssembly engine; without it the JavaScript one runs. */
  readonly module: WebAssembly.Module | undefined;
  /** The queue. */
  readonly fd: number;
  /** An eventfd, readable when the loop is to look at STOP. */
  readonly wakeFd: number;
  /** What was open when the main thread made this one. */
  readonly inherited: ReadonlyMap<number, string>;
}

/** Sent once, before the first packet. */
export interface Running {
  /** Descriptors for the main thread to close when this thread has ended; see io/descriptors.ts. */
  readonly leftBehind: readonly number[];
}

const input = workerData as WorkerInput;
const engine: Engine = input.module ? await WasmEngine.instantiate(input.module, input.memory) : new JsEngine(input.memory);
const io = new ReadWriteIo(input.fd, input.wakeFd, new LinearMemory(input.memory, input.mtu));

const table = ownDescriptorTable(input.fd, input.inherited);
const running: Running = { leftBehind: table.leftBehind };
parentPort?.postMessage(running);
loop(new Int32Array(input.memory.buffer));
table.closeQueue();

function loop(control: Int32Array): void {
  while (Atomics.load(control, STOP / 4) === 0) {
    const received = io.receive();
    if (received > 0) io.send(engine.respond(received));
  }
}
