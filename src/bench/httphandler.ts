/** The handler of `bench http`: the same for pongd and for the kernel's sockets. */
import type { IncomingMessage, ServerResponse } from "node:http";

const BODY = "Hello, world\n";
const CHUNK = Buffer.alloc(65_536);
/** Bytes of the long response: nobody waits for its end. */
const LONG = 2 ** 50;
/** Path of the long response. */
export const LONG_PATH = "/long";

export default function handle({ url }: IncomingMessage, response: ServerResponse): void {
  if (url !== LONG_PATH) {
    response.writeHead(200, { "Content-Type": "text/plain", "Content-Length": BODY.length });
    response.end(BODY);
    return;
  }
  response.writeHead(200, { "Content-Type": "application/octet-stream", "Content-Length": LONG });
  const fill = () => {
    while (response.write(CHUNK));
  };
  response.on("drain", fill);
  fill();
}
