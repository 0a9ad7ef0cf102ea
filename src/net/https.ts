/**
 * HTTP/1.1 and HTTP/2 over TLS, over sockets that did not come by a port of the host.
 *
 *  1. A tls.Server decrypts each connection. It chooses the certificate by the name that the client asks for (SNI), and
 *     the protocol by ALPN.
 *  2. One http.Server and one HTTP/2 server take what is decrypted. None of the three listens.
 */
import { createServer as createHttp, type RequestListener } from "node:http";
import { createServer, type TLSSocket } from "node:tls";
import { Certificates, type PairFiles } from "./certificates.js";
import { Http1, type HttpService, type Refused, withHost } from "./http.js";
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
  readonly refused?: Refused;
  readonly terms?: Partial<HttpsTerms>;
}

const ADDRESSES = [
  "localAddress", "localPort", "localFamily", "remoteAddress", "remotePort", "remoteFamily", "address", "ends",
] as const;

/**
 * Returns what serves sockets. A request's socket has the addresses of the socket beneath.
 * @throws Failure (configuration) if a pair does not do
 */
export function httpsService(options: HttpsOptions, listener: RequestListener): HttpService {
  const terms = { ...TERMS, ...options.terms };
  const certificates = new Certificates(options.pairs, options.log);
  const http1 = new Http1(createHttp({
    headersTimeout: terms.headers, requestTimeout: terms.request, keepAliveTimeout: terms.keepAlive,
    connectionsCheckingInterval: Math.min(terms.headers, CHECK_MS), requireHostHeader: false,
  }, withHost(listener, options.refused)), options.refused);
  const http2 = new Http2(listener, { requestTimeout: terms.request, idleTimeout: terms.idle });
  /** Handshake of the socket whose bytes are being decrypted: it is done while they are. */
  let current: Handshake | undefined;
  let unnamed = certificates.unnamed;
  const server = createServer({
    ...unnamed, ALPNProtocols: ["h2", "http/1.1"],
    SNICallback: (name, done) => { done(null, certificates.for(name)); },
  }, (connection) => {
    // The server that has the connection handles its end.
    connection.on("error", () => undefined);
    if (!current) {
      connection.destroy();
      return;
    }
    const { socket, done } = current;
    done();
    lendAddresses(connection, socket);
    (connection.alpnProtocol === "h2" ? http2 : http1).serve(connection, socket);
  });
  return {
    take(socket) {
      certificates.refresh();
      if (unnamed !== certificates.unnamed) server.setSecureContext(unnamed = certificates.unnamed);
      const leave = () => { socket.destroy(); };
      const term = setTimeout(leave, terms.handshake).unref();
      const begin = () => { current = { socket, done }; };
      const end = () => { current = undefined; };
      const done = () => {
        clearTimeout(term);
        socket.off("closing", leave).off("end", leave).off("close", done).off("data", begin).off("data", end);
      };
      socket.on("error", () => undefined).once("closing", leave).once("end", leave).once("close", done);
      // Node.js does not say which socket a connection is decrypted from. So one of these is called before, and one
      // behind what decrypts. Nothing is read until that has the socket.
      socket.pause().on("data", begin);
      server.emit("connection", socket);
      socket.on("data", end);
    },
    close() { http1.close(); },
  };
}

interface Handshake {
  readonly socket: Socket;
  /** To be called when it is done. */
  readonly done: () => void;
}

/** Gives a connection the addresses of a socket: TLS over a stream of JavaScript's has none. */
export function lendAddresses(connection: TLSSocket, socket: Socket): void {
  Object.defineProperties(connection, Object.fromEntries(ADDRESSES.map((name) => [name, {
    configurable: true,
    get: () => name === "address" ? () => socket.address() : socket[name],
  }])));
}
