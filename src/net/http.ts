/** HTTP over connections that did not come by a port of the host. */
import {
  createServer, STATUS_CODES, type IncomingMessage, type RequestListener, type Server, type ServerOptions,
  type ServerResponse,
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

/** Returns what gives sockets to an http.Server of their own. */
export function httpService(listener: RequestListener, refused?: Refused): HttpService {
  const http = new Http1(listener, {}, refused);
  return {
    take(socket) { http.serve(socket, socket); },
    close() { http.close(); },
  };
}

/** An http.Server that is given its connections: sockets, or what is decrypted above them. */
export class Http1 {
  readonly #server: Server;
  readonly #refused: Refused;

  constructor(listener: RequestListener, options: ServerOptions = {}, refused: Refused = () => undefined) {
    this.#refused = refused;
    const server = this.#server = createServer(options, listener);
    // http.Server looks for requests that take too long only while it listens.
    server.emit("listening");
    server.prependListener("request", owe);
    server.on("clientError", (error: NodeJS.ErrnoException, connection) => { this.#refuse(error.code, connection); });
  }

  /** Serves a connection. Once its socket is closing, it ends behind the responses that it owes. */
  serve(connection: Duplex, socket: Socket): void {
    const owed = new Set<ServerResponse>();
    (connection as Partial<Debtor>)[DEBT] = { socket, owed };
    socket.once("closing", () => { if (owed.size === 0) connection.end(); });
    // A response that waits for the one before it has no socket yet, and Node.js does not tell it of the end.
    connection.once("close", () => {
      for (const response of owed) if (response.socket === null) response.emit("close");
    });
    this.#server.emit("connection", connection);
  }

  /** Looks for requests that take too long no more. */
  close(): void {
    this.#server.close();
  }

  /** Answers a request that is none, or that takes too long, as http.Server does where nobody listens. */
  #refuse(code: string | undefined, connection: Duplex): void {
    const { owed } = (connection as unknown as Debtor)[DEBT];
    const status = code === undefined ? undefined : REFUSALS[code] ?? (code.startsWith("HPE_") ? 400 : undefined);
    // Within a response that has begun, another one would be taken for a part of it.
    if (status !== undefined && connection.writable && ![...owed].some(({ headersSent }) => headersSent)) {
      connection.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`, "latin1");
      this.#refused(status);
    }
    connection.destroy();
  }
}

/** Statuses of what http.Server and its parser refuse; everything else that the parser refuses is a bad request. */
const REFUSALS: Readonly<Partial<Record<string, number>>> = {
  HPE_HEADER_OVERFLOW: 431, HPE_CHUNK_EXTENSIONS_OVERFLOW: 413, ERR_HTTP_REQUEST_TIMEOUT: 408,
};

const DEBT = Symbol("debt");

/** A connection, with its socket and the responses that it still owes. */
interface Debtor {
  [DEBT]: { readonly socket: Socket; readonly owed: Set<ServerResponse> };
}

function owe(request: IncomingMessage, response: ServerResponse): void {
  const { socket, owed } = debtOf(request);
  owed.add(response);
  if (socket.isClosing) response.shouldKeepAlive = false;
  response.on("close", settle);
}

function settle(this: ServerResponse): void {
  const { socket, owed } = debtOf(this.req);
  owed.delete(this);
  if (owed.size === 0 && socket.isClosing) this.req.socket.end();
}

function debtOf(request: IncomingMessage): Debtor[typeof DEBT] {
  return (request.socket as unknown as Debtor)[DEBT];
}
