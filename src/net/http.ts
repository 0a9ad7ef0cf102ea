/** HTTP over connections that did not come by a port of the host. */
import {
  createServer, type IncomingMessage, type RequestListener, type Server, type ServerOptions, type ServerResponse,
} from "node:http";
import type { Duplex } from "node:stream";
import type { Socket } from "./socket.js";

/** Whatever serves sockets. */
export interface HttpService {
  readonly take: (socket: Socket) => void;
  /** Called when there is no socket any more, nor will there be one: ends what goes on without them. */
  readonly close: () => void;
}

/** Returns what gives sockets to an http.Server of their own. */
export function httpService(listener: RequestListener): HttpService {
  const http = new Http1(listener);
  return {
    take(socket) { http.serve(socket, socket); },
    close() { http.close(); },
  };
}

/** An http.Server that is given its connections: sockets, or what is decrypted above them. */
export class Http1 {
  readonly #server: Server;

  constructor(listener: RequestListener, options: ServerOptions = {}) {
    const server = this.#server = createServer(options, listener);
    // http.Server looks for requests that take too long only while it listens.
    server.emit("listening");
    server.prependListener("request", owe);
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
}

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
