/** Decides by their certificates which TLS clients may stay. OpenSSL does the verification itself. */
import type { TLSSocket } from "node:tls";
import ipaddr from "ipaddr.js";
import type { CLIENT_AUTH } from "./webschema.js";

export interface ClientPolicy {
  readonly type: typeof CLIENT_AUTH[number];
  /** Names of which a certificate must have one; undefined if any will do. */
  readonly allowedSans: readonly string[] | undefined;
}

/** Returns what is wrong with the client of a connection whose handshake is done; undefined if nothing is. */
export function objection({ type, allowedSans }: ClientPolicy, socket: TLSSocket): string | undefined {
  if (type === "NoClientCert") return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) {
    return type === "RequestClientCert" || type === "VerifyClientCertIfGiven" ? undefined : "it has no certificate";
  }
  if ((type === "VerifyClientCertIfGiven" || type === "RequireAndVerifyClientCert") && !socket.authorized) {
    // Node.js puts an error's code there, although its type says Error.
    return `its certificate is not verified: ${String(socket.authorizationError)}`;
  }
  if (allowedSans && !sansOf(certificate.subjectAltName ?? "").some((san) => allowedSans.includes(san))) {
    return "its certificate has none of client_allowed_sans";
  }
  return undefined;
}

const SAN = /(DNS|email|URI|IP Address|[^:,]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/gy;

/** Returns the names, addresses and URIs of an X509Certificate's subjectAltName, with addresses as Go writes them. */
export function sansOf(text: string): string[] {
  return [...text.matchAll(SAN)].flatMap(([, kind, value]) => {
    const plain = unquoted(value);
    if (plain === undefined) return [];
    if (kind === "IP Address") return ipaddr.isValid(plain) ? [ipaddr.parse(plain).toString()] : [];
    return kind === "DNS" || kind === "email" || kind === "URI" ? [plain] : [];
  });
}

/**
 * Removes the quotes from a name. Node.js quotes, as JSON does, a name that could be taken for several. A name that is
 * quoted in another way is invalid: undefined.
 */
function unquoted(value: string): string | undefined {
  if (!value.startsWith("\"")) return value;
  try {
    return JSON.parse(value) as string;
  } catch {
    return undefined;
  }
}
