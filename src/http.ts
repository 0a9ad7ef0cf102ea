/** The operator's side: /metrics, /-/healthy, /-/ready, a page at / that links them, and /-/reload. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { isIPv6, type AddressInfo } from "node:net";
import type { Registry } from "prom-client";
import { EXIT, Failure, messageOf } from "./failure.js";
import { version } from "./version.js";

export interface Endpoint {
  /** An address or a name; undefined for every address of this machine. */
  readonly host: string | undefined;
  /** 0 for any free one. */
  readonly port: number;
}

export interface Status {
  /** The registry, once there is one. */
  metrics(): Registry | undefined;
  /** Whether packets are being answered now. */
  ready(): boolean;
  /**
   * Fulfilled when the configuration has been read anew and holds, with what could not be done, a line each; undefined where there is none to read. @throws what is wrong with it.
   */
  reload(): Promise<readonly string[]> | undefined;
}

export interface HttpServer {
  /** `http://host:port`, with the port that is really open. */
  readonly url: string;
  close(): Promise<void>;
}

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>pongd</title>
<h1>pongd ${version}</h1>
<ul>
<li><a href="/metrics">Metrics</a>
<li><a href="/-/healthy">Healthy</a>
<li><a href="/-/ready">Ready</a>
</ul>
</html>
`;

/** Reads `host:port`, `[v6]:port` or `:port`. @throws Failure (usage). */
export function parseEndpoint(text: string): Endpoint {
  const match = /^(?:\[([^\]]+)\]|([^:\s[\]]*)):(\d{1,5})$/.exec(text);
  const [, v6, host, port] = (match ?? []) as (string | undefined)[];
  if (!match || Number(port) > 65535 || (v6 !== undefined && !isIPv6(v6))) {
    throw new Failure(`listen address "${text}": write it like 127.0.0.1:7664, [::1]:7664 or :7664`, EXIT.USAGE);
  }
  return { host: host === "" ? undefined : v6 ?? host, port: Number(port) };
}

/** Opens the server. @throws Failure where the port is in use, not permitted, or the address not this machine's. */
export async function serve({ host, port }: Endpoint, status: Status): Promise<HttpServer> {
  const server = createServer((request, response) => {
    answer(request, response, status).catch((error: unknown) => {
      respond(response, 500, `${messageOf(error)}\n`);
    });
  });
  const literal = host === undefined ? "" : isIPv6(host) ? `[${host}]` : host;
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (error) {
    throw explain(error, `${literal}:${port}`);
  }
  return {
    url: `http://${literal || "localhost"}:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, status: Status): Promise<void> {
  const path = request.url?.replace(/\?.*$/, "");
  const allowed = path === "/-/reload" ? ["POST", "PUT"] : ["GET", "HEAD"];
  if (!allowed.includes(request.method ?? "")) {
    response.setHeader("Allow", allowed.join(", "));
    respond(response, 405, "Method Not Allowed\n");
    return;
  }
  switch (path) {
    case "/":
      respond(response, 200, PAGE, "text/html; charset=utf-8");
      return;
    case "/metrics": {
      const registry = status.metrics();
      if (registry) respond(response, 200, await registry.metrics(), registry.contentType);
      else respond(response, 503, "Not Ready\n");
      return;
    }
    case "/-/healthy":
      respond(response, 200, "Healthy\n");
      return;
    case "/-/ready":
      if (status.ready()) respond(response, 200, "Ready\n");
      else respond(response, 503, "Not Ready\n");
      return;
    case "/-/reload":
      await reload(request, response, status);
      return;
    default:
      respond(response, 404, "Not Found\n");
  }
}

async function reload(request: IncomingMessage, response: ServerResponse, status: Status): Promise<void> {
  // A page of another site that somebody's browser shows can send this, too, and a browser says so.
  if (!["same-origin", "none", undefined].includes(request.headers["sec-fetch-site"])) {
    respond(response, 403, "Forbidden: from another site\n");
    return;
  }
  const reloaded = status.reload();
  if (!reloaded) {
    respond(response, 409, "Conflict: pongd runs without a configuration file, or is not up yet\n");
    return;
  }
  const lines = await reloaded;
  respond(response, 200, ["Reloaded", ...lines, ""].join("\n"));
}

function respond(response: ServerResponse, status: number, body: string, type = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "Content-Type": type, "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}

function explain(error: unknown, where: string): unknown {
  if (!(error instanceof Error) || !("code" in error)) return error;
  switch (error.code) {
    case "EADDRINUSE":
      return new Failure(`${where} is in use, perhaps by another pongd; choose another address with --listen`, EXIT.RUNTIME, { cause: error });
    case "EACCES":
      return new Failure(`${where} is not permitted: ports below 1024 need CAP_NET_BIND_SERVICE; choose another with --listen`, EXIT.PERMISSION, { cause: error });
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new Failure(`${where} is no address of this machine; choose another with --listen`, EXIT.RUNTIME, { cause: error });
    default:
      return new Failure(`cannot listen on ${where}: ${error.message}`, EXIT.RUNTIME, { cause: error });
  }
}
