/**
 * Serves the streams and datagrams of all queues in this thread: it sleeps until a packet loop wakes it, and then takes
 * turns with whatever else the thread's event loop has to do. A service thread does that (thread.ts), and whoever uses
 * pongd as a library.
 */
import type { Logger } from "pino";
import { messageOf } from "../base/failure.js";
import type { LogLevel } from "../base/log.js";
import { PrefixList } from "../prefix/list.js";
import type { StreamService } from "../prefix/streams.js";
import * as libc from "../sys/libc.js";
import { onWoken } from "../sys/wakepipe.js";
import type { ServiceCounts } from "../telemetry/servicecounts.js";
import { apart } from "./apart.js";
import { Datagrams, type Datagram } from "./datagrams.js";
import type { Counted, FromService, ToService } from "./messages.js";
import { Port } from "./port.js";
import { PrefixIndex } from "./prefixindex.js";
import { remoteOf } from "./remote.js";
import { load, type Taker } from "./services.js";
import { Socket } from "./socket.js";
import type { Stream } from "./stream.js";
import { Takers } from "./takers.js";

const BEAT_MS = 1000;

export interface ServingOptions {
  /** Which of the service threads this is. */
  readonly thread: number;
  /** Read end of the pipe by which packet loops wake it (sys/wakepipe.ts). It is closed in the end. */
  readonly wakeFd: number;
  readonly counts: ServiceCounts;
  readonly log: Logger;
  readonly post: (message: FromService) => void;
  /** Returns the taker of a service that need not be loaded. */
  readonly own?: (service: StreamService) => Taker | undefined;
}

/** A service that is loaded, and its place among what is counted. */
interface Loaded {
  readonly taker: Taker;
  readonly place: number;
}

export class Serving {
  /** By queue. */
  readonly ports: Port[] = [];
  readonly #datagrams: Datagrams[] = [];
  readonly #options: ServingOptions;
  /** Services by id, as long as there may be connections to them. */
  readonly #services = new Map<string, Loaded>();
  readonly #takers = new Takers();
  /** Ids of those that were prepared, by request, and of those that are in use. */
  readonly #prepared = new Map<number, readonly string[]>();
  #used: readonly string[] = [];
  #prefixes = new PrefixIndex();
  #isTurning = false;
  #isOver = false;
  readonly #deafen: () => void;
  readonly #endBeat: () => void;

  constructor(options: ServingOptions) {
    this.#options = options;
    this.#deafen = onWoken(options.wakeFd, () => { this.#turn(); });
    this.#endBeat = this.#beat();
  }

  /** Takes up a message. */
  take(message: ToService): void {
    switch (message.kind) {
      case "queue": {
        const { queue, memory, wakeFd } = message;
        const wake = () => { if (!this.#isOver) libc.eventfd_write(wakeFd, 1); };
        const { thread } = this.#options;
        this.ports[queue] = new Port(memory, thread, this.#serve, wake);
        this.#datagrams[queue] = new Datagrams(memory, thread, this.#deliver, wake);
        this.#turn();
        return;
      }
      case "prepare":
        void this.#prepare(message.request, message.services).then((failures) => {
          this.#options.post({ kind: "prepared", request: message.request, failures });
        });
        return;
      case "use":
        this.#use(message.request, message.prefixes, message.logLevel);
    }
  }

  /** All packet loops have ended: what they have told is heard, and streams that are still there are lost. */
  end(): void {
    for (const port of this.ports) port.end();
    this.#isOver = true;
    this.#deafen();
    this.#endBeat();
    this.#services.clear();
    this.#hold();
  }

  /** Counts how late the event loop is, which is also the sign that it goes round. Returns what ends this. */
  #beat(): () => void {
    let due = performance.now() + BEAT_MS;
    const timer = setInterval(() => {
      const now = performance.now();
      this.#options.counts.beat(Math.max(0, now - due) / 1000);
      due = now + BEAT_MS;
    }, BEAT_MS).unref();
    return () => { clearInterval(timer); };
  }

  /** Loads what is not loaded yet. Returns a line for each service that cannot be. */
  async #prepare(request: number, wanted: readonly Counted[]): Promise<string[]> {
    const { log, counts, own } = this.#options;
    const failures: string[] = [];
    // What loads for long does so beside other requests.
    this.#prepared.set(request, wanted.map(({ service: { id } }) => id));
    for (const { service, counted: place } of wanted) {
      try {
        const known = this.#services.get(service.id);
        const taker = known?.taker ?? own?.(service)
          ?? await load(service, { log, counts, place, prefixes: () => this.#prefixes });
        this.#services.set(service.id, { taker, place });
      } catch (error) {
        failures.push(`service ${service.name}: ${messageOf(error)}`);
      }
    }
    this.#hold();
    return failures;
  }

  #use(request: number, list: SharedArrayBuffer, level: LogLevel): void {
    const used = this.#prepared.get(request) ?? [];
    // Requests are taken up in turn: what was asked for before, and is not in use, has failed.
    for (const earlier of this.#prepared.keys()) if (earlier < request) this.#prepared.delete(earlier);
    // Packet loops still have connections begin with the services of before, until they have the next tables.
    const kept = new Set(
      [...this.#prepared.values(), this.#used, ...this.ports.map(({ services }) => [...services])].flat(),
    );
    for (const id of this.#services.keys()) if (!kept.has(id)) this.#services.delete(id);
    this.#used = used;
    this.#hold();
    this.#prefixes = new PrefixIndex(new PrefixList(list));
    this.#options.log.level = level;
  }

  /** Has the takers closed of services that there are no more. */
  #hold(): void {
    this.#takers.use(Array.from(this.#services.values(), ({ taker }) => taker));
  }

  /** Gives a connection to its service. If that could not be loaded when the thread was started again, it is reset. */
  readonly #serve = (stream: Stream): Socket => {
    const { counts } = this.#options;
    const found = this.#services.get(stream.service);
    const socket = new Socket(stream, found?.taker);
    if (!found) return socket.resetAndDestroy();
    const { taker, place } = found;
    counts.opened(place);
    this.#takers.opened(taker);
    // Peers reset connections. That is for whoever wants to know, and ends nothing else.
    socket.on("error", ignore);
    socket.once("close", () => {
      counts.closed(place);
      this.#takers.closed(taker);
    });
    apart(() => { taker.take(socket); });
    return socket;
  };

  /** Gives a datagram to its service. One that could not be loaded, or is gone, takes none. */
  readonly #deliver = ({ service, ends, message, reply }: Datagram): void => {
    const taker = this.#services.get(service)?.taker;
    if (taker?.receive) apart(() => taker.receive?.(message, remoteOf(ends, this.#prefixes), reply));
  };

  #turn(): void {
    if (this.#isTurning || this.#isOver) return;
    this.#isTurning = true;
    this.#again(true);
  }

  /** Takes turns until there is no news, and then sleeps: not after the first one, which may have begun a lot. */
  readonly #again = (more: boolean): void => {
    if (this.#isOver) return;
    for (const port of this.ports) more = port.turn() || more;
    // After the port, which notices a crash of the packet loop.
    for (const each of this.#datagrams) more = each.turn() || more;
    this.#isTurning = more || !this.ports.every((port) => port.doze()) || this.#datagrams.some(({ isNews }) => isNews);
    // The event loop's other work has its turn in between.
    if (this.#isTurning) setImmediate(this.#again, false);
  };
}

function ignore(): void {
  // The socket is destroyed.
}
