/**
 * Given to Node.js as `--import`, this has the servers of the process take pongd's Sockets in place of Node.js's:
 *
 *  1. A server listens as ever. What the kernel accepts for it is connected to a Socket of an engine in this process
 *     (wire.ts), which has the other end of that connection as another Socket. The server is given that one.
 *  2. With JUDGE_CLIENTS set, net.connect() to such a server returns a Socket, too, and the kernel has no part in it.
 *
 * With JUDGE_PLAIN set, both are streams over Node.js's own sockets in place of pongd's (plain.ts).
 *
 * At its end the process adds a line to the file that JUDGE_REPORT names: how many Sockets servers and clients were
 * given.
 */
import { appendFileSync } from "node:fs";
import net from "node:net";
import { addAbortSignal } from "node:stream";
import { clearInterval, setInterval } from "node:timers";
import { createRequire, syncBuiltinESMExports } from "node:module";
import type { Stream } from "../../src/net/stream.js";
import { reset } from "../../src/net/reset.js";
import { Socket } from "../../src/net/socket.js";
import { Plain } from "./plain.js";
import { Wire } from "./wire.js";

interface Handle {
  onconnection: (this: unknown, error: number, client?: object) => void;
}

/** Parts of a net.Server that Node.js does not document. */
interface Internals extends net.Server {
  _handle?: Handle | null;
  _connections: number;
  _emitCloseIfDrained(): void;
  readonly allowHalfOpen: boolean;
  readonly pauseOnConnect: boolean;
  readonly noDelay: boolean;
  readonly keepAlive: boolean;
  readonly blockList?: unknown;
  readonly highWaterMark?: number;
}

interface Options extends Omit<net.TcpNetConnectOpts, "port">, net.SocketConstructorOpts {
  readonly port: number | string;
  readonly path?: string | null;
  readonly highWaterMark?: number;
}

interface Connection {
  readonly server: Internals;
  /** What the kernel has of it. */
  readonly bridge?: net.Socket;
}

const isPlain = process.env.JUDGE_PLAIN !== undefined;
const given = { servers: 0, clients: 0 };
/** Those that listen, by port; and what the kernel has accepted, by the client's port. */
const servers = new Map<number, Internals>();
const accepted = new Map<number, Connection>();

/** Sockets that keep the process alive, as those of the kernel do. */
const holding = new Set<Socket>();
let timer: NodeJS.Timeout | undefined;

/** Has the process live as long as something may come by the socket. */
function hold(socket: Socket): void {
  const [ref, unref, push, destroy] = [
    socket.ref.bind(socket), socket.unref.bind(socket), socket.push.bind(socket), socket._destroy.bind(socket),
  ];
  let isOver = false;
  const keep = (keeps: boolean) => {
    if (keeps && !isOver) holding.add(socket);
    else holding.delete(socket);
    clearInterval(timer);
    timer = holding.size > 0 ? setInterval(() => undefined, 1 << 30) : undefined;
  };
  const end = () => {
    isOver = true;
    keep(false);
  };
  keep(true);
  socket.push = (chunk, encoding) => {
    if (chunk === null) end();
    return push(chunk, encoding);
  };
  socket._destroy = (error, done) => {
    end();
    destroy(error, done);
  };
  socket.ref = () => {
    keep(true);
    return ref();
  };
  socket.unref = () => {
    keep(false);
    return unref();
  };
}

/** Has a socket hear of the peer's end, though nobody reads: a net.Socket reads at once, unless it is paused. */
function begin(socket: Socket | Plain): void {
  if (!socket.isPaused()) socket.read(0);
}

/** A server's. */
class Served extends Socket {
  readonly server: Internals;
  readonly _server: Internals;
  readonly #bridge: net.Socket | undefined;

  constructor(stream: Stream, { server, bridge }: Connection) {
    super(stream, { allowHalfOpen: server.allowHalfOpen });
    this.server = this._server = server;
    this.#bridge = bridge;
  }

  override ref(): this {
    this.#bridge?.ref();
    return super.ref();
  }

  override unref(): this {
    this.#bridge?.unref();
    return super.unref();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    super._destroy(error, done);
    // The client may leave its own side open for good, and what came unread.
    this.#bridge?.unref();
    for (const client of holding) if (client.localPort === this.remotePort) client.unref();
    leave(this.server);
  }
}

function leave(server: Internals): void {
  server._connections--;
  server._emitCloseIfDrained();
}

