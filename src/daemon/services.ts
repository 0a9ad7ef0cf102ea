/**
 * The service threads as the supervisor sees them: it starts them, tells them of the packet loops, and starts a thread
 * again that has died, once its streams are reset. It never waits for one.
 *
 * Packet loops wake a thread by an eventfd, which outlasts the thread: a packet loop has a descriptor table of its own
 * (sys/descriptors.ts), and in that nothing appears which was opened later.
 */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { Logger } from "pino";
import { ORDERED, THREAD_SIZE, THREAD_STATE, THREADS, ThreadState } from "../../abi/streams.js";
import { leaveGoneDirectory } from "../base/directory.js";
import { messageOf } from "../base/failure.js";
import type { ServiceInput, ToService } from "../net/thread.js";
import { checkDescriptors } from "../sys/descriptors.js";
import * as libc from "../sys/libc.js";
import { EFD_CLOEXEC, EFD_NONBLOCK } from "../sys/uapi.js";
import type { Queue } from "./queue.js";

/** Time in ms before a thread is started again: twice as long each time, until it has run for SETTLED_MS. */
const MIN_PAUSE_MS = 100;
const MAX_PAUSE_MS = 10_000;
const SETTLED_MS = 10_000;
/** How often it is looked whether the streams of a thread that has ended are reset, in ms. */
const LOOK_MS = 20;

export class Services {
  readonly #log: Logger;
  readonly #queues: Queue[] = [];
  readonly #threads: readonly Thread[];
  readonly #closing = new AbortController();
  #supervised: readonly Promise<void>[] | undefined;

  /** There are to be `count` threads, once a service needs them. */
  constructor(count: number, log: Logger) {
    this.#log = log;
    this.#threads = Array.from({ length: count }, (_, i) => new Thread(i, this.#queues, log));
  }

  /** Eventfds that wake the threads. */
  get wakeFds(): readonly number[] {
    return this.#threads.map(({ wakeFd }) => wakeFd);
  }

  /** Starts the threads, unless they have been started. */
  start(): void {
    this.#supervised ??= this.#threads.map((thread) => this.#supervise(thread));
  }

  /** Has the threads serve this queue. */
  connect(queue: Queue): void {
    this.#queues.push(queue);
    for (const thread of this.#threads) thread.connect(queue);
  }

  async end(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#threads.map((thread) => thread.end()));
    await Promise.all(this.#supervised ?? []);
    for (const { wakeFd } of this.#threads) libc.close(wakeFd);
  }

  async #supervise(thread: Thread): Promise<void> {
    const { signal } = this.#closing;
    const pause = (ms: number) => sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
    for (let pauseMs = MIN_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      const began = performance.now();
      const why = await thread.run();
      if (signal.aborted) return;
      this.#log.error(`${thread.name} died: ${why}; its connections are reset, and it is started again`);
      thread.reset();
      if (performance.now() - began > SETTLED_MS) pauseMs = MIN_PAUSE_MS;
      await pause(pauseMs);
      while (!signal.aborted && !thread.isReset) await pause(LOOK_MS);
      if (signal.aborted) return;
    }
  }
}

/** A thread, and those that are started in its place. */
class Thread {
  readonly name: string;
  /** Eventfd that wakes it. */
  readonly wakeFd: number;
  readonly #index: number;
  readonly #queues: readonly Queue[];
  readonly #log: Logger;
  #worker: Worker | undefined;

  constructor(index: number, queues: readonly Queue[], log: Logger) {
    this.name = `service thread ${index}`;
    this.#index = index;
    this.#queues = queues;
    this.#log = log;
    this.wakeFd = libc.check(libc.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd", `of ${this.name}`);
  }

  /** Starts it. Fulfilled when it has ended, with the reason. */
  async run(): Promise<string> {
    try {
      checkDescriptors("a service thread");
      leaveGoneDirectory();
      return await this.#run();
    } catch (error) {
      return messageOf(error);
    }
  }

  /** Has streams of the queue go to the thread, if it runs. */
  connect(queue: Queue): void {
    if (!this.#worker) return;
    const message: ToService = { queue: queue.index, memory: queue.memory.memory, wakeFd: queue.wakeFd };
    this.#worker.postMessage(message);
    Atomics.store(wordsOf(queue), this.#stateAt, ThreadState.serving);
  }

  /** Has the packet loops reset the streams of the thread, which has ended. */
  reset(): void {
    for (const queue of this.#queues) {
      const words = wordsOf(queue);
      const { none, serving, gone } = ThreadState;
      // It may have ended before it was to serve.
      Atomics.compareExchange(words, this.#stateAt, none, ThreadState.ended);
      Atomics.compareExchange(words, this.#stateAt, serving, gone);
      Atomics.store(words, ORDERED / 4, 1);
      queue.wake();
    }
  }

  /** True once nothing is left of the thread's streams. */
  get isReset(): boolean {
    return this.#queues.every((queue) => Atomics.load(wordsOf(queue), this.#stateAt) === (ThreadState.ended as number));
  }

  async end(): Promise<void> {
    await this.#worker?.terminate();
  }

  get #stateAt(): number {
    return (THREADS + THREAD_SIZE * this.#index + THREAD_STATE) / 4;
  }

  #run(): Promise<string> {
    const workerData: ServiceInput = { thread: this.#index, wakeFd: this.wakeFd };
    const worker = this.#worker = new Worker(
      new URL("../net/thread.js", import.meta.url), { workerData, name: `service ${this.#index}`, stderr: true },
    );
    createInterface(worker.stderr).on("line", (line) => { this.#log.warn({ thread: `service ${this.#index}` }, line); });
    for (const queue of this.#queues) this.connect(queue);
    let cause: unknown;
    worker.once("error", (error) => { cause = error; });
    return new Promise((resolve) => {
      worker.once("exit", (status) => {
        this.#worker = undefined;
        resolve(cause === undefined ? `it ended with status ${status}` : messageOf(cause));
      });
    });
  }
}

function wordsOf(queue: Queue): Int32Array {
  return new Int32Array(queue.memory.memory.buffer);
}
