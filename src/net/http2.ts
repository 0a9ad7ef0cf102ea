/** HTTP/2 over connections that did not come by a port of the host. */
import { maxHeaderSize, type RequestListener } from "node:http";
import { constants, createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import type { Socket } from "./socket.js";

/**
 * Requests under way on a connection. Other floods are bounded by Node.js and its nghttp2: memory (10 MB a session),
 * headers, CONTINUATION frames, pings and settings that wait for an answer, and streams that the client resets (1000 at
 * once, 33 a second).
 */
const MAX_STREAMS = 100;

export interface Http2Options {
  /** Term in ms for a whole request. */
  readonly requestTimeout: number;
  /** Milliseconds for which a connection may have no request, or be full both ways. */
  readonly idleTimeout: number;
}

/** An HTTP/2 server that is given its connections. */
export class Http2 {
  readonly #server: Http2Server;
  readonly #options: Http2Options;

  constructor(listener: RequestListener, options: Http2Options) {
    this.#options = options;
    this.#server = createServer({
      settings: { maxConcurrentStreams: MAX_STREAMS, maxHeaderListSize: maxHeaderSize },
      // Node.js's compatibility API gives objects that a listener can use like those of HTTP/1.
    }, listener as unknown as Parameters<typeof createServer>[1]);
  }

  /** Serves a connection. Once its socket is closing, it ends behind the responses that it owes. */
  serve(connection: Duplex, socket: Socket): void {
    const onSession = (session: ServerHttp2Session) => { this.#watch(session, socket); };
    this.#server.once("session", onSession);
    this.#server.emit("connection", connection);
    this.#server.off("session", onSession);
  }

  #watch(session: ServerHttp2Session, socket: Socket): void {
    const { idleTimeout } = this.#options;
    let open = 0;
    let read = 0;
    const look = () => {
      // Bytes alone do not count: neither pings nor headers that never end keep a connection. One on which nghttp2 has
      // given up, as it does in a flood, is not read any more, not even its end, and Node.js leaves it open.
      if (open === 0 || (socket.isPaused() && socket.bytesRead === read)) session.destroy();
      else wait();
      read = socket.bytesRead;
    };
    let idle: NodeJS.Timeout | undefined;
    const wait = () => {
      clearTimeout(idle);
      idle = setTimeout(look, idleTimeout).unref();
    };
    wait();
    const close = () => { if (!session.closed) session.close(); };
    socket.once("closing", close);
    // As http.Server does it: whoever has ended awaits no response.
    socket.once("end", () => { session.destroy(); });
    session.once("close", () => { clearTimeout(idle); });
    session.on("stream", (stream: ServerHttp2Stream) => {
      open++;
      if (socket.isClosing) close();
      this.#giveTerm(stream);
      stream.once("close", () => {
        open--;
        if (!session.closed) wait();
      });
    });
  }

  /** Resets a request whose body does not end in time. */
  #giveTerm(stream: ServerHttp2Stream): void {
    if (stream.endAfterHeaders) return;
    const term = setTimeout(() => { stream.close(constants.NGHTTP2_CANCEL); }, this.#options.requestTimeout).unref();
    const done = () => { clearTimeout(term); };
    stream.once("end", done).once("close", done);
  }
}
