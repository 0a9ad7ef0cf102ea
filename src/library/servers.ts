/** Makes servers that never listen take pongd's connections. */
import type { EventEmitter } from "node:events";
import { Server as HttpServer } from "node:http";
import type { ServerHttp2Session } from "node:http2";
import { Server as HttpsServer } from "node:https";
import { Server as TlsServer, type TLSSocket } from "node:tls";
import { Http1 } from "../net/http.js";
import { lendAddresses } from "../net/https.js";
import type { Taker } from "../net/services.js";
import type { Socket } from "../net/socket.js";

/** A server of Node.js's, or whatever else takes connections by an event "connection". */
export type ConnectionServer = Pick<EventEmitter, "emit" | "prependListener" | "off">;

type Take = Taker["take"];

/** What servers that were seen before do with a socket: their listeners are added once. */
const known = new WeakMap<ConnectionServer, Take>();

export function takerOf(server: ConnectionServer, allowHalfOpen: boolean | undefined): Taker {
  // net.Server has what it was made with.
  const { allowHalfOpen: own = false } = server as { allowHalfOpen?: boolean };
  let take = known.get(server);
  if (!take) known.set(server, take = takeFor(server));
  return { allowHalfOpen: allowHalfOpen ?? own, take };
}

/** True for a server to which the peer speaks first. */
export function hearsFirst(server: ConnectionServer): boolean {
  return server instanceof HttpServer || server instanceof TlsServer;
}

function takeFor(server: ConnectionServer): Take {
  if (server instanceof TlsServer) return secure(server);
  if (server instanceof HttpServer) {
    const http = new Http1(server);
    return (socket) => { http.serve(socket, socket); };
  }
  return (socket) => {
    const end = onSession(server, () => socket);
    server.emit("connection", socket);
    end();
  };
}

/**
 * Has sessions of HTTP/2, which a server begins as soon as it has a connection, end once their socket is closing,
 * behind the responses that they owe. Returns what ends this for sessions to come.
 */
function onSession(server: ConnectionServer, socketOf: () => Socket | undefined): () => void {
  const watch = (session: ServerHttp2Session) => {
    const socket = socketOf();
    const close = () => { if (!session.closed) session.close(); };
    if (socket?.isClosing) close();
    else socket?.once("closing", close);
  };
  server.prependListener("session", watch);
  return () => { server.off("session", watch); };
}

/** A server of TLS: what it decrypts has the addresses of the socket beneath. */
function secure(server: TlsServer): Take {
  const http = server instanceof HttpsServer ? new Http1(server) : undefined;
  /** The socket whose bytes are being decrypted. */
  let current: Socket | undefined;
  server.prependListener("secureConnection", (connection: TLSSocket) => {
    if (!current) return;
    lendAddresses(connection, current);
    http?.begin(connection, current);
  });
  onSession(server, () => current);
  return (socket) => {
    // Node.js does not say which socket a connection is decrypted from. So one of these is called before, and one
    // behind what decrypts. Nothing is read until that has the socket.
    const begin = () => { current = socket; };
    const end = () => { current = undefined; };
    socket.pause().on("data", begin);
    server.emit("connection", socket);
    socket.on("data", end);
  };
}
