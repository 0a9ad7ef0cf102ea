/**
 * Reads a web configuration: TLS, users, headers and a rate limit for HTTP, in the format of Prometheus's
 * exporter-toolkit (docs/web-configuration.md there). The file and those that it names are checked whenever somebody
 * connects or asks, and read again if they have changed. If something is wrong then, it is logged, and the last valid
 * configuration stays.
 */
import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { createSecureContext, DEFAULT_CIPHERS, type TlsOptions } from "node:tls";
import type { Logger } from "pino";
import { checkRegular } from "../config/bytes.js";
import type { Problem } from "../config/judge.js";
import { YamlFile } from "../config/reader.js";
import type { Path } from "../config/path.js";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { Sources } from "../base/sources.js";
import type { ClientPolicy } from "./clients.js";
import { RateLimiter } from "../base/ratelimiter.js";
import { CIPHERS, CLIENT_AUTH, CURVES, durationMs, schema, VERSIONS, type WebDocument } from "./webschema.js";

export interface WebConfig {
  /** TLS options; without them, plain HTTP. */
  readonly tls: { readonly options: TlsOptions; readonly clients: ClientPolicy } | undefined;
  /** Headers for every response. */
  readonly headers: ReadonlyMap<string, string>;
  /** The bcrypt hash of each user's password; empty if nobody needs one. */
  readonly users: ReadonlyMap<string, string>;
  readonly limiter: RateLimiter | undefined;
}

export const NO_WEB_CONFIG: WebConfig = { tls: undefined, headers: new Map(), users: new Map(), limiter: undefined };

/** Largest file that is read: ten thousand users. It is read in the thread that serves HTTP. */
const MAX_BYTES = 1 << 20;
/** TLS 1.3's cipher suites, which are not configurable in Go, nor here. */
const TLS13_CIPHERS = Object.keys(CIPHERS).filter((name) => !name.includes("_WITH_"));
/** RFC 9113 §9.2.2: the suites that every peer has. In Go, an HTTP/2 server does not start without one of them. */
const HTTP2_CIPHERS = ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"] as const;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs;

type TlsDocument = NonNullable<WebDocument["tls_server_config"]>;
type TextKey = "cert" | "key" | "client_ca";

/**
 * Reads a file and all that it names. `visit` is called with each name before it is read.
 * @throws Failure (configuration) with a line for each thing that is wrong.
 */
export function readWebConfig(name: string, visit: (file: string) => void = () => undefined): WebConfig {
  visit(name);
  const file = new YamlFile<WebDocument>(
    name, { schema, maxBytes: MAX_BYTES, empty: undefined, secret: isSecret, salvage: () => ({}) },
  );
  file.check();
  const {
    tls_server_config: tls, http_server_config: http, basic_auth_users: users, rate_limit: limit,
  } = file.document;
  const http2 = http?.http2 ?? true;
  const problems: Problem[] = [];
  const read = new TlsReader(name, tls ?? {}, http2, problems, visit).read();
  file.check(problems);
  const intervalMs = durationMs(limit?.interval ?? 0) ?? 0;
  return {
    tls: read,
    headers: new Map(Object.entries(http?.headers ?? {})
      .flatMap(([name, value]) => value === null || value === "" ? [] : [[name, String(value)]])),
    users: new Map(Object.entries(users ?? {})),
    limiter: intervalMs > 0 ? new RateLimiter(intervalMs, limit?.burst ?? 0) : undefined,
  };
}

/** Returns whether a value must not be shown: users, passwords and keys, and what may be a password by mistake. */
function isSecret(path: Path): boolean {
  const [first, second] = path;
  return path.length === 0 || first === "basic_auth_users" || second === "key"
    || /[:$]/.test(String(path[path.length - 1]));
}

class TlsReader {
  readonly #name: string;
  readonly #tls: TlsDocument;
  readonly #http2: boolean;
  readonly #problems: Problem[];
  readonly #visit: (file: string) => void;

