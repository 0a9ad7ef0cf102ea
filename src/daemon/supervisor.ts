/**
 * The supervisor of a run: it starts the parts, one after the other, and ends them in reverse order.
 *
 *  up:    HTTP (not ready) → device → addresses and routes → one worker for each queue → ready
 *  down:  not ready → workers drain and end → device closed, and gone → HTTP closed
 *
 * To drop privileges, the process makes the device, and then replaces itself by a new image without privileges. That
 * image goes up as above, and finds the device there and its queues open (sys/privileges.ts).
 *
 * A failure at any step, or of any part later, goes down the same way. A worker that crashes is started again
 * (queues.ts), and a configuration that is wrong changes nothing (reload.ts).
 */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { Logger } from "pino";
import { Counter } from "../../abi/counters.js";
import { stderr } from "../base/log.js";
import type { Configuration } from "../config/content.js";
import type { RunOptions } from "../config/runoptions.js";
import type { EngineName } from "../engine/contract.js";
import { LinearMemory } from "../engine/memory.js";
import type { IoName } from "../io/contract.js";
import type { PrefixList } from "../prefix/list.js";
import { forgetInheritedSockets, inheritedSockets } from "../sys/activation.js";
import { serviceManager } from "../sys/notify.js";
import { assertUnprivileged, isPrivileged } from "../sys/privileges.js";
import { createRegistry, total, verdicts, type Verdicts } from "../telemetry/metrics.js";
import { figuresOf } from "../telemetry/snapshot.js";
import type { TunDevice } from "../tun/device.js";
import { serve, type HttpServer } from "../web/server.js";
import type { WebFile } from "../web/webconfig.js";
import { addressesOf, handOver, openDevice } from "./device.js";
import { Parts } from "./parts.js";
import type { Queue } from "./queue.js";
import { Queues } from "./queues.js";
import { Reachability } from "./reachability.js";
import { change, Reloads, type Reread } from "./reload.js";
import { Served } from "./served.js";
import { StopRequest } from "./signals.js";
import { Status } from "./status.js";
import { feedWatchdog } from "./watchdog.js";

const SUMMARY_MS = 60_000;

/** Facts about a run that has started, to report. */
export interface Started {
  readonly device: string;
  readonly premade: boolean;
  readonly mtu: number;
  readonly queues: number;
  readonly hostAddresses: readonly string[];
  readonly engine: EngineName;
  readonly io: IoName;
  /** URLs of the HTTP server: `http://host:port`, or https, or `unix:PATH`. */
  readonly urls: readonly string[];
  /** An address of each family that answers ping, where there is one. */
  readonly examples: readonly string[];
}

export interface Summary extends Verdicts {
  readonly writeErrors: number;
  readonly seconds: number;
}

/**
 * Runs until SIGINT or SIGTERM, and returns a summary. `onRunning` is called once packets are answered. `reread`
 * reads the configuration for a reload, where a prefix keeps the index that it had before; without it there are no
 * reloads.
 * @throws Failure when something fails; by then all that was made is gone again
 */
