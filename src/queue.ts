/** The main thread's hold on one queue: its worker, the memory they share, and the eventfd that wakes it. */
import { Worker } from "node:worker_threads";
import type { EngineName } from "./engine/engine.js";
import { LinearMemory, type Policy } from "./engine/memory.js";
import { compile } from "./engine/wasm.js";
import { openDescriptors } from "./io/descriptors.js";
import { EXIT, Failure, messageOf } from "./failure.js";
import * as libc from "./tun/libc.js";
import { EFD_CLOEXEC, EFD_NONBLOCK } from "./tun/uapi.js";
import type { Running, WorkerInput } from "./worker.js";

export interface QueueOptions {
  readonly index: number;
  /** The device's queue. */
  readonly fd: number;
  /** Bytes. */
  readonly mtu: number;
  readonly engine: EngineName;
  readonly policy: Policy;
}

export class Queue {
  readonly index: number;
  readonly engine: EngineName;
  readonly io = "readwrite";
  readonly memory: LinearMemory;
  /** Fulfilled when the packet loop runs. */
  readonly running: Promise<void>;
  /** Fulfilled when the worker has ended as asked. @throws Failure where it ended by itself. */
  readonly ended: Promise<void>;
  readonly #wakeFd: number;
  #leftBehind: readonly number[] = [];
  #over = false;

  constructor({ index, fd, mtu, engine, policy }: QueueOptions) {
    this.index = index;
    this.engine = engine;
    this.memory = LinearMemory.create(mtu);
    this.memory.setPolicy(policy);
    this.#wakeFd = libc.check(libc.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd", `of queue ${index}`);
    const workerData: WorkerInput = {
      memory: this.memory.memory,
      mtu,
      module: engine === "wasm" ? compile() : undefined,
      fd,
      wakeFd: this.#wakeFd,
      inherited: openDescriptors(),
    };
    const worker = new Worker(new URL("./worker.js", import.meta.url), { workerData, name: `queue ${index}` });
    const running = new Promise<void>((resolve) => {
      worker.once("message", ({ leftBehind }: Running) => {
        this.#leftBehind = leftBehind;
        resolve();
      });
    });
    // A thread that waits in poll(2) would hold up an exit for ever, whatever the exit's reason.
    const wake = () => { this.stop(); };
    process.once("exit", wake);
    this.ended = this.#end(worker).finally(() => { process.off("exit", wake); });
    this.running = Promise.race([running, this.ended]);
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
    for (const fd of [this.#wakeFd, ...this.#leftBehind]) libc.close(fd);
    if (cause === undefined && this.memory.stopRequested) return;
    const why = cause === undefined ? `its thread ended with status ${status}` : messageOf(cause);
    throw new Failure(`the worker of queue ${this.index} died: ${why}`, EXIT.RUNTIME, { cause });
  }
}
