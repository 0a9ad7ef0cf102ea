/** pongd as its user sees it: an object in the thread that serves. The rest runs in threads of its own. */
import { addAbortSignal } from "node:stream";
import { Worker } from "node:worker_threads";
import { STOP } from "../../abi/control.js";
import { createLoggerTo } from "../base/log.js";
import type { FromService, ToService } from "../net/messages.js";
import type { Reply } from "../net/datagrams.js";
import type { Remote } from "../net/remote.js";
import { Serving } from "../net/serving.js";
import type { Taker } from "../net/services.js";
import { Socket } from "../net/socket.js";
import { UDP_SOURCES, type Sources } from "../prefix/streams.js";
import { checkDescriptors } from "../sys/descriptors.js";
import * as libc from "../sys/libc.js";
import { openWakePipe } from "../sys/wakepipe.js";
import { ServiceCounts } from "../telemetry/servicecounts.js";
import type { Configuration } from "./configuration.js";
import { errorOf, isClosed, PongdError } from "./error.js";
import { atExit } from "./exit.js";
import { logTo, type LogEntry } from "./log.js";
import type { FromSupervisor, RunningFacts, SupervisorInput, Taken, ToSupervisor } from "./messages.js";
import { Requests } from "./requests.js";
import { hearsFirst, takerOf, type ConnectionServer } from "./servers.js";
import { checkConnect, findHost, targetOf, type ConnectOptions } from "./target.js";

/** Variables that are for the process that a service manager has started: pongd is only a part of it. */
const MANAGED = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

export interface OpenOptions {
  /** Aborts the start, whose error is then the signal's reason; later it closes pongd. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Called with each line of the log, from the level that `log.level` in the configuration says ("info" by default).
   * Without it, warnings and errors go to process.emitWarning().
   */
  readonly log?: ((entry: LogEntry) => void) | undefined;
}

/** How connections to ports are handed over. */
export interface PortOptions {
  /** One of the configuration's prefixes, whose ports alone they are. By default they are all prefixes'. */
  readonly prefix?: string | undefined;
  /**
   * False ends this side of a connection when the peer has ended its own. By default as the server was made, which for
   * http.Server is true; for pongd.listen(), false.
   */
  readonly allowHalfOpen?: boolean | undefined;
}

/** Which datagrams to ports are handed over. */
export interface BindOptions extends Pick<PortOptions, "prefix"> {
  /**
   * Source ports that may ask: "unprivileged", 1024 and above but for those of services (by default), or "any". Answers
   * to a service's port might go round for ever.
   */
  readonly sources?: Sources | undefined;
}

/** Takes a datagram. `reply` sends from the address and port that were asked to those that asked. */
export type DatagramHandler = (message: Buffer, remote: Remote, reply: Reply) => void;

/** Ports that accept connections, or datagrams. */
export interface Served extends AsyncDisposable {
  /** The ports, as they were given. */
  readonly ports: string;
  /**
   * Has the ports refuse again. Those that are there stay. Fulfilled when it is so; calling it again does
   * nothing more. @throws PongdError (ERR_PONGD_CLOSED) if pongd is closed before it is done
   */
  close(): Promise<void>;
}

interface Queue {
  readonly memory: WebAssembly.Memory;
  readonly wakeFd: number;
}

type PortsOf<T> = T extends Taken ? Omit<T, "id"> : never;

/** A pongd that answers. open() makes it. */
export class Pongd implements AsyncDisposable {
  /**
   * Fulfilled once pongd is closed and all that it made is gone. Rejected with a PongdError if it has ended by a
   * failure, which is logged besides.
   */
  readonly closed: Promise<void>;
  readonly #worker: Worker;
  readonly #serving: Serving;
  readonly #wakeFd: number;
  readonly #queues: Queue[] = [];
  readonly #log: (line: string) => void;
  /** Takers of connections, by the number of their ports. */
  readonly #takers = new Map<number, Taker>();
  readonly #requests = new Requests((message) => { this.#post(message); });
  #ids = 0;
  #facts: RunningFacts | undefined;
  #isClosing = false;
  readonly #running: Promise<void>;

