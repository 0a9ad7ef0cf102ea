/**
 * The supervisor of the library, in a thread of its own: it runs what the daemon's main thread runs, for whoever has
 * opened pongd. The caller's thread serves, and may compute meanwhile.
 */
import { randomInt } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { createLoggerTo, onWarning } from "../base/log.js";
import { Content } from "../config/content.js";
import { flatten } from "../config/document.js";
import { effective, MAX_DRAWN_SEED } from "../config/merge.js";
import { ConfigObject } from "../config/object.js";
import { StopRequest } from "../daemon/signals.js";
import { run, type Control } from "../daemon/supervisor.js";
import type { PrefixList } from "../prefix/list.js";
import { Netlink } from "../tun/netlink.js";
import { expose } from "../web/exposition.js";
import { Mirror } from "../web/mirror.js";
import { UNUSED } from "./configuration.js";
import { failedOf, isClosed, PongdError, type Failed } from "./error.js";
import type { FromSupervisor, SupervisorInput, Taken, ToSupervisor } from "./messages.js";
import { servicesOf, withTaken } from "./ports.js";

const { configuration, wakeFd, counts } = workerData as SupervisorInput;
if (!parentPort) throw new Error("it is a thread of its own");
const port = parentPort;
const stop = new StopRequest([], () => undefined);
/** Seed of links where none is given: it stays for as long as this pongd runs. */
const drawnSeed = randomInt(1, MAX_DRAWN_SEED);
let control: Control | undefined;
let taken: readonly Taken[] = [];
/** Changes come one after the other. */
let changed: Promise<unknown> = Promise.resolve();

port.on("message", (message: ToSupervisor) => {
  switch (message.kind) {
    case "serve":
      answer(message.request, change((all) => [...all, message.taken]));
      return;
    case "refuse":
      answer(message.request, change((all) => all.filter(({ id }) => id !== message.id)));
      return;
    case "metrics":
      answer(message.request, metrics());
      return;
    case "close":
      stop.stop();
  }
});

void main().then(() => undefined, failureOf).then((failed) => {
  post({ kind: "ended", ...failed && { failed } });
  process.exit();
});

async function main(): Promise<void> {
  const content = contentOf([]);
  const { options } = content;
  const log = createLoggerTo(options.logLevel, "json", (line) => { post({ kind: "log", line }); });
  onWarning((message) => { log.warn(message); });
  await run(content, log, (started, running) => {
    control = running;
    const { device, mtu, queues, hostAddresses, examples, urls } = started;
    post({ kind: "running", facts: { device, mtu, queues, hostAddresses, addresses: examples, urls } });
  }, undefined, { caller: { port, wakeFd, counts }, stop });
}

/** Reads the configuration, with ports that the caller takes. @throws Failure, PongdError */
function contentOf(all: readonly Taken[], before?: PrefixList): Content {
  const source = new ConfigObject(withTaken(configuration, all));
  const given = flatten(source.document);
  const unused = UNUSED.filter((key) => given[key] !== undefined);
  if (unused.length > 0) {
    throw new Failure(unused.map((key) => `configuration.${key}: it has no use here; leave it out`), EXIT.CONFIG);
  }
  return new Content(effective({
    values: given.listen === undefined ? { listen: [] } : {}, names: {}, ignoreEcho: false, queueFds: undefined,
    services: servicesOf(all), drawnSeed, example: undefined,
  }, source), before);
}

/** Applies a change of the ports that the caller takes. */
function change(next: (all: readonly Taken[]) => readonly Taken[]): Promise<undefined> {
  const done = changed.then(async () => {
    if (!control || stop.signalled) throw isClosed();
    const all = next(taken);
    await control.change((before) => Promise.resolve({ configuration: contentOf(all, before), stays: [] }));
    taken = all;
    return undefined;
  });
  changed = done.catch(() => undefined);
  return done;
}

let mirror: Mirror | undefined;

/** Returns what /metrics would answer. */
async function metrics(): Promise<string> {
  if (!control) throw isClosed();
  const state = control.state();
  if (!mirror) mirror = new Mirror(state, new Netlink(), {}, () => undefined);
  else mirror.take(state);
  const sources = mirror.metrics();
  if (!sources) throw isClosed();
  const { pieces } = await expose(sources, { openMetrics: false, gzip: false });
  return Buffer.concat(pieces).toString();
}

function answer(request: number, result: Promise<string | undefined>): void {
  void result.then(
    (text) => { post({ kind: "answer", request, ...text !== undefined && { text } }); },
    (error: unknown) => { post({ kind: "answer", request, failed: failureOf(error) }); },
  );
}

function failureOf(error: unknown): Failed {
  if (error instanceof Failure) return failedOf(error);
  if (error instanceof PongdError) return { code: error.code, message: error.message, mend: undefined };
  if (stop.signalled) return { code: "ERR_PONGD_CLOSED", message: "pongd is closed", mend: undefined };
  return { code: "ERR_PONGD_RUNTIME", message: messageOf(error), mend: undefined };
}

function post(message: FromSupervisor): void {
  port.postMessage(message);
}
