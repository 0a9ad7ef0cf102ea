/**
 * The queues of a run: a worker for each, started one after the other, and what becomes of pongd when workers crash.
 */
import type { Logger } from "pino";
import { EXIT, Failure } from "../base/failure.js";
import type { MemoryOptions } from "../engine/memory.js";
import type { TunDevice } from "../tun/device.js";
import { Queue } from "./queue.js";
import type { Reachability } from "./reachability.js";
import type { StopRequest } from "./signals.js";
import type { RunOptions } from "../config/runoptions.js";

/** So many crashes of workers in so many ms end pongd. */
const MAX_CRASHES = 3;
const CRASHES_MS = 10_000;

export class Queues {
  /** Those that were started. */
  readonly all: Queue[] = [];
  /** When workers crashed, by performance.now(). */
  readonly #crashes: number[] = [];
  readonly #device: TunDevice;
  readonly #reachability: Reachability;
  readonly #log: Logger;

  constructor(device: TunDevice, reachability: Reachability, log: Logger) {
    this.#device = device;
    this.#reachability = reachability;
    this.#log = log;
    process.once("exit", this.#stop);
  }

  /**
   * Starts them, until a signal comes. Fulfilled when each worker that was started answers packets.
   * @throws Failure where a worker cannot have what was asked for.
   */
  async start({ engine, io, spin }: RunOptions, memory: MemoryOptions, stop: StopRequest): Promise<void> {
    // The directory that pongd was started in may go while it runs, and Node.js starts no thread in one that is gone.
    process.chdir("/");
    // One after the other: a thread tells its own descriptors by what was open before it (sys/descriptors.ts).
    for (const [index, fd] of this.#device.queues.entries()) {
      if (stop.signalled) return;
      const queue = new Queue({ index, fd, engine, io, spin, memory, crashed: this.#crashed, said: this.#said });
      this.all.push(queue);
      const { fallback } = await queue.running;
      this.#log.debug({ queue: index, engine, io: queue.io }, "queue running");
      if (fallback !== undefined && index === 0) {
        this.#log.info(
          { io: queue.io }, `io_uring cannot be used here, so packets cost two system calls each: ${fallback}`,
        );
      }
    }
  }

  /** Fulfilled when all have ended as asked. @throws Failure where one ended otherwise. */
  get ended(): Promise<unknown> {
    return Promise.all(this.all.map((queue) => queue.ended));
  }

  /** Fulfilled when every packet loop has come to its top since. */
  async atTop(): Promise<void> {
    await Promise.all(this.all.map((queue) => queue.atTop()));
  }

  async end(): Promise<void> {
    this.#stop();
    // Whoever waited for `ended` has heard of one that failed.
    await Promise.allSettled(this.all.map((queue) => queue.ended));
    process.off("exit", this.#stop);
  }

  /** A thread that waits in a system call would hold up an exit for ever, whatever the exit's reason. */
  readonly #stop = (): void => {
    for (const queue of this.all) queue.stop();
  };

  /** Says what the queue is to end with; undefined for its worker to be started again. */
  readonly #crashed = (queue: Queue, crash: Failure): Failure | undefined => {
    if (!this.#device.routing.restore()) return this.#reachability.gone;
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
