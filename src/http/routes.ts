/** What is served where: /metrics, /-/healthy, /-/ready, a page at / that links them, and /-/reload. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Registry } from "prom-client";
import { version } from "../version.js";

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

/** Answers a request. @throws whatever cannot be helped, before it has answered. */
export async function answer(request: IncomingMessage, response: ServerResponse, status: Status): Promise<void> {
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

/** A whole response. `body`: text. */
export function respond(response: ServerResponse, status: number, body: string, type = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "Content-Type": type, "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}
