/**
 * The packet loop of one queue, on a thread of its own:
 *
 *  1. receive: reads packets from the queue into free slots. If there are none it sleeps, here and only here, until the
 *     engine's DEADLINE.
 *  2. respond: the engine judges each packet, counts it, and turns requests into replies in place.
 *  3. send: writes the replies to the queue and returns their slots to the pool.
 *
 * The main thread ends the loop by setting STOP and writing the eventfd. The loop first answers what it has received
 * and sends what it has answered. The main thread may also ask for a sign of life by raising ASKED: the loop reports
 * from its top. It is then alive, and every batch that had begun earlier is done.
 */
import { parentPort, workerData } from "node:worker_threads";
import { ASKED, OFFLOAD, STOP } from "../../abi/control.js";
import { DOZES, NEWS_FOR, ORDERED, THREAD_SIZE, THREADS } from "../../abi/streams.js";
import { Clock } from "../engine/clock.js";
import type { Engine, EngineName } from "../engine/contract.js";
import { createJsEngine } from "../engine/js.js";
import { LinearMemory } from "../engine/memory.js";
import { load, WasmEngine } from "../engine/wasm.js";
import { messageOf } from "../base/failure.js";
import { FOREVER, type IoChoice, type IoName, type PacketIo } from "../io/contract.js";
import { ReadWriteIo } from "../io/readwrite.js";
import { UringIo } from "../io/uring.js";
import { Wait, type Precision } from "../io/wait.js";
import { Mail } from "./mail.js";
import { loopDescriptors, ownDescriptorTable } from "../sys/descriptors.js";
import { realtime } from "../sys/realtime.js";
import { wake } from "../sys/wakepipe.js";

export interface WorkerInput {
  /** Index of the queue. */
  readonly index: number;
  /** Memory of the letters between the queues; undefined where there is one queue alone. */
  readonly mail: SharedArrayBuffer | undefined;
  readonly memory: WebAssembly.Memory;
  /** Module compiled from assembly/. */
  readonly module: WebAssembly.Module;
  readonly engine: EngineName;
  readonly io: IoChoice;
  /** Empty rounds after which the loop sleeps; for io_uring. */
  readonly spin: number;
  /** How exactly the loop wakes up for what is due. */
  readonly precision: Precision;
  /** Descriptor of the queue. */
  readonly fd: number;
  /** Eventfd that becomes readable when the loop is to look at STOP and ASKED. */
  readonly wakeFd: number;
  /** Write ends of the pipes by which the service threads are woken. */
  readonly serviceFds: readonly number[];
  /** Longest time in ms that the loop sleeps, if there is one. */
  readonly maxWaitMs: number | undefined;
  /** Descriptors that were open before this thread was made. */
  readonly before: ReadonlySet<number>;
}

/**
 * Messages to the main thread. Running is sent once, before the first packet. Refused is sent in its place if what was
 * asked for cannot be had, and the thread then ends. AtTop follows each request. OffloadLost is sent when the kernel
 * has refused a packet that it was to finish.
 */
export type WorkerMessage = Running | Refused | AtTop | OffloadLost;

export interface Running {
  readonly io: IoName;
  /** Reason why io_uring is not used, if --io is auto; undefined if it is used, or was not wanted. */
  readonly fallback: string | undefined;
  /** Descriptors for the main thread to close when this thread has ended; see sys/descriptors.ts. */
  readonly leftBehind: readonly number[];
}

export interface Refused {
  readonly refused: string;
  readonly leftBehind: readonly number[];
}

/** Sent from the packet loop's top, with the latest request that the loop has seen there. */
export interface AtTop {
  readonly asked: number;
}

export interface OffloadLost {
  readonly offload: false;
}

const input = workerData as WorkerInput;
const linear = new LinearMemory(input.memory);
const clock = new Clock(input.memory, realtime);
const mail = input.mail && new Mail(input.mail, input.index, input.memory);
const assembly = await load(input.module, input.memory);
const engine: Engine = input.engine === "wasm"
  ? new WasmEngine(assembly, input.memory, () => { clock.read(); })
  : createJsEngine(input.memory);

const fine = input.precision === "fine" ? new Wait(() => clock.now) : undefined;
const maxWait = input.maxWaitMs === undefined ? FOREVER : 1e6 * input.maxWaitMs;

const words = new Int32Array(input.memory.buffer);
const table = ownDescriptorTable(input.fd, await loopDescriptors(input.before));
const uring = input.io === "readwrite" ? undefined : openUring();
if (uring instanceof UringIo) {
  run(uring, undefined);
} else if (input.io === "uring") {
  post({ refused: String(uring), leftBehind: table.leftBehind });
} else {
  run(new ReadWriteIo(input.fd, input.wakeFd, linear, assembly.refused), uring);
}

/** Opens io_uring; returns the reason if it cannot be used. */
function openUring(): UringIo | string {
  try {
    return new UringIo(input.fd, input.wakeFd, linear, assembly, input.spin, table.shared);
  } catch (error) {
    return messageOf(error);
  }
}

function run(io: PacketIo, fallback: string | undefined): void {
  post({ io: io.name, fallback, leftBehind: table.leftBehind });
  try {
    loop(io);
  } finally {
    table.closeQueue();
  }
}

function loop(io: PacketIo): void {
  const control = new Int32Array(input.memory.buffer);
  let offload = control[OFFLOAD / 4] !== 0;
  // It compares the two clocks now, and not while the first packet waits.
  clock.read();
  try {
    for (let answered = 0; Atomics.load(control, STOP / 4) === 0;) {
      const asked = Atomics.load(control, ASKED / 4);
      if (asked !== answered) post({ asked: answered = asked });
      const { deadline } = clock;
      // What was refused is due now.
      if (deadline !== 0 && offload && control[OFFLOAD / 4] === 0) {
        offload = false;
        post({ offload });
      }
      const wait = deadline === 0 ? FOREVER : fine?.before(deadline) ?? Math.max(0, Math.ceil(deadline - clock.now));
      const received = io.receive(maxWait === FOREVER || (wait !== FOREVER && wait < maxWait) ? wait : maxWait);
      if (received === 0) fine?.slept();
      if (received > 0 || deadline !== 0 || Atomics.load(words, ORDERED / 4) !== 0) round(io, received);
    }
    io.flush();
  } finally {
    io.close();
  }
}

function round(io: PacketIo, received: number): void {
  clock.read();
  mail?.fetch();
  io.send(engine.respond(received));
  mail?.post();
  if (words[NEWS_FOR / 4] !== 0) wakeThreads();
}

/** Wakes the service threads that there is news for and that sleep. */
function wakeThreads(): void {
  const news = words[NEWS_FOR / 4];
  words[NEWS_FOR / 4] = 0;
  for (const [i, fd] of input.serviceFds.entries()) {
    const dozes = (THREADS + THREAD_SIZE * i + DOZES) / 4;
    if ((news & 1 << i) !== 0 && Atomics.exchange(words, dozes, 0) !== 0) wake(fd);
  }
}

function post(message: WorkerMessage): void {
  parentPort?.postMessage(message);
}
