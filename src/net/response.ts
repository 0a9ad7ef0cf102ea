/** What http.ServerResponse has no method for, of HTTP/1 and HTTP/2 alike. */
import type { ServerResponse } from "node:http";
import { constants, Http2ServerResponse } from "node:http2";

/**
 * Fulfilled when a response is the next one of its connection, or is closed. Until then HTTP/1 keeps in memory what is
 * written to it.
 */
export async function turnOf(response: ServerResponse | Http2ServerResponse): Promise<void> {
  // Of HTTP/2, none waits for another one.
  if (response instanceof Http2ServerResponse || response.socket !== null) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      response.off("socket", done).off("close", done);
      resolve();
    };
    response.on("socket", done).on("close", done);
  });
}

/** Fulfilled when a response has room for more, or is closed. */
export function taken(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.on("drain", done).on("close", done);
  });
}

/**
 * Ends a response where it is, and its connection: an HTTP/2 session would go on counting what a destroyed stream left
 * behind, and take no new ones for it.
 */
export function cut(response: ServerResponse | Http2ServerResponse): void {
  if (response instanceof Http2ServerResponse) response.stream.session?.destroy();
  else response.destroy();
}

/**
 * Ends a response that cannot be finished, so that its client notices. In an HTTP/2 session, other responses are: it
 * only takes no more requests.
 */
export function breakOff(response: ServerResponse | Http2ServerResponse): void {
  if (response instanceof Http2ServerResponse) {
    const { stream } = response;
    stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    stream.session?.close();
  } else {
    response.destroy();
  }
}
