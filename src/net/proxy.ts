/** Connections that go on to a TCP or a unix socket of the host, on request with a header that says whose they are. */
import { connect, type Socket as NetSocket } from "node:net";
import type { Logger } from "pino";
import { messageOf } from "../base/failure.js";
import { RateLimiter } from "../base/ratelimiter.js";
import { textOf, type Endpoint } from "../prefix/endpoints.js";
import { formatBytes } from "../prefix/prefixes.js";
import type { ProxyHeader } from "../prefix/streams.js";
import type { Ends } from "./stream.js";
import { reset } from "./reset.js";
import type { Socket } from "./socket.js";

/** Time in ms for the other side to accept. */
const CONNECT_MS = 10_000;
/** A backend that is away is logged once in this many ms. */
const LOG_EVERY_MS = 10_000;

/** Version 2, and the command that says that the connection is somebody else's. */
const COMMAND_PROXY = 0x21;
/** The family and STREAM. */
const TCP4 = 0x11;
const TCP6 = 0x21;

/** Returns what takes connections to `to`. */
export function proxy(to: Endpoint, header: ProxyHeader | undefined, log: Logger): (socket: Socket) => void {
  const lines = new RateLimiter(LOG_EVERY_MS, 1);
  return (socket) => {
    const target = "path" in to ? { path: to.path } : { host: to.host, port: to.port };
    const backend = connect({ ...target, allowHalfOpen: true, noDelay: true, timeout: CONNECT_MS });
    let isConnected = false;
    backend.once("connect", () => {
      isConnected = true;
      backend.setTimeout(0);
      if (header !== undefined) backend.write(headerOf(header, socket.ends));
      join(socket, backend);
    });
    backend.once("timeout", () => { backend.destroy(new Error("it does not accept connections")); });
    backend.once("error", (error) => {
      if (!isConnected && lines.take()) log.warn(`proxy to ${textOf(to)}: ${messageOf(error)}; connections are reset`);
      socket.resetAndDestroy();
    });
    // Whatever ends one side for good ends the other one.
    socket.once("error", () => { reset(backend); });
    socket.once("close", () => { backend.destroySoon(); });
    backend.once("close", () => { socket.destroySoon(); });
  };
}

/** Hands bytes on both ways, and the end of each. */
function join(socket: Socket, backend: NetSocket): void {
  socket.pipe(backend);
  backend.pipe(socket);
}

/** Formats the header of the PROXY protocol (haproxy's proxy-protocol.txt, §2.1 and §2.2). */
export function headerOf(
  version: ProxyHeader, { remoteAddress, remotePort, localAddress, localPort }: Ends,
): Buffer {
  const six = localAddress.length === 16;
  if (version === "v1") {
    const [remote, local] = [remoteAddress, localAddress].map(formatBytes);
    return Buffer.from(`PROXY TCP${six ? 6 : 4} ${remote} ${local} ${remotePort} ${localPort}\r\n`);
  }
  const addresses = Buffer.concat([remoteAddress, localAddress, Buffer.alloc(4)]);
  addresses.writeUInt16BE(remotePort, addresses.length - 4);
  addresses.writeUInt16BE(localPort, addresses.length - 2);
  const start = Buffer.from([
    0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, COMMAND_PROXY, six ? TCP6 : TCP4, 0, 0,
  ]);
  start.writeUInt16BE(addresses.length, start.length - 2);
  return Buffer.concat([start, addresses]);
}