  private constructor(configuration: Configuration, { log }: OpenOptions) {
    this.#log = logTo(log);
    checkDescriptors("pongd");
    const { readFd, writeFd } = openWakePipe("of the caller's thread");
    this.#wakeFd = writeFd;
    const counts = new ServiceCounts();
    try {
      this.#worker = start({ configuration, wakeFd: writeFd, counts: counts.buffer });
    } catch (error) {
      libc.close(readFd);
      libc.close(writeFd);
      throw error;
    }
    this.#serving = new Serving({
      thread: 0, wakeFd: readFd, counts, log: createLoggerTo("info", "json", this.#log),
      post: (message: FromService) => { this.#worker.postMessage(message); },
      own: ({ does }) => "caller" in does ? this.#takers.get(does.caller) : undefined,
    });
    let running: () => void;
    let notRunning: (error: unknown) => void;
    this.#running = new Promise((resolve, reject) => { [running, notRunning] = [resolve, reject]; });
    this.#running.catch(() => undefined);
    const keep = atExit(() => { this.#stop(); });
    let failure: PongdError | undefined;
    this.#worker.on("message", (message: FromSupervisor | ToService) => {
      switch (message.kind) {
        case "running":
          this.#facts = message.facts;
          running();
          return;
        case "answer":
          this.#requests.answered(message);
          return;
        case "log":
          this.#log(message.line);
          return;
        case "ended":
          failure = message.failed && errorOf(message.failed);
          return;
        case "queue":
          this.#queues.push(message);
          this.#serving.take(message);
          return;
        default:
          this.#serving.take(message);
      }
    });
    this.#worker.once("error", (error) => {
      failure = new PongdError("ERR_PONGD_RUNTIME", `pongd's supervisor died: ${error.message}`, { cause: error });
    });
    this.closed = new Promise<void>((resolve, reject) => {
      this.#worker.once("exit", () => {
        keep();
        this.#end();
        if (failure && this.#facts) this.#report(failure);
        if (failure) reject(failure);
        else resolve();
        notRunning(failure ?? isClosed());
      });
    });
    // It was logged.
    this.closed.catch(() => undefined);
  }

  /** @internal */
  static async open(configuration: Configuration, options: OpenOptions): Promise<Pongd> {
    const { signal } = options;
    signal?.throwIfAborted();
    const pongd = new Pongd(configuration, options);
    const abort = () => { void pongd.close(); };
    signal?.addEventListener("abort", abort, { once: true });
    void pongd.closed.catch(() => undefined).then(() => { signal?.removeEventListener("abort", abort); });
    try {
      await pongd.#running;
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
    if (!signal?.aborted) return pongd;
    await pongd.close();
    throw signal.reason;
  }

  /** Name of the device. */
  get device(): string {
    return this.#known.device;
  }

  /** MTU of the device in bytes, as it was at the start. */
  get mtu(): number {
    return this.#known.mtu;
  }

  /** Addresses that answer ping, one of each family where there is one: to try it, and to connect from. */
  get addresses(): readonly string[] {
    return this.#known.addresses;
  }

  /** The host's own addresses on the device, at most one of each family. */
  get hostAddresses(): readonly string[] {
    return this.#known.hostAddresses;
  }

  /** URLs of the page and metrics: none without `listen` in the configuration. */
  get urls(): readonly string[] {
    return this.#known.urls;
  }

  /**
   * Gives the connections to a port to a server, which need not listen: an http.Server or https.Server, one of http2,
   * tls or net, or whatever takes a socket by an event "connection". `port`: a number, or a range like "8000-8010".
   * Fulfilled when the port accepts.
   * @throws PongdError: ERR_PONGD_PORT if the port has a service; ERR_PONGD_CONFIG, ERR_PONGD_CLOSED; TypeError
   *   for what is no server
   */
  async serve(port: number | string, server: ConnectionServer, options: PortOptions = {}): Promise<Served> {
    const { prefix, allowHalfOpen } = options;
    if (typeof (server as ConnectionServer | undefined)?.emit !== "function") {
      throw new TypeError("serve() needs a server; listen() takes a function");
    }
    const peerFirst = hearsFirst(server);
    const taker = takerOf(server, allowHalfOpen);
    return await this.#take(taker, { protocol: "tcp", ports: String(port), prefix, peerFirst });
  }

  /**
   * Calls a handler with each connection to a port, a Socket, when it is established. What the handler throws is thrown
   * in this thread, as by net.Server. As serve() otherwise. @throws TypeError if it is no function
   */
  async listen(port: number | string, handler: (socket: Socket) => void, options: PortOptions = {}): Promise<Served> {
    const { prefix, allowHalfOpen = false } = options;
    if (typeof handler !== "function") throw new TypeError("listen() needs a function; serve() takes a server");
    const taker: Taker = { allowHalfOpen, take: handler };
    return await this.#take(taker, { protocol: "tcp", ports: String(port), prefix, peerFirst: false });
  }

  /**
   * Calls a handler with each datagram to a port: its data, where it comes from and goes to, and what answers it from
   * there, at once or later. What the handler throws is thrown in this thread. As listen() otherwise.
   */
  async bind(port: number | string, handler: DatagramHandler, options: BindOptions = {}): Promise<Served> {
    const { prefix, sources = "unprivileged" } = options;
    if (typeof handler !== "function") throw new TypeError("bind() needs a function");
    if (!UDP_SOURCES.includes(sources)) throw new TypeError(`sources need to be ${UDP_SOURCES.join(" or ")}`);
    const taker: Taker = { allowHalfOpen: false, take: refuse, receive: handler };
    return await this.#take(taker, { protocol: "udp", ports: String(port), prefix, sources });
  }

  /**
   * Connects to a port from any address of the prefixes, as net.connect() does from the host's. The socket emits
   * "connect", or "error" with what the kernel would say: ECONNREFUSED, ETIMEDOUT, EADDRNOTAVAIL … `listener` is added
   * to "connect".
   * @throws PongdError: ERR_PONGD_QUEUES with several queues, ERR_PONGD_CLOSED; RangeError, TypeError for wrong options
   */
  connect(options: ConnectOptions, listener?: () => void): Socket {
    if (this.#isClosing) throw isClosed();
    if (this.#known.queues > 1) {
      const mend = "leave device.queues out: the kernel chooses the queue that an answer comes to";
      throw new PongdError("ERR_PONGD_QUEUES", `${this.#known.queues} queues: no connection can be opened`, { mend });
    }
    checkConnect(options);
    const { signal, timeout, allowHalfOpen = false } = options;
    const socket = Socket.toConnect({ allowHalfOpen });
    if (listener) socket.once("connect", listener);
    if (timeout !== undefined && timeout > 0) socket.setTimeout(timeout);
    if (signal) addAbortSignal(signal, socket);
    findHost(options, socket, (address) => {
      if (this.#isClosing) throw isClosed();
      socket.connectTo(this.#serving.ports[0], targetOf(options, address, this.addresses));
    });
    return socket;
  }

  /** Returns the metrics, as Prometheus reads them. @throws PongdError (ERR_PONGD_CLOSED) */
  async metrics(): Promise<string> {
    return await this.#ask((request) => ({ kind: "metrics", request })) ?? "";
  }

  /**
   * Closes pongd: ports refuse, connections get `shutdown_delay` of the configuration to end, then the device goes.
   * Each socket emits "closing" at once. Fulfilled once all is gone, also if pongd has failed. May be called again.
   */
  async close(): Promise<void> {
    this.#beginClosing();
    await this.closed.catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Has pongd keep the process alive, as a server that listens does. It does so unless unref() was called. */
  ref(): this {
    this.#worker.ref();
    return this;
  }

  /** Lets the process end, and pongd with it, when nothing else keeps it alive. */
  unref(): this {
    this.#worker.unref();
    return this;
  }

  get #known(): RunningFacts {
    if (!this.#facts) throw isClosed();
    return this.#facts;
  }

  async #take(taker: Taker, ports: PortsOf<Taken>): Promise<Served> {
    const { prefix } = ports;
    if (prefix !== undefined && typeof prefix !== "string") throw new TypeError("prefix needs to be a string");
    const id = ++this.#ids;
    const taken: Taken = { ...ports, id };
    this.#takers.set(id, taker);
    try {
      await this.#ask((request) => ({ kind: "serve", request, taken }));
    } catch (error) {
      this.#takers.delete(id);
      throw error;
    }
    let done: Promise<void> | undefined;
    const close = () => done ??= this.#ask((request) => ({ kind: "refuse", request, id })).then(() => {
      this.#takers.delete(id);
    });
    return { ports: taken.ports, close, [Symbol.asyncDispose]: close };
  }

  #ask(message: (request: number) => ToSupervisor): Promise<string | undefined> {
    if (this.#isClosing) return Promise.reject(isClosed());
    return this.#requests.ask(message);
  }

  #beginClosing(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#post({ kind: "close" });
  }

  #post(message: ToSupervisor): void {
    this.#worker.postMessage(message);
  }

  /** Has the packet loops end, whatever the supervisor does. */
  #stop(): void {
    for (const { memory, wakeFd } of this.#queues) {
      Atomics.store(new Int32Array(memory.buffer), STOP / 4, 1);
      libc.eventfd_write(wakeFd, 1);
    }
  }

  /** All threads have ended. */
  #end(): void {
    this.#isClosing = true;
    this.#serving.end();
    for (const { wakeFd } of this.#queues) libc.close(wakeFd);
    libc.close(this.#wakeFd);
    this.#requests.end();
  }

  #report({ message }: PongdError): void {
    this.#log(JSON.stringify({ level: "error", time: new Date().toISOString(), msg: message }));
  }
}

/** Nothing connects to a port of UDP. */
function refuse(socket: Socket): void {
  socket.resetAndDestroy();
}

/** @throws PongdError if the configuration has what no thread can be handed */
function start(workerData: SupervisorInput): Worker {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !MANAGED.includes(name)));
  try {
    return new Worker(new URL("./supervisor.js", import.meta.url), {
      workerData, env, name: "pongd", execArgv: [],
    });
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "DataCloneError") throw error;
    throw new PongdError("ERR_PONGD_CONFIG", `the configuration is no plain object: ${error.message}`, { cause: error });
  }
}
