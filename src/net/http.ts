/** HTTP over connections that did not come by a port of the host. */
import {
  createServer, STATUS_CODES, type IncomingMessage, type RequestListener, type Server, type ServerResponse,
} from "node:http";
import type { Duplex } from "node:stream";
import type { Socket } from "./socket.js";

/** Whatever serves sockets. */
export interface HttpService {
  readonly take: (socket: Socket) => void;
  /** Called when there is no socket any more, nor will there be one: ends what goes on without them. */
  readonly close: () => void;
}

/** Takes the status of each request that is refused before the listener hears of it. */
export type Refused = (status: number) => void;

/**
 * Returns what gives sockets to an http.Server of their own. A client that has ended its side after its request, as
 * `nc -N` does, gets its response if the listener `ends` each one soon, whatever the client does. Another listener's
 * requests are broken off then, as Node.js does: whoever is gone cannot be told from whoever waits.
 */
export function httpService(listener: RequestListener, refused?: Refused, ends = false): HttpService {
  const server = createServer({ requireHostHeader: false }, withHost(listener, refused));
  // Node.js has this property, though its types and its documentation have not.
  Object.assign(server, { httpAllowHalfOpen: ends });
  const http = new Http1(server, refused);
  return {
    take(socket) { http.serve(socket, socket); },
    close() { http.close(); },
  };
}

/**
 * RFC 9112 §3.2: a request of HTTP/1.1 has a Host, and none has two. Returns a listener that refuses others. Node.js
 * itself looks only whether there is one, and says nothing of a request that has none.
 */
export function withHost(listener: RequestListener, refused?: Refused): RequestListener {
  return (request, response) => {
    const { rawHeaders, httpVersion } = request;
    let hosts = 0;
    for (let i = 0; i < rawHeaders.length; i += 2) {
      if (rawHeaders[i].length === 4 && rawHeaders[i].toLowerCase() === "host") hosts++;
    }
    if (hosts === 1 || (hosts === 0 && httpVersion === "1.0")) {
      listener(request, response);
      return;
    }
    response.writeHead(400, { Connection: "close" }).end();
    refused?.(400);
  };
}

/** An http.Server that is given its connections: sockets, or what is decrypted above them. */
export class Http1 {
  readonly #server: Pick<Server, "emit" | "close">;

  /** `refused`: where it is not given, the server does what it does with what it refuses. */
  constructor(
    server: Pick<Server, "listening" | "prependListener" | "on" | "emit" | "close">, refused?: Refused,
  ) {
    this.#server = server;
    // http.Server looks for requests that take too long only while it listens.
    if (!server.listening) server.emit("listening");
    server.prependListener("request", owe);
    if (!refused) return;
    server.on("clientError", ({ code }: NodeJS.ErrnoException, connection) => { refuse(code, connection, refused); });
    server.on("checkExpectation", (request, response) => {
      owe(request, response);
      response.writeHead(417).end();
      refused(417);
    });
  }

  /** Serves a connection, as begin() says. */
  serve(connection: Duplex, socket: Socket): void {
    this.begin(connection, socket);
    this.#server.emit("connection", connection);
  }

  /** The server has this connection from now on. Once its socket is closing, it ends behind the responses it owes. */
  begin(connection: Duplex, socket: Socket): void {
    const owed = new Set<ServerResponse>();
    const debt: Debt = { socket, owed, last: undefined, lastAt: 0 };
    (connection as Partial<Debtor>)[DEBT] = debt;
    socket.allows = () => allowance(connection, debt);
    socket.once("closing", () => { if (owed.size === 0) connection.end(); });
    // A response that waits for the one before it has no socket yet, and Node.js does not tell it of the end.
    connection.once("close", () => {
      for (const response of owed) if (response.socket === null) response.emit("close");
    });
  }

  /** Looks for requests that take too long no more. */
  close(): void {
    this.#server.close();
  }
}

/** Statuses of what http.Server and its parser refuse; everything else that the parser refuses is a bad request. */
const REFUSALS: Readonly<Partial<Record<string, number>>> = {
  HPE_HEADER_OVERFLOW: 431, HPE_CHUNK_EXTENSIONS_OVERFLOW: 413, ERR_HTTP_REQUEST_TIMEOUT: 408,
};

