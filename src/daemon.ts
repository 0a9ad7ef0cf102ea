/**
 * The lifetimes: here, and only here, the device, the workers, the metrics server and the signals meet.
 *
 *  up:    HTTP (not ready) → device → addresses and routes → a worker a queue → ready
 *  down:  not ready → workers drain and end → device closed, and gone → HTTP closed
 *
 * A failure at any step, or of any part later, goes down the same way.
 */
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { Counter, Mode } from "./abi.js";
import type { EngineName } from "./engine/engine.js";
import type { Link } from "./engine/link.js";
import type { Policy } from "./engine/policy.js";
import { EXIT, Failure, messageOf } from "./failure.js";
import { serve, type Endpoint } from "./http.js";
import type { IoChoice, IoName } from "./io/io.js";
import { createRegistry, total, verdicts, type Verdicts } from "./metrics.js";
import { exampleOf, trieOf, type Address, type Prefix } from "./prefixes.js";
import { Queue } from "./queue.js";
import { TunDevice } from "./tun/device.js";
import { IPV6_MIN_MTU } from "./tun/uapi.js";

export interface RunOptions {
  readonly prefixes: readonly Prefix[];
  /** Cut out of them. */
  readonly exceptions: readonly Prefix[];
  readonly device: string;
  /** Of a TAP device; without one it is a TUN device. */
  readonly link?: Link | undefined;
  /** Whether to route the prefixes to the device; yes unless told otherwise. */
  readonly routes?: boolean;
  /** Bytes. */
  readonly mtu: number;
  readonly queues: number;
  /** The host's own addresses on the device, at most one a family; without one, only routes are made. */
  readonly hostAddresses: readonly Address[];
  readonly engine: EngineName;
  readonly io: IoChoice;
  /** Rounds of the packet loop that may come up empty before it sleeps. */
  readonly spin: number;
  readonly policy: Policy;
  readonly listen: Endpoint;
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
 * Runs until SIGINT or SIGTERM, and returns what was answered. `onRunning` is called once packets are answered.
 * @throws Failure when something fails; by then all that was made is gone again.
 */
export async function run(options: RunOptions, log: Logger, onRunning: (started: Started) => void): Promise<Summary> {
  const { prefixes, exceptions, hostAddresses, engine, io, spin, policy, mtu, link, routes = true } = options;
  const queues: Queue[] = [];
  let registry: Registry | undefined;
  let answering = false;
  let started = Date.now();

  const stop = new StopRequest();
  const undo: (() => unknown)[] = [() => { stop.dispose(); }];
  try {
    const http = await serve(options.listen, { metrics: () => registry, ready: () => registry !== undefined && answering });
    undo.push(() => http.close());

    const device = new TunDevice({ name: options.device, mode: link ? Mode.tap : Mode.tun, mtu, queues: options.queues });
    undo.push(() => { device.close(); });
    for (const exception of device.configure(hostAddresses, routes ? prefixes : [])) log.warn(exception);
    log.debug({ device: device.name, mtu, queues: device.queues.length }, "device made");

    const trie = trieOf(prefixes, exceptions, hostAddresses);
    undo.push(() => stopAll(queues));
    // A thread that waits in a system call would hold up an exit for ever, whatever the exit's reason.
    const wake = () => { for (const queue of queues) queue.stop(); };
    process.once("exit", wake);
    undo.push(() => process.off("exit", wake));
    // One after the other: a thread tells its own descriptors by what was open before it (io/descriptors.ts).
    for (const [index, fd] of device.queues.entries()) {
      if (stop.signalled) return summarize(queues, started);
      const queue = new Queue({ index, fd, mtu, engine, io, spin, trie, policy, link });
      queues.push(queue);
      const { fallback } = await queue.running;
      log.debug({ queue: index, engine, io: queue.io }, "queue running");
      if (fallback !== undefined && index === 0) log.info({ io: queue.io }, `io_uring cannot be used here, so packets cost two system calls each: ${fallback}`);
    }
    const ended = Promise.all(queues.map((queue) => queue.ended));
    registry = createRegistry(queues, prefixes);

    const gone = new Failure(`device ${device.name} was deleted while pongd ran; start pongd again to make it anew`, EXIT.RUNTIME);
    let up = true;
    let refused = "";
    const look = () => {
      const link = device.restore();
      if (!link) {
        stop.fail(gone);
        return;
      }
      for (const [family, why] of link.refused) {
        const mend = family === 6 && link.mtu < IPV6_MIN_MTU ? `the device's MTU is ${link.mtu}, and has to be ${IPV6_MIN_MTU}` : why;
        if (mend !== refused) log.warn({ device: device.name }, `nothing is answered by IPv${family}: ${mend}`);
        refused = mend;
      }
      if (link.refused.size === 0 && refused !== "") {
        log.warn({ device: device.name }, "what was missing is answered again");
        refused = "";
      }
      if (link.up !== up) log.warn({ device: device.name }, link.up ? "the link is up again" : "the link was set down: nothing is answered until it is up");
      if (link.mtu > mtu) log.warn({ device: device.name, mtu: link.mtu }, `the device's MTU was raised: packets above ${mtu} bytes are dropped; start pongd with --mtu ${link.mtu}`);
      for (const { text } of link.lost) log.warn(`prefix ${text} is routed elsewhere now: nothing is answered there; see: ip route show table all ${text}`);
      up = link.up;
      answering = link.up && link.lost.length === 0 && link.refused.size === 0;
    };
    // Called back from the event loop, where nothing catches what is thrown.
    undo.push(device.watch(() => {
      try {
        look();
      } catch (error) {
        stop.fail(new Failure(`device ${device.name}: ${messageOf(error)}`, EXIT.RUNTIME, { cause: error }));
      }
    }));
    // What changed before the watch began.
    look();

    started = Date.now();
    onRunning({ device: device.name, engine, io: queues[0].io, url: http.url, example: exampleOf(prefixes, trie) });
    // A worker may find its queue dead before the watch above hears why.
    await Promise.race([stop.requested, ended]).catch((error: unknown) => { throw device.restore() ? error : gone; });
  } finally {
    registry = undefined;
    for (const step of undo.reverse()) await step();
  }
  return summarize(queues, started);
}

async function stopAll(queues: readonly Queue[]): Promise<void> {
  for (const queue of queues) queue.stop();
  // One that failed has been heard of already.
  await Promise.allSettled(queues.map((queue) => queue.ended));
}

function summarize(queues: readonly Queue[], started: number): Summary {
  return { ...verdicts(queues), writeErrors: total(queues, Counter.writeErrors), seconds: (Date.now() - started) / 1000 };
}

/** The first of SIGINT, SIGTERM and a failure. A later second signal ends the process at once; the kernel then removes the device. */
class StopRequest {
  readonly requested: Promise<void>;
  signalled = false;
  fail: (failure: Failure) => void = () => undefined;
  readonly #signals: NodeJS.Signals[] = ["SIGINT", "SIGTERM"];
  readonly #onSignal: () => void;

  constructor() {
    let signalledAt = 0;
    let stop = (): void => undefined;
    this.requested = new Promise((resolve, reject) => {
      stop = resolve;
      this.fail = reject;
    });
    // A failure before anybody waits is still there when somebody does.
    this.requested.catch(() => undefined);
    this.#onSignal = () => {
      // A terminal's Ctrl-C may come twice, by way of npm; a person's second one comes later, and means at once.
      if (this.signalled && Date.now() - signalledAt > 500) process.exit(EXIT.RUNTIME);
      if (!this.signalled) signalledAt = Date.now();
      this.signalled = true;
      stop();
    };
    for (const signal of this.#signals) process.on(signal, this.#onSignal);
  }

  dispose(): void {
    for (const signal of this.#signals) process.off(signal, this.#onSignal);
  }
}
