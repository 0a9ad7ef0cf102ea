/**
 * One queue as the supervisor sees it: its memory, which lasts; its worker, which is started again after a crash; and
 * the eventfd that wakes the worker.
 */
import { createInterface } from "node:readline";
import { Worker } from "node:worker_threads";
import type { Drain } from "../../abi/tcp.js";
import type { EngineName } from "../engine/contract.js";
import type { LinearMemory } from "../engine/memory.js";
import { compile } from "../engine/wasm.js";
import type { IoChoice, IoName } from "../io/contract.js";
import type { Precision } from "../io/wait.js";
import { checkDescriptors, openDescriptors } from "../sys/descriptors.js";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import * as libc from "../sys/libc.js";
import { EFD_CLOEXEC } from "../sys/uapi.js";
import type { Running, WorkerInput, WorkerMessage } from "./worker.js";
import { moduleOf } from "../engine/create.js";
import { ShownCounters } from "../telemetry/shown.js";

const module = compile(moduleOf("wasm"));

export interface QueueOptions {
  readonly index: number;
  /** Descriptor of the device's queue. */
  readonly fd: number;
  readonly engine: EngineName;
  readonly io: IoChoice;
  /** Empty rounds after which the packet loop sleeps. */
  readonly spin: number;
  readonly precision: Precision;
  /** Memory of the letters between the queues; undefined where there is one queue alone. */
  readonly mail?: SharedArrayBuffer | undefined;
  /** Write ends of the pipes by which the service threads are woken. */
  readonly serviceFds?: readonly number[];
  /** Longest time in ms that the packet loop sleeps; without it, for as long as nothing is to be done. */
  readonly maxWaitMs?: number | undefined;
  /** Its memory, with a table in use. */
  readonly memory: LinearMemory;
  /**
   * Called when a worker that ran has crashed. Returns undefined to start it again, or the failure that ends the queue.
   */
  readonly crashed?: (queue: Queue, crash: Failure) => Failure | undefined;
  /** Called when a worker was started again, and when its packet loop runs. */
  readonly changed?: () => void;
  /** Called with each line that the worker writes on its standard error, and with what it has to say itself. */
  readonly said?: (queue: Queue, line: string) => void;
}

export class Queue {
  readonly index: number;
  readonly engine: EngineName;
  readonly memory: LinearMemory;
  /** Its counters, as they were while a restarted worker tries its I/O. */
  readonly shown: ShownCounters;
  /** Times that its worker was started again. */
  restarts = 0;
  /**
   * Fulfilled when the packet loop runs for the first time, with what it runs on.
   * @throws Failure as `ended` does.
   */
  readonly running: Promise<Running>;
  /**
   * Fulfilled when the worker has ended as requested.
   * @throws Failure if it ended by itself and is not started again.
   */
  readonly ended: Promise<void>;
  readonly #options: QueueOptions;
  /** Eventfd that wakes the packet loop. */
  readonly wakeFd: number;
  #io: IoName = "readwrite";
  #over = false;
  #asked = 0;
  #waiting: { readonly asked: number; readonly resolve: () => void }[] = [];

  constructor(options: QueueOptions) {
    this.index = options.index;
    this.engine = options.engine;
    this.#options = options;
    this.memory = options.memory;
    this.shown = new ShownCounters(this.memory.counters);
    this.wakeFd = libc.check(libc.eventfd(0, EFD_CLOEXEC), "eventfd", `of queue ${this.index}`);
    const first = this.#start();
    this.ended = this.#supervise(first);
    this.running = Promise.race([first.running, this.ended.then(() => first.running)]);
  }

  /** I/O backend of the packet loop, known once it runs. */
  get io(): IoName {
    return this.#io;
  }

  /** Counters by the indices of abi/counters.ts; see LinearMemory. */
  get counters(): Float64Array {
    return this.shown.now;
  }

  /**
   * Has the engine use the table at this address of its memory. Fulfilled once nothing uses the previous table any
   * more; only then may another be written.
   */
  async serve(table: number): Promise<void> {
    this.memory.use(table);
    await this.atTop();
  }

