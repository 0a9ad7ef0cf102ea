/** The main thread's hold on one queue: its worker, the memory they share, and the eventfd that wakes it. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { EngineName } from "./engine/engine.js";
import { LinearMemory, type Policy } from "./engine/memory.js";
import { compile } from "./engine/wasm.js";
import { EXIT, Failure, messageOf } from "./failure.js";
import * as libc from "./tun/libc.js";
import { EFD_CLOEXEC, EFD_NONBLOCK } from "./tun/uapi.js";
import type { WorkerInput } from "./worker.js";

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
    };
    const worker = new Worker(new URL("./worker.js", import.meta.url), { workerData, name: `queue ${index}` });
    // A thread that waits in poll(2) would hold up an exit for ever, whatever the exit's reason.
    const wake = () => { this.stop(); };
    process.once("exit", wake);
    this.ended = this.#watch(worker).finally(() => { process.off("exit", wake); });
    this.running = Promise.race([once(worker, "message").then(() => undefined), this.ended]);
  }

  /** Ends the packet loop after the round it is in. May be called from an exit handler: it does not wait. */
  stop(): void {
    this.memory.requestStop();
    libc.eventfd_write(this.#wakeFd, 1);
  }

  async #watch(worker: Worker): Promise<void> {
    try {
      const [status] = await once(worker, "exit") as [number];
      if (!this.memory.stopRequested) throw new Error(`its thread ended with status ${status}`);
    } catch (error) {
      throw new Failure(`the worker of queue ${this.index} died: ${messageOf(error)}`, EXIT.RUNTIME, { cause: error });
    } finally {
      libc.close(this.#wakeFd);
    }
  }
}
