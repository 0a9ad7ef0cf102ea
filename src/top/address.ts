/** Reads the address of a running pongd's metrics from text. */
import { isIPv6 } from "node:net";
import { EXIT, Failure } from "../base/failure.js";
import { isIncomplete } from "../prefix/endpoints.js";

export const DEFAULT_ADDRESS = "http://127.0.0.1:7664";
const DEFAULT_PORT = 7664;

export interface MetricsAddress {
  /** The URL without credentials. */
  readonly url: URL;
  /** Name in messages: the URL, or the given text if no URL can express it. */
  readonly name: string;
  /** Where to connect to, if that is not the URL's host. */
  readonly connection: { readonly socketPath?: string; readonly hostname?: string };
  readonly user: string | undefined;
  readonly password: string | undefined;
}

/** Reads host, host:port, unix:PATH, or a URL with or without /metrics. @throws Failure (usage) */
export function parseMetricsAddress(text: string): MetricsAddress {
  if (text.startsWith("unix:/")) {
    return { ...parseUrl("http://localhost"), name: text, connection: { socketPath: text.slice("unix:".length) } };
  }
  // A host may be called unix, and then a port follows.
  if (/^unix:(?!\d+(?:\/|$))/.test(text)) {
    throw new Failure("unix: wants the whole path of a socket; write it like unix:/run/pongd.sock", EXIT.USAGE);
  }
  // A URL cannot hold the zone of an address, as in [fe80::1%eth0].
  const [, address = "", zone = ""] = /\[([^\]%]*)%(?:25)?([^\]]+)\]/.exec(text) ?? [];
  const hostname = `${address}%${zone}`;
  if (!isIPv6(hostname)) return parseUrl(text);
  const parsed = parseUrl(text.replace(/%[^\]]+\]/, "]"));
  return { ...parsed, name: parsed.name.replace("]", `%25${zone}]`), connection: { hostname } };
}

function parseUrl(text: string): MetricsAddress {
  const absolute = /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
  // --listen takes :7664 for every address of this machine; here it is the loopback address.
  const local = text.startsWith(":") && !isIPv6(text) ? `127.0.0.1${text}` : text;
  const whole = absolute ? text : `http://${local}`;
  checkHost(whole);
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:")) {
    // The message does not show the text: a password may be in it.
    const examples = `${DEFAULT_ADDRESS}, https://host:${DEFAULT_PORT}, host:${DEFAULT_PORT} or unix:/run/pongd.sock`;
    throw new Failure(`the address is no URL of a pongd; write it like ${examples}`, EXIT.USAGE);
  }
  // A WHATWG URL does not show that :80 was given. The scheme's port, 80, is then right.
  if (!absolute && url.port === "" && !/:80(\/|$)/.test(local)) url.port = String(DEFAULT_PORT);
  const [user, password] = [url.username, url.password].map((part) => part === "" ? undefined : decoded(part));
  url.username = "";
  url.password = "";
  url.hash = "";
  if (!url.pathname.endsWith("/metrics")) url.pathname = `${url.pathname.replace(/\/$/, "")}/metrics`;
  return { url, name: url.href, connection: {}, user, password };
}

/** Refuses hosts that a URL would take for other hosts, or not at all. @throws Failure (usage) */
function checkHost(url: string): void {
  // The message does not show the part before "@": a password may be in it.
  const [, authority = ""] = /^[^:]*:\/\/(?:[^/?#]*@)?([^/?#]*)/.exec(url) ?? [];
  const [, bracketed] = (/^\[(.*)\](?::\d*)?$/s.exec(authority) ?? []) as (string | undefined)[];
  const host = bracketed ?? (isIPv6(authority) ? authority : authority.replace(/:\d*$/, ""));
  if (isIncomplete(host)) {
    throw new Failure(`"${host}" is not an IPv4 address; write four numbers from 0 to 255, like 127.0.0.1`, EXIT.USAGE);
  }
  if (!isIPv6(host)) return;
  if (bracketed === undefined) {
    throw new Failure(`"${host}" is an IPv6 address; put it in brackets, like [::1]:${DEFAULT_PORT}`, EXIT.USAGE);
  }
}

/** Decodes percent escapes. Those that are not UTF-8 stay as they were written. */
function decoded(part: string): string {
  return part.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      return escapes;
    }
  });
}
