/**
 * A service thread: it runs what has the streams of all queues. It sleeps until a packet loop wakes it, and then takes
 * turns with whatever else its event loop has to do.
 */
import { parentPort, workerData } from "node:worker_threads";
import { messageOf } from "../base/failure.js";
import type { LogLevel } from "../base/log.js";
import { PrefixList } from "../prefix/list.js";
import * as libc from "../sys/libc.js";
import { ServiceCounts } from "../telemetry/servicecounts.js";
import { threadLog } from "./log.js";
import type { Counted, FromService, ServiceInput, ToService } from "./messages.js";
import { Datagrams, type Datagram } from "./datagrams.js";
import { Port, type Stream } from "./port.js";
import { PrefixIndex } from "./prefixindex.js";
import { load, type Taker } from "./services.js";
import { Socket } from "./socket.js";
import { Takers } from "./takers.js";

const BEAT_MS = 1000;

/** A service that is loaded, and its place among what is counted. */
interface Loaded {
  readonly taker: Taker;
  readonly place: number;
}

const input = workerData as ServiceInput;
const log = threadLog(input);
const counts = new ServiceCounts(input.counts);
/** By queue. */
const ports: Port[] = [];
const datagrams: Datagrams[] = [];
/** Services by id, as long as there may be connections to them. */
const services = new Map<string, Loaded>();
const takers = new Takers();
/** Ids of those that were prepared last, and of those that are in use. */
let prepared: readonly string[] = [];
let used: readonly string[] = [];
let prefixes = new PrefixIndex();

beat();

let turning = false;
const woken = new ArrayBuffer(8);
const wokenAddress = libc.addressOf(woken);
libc.onReadable(input.wakeFd, () => {
  libc.read(input.wakeFd, wokenAddress, woken.byteLength);
  turn();
});

parentPort?.on("message", (message: ToService) => {
  switch (message.kind) {
    case "queue": {
      const { queue, memory, wakeFd } = message;
      const wake = () => { libc.eventfd_write(wakeFd, 1); };
      ports[queue] = new Port(memory, input.thread, serve, wake);
      datagrams[queue] = new Datagrams(memory, input.thread, deliver, wake);
      turn();
      return;
    }
    case "prepare":
      void prepare(message.services).then((failures) => { post({ kind: "prepared", failures }); });
      return;
    case "use":
      use(message.prefixes, message.logLevel);
  }
});

/** Counts how late the event loop is, which is also the sign that it goes round. */
function beat(): void {
  let due = performance.now() + BEAT_MS;
  setInterval(() => {
    const now = performance.now();
    counts.beat(Math.max(0, now - due) / 1000);
    due = now + BEAT_MS;
  }, BEAT_MS).unref();
}

/** Loads what is not loaded yet. Returns a line for each service that cannot be. */
async function prepare(wanted: readonly Counted[]): Promise<string[]> {
  const failures: string[] = [];
  for (const { service, counted: place } of wanted) {
    try {
      const known = services.get(service.id);
      const taker = known?.taker ?? await load(service, { log, counts, place, prefixes: () => prefixes });
      services.set(service.id, { taker, place });
    } catch (error) {
      failures.push(`service ${service.name}: ${messageOf(error)}`);
    }
  }
  prepared = wanted.map(({ service: { id } }) => id);
  hold();
  return failures;
}

function use(list: SharedArrayBuffer, level: LogLevel): void {
  // Packet loops still have connections begin with the services of before, until they have the next tables.
  const kept = new Set([...prepared, ...used, ...ports.flatMap((port) => [...port.services])]);
  for (const id of services.keys()) if (!kept.has(id)) services.delete(id);
  used = prepared;
  hold();
  prefixes = new PrefixIndex(new PrefixList(list));
  log.level = level;
}

/** Has the takers closed of services that there are no more. */
function hold(): void {
  takers.use(Array.from(services.values(), ({ taker }) => taker));
}

/** Gives a connection to its service. If that could not be loaded when the thread was started again, it is reset. */
function serve(stream: Stream): Socket {
  const found = services.get(stream.service);
  const socket = new Socket(stream, found?.taker);
  if (!found) return socket.resetAndDestroy();
  const { taker, place } = found;
  counts.opened(place);
  takers.opened(taker);
  // Peers reset connections. That is for whoever wants to know, and ends nothing else.
  socket.on("error", ignore);
  socket.once("close", () => {
    counts.closed(place);
    takers.closed(taker);
  });
  taker.take(socket);
  return socket;
}

/** Gives a datagram to its service. One that could not be loaded, or is gone, takes none. */
function deliver(datagram: Datagram): void {
  services.get(datagram.service)?.taker.receive?.(datagram);
}

function ignore(): void {
  // The socket is destroyed.
}

function turn(): void {
  if (turning) return;
  turning = true;
  again();
}

/** Takes turns until there is no news, and then sleeps. */
function again(): void {
  let more = false;
  for (const port of ports) more = port.turn() || more;
  // After the port, which notices a crash of the packet loop.
  for (const each of datagrams) more = each.turn() || more;
  turning = more || !ports.every((port) => port.doze()) || datagrams.some(({ isNews }) => isNews);
  // The event loop's other work has its turn in between.
  if (turning) setImmediate(again);
}

function post(message: FromService): void {
  parentPort?.postMessage(message);
}
