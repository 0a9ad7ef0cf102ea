/** Where a running pongd's metrics are, from text. */
import { isIPv6 } from "node:net";
import { EXIT, Failure } from "../base/failure.js";
import { isIncomplete } from "../prefix/endpoints.js";

export const DEFAULT_ADDRESS = "http://127.0.0.1:7664";
const DEFAULT_PORT = 7664;

export interface MetricsAddress {
  /** Without credentials. */
  readonly url: URL;
  /** What it is called: the URL, or what no URL can say. */
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
  // A URL has no room for the zone of an address, [fe80::1%eth0].
  const [, address = "", zone = ""] = /\[([^\]%]*)%(?:25)?([^\]]+)\]/.exec(text) ?? [];
  const hostname = `${address}%${zone}`;
  if (!isIPv6(hostname)) return parseUrl(text);
  const parsed = parseUrl(text.replace(/%[^\]]+\]/, "]"));
  return { ...parsed, name: parsed.name.replace("]", `%25${zone}]`), connection: { hostname } };
}

function parseUrl(text: string): MetricsAddress {
  const absolute = /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
  // As --listen writes every address of this machine.
  const local = text.startsWith(":") && !isIPv6(text) ? `127.0.0.1${text}` : text;
  const whole = absolute ? text : `http://${local}`;
  checkHost(whole);
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:")) {
    // Not the text: a password may be in it.
    const examples = `${DEFAULT_ADDRESS}, https://host:${DEFAULT_PORT}, host:${DEFAULT_PORT} or unix:/run/pongd.sock`;
    throw new Failure(`the address is no URL of a pongd; write it like ${examples}`, EXIT.USAGE);
  }
  // WHATWG URLs do not tell that :80 was given; it is the scheme's then, as in a URL.
  if (!absolute && url.port === "" && !/:80(\/|$)/.test(local)) url.port = String(DEFAULT_PORT);
  const [user, password] = [url.username, url.password].map((part) => part === "" ? undefined : decoded(part));
  url.username = "";
  url.password = "";
  url.hash = "";
  if (!url.pathname.endsWith("/metrics")) url.pathname = `${url.pathname.replace(/\/$/, "")}/metrics`;
  return { url, name: url.href, connection: {}, user, password };
}

/** Refuses hosts that a URL would take for others, or not at all. @throws Failure (usage) */
function checkHost(url: string): void {
  // What stands before "@" is not shown: a password may be in it.
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

/** What is no escape of UTF-8 is as it was written. */
function decoded(part: string): string {
  return part.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      return escapes;
    }
  });
}
