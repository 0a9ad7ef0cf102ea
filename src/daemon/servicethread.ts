/**
 * One service thread as the supervisor sees it: its own, which it starts and watches, or the caller's where pongd is a
 * library.
 *
 * Packet loops wake a thread by a pipe, which outlasts the thread: a packet loop has a descriptor table of its own
 * (sys/descriptors.ts), and in that nothing appears which was opened later.
 */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker, type MessagePort } from "node:worker_threads";
import type { Logger } from "pino";
import { ORDERED, THREAD_SIZE, THREAD_STATE, THREADS, ThreadState } from "../../abi/streams.js";
import { leaveGoneDirectory } from "../base/directory.js";
import { messageOf } from "../base/failure.js";
import { stderr, type LogFormat, type LogLevel } from "../base/log.js";
import type { Counted, FromService, ServiceInput, ToService } from "../net/messages.js";
import type { PrefixList } from "../prefix/list.js";
import { checkDescriptors } from "../sys/descriptors.js";
import * as libc from "../sys/libc.js";
import { F_DUPFD_CLOEXEC } from "../sys/uapi.js";
import { openWakePipe } from "../sys/wakepipe.js";
import { ServiceCounts } from "../telemetry/servicecounts.js";
import type { Queue } from "./queue.js";

/** MB of a thread's heap for what lasts. Buffers lie outside of it. */
const HEAP_MB = 512;
/** Time in ms for services to be loaded. */
const LOAD_MS = 10_000;
/** A thread that has not come round for so many looks hangs; time in ms between two of them. */
const HANGS = 30;
const LOOK_MS = 1000;
/** Time in ms that the end of a thread may take: one that hangs in a system call is left to itself. */
const END_MS = 500;

/** What there is to serve. */
interface Content {
  readonly services: readonly Counted[];
  readonly prefixes: PrefixList;
  readonly logLevel: LogLevel;
}

/** The thread that uses pongd as a library: it serves by itself, and is neither started nor watched. */
export interface Caller {
  /** By which it is told what service threads are told. */
  readonly port: MessagePort;
  /** Write end of the pipe by which it is woken, which it keeps. */
  readonly wakeFd: number;
  /** What it counts. */
  readonly counts: SharedArrayBuffer;
}

/** A thread that serves. */
export abstract class Thread {
  abstract readonly name: string;
  /** Write end of the pipe by which it is woken. */
  readonly wakeFd: number;
  readonly counts: ServiceCounts;
  /** What it is to serve: nothing until that has been loaded and used once. */
  protected content: Content | undefined;
  protected readonly index: number;
  protected readonly queues: readonly Queue[];
  protected isReady = false;
  /** Numbers of the requests by which the thread has prepared content. */
  #requests = new WeakMap<Content, number>();
  #asked: Promise<readonly string[]> = Promise.resolve([]);
  #request = 0;
  #answered: ((failures: readonly string[]) => void) | undefined;

  constructor(index: number, queues: readonly Queue[], wakeFd: number, counts: ServiceCounts) {
    this.index = index;
    this.queues = queues;
    this.wakeFd = wakeFd;
    this.counts = counts;
  }

  /** Has it load services. Fulfilled with a line for each that cannot be loaded. */
  prepare(content: Content): Promise<readonly string[]> {
    return this.#asked = this.#asked.then(() => this.#prepare(content));
  }

  /** Has it serve what it has prepared. Returns false if it has not: it may have been started since. */
  use(content: Content): boolean {
    this.content = content;
    const request = this.#requests.get(content);
    if (request === undefined) return false;
    const { prefixes, logLevel } = content;
    this.post({ kind: "use", request, prefixes: prefixes.buffer, logLevel });
    if (this.isReady) return true;
    this.isReady = true;
    for (const queue of this.queues) this.connect(queue);
    return true;
  }

