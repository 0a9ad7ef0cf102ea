/**
 * The service threads as the supervisor sees them: it starts them, tells them of services and packet loops, and starts
 * a thread again that has died or hangs, once its streams are reset. It waits for one only while a configuration is
 * loaded, and not for long. Where pongd is a library, there is the caller's thread instead, which is only told.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { EXIT, Failure } from "../base/failure.js";
import type { LogFormat, LogLevel } from "../base/log.js";
import type { Counted } from "../net/messages.js";
import type { PrefixList } from "../prefix/list.js";
import type { StreamService } from "../prefix/streams.js";
import { MAX_COUNTED } from "../telemetry/servicecounts.js";
import type { CountedServices } from "../telemetry/services.js";
import type { Queue } from "./queue.js";
import { CallersThread, OwnThread, type Caller, type Thread } from "./servicethread.js";

/** Time in ms before a thread is started again: twice as long each time, until it has run for SETTLED_MS. */
const MIN_PAUSE_MS = 100;
const MAX_PAUSE_MS = 10_000;
const SETTLED_MS = 10_000;
/** How often it is looked whether the streams of a thread that has ended are reset, in ms. */
const RESET_LOOK_MS = 20;

export class Services {
  readonly #log: Logger;
  readonly #queues: Queue[] = [];
  readonly #threads: readonly Thread[];
  /** Those that are started here. */
  readonly #own: readonly OwnThread[];
  readonly #closing = new AbortController();
  /** Names of services by their place among what is counted. */
  readonly #names: string[] = [];
  #supervised: readonly Promise<void>[] | undefined;

  /** There are to be `count` threads, once a service needs them; or the caller's from now on. */
  constructor(count: number, format: LogFormat, log: Logger, caller?: Caller) {
    this.#log = log;
    this.#own = caller ? [] : Array.from({ length: count }, (_, i) => new OwnThread(i, this.#queues, format, log));
    this.#threads = caller ? [new CallersThread(caller, this.#queues)] : this.#own;
    if (caller) this.#supervised = [];
  }

  /** Write ends of the pipes by which the threads are woken. */
  get wakeFds(): readonly number[] {
    return this.#threads.map(({ wakeFd }) => wakeFd);
  }

  /** Names of services by their place among what is counted, and the threads' counts. */
  get counted(): CountedServices {
    const threads = this.#supervised ? this.#threads : [];
    return { names: [...this.#names], threads: threads.map(({ counts }) => counts.buffer) };
  }

  /**
   * Has the threads load services, beside those that they have. Nothing uses them yet. Returns what is to be called
   * when something does.
   * @throws Failure (configuration) with a line for each that cannot be loaded
   */
  async prepare(streams: readonly StreamService[], prefixes: PrefixList, logLevel: LogLevel): Promise<() => void> {
    const content = { services: this.#placed(streams), prefixes, logLevel };
    if (streams.length > 0) this.#supervised ??= this.#own.map((thread) => this.#supervise(thread));
    const threads = this.#supervised ? this.#threads : [];
    const failures = await Promise.all(threads.map((thread) => thread.prepare(content)));
    // All threads have the same trouble.
    const lines = [...new Set(failures.flat())];
    if (lines.length > 0) throw new Failure(lines, EXIT.CONFIG);
    return () => { for (const thread of threads) thread.use(content); };
  }

  /** Has the threads serve this queue. */
  connect(queue: Queue): void {
    this.#queues.push(queue);
    for (const thread of this.#threads) thread.connect(queue);
  }

  async end(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#own.map((thread) => thread.end()));
    await Promise.all(this.#supervised ?? []);
    for (const thread of this.#own) thread.close();
  }

  /** Returns services with their places: a name keeps its own as long as that is not needed for another one. */
  #placed(streams: readonly StreamService[]): Counted[] {
    const names = this.#names;
    const wanted = new Set(streams.map(({ name }) => name));
    for (const name of wanted) {
      if (names.includes(name)) continue;
      const free = names.length < MAX_COUNTED ? names.length : names.findIndex((each) => !wanted.has(each));
      names[free] = name;
      for (const { counts } of this.#threads) counts.clear(free);
    }
    return streams.map((service) => ({ service, counted: names.indexOf(service.name) }));
  }

  async #supervise(thread: OwnThread): Promise<void> {
    const { signal } = this.#closing;
    const closing = () => signal.aborted;
    const closed = new Promise<undefined>((resolve) => {
      signal.addEventListener("abort", () => { resolve(undefined); }, { once: true });
    });
    const pause = (ms: number) => sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
    for (let pauseMs = MIN_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      const began = performance.now();
      const why = await Promise.race([thread.run(), closed]);
      if (closing()) return;
      this.#log.error(`${thread.name} died: ${String(why)}; its connections are reset, and it is started again`);
      thread.reset();
      if (performance.now() - began > SETTLED_MS) pauseMs = MIN_PAUSE_MS;
      await pause(pauseMs);
      while (!closing() && !thread.isReset) await pause(RESET_LOOK_MS);
      if (closing()) return;
    }
  }
}
