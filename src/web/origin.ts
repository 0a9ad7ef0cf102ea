/** Detects requests sent by a page of another site, in the browser of somebody who may reach pongd (CSRF). */
import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";

/**
 * Returns whether a page of another site sent a request. Browsers say so in Sec-Fetch-Site, but only over HTTPS and on
 * this machine's own addresses. Elsewhere they send Origin alone, with every method but GET and HEAD; it is compared
 * with the host that was asked (RFC 6454 §5). Programs other than browsers send neither.
 */
export function isFromElsewhere({ headers, socket }: Pick<IncomingMessage, "headers" | "socket">): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") return true;
  if (headers.origin === undefined) return false;
  // A page in a sandbox, or from a file, has the origin "null".
  const page = originOf(headers.origin);
  // RFC 9113 §8.3.1: HTTP/2 has :authority in place of Host.
  const host = headers[":authority"] ?? headers.host;
  if (page === undefined || typeof host !== "string") return true;
  // If pongd has no TLS, a proxy may, and the browser then uses https.
  if (socket instanceof TLSSocket && page.protocol !== "https:") return true;
  // URL.origin leaves out the scheme's default port on both sides.
  return page.origin !== originOf(`${page.protocol}//${host}`)?.origin;
}

/** Parses an HTTP or HTTPS URL that is no more than an origin. */
function originOf(text: string): URL | undefined {
  return /^https?:\/\/[^/?#@\\\s]+$/i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
}
