/**
 * The supervisor of a run: it starts the parts, one after the other, and ends them in reverse order.
 *
 *  up:    HTTP (not ready) → device → addresses and routes → service threads → one worker for each queue → ready
 *  down:  not ready → connections end → workers drain and end → service threads end → device closed → HTTP closed
 *
 * To drop privileges, the process makes the device, and then replaces itself by a new image without privileges. That
 * image goes up as above, and finds the device there and its queues open (sys/privileges.ts).
 *
 * A failure at any step, or of any part later, goes down the same way. A worker that crashes is started again
 * (queues.ts), and a configuration that is wrong changes nothing (reload.ts).
 */
import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { Counter } from "../../abi/counters.js";
import { IRTT_KEY_LEN } from "../../abi/irtt.js";
import { Service } from "../../abi/tcp.js";
import { Stopped } from "../base/pace.js";
import type { Configuration } from "../config/content.js";
import type { RunOptions } from "../config/runoptions.js";
import type { EngineName } from "../engine/contract.js";
import { LinearMemory } from "../engine/memory.js";
import { SECRETS } from "../engine/tcp.js";
import type { IoName } from "../io/contract.js";
import type { PrefixList } from "../prefix/list.js";
import { serviceManager } from "../sys/notify.js";
import { assertUnprivileged, isPrivileged } from "../sys/privileges.js";
import { errorEstimate } from "../sys/realtime.js";
import { total, verdicts, type Verdicts } from "../telemetry/verdicts.js";
import type { TunDevice } from "../tun/device.js";
import { addressesOf, handOver, openDevice, startOffload } from "./device.js";
import { Parts } from "./parts.js";
import type { Queue } from "./queue.js";
import { Queues } from "./queues.js";
import { Reachability } from "./reachability.js";
import { change, Reloads, type Reread } from "./reload.js";
import { Served } from "./served.js";
import { Services } from "./services.js";
import type { Caller } from "./servicethread.js";
import { StopRequest } from "./signals.js";
import { Status } from "./status.js";
import { feedWatchdog } from "./watchdog.js";
import type { WebState } from "../web/messages.js";
import { Web } from "./web.js";

const SUMMARY_MS = 60_000;
/** How often the kernel is asked how far the wall clock may be off. */
const ESTIMATE_MS = 16_000;
/**
 * Longest time in ms that a packet loop of a library sleeps. Whoever has opened pongd may be ended at any moment by
 * what tells nobody, like Worker.terminate(). Node.js then waits for each packet loop to come out of its system call.
 */
const MAX_WAIT_MS = 1000;

/** Facts about a run that has started, to report. */
export interface Started {
  readonly device: string;
  readonly premade: boolean;
  readonly mtu: number;
  readonly queues: number;
  readonly hostAddresses: readonly string[];
  readonly engine: EngineName;
  readonly io: IoName;
  /** True if the kernel cuts packets and computes checksums, as the queues begin. */
  readonly offload: boolean;
  /** URLs of the HTTP server: `http://host:port`, or https, or `unix:PATH`. */
  readonly urls: readonly string[];
  /** An address of each family that answers ping, where there is one. */
  readonly examples: readonly string[];
}

/** Who runs pongd where it is a library: its thread, and how it has pongd stop. */
export interface Owner {
  readonly caller: Caller;
  readonly stop: StopRequest;
}

/** What may be asked of a pongd that runs. */
export interface Control {
  /** Applies another configuration, which is read for the prefixes that are served now. @throws as change() does */
  change(read: (before: PrefixList) => Promise<Reread>): Promise<readonly string[]>;
  /** Its state, as the web thread is told it. */
  state(): WebState;
}

export interface Summary extends Verdicts {
  readonly writeErrors: number;
  readonly seconds: number;
}

/**
 * Runs until SIGINT or SIGTERM, and returns a summary. `onRunning` is called once packets are answered. `reread`
 * reads the configuration for a reload, where a prefix keeps the index that it had before; without it there are no
 * reloads. An `owner` has pongd stop in place of signals, and serves in place of service threads; then pongd has no web
 * thread unless the options say where to listen.
 * @throws Failure when something fails; by then all that was made is gone again
 */
