/**
 * The web thread as the supervisor sees it. The supervisor keeps the sockets, tells the thread what has changed, and
 * starts it again when it dies. It never waits for the thread, except at its own start and, not for long, at its end.
 */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { Logger } from "pino";
import { leaveGoneDirectory } from "../base/directory.js";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { stderr } from "../base/log.js";
import type { RunOptions } from "../config/runoptions.js";
import { urlOf } from "../prefix/endpoints.js";
import { forgetInheritedSockets, inheritedSockets } from "../sys/activation.js";
import { checkDescriptors } from "../sys/descriptors.js";
import * as libc from "../sys/libc.js";
import { openNetlink } from "../tun/socket.js";
import { openSockets, type ListeningSocket } from "../web/listener.js";
import type { FromWeb, ReloadOutcome, ToWeb, WebInput, WebState } from "../web/messages.js";

/** Heap of the thread. What it sends lies outside of it. */
const HEAP_MB = 128;
/** Time in ms before the thread is started again: twice as long each time, until it has run for SETTLED_MS. */
const MIN_PAUSE_MS = 100;
const MAX_PAUSE_MS = 10_000;
const SETTLED_MS = 10_000;
/** States that may be on their way to the thread. A thread that hangs gets no more, and then the latest. */
const MAX_UNSEEN = 16;
/** Time in ms for the thread to close its connections at the end, and then to be terminated. */
const CLOSE_MS = 500;

/** Source of what the thread is told, and of what it may ask for. */
export interface WebSource {
  state(): WebState;
  /** Reads the configuration again; undefined if there is none to read, or not now. @throws what is wrong with it. */
  reload(): Promise<readonly string[]> | undefined;
}

/** The thread from its start to its end. */
interface Running {
  readonly worker: Worker;
  /** Fulfilled once it serves, with whether it does so by TLS. @throws Failure if it ends before. */
  readonly serving: Promise<boolean>;
  /** Fulfilled when it has ended, with the reason. */
  readonly ended: Promise<string>;
}

export class Web {
  readonly #options: Pick<RunOptions, "maxRequests" | "logFormat">;
  readonly #webConfig: string | undefined;
  readonly #sockets: readonly ListeningSocket[];
  readonly #source: WebSource;
  readonly #log: Logger;
  readonly #closing = new AbortController();
  #running: Running | undefined;
  #unseen = 0;
  /** True if the thread has to be told the latest state once it has seen those before. */
  #behind = false;
  #supervised: Promise<void> = Promise.resolve();
  #secure = false;

  private constructor(
    options: RunOptions, webConfig: string | undefined, sockets: readonly ListeningSocket[], source: WebSource,
    log: Logger,
  ) {
    this.#options = options;
    this.#webConfig = webConfig;
    this.#sockets = sockets;
    this.#source = source;
    this.#log = log;
  }

  /**
   * Opens the sockets, those that systemd has opened first, and starts the thread. The options' addresses are opened if
   * they were asked for, or if systemd has opened nothing. Fulfilled once it serves, or `stopped` is.
   * @throws Failure if a place is in use or not permitted, or if the web configuration is wrong.
   */
  static async start(options: RunOptions, source: WebSource, log: Logger, stopped: Promise<void>): Promise<Web> {
    const { listen, listenGiven, webConfig } = options;
    const inherited = inheritedSockets();
    forgetInheritedSockets();
    // The code that reads the web configuration is loaded only if there is one.
    const file = webConfig === undefined ? undefined : (await import("../config/bytes.js")).absolute(webConfig);
    const sockets = await openSockets([...inherited, ...listenGiven || inherited.length === 0 ? listen : []]);
    const web = new Web(options, file, sockets, source, log);
    try {
      const running = web.#start();
      web.#secure = await Promise.race([running.serving, stopped.then(() => false)]);
      web.#supervised = web.#supervise(running);
      return web;
    } catch (error) {
      await web.close();
      throw error;
    }
  }

  /** `http://host:port`, or https, with the port that is really open; or `unix:PATH`. */
  get urls(): readonly string[] {
    return this.#sockets.map(({ endpoint }) => urlOf(endpoint, this.#secure ? "https" : "http"));
  }

  /** Tells the thread the state as it is now. */
  tell(): void {
    if (this.#unseen >= MAX_UNSEEN) {
      this.#behind = true;
      return;
    }
    this.#unseen++;
    this.#post({ kind: "state", state: this.#source.state() });
  }

