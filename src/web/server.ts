/**
 * The operator's HTTP server: where each connection goes, and how it ends.
 *
 *  1. A net.Server for each socket accepts connections. All connections are known; if there are too many, the oldest is
 *     closed.
 *  2. If the web configuration of that moment has TLS, a tls.Server takes the connection; a change of TLS makes a new
 *     one. Otherwise the connection goes on to step 3.
 *  3. One http.Server and one HTTP/2 server take plain and decrypted connections; neither of them listens.
 *  4. Each request passes the rate limit, then the check of its user, then its route. If there are too many at a time,
 *     the connection with the most is closed.
 *
 * Slow clients are cut: a handshake, a request and a response have a term each.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer as createHttp2Server, type Http2ServerRequest } from "node:http2";
import type { Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from "node:tls";
import type { Logger } from "pino";
import { http } from "../base/builtin.js";
import { messageOf } from "../base/failure.js";
import { cut } from "../net/response.js";
import * as libc from "../sys/libc.js";
import { BasicAuth, BcryptThread } from "./auth.js";
import { objection } from "./clients.js";
import { Crowd, Gate, limitTaking } from "./gate.js";
import { acceptFrom } from "./listener.js";
import { Listings } from "./listings.js";
import { Renderings } from "./renderings.js";
import { answer, respond, type Backend, type Service } from "./routes.js";
import type { WebConfig } from "./webconfig.js";

/** Term in ms for a handshake, for a request, and for a response once it is written. */
const TERM_MS = 10_000;
/** Idle time of a connection in ms, longer than most scrape intervals: a handshake costs more than a scrape. */
const KEEP_ALIVE_MS = 90_000;
const MAX_CONNECTIONS = 512;
/**
 * Requests under way on a connection of HTTP/2, twice as many as the page makes. Node.js makes objects for each that
 * comes, before pongd knows of it; those beyond this are refused without.
 */
const MAX_STREAMS = 16;
/** Most requests under way on all connections. Each costs some 10 KiB. */
const MAX_REQUESTS = 2 * MAX_CONNECTIONS;
/** Most lists under way at a time. They have places of their own, so that no scrape waits for them. */
const MAX_LISTS = 8;
/** Longest interval in ms between checks of the terms. */
const CHECK_MS = 1000;

export interface ServeOptions {
  /** Current TLS, users, headers and rate; without it there are none. */
  readonly web?: { current(): WebConfig } | undefined;
  /** Most requests for metrics that are served at a time; 0 for no limit. */
  readonly maxRequests?: number;
  readonly log?: Logger | undefined;
  readonly termMs?: number;
}

/**
 * Serves at sockets that listen already, and closes them at the end, or when it fails. Returns a function that ends it.
 * @throws Failure if one is no socket that listens.
 */
