/**
 * Fuzzes the web configuration. It is one, or refused with places within the text, piece by piece as a whole. No
 * refusal shows a password's hash.
 */
import assert from "node:assert/strict";
import { validateHeaderValue } from "node:http";
import { parse } from "yaml";
import { withLineFeeds } from "../../../src/config/bytes.js";
import { Failure } from "../../../src/base/failure.js";
import { readWebConfig } from "../../../src/web/webconfig.js";
import { CIPHERS, CLIENT_AUTH, CURVES, VERSIONS } from "../../../src/web/webschema.js";
import type { Reader } from "../guided.js";
import { Folder } from "./folder.js";
import { checkPlaces, refusalOr } from "./refused.js";
import { checkPieces, YAML } from "./yaml.js";

const HASH = "$2y$10$abcdefghijklmnopqrstuuSH3xWBhNOFLrSH2.V1cEZcDULiqMzbi";
const KEYS = [
  "tls_server_config", "cert", "key", "client_ca", "cert_file", "key_file", "client_ca_file", "client_auth_type",
  "client_allowed_sans", "min_version", "max_version", "cipher_suites",
  "prefer_server_cipher_suites", "curve_preferences", "http_server_config", "http2", "headers",
  "Content-Security-Policy", "X-Frame-Options", "X-Content-Type-Options", "X-XSS-Protection",
  "Strict-Transport-Security", "basic_auth_users", "rate_limit", "interval", "burst",
];

let folder: Folder;

export const webconfig: Reader = {
  covers: ["/build/src/", "/node_modules/yaml/"],
  dictionary: [
    ...YAML, ...KEYS.map((key) => `${key}: `), ...Object.keys(CIPHERS), ...Object.keys(CURVES), ...Object
      .keys(VERSIONS), ...CLIENT_AUTH, HASH, "1m30s", "250ms", "0", "µs", "nosniff", "deny", "other.pem",
    "-----BEGIN CERTIFICATE-----\\n", "-----END CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----\\n",
  ],
  seeds: [
    `basic_auth_users:\n  admin: ${HASH}\nrate_limit: { interval: 1s, burst: 3 }\n`,
    "tls_server_config: { cert_file: other.pem, key_file: other.pem, client_ca_file: other.pem, client_auth_type: "
    + "RequireAndVerifyClientCert, client_allowed_sans: [a.example] }\n",
    "tls_server_config:\n  cert: x\n  key: y\n  client_ca: z\n  min_version: TLS12\n  max_version: TLS13\n  "
    + "cipher_suites: [TLS_AES_128_GCM_SHA256]\n  prefer_server_cipher_suites: false\n  curve_preferences: [X25519]\n",
    "http_server_config:\n  http2: false\n  headers: { X-Frame-Options: deny, X-XSS-Protection: 1, "
    + "Strict-Transport-Security: max-age=1 }\n",
    `basic_auth_users:\n  007: ${HASH}\n  ~: ${HASH}\n  ? "a"\n  : ${HASH}\n`,
    `basic_auth_users: { admin: ${HASH}x, __proto__: ${HASH} }\nbasic_auth_user: {}\n`,
  ],
  open() {
    folder = new Folder();
    folder.write("other.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  },
  close() { folder.remove(); },
  feed(input) {
    const file = folder.write("web.yml", input);
    const text = withLineFeeds(new TextDecoder().decode(input));
    const visited: string[] = [];
    const read = refusalOr(() => readWebConfig(file, (name) => visited.push(name)));
    assert.equal(visited[0], file);
    if (read instanceof Failure) {
      assert.equal(read.exitStatus, 3);
      checkPlaces(read.lines, file, text);
      for (const hash of hashesIn(text)) assert.ok(!read.lines.some((line) => line.includes(hash)), "a hash is shown");
    } else {
      for (const [name, value] of read.headers) validateHeaderValue(name, value);
      for (const hash of read.users.values()) assert.match(hash, /^\$2[aby]\$\d\d\$/);
      read.limiter?.take();
    }
    checkPieces(text);
  },
};

/**
 * Returns the users' values that stand nowhere else in the text. Where the text is no YAML, returns what looks like a
 * hash and is no text in quotes.
 */
function hashesIn(text: string): string[] {
  const whole = [...text.matchAll(/\$2[aby]\$\d\d\$[./A-Za-z0-9]{20,}/g)]
    .map(([hash]) => hash)
    .filter((hash) => !text.includes(`${hash}"`));
  let document: unknown;
  try {
    document = parse(text, { logLevel: "silent" });
  } catch {
    return whole;
  }
  const users: unknown = (Object(document) as { basic_auth_users?: unknown }).basic_auth_users;
  return Object.values(Object(users) as object).filter(
    (value): value is string => typeof value === "string" && value.length > 8 && text.split(value).length === 2,
  );
}