export async function run(
  configuration: Configuration, log: Logger, onRunning: (started: Started) => void,
  reread?: (before: PrefixList) => Promise<Reread>,
): Promise<Summary> {
  const { options } = configuration;
  // No signal may be caught before this: one that this image had caught would be lost when the next image replaces it.
  if (options.dropPrivileges && options.queueFds === undefined && isPrivileged()) handOver(options, log);
  const parts = new Parts();
  // Without a configuration to read anew, SIGHUP from a terminal that is closed ends pongd.
  const signals: NodeJS.Signals[] = reread ? ["SIGINT", "SIGTERM"] : ["SIGINT", "SIGTERM", "SIGHUP"];
  const stop = parts.add(new StopRequest(signals), (part) => { part.dispose(); });
  const manager = serviceManager((why) => { log.debug(`the service manager is not told anything: ${why}`); });
  const status = new Status(manager);
  if (reread) process.on("SIGHUP", status.hangUp);
  parts.add(status, ({ hangUp }) => process.off("SIGHUP", hangUp));
  let queues: readonly Queue[] = [];
  let since = performance.now();
  const summary = () => summarize(queues, since);
  try {
    const { http, web } = await startWeb(options, status, log);
    parts.add(http, () => http.close());
    parts.add(status.events, (events) => { events.close(); });

    const device = parts.add(openDevice(options, log), (part) => { part.close(); });
    const { hosts, others } = addressesOf(device);
    const memories = memoriesFor(device, options, others.length, reread !== undefined);
    const { tables, examples } = await configuration.place(
      { hosts, others, memories: memories.map(({ memory }) => memory) },
    );
    await configuration.end();
    for (const [i, memory] of memories.entries()) memory.use(tables[i]);
    const served = new Served(options.serving.prefixes, examples);
    const looked = () => { status.tell(); };
    const reachability = new Reachability(device, log, looked, (failure) => { stop.fail(failure); });

    const workers = parts.add(new Queues(device, reachability, log), (part) => part.end());
    queues = workers.all;
    await workers.start(options, memories, stop);
    if (stop.signalled) return summary();

    const running = { device, hosts, others, routes: options.routes, served, queues: workers, reachability, log };
    const reloads = reread && new Reloads(async () => change(await reread(served.prefixes), running), log, manager);
    status.begin({
      registry: createRegistry(queues, served, device, { reach: reachability, config: reloads, web, log: stderr }),
      snapshot: () => ({
        since: performance.timeOrigin + since,
        example: served.examples.at(0),
        host: hostname(),
        device: { name: device.name, ...reachability.link },
        figures: figuresOf(queues, served, device.txDropped(), reachability.answering),
      }),
      reachability,
      reloads,
    });
    parts.add(reachability.watch(), (end) => { end(); });
    parts.add(setInterval(() => { log.debug(summary(), "summary"); }, SUMMARY_MS).unref(), clearInterval);
    parts.add(feedWatchdog(manager, workers), (end) => { end(); });

    since = performance.now();
    if (options.queueFds) log.debug({ threads: assertUnprivileged() }, "no thread has any capability");
    status.ready();
    onRunning({
      device: device.name, premade: device.premade, mtu: device.mtu, queues: queues.length,
      hostAddresses: hosts.map(({ text }) => text), engine: options.engine, io: queues[0].io, urls: http.urls,
      examples: served.examples,
    });
    status.catchUp();
    try {
      await Promise.race([stop.requested, workers.ended]);
    } catch (error) {
      throw reachability.explain(error);
    }
  } finally {
    status.stop();
    await parts.end();
  }
  return summary();
}

/** Makes the memory of each queue, without a table. `others`: addresses on the device that are not answered. */
function memoriesFor(device: TunDevice, options: RunOptions, others: number, reloadable: boolean): LinearMemory[] {
  const { reassembly, link, serving: { prefixes, exceptions } } = options;
  const blocks = prefixes.length + exceptions.length + others;
  const seed = randomBytes(4).readInt32LE();
  return device.queues.map(() =>
    LinearMemory.create({ mtu: device.mtu, reassembly, link, blocks, reloadable, seed }));
}

/**
 * Opens the HTTP server at the sockets that systemd has opened. It also opens the options' addresses, if they were
 * asked for or there are no such sockets.
 * @throws Failure
 */
async function startWeb(
  options: RunOptions, status: Status, log: Logger,
): Promise<{ http: HttpServer; web: WebFile | undefined }> {
  const { listen, listenGiven, maxRequests, webConfig } = options;
  const web = webConfig === undefined ? undefined : await openWebConfig(webConfig, log);
  const inherited = inheritedSockets();
  forgetInheritedSockets();
  const places = [...inherited, ...listenGiven || inherited.length === 0 ? listen : []];
  return { http: await serve(places, status, { web, maxRequests, log }), web };
}

/** Opens the web configuration. The code that reads it is loaded only if there is one. */
async function openWebConfig(name: string, log: Logger): Promise<WebFile> {
  const [{ WebFile }, { absolute }] = await Promise.all([import("../web/webconfig.js"), import("../config/bytes.js")]);
  return new WebFile(absolute(name), log);
}

function summarize(queues: readonly Queue[], since: number): Summary {
  return {
    ...verdicts(queues), writeErrors: total(queues, Counter.writeErrors), seconds: (performance.now() - since) / 1000,
  };
}