  /**
   * Fulfilled when the packet loop has come to its top after this call. After a crash, that is once the worker has been
   * started again.
   */
  atTop(): Promise<void> {
    const asked = ++this.#asked;
    this.memory.ask(asked);
    this.wake();
    return new Promise((resolve) => { this.#waiting.push({ asked, resolve }); });
  }

  /** Says what is to become of connections. */
  drain(how: Drain): void {
    this.memory.drain(how);
    this.wake();
  }

  /** Ends the packet loop after its current round. Does not wait, so an exit handler may call it. */
  stop(): void {
    this.memory.requestStop();
    this.wake();
  }

  /** Has the packet loop come to its top, if it sleeps. */
  wake(): void {
    if (!this.#over) libc.eventfd_write(this.wakeFd, 1);
  }

  async #supervise(first: Started): Promise<void> {
    try {
      for (let started = first; ; started = this.#start()) {
        const crash = await started.ended;
        if (!crash) {
          this.memory.stopped();
          return;
        }
        const { crashed = () => crash } = this.#options;
        const failure = (started === first && !started.ran) || this.memory.stopRequested ? crash : crashed(this, crash);
        if (failure) throw failure;
        this.memory.recover();
        this.shown.hide();
        this.restarts++;
        this.#options.changed?.();
        checkDescriptors("a worker");
      }
    } finally {
      this.#over = true;
      libc.close(this.wakeFd);
    }
  }

  #start(): Started {
    const { engine, io, spin, precision, fd, mail, serviceFds = [], maxWaitMs } = this.#options;
    const workerData: WorkerInput = {
      index: this.index, mail, memory: this.memory.memory, module, engine, io, spin, precision, fd, wakeFd: this.wakeFd,
      serviceFds, maxWaitMs, before: new Set(openDescriptors().keys()),
    };
    const worker = new Worker(
      new URL("./worker.js", import.meta.url), { workerData, name: `queue ${this.index}`, stderr: true },
    );
    // Node.js writes its warnings there. Piped to this thread's standard error, they would have another format and no
    // limit on their number.
    createInterface(worker.stderr).on("line", (line) => { this.#options.said?.(this, line); });
    let resolveRunning: (running: Running) => void;
    const started: Started = {
      running: new Promise((resolve) => { resolveRunning = resolve; }), ran: false, ended: Promise.resolve(undefined),
    };
    let refused: string | undefined;
    let leftBehind: readonly number[] = [];
    worker.on("message", (message: WorkerMessage) => {
      if ("io" in message) {
        started.ran = true;
        leftBehind = message.leftBehind;
        this.#io = message.io;
        this.shown.show();
        this.#options.changed?.();
        resolveRunning(message);
      } else if ("offload" in message) {
        this.#options.said?.(this, "offload is off: the kernel has refused a packet that it was to cut or to complete");
      } else if ("refused" in message) {
        refused = message.refused;
        leftBehind = message.leftBehind;
      } else {
        for (const { asked, resolve } of this.#waiting) if (asked <= message.asked) resolve();
        this.#waiting = this.#waiting.filter(({ asked }) => asked > message.asked);
      }
    });
    let cause: unknown;
    worker.once("error", (error) => { cause = error; });
    started.ended = new Promise<number>((resolve) => { worker.once("exit", resolve); }).then((status) => {
      const ring = this.memory.takeRing();
      for (const left of ring === 0 ? leftBehind : [ring, ...leftBehind]) libc.close(left);
      if (refused !== undefined) {
        return new Failure(
          `io_uring cannot be used here: ${refused}`,
          EXIT.PERMISSION,
          { mend: "run with --io auto, or see: pongd doctor" },
        );
      }
      if (cause === undefined && this.memory.stopRequested) return undefined;
      const why = cause === undefined ? `its thread ended with status ${status}` : messageOf(cause);
      return new Failure(`the worker of queue ${this.index} died: ${why}`, EXIT.RUNTIME, { cause });
    });
    return started;
  }
}

/** A worker from its start to its end. */
interface Started {
  readonly running: Promise<Running>;
  /** True once its packet loop has run. */
  ran: boolean;
  /** Fulfilled when it has ended, with the reason if that was not requested. */
  ended: Promise<Failure | undefined>;
}