  constructor(name: string, tls: TlsDocument, http2: boolean, problems: Problem[], visit: (file: string) => void) {
    this.#name = name;
    this.#tls = tls;
    this.#http2 = http2;
    this.#problems = problems;
    this.#visit = visit;
  }

  /** Returns the TLS options; undefined if no key has a value, or if there are problems. */
  read(): WebConfig["tls"] {
    const tls = this.#tls;
    if (Object.values(tls).every((value) => value === null || value === "")) return undefined;
    const [cert, key, ca] = [this.#text("cert"), this.#text("key"), this.#text("client_ca")];
    const type = CLIENT_AUTH.find((name) => name === tls.client_auth_type) ?? "NoClientCert";
    if (!this.#isGiven("cert")) {
      this.#say([], "cert_file is missing; expected the server's certificate there, or in cert");
    }
    if (!this.#isGiven("key")) {
      this.#say([], "key_file is missing; expected the certificate's private key there, or in key");
    }
    if (type === "NoClientCert") {
      if (this.#isGiven("client_ca")) this.#say(
        [this.#keyOf("client_ca")],
        "no client is asked for a certificate; expected client_auth_type, too, RequireAndVerifyClientCert for instance",
      );
      if (tls.client_allowed_sans) this.#say(
        ["client_allowed_sans"],
        "no client is asked for a certificate; expected client_auth_type, too, RequireAndVerifyClientCert for instance",
      );
    }
    const [min, max] = [tls.min_version ?? "TLS12", tls.max_version ?? "TLS13"];
    if (min > max) this.#say(
      [tls.min_version ? "min_version" : "max_version"],
      `no version is left from ${min} to ${max}; expected a min_version that is not above max_version`,
    );
    const suites = tls.cipher_suites ?? [];
    if (this.#http2 && min < "TLS13" && suites.length > 0 && !HTTP2_CIPHERS.some((suite) => suites.includes(suite))) {
      this.#say(
        ["cipher_suites"],
        `HTTP/2 needs ${HTTP2_CIPHERS.join(" or ")}; add it, or write http2: false in http_server_config`,
      );
    }
    this.#checkPair(cert, key);
    if (ca !== undefined) this.#checkAuthorities(ca);

