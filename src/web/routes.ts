/** What is served where: /metrics, /-/healthy, /-/ready, /-/reload, and the page at / with what belongs to it. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Registry } from "prom-client";
import type { Events } from "./events.js";
import { expose } from "./exposition.js";
import { fileAt, type File } from "./files.js";
import type { Gate } from "./gate.js";
import { isFromElsewhere } from "./origin.js";

export interface Backend {
  /** The registry, once there is one. */
  metrics(): Registry | undefined;
  /** Why not everything is answered now, in one line; undefined where it is. */
  obstacle(): string | undefined;
  /**
   * Fulfilled when the configuration has been read anew and holds, with what could not be done, a line each; undefined
   * where there is none to read. @throws what is wrong with it.
   */
  reload(): Promise<readonly string[]> | undefined;
  /** What the page at / is told. */
  readonly events: Events;
}

/** Nothing but what pongd itself serves gets into a page, and a page gets nowhere else. */
const HEADERS = {
  "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src "
    + "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
};

/** RFC 9110 §9.2.1. Every other method may change something, and pages of other sites can send some of them. */
const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/**
 * Answers a request. What it has ended by then must be taken within the server's term; a response that goes on has
 * none, and whoever writes it watches over it (limitTaking in gate.ts). `gate`: of requests for metrics. @throws
 * whatever cannot be helped, before it has answered.
 */
export async function answer(
  request: IncomingMessage, response: ServerResponse, status: Backend, gate: Gate,
): Promise<void> {
  // RFC 9112 §3.2.2: the absolute form is a proxy's, and to be understood.
  const path = request.url?.replace(/^https?:\/\/[^/?]*/i, "").replace(/\?.*$/, "") ?? "";
  // What the web configuration says instead has been set.
  for (const [name, value] of Object.entries(HEADERS)) if (!response.hasHeader(name)) response.setHeader(name, value);
  const allowed = path === "/-/reload" ? ["POST", "PUT"] : ["GET", "HEAD"];
  if (!allowed.includes(request.method ?? "")) {
    response.setHeader("Allow", allowed.join(", "));
    respond(response, 405, "Method Not Allowed\n");
    return;
  }
  if (!SAFE_METHODS.has(request.method ?? "") && isFromElsewhere(request)) {
    respond(response, 403, "Forbidden: sent by a page of another site\n");
    return;
  }
  switch (path) {
    case "/metrics": {
      const registry = status.metrics();
      if (!registry) {
        respond(response, 503, "Not Ready\n");
      } else if (!gate.enter(response)) {
        respond(
          response,
          503,
          `Service Unavailable: ${gate.limit} requests are being served, as many as --max-requests allows\n`,
        );
      } else {
        const { body, type, headers } = await expose(registry, request.headers);
        respond(response, 200, body, type, headers);
      }
      return;
    }
    case "/-/healthy":
      respond(response, 200, "Healthy\n");
      return;
    case "/-/ready": {
      const obstacle = status.obstacle();
      if (obstacle === undefined) respond(response, 200, "Ready\n");
      else respond(response, 503, `Not Ready: ${obstacle}\n`);
      return;
    }
    case "/-/reload":
      await reload(response, status);
      return;
    case "/events":
      events(request, response, status);
      return;
    default: {
      const file = fileAt(path);
      if (file) send(request, response, file);
      else respond(response, 404, "Not Found\n");
    }
  }
}

/** A stream that lasts for as long as the browser wants it. */
function events(request: IncomingMessage, response: ServerResponse, { events }: Backend): void {
  if (request.method === "HEAD") respond(response, 200, "", "text/event-stream");
  else if (events.full) respond(response, 503, "Service Unavailable: too many pages are open\n");
  else events.stream(response);
}

/** A file, unless the browser has it already. */
function send(request: IncomingMessage, response: ServerResponse, { type, body, etag }: File): void {
  response.setHeader("Cache-Control", "no-cache");
  response.setHeader("ETag", etag);
  if (request.headers["if-none-match"] === etag) response.writeHead(304).end();
  else respond(response, 200, body, type);
}

async function reload(response: ServerResponse, status: Backend): Promise<void> {
  const reloaded = status.reload();
  if (!reloaded) {
    respond(response, 409, "Conflict: pongd runs without a configuration file, or is not up yet\n");
    return;
  }
  const lines = await reloaded;
  respond(response, 200, ["Reloaded", ...lines, ""].join("\n"));
}

/** A whole response. */
export function respond(
  response: ServerResponse, status: number, body: string | Uint8Array, type = "text/plain; charset=utf-8",
  headers: OutgoingHttpHeaders = {},
): void {
  response.writeHead(status, { ...headers, "Content-Type": type, "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}
