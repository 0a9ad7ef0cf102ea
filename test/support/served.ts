/** Serves what an operator sees, with no pongd behind it, and has clients for it. */
import { once } from "node:events";
import { request as httpRequest, type Agent, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { connect as connectHttp2, constants, type ClientHttp2Session } from "node:http2";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { pino } from "pino";
import { Registry } from "prom-client";
import { urlOf, type Endpoint } from "../../src/prefix/endpoints.js";
import type { InheritedSocket } from "../../src/sys/activation.js";
import { Events } from "../../src/web/events.js";
import type { Backend } from "../../src/web/routes.js";
import type { List } from "../../src/telemetry/lists.js";
import { openSockets } from "../../src/web/listener.js";
import { serve, type ServeOptions } from "../../src/web/server.js";
import { WebFile } from "../../src/web/webconfig.js";
import "./process.js";
import type { Pair } from "./x509.js";

/** A registry that says what `text` returns. */
export class Says extends Registry {
  readonly #text: () => string | Promise<string>;

  constructor(text: () => string | Promise<string>) {
    super();
    this.#text = text;
  }

  override metrics(): Promise<string> {
    return Promise.resolve(this.#text());
  }
}

/** A server, and the sockets that it accepts connections from. */
export interface HttpServer {
  readonly urls: readonly string[];
  close(): Promise<void>;
}

/** A server at one place. */
export interface LocalServer extends HttpServer {
  readonly url: string;
}

/** Opens sockets at the places, and serves there in this thread. */
export async function serveAt(
  places: readonly (Endpoint | InheritedSocket)[], status: Backend, options: ServeOptions = {},
): Promise<HttpServer> {
  const sockets = await openSockets(places);
  const end = await serve(sockets.map((socket) => socket.duplicate()), status, options);
  const scheme = options.web?.current().tls ? "https" : "http";
  return {
    urls: sockets.map(({ endpoint }) => urlOf(endpoint, scheme)),
    async close() {
      await end();
      for (const socket of sockets) socket.close();
    },
  };
}

/** Serves on any free port of 127.0.0.1. */
export async function serveLocally(status: Backend, options: ServeOptions = {}): Promise<LocalServer> {
  const server = await serveAt([{ host: "127.0.0.1", port: 0 }], status, options);
  return { ...server, url: server.urls[0] };
}

/** What a Backend without a configuration does when it is asked to reload. */
export const noReload = (): Promise<undefined> => Promise.resolve(undefined);

export interface Served extends LocalServer {
  readonly port: number;
  /** Messages that were logged at level info or above. */
  readonly log: readonly string[];
}

const open = new Set<HttpServer>();

/** Closes every server that is still open. Call it after each test, however that went. */
export async function closeServed(): Promise<void> {
  await Promise.all(Array.from(open, (server) => {
    open.delete(server);
    return server.close();
  }));
}

/** Serves on any free port of 127.0.0.1, until closeServed() at the latest. `web`: a web configuration's file. */
export async function served({ web, text = () => "metrics\n", list, sessions, reload, ...options }: {
  web?: string;
  text?: () => string | Promise<string>;
  /** The list of connections. */
  list?: List;
  sessions?: List;
  reload?: Backend["reload"];
} & Omit<ServeOptions, "web"> = {}): Promise<Served> {
  const lines: string[] = [];
  const log = pino(
    { level: "info" }, { write: (line: string) => { lines.push((JSON.parse(line) as { msg: string }).msg); } },
  );
  const registry = new Says(text);
  const status: Backend = {
    metrics: () => ({ registry }), list: (name) => name === "sessions" ? sessions : list, obstacle: () => undefined,
    reload: reload ?? noReload, events: new Events(() => undefined),
  };
  const server = await serveLocally(
    status, { ...options, web: web === undefined ? undefined : new WebFile(web, log), log },
  );
  open.add(server);
  const close = () => {
    open.delete(server);
    return server.close();
  };
  return { ...server, close, port: Number(new URL(server.url).port), log: lines };
}

export interface Asked {
  readonly ca?: string;
  readonly client?: Pair | undefined;
  readonly user?: string;
  readonly password?: string;
  readonly headers?: Record<string, string>;
  readonly method?: string;
  readonly agent?: Agent;
  readonly tls?: { minVersion?: "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3"; maxVersion?: "TLSv1" | "TLSv1.1"
    | "TLSv1.2" | "TLSv1.3"; ciphers?: string; ecdhCurve?: string; session?: Buffer; };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The connection that the answer came over. */
  readonly socket: Socket;
  /** Over TLS, the fingerprint of the server's certificate. */
  readonly fingerprint?: string;
  readonly protocol?: string | null;
  readonly resumed?: boolean;
}

/** Sends a request by HTTP/1.1. @throws Error where there is no connection, or it ends before the response does. */
export async function ask(
  url: string, { ca, client, user, password = "", headers = {}, method = "GET", agent, tls }: Asked = {},
): Promise<Answer> {
  const auth = user === undefined ? undefined : `${user}:${password}`;
  const secure = url.startsWith("https:");
  const given = { method, auth, headers, agent: agent ?? false };
  const request = secure ? httpsRequest(url, { ...given, ca, ...client, ...tls }) : httpRequest(url, given);
  request.end();
  const [response] = await once(request, "response") as [IncomingMessage];
  const { socket } = response;
  const secured = socket instanceof TLSSocket ? socket : undefined;
  const seen = secured && {
    fingerprint: secured.getPeerCertificate().fingerprint256, protocol: secured.getProtocol(),
    resumed: secured.isSessionReused(),
  };
  let body = "";
  for await (const chunk of response.setEncoding("utf8")) body += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, body, socket, ...seen };
}

/** Opens an HTTP/2 connection. @throws Error where the server speaks no HTTP/2. */
export async function http2(url: string, ca: string): Promise<ClientHttp2Session> {
  const session = connectHttp2(url, { ca });
  await once(session, "connect");
  return session;
}

/** Sends a request over an HTTP/2 connection. */
export async function askHttp2(
  session: ClientHttp2Session, path: string, authorization?: string, more: Record<string, string> = {},
): Promise<{ status: number; headers: Record<string, unknown>; body: string }> {
  const stream = session.request(
    { [constants.HTTP2_HEADER_PATH]: path, ...authorization !== undefined && { authorization }, ...more },
  );
  const [headers] = await once(stream, "response") as [Record<string, unknown>];
  let body = "";
  for await (const chunk of stream.setEncoding("utf8")) body += String(chunk);
  return { status: Number(headers[constants.HTTP2_HEADER_STATUS]), headers, body };
}

export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}
