/** Runs the queues: starts one worker after the other, and decides what happens when workers crash. */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { Counter } from "../../abi/counters.js";
import { Drain } from "../../abi/tcp.js";
import { leaveGoneDirectory } from "../base/directory.js";
import { EXIT, Failure } from "../base/failure.js";
import type { LinearMemory } from "../engine/memory.js";
import type { TunDevice } from "../tun/device.js";
import { mailFor } from "./mail.js";
import { Queue } from "./queue.js";
import type { Reachability } from "./reachability.js";
import type { Services } from "./services.js";
import type { StopRequest } from "./signals.js";
import type { RunOptions } from "../config/runoptions.js";

/** MAX_CRASHES crashes of workers within CRASHES_MS end pongd. */
const MAX_CRASHES = 3;
const CRASHES_MS = 10_000;
/** How often it is looked whether connections have ended, in ms, and how long resets of them may take. */
const LOOK_MS = 20;
const RESET_MS = 2000;

export class Queues {
  /** Queues that were started. */
  readonly all: Queue[] = [];
  /** Times of the workers' crashes, by performance.now(). */
  readonly #crashes: number[] = [];
  readonly #device: TunDevice;
  readonly #reachability: Reachability;
  readonly #services: Services;
  readonly #log: Logger;
  readonly #changed: () => void;

  /** `changed` is called when a worker was started again, and when its packet loop runs. */
  constructor(
    device: TunDevice, reachability: Reachability, services: Services, log: Logger, changed: () => void,
  ) {
    this.#services = services;
    this.#device = device;
    this.#reachability = reachability;
    this.#log = log;
    this.#changed = changed;
    process.once("exit", this.#stop);
  }

  /**
   * Starts the queues, and stops early if a signal comes. Packet loops sleep for `maxWaitMs` at most. Fulfilled when
   * each worker that was started answers packets.
   * @throws Failure if a worker cannot have the engine or I/O that was asked for.
   */
  async start(
    { engine, io, spin, precision }: RunOptions, memories: readonly LinearMemory[], stop: StopRequest,
    maxWaitMs?: number,
  ): Promise<void> {
    leaveGoneDirectory();
    const mail = memories.length > 1 ? mailFor(memories.length) : undefined;
    // One after the other: the first one says whether io_uring can be used here.
    for (const [index, fd] of this.#device.queues.entries()) {
      if (stop.signalled) return;
      const memory = memories[index];
      const queue = new Queue({
        index, fd, engine, io, spin, precision, mail, memory,
        crashed: this.#crashed, changed: this.#changed, said: this.#said,
        serviceFds: this.#services.wakeFds, maxWaitMs,
      });
      this.all.push(queue);
      this.#services.connect(queue);
      const { fallback } = await queue.running;
      this.#log.debug({ queue: index, engine, io: queue.io }, "queue running");
      if (fallback !== undefined && index === 0) {
        this.#log.info(
          { io: queue.io }, `io_uring cannot be used here, so packets cost two system calls each: ${fallback}`,
        );
      }
    }
  }

  /**
   * Fulfilled when all queues have ended as requested.
   * @throws Failure if one ended otherwise.
   */
  get ended(): Promise<unknown> {
    return Promise.all(this.all.map((queue) => queue.ended));
  }

  /** Fulfilled when every packet loop has come to its top after this call. */
  async atTop(): Promise<void> {
    await Promise.all(this.all.map((queue) => queue.atTop()));
  }

  /**
   * Ends all connections: each when it has sent what it has to send, and after `delayMs` the rest at once. New ones are
   * refused meanwhile. Fulfilled when none is left, or when the device is gone. `signals`: a signal ends this.
   */
  async drain(delayMs: number, signals: boolean): Promise<void> {
    // Nothing reaches the peers any more.
    if (!this.#device.exists) return;
    const count = this.#connections();
    if (count > 0 && delayMs > 0) {
      const connections = `${count} TCP connection${count === 1 ? "" : "s"}`;
      const hint = signals ? "; another signal ends pongd at once" : "";
      this.#log.info(`waiting up to ${delayMs / 1000} s for ${connections} to end${hint}`);
    }
    await this.#drain(Drain.close, delayMs);
    // Nothing depends on the peers any more: this takes a round for each thousand.
    await this.#drain(Drain.reset, RESET_MS);
  }

  async end(): Promise<void> {
    this.#stop();
    // A queue that failed has rejected `ended`, so it is not reported here.
    await Promise.allSettled(this.all.map((queue) => queue.ended));
    process.off("exit", this.#stop);
  }

  async #drain(how: Drain, mostMs: number): Promise<void> {
    if (this.#connections() === 0) return;
    for (const queue of this.all) queue.drain(how);
    const over = Promise.race([delay(mostMs), this.ended.catch(() => undefined)]).then(() => true);
    while (this.#connections() > 0 && !await Promise.race([delay(LOOK_MS, false), over]));
  }

  #connections(): number {
    return this.all.reduce((sum, queue) => sum + queue.counters[Counter.tcpConnections], 0);
  }

  /**
   * Stops all queues. A thread that waits in a system call would keep the process from exiting for ever, whatever the
   * reason for the exit.
   */
  readonly #stop = (): void => {
    for (const queue of this.all) queue.stop();
  };

  /** Returns the failure to end the queue with, or undefined to start its worker again. */
  readonly #crashed = (queue: Queue, crash: Failure): Failure | undefined => {
    if (!this.#device.exists) return this.#reachability.gone;
    const now = performance.now();
    const recent = this.#crashes.filter((then) => then > now - CRASHES_MS);
    this.#crashes.splice(0, this.#crashes.length, ...recent, now);
    if (this.#crashes.length === MAX_CRASHES) {
      const often = `workers crashed ${MAX_CRASHES} times in ${CRASHES_MS / 1000} s`;
      return new Failure(`${crash.message}; ${often}`, EXIT.RUNTIME, { cause: crash });
    }
    this.#log.error({ queue: queue.index }, `${crash.message}; it is started again`);
    return undefined;
  };

  readonly #said = (queue: Queue, line: string): void => {
    this.#log.warn({ queue: queue.index }, line);
  };
}