    const curves = tls.curve_preferences ?? [];
    const ciphers = suites.length > 0
      ? [
          ...TLS13_CIPHERS, ...suites.filter((suite) => !TLS13_CIPHERS.includes(suite)).map((suite) => CIPHERS[suite]),
        ].join(":")
      : DEFAULT_CIPHERS;
    const options: TlsOptions = {
      cert, key, ca,
      minVersion: VERSIONS[min],
      maxVersion: VERSIONS[max],
      // OpenSSL makes the signatures of TLS 1.0 and 1.1 only at security level 0.
      ciphers: min < "TLS12" ? `${ciphers}:@SECLEVEL=0` : ciphers,
      honorCipherOrder: tls.prefer_server_cipher_suites ?? true,
      ...curves.length > 0 && { ecdhCurve: curves.map((curve) => CURVES[curve]).join(":") },
      ALPNProtocols: [...this.#http2 ? ["h2"] : [], "http/1.1"],
      requestCert: type !== "NoClientCert",
      rejectUnauthorized: type === "RequireAndVerifyClientCert",
    };
    if (this.#problems.length > 0) return undefined;
    try {
      createSecureContext(options);
    } catch (error) {
      this.#say([], `this does not do for TLS: ${messageOf(error)}`);
    }
    return { options, clients: { type, allowedSans: tls.client_allowed_sans ?? undefined } };
  }

  #say(path: readonly (string | number)[], message: string): void {
    this.#problems.push({
      path: ["tls_server_config", ...path],
      message: path.length > 0 ? `tls_server_config.${path.join(".")}: ${message}` : `tls_server_config: ${message}`,
    });
  }

  #isGiven(key: TextKey): boolean {
    return Boolean(this.#tls[key]) || Boolean(this.#tls[`${key}_file`]);
  }

  #keyOf(key: TextKey): TextKey | `${TextKey}_file` {
    return this.#tls[`${key}_file`] ? `${key}_file` : key;
  }

  /** Returns the text under a key, or of the file that is named there. */
  #text(key: TextKey): string | undefined {
    const [text, name] = [this.#tls[key], this.#tls[`${key}_file`]];
    if (!name) return text === "" ? undefined : text ?? undefined;
    if (text) this.#say([`${key}_file`], `${key} is given, too; leave one of them out`);
    const file = isAbsolute(name) ? name : join(dirname(this.#name), name);
    this.#visit(file);
    try {
      checkRegular(file);
      return readFileSync(file, "utf8");
    } catch (error) {
      this.#say(
        [`${key}_file`], error instanceof Failure ? error.what : `${file}: cannot be read: ${messageOf(error)}`,
      );
      return undefined;
    }
  }

  #checkPair(cert: string | undefined, key: string | undefined): void {
    const certificate = cert === undefined
      ? undefined
      : this.#try("cert", "no certificate in PEM", () => new X509Certificate(cert));
    const secret = key === undefined
      ? undefined
      : this.#try<KeyObject>("key", "no private key in PEM, or one with a passphrase", () => createPrivateKey(key));
    if (certificate && secret && !certificate.checkPrivateKey(secret)) {
      this.#say([this.#keyOf("key")], `not the private key of the certificate in ${this.#keyOf("cert")}`);
    }
  }

  #checkAuthorities(ca: string): void {
    this.#try("client_ca", "not all certificates in PEM", () => {
      const all = ca.match(CERTIFICATE) ?? [];
      if (all.length === 0) throw new Error("there is none");
      return all.map((one) => new X509Certificate(one));
    });
  }

  #try<T>(key: TextKey, what: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      this.#say([this.#keyOf(key)], `${what}: ${messageOf(error)}`);
      return undefined;
    }
  }
}

/** A web configuration, kept up to date with its files. */
export class WebFile {
  readonly #name: string;
  readonly #log: Logger;
  /** True if the newest configuration is served, and not an older one. */
  successful = true;
  #config: WebConfig;
  #sources: Sources;

  /** @throws Failure (configuration) if it is wrong at the start. */
  constructor(name: string, log: Logger) {
    this.#name = name;
    this.#log = log;
    const { config, sources } = this.#read();
    if (config instanceof Failure) throw config;
    this.#config = config;
    this.#sources = sources;
  }

  /** Returns the last valid configuration, after reading the files again if they have changed. */
  current(): WebConfig {
    if (!this.#sources.changed) return this.#config;
    const { config: read, sources } = this.#read();
    this.#sources = sources;
    const config = opens(this.#config, read)
      ? new Failure(
          `${this.#name}: TLS and users are all gone from it; pongd takes that up when it is started again`,
          EXIT.CONFIG,
        )
      : read;
    this.successful = !(config instanceof Failure);
    if (config instanceof Failure) {
      this.#log.error(`${config.lines.join("; ")}; the web configuration stays as it was`);
    } else {
      this.#config = config;
      this.#log.info("web configuration read anew");
    }
    return this.#config;
  }

  #read(): { config: WebConfig | Failure; sources: Sources } {
    const sources = new Sources();
    let config: WebConfig | Failure;
    try {
      config = readWebConfig(this.#name, (file) => { sources.visit(file); });
    } catch (error) {
      config = error instanceof Failure
        ? error
        : new Failure(`${this.#name}: ${messageOf(error)}`, EXIT.CONFIG, { cause: error });
    }
    return { config, sources };
  }
}

/**
 * Returns whether `after` would let everybody in although `before` did not. A file that is just being written, or was
 * cleared by mistake, reads like that.
 */
function opens(before: WebConfig, after: WebConfig | Failure): boolean {
  const isClosed = ({ tls, users }: WebConfig) => tls !== undefined || users.size > 0;
  return !(after instanceof Failure) && isClosed(before) && !isClosed(after);
}
