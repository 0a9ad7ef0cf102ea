/**
 * The lifetimes: here, and only here, the device, the workers, the metrics server and the signals meet.
 *
 *  up:    HTTP (not ready) → device → addresses and routes → a worker a queue → ready
 *  down:  not ready → workers drain and end → device closed, and gone → HTTP closed
 *
 * A failure at any step, or of any part later, goes down the same way; a worker that crashes is started again, and a configuration
 * that is wrong changes nothing.
 */
import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { Counter, Mode } from "./abi.js";
import { Directory } from "./directory.js";
import type { EngineName } from "./engine/engine.js";
import type { Link } from "./engine/link.js";
import { exampleOf } from "./engine/table.js";
import { EXIT, Failure, messageOf } from "./failure.js";
import { serve, type Endpoint } from "./http.js";
import type { IoChoice, IoName } from "./io/io.js";
import type { LogFormat, LogLevel } from "./log.js";
import { createRegistry, total, verdicts, type Verdicts } from "./metrics.js";
import type { Address, Serving } from "./prefixes.js";
import { Queue } from "./queue.js";
import { Reach } from "./reach.js";
import { Reloads } from "./reload.js";
import { StopRequest } from "./signals.js";
import { TunDevice } from "./tun/device.js";

/** So many crashes of workers in so many ms end pongd. */
const CRASHES = 3;
const CRASHES_MS = 10_000;
const SUMMARY_MS = 60_000;

export interface RunOptions {
  readonly serving: Serving;
  readonly device: string;
  /** Of a TAP device; without one it is a TUN device. */
  readonly link?: Link | undefined;
  /** Whether to route the prefixes to the device; yes unless told otherwise. */
  readonly routes: boolean;
  /** Bytes; undefined for 1500, or what a device that is there already has. */
  readonly mtu: number | undefined;
  /** `auto`: one for each CPU. */
  readonly queues: number | "auto";
  /** The host's own addresses on the device, at most one a family; without one, only routes are made. */
  readonly hostAddresses: readonly Address[];
  readonly engine: EngineName;
  readonly io: IoChoice;
  /** Rounds of the packet loop that may come up empty before it sleeps. */
  readonly spin: number;
  /** Datagrams that may be in reassembly at a time, for each queue. */
  readonly reassembly: number;
  readonly listen: Endpoint;
  /** Whether to give up all privileges once the device is configured. */
  readonly dropPrivileges: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Queues that are open already: descriptors handed over by execve(2). */
  readonly queueFds: readonly number[] | undefined;
}

/** What came up. */
export interface Started {
  readonly device: string;
  readonly engine: EngineName;
  readonly io: IoName;
  readonly url: string;
  /** An address that is answered, if there is one. */
  readonly example: string | undefined;
}

export interface Summary extends Verdicts {
  readonly writeErrors: number;
  readonly seconds: number;
}

/**
 * Runs until SIGINT or SIGTERM, and returns what was answered. `onRunning` is called once packets are answered. `reread`: the options
 * as they are to be from now on, for a reload; without it there is none.
 * @throws Failure when something fails; by then all that was made is gone again.
 */