  /** Has streams of the queue go to the thread, if it serves. */
  connect(queue: Queue): void {
    if (!this.isReady) return;
    this.post({ kind: "queue", queue: queue.index, memory: queue.memory.memory, wakeFd: this.wakeFdOf(queue) });
    Atomics.store(wordsOf(queue), this.stateAt, ThreadState.serving);
  }

  /** Hands over what the thread says to a request; to one that was given up, it comes too late. */
  protected heard({ request, failures }: Extract<FromService, { kind: "prepared" }>): void {
    if (request === this.#request) this.#answered?.(failures);
  }

  /** The thread has ended, and what it had prepared is gone with it. */
  protected forget(why: string): void {
    this.isReady = false;
    this.#requests = new WeakMap();
    this.#answered?.([why]);
  }

  /** Returns why it cannot be asked, if it cannot. */
  protected abstract get absence(): string | undefined;

  /** Fulfilled, with what is said then, when it has had enough time to load services. */
  protected abstract tooLate(): Promise<readonly string[]>;

  protected abstract post(message: ToService): void;

  /** Returns the eventfd by which the thread wakes the packet loop. */
  protected abstract wakeFdOf(queue: Queue): number;

  protected get stateAt(): number {
    return (THREADS + THREAD_SIZE * this.index + THREAD_STATE) / 4;
  }

  async #prepare(content: Content): Promise<readonly string[]> {
    const { absence } = this;
    if (absence !== undefined) return [absence];
    const answered = new Promise<readonly string[]>((resolve) => { this.#answered = resolve; });
    const request = ++this.#request;
    this.#requests.set(content, request);
    this.post({ kind: "prepare", request, services: content.services });
    const failures = await Promise.race([answered, this.tooLate()]);
    this.#answered = undefined;
    return failures;
  }
}

/** The caller's thread. */
export class CallersThread extends Thread {
  readonly name = "the caller's thread";
  readonly #port: MessagePort;

  constructor({ port, wakeFd, counts }: Caller, queues: readonly Queue[]) {
    super(0, queues, wakeFd, new ServiceCounts(counts));
    this.#port = port;
    port.on("message", (message: FromService) => {
      if (message.kind === "prepared") this.heard(message);
    });
  }

  protected get absence(): undefined {
    return undefined;
  }

  /** Its handlers may compute for as long as they like. */
  protected tooLate(): Promise<never> {
    return new Promise(() => undefined);
  }

  protected post(message: ToService): void {
    this.#port.postMessage(message);
  }

  /** The caller gets one of its own, to write at any time, even when the queue has ended, and closes it. */
  protected wakeFdOf({ wakeFd }: Queue): number {
    return duplicate(wakeFd, "an eventfd");
  }
}

/** A thread that is started here, and those that are started in its place. */
export class OwnThread extends Thread {
  readonly name: string;
  readonly #format: LogFormat;
  readonly #log: Logger;
  /** Read end of the pipe. Each thread has a duplicate of its own, which goes with it. */
  readonly #readFd: number;
  #worker: Worker | undefined;
  /** The one that is about to serve what the one before it did. */
  #resuming: Worker | undefined;

  constructor(index: number, queues: readonly Queue[], format: LogFormat, log: Logger) {
    const name = `service thread ${index}`;
    const { readFd, writeFd } = openWakePipe(`of ${name}`);
    super(index, queues, writeFd, new ServiceCounts());
    this.#readFd = readFd;
    this.name = name;
    this.#format = format;
    this.#log = log;
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

  /** Has the packet loops reset the streams of the thread, which has ended. */
  reset(): void {
    this.counts.restarted();
    for (const queue of this.queues) {
      const words = wordsOf(queue);
      const { none, serving, gone } = ThreadState;
      // It may have ended before it was to serve.
      Atomics.compareExchange(words, this.stateAt, none, ThreadState.ended);
      Atomics.compareExchange(words, this.stateAt, serving, gone);
      Atomics.store(words, ORDERED / 4, 1);
      queue.wake();
    }
  }

  /** True once nothing is left of the thread's streams. */
  get isReset(): boolean {
    return this.queues.every((queue) => Atomics.load(wordsOf(queue), this.stateAt) === (ThreadState.ended as number));
  }

  async end(): Promise<void> {
    const ended = this.#worker?.terminate();
    await Promise.race([ended, sleep(END_MS, undefined, { ref: false })]);
  }

  /** The pipe is not needed any more. */
  close(): void {
    libc.close(this.#readFd);
    libc.close(this.wakeFd);
  }

  protected get absence(): string | undefined {
    return this.#worker ? undefined : `${this.name} is being started again; try it once more`;
  }

  protected tooLate(): Promise<readonly string[]> {
    const late = [`services are not loaded after ${LOAD_MS / 1000} s: a handler hangs, or waits for something`];
    return sleep(LOAD_MS, late, { ref: false });
  }

  protected post(message: ToService): void {
    this.#worker?.postMessage(message);
  }

  protected wakeFdOf({ wakeFd }: Queue): number {
    return wakeFd;
  }

  #run(): Promise<string> {
    const workerData: ServiceInput = {
      thread: this.index, wakeFd: duplicate(this.#readFd, "a pipe"), counts: this.counts.buffer, drops: stderr.drops,
      logFormat: this.#format, logLevel: this.#log.level as LogLevel,
    };
    const worker = this.#worker = new Worker(new URL("../net/thread.js", import.meta.url), {
      workerData, name: `service ${this.index}`, stderr: true, stdout: true,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    // What its log does not get: Node.js's own words.
    worker.stdout.resume();
    createInterface(worker.stderr).on("line", (line) => { this.#log.warn({ thread: `service ${this.index}` }, line); });
    worker.on("message", (message: FromService) => {
      if (message.kind === "line") stderr.write(message.line);
      else this.heard(message);
    });
    let cause: unknown;
    worker.once("error", (error) => { cause = error; });
    const watch = this.#watch(worker, () => { cause = new Error(`it has hung for ${HANGS * LOOK_MS / 1000} s`); });
    if (this.counts.restarts > 0) void this.#resume(worker);
    return new Promise((resolve) => {
      worker.once("exit", (status) => {
        clearInterval(watch);
        this.#worker = undefined;
        const why = cause === undefined ? `it ended with status ${status}` : messageOf(cause);
        this.forget(`${this.name} died: ${why}`);
        resolve(why);
      });
    });
  }

  /** Has it serve what it has prepared; or what it has not, since it was started after that, once it has. */
  override use(content: Content): boolean {
    if (super.use(content)) return true;
    if (this.#worker && this.#resuming !== this.#worker) void this.#resume(this.#worker);
    return false;
  }

  /** Has a thread that was started again serve what there is to serve, which may change meanwhile. */
  async #resume(worker: Worker): Promise<void> {
    this.#resuming = worker;
    for (;;) {
      const { content } = this;
      if (!content) break;
      const failures = await this.prepare(content);
      // The next one resumes by itself.
      if (this.#worker !== worker) return;
      for (const line of failures) this.#log.error(`${line}; its connections are reset`);
      if (content !== this.content) continue;
      super.use(content);
      break;
    }
    this.#resuming = undefined;
  }

  /** Ends the thread when it has not come round for long. */
  #watch(worker: Worker, hangs: () => void): NodeJS.Timeout {
    let last = -1;
    let looks = 0;
    return setInterval(() => {
      const { beats } = this.counts;
      looks = beats === last ? looks + 1 : 0;
      last = beats;
      if (looks < HANGS) return;
      looks = 0;
      hangs();
      void worker.terminate();
    }, LOOK_MS).unref();
  }
}

function duplicate(fd: number, of: string): number {
  return libc.check(libc.fcntl(fd, F_DUPFD_CLOEXEC, 0), "fcntl", `F_DUPFD_CLOEXEC of ${of}`);
}

function wordsOf(queue: Queue): Int32Array {
  return new Int32Array(queue.memory.memory.buffer);
}
