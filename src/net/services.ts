/** Makes what takes a service's connections. */
import type { RequestListener } from "node:http";
import { pathToFileURL } from "node:url";
import type { Logger } from "pino";
import { messageOf } from "../base/failure.js";
import type { Content, Handler, StreamService } from "../prefix/streams.js";
import type { ServiceCounts } from "../telemetry/servicecounts.js";
import type { Reply } from "./datagrams.js";
import { files } from "./files.js";
import { counted, guarded } from "./guard.js";
import { httpService } from "./http.js";
import { httpsService } from "./https.js";
import { page } from "./page.js";
import type { PrefixIndex } from "./prefixindex.js";
import { proxy } from "./proxy.js";
import type { Remote } from "./remote.js";
import { breakOff } from "./response.js";
import type { Socket } from "./socket.js";

/** Whoever takes a service's connections. */
export interface Taker {
  /** False ends this side of a connection when the peer has ended its own. */
  readonly allowHalfOpen: boolean;
  take(socket: Socket): void;
  /** Called for a datagram, in a service of UDP. */
  receive?(message: Buffer, remote: Remote, reply: Reply): void;
  /** Called when it has no connection any more, and gets none. */
  close?(): void;
}

/** What a service needs of the thread that it runs in. */
export interface Surroundings {
  readonly log: Logger;
  /** Where the thread counts, and the service's place there. */
  readonly counts: ServiceCounts;
  readonly place: number;
  readonly prefixes: () => PrefixIndex;
}

/** Loads a service. @throws whatever its handler throws */
export async function load({ name, does }: StreamService, around: Surroundings): Promise<Taker> {
  const refused = (status: number) => { around.counts.refused(around.place, status); };
  if ("http" in does) {
    const ends = !("handler" in does.http);
    return { allowHalfOpen: true, ...httpService(await listenerOf(name, does.http, around), refused, ends) };
  }
  if ("tcp" in does) return tcp(name, await importHandler(does.tcp), around);
  if ("udp" in does) return udp(name, await importHandler(does.udp), around);
  if ("caller" in does) throw new Error("nobody takes what comes to it");
  if ("proxy" in does) return { allowHalfOpen: true, take: proxy(does.proxy, does.header, around.log) };
  const { certificates: pairs } = does.https;
  const log = (line: string) => { around.log.error(`service ${name}: ${line}`); };
  return { allowHalfOpen: true, ...httpsService({ pairs, log, refused }, await listenerOf(name, does.https, around)) };
}

function tcp(name: string, handler: (socket: Socket) => unknown, { log, counts, place }: Surroundings): Taker {
  const failed = (error: unknown, socket: Socket) => {
    counts.failed(place);
    log.error(`service ${name}: its handler has failed: ${messageOf(error)}; the connection is reset`);
    socket.resetAndDestroy();
  };
  return { allowHalfOpen: false, take: guarded(handler, failed) };
}

function udp(
  name: string, handler: (message: Buffer, remote: Remote, reply: Reply) => unknown,
  { log, counts, place }: Surroundings,
): Taker {
  const called = guarded(handler, (error) => {
    counts.failed(place);
    log.error(`service ${name}: its handler has failed: ${messageOf(error)}; nothing is sent for it`);
  });
  return {
    allowHalfOpen: false,
    take(socket) { socket.resetAndDestroy(); },
    receive: called,
  };
}

async function listenerOf(
  name: string, content: Content, { log, counts, place, prefixes }: Surroundings,
): Promise<RequestListener> {
  const listener = "page" in content
    ? page(prefixes)
    : "root" in content ? files(content.root) : await importHandler(content) as RequestListener;
  return counted(guarded(listener, (error, _request, response) => {
    counts.failed(place);
    log.error(`service ${name}: its handler has failed: ${messageOf(error)}`);
    if (response.headersSent) breakOff(response);
    else response.writeHead(500, { "Content-Type": "text/plain; charset=utf-8" }).end("the handler has failed\n");
  }), counts, place);
}

/** Imports a handler: each version of the file is a module of its own. */
async function importHandler({ handler, version }: Handler): Promise<(...args: unknown[]) => unknown> {
  const url = pathToFileURL(handler);
  url.searchParams.set("version", version);
  const { default: called } = await import(url.href).catch((error: unknown) => {
    // A SyntaxError's message has no file.
    throw new Error(`${handler}: ${messageOf(error)}`, { cause: error });
  }) as { default?: unknown };
  if (typeof called !== "function") throw new Error(`${handler}: it has no default export that is a function`);
  return called as (...args: unknown[]) => unknown;
}