export async function run(options: RunOptions, log: Logger, onRunning: (started: Started) => void, reread?: () => RunOptions): Promise<Summary> {
  const { hostAddresses, engine, io, spin, reassembly, mtu = 1500, link, routes } = options;
  const queues: Queue[] = [];
  let registry: Registry | undefined;
  let reach: Reach | undefined;
  let started = Date.now();

  const stop = new StopRequest();
  const undo: (() => unknown)[] = [() => { stop.dispose(); }];
  try {
    const http = await serve(options.listen, {
      metrics: () => registry,
      ready: () => registry !== undefined && reach?.answering === true,
      reload: () => reloads?.request(),
    });
    undo.push(() => http.close());

    const device = new TunDevice({ name: options.device, mode: link ? Mode.tap : Mode.tun, mtu, queues: options.queues === "auto" ? availableParallelism() : options.queues });
    undo.push(() => { device.close(); });
    for (const exception of device.configure(hostAddresses, routes ? options.serving.prefixes : [])) log.warn(exception);
    log.debug({ device: device.name, mtu, queues: device.queues.length }, "device made");
    const reaching = reach = new Reach(device, log);

    const directory = new Directory(options.serving, hostAddresses, device.queues.length);
    const crashes: number[] = [];
    const restart = (queue: Queue, crash: Failure) => {
      crashes.push(Date.now());
      if (!device.restore() || (crashes.length === CRASHES && crashes[0] > Date.now() - CRASHES_MS)) return false;
      if (crashes.length === CRASHES) crashes.shift();
      log.error({ queue: queue.index }, `${crash.message}; it is started again`);
      return true;
    };
    undo.push(() => stopAll(queues));
    // A thread that waits in a system call would hold up an exit for ever, whatever the exit's reason.
    const wake = () => { for (const queue of queues) queue.stop(); };
    process.once("exit", wake);
    undo.push(() => process.off("exit", wake));
    const memory = { mtu, reassembly, link, table: directory.table, reloadable: reread !== undefined, seed: randomBytes(4).readInt32LE() };
    // One after the other: a thread tells its own descriptors by what was open before it (io/descriptors.ts).
    for (const [index, fd] of device.queues.entries()) {
      if (stop.signalled) return summarize(queues, started);
      const queue = new Queue({ index, fd, engine, io, spin, memory, restart });
      queues.push(queue);
      const { fallback } = await queue.running;
      log.debug({ queue: index, engine, io: queue.io }, "queue running");
      if (fallback !== undefined && index === 0) log.info({ io: queue.io }, `io_uring cannot be used here, so packets cost two system calls each: ${fallback}`);
    }
    const ended = Promise.all(queues.map((queue) => queue.ended));

    const reloads = reread && new Reloads(async () => {
      const next = reread();
      for (const line of fixed(options, next)) log.warn(line);
      const { table, fresh } = directory.change(next.serving);
      await Promise.all(queues.map((queue) => queue.serve(table, fresh)));
      directory.settle();
      log.level = next.logLevel;
    }, log);
    registry = createRegistry(queues, directory, reloads);
    if (reloads) {
      // What was wrong has been logged.
      const reload = () => { reloads.request().catch(() => undefined); };
      process.on("SIGHUP", reload);
      undo.push(() => process.off("SIGHUP", reload));
    }

    // Called back from the event loop, where nothing catches what is thrown.
    const look = () => {
      try {
        reaching.look();
      } catch (error) {
        stop.fail(error instanceof Failure ? error : new Failure(`device ${device.name}: ${messageOf(error)}`, EXIT.RUNTIME, { cause: error }));
      }
    };
    undo.push(device.watch(look));
    // What changed before the watch began.
    look();
    const summaries = setInterval(() => { log.debug(summarize(queues, started), "summary"); }, SUMMARY_MS).unref();
    undo.push(() => { clearInterval(summaries); });

    started = Date.now();
    onRunning({ device: device.name, engine, io: queues[0].io, url: http.url, example: exampleOf(directory.prefixes, directory.table) });
    // A worker may find its queue dead before the watch above hears why.
    await Promise.race([stop.requested, ended]).catch((error: unknown) => { throw device.restore() ? error : reaching.gone; });
  } finally {
    registry = undefined;
    for (const step of undo.reverse()) await step();
  }
  return summarize(queues, started);
}

/** What a reload does not change, where the configuration would have it: a line each. */
function fixed(options: RunOptions, next: RunOptions): string[] {
  return Object.entries(FIXED).flatMap(([what, of]) => {
    const [now, then] = [of(options), of(next)];
    return now === then ? [] : [`${what} is ${now} until pongd is started again; the configuration says ${then}`];
  });
}

const FIXED: Readonly<Record<string, (options: RunOptions) => string>> = {
  "the device's name": ({ device }) => device,
  "the device's mode": ({ link }) => link ? "tap" : "tun",
  "the device's MTU": ({ mtu }) => String(mtu),
  "the number of queues": ({ queues }) => String(queues),
  "the host's address": ({ hostAddresses }) => hostAddresses.map(({ text }) => text).join(", ") || "none",
  "the engine": ({ engine }) => engine,
  "the I/O backend": ({ io }) => io,
  spin: ({ spin }) => String(spin),
  reassembly: ({ reassembly }) => String(reassembly),
  "the address for metrics": ({ listen: { host = "", port } }) => `${host}:${port}`,
};

async function stopAll(queues: readonly Queue[]): Promise<void> {
  for (const queue of queues) queue.stop();
  // One that failed has been heard of already.
  await Promise.allSettled(queues.map((queue) => queue.ended));
}

function summarize(queues: readonly Queue[], started: number): Summary {
  return { ...verdicts(queues), writeErrors: total(queues, Counter.writeErrors), seconds: (Date.now() - started) / 1000 };
}
