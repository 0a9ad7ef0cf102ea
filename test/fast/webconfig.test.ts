import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, readFileSync, rmSync, symlinkSync, unlinkSync, utimesSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { pino } from "pino";
import { EXIT, Failure } from "../../src/base/failure.js";
import { sansOf } from "../../src/web/clients.js";
import { RateLimiter } from "../../src/base/ratelimiter.js";
import { readWebConfig, WebFile, type WebConfig } from "../../src/web/webconfig.js";
import { CIPHERS, durationMs } from "../../src/web/webschema.js";
import { source } from "../support/assembly.js";
import { Folder } from "../support/certificates.js";
import { CLI } from "../support/netns.js";
import { read } from "../support/config.js";
import { certificate, type Pair } from "../support/x509.js";

const HASH = "$2y$10$qRTBuFoULoYNA7AQ/F3ck.trZBPyjV64.oA4ZsSBCIWvXuvQlQTuu";
const TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
const TYPES = "NoClientCert, RequestClientCert, RequireAnyClientCert, RequireClientCert, VerifyClientCertIfGiven, "
  + "RequireAndVerifyClientCert";
const LOST = "no client is asked for a certificate; expected client_auth_type, too, RequireAndVerifyClientCert "
  + "for instance";

function indent(text: string): string {
  return text.trim().replaceAll("\n", "\n    ");
}

