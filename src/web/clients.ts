/** Which clients a TLS connection is kept with, by their certificates. Verification itself is OpenSSL's. */
import type { TLSSocket } from "node:tls";
import ipaddr from "ipaddr.js";
import type { CLIENT_AUTH } from "./webschema.js";

export interface ClientPolicy {
  readonly type: typeof CLIENT_AUTH[number];
  /** Of which a certificate must have one, if there is a list. */
  readonly allowedSans: readonly string[] | undefined;
}

/** What is wrong with the client of a connection whose handshake is done; undefined where nothing is. */
export function objection({ type, allowedSans }: ClientPolicy, socket: TLSSocket): string | undefined {
  if (type === "NoClientCert") return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) {
    return type === "RequestClientCert" || type === "VerifyClientCertIfGiven" ? undefined : "it has no certificate";
  }
  if ((type === "VerifyClientCertIfGiven" || type === "RequireAndVerifyClientCert") && !socket.authorized) {
    // An error's code, whatever its type says.
    return `its certificate is not verified: ${String(socket.authorizationError)}`;
  }
  if (allowedSans && !sansOf(certificate.subjectAltName ?? "").some((san) => allowedSans.includes(san))) {
    return "its certificate has none of client_allowed_sans";
  }
  return undefined;
}

const SAN = /(DNS|email|URI|IP Address|[^:,]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/gy;

/** The names, addresses and URIs of an X509Certificate's subjectAltName, addresses as Go writes them. */
export function sansOf(text: string): string[] {
  return [...text.matchAll(SAN)].flatMap(([, kind, value]) => {
    const plain = unquoted(value);
    if (plain === undefined) return [];
    if (kind === "IP Address") return ipaddr.isValid(plain) ? [ipaddr.parse(plain).toString()] : [];
    return kind === "DNS" || kind === "email" || kind === "URI" ? [plain] : [];
  });
}

/**
 * Node.js quotes, as JSON does, what could be taken for more than one. What is quoted otherwise is no name: undefined.
 */
function unquoted(value: string): string | undefined {
  if (!value.startsWith("\"")) return value;
  try {
    return JSON.parse(value) as string;
  } catch {
    return undefined;
  }
}
