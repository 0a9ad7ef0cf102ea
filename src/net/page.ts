/** The page of an address: who answers, and to whom. As text for a person, as JSON for a program. */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { isIPv6 } from "node:net";
import { formatBytes } from "../prefix/prefixes.js";
import type { PrefixIndex } from "./prefixindex.js";
import type { Socket } from "./socket.js";

/** What a page tells, and the JSON form of it. */
interface Told {
  readonly address: string;
  readonly port: number;
  /** The prefix that the address belongs to, and its name; null if it is not served any more. */
  readonly prefix: string | null;
  readonly name?: string;
  readonly client: string;
  readonly clientPort: number;
}

/** `prefixes` returns those that are served now. */
export function page(prefixes: () => PrefixIndex): RequestListener {
  return (request, response) => {
    // What is asked for does not matter, and a body is no part of a question.
    request.resume();
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (!isRead) {
      response.writeHead(405, { Allow: "GET, HEAD", "Content-Type": "text/plain; charset=utf-8" });
      response.end("only GET and HEAD are answered\n");
      return;
    }
    const told = tell(request.socket as unknown as Socket, prefixes());
    if (wantsJson(request)) send(response, "application/json", `${JSON.stringify(told)}\n`);
    else send(response, "text/plain; charset=utf-8", toText(told));
  };
}

function tell(socket: Socket, prefixes: PrefixIndex): Told {
  const { localAddress, localPort: port, remoteAddress, remotePort: clientPort, owner } = socket.ends;
  const [address, client] = [localAddress, remoteAddress].map(formatBytes);
  const { text = null, name } = prefixes.of(owner) ?? {};
  return { address, port, prefix: text, ...name !== undefined && { name }, client, clientPort };
}

function toText({ address, port, prefix, name, client, clientPort }: Told): string {
  const of = prefix === null ? "" : ` of ${prefix}${name === undefined ? "" : ` (${name})`}`;
  return `${joined(address, port)}${of} answers ${joined(client, clientPort)}\n`;
}

function joined(address: string, port: number): string {
  return `${isIPv6(address) ? `[${address}]` : address}:${port}`;
}

function wantsJson({ headers: { accept = "" }, url = "" }: IncomingMessage): boolean {
  return /\bapplication\/json\b/.test(accept) || /\.json(?:\?|$)/.test(url);
}

function send(response: ServerResponse, type: string, body: string): void {
  response.writeHead(200, {
    "Content-Type": type, "Content-Length": Buffer.byteLength(body), "Cache-Control": "no-store", Vary: "Accept",
  });
  response.end(body);
}
