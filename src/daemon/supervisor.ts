/**
 * The lifetimes: here, and only here, the device, the workers, the metrics server and the signals meet.
 *
 *  up:    HTTP (not ready) → device → addresses and routes → a worker a queue → ready; where privileges are to be dropped, an image
 *         of the process before this one has made the device, and this one finds it with its queues open
 *  down:  not ready → workers drain and end → device closed, and gone → HTTP closed
 *
 * A failure at any step, or of any part later, goes down the same way; a worker that crashes is started again, and a configuration
 * that is wrong changes nothing.
 */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { Mode } from "../../abi/control.js";
import { Counter } from "../../abi/counters.js";
import { word } from "../base/shell.js";
import { Directory } from "./served.js";
import type { RunOptions } from "../config/runoptions.js";
import type { EngineName } from "../engine/contract.js";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { Events } from "../web/events.js";
import { serve } from "../web/server.js";
import type { WebFile } from "../web/webconfig.js";
import type { IoName } from "../io/contract.js";
import { stderr } from "../base/log.js";
import { figuresOf, type Live } from "../telemetry/snapshot.js";
import { createRegistry, total, verdicts, type Verdicts } from "../telemetry/metrics.js";
import { serviceManager, type ServiceManager } from "../sys/notify.js";
import { FAMILIES, type Address, type Prefix, type Serving } from "../prefix/prefixes.js";
import { assertUnprivileged, isPrivileged, startWithoutPrivileges } from "../sys/privileges.js";
import { Queue } from "./queue.js";
import { Reach } from "./reachability.js";
import { Reloads } from "./reload.js";
import { StopRequest } from "./signals.js";
import { forgetInheritedSockets, inheritedSockets } from "../sys/activation.js";
import { forwardingLack } from "../sys/forwarding.js";
import { TunDevice } from "../tun/device.js";
import { IPV6_MIN_MTU } from "../sys/uapi.js";

/** So many crashes of workers in so many ms end pongd. */
const CRASHES = 3;
const CRASHES_MS = 10_000;
const SUMMARY_MS = 60_000;

/** What a reload reads. */
export interface Reread {
  readonly options: RunOptions;
  /** What it would have otherwise, but a reload does not change: a line each. */
  readonly stays: readonly string[];
}

