/** Where a running pongd's metrics are, from text. */
import { EXIT, Failure } from "../failure.js";

export const DEFAULT_ADDRESS = "http://127.0.0.1:7664";
const DEFAULT_PORT = 7664;

export interface Address {
  /** Without credentials: it is shown. */
  readonly url: URL;
  readonly user: string | undefined;
  readonly password: string | undefined;
}

/** Reads host, host:port, or a URL with or without /metrics. @throws Failure (usage) */
export function parseAddress(text: string): Address {
  const absolute = /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
  // As --listen writes every address of this machine.
  const local = text.startsWith(":") ? `127.0.0.1${text}` : text;
  const whole = absolute ? text : `http://${local}`;
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:")) {
    // Not the text: a password may be in it.
    throw new Failure(`the address is no URL of a pongd; write it like ${DEFAULT_ADDRESS}, https://host:${DEFAULT_PORT} or host:${DEFAULT_PORT}`, EXIT.USAGE);
  }
  // WHATWG URLs do not tell that :80 was given; it is the scheme's then, as in a URL.
  if (!absolute && url.port === "" && !/:80(\/|$)/.test(local)) url.port = String(DEFAULT_PORT);
  const [user, password] = [url.username, url.password].map((part) => part === "" ? undefined : decoded(part));
  url.username = "";
  url.password = "";
  url.hash = "";
  if (!url.pathname.endsWith("/metrics")) url.pathname = `${url.pathname.replace(/\/$/, "")}/metrics`;
  return { url, user, password };
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