const DEBT = Symbol("debt");

/** Requests of a connection that are under way when no more of them are read, but those of the piece that has them. */
const MAX_OWED = 16;
/**
 * Bytes that are read at a time where requests may begin, and in bodies whose length is not known. Node.js parses all
 * that it is given, and each request may keep a handler's memory and files until the responses before its own are sent.
 */
const HEADER_PIECE = 1024;
const BODY_PIECE = 4096;
/** Time in ms after which handlers leave the event loop to others, if they are called for what had to wait. */
const TURN_MS = 20;

/** The responses that a connection still owes. */
interface Debt {
  readonly socket: Socket;
  readonly owed: Set<ServerResponse>;
  /** The request that came last, and how many bytes had been read then. */
  last: IncomingMessage | undefined;
  lastAt: number;
  /** Refuses what has come behind the requests of those responses. */
  refuse?: () => void;
}

/** A connection. */
interface Debtor {
  [DEBT]: Debt;
}

/** Returns how many bytes of a connection may be read now. */
function allowance(connection: Duplex & { parser?: unknown }, { owed, socket, last, lastAt }: Debt): number {
  // The connection has been upgraded, and is somebody else's.
  if (!connection.parser) return Infinity;
  if (owed.size >= MAX_OWED) return 0;
  if (!last || last.complete) return HEADER_PIECE;
  const length = Number(last.headers["content-length"] ?? 0);
  return Math.max(length - (socket.bytesRead - lastAt), BODY_PIECE);
}

function owe(request: IncomingMessage, response: ServerResponse): void {
  const debt = debtOf(request);
  // A server may have connections of the kernel's, too.
  if (!debt) return;
  debt.owed.add(response);
  debt.last = request;
  debt.lastAt = debt.socket.bytesRead;
  // Where nobody listens for "upgrade", Node.js answers as if nothing had been said of one, but throws away what has
  // come behind the request, be it half of the next one.
  if (debt.socket.isClosing || request.headers.upgrade !== undefined) response.shouldKeepAlive = false;
  response.on("close", settle);
}

function settle(this: ServerResponse): void {
  const debt = debtOf(this.req);
  if (!debt) return;
  debt.owed.delete(this);
  debt.refuse?.();
  if (debt.owed.size === 0 && debt.socket.isClosing) this.req.socket.end();
  if (debt.owed.size !== MAX_OWED - 1) return;
  waiting.add(debt.socket);
  if (waiting.size === 1) setImmediate(readOn);
}

/** Sockets of which more may be read. It is done in a turn of the event loop's own: handlers may respond at once. */
const waiting = new Set<Socket>();

function readOn(): void {
  const end = performance.now() + TURN_MS;
  for (const socket of waiting) {
    waiting.delete(socket);
    socket.readOn();
    if (performance.now() > end) break;
  }
  if (waiting.size > 0) setImmediate(readOn);
}

function debtOf(request: IncomingMessage): Debt | undefined {
  return (request.socket as Partial<Debtor>)[DEBT];
}

/**
 * Answers a request that is none, or that takes too long, as http.Server does where nobody listens, but behind the
 * responses to requests before it: each of those would be taken for the response to another one.
 */
function refuse(code: string | undefined, connection: Duplex, refused: Refused): void {
  const debt = (connection as unknown as Debtor)[DEBT];
  const owed = [...debt.owed];
  const status = code === undefined ? undefined : REFUSALS[code] ?? (code.startsWith("HPE_") ? 400 : undefined);
  // Whoever has ended awaits no response. A request that is not complete is the one that is refused.
  if (status !== undefined && !connection.readableEnded && owed.some(({ req }) => req.complete)) {
    debt.refuse = () => { refuse(code, connection, refused); };
    return;
  }
  debt.refuse = undefined;
  // Within a response that has begun, another one would be taken for a part of it.
  if (status !== undefined && connection.writable && !owed.some(({ headersSent }) => headersSent)) {
    connection.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`, "latin1");
    refused(status);
  }
  connection.destroy();
}