/** What came up. */
export interface Started {
  readonly device: string;
  readonly premade: boolean;
  readonly mtu: number;
  readonly queues: number;
  readonly hostAddresses: readonly string[];
  readonly engine: EngineName;
  readonly io: IoName;
  /** Where it is served: `http://host:port`, or https, or `unix:PATH`. */
  readonly urls: readonly string[];
  /** An address of each family that answers ping, where there is one. */
  readonly examples: readonly string[];
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
export async function run(options: RunOptions, log: Logger, onRunning: (started: Started) => void, reread?: () => Reread): Promise<Summary> {
  // Before any signal is caught: one that this image caught would be lost with it.
  if (options.dropPrivileges && options.queueFds === undefined && isPrivileged()) handOver(options, log);
  const { engine, io, spin, reassembly, link } = options;
  const queues: Queue[] = [];
  let registry: Registry | undefined;
  let live: (() => Live) | undefined;
  let reach: Reach | undefined;
  let reloads: Reloads | undefined;
  // By the clock that nobody sets.
  let started = performance.now();

  // Without a configuration to read anew, a terminal that hangs up ends it.
  const stop = new StopRequest(reread ? ["SIGINT", "SIGTERM"] : ["SIGINT", "SIGTERM", "SIGHUP"]);
  const undo: (() => unknown)[] = [() => { stop.dispose(); }];
  const manager = serviceManager((why) => { log.debug(`the service manager is not told anything: ${why}`); });
  const asked = { early: false };
  const reload = () => {
    asked.early = reloads === undefined;
    // What was wrong has been logged.
    reloads?.request().catch(() => undefined);
  };
  // Until there is a registry, it starts; afterwards it stops.
  let stage: "starting" | "stopping" = "starting";
  const obstacle = () => registry ? reach?.obstacle : `pongd is ${stage}`;
  let told = "";
  /** Has the service manager say what /-/ready does. */
  const tell = (state: Readonly<Record<string, string>> = {}) => {
    const why = obstacle();
    const text = why === undefined ? `Ready: answers on ${reach?.device ?? options.device}` : `Not ready: ${why}`;
    if (text !== told || Object.keys(state).length > 0) manager.notify({ ...state, STATUS: text });
    told = text;
  };
  tell();
  if (reread) process.on("SIGHUP", reload);
  undo.push(() => process.off("SIGHUP", reload));
  try {
    const events = new Events(() => live?.());
    // What reads it is loaded where there is one.
    const web = options.webConfig === undefined ? undefined : await webFile(options.webConfig, log);
    const inherited = inheritedSockets();
    forgetInheritedSockets();
    const http = await serve([...inherited, ...options.listenGiven || inherited.length === 0 ? options.listen : []], {
      metrics: () => registry,
      obstacle,
      reload: () => reloads?.request(),
      events,
    }, { web, maxRequests: options.maxRequests, log });
    undo.push(() => http.close(), () => { events.close(); });

    const device = openDevice(options, log);
    undo.push(() => { device.close(); });
    const { mtu } = device;
    const reaching = reach = new Reach(device, log);
    undo.push(() => { reaching.close(); });

    const hostAddresses = FAMILIES.flatMap((family) => device.routing.addresses.find((own) => own.family === family) ?? []);
    // A pre-made device may have more; they are no more answered for, and ask as any other.
    const others = device.routing.addresses.filter((own) => !hostAddresses.includes(own)).map((own) => ({ ...own, length: 8 * own.bytes.length, text: `${own.text}/${8 * own.bytes.length}` }));
    const beside = (serving: Serving) => others.length === 0 ? serving : { ...serving, exceptions: [...serving.exceptions, ...others] };
    const directory = new Directory(beside(options.serving), hostAddresses, device.queues.length);
    const crashes: number[] = [];
    const crashed = (queue: Queue, crash: Failure) => {
      if (!device.routing.restore()) return reaching.gone;
      const now = performance.now();
      const recent = crashes.filter((then) => then > now - CRASHES_MS);
      crashes.splice(0, crashes.length, ...recent, now);
      if (crashes.length === CRASHES) return new Failure(`${crash.message}; workers crashed ${CRASHES} times in ${CRASHES_MS / 1000} s`, EXIT.RUNTIME, { cause: crash });
      log.error({ queue: queue.index }, `${crash.message}; it is started again`);
      return undefined;
    };
    const said = (queue: Queue, line: string) => { log.warn({ queue: queue.index }, line); };
    undo.push(() => stopAll(queues));
    // A thread that waits in a system call would hold up an exit for ever, whatever the exit's reason.
    const wake = () => { for (const queue of queues) queue.stop(); };
    process.once("exit", wake);
    undo.push(() => process.off("exit", wake));
    const memory = { mtu, reassembly, link, table: directory.table, reloadable: reread !== undefined, seed: randomBytes(4).readInt32LE() };
    // The directory that pongd was started in may go while it runs, and Node.js starts no thread in one that is gone.
    process.chdir("/");
    // One after the other: a thread tells its own descriptors by what was open before it (sys/descriptors.ts).
    for (const [index, fd] of device.queues.entries()) {
      if (stop.signalled) return summarize(queues, started);
      const queue = new Queue({ index, fd, engine, io, spin, memory, crashed, said });
      queues.push(queue);
      const { fallback } = await queue.running;
      log.debug({ queue: index, engine, io: queue.io }, "queue running");
      if (fallback !== undefined && index === 0) log.info({ io: queue.io }, `io_uring cannot be used here, so packets cost two system calls each: ${fallback}`);
    }
    const ended = Promise.all(queues.map((queue) => queue.ended));

    reloads = reread && new Reloads(async () => {
      const { options: next, stays } = reread();
      // What fails, fails before anything is changed. Routes of what is new come first, and those of what is gone go last.
      const { prefixes } = next.serving;
      checkMtu(device, prefixes);
      const fresh = prefixes.filter(({ family }) => directory.prefixes.every((served) => served.family !== family));
      const lines = [...stays, ...options.routes ? [...device.routing.addRoutes(prefixes), ...notForwarded(device, fresh)] : []];
      const { table, fresh: indices } = directory.change(beside(next.serving));
      await Promise.all(queues.map((queue) => queue.serve(table, indices)));
      directory.settle();
      if (options.routes) lines.push(...device.routing.keepRoutes(prefixes));
      if (!device.premade) lines.push(...hostsThatStay(hostAddresses, next.hostAddresses));
      log.level = next.logLevel;
      look();
      reaching.warn(lines);
      return lines;
    }, log, manager);
    registry = createRegistry(queues, directory, device, { reach: reaching, config: reloads, web, log: stderr });
    live = () => ({
      since: performance.timeOrigin + started, example: directory.examples.at(0), host: hostname(), device: { name: device.name, ...reaching.link },
      figures: figuresOf(queues, directory, device.txDropped(), reaching.answering),
    });

    // Called back from the event loop, where nothing catches what is thrown.
    const look = () => {
      try {
        reaching.look(look);
        tell();
      } catch (error) {
        stop.fail(error instanceof Failure ? error : new Failure(`device ${device.name}: ${messageOf(error)}`, EXIT.RUNTIME, { cause: error }));
      }
    };
    undo.push(device.watch((link) => {
      if (link) look();
      else reaching.soon(look);
    }));
    // What changed before the watch began.
    look();
    const summaries = setInterval(() => { log.debug(summarize(queues, started), "summary"); }, SUMMARY_MS).unref();
    undo.push(() => { clearInterval(summaries); });
    undo.push(feed(manager, queues));

    started = performance.now();
    if (options.queueFds) log.debug({ threads: assertUnprivileged() }, "no thread has any capability");
    tell({ READY: "1" });
    onRunning({
      device: device.name, premade: device.premade, mtu, queues: queues.length, hostAddresses: hostAddresses.map(({ text }) => text),
      engine, io: queues[0].io, urls: http.urls, examples: directory.examples,
    });
    if (asked.early) reload();
    // A worker may find its queue dead before the watch above hears why.
    await Promise.race([stop.requested, ended]).catch((error: unknown) => { throw device.routing.restore() ? error : reaching.gone; });
  } finally {
    registry = live = undefined;
    stage = "stopping";
    tell({ STOPPING: "1" });
    for (const step of undo.reverse()) await step();
  }
  return summarize(queues, started);
}

/** Addresses of the host that would be others at a new start: a line each. */
function hostsThatStay(now: readonly Address[], then: readonly Address[]): string[] {
  return FAMILIES.flatMap((family) => {
    const [own = "none", other = "none"] = [now, then].map((hosts) => hosts.find((host) => host.family === family)?.text);
    return own === other ? [] : [`the host's IPv${family} address stays ${own} until pongd is started again, when it will be ${other}`];
  });
}

async function webFile(name: string, log: Logger): Promise<WebFile> {
  const [{ WebFile }, { absolute }] = await Promise.all([import("../web/webconfig.js"), import("../config/reader.js")]);
  return new WebFile(absolute(name), log);
}

/** The device, configured. @throws Failure, and then it is closed. */
function openDevice(options: RunOptions, log: Logger): TunDevice {
  const { serving: { prefixes }, hostAddresses, hostAddressGiven, link, mtu, queues, queueFds, routes } = options;
  const device = new TunDevice({ name: options.device, mode: link ? Mode.tap : Mode.tun, mtu, queues, fds: queueFds });
  try {
    checkMtu(device, prefixes);
    for (const line of device.routing.configure(device.premade && !hostAddressGiven ? [] : hostAddresses, routes ? prefixes : [])) log.warn(line);
    // Where privileges were dropped, the image before this one has said it.
    if (routes && queueFds === undefined) for (const line of notForwarded(device, prefixes)) log.warn(line);
    log.debug({ device: device.name, premade: device.premade, mtu: device.mtu, queues: device.queues.length }, "device open");
    return device;
  } catch (error) {
    device.close();
    throw error;
  }
}

/** A line for each family whose packets can only come from other machines, as the host has no address on the device, and do not. */
function notForwarded({ name, routing }: TunDevice, prefixes: readonly Prefix[]): string[] {
  const families = FAMILIES.filter((family) => prefixes.some((prefix) => prefix.family === family) && routing.addresses.every((own) => own.family !== family));
  return families.flatMap((family) => {
    const lack = forwardingLack(family, name);
    return lack ? [`${lack.what}; ${lack.mend}`] : [];
  });
}

/** @throws Failure where the device is too narrow for a prefix's family. */
function checkMtu({ name, mtu }: TunDevice, prefixes: readonly Prefix[]): void {
  if (mtu >= IPV6_MIN_MTU || prefixes.every(({ family }) => family === 4)) return;
  throw new Failure(`device ${name} has MTU ${mtu}: IPv6 prefixes need at least ${IPV6_MIN_MTU}`, EXIT.RUNTIME, { mend: `sudo ip link set ${word(name)} mtu ${IPV6_MIN_MTU}, or give IPv4 prefixes alone` });
}

/** Makes the device, and has this process begin anew with it and without privileges. @throws Failure; it does not return. */
function handOver(options: RunOptions, log: Logger): never {
  const device = openDevice(options, log);
  try {
    return startWithoutPrivileges(device.queues, inheritedSockets().map(({ fd }) => fd));
  } finally {
    device.close();
  }
}

/** Tells the service manager that pongd lives, as often as it wants to hear it, for as long as every packet loop comes to its top; returns how to end that. */
function feed(manager: ServiceManager, queues: readonly Queue[]): () => void {
  if (manager.watchdogMs === undefined) return () => undefined;
  let asked = false;
  const timer = setInterval(() => {
    if (asked) return;
    asked = true;
    Promise.all(queues.map((queue) => queue.atTop())).then(() => {
      asked = false;
      manager.notify({ WATCHDOG: "1" });
    }, () => undefined);
  }, manager.watchdogMs / 3).unref();
  return () => { clearInterval(timer); };
}

async function stopAll(queues: readonly Queue[]): Promise<void> {
  for (const queue of queues) queue.stop();
  // One that failed has been heard of already.
  await Promise.allSettled(queues.map((queue) => queue.ended));
}

function summarize(queues: readonly Queue[], started: number): Summary {
  return { ...verdicts(queues), writeErrors: total(queues, Counter.writeErrors), seconds: (performance.now() - started) / 1000 };
}
