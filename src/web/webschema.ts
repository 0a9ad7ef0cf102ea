/** The schema of a web configuration: the keys of Prometheus's exporter-toolkit, with the values that it takes. */
import { z } from "zod";
import { http } from "../base/builtin.js";
import { boolean, choice, file, list, map, whole } from "../config/shapes.js";

/**
 * Go's names of the cipher suites that crypto/tls calls secure, each with OpenSSL's. TLS 1.3's are the same in both.
 */
export const CIPHERS: Readonly<Record<string, string>> = {
  TLS_AES_128_GCM_SHA256: "TLS_AES_128_GCM_SHA256",
  TLS_AES_256_GCM_SHA384: "TLS_AES_256_GCM_SHA384",
  TLS_CHACHA20_POLY1305_SHA256: "TLS_CHACHA20_POLY1305_SHA256",
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: "ECDHE-ECDSA-AES128-SHA",
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "ECDHE-ECDSA-AES128-GCM-SHA256",
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: "ECDHE-ECDSA-AES256-SHA",
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: "ECDHE-ECDSA-AES256-GCM-SHA384",
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: "ECDHE-RSA-AES128-SHA",
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: "ECDHE-RSA-AES128-GCM-SHA256",
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: "ECDHE-RSA-AES256-SHA",
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: "ECDHE-RSA-AES256-GCM-SHA384",
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-RSA-CHACHA20-POLY1305",
};

/** Go's names of curves, each with OpenSSL's name. */
export const CURVES = { CurveP256: "P-256", CurveP384: "P-384", CurveP521: "P-521", X25519: "X25519" } as const;

/** The exporters' names of TLS versions, each with Node.js's name, from the oldest. */
export const VERSIONS = { TLS10: "TLSv1", TLS11: "TLSv1.1", TLS12: "TLSv1.2", TLS13: "TLSv1.3" } as const;

/** Go's ClientAuthType, and RequireClientCert, which is what exporters called RequireAnyClientCert first. */
export const CLIENT_AUTH = [
  "NoClientCert", "RequestClientCert", "RequireAnyClientCert", "RequireClientCert", "VerifyClientCertIfGiven",
  "RequireAndVerifyClientCert",
] as const;

/** Nanoseconds in each unit of a Go duration. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9,
};
const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

/** Returns the milliseconds of a Go duration; undefined if it is none. A number without a unit is nanoseconds. */
export function durationMs(value: string | number): number | undefined {
  if (typeof value === "number") return value / 1e6;
  if (value === "0") return 0;
  const parts = [...value.matchAll(PART)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== value) return undefined;
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit], 0) / 1e6;
}

const PEM = "text in PEM";
const HASH = "a bcrypt hash of a cost from 4 to 16, 60 characters that begin with $2a$, $2b$ or $2y$, such as "
  + "htpasswd -nBC 10 \"\" prints";
const INTERVAL = "a duration like 1s, 250ms or 1m30s";
const BURST = "a whole number, 0 or more";

/** Makes a key optional. A key without a value counts as missing. */
function key<T extends z.ZodType>(type: T) {
  return type.nullish();
}

function oneOf<const T extends readonly string[]>(choices: T) {
  return choice(choices, `one of ${choices.join(", ")}`);
}

function namesOf<T extends object>(names: T) {
  return oneOf(Object.keys(names) as (string & keyof T)[]);
}

/** Makes the type of a header's value. An empty one counts as missing. YAML makes a number of `X-XSS-Protection: 1`. */
function header(...values: readonly string[]) {
  const expected = values.length > 0 ? values.join(" or ") : "text for a header, on one line";
  return key(z.union([z.string(), z.number()], expected).refine(
    (value) => value === "" || (values.length > 0 ? values.includes(String(value)) : isHeaderValue(String(value))),
    expected,
  ));
}

function isHeaderValue(value: string): boolean {
  try {
    http.validateHeaderValue("X", value);
    return true;
  } catch {
    return false;
  }
}

export const schema = map({
  tls_server_config: key(map({
    cert: key(z.string(PEM)),
    key: key(z.string(PEM)),
    client_ca: key(z.string(PEM)),
    cert_file: key(file()),
    key_file: key(file()),
    client_ca_file: key(file()),
    client_auth_type: key(z.union([z.literal(""), oneOf(CLIENT_AUTH)], `one of ${CLIENT_AUTH.join(", ")}`)),
    client_allowed_sans: key(list(z.string("a name, an address or a URI"), "a list of names, addresses and URIs")),
    min_version: key(namesOf(VERSIONS)),
    max_version: key(namesOf(VERSIONS)),
    cipher_suites: key(list(namesOf(CIPHERS), "a list of cipher suites")),
    prefer_server_cipher_suites: key(boolean()),
    curve_preferences: key(list(namesOf(CURVES), "a list of curves")),
  })),
  http_server_config: key(map({
    http2: key(boolean()),
    headers: key(map({
      "Content-Security-Policy": header(),
      "X-Frame-Options": header("deny", "sameorigin"),
      "X-Content-Type-Options": header("nosniff"),
      "X-XSS-Protection": header(),
      "Strict-Transport-Security": header(),
    })),
  })),
  basic_auth_users: key(z.record(
    z.string(),
    z.string(HASH).regex(/^\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}$/, HASH),
    "a map of users, each with the hash of a password, after a colon and a space",
  )),
  rate_limit: key(map({
    interval: key(
      z.union([z.string(), z.int().min(0)], INTERVAL).refine((value) => durationMs(value) !== undefined, INTERVAL),
    ),
    burst: key(whole(0, Number.MAX_SAFE_INTEGER, BURST)),
  })),
}, "a map of keys like tls_server_config");

export type WebDocument = z.infer<typeof schema>;
