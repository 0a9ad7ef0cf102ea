/**
 * Tells the outside how pongd is: HTTP requests and the page when they ask, the service manager whenever it changes.
 */
import type { Registry } from "prom-client";
import type { ServiceManager } from "../sys/notify.js";
import type { Snapshot } from "../telemetry/snapshot.js";
import { Events } from "../web/events.js";
import type { Backend } from "../web/routes.js";
import type { Reachability } from "./reachability.js";
import type { Reloads } from "./reload.js";

/** What there is to tell of once packets are answered. */
export interface Up {
  readonly registry: Registry;
  readonly snapshot: () => Snapshot;
  readonly reachability: Reachability;
  /** Undefined where there is no configuration to read again. */
  readonly reloads: Reloads | undefined;
}

export class Status implements Backend {
  readonly events = new Events(() => this.#up?.snapshot());
  readonly #manager: ServiceManager;
  #up: Up | undefined;
  #stage: "starting" | "stopping" = "starting";
  /** Whether a reload was asked for before one could be done. */
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

  /** Answers a SIGHUP. One that comes too early is met by ready(). */
  readonly hangUp = (): void => {
    this.#reloadDue = this.#up === undefined;
    // The reload itself has logged what was wrong.
    this.reload()?.catch(() => undefined);
  };

  /** From now on there is something to tell of. */
  begin(up: Up): void {
    this.#up = up;
  }

  /** Packets are answered. */
  ready(): void {
    this.tell({ READY: "1" });
  }

  /** Reloads, if somebody asked for it while pongd started. */
  catchUp(): void {
    if (this.#reloadDue) this.hangUp();
  }

  stop(): void {
    this.#up = undefined;
    this.#stage = "stopping";
    this.tell({ STOPPING: "1" });
  }

  /** Has the service manager say what /-/ready does, if that has changed, and `state` in any case. */
  tell(state: Readonly<Record<string, string>> = {}): void {
    const obstacle = this.obstacle();
    const text = obstacle === undefined
      ? `Ready: answers on ${this.#up?.reachability.device}`
      : `Not ready: ${obstacle}`;
    if (text !== this.#told || Object.keys(state).length > 0) this.#manager.notify({ ...state, STATUS: text });
    this.#told = text;
  }
}