  /** Ends the thread, whatever it does, and closes the sockets. */
  async close(): Promise<void> {
    this.#closing.abort();
    const running = this.#running;
    if (running) {
      this.#post({ kind: "close" });
      const late = sleep(CLOSE_MS, "late", { ref: false });
      if (await Promise.race([running.ended, late]) === "late") {
        await Promise.race([running.worker.terminate(), sleep(CLOSE_MS, undefined, { ref: false })]);
      }
    }
    await this.#supervised;
    for (const socket of this.#sockets) socket.close();
  }

  async #supervise(first: Running): Promise<void> {
    const { signal } = this.#closing;
    const closing = () => signal.aborted;
    const closed = aborted(signal);
    let running: Running | undefined = first;
    for (let pauseMs = MIN_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      const began = performance.now();
      const why = running ? await Promise.race([running.ended, closed]) : undefined;
      if (closing()) return;
      if (why !== undefined) this.#log.error(`the web thread died: ${why}; it is started again`);
      if (performance.now() - began > SETTLED_MS) pauseMs = MIN_PAUSE_MS;
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (closing()) return;
      running = this.#restart();
    }
  }

  #restart(): Running | undefined {
    try {
      checkDescriptors("the web thread");
      return this.#start();
    } catch (error) {
      this.#log.error(`the web thread could not be started: ${messageOf(error)}; it is tried again`);
      return undefined;
    }
  }

  /** @throws SystemError if no descriptors are left. */
  #start(): Running {
    const sockets: number[] = [];
    leaveGoneDirectory();
    const netlink = openNetlink();
    const taken = new Int32Array(new SharedArrayBuffer(4));
    const giveBack = () => {
      if (Atomics.load(taken, 0) === 0) for (const fd of sockets) libc.close(fd);
    };
    try {
      for (const socket of this.#sockets) sockets.push(socket.duplicate());
    } catch (error) {
      libc.close(netlink);
      giveBack();
      throw error;
    }
    const { maxRequests, logFormat } = this.#options;
    const workerData: WebInput = {
      sockets, taken, netlink, webConfig: this.#webConfig, maxRequests, logFormat, state: this.#source.state(),
      drops: stderr.drops,
    };
    const worker = new Worker(
      new URL("../web/thread.js", import.meta.url),
      { workerData, name: "web", stderr: true, resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } },
    );
    this.#unseen = 0;
    this.#behind = false;
    createInterface(worker.stderr).on("line", (line) => { this.#log.warn({ thread: "web" }, line); });
    let cause: unknown;
    worker.once("error", (error) => { cause = error; });
    const ended = new Promise<string>((resolve) => {
      worker.once("exit", (status) => {
        libc.close(netlink);
        giveBack();
        if (this.#running?.worker === worker) this.#running = undefined;
        resolve(cause === undefined ? `it ended with status ${status}` : messageOf(cause));
      });
    });
    const serving = new Promise<boolean>((resolve, reject) => {
      worker.on("message", (message: FromWeb) => {
        if (message.kind === "serving") {
          resolve(message.secure);
        } else if (message.kind === "failed") {
          const { what, exitStatus, mend } = message;
          const failure = new Failure(what, exitStatus, mend === undefined ? {} : { mend });
          cause = failure;
          reject(failure);
        } else {
          this.#take(message);
        }
      });
      void ended.then((why) => { reject(new Failure(`the web thread died: ${why}`, EXIT.RUNTIME)); });
    });
    serving.catch(() => undefined);
    return this.#running = { worker, serving, ended };
  }

  #take(message: Exclude<FromWeb, { kind: "serving" | "failed" }>): void {
    switch (message.kind) {
      case "line":
        stderr.write(message.line);
        return;
      case "seen":
        this.#unseen--;
        if (!this.#behind) return;
        this.#behind = false;
        this.tell();
        return;
      case "reload":
        void this.#reload().then((outcome) => {
          this.#post({ kind: "reloaded", outcome, state: this.#source.state() });
        });
    }
  }

  async #reload(): Promise<ReloadOutcome> {
    try {
      const lines = await this.#source.reload();
      return lines ? { lines } : { refused: true };
    } catch (error) {
      return { wrong: messageOf(error) };
    }
  }

  #post(message: ToWeb): void {
    this.#running?.worker.postMessage(message);
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => { resolve(undefined); }, { once: true });
  });
}
