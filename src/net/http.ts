/** HTTP over sockets that did not come by a port of the host. */
import { createServer, type RequestListener } from "node:http";
import type { Socket } from "./socket.js";

/** Returns what gives sockets to an http.Server of their own. */
export function httpService(listener: RequestListener): (socket: Socket) => void {
  const server = createServer(listener);
  // http.Server looks for requests that take too long only while it listens.
  server.emit("listening");
  /** Responses that a socket still owes. */
  const owed = new WeakMap<object, number>();
  server.prependListener("request", ({ socket }, response) => {
    owed.set(socket, (owed.get(socket) ?? 0) + 1);
    if ((socket as unknown as Socket).isClosing) response.shouldKeepAlive = false;
    response.once("close", () => {
      const left = (owed.get(socket) ?? 1) - 1;
      owed.set(socket, left);
      if (left === 0 && (socket as unknown as Socket).isClosing) socket.end();
    });
  });
  return (socket) => {
    socket.once("closing", () => { if (!owed.get(socket)) socket.end(); });
    server.emit("connection", socket);
  };
}
