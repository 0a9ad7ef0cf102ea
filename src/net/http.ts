/** HTTP over connections that did not come by a port of the host. */
import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
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
  const http = new Http1(createServer(listener));
  return {
    take(socket) { http.serve(socket, socket); },
    close() { http.close(); },
  };
}

/** An http.Server that is given its connections: sockets, or what is decrypted above them. */
export class Http1 {
  readonly #server: Pick<Server, "emit" | "close">;
  /** Responses that a connection still owes. */
  readonly #owed = new WeakMap<object, Set<ServerResponse>>();
  /** The socket of a connection. */
  readonly #sockets = new WeakMap<object, Socket>();

  constructor(server: Pick<Server, "listening" | "prependListener" | "emit" | "close">) {
    this.#server = server;
    // http.Server looks for requests that take too long only while it listens.
    if (!server.listening) server.emit("listening");
    server.prependListener("request", ({ socket: connection }, response) => {
      const isClosing = () => this.#sockets.get(connection)?.isClosing === true;
      const owed = this.#owed.get(connection);
      owed?.add(response);
      if (isClosing()) response.shouldKeepAlive = false;
      response.once("close", () => {
        owed?.delete(response);
        if (owed?.size === 0 && isClosing()) connection.end();
      });
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
    this.#owed.set(connection, owed);
    this.#sockets.set(connection, socket);
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