export async function serve(
  sockets: readonly number[], status: Backend, { web, maxRequests = 0, log, termMs = TERM_MS }: ServeOptions = {},
): Promise<() => Promise<void>> {
  const service: Service = {
    status, renderings: new Renderings(), gate: new Gate(maxRequests), listings: new Listings(),
    listGate: new Gate(MAX_LISTS), termMs,
  };
  const bcrypt = new BcryptThread();
  const auth = new BasicAuth(bcrypt.compare);

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const client = { gone: false };
    response.once("close", () => { client.gone = true; });
    const { headers, users, limiter } = web?.current() ?? {};
    for (const [name, value] of headers ?? []) response.setHeader(name, value);
    if (limiter?.take() === false) {
      respond(response, 429, "Too Many Requests\n");
      return;
    }
    const verdict = users && users.size > 0 ? await auth.check(users, request.headers.authorization) : "granted";
    // The client may have left during the check of its password. The response would then never be closed, and its place
    // in the gate never freed.
    if (client.gone) return;
    if (verdict === "granted") {
      await answer(request, response, service);
    } else if (verdict === "denied") {
      respond(
        response, 401, "Unauthorized\n", undefined, { "WWW-Authenticate": "Basic realm=\"pongd\", charset=\"UTF-8\"" },
      );
    } else {
      respond(
        response, 503, "Service Unavailable: too many passwords are being checked\n", undefined, { "Retry-After": "1" },
      );
    }
  };
  const crowd = new Crowd<{ destroy(): unknown }>(MAX_REQUESTS, (connection) => { connection.destroy(); });
  const onRequest = (
    request: IncomingMessage, response: ServerResponse, connection: { destroy(): unknown },
  ) => {
    crowd.enter(connection, response);
    handle(request, response).catch((error: unknown) => {
      if (response.headersSent) cut(response);
      else respond(response, 500, `${messageOf(error)}\n`);
    }).finally(() => { limitTaking(response, termMs); });
  };

  const last = new WeakMap<Socket, ServerResponse>();
  const http1 = http.createServer({
    headersTimeout: termMs, requestTimeout: termMs, keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: Math.min(termMs, CHECK_MS),
  }, (request, response) => {
    // Pipelined responses would wait behind one that may never end, and nothing could cut them.
    if (last.get(request.socket)?.writableEnded === false) {
      request.socket.destroy();
      return;
    }
    last.set(request.socket, response);
    onRequest(request, response, request.socket);
  });
  // A response that waits for the one before it has no socket yet, and Node.js does not tell it when the socket closes.
  http1.on("connection", (socket) => {
    socket.once("close", () => {
      const response = last.get(socket);
      if (response?.socket === null && !response.closed) response.emit("close");
    });
  });
  // This event makes http.Server start to check the terms of requests.
  http1.emit("listening");
  const http2 = createHttp2Server({
    settings: { maxConcurrentStreams: MAX_STREAMS, maxHeaderListSize: http.maxHeaderSize },
  });
  http2.on("request", (request: Http2ServerRequest, response) => {
    const { session } = request.stream;
    // Node.js's compatibility API gives objects that a route can use like those of HTTP/1.
    if (session) onRequest(request as unknown as IncomingMessage, response as unknown as ServerResponse, session);
  });
  http2.on("session", (session) => {
    session.setTimeout(KEEP_ALIVE_MS, () => { session.destroy(); });
  });

  const tlsServer = ({ options, clients }: NonNullable<WebConfig["tls"]>) => {
    const server = createTlsServer({ ...options, handshakeTimeout: termMs }, (socket: TLSSocket) => {
      const wrong = objection(clients, socket);
      if (wrong !== undefined) {
        log?.debug({ client: socket.remoteAddress }, `connection refused: ${wrong}`);
        socket.destroy();
      } else {
        (socket.alpnProtocol === "h2" ? http2 : http1).emit("connection", socket);
      }
    });
    return server.on("tlsClientError", (error, socket) => {
      log?.debug({ client: socket.remoteAddress }, `TLS handshake failed: ${error.message}`);
      // When a handshake's term is over, Node.js leaves it to this listener to close the connection.
      socket.destroy();
    });
  };
  let secure: { readonly tls: WebConfig["tls"]; readonly server: TlsServer } | undefined;
  const connections = new Set<Socket>();
  const onConnection = (socket: Socket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
    // The server that has the connection handles its end.
    socket.on("error", () => undefined);
    const [oldest] = connections;
    if (connections.size > MAX_CONNECTIONS) oldest.destroy();
    const { tls } = web?.current() ?? {};
    if (tls && secure?.tls !== tls) secure = { tls, server: tlsServer(tls) };
    (tls && secure ? secure.server : http1).emit("connection", socket);
  };

  const ends: (() => Promise<void>)[] = [];
  const close = async () => {
    const closed = ends.map((end) => end());
    for (const socket of connections) socket.destroy();
    http1.close();
    await Promise.all([...closed, bcrypt.close()]);
  };
  try {
    if (web) await bcrypt.start();
    for (const socket of sockets) ends.push(await acceptFrom(socket, onConnection));
  } catch (error) {
    await close();
    for (const socket of sockets.slice(ends.length)) libc.close(socket);
    throw error;
  }
  return close;
}
