/**
 * Routes requests: /metrics, /connections, /sessions, /-/healthy, /-/ready, /-/reload, and the page at / with its files
 * and its events.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { Failure } from "../base/failure.js";
import { cut } from "../net/response.js";
import type { List, ListName } from "../telemetry/lists.js";
import type { Events } from "./events.js";
import { formatFor, type Metrics } from "./exposition.js";
import { fileAt, type File } from "./files.js";
import { giveTerm, type Gate } from "./gate.js";
import type { Listings } from "./listings.js";
import { isFromElsewhere } from "./origin.js";
import type { Renderings } from "./renderings.js";

export interface Backend {
  /** Returns the sources of the metrics, once there are any. */
  metrics(): Metrics | undefined;
  /** Returns the list of TCP connections or of sessions of UDP services, once there may be any. */
  list(name: ListName): List | undefined;
  /** Returns in one line why not everything is answered now; undefined if everything is. */
  obstacle(): string | undefined;
  /**
   * Reads the configuration again. Fulfilled once it holds, with what could not be done, a line each; with
   * undefined if there is no configuration to read.
   * @throws what is wrong with it.
   */
  reload(): Promise<readonly string[] | undefined>;
  /** Events for the page at /. */
  readonly events: Events;
}

/** Serves requests for metrics and lists, which pass all of these. */
export interface Service {
  readonly status: Backend;
  readonly renderings: Renderings;
  /** Limit on responses with metrics that are being read. */
  readonly gate: Gate;
  readonly listings: Listings;
  /** Limit on lists that are being made or read. */
  readonly listGate: Gate;
  /** Term in ms for a response once it can be written. */
  readonly termMs: number;
}

/** Headers that keep all that pongd does not serve out of the page, and the page out of other sites' frames. */
const HEADERS = {
  "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src "
    + "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
};

/**
 * RFC 9110 §9.2.1: safe methods. Any other one may change something, and pages of other sites can send some of them.
 */
const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/**
 * Answers a request. A response that has been ended by then must be read within the server's term. One that goes on has
 * no term: its writer watches over it (limitTaking in gate.ts).
 * @throws any unexpected error, before anything is answered.
 */
export async function answer(request: IncomingMessage, response: ServerResponse, service: Service): Promise<void> {
  const { status } = service;
  // RFC 9112 §3.2.2: the absolute form is meant for proxies, but a server must understand it.
  const path = request.url?.replace(/^https?:\/\/[^/?]*/i, "").replace(/\?.*$/, "") ?? "";
  // Headers that the web configuration sets differently are set already.
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
    case "/metrics":
      await metrics(request, response, service);
      return;
    case "/connections":
      await list(request, response, service, status.list("connections"));
      return;
    case "/sessions":
      await list(request, response, service, status.list("sessions"));
      return;
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

async function metrics(
  { headers: asked, method }: IncomingMessage, response: ServerResponse, { status, renderings, gate, termMs }: Service,
): Promise<void> {
  const sources = status.metrics();
  if (!sources) {
    respond(response, 503, "Not Ready\n");
    return;
  }
  const client = { gone: false };
  response.once("close", () => { client.gone = true; });
  const rendering = await renderings.get(sources, formatFor(asked));
  // A response that is closed already would not be closed again, and would hold its rendering and its place for ever.
  if (client.gone) return;
  response.writeHead(200, { ...rendering.headers, "Content-Length": rendering.length });
  if (method === "HEAD") {
    response.end();
    return;
  }
  renderings.read(rendering, response);
  giveTerm(response, termMs);
  await gate.pour(response, rendering.pieces);
}

/** Answers with those lines of a list that the query asks for, an object of JSON each. */
async function list(
  { url = "", method }: IncomingMessage, response: ServerResponse, { listings, listGate, termMs }: Service,
  from: List | undefined,
): Promise<void> {
  if (!from) {
    respond(response, 503, "Not Ready\n");
    return;
  }
  let lines: ReturnType<List["lines"]>;
  try {
    lines = from.lines(new URLSearchParams(/\?(.*)$/s.exec(url)?.[1]));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    respond(response, 400, `Bad Request: ${error.lines.join(" ")}\n`);
    return;
  }
  response.writeHead(200, { "Content-Type": "application/x-ndjson", "Cache-Control": "no-store" });
  if (method === "HEAD") response.end();
  else await listGate.pour(response, inTime(response, listings.inTurn(lines), termMs));
}

/** Passes on pieces, and cuts the response if the next one is not asked for in time: its client does not read. */
async function* inTime(
  response: ServerResponse, pieces: AsyncIterable<Uint8Array>, termMs: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of pieces) {
    const term = setTimeout(() => { cut(response); }, termMs).unref();
    try {
      yield piece;
    } finally {
      clearTimeout(term);
    }
  }
}

/** Answers with a stream that lasts for as long as the browser wants it. */
function events(request: IncomingMessage, response: ServerResponse, { events }: Backend): void {
  if (request.method === "HEAD") respond(response, 200, "", "text/event-stream");
  else if (events.full) respond(response, 503, "Service Unavailable: too many pages are open\n");
  else events.stream(response);
}

/** Answers with a file, unless the browser has it already. */
function send(request: IncomingMessage, response: ServerResponse, { type, body, etag }: File): void {
  response.setHeader("Cache-Control", "no-cache");
  response.setHeader("ETag", etag);
  if (request.headers["if-none-match"] === etag) response.writeHead(304).end();
  else respond(response, 200, body, type);
}

async function reload(response: ServerResponse, status: Backend): Promise<void> {
  const lines = await status.reload();
  if (lines) respond(response, 200, ["Reloaded", ...lines, ""].join("\n"));
  else respond(response, 409, "Conflict: pongd runs without a configuration file, or is starting or stopping\n");
}

/** Sends a whole response. */
export function respond(
  response: ServerResponse, status: number, body: string | Buffer, type = "text/plain; charset=utf-8",
  headers: OutgoingHttpHeaders = {},
): void {
  response.writeHead(status, { ...headers, "Content-Type": type, "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}