const wire = await Wire.create((stream) => {
  const { remotePort, localPort } = stream.ends;
  let connection = accepted.get(remotePort);
  accepted.delete(remotePort);
  if (!connection) {
    const server = servers.get(localPort);
    if (!server) throw new Error(`nobody listens on port ${localPort}`);
    // As the kernel does with what a server that is closed has not accepted.
    if (!server.listening) return new Socket(stream).resetAndDestroy();
    server._connections++;
    connection = { server };
  }
  const { server } = connection;
  const socket = new Served(stream, connection);
  hold(socket);
  give(server, socket);
  return socket;
});

function give(server: Internals, socket: Socket | Plain): void {
  given.servers++;
  if (server.pauseOnConnect) socket.pause();
  begin(socket);
  server.emit("connection", socket);
}

const prototype = net.Server.prototype as unknown as { _listen2: (this: Internals, ...args: unknown[]) => void };
const { _listen2: listen } = prototype;
prototype._listen2 = function (...args) {
  listen.apply(this, args);
  const at = this._handle && this.address();
  if (!this._handle || !at || typeof at === "string") return;
  servers.set(at.port, this);
  take(this, this._handle);
};

/** Has the server's connections bridged, unless it does not want them. */
function take(server: Internals, handle: Handle): void {
  const { onconnection } = handle;
  handle.onconnection = (error, client) => {
    const isFull = server.maxConnections > 0 && server._connections >= server.maxConnections;
    if (error !== 0 || !client || isFull || server.blockList !== undefined) onconnection.call(handle, error, client);
    else bridge(server, new net.Socket({ handle: client, allowHalfOpen: true } as net.SocketConstructorOpts));
  };
}

/** Connects what the kernel has accepted to a Socket, whose other end the server is given. */
function bridge(server: Internals, near: net.Socket): void {
  server._connections++;
  if (isPlain) {
    near.once("close", () => { leave(server); });
    give(server, Object.assign(new Plain(near, server.allowHalfOpen), { server, _server: server }));
    return;
  }
  const { remotePort = 0, localPort = 0 } = near;
  accepted.set(remotePort, { server, bridge: near });
  const far = Socket.connect(wire.client.port, {
    localAddress: wire.client.address, localPort: remotePort,
    remoteAddress: wire.server.address, remotePort: localPort,
  });
  near.on("error", () => { far.resetAndDestroy(); });
  far.on("error", () => {
    if (accepted.delete(remotePort)) leave(server);
    reset(near);
  });
  near.pipe(far).pipe(near);
}

const connect = net.connect as (...args: unknown[]) => net.Socket;
const { _normalizeArgs: normalize } = net as unknown as {
  _normalizeArgs: (args: unknown[]) => [Options, (() => void) | null];
};
if (process.env.JUDGE_CLIENTS !== undefined) {
  net.connect = net.createConnection = function (...args: unknown[]) {
    const [options, listener] = normalize(args);
    if (!isJudged(options)) return connect(...args);
    const target = {
      localAddress: wire.client.address, localPort: 0,
      remoteAddress: wire.server.address, remotePort: Number(options.port),
    };
    const { allowHalfOpen = false } = options;
    const socket = isPlain
      ? new Plain(connect({ ...options, allowHalfOpen: true }), allowHalfOpen)
      : Socket.connect(wire.client.port, target, { allowHalfOpen });
    given.clients++;
    if (socket instanceof Socket) {
      hold(socket);
      socket.once("ready", () => { begin(socket); });
      if (options.timeout !== undefined && options.timeout > 0) socket.setTimeout(options.timeout);
    }
    if (options.signal) addAbortSignal(options.signal, socket);
    if (listener) socket.once("connect", listener);
    return socket as unknown as net.Socket;
  } as typeof net.connect;
  // A test of how Node.js loads its parts finds this one loaded.
  const { Agent } = createRequire(import.meta.url)("node:http") as { Agent: { prototype: object } };
  Object.assign(Agent.prototype, { createConnection: net.createConnection });
  syncBuiltinESMExports();
}

/** Returns whether a connection is to a server of the process, and nothing is wanted that only the kernel has. */
function isJudged(options: Options): boolean {
  const { port, host, family, path, lookup, onread, localAddress, localPort, highWaterMark } = options;
  return servers.get(Number(port))?.listening === true
    && (/^(?:localhost|127\.0\.0\.1|::1)$/.exec((host ?? "localhost"))) !== null && (family ?? 0) !== 6
    && [path, lookup, onread, localAddress, localPort, highWaterMark].every((it) => it === undefined || it === null);
}

const { JUDGE_REPORT: report } = process.env;
if (report !== undefined) process.on("exit", () => { appendFileSync(report, `${JSON.stringify(given)}\n`); });
