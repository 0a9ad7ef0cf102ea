/** The built-in page: it says which address answers whom. */
import type { IncomingMessage, ServerResponse } from "node:http";

/** Answers with a line of text, or with JSON if the client prefers that, or asks for a path that ends with .json. */
export function page({ socket, headers: { accept = "" }, url = "/", method }: IncomingMessage, response: ServerResponse): void {
  const { localAddress: address = "", localPort: port, remoteAddress = "", remotePort } = socket;
  const isJson = /^[^?]*\.json(?:\?|$)/.test(url) || /^application\/json\b/.test(accept);
  const client = { address: remoteAddress, port: remotePort };
  const body = isJson
    ? `${JSON.stringify({ address, port, client })}\n`
    : `${endpoint(address, port)} answers ${endpoint(remoteAddress, remotePort)}\n`;
  response.writeHead(200, {
    "Content-Type": isJson ? "application/json" : "text/plain; charset=utf-8", "Content-Length": body.length,
  });
  response.end(method === "HEAD" ? undefined : body);
}

function endpoint(address: string, port: number | undefined): string {
  return `${address.includes(":") ? `[${address}]` : address}:${port}`;
}
