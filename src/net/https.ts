/**
 * HTTP/1.1 and HTTP/2 over TLS, over sockets that did not come by a port of the host.
 *
 *  1. A tls.Server decrypts each connection. It chooses the certificate by the name that the client asks for (SNI), and
 *     the protocol by ALPN.
 *  2. One http.Server and one HTTP/2 server take what is decrypted. None of the three listens.
 */
import type { RequestListener } from "node:http";
import { createServer, type TLSSocket } from "node:tls";
import { Certificates, type PairFiles } from "./certificates.js";
import { Http1 } from "./http.js";
import { Http2 } from "./http2.js";
import type { Socket } from "./socket.js";

/** Terms in ms. */
export interface HttpsTerms {
  readonly handshake: number;
  /** For the headers of a request of HTTP/1.1. */
  readonly headers: number;
  /** For a whole request. */
  readonly request: number;
  /** Between two requests of HTTP/1.1. */
  readonly keepAlive: number;
  /** For which a connection of HTTP/2 may have no request, or be full both ways. */
  readonly idle: number;
}

/** Those of HTTP/1.1 are Node.js's own. */
const TERMS: HttpsTerms = { handshake: 10_000, headers: 60_000, request: 300_000, keepAlive: 5000, idle: 60_000 };
/** Longest interval in ms between checks of the terms of HTTP/1.1, Node.js's own. */
const CHECK_MS = 30_000;

export interface HttpsOptions {
  /** The first is for whoever asks for no name, or for one that none has. */
  readonly pairs: readonly PairFiles[];
  /** Takes a line about a pair that has changed and does not do. */
  readonly log: (line: string) => void;
  readonly terms?: Partial<HttpsTerms>;
}

const ADDRESSES = [
  "localAddress", "localPort", "localFamily", "remoteAddress", "remotePort", "remoteFamily", "address",
] as const;

/**
 * Returns what serves sockets. A request's socket has the addresses of the socket beneath.
 * @throws Failure (configuration) if a pair does not do
 */
export function httpsService(options: HttpsOptions, listener: RequestListener): (socket: Socket) => void {
  const terms = { ...TERMS, ...options.terms };
  const certificates = new Certificates(options.pairs, options.log);
  const http1 = new Http1(listener, {
    headersTimeout: terms.headers, requestTimeout: terms.request, keepAliveTimeout: terms.keepAlive,
    connectionsCheckingInterval: Math.min(terms.headers, CHECK_MS),
  });
  const http2 = new Http2(listener, { requestTimeout: terms.request, idleTimeout: terms.idle });
  /** Sockets whose handshake is done. */
  const secured = new WeakSet<Socket>();
  let unnamed = certificates.unnamed;
  const server = createServer({
    ...unnamed, ALPNProtocols: ["h2", "http/1.1"], handshakeTimeout: terms.handshake,
    SNICallback: (name, done) => { done(null, certificates.for(name)); },
  }, (connection) => {
    // The server that has the connection handles its end.
    connection.on("error", () => undefined);
    const socket = socketBeneath(connection);
    secured.add(socket);
    lendAddresses(connection, socket);
    (connection.alpnProtocol === "h2" ? http2 : http1).serve(connection, socket);
  });
  // When a handshake's term is over, Node.js leaves it to this listener to close the connection.
  server.on("tlsClientError", (_error, connection) => { connection.destroy(); });
  return (socket) => {
    certificates.refresh();
    if (unnamed !== certificates.unnamed) server.setSecureContext(unnamed = certificates.unnamed);
    socket.on("error", () => undefined);
    const leave = () => { if (!secured.has(socket)) socket.destroy(); };
    socket.once("closing", leave).once("end", leave);
    server.emit("connection", socket);
  };
}

/** Returns the socket that a connection is decrypted from, which Node.js has no public way to. */
function socketBeneath(connection: TLSSocket): Socket {
  return (connection as unknown as { readonly _handle: { readonly _parentWrap: { readonly stream: Socket } } })
    ._handle._parentWrap.stream;
}

/** Gives a connection the addresses of a socket: TLS over a stream of JavaScript's has none. */
function lendAddresses(connection: TLSSocket, socket: Socket): void {
  Object.defineProperties(connection, Object.fromEntries(ADDRESSES.map((name) => [name, {
    configurable: true,
    get: () => name === "address" ? () => socket.address() : socket[name],
  }])));
}
