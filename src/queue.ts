/** The main thread's hold on one queue: its worker, the memory they share, and the eventfd that wakes it. */
import { Worker } from "node:worker_threads";
import type { EngineName } from "./engine/engine.js";
import type { Link } from "./engine/link.js";
import { LinearMemory } from "./engine/memory.js";
import type { Policy } from "./engine/policy.js";
import { compile } from "./engine/wasm.js";
import type { IoChoice, IoName } from "./io/io.js";
import { openDescriptors } from "./io/descriptors.js";
import { EXIT, Failure, messageOf } from "./failure.js";
import * as libc from "./tun/libc.js";
import { EFD_CLOEXEC, EFD_NONBLOCK } from "./tun/uapi.js";
import type { Running, WorkerInput, WorkerMessage } from "./worker.js";

const module = compile();

export interface QueueOptions {
  readonly index: number;
  /** The device's queue. */
  readonly fd: number;
  /** Bytes. */
  readonly mtu: number;
  readonly engine: EngineName;
  readonly io: IoChoice;
  /** Rounds that may come up empty before the packet loop sleeps. */
  readonly spin: number;
  /** Whose the addresses are; see prefixes.ts. */
  readonly trie: Uint32Array;
  readonly policy: Policy;
  /** Of a TAP device. */
  readonly link?: Link | undefined;
}

export class Queue {
  readonly index: number;
  readonly engine: EngineName;
  readonly memory: LinearMemory;
  /** Fulfilled when the packet loop runs, with what it runs on. @throws Failure as `ended` does. */
  readonly running: Promise<Running>;
  /** Fulfilled when the worker has ended as asked. @throws Failure where it ended by itself. */
  readonly ended: Promise<void>;
  readonly #wakeFd: number;
  #message: WorkerMessage | undefined;
  #over = false;

  constructor({ index, fd, mtu, engine, io, spin, trie, policy, link }: QueueOptions) {
    this.index = index;
    this.engine = engine;
    this.memory = LinearMemory.create(mtu, trie, policy, link);
    this.#wakeFd = libc.check(libc.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd", `of queue ${index}`);
    const workerData: WorkerInput = {
      memory: this.memory.memory,
      module,
      engine,
      io,
      spin,
      fd,
      wakeFd: this.#wakeFd,
      inherited: openDescriptors(),
    };
    const worker = new Worker(new URL("./worker.js", import.meta.url), { workerData, name: `queue ${index}` });
    const running = new Promise<Running>((resolve) => {
      worker.once("message", (message: WorkerMessage) => {
        this.#message = message;
        if ("io" in message) resolve(message);
      });
    });
    this.ended = this.#end(worker);
    this.running = Promise.race([running, this.ended.then(() => running)]);
  }

  /** What the packet loop reads and writes with, once it runs. */
  get io(): IoName {
    return this.#message !== undefined && "io" in this.#message ? this.#message.io : "readwrite";
  }

  /** Ends the packet loop after the round it is in. May be called from an exit handler: it does not wait. */
  stop(): void {
    if (this.#over) return;
    this.memory.requestStop();
    libc.eventfd_write(this.#wakeFd, 1);
  }

  async #end(worker: Worker): Promise<void> {
    let cause: unknown;
    worker.once("error", (error) => { cause = error; });
    const status = await new Promise<number>((resolve) => { worker.once("exit", resolve); });
    this.#over = true;
    const message = this.#message;
    const leftBehind = message !== undefined && "io" in message ? message.leftBehind : [];
    for (const fd of [this.#wakeFd, ...leftBehind]) libc.close(fd);
    if (message !== undefined && "refused" in message) {
      throw new Failure(`io_uring cannot be used here: ${message.refused}`, EXIT.PERMISSION, { mend: "run with --io auto, or see: pongd doctor" });
    }
    if (cause === undefined && this.memory.stopRequested) return;
    const why = cause === undefined ? `its thread ended with status ${status}` : messageOf(cause);
    throw new Failure(`the worker of queue ${this.index} died: ${why}`, EXIT.RUNTIME, { cause });
  }
}
