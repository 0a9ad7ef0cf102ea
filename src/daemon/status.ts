/** Reports pongd's state to the web thread and to the service manager, whenever it changes. */
import type { Logger } from "pino";
import type { LogLevel } from "../base/log.js";
import type { ServiceManager } from "../sys/notify.js";
import type { Reloaded } from "../telemetry/metrics.js";
import type { TunDevice } from "../tun/device.js";
import type { UpState, WebState } from "../web/messages.js";
import type { Queue } from "./queue.js";
import type { Reachability } from "./reachability.js";
import type { Reloads } from "./reload.js";
import type { Served } from "./served.js";
import type { Services } from "./services.js";

/** Sources of the state once packets are answered. */
export interface Up {
  readonly device: TunDevice;
  readonly queues: readonly Queue[];
  readonly served: Served;
  readonly threads: Services;
  readonly reachability: Reachability;
  /** Undefined if there is no configuration to read again. */
  readonly reloads: Reloads | undefined;
}

export class Status {
  /** Called when the state has changed. */
  changed: () => void = () => undefined;
  readonly #manager: ServiceManager;
  readonly #log: Logger;
  #up: Up | undefined;
  #since = { since: 0, sinceNs: 0n };
  #stage: "starting" | "stopping" = "starting";
  /** True if a SIGHUP came before a reload was possible. */
  #reloadDue = false;
  #told = "";

  constructor(manager: ServiceManager, log: Logger) {
    this.#manager = manager;
    this.#log = log;
    this.tell();
  }

  /** The state as the web thread is told it. */
  state(): WebState {
    return {
      obstacle: this.#obstacle(), logLevel: this.#log.level as LogLevel, up: this.#up && this.#upState(this.#up),
    };
  }

  /**
   * Requests a reload; undefined if there is none to request. Fulfilled as Reloads.request() is.
   * @throws as Reloads.request() does
   */
  reload(): Promise<readonly string[]> | undefined {
    // The outcome is a part of the state.
    return this.#up?.reloads?.request().finally(() => { this.tell(); });
  }

  /** Reloads on SIGHUP. If it comes too early, catchUp() reloads. */
  readonly hangUp = (): void => {
    this.#reloadDue = this.#up === undefined;
    // The reload itself has logged what was wrong.
    this.reload()?.catch(() => undefined);
  };

  /** Reports from `up` from now on. The first look at what can be reached has to follow, which calls tell(). */
  begin(up: Up): void {
    this.#up = up;
    this.#since = { since: Date.now(), sinceNs: process.hrtime.bigint() };
  }

  /** Tells the service manager that packets are answered. */
  ready(): void {
    this.tell({ READY: "1" });
  }

  /** Reloads if a SIGHUP came while pongd started. */
  catchUp(): void {
    if (this.#reloadDue) this.hangUp();
  }

  stop(): void {
    this.#up = undefined;
    this.#stage = "stopping";
    this.tell({ STOPPING: "1" });
  }

  /**
   * Tells the web thread the state, and the service manager what /-/ready says, if that has changed or if there is a
   * `state` to send along.
   */
  tell(state: Readonly<Record<string, string>> = {}): void {
    this.changed();
    const obstacle = this.#obstacle();
    const text = obstacle === undefined
      ? `Ready: answers on ${this.#up?.reachability.device}`
      : `Not ready: ${obstacle}`;
    if (text !== this.#told || Object.keys(state).length > 0) this.#manager.notify({ ...state, STATUS: text });
    this.#told = text;
  }

  #obstacle(): string | undefined {
    return this.#up ? this.#up.reachability.obstacle : `pongd is ${this.#stage}`;
  }

  #upState({ device, queues, served, threads, reachability, reloads }: Up): UpState {
    return {
      ...this.#since,
      example: served.examples.at(0),
      device: { name: device.name, ...reachability.link },
      overruns: device.overruns,
      queues: queues.map(({ index, engine, io, restarts, memory, shown }) => {
        const accepting = served.services.at(index) ?? [];
        return { index, engine, io, restarts, memory: memory.memory, counters: shown.shared, accepting };
      }),
      prefixes: served.prefixes.buffer,
      services: threads.counted,
      reloadable: reloads !== undefined,
      reloaded: this.#reloaded(reloads),
    };
  }

  /** The start counts as a reload. */
  #reloaded(reloads: Reloads | undefined): Reloaded {
    const { successful, succeededAt } = reloads ?? { successful: true, succeededAt: this.#since.since / 1000 };
    return { successful, succeededAt };
  }
}