export async function run(
  configuration: Configuration, log: Logger, onRunning: (started: Started, control: Control) => void,
  reread?: (before: PrefixList) => Promise<Reread>, owner?: Owner,
): Promise<Summary> {
  const { options } = configuration;
  // No signal may be caught before this: one that this image had caught would be lost when the next image replaces it.
  if (options.dropPrivileges && options.queueFds === undefined && isPrivileged()) await handOver(options, log);
  for (const line of options.exposed) log.warn(line);
  const parts = new Parts();
  // Without a configuration to read anew, SIGHUP from a terminal that is closed ends pongd.
  const signals: NodeJS.Signals[] = reread ? ["SIGINT", "SIGTERM"] : ["SIGINT", "SIGTERM", "SIGHUP"];
  const atOnce = () => { log.warn("ended at once, by a second signal"); };
  const stop = parts.add(owner?.stop ?? new StopRequest(signals, atOnce), (part) => { part.dispose(); });
  const manager = serviceManager((why) => { log.debug(`the service manager is not told anything: ${why}`); });
  const status = new Status(manager, log);
  if (reread) process.on("SIGHUP", status.hangUp);
  parts.add(status, ({ hangUp }) => process.off("SIGHUP", hangUp));
  let queues: readonly Queue[] = [];
  let since = performance.now();
  const summary = () => summarize(queues, since);
  try {
    const web = owner && options.listen.length === 0
      ? undefined
      : parts.add(await Web.start(options, status, log, stop.requested), (part) => part.close());
    status.changed = () => { web?.tell(); };

    const device = parts.add(await openDevice(options, log, stop.requested), (part) => { part.close(); });
    const { hosts, others } = addressesOf(device);
    const offload = startOffload(device, options, log);
    const reloadable = (reread ?? owner) !== undefined;
    const memories = memoriesFor(device, options, offload, others.length, reloadable);
    const { tables, examples, services } = await configuration.place(
      { hosts, others, memories: memories.map(({ memory }) => memory) },
    );
    await configuration.end();
    for (const [i, memory] of memories.entries()) {
      memory.use(tables[i]);
      // Where connections that are opened here begin, there is no frame to take it from.
      if (device.address.length > 0) memory.deviceMac = device.address;
    }
    const estimate = () => {
      const error = errorEstimate();
      for (const memory of memories) memory.errorEstimate = error;
    };
    estimate();
    parts.add(setInterval(estimate, ESTIMATE_MS).unref(), clearInterval);
    const served = new Served(options.serving.prefixes, examples, services);
    const looked = () => { status.tell(); };
    const reachability = new Reachability(device, log, looked, (failure) => { stop.fail(failure); });

    const threads = parts.add(
      new Services(options.tcp?.threads ?? 0, options.logFormat, log, owner?.caller), (part) => part.end(),
    );
    const useServices = await threads.prepare(options.streams, options.serving.prefixes, options.logLevel);
    useServices();
    const workers = parts.add(new Queues(device, reachability, threads, log, looked), async (part) => {
      await part.drain(options.shutdownDelayMs, owner === undefined);
      await part.end();
    });
    queues = workers.all;
    await workers.start(options, memories, stop, owner && MAX_WAIT_MS);
    if (stop.signalled) return summary();

    const { routes } = options;
    const running = { device, hosts, others, routes, served, queues: workers, threads, reachability, log };
    const reload = async (read: (before: PrefixList) => Promise<Reread>) =>
      change(await read(served.prefixes), running);
    const reloads = reread && new Reloads(() => reload(reread), log, manager);
    status.begin({ device, queues, served, threads, reachability, reloads });
    parts.add(await reachability.watch(), (end) => { end(); });
    parts.add(setInterval(() => { log.debug(summary(), "summary"); }, SUMMARY_MS).unref(), clearInterval);
    parts.add(feedWatchdog(manager, workers), (end) => { end(); });

    since = performance.now();
    if (options.queueFds) log.debug({ threads: assertUnprivileged() }, "no thread has any capability");
    status.ready();
    onRunning({
      device: device.name, premade: device.premade, mtu: device.mtu, queues: queues.length,
      hostAddresses: hosts.map(({ text }) => text), engine: options.engine, io: queues[0].io,
      offload: (offload ?? 0) !== 0, urls: web?.urls ?? [], examples: served.examples,
    }, {
      change: (read) => reload(read).finally(() => { status.tell(); }),
      state: () => status.state(),
    });
    status.catchUp();
    try {
      await Promise.race([stop.requested, workers.ended]);
    } catch (error) {
      throw reachability.explain(error);
    }
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    // Either a signal has ended the start, or a failure has, which this throws.
    await stop.requested;
  } finally {
    status.stop();
    await parts.end();
  }
  return summary();
}

/**
 * Makes the memory of each queue, without a table. `offload`: what startOffload() returned. `others`: addresses on the
 * device that are not answered.
 */
function memoriesFor(
  device: TunDevice, options: RunOptions, offload: number | undefined, others: number, reloadable: boolean,
): LinearMemory[] {
  const { reassembly, link, serving: { prefixes, exceptions }, tcp: limits, accepts, streams } = options;
  const { sessions, kept } = options;
  const blocks = prefixes.length + exceptions.length + others;
  const seed = randomBytes(4).readInt32LE();
  // A connection may come to any queue.
  const tcp = limits && (accepts || reloadable) ? { ...limits, secrets: randomBytes(SECRETS) } : undefined;
  // Only a file has services with other bytes than an id, and then there is room for any.
  const services = streams.map(({ name, id }) => ({ name, kind: Service.stream, bytes: Buffer.from(id, "hex") }));
  return device.queues.map((_, queue) =>
    LinearMemory.create({
      mtu: device.mtu, reassembly, link, blocks, reloadable, services, seed, sessions, kept, queue, tcp, offload,
      tokenKey: randomBytes(IRTT_KEY_LEN),
    }));
}

function summarize(queues: readonly Queue[], since: number): Summary {
  return {
    ...verdicts(queues), writeErrors: total(queues, Counter.writeErrors), seconds: (performance.now() - since) / 1000,
  };
}
