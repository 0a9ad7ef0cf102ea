/**
 * What service threads do with connections and datagrams, as a configuration says it: plain data that any thread can be
 * handed.
 */
import { createHash } from "node:crypto";
import type { Endpoint } from "./endpoints.js";

/** Bytes of an id. */
export const ID_BYTES = 8;

export interface StreamService {
  /** Its name in the configuration, and label in metrics. */
  readonly name: string;
  readonly does: Does;
  /** Tells it from any other service, and from itself once its files have changed: 2 × ID_BYTES hexadecimal digits. */
  readonly id: string;
}

export type Does
  = | { readonly http: Content }
    | { readonly https: Content & { readonly certificates: readonly Certificate[] } }
    | { readonly tcp: Handler }
    | { readonly udp: Handler; readonly sources: Sources }
    /** Whoever uses pongd as a library takes them itself, and knows the service by this number. */
    | { readonly caller: number }
    | { readonly proxy: Endpoint; readonly header: ProxyHeader | undefined };

/** What answers requests: files of a folder, a handler, or a page that says who asks and whom. */
export type Content = { readonly root: string } | Handler | { readonly page: true };

/** An ES module of the user's; its default export is called. */
export interface Handler {
  /** Full path. */
  readonly handler: string;
  /** Changes whenever the file does. */
  readonly version: string;
}

/** Full paths of PEM files. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Version of the PROXY protocol in which a proxied connection says where it comes from. */
export const PROXY_HEADERS = ["v1", "v2"] as const;
export type ProxyHeader = typeof PROXY_HEADERS[number];

/** Source ports from which a service of UDP is asked: those of clients, or any. */
export const UDP_SOURCES = ["unprivileged", "any"] as const;
export type Sources = typeof UDP_SOURCES[number];

/** The service that needs no entry: a page on HTTP. */
export const PAGE: StreamService = { name: "http", does: { http: { page: true } }, id: "" };

/** Makes a service with its id. */
export function streamService(name: string, does: Does): StreamService {
  const hash = createHash("sha256").update(JSON.stringify([name, does])).digest("hex");
  return { name, does, id: hash.slice(0, 2 * ID_BYTES) };
}
