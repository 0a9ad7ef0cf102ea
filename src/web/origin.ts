/** Whether a request was sent by a page of another site, in the browser of somebody who may reach pongd (CSRF). */
import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";

/**
 * Browsers tell by Sec-Fetch-Site, but only over HTTPS and on this machine's own addresses. Elsewhere they send Origin
 * alone, with every method but GET and HEAD; it is compared with the host that was asked (RFC 6454 §5). Programs other
 * than browsers send neither.
 */
export function isFromElsewhere({ headers, socket }: Pick<IncomingMessage, "headers" | "socket">): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") return true;
  if (headers.origin === undefined) return false;
  // "null" is the origin of a page in a sandbox, or from a file.
  const page = originOf(headers.origin);
  // RFC 9113 §8.3.1: HTTP/2 has :authority in place of Host.
  const host = headers[":authority"] ?? headers.host;
  if (page === undefined || typeof host !== "string") return true;
  // Without TLS here there may be some at a proxy, which the browser then asks by https.
  if (socket instanceof TLSSocket && page.protocol !== "https:") return true;
  // Both leave the scheme's own port out.
  return page.origin !== originOf(`${page.protocol}//${host}`)?.origin;
}

/** A URL of HTTP or HTTPS that is no more than an origin. */
function originOf(text: string): URL | undefined {
  return /^https?:\/\/[^/?#@\\\s]+$/i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
}
