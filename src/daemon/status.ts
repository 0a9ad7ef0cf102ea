/**
 * Reports pongd's state: to HTTP requests and the page when they ask, and to the service manager whenever it changes.
 */
import type { Registry } from "prom-client";
import type { ServiceManager } from "../sys/notify.js";
import type { Snapshot } from "../telemetry/snapshot.js";
import { Events } from "../web/events.js";
import type { Backend } from "../web/routes.js";
import type { Reachability } from "./reachability.js";
import type { Reloads } from "./reload.js";

/** Sources of the state once packets are answered. */
export interface Up {
  readonly registry: Registry;
  readonly snapshot: () => Snapshot;
  readonly reachability: Reachability;
  /** Undefined if there is no configuration to read again. */
  readonly reloads: Reloads | undefined;
}

export class Status implements Backend {
  readonly events = new Events(() => this.#up?.snapshot());
  readonly #manager: ServiceManager;
  #up: Up | undefined;
  #stage: "starting" | "stopping" = "starting";
  /** True if a SIGHUP came before a reload was possible. */
  #reloadDue = false;
  #told = "";

  constructor(manager: ServiceManager) {
    this.#manager = manager;
    this.tell();
  }

  metrics(): Registry | undefined {
    return this.#up?.registry;
  }

  obstacle(): string | undefined {
    return this.#up ? this.#up.reachability.obstacle : `pongd is ${this.#stage}`;
  }

  reload(): Promise<readonly string[]> | undefined {
    return this.#up?.reloads?.request();
  }

  /** Reloads on SIGHUP. If it comes too early, catchUp() reloads. */
  readonly hangUp = (): void => {
    this.#reloadDue = this.#up === undefined;
    // The reload itself has logged what was wrong.
    this.reload()?.catch(() => undefined);
  };

  /** Reports from `up` from now on. */
  begin(up: Up): void {
    this.#up = up;
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

  /** Tells the service manager what /-/ready says, if that has changed or if there is a `state` to send along. */
  tell(state: Readonly<Record<string, string>> = {}): void {
    const obstacle = this.obstacle();
    const text = obstacle === undefined
      ? `Ready: answers on ${this.#up?.reachability.device}`
      : `Not ready: ${obstacle}`;
    if (text !== this.#told || Object.keys(state).length > 0) this.#manager.notify({ ...state, STATUS: text });
    this.#told = text;
  }
}
