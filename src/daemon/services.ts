/**
 * The service threads as the supervisor sees them: it starts them, tells them of the packet loops, and starts a thread
 * again that has died, once its streams are reset. It never waits for one.
 */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import type { Logger } from "pino";
import { ORDERED, THREAD_SIZE, THREAD_STATE, THREADS, ThreadState } from "../../abi/streams.js";
import { leaveGoneDirectory } from "../base/directory.js";
import { messageOf } from "../base/failure.js";
import type { ServiceInput, ToService } from "../net/thread.js";
import type { Queue } from "./queue.js";

/** Time in ms before a thread is started again: twice as long each time, until it has run for SETTLED_MS. */
const MIN_PAUSE_MS = 100;
const MAX_PAUSE_MS = 10_000;
const SETTLED_MS = 10_000;
/** How often it is looked whether the streams of a thread that has ended are reset, in ms. */
const LOOK_MS = 20;

export class Services {
  readonly #count: number;
  readonly #log: Logger;
  readonly #queues: Queue[] = [];
  readonly #threads: Thread[] = [];
  readonly #closing = new AbortController();
  readonly #supervised: Promise<void>[] = [];

  /** There are to be `count` threads, once a service needs them. */
  constructor(count: number, log: Logger) {
    this.#count = count;
    this.#log = log;
  }

  /** Starts the threads, unless they have been started. */
  start(): void {
    while (this.#threads.length < this.#count) {
      const thread = new Thread(this.#threads.length, this.#queues, this.#log);
      this.#threads.push(thread);
      thread.start();
      this.#supervised.push(this.#supervise(thread));
    }
  }

  /** Returns a port to each thread that was started, for a packet loop of this queue that is about to start. */
  readonly connect = (queue: Queue): readonly MessagePort[] => {
    if (!this.#queues.includes(queue)) this.#queues.push(queue);
    return this.#threads.map((thread) => thread.connect(queue));
  };

  async end(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#threads.map((thread) => thread.end()));
    await Promise.all(this.#supervised);
  }

  async #supervise(thread: Thread): Promise<void> {
    const { signal } = this.#closing;
    const pause = (ms: number) => sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
    for (let pauseMs = MIN_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      const began = performance.now();
      const why = await thread.ended;
      if (signal.aborted) return;
      this.#log.error(`${thread.name} died: ${why}; its connections are reset, and it is started again`);
      thread.reset();
      if (performance.now() - began > SETTLED_MS) pauseMs = MIN_PAUSE_MS;
      await pause(pauseMs);
      while (!signal.aborted && !thread.isReset) await pause(LOOK_MS);
      if (signal.aborted) return;
      thread.start();
    }
  }
}

/** A thread, and the one after it. */
class Thread {
  readonly name: string;
  /** Fulfilled when the thread has ended, with the reason. */
  ended: Promise<string> = Promise.resolve("");
  readonly #index: number;
  readonly #queues: readonly Queue[];
  readonly #log: Logger;
  #worker: Worker | undefined;

  constructor(index: number, queues: readonly Queue[], log: Logger) {
    this.name = `service thread ${index}`;
    this.#index = index;
    this.#queues = queues;
    this.#log = log;
  }

  /** Starts it, or another one in its place, and has the packet loops that run use it. */
  start(): void {
    [this.#worker, this.ended] = this.#start();
    for (const queue of this.#queues) {
      // Nothing may be told before there is a port to wake it by.
      void queue.wakeBy(this.#index, this.#introduce(queue)).then(() => { this.#setState(queue, ThreadState.serving); });
    }
  }

  /** Has streams of the queue go to the thread. Returns the port by which its packet loop is to wake it. */
  connect(queue: Queue): MessagePort {
    this.#setState(queue, ThreadState.serving);
    return this.#introduce(queue);
  }

  #introduce(queue: Queue): MessagePort {
    const { port1, port2 } = new MessageChannel();
    const { memory } = queue.memory;
    const message: ToService = { queue: queue.index, memory, wakeFd: queue.wakeFd, port: port2 };
    this.#worker?.postMessage(message, [port2]);
    return port1;
  }

  /** Has the packet loops reset the streams of the thread, which has ended. */
  reset(): void {
    for (const queue of this.#queues) {
      this.#setState(queue, ThreadState.gone);
      Atomics.store(wordsOf(queue), ORDERED / 4, 1);
      queue.wake();
    }
  }

  get isReset(): boolean {
    return this.#queues.every((queue) => {
      return Atomics.load(wordsOf(queue), this.#stateAt) === (ThreadState.ended as number);
    });
  }

  async end(): Promise<void> {
    await this.#worker?.terminate();
  }

  get #stateAt(): number {
    return (THREADS + THREAD_SIZE * this.#index + THREAD_STATE) / 4;
  }

  #setState(queue: Queue, state: ThreadState): void {
    Atomics.store(wordsOf(queue), this.#stateAt, state);
  }

  #start(): [Worker, Promise<string>] {
    leaveGoneDirectory();
    const workerData: ServiceInput = { thread: this.#index };
    const worker = new Worker(
      new URL("../net/thread.js", import.meta.url), { workerData, name: `service ${this.#index}`, stderr: true },
    );
    createInterface(worker.stderr).on("line", (line) => { this.#log.warn({ thread: `service ${this.#index}` }, line); });
    let cause: unknown;
    worker.once("error", (error) => { cause = error; });
    return [worker, new Promise((resolve) => {
      worker.once("exit", (status) => {
        resolve(cause === undefined ? `it ended with status ${status}` : messageOf(cause));
      });
    })];
  }
}

function wordsOf(queue: Queue): Int32Array {
  return new Int32Array(queue.memory.memory.buffer);
}