describe("a web configuration", () => {
  const folder = new Folder();
  let server: Pair;
  let other: Pair;
  before(() => {
    server = certificate("DNS:localhost,IP:127.0.0.1");
    other = certificate("DNS:other");
    folder.writePair("server", server);
    folder.writePair("other", other);
    folder.write("junk", "junk\n");
  });
  after(() => folder.remove());

  const file = (text: string) => folder.write("web.yml", text);
  /** Returns the lines with which a text is refused, with FILE for the file's name and DIR for its folder. */
  const refusal = (text: string): readonly string[] => {
    const name = file(text);
    try {
      readWebConfig(name);
      return [];
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      assert.equal(error.exitStatus, EXIT.CONFIG);
      return error.lines.map((line) => line.replaceAll(name, "FILE").replaceAll(folder.path, "DIR"));
    }
  };

  test("an empty file, and keys without a value, configure nothing", () => {
    for (const text of [
      "", "# nothing\n", "{}", "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\nrate_limit:\n",
      "tls_server_config: { cert_file: \"\" }", "rate_limit: { interval: 0, burst: 0 }",
    ]) {
      const { tls, headers, users, limiter } = readWebConfig(file(text));
      assert.deepEqual([tls, headers.size, users.size, limiter], [undefined, 0, 0, undefined], text);
    }
  });

  test("what would end the process, or let everybody in, is refused", () => {
    for (const text of [
      `${"[".repeat(300)}\n`, `${"- ".repeat(50_001)}\n`, `${"? ".repeat(50_002)}\n`,
      Array.from({ length: 300 }, (_, i) => `${" ".repeat(i)}a:\n\n`).join(""),
    ]) {
      assert.match(refusal(text).join(), /^FILE:\d+:\d+: nested more than 200 deep$/);
    }
    assert.match(refusal(`basic_auth_users: { __proto__: "${HASH}" }\n`).join(), /^FILE:1:\d+: .*__proto__/);
    assert.match(
      refusal(`basic_auth_users: { ada: "${HASH.replace(/\$\d\d\$/, "$31$")}" }\n`).join(),
      /a bcrypt hash of a cost from 4 to 16/,
    );
  });

  test("every key", () => {
    const { tls, headers, users, limiter } = readWebConfig(file(`${TLS}  client_ca: |
    ${indent(other.cert)}
  client_auth_type: RequireAndVerifyClientCert
  client_allowed_sans: [one, 192.0.2.1]
  min_version: TLS11
  max_version: TLS12
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA]
  prefer_server_cipher_suites: false
  curve_preferences: [CurveP521, X25519]
http_server_config:
  http2: true
  headers: { X-Frame-Options: deny, X-XSS-Protection: 1, X-Content-Type-Options: nosniff, Strict-Transport-Security: max-age=31536000; includeSubDomains, Content-Security-Policy: "" }
basic_auth_users: { ada: "${HASH}", "123": "${HASH}" }
rate_limit: { interval: 250ms, burst: 2 }
`));
    assert.ok(tls);
    assert.deepEqual([tls.options.cert, tls.options.key], [server.cert, server.key]);
    assert.deepEqual({ ...tls.options, cert: 0, key: 0, ca: 0 }, {
      cert: 0, key: 0, ca: 0, minVersion: "TLSv1.1", maxVersion: "TLSv1.2", honorCipherOrder: false,
      ecdhCurve: "P-521:X25519", ALPNProtocols: ["h2", "http/1.1"], requestCert: true, rejectUnauthorized: true,
      ciphers: "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
        + "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-SHA:@SECLEVEL=0",
    });
    assert.deepEqual(tls.clients, { type: "RequireAndVerifyClientCert", allowedSans: ["one", "192.0.2.1"] });
    assert.deepEqual([...headers], [
      ["X-Frame-Options", "deny"], ["X-Content-Type-Options", "nosniff"], ["X-XSS-Protection", "1"],
      ["Strict-Transport-Security", "max-age=31536000; includeSubDomains"],
    ]);
    assert.deepEqual([...users], [["123", HASH], ["ada", HASH]]);
    assert.ok(limiter);
  });

  test("a user's name is what is written there, whatever else YAML would make of it", () => {
    const names = ["007", "0x1F", "1e3", "~", "True", "1.0"];
    assert.deepEqual([
      ...readWebConfig(file(`basic_auth_users:\n${names.map((name) => `  ${name}: ${HASH}\n`).join("")}`)).users.keys(),
    ], names);
  });

  test("defaults; certificate and key in the file itself; HTTP/2 left out; all cipher suites at once", () => {
    const { tls } = readWebConfig(
      file(`tls_server_config:\n  cert: |\n    ${indent(server.cert)}\n  key: |\n    ${indent(server.key)}\n`),
    );
    assert.deepEqual([
      tls?.options.minVersion, tls?.options.maxVersion, tls?.options.honorCipherOrder, tls?.options.requestCert,
      tls?.clients.type,
    ], ["TLSv1.2", "TLSv1.3", true, false, "NoClientCert"]);
    assert.deepEqual(
      readWebConfig(file(`${TLS}http_server_config: { http2: false }\n`)).tls?.options.ALPNProtocols, ["http/1.1"],
    );
    assert.ok(readWebConfig(file(`${TLS}  cipher_suites: [${Object.keys(CIPHERS).join(", ")}]\n`)).tls);
    assert.ok(readWebConfig(
      file(`${TLS}  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\nhttp_server_config: { http2: false }\n`),
    ).tls);
    assert.ok(readWebConfig(file(`${TLS}  cipher_suites: [TLS_AES_128_GCM_SHA256]\n  min_version: TLS13\n`)).tls);
  });

  for (const [what, text, ...lines] of [
    ["no YAML", "a: [", "FILE:1:5: a bracket or brace before here is not closed"],
    ["no map", "junk", "FILE:1:1: the file is something else; expected a map of keys like tls_server_config"],
    [
      "a misspelt key", "tls_server_config:\n  cert_filse: server.crt\n",
      "FILE:2:3: unknown key \"cert_filse\" in tls_server_config; did you mean cert_file?",
    ],
    [
      "a key that belongs elsewhere", "cert_file: server.crt\n",
      "FILE:1:1: unknown key \"cert_file\"; did you mean the one in tls_server_config?",
    ],
    [
      "no certificate", "tls_server_config:\n  cert_file: \"\"\n  key_file: server.key\n",
      "FILE:2:3: tls_server_config: cert_file is missing; expected the server's certificate there, or in cert",
    ],
    [
      "no key", "tls_server_config:\n  cert_file: server.crt\n  key: \"\"\n",
      "FILE:2:3: tls_server_config: key_file is missing; expected the certificate's private key there, or in key",
    ],
    ["settings alone", "tls_server_config: { min_version: TLS13 }\n",
      "FILE:1:20: tls_server_config: cert_file is missing; expected the server's certificate there, or in cert",
      "FILE:1:20: tls_server_config: key_file is missing; expected the certificate's private key there, or in key"],
    [
      "text and file", `${TLS}  cert: x\n`,
      "FILE:2:14: tls_server_config.cert_file: cert is given, too; leave one of them out",
    ],
    [
      "a file that is not there", "tls_server_config:\n  cert_file: somefile\n  key_file: server.key\n",
      "FILE:2:14: tls_server_config.cert_file: DIR/somefile: cannot be read: ENOENT: no such file or directory, open "
      + "'DIR/somefile'",
    ],
    [
      "no file", "tls_server_config:\n  cert_file: server.crt\n  key_file: /dev/null\n",
      "FILE:3:13: tls_server_config.key_file: /dev/null: not a regular file, and so not to be read a second time; "
      + "write it to one",
    ],
    [
      "another's key", "tls_server_config:\n  cert_file: server.crt\n  key_file: other.key\n",
      "FILE:3:13: tls_server_config.key_file: not the private key of the certificate in cert_file",
    ],
    [
      "an authority without a policy", `${TLS}  client_ca_file: other.crt\n`,
      `FILE:4:19: tls_server_config.client_ca_file: ${LOST}`,
    ],
    [
      "names without a policy", `${TLS}  client_allowed_sans: [a]\n`,
      `FILE:4:24: tls_server_config.client_allowed_sans: ${LOST}`,
    ],
    [
      "a policy that there is not", `${TLS}  client_auth_type: x\n`,
      `FILE:4:21: tls_server_config.client_auth_type is "x"; expected one of ${TYPES}`,
    ],
    [
      "a cipher suite", `${TLS}  cipher_suites:\n  - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048\n`,
      `FILE:5:5: tls_server_config.cipher_suites[0] is "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA204…; expected one of `
      + Object.keys(CIPHERS).join(", "),
    ],
    ["cipher suites without HTTP/2's", `${TLS}  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n`,
      "FILE:4:18: tls_server_config.cipher_suites: HTTP/2 needs TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or "
      + "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256; add it, or write http2: false in http_server_config"],
    ["a curve", `${TLS}  curve_preferences: [CurveP257]\n`, "FILE:4:23: tls_server_config.curve_preferences[0] is "
    + "\"CurveP257\"; expected one of CurveP256, CurveP384, CurveP521, X25519"],
    [
      "a version", `${TLS}  min_version: TLS111\n`,
      "FILE:4:16: tls_server_config.min_version is \"TLS111\"; expected one of TLS10, TLS11, TLS12, TLS13",
    ],
    [
      "versions the wrong way round", `${TLS}  min_version: TLS13\n  max_version: TLS12\n`,
      "FILE:4:16: tls_server_config.min_version: no version is left from TLS13 to TLS12; expected a min_version that "
      + "is not above max_version",
    ],
    [
      "yes", "http_server_config: { http2: yes }\n",
      "FILE:1:30: http_server_config.http2 is \"yes\"; expected true or false",
    ],
    ["a header that is not for this", "http_server_config:\n  headers: { Content-Type: foo }\n",
      "FILE:2:14: unknown key \"Content-Type\" in http_server_config.headers; expected Content-Security-Policy, "
      + "X-Frame-Options, X-Content-Type-Options, X-XSS-Protection, Strict-Transport-Security"],
    ["a header's value", "http_server_config:\n  headers: { X-Frame-Options: foo, X-Content-Type-Options: sniff, "
    + "Content-Security-Policy: \"a\\nb\" }\n",
    "FILE:2:31: http_server_config.headers.X-Frame-Options is \"foo\"; expected deny or sameorigin",
    "FILE:2:60: http_server_config.headers.X-Content-Type-Options is \"sniff\"; expected nosniff",
    "FILE:2:92: http_server_config.headers.Content-Security-Policy is \"a\\nb\"; expected text for a header, on one "
    + "line (leave out \\n, which cannot be seen)"],
    ["a password in place of its hash, which is not shown", "basic_auth_users:\n  john: secret\n",
      "FILE:2:9: basic_auth_users.john is something else; expected a bcrypt hash of a cost from 4 to 16, 60 "
      + "characters that begin with $2a$, $2b$ or $2y$, such as htpasswd -nBC 10 \"\" prints"],
    [
      "a hash behind what ends too early, which is not shown", `basic_auth_users: {}}\n${HASH}\n`,
      "FILE:1:21: Unexpected flow-map-end token in YAML stream", "FILE:2:1: Unexpected scalar token in YAML stream",
    ],
    [
      "a hash in a block's header, which is not shown", `basic_auth_users: |${HASH}\n`,
      "FILE:1:20: Block scalar header includes extra characters",
    ],
    ["what htpasswd prints, as it is", `basic_auth_users:\n  ada:${HASH}\n`, "FILE:2:3: basic_auth_users is something "
    + "else; expected a map of users, each with the hash of a password, after a colon and a space"],
    [
      "a rate", "rate_limit: { interval: 1, burst: -1 }\n",
      "FILE:1:35: rate_limit.burst is -1; expected a whole number, 0 or more",
    ],
    ["an anchor with a colon", "&a: {}\n", "FILE:1:3: Anchor ending in : is ambiguous"],
    [
      "an interval", "rate_limit: { interval: 1 second }\n",
      "FILE:1:25: rate_limit.interval is \"1 second\"; expected a duration like 1s, 250ms or 1m30s",
    ],
  ] as const) {
    test(`wrong: ${what}`, () => { assert.deepEqual(refusal(text), lines); });
  }

  test("what is no certificate, key or authority is said where it is named", () => {
    const [line, ...more] = refusal("tls_server_config:\n  cert_file: junk\n  key_file: server.key\n");
    assert.match(line, /^FILE:2:14: tls_server_config\.cert_file: no certificate in PEM: \S/);
    assert.deepEqual(more, []);
    assert.match(
      refusal("tls_server_config:\n  cert_file: server.crt\n  key_file: junk\n").join(),
      /^FILE:3:13: tls_server_config\.key_file: no private key in PEM, or one with a passphrase: \S[^,]*$/,
    );
    assert.equal(
      refusal(`${TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: junk\n`).join(),
      "FILE:5:19: tls_server_config.client_ca_file: not all certificates in PEM: there is none",
    );
  });

  test("no error shows a private key", () => {
    assert.ok(!refusal(`tls_server_config:\n  cert_file: server.crt\n  key: [${JSON.stringify(server.key)}]\n`)
      .join()
      .includes("BEGIN"));
    assert.ok(!refusal(`tls_server_config:\n  cert_file: server.crt\n  key: ${JSON.stringify(other.key)}\n`)
      .join()
      .includes("BEGIN"));
  });

  test("what is no YAML is not quoted: there may be a password in it", () => {
    const texts = [
      "a: !SECRET x", "a: !<SECRET> x", "a: !SECRET! x", "a: !!SECRET x", "a: !x!SECRET x", "a: !!SECRET [x]",
      "a: !SE%CRET x", "%SECRET x\n---\na", "%YAML SECRET\n---\na", "%TAG ! SECRET\n---\na: !x y",
      "a: *SECRET", "a: &SECRET\n  *SECRET", "a: |SECRET\n", "a: >SECRET", "a: \"\\SECRET\"", "a: @SECRET",
      "a: `SECRET", "a: 'x' SECRET", "a: [x] SECRET", "a: \"x\" SECRET: y",
      "- a\nSECRET", "a: &x SECRET: v", "{SECRET", "- SECRET: [a\nb", "a:\n\tSECRET: x", "a: |\n SECRET\nSECRET\n",
      "--- SECRET: x\n--- SECRET", "a: !!int SECRET", "? [SECRET]\n: x", "a: {}}\nSECRET", ">x\rSECRET",
    ];
    for (const text of texts) {
      assert.doesNotMatch(refusal(`${text}\n`).join() || "nothing is wrong: SECRE", /SE\b|SECRE/, text);
    }
  });

  test("a user whose colon lacks its space is told by name alone", () => {
    const expected = "expected a bcrypt hash of a cost from 4 to 16, 60 characters that begin with $2a$, $2b$ or "
      + "$2y$, such as htpasswd -nBC 10 \"\" prints";
    const keys = "expected tls_server_config, http_server_config, basic_auth_users, rate_limit";
    assert.deepEqual(
      refusal(`basic_auth_users: {ada:${HASH}}\n`), [`FILE:1:20: basic_auth_users.ada… is something else; ${expected}`],
    );
    assert.deepEqual(
      refusal(`basic_auth_users: {ada:${HASH}, ada:${HASH}}\n`),
      ["FILE:1:86: key \"ada…\" is given twice; first at 1:20"],
    );
    assert.deepEqual(
      refusal(`ada:${HASH}\n`), ["FILE:1:1: the file is something else; expected a map of keys like tls_server_config"],
    );
    assert.deepEqual(refusal(`{ada:${HASH}}\n`), [`FILE:1:2: unknown key "ada…"; ${keys}`]);
    assert.deepEqual(refusal(`${HASH}: ada\n`), [`FILE:1:1: unknown key "…"; ${keys}`]);
  });

  test("docs/monitoring.md shows one that is right but for its files, and a scrape of the same port", () => {
    const [web] = [...readFileSync(source("docs/monitoring.md"), "utf8").matchAll(/```yaml\n(.*?)```/gs)]
      .map(([, text]) => text);
    assert.deepEqual(refusal(web.replace("pongd.crt", "server.crt").replace("pongd.key", "server.key")), []);
  });

  test("pongd's own configuration names one relative to itself, a flag relative to where one is; none is none", () => {
    const webConfig = (
      text: string | undefined, ...args: string[]
    ) => read(text, ["10.99.0.0/16", ...args]).options.webConfig;
    assert.match(webConfig("web_config: web.yml\n") ?? "", /^\/.*\/pongd-config-\w+\/web\.yml$/);
    assert.equal(webConfig("web_config: /etc/web.yml\n"), "/etc/web.yml");
    assert.equal(webConfig("web_config: web.yml\n", "--web-config", "other.yml"), "other.yml");
    assert.equal(webConfig("web_config: web.yml\n", "--web-config", "none"), undefined);
    assert.equal(webConfig(undefined), undefined);
  });

  test("pongd check looks at it, too, with status 3 where it is wrong", () => {
    const name = file("tls_server_config:\n  cert_file: server.crt\n  key_file: other.key\n");
    const config = folder.write("pongd.yaml", "prefixes: [10.99.0.0/16]\nweb_config: web.yml\n");
    const pongd = (...args: string[]) => spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8" });
    const line = `${name}:3:13: tls_server_config.key_file: not the private key of the certificate in cert_file\n`;
    const checked = pongd("check", config);
    assert.deepEqual([checked.stderr, checked.stdout, checked.status], [line, "", EXIT.CONFIG]);
    file(TLS);
    const right = pongd("check", config);
    assert.deepEqual([right.stderr, right.status], ["", 0]);
    assert.match(right.stdout, new RegExp(`^web_config: "${name}"$`, "m"));
  });

  test("read anew when it or what it names changes; of what is wrong there is one line, and the last that "
    + "was right holds", () => {
    const lines: { level: number; msg: string }[] = [];
    const log = pino(
      { level: "info" }, { write: (line: string) => { lines.push(JSON.parse(line) as typeof lines[number]); } },
    );
    const web = new WebFile(file(TLS), log);
    const first = web.current();
    assert.equal(web.current(), first, "nothing has changed");
    const changed = (before: WebConfig, expected: RegExp | undefined) => {
      lines.length = 0;
      const after = web.current();
      assert.equal(web.current(), after);
      assert.equal(lines.length, 1);
      assert.match(lines[0].msg, expected ?? /^web configuration read anew$/);
      assert.equal(after === before, expected !== undefined);
      assert.equal(web.successful, expected === undefined);
      return after;
    };
    file(`${TLS}basic_auth_users: { ada: "${HASH}" }\n`);
    const second = changed(first, undefined);
    assert.deepEqual([...second.users.keys()], ["ada"]);

    folder.write("server.crt", other.cert);
    changed(
      second,
      /^\S+web\.yml:3:13: tls_server_config\.key_file: not the private key of the certificate in cert_file; the web configuration stays as it was$/,
    );
    folder.write("server.key", other.key);
    const third = changed(second, undefined);
    assert.equal(third.tls?.options.cert, other.cert);

    unlinkSync(folder.file("server.key"));
    changed(third, /server\.key: cannot be read: ENOENT/);
    folder.writePair("server", server);
    const fourth = changed(third, undefined);
    assert.equal(fourth.tls?.options.cert, server.cert);

    for (const text of ["", "# being written\n", "rate_limit: { interval: 1s, burst: 9 }\n"]) {
      file(text);
      changed(
        fourth,
        /web\.yml: TLS and users are all gone from it; pongd takes that up when it is started again; the web configuration stays as it was$/,
      );
    }
    rmSync(folder.file("web.yml"));
    symlinkSync("web.yml", folder.file("web.yml"));
    changed(fourth, /web\.yml: cannot be read: ELOOP/);
    rmSync(folder.file("web.yml"));
    file("tls_server_config: [\n");
    changed(fourth, /web\.yml:2:1: a bracket or brace before here is not closed/);
    rmSync(folder.file("web.yml"));
    changed(fourth, /cannot be read: ENOENT/);
    file(TLS);
    const fifth = changed(fourth, undefined);
    chmodSync(folder.file("server.key"), 0o600);
    utimesSync(folder.file("server.key"), 1, 1);
    changed(fifth, undefined);
  });
});

