/** Reads a configuration: its file in a thread of its own, whose memory and time are bounded. */
import { closeSync, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { leaveGoneDirectory } from "../base/directory.js";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import type { LogFormat } from "../base/log.js";
import { PrefixList } from "../prefix/list.js";
import type { Configuration, Placed, Printed, Target } from "./content.js";
import type { Values } from "./keys.js";
import type { RunOptions } from "./runoptions.js";
import type { Form } from "./topology.js";
import type { Answer, Failed, ReaderInput, Request, Settled } from "./thread.js";

/** Called with the log's format in the file, before anything that is wrong with the rest is reported. */
export type OnFormat = (format: LogFormat | undefined) => void;

/** Bounds of the thread. */
export interface Limits {
  /** MB of its heap for what lasts. */
  readonly heapMb: number;
  /** Milliseconds that the reading may take, and each request after it. */
  readonly ms: number;
}

/**
 * 100,000 prefixes with every key take 125 MB and 6 seconds, and on a machine that is busy with other things several
 * times as long.
 */
const LIMITS: Limits = { heapMb: 140, ms: 60_000 };
/** MB of the heap for what is new. V8 copies what is in use each time that it is full: a few pieces have to fit. */
const YOUNG_MB = 16;
/** Milliseconds that the end of the thread may take. */
const END_MS = 1000;
/** More descriptors than the thread's event loop needs. */
const DESCRIPTORS = 16;

/** A configuration file that a thread has read. The thread waits for requests, until end(). */
export class Reading implements Configuration {
  readonly options: RunOptions;
  readonly values: Values;
  page: string | undefined;
  readonly #thread: Thread;

  private constructor(thread: Thread, { options, values, prefixes, exceptions, timestamps, services }: Settled) {
    this.#thread = thread;
    this.values = values;
    this.options = { ...options, serving: {
      prefixes: new PrefixList(prefixes), exceptions: new PrefixList(exceptions), timestamps, services,
    } };
  }

  /**
   * Reads a file.
   * @throws Failure (configuration) also if the file takes too much memory or time
   */
  static async start(
    input: ReaderInput, onFormat: OnFormat = () => undefined, limits = LIMITS,
  ): Promise<Reading> {
    const thread = new Thread(input, onFormat, limits);
    try {
      return new Reading(thread, await thread.answer() as Settled);
    } catch (error) {
      await thread.end();
      throw error;
    }
  }

  async place(target: Target): Promise<Placed> {
    const placed = await this.#thread.ask({ place: target }) as Placed;
    this.page = placed.page;
    return placed;
  }

  async print(json: boolean): Promise<Printed> {
    return await this.#thread.ask({ print: { json } }) as Printed;
  }

  async topology(form: Form): Promise<string> {
    return await this.#thread.ask({ topology: { form } }) as string;
  }

  end(): Promise<void> {
    return this.#thread.end();
  }
}

class Thread {
  readonly #worker: Worker;
  readonly #limits: Limits;
  readonly #name: string;
  #settle: { resolve: (answer: unknown) => void; reject: (error: unknown) => void } | undefined;

  constructor(input: ReaderInput, onFormat: OnFormat, limits: Limits) {
    checkStart(input.name);
    this.#name = input.name;
    this.#limits = limits;
    this.#worker = new Worker(new URL("./thread.js", import.meta.url), {
      workerData: input, name: "reader",
      resourceLimits: { maxOldGenerationSizeMb: limits.heapMb, maxYoungGenerationSizeMb: YOUNG_MB },
    });
    this.#worker.on("message", (answer: Answer) => {
      if ("format" in answer) onFormat(answer.format);
      else if ("what" in answer) this.#settle?.reject(failureOf(answer));
      else this.#settle?.resolve("done" in answer ? answer.done : answer);
    });
    this.#worker.on("error", (error) => { this.#settle?.reject(this.#explain(error)); });
  }

  /** Sends a request. Fulfilled with the answer. */
  ask(request: Request): Promise<unknown> {
    const answer = this.answer();
    this.#worker.postMessage(request);
    return answer;
  }

  /** Fulfilled with the next answer. */
  async answer(): Promise<unknown> {
    const { ms } = this.#limits;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve, reject) => {
        this.#settle = { resolve, reject };
        timer = setTimeout(() => { reject(this.#tooMuch(`takes more than ${ms / 1000} seconds to read`)); }, ms);
      });
    } finally {
      clearTimeout(timer);
      this.#settle = undefined;
    }
  }

  /** Ends the thread. One that hangs in a system call, as on a file system that has gone away, is left to itself. */
  async end(): Promise<void> {
    await Promise.race([this.#worker.terminate(), sleep(END_MS, undefined, { ref: false })]);
  }

  #explain(error: unknown): unknown {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ERR_WORKER_OUT_OF_MEMORY") return error;
    return this.#tooMuch(`takes more than ${this.#limits.heapMb} MB of memory to read`);
  }

  #tooMuch(what: string): Failure {
    return new Failure(`${this.#name}: ${what}; expected less in it: 100,000 prefixes fit`, EXIT.CONFIG);
  }
}

function failureOf({ what, mend, status }: Failed): Failure {
  return new Failure(what, status, mend === undefined ? {} : { mend });
}

/**
 * Makes sure that Node.js can start a thread: it aborts without descriptors, and refuses in a directory that is gone.
 * @throws Failure
 */
function checkStart(name: string): void {
  leaveGoneDirectory();
  const tried: number[] = [];
  try {
    for (let i = 0; i < DESCRIPTORS; i++) tried.push(openSync("/dev/null", "r"));
  } catch (error) {
    throw new Failure(`${name}: no thread can read it: ${messageOf(error)}`, EXIT.RUNTIME, { cause: error });
  } finally {
    for (const fd of tried) closeSync(fd);
  }
}
