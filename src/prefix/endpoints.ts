/** Endpoints at which the HTTP server listens, read from text. */
import { isIP, isIPv4, isIPv6 } from "node:net";
import ipaddr from "ipaddr.js";
import { EXIT, Failure } from "../base/failure.js";

export type Endpoint = TcpEndpoint | UnixEndpoint;

export interface TcpEndpoint {
  /** An address, with its zone if it has one, or a name; undefined for every address of this machine. */
  readonly host: string | undefined;
  /** The port; 0 for any free one. */
  readonly port: number;
}

export interface UnixEndpoint {
  /** Absolute path of the socket's file. */
  readonly path: string;
}

export const ENDPOINT_EXAMPLES = "127.0.0.1:7664, [::1]:7664, :7664 or unix:/run/pongd.sock";
/** What advice names as an example: a port, and endpoints. */
const TO_LISTEN_AT = { port: 7664, endpoints: ENDPOINT_EXAMPLES };
const TO_CONNECT_TO = { port: 8080, endpoints: "127.0.0.1:8080, [::1]:8080 or unix:/run/server.sock" };
/** unix(7): sun_path holds this many bytes and a NUL. */
const MAX_PATH = 107;

/**
 * Reads `host:port`, `[v6]:port`, `[v6%zone]:port`, `:port` or `unix:PATH`. `what` is the endpoint's name in messages.
 * @throws Failure (usage).
 */
export function parseEndpoint(text: string, what = "listen address", examples = TO_LISTEN_AT): Endpoint {
  if (text.startsWith("unix:")) return { path: parsePath(text, what) };
  const match = /^(?:\[([^\]]+)\]|([^:\s[\]]*)):(\d{1,5})$/.exec(text);
  const [, v6, host, port] = (match ?? []) as (string | undefined)[];
  if (!match || Number(port) > 65535 || (v6 !== undefined && !isIPv6(v6)) || isIncomplete(host ?? "")) {
    throw new Failure(`${what} "${text}": ${adviceOn(text, examples)}`, EXIT.USAGE);
  }
  return { host: host === "" ? undefined : v6 ?? host, port: Number(port) };
}

/**
 * Returns whether a host consists of numbers but is no address of four. Resolvers complete such a
 * host: 1.2.3 becomes 1.2.0.3.
 */
export function isIncomplete(host: string): boolean {
  return /(^|\.)(\d+|0x[\da-f]*)\.?$/i.test(host) && !isIPv4(host);
}

/** Says what to write instead of an invalid endpoint. */
function adviceOn(text: string, examples: typeof TO_LISTEN_AT): string {
  const [, host = "", port] = (/^(.*):(\d+)$/s.exec(text) ?? []) as (string | undefined)[];
  if (/^\w+:\/\//.test(text)) return `leave out the scheme, and write it like 127.0.0.1:${examples.port}`;
  if (/^\d+$/.test(text)) {
    return `write a colon before the port, :${text}, or an address and the port, 127.0.0.1:${text}`;
  }
  if (isIPv6(text)) return `put the IPv6 address in brackets, and its port behind it, like [::1]:${examples.port}`;
  if (isIP(text.replace(/^\[(.*)\]$/s, "$1")) !== 0) return `add a port: ${text}:${examples.port}`;
  if (isIncomplete(port === undefined ? text : host)) {
    return `write the address as four numbers from 0 to 255, like 127.0.0.1:${examples.port}`;
  }
  if (Number(port) > 65535) return "write a port from 0 to 65535";
  return `write it like ${examples.endpoints}`;
}

/** Reads an endpoint to connect to: one with a host and a port, or a socket's file. @throws Failure (usage). */
export function parseTarget(text: string, what: string): Endpoint {
  // A port alone means a place to listen at, not one to connect to.
  const endpoint = /^:?\d+$/.test(text) ? { host: undefined, port: 0 } : parseEndpoint(text, what, TO_CONNECT_TO);
  if ("path" in endpoint || (endpoint.host !== undefined && endpoint.port > 0)) return endpoint;
  throw new Failure(`${what} "${text}": write an address and a port, like 127.0.0.1:8080`, EXIT.USAGE);
}

function parsePath(text: string, what: string): string {
  const path = text.slice("unix:".length);
  if (!/^\/(?:[^\p{Cc}]*[^\p{Cc}/])$/u.test(path) || Buffer.byteLength(path) > MAX_PATH) {
    throw new Failure(
      `${what} "${text}": write the whole path, of ${MAX_PATH} bytes at most, like unix:/run/pongd.sock`,
      EXIT.USAGE,
    );
  }
  return path;
}

/** Formats an endpoint as parseEndpoint() reads it. */
export function textOf(endpoint: Endpoint): string {
  if ("path" in endpoint) return `unix:${endpoint.path}`;
  const { host = "", port } = endpoint;
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/**
 * Returns the URL of an endpoint. `scheme` is http or https. A socket's file has no URL, so it is formatted as
 * parseEndpoint() reads it.
 */
export function urlOf(endpoint: Endpoint, scheme: string): string {
  if ("path" in endpoint) return textOf(endpoint);
  // RFC 6874: the "%" before a zone is escaped.
  return `${scheme}://${textOf({ ...endpoint, host: endpoint.host ?? "localhost" }).replace("%", "%25")}`;
}

export function isSamePlace(one: Endpoint, other: Endpoint): boolean {
  if ("path" in one || "path" in other) return "path" in one && "path" in other && one.path === other.path;
  return one.port === other.port && canonical(one.host) === canonical(other.host);
}

function canonical(host = "::"): string {
  return ipaddr.isValid(host) ? ipaddr.parse(host).toString() : host.toLowerCase();
}