test("durations are Go's", () => {
  for (const [text, ms] of [
    ["1s", 1000], ["250ms", 250], ["1m30s", 90_000], ["1.5h", 5_400_000], [".5s", 500], ["10us", 0.01], ["10µs", 0.01],
    ["1ns", 1e-6], ["0", 0], [0, 0], [1_000_000_000, 1000],
    ["", undefined], ["1", undefined], ["s", undefined], ["1 s", undefined], ["1d", undefined], ["-1s", undefined],
    ["1s2", undefined], [".s", undefined],
  ] as const) assert.equal(durationMs(text), ms, String(text));
});

test("a rate limiter lets a burst through, then one more every interval, and never more than a burst at once", () => {
  let now = 0;
  const limiter = new RateLimiter(100, 2, () => now);
  const taken = (count: number) => Array.from({ length: count }, () => limiter.take());
  assert.deepEqual(taken(3), [true, true, false]);
  now += 99;
  assert.deepEqual(taken(1), [false]);
  now += 1;
  assert.deepEqual(taken(2), [true, false]);
  now += 100_000;
  assert.deepEqual(taken(3), [true, true, false]);
  assert.equal(new RateLimiter(100, 0, () => now += 1000).take(), false);
});

test("names of a certificate: DNS, mail, URI and addresses as Go writes them, none of them split or joined by "
  + "what is in it", () => {
  assert.deepEqual(sansOf("DNS:one, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1, URI:spiffe://a/b, "
    + "email:a@example.org, DirName:CN=x, Registered ID:1.2.3"),
  ["one", "192.0.2.1", "2001:db8::1", "spiffe://a/b", "a@example.org"]);
  assert.deepEqual(sansOf("DNS:\"evil, DNS:one\", URI:\"http://a/\\u0022\""), ["evil, DNS:one", "http://a/\""]);
  assert.deepEqual(sansOf("DNS:\"a\\x\", DNS:two"), ["two"], "quoted otherwise than Node.js does");
  assert.deepEqual(sansOf("DirName:\"/CN=a, DNS:one\", DNS:two"), ["two"]);
  assert.deepEqual(sansOf(""), []);
});
