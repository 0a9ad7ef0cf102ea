/**
 * The packet loop of one queue, on a thread of its own:
 *
 * 1. receive: packets from the queue into free slots; sleeps here, and only here, when there are none, until the
 * engine's DEADLINE
 *  2. respond: the engine judges each packet, counts it, and turns requests into replies where they lie
 *  3. send: replies to the queue, their slots back to the pool
 *
 * The main thread ends it by setting STOP and waking the wait. What was received is answered, and what was answered is
 * sent, before the loop is over. It may also just ask, by ASKED: whoever is told that the loop has come to its top
 * knows that it lives, and that no batch goes on that had begun before.
 */
import { parentPort, workerData } from "node:worker_threads";
import { ASKED, DEADLINE, STOP } from "../../abi/control.js";
import type { Engine, EngineName } from "../engine/contract.js";
import { createJsEngine } from "../engine/js.js";
import { LinearMemory } from "../engine/memory.js";
import { load, WasmEngine } from "../engine/wasm.js";
import { messageOf } from "../base/failure.js";
import { FOREVER, type IoChoice, type IoName, type PacketIo } from "../io/contract.js";
import { ReadWriteIo } from "../io/readwrite.js";
import { UringIo } from "../io/uring.js";

export interface WorkerInput {
  readonly memory: WebAssembly.Memory;
  /** The compiled assembly/. */
  readonly module: WebAssembly.Module;
  readonly engine: EngineName;
  readonly io: IoChoice;
  /** Rounds that may come up empty before the loop sleeps; for io_uring. */
  readonly spin: number;
  /** The queue. */
  readonly fd: number;
  /** An eventfd, readable when the loop is to look at STOP and ASKED. */
  readonly wakeFd: number;
  /** What was open when the main thread made this one. */
  readonly inherited: ReadonlyMap<number, string>;
}

/**
 * Sent once, before the first packet, or before the thread ends because what was asked for cannot be had; then whenever
 * it is asked.
 */
export type WorkerMessage = Running | Refused | AtTop;

export interface Running {
  readonly io: IoName;
  /** Why it is not io_uring, where that was not asked for. */
  readonly fallback: string | undefined;
  /** Descriptors for the main thread to close when this thread has ended; see sys/descriptors.ts. */
  readonly leftBehind: readonly number[];
}

export interface Refused {
  readonly refused: string;
}

/** The packet loop came to its top, and saw that it had been asked so often. */
export interface AtTop {
  readonly asked: number;
}

const LONGEST_WAIT_MS = 60_000;

const input = workerData as WorkerInput;
const linear = new LinearMemory(input.memory);
const assembly = await load(input.module, input.memory);
const engine: Engine = input.engine === "wasm" ? new WasmEngine(assembly) : createJsEngine(input.memory);

const uring = input.io === "readwrite" ? undefined : openUring();
if (uring instanceof UringIo) {
  post({ io: uring.name, fallback: undefined, leftBehind: [] });
  loop(uring);
} else if (input.io === "uring") {
  post({ refused: String(uring) });
} else {
  const io = new ReadWriteIo(input.fd, input.wakeFd, linear, input.inherited);
  post({ io: io.name, fallback: uring, leftBehind: io.leftBehind });
  loop(io);
}

/** The backend, or why there is none. */
function openUring(): UringIo | string {
  try {
    return new UringIo(input.fd, input.wakeFd, linear, assembly, input.spin);
  } catch (error) {
    return messageOf(error);
  }
}

function loop(io: PacketIo): void {
  const control = new Int32Array(input.memory.buffer);
  const times = new Float64Array(input.memory.buffer);
  try {
    for (let answered = 0; Atomics.load(control, STOP / 4) === 0;) {
      const asked = Atomics.load(control, ASKED / 4);
      if (asked !== answered) post({ asked: answered = asked });
      const deadline = times[DEADLINE / 8];
      const received = io.receive(deadline === 0 ? FOREVER : timeoutUntil(deadline));
      if (received > 0 || deadline !== 0) round(io, received);
    }
    for (let received = io.drain(); received > 0; received = io.drain()) round(io, received);
  } finally {
    io.close();
  }
}

function round(io: PacketIo, received: number): void {
  io.send(engine.respond(received, Date.now()));
}

/** The wall clock may be set: no wait is longer than the longest that is asked for, and the engine looks for itself. */
function timeoutUntil(deadline: number): number {
  return Math.ceil(Math.min(Math.max(deadline - Date.now(), 0), LONGEST_WAIT_MS));
}

function post(message: WorkerMessage): void {
  parentPort?.postMessage(message);
}
