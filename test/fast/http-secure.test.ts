/** Tests what is served over TLS and to whom, on the loopback interface. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent as HttpAgent, maxHeaderSize } from "node:http";
import { Agent } from "node:https";
import { after, afterEach, before, describe, test } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { fingerprint, Folder, hash } from "../support/certificates.js";
import { ask, askHttp2, basic, closeServed, http2, served, type Asked } from "../support/served.js";
import { certificate, type Pair } from "../support/x509.js";

const PATHS = ["/", "/metrics", "/-/healthy", "/-/ready", "/nothing"];

describe("users", () => {
  const folder = new Folder();
  afterEach(closeServed);
  after(() => folder.remove());

  test("every path is for those with the right password; who has another or none is told to say "
    + "who they are", async () => {
    const web = folder.write("users.yml", `basic_auth_users: { ada: "${hash("right")}" }\nhttp_server_config: { `
      + `headers: { X-Frame-Options: deny, Content-Security-Policy: default-src 'self' } }\n`);
    const server = await served({ web });
    assert.match(server.url, /^http:/);
    for (const path of PATHS) {
      const right = await ask(server.url + path, { user: "ada", password: "right" });
      assert.equal(right.status, path === "/nothing" ? 404 : 200, path);
      for (const who of [
        {}, { user: "ada", password: "wrong" }, { user: "ada" }, { user: "eve", password: "right" },
        { headers: { Authorization: "Bearer right" } },
      ]) {
        const { status, headers, body } = await ask(server.url + path, who);
        assert.deepEqual(
          [status, headers["www-authenticate"], body],
          [401, "Basic realm=\"pongd\", charset=\"UTF-8\"", "Unauthorized\n"],
          path,
        );
        assert.deepEqual(
          [headers["x-frame-options"], headers["content-security-policy"]], ["deny", "default-src 'self'"],
        );
      }
      assert.equal(right.headers["x-frame-options"], "deny");
    }
    assert.equal((await ask(`${server.url}/-/reload`, { method: "POST" })).status, 401);
  });

  test("on a connection that stays, each request is judged by the users of its moment", async () => {
    const users = (name: string, password: string) => folder.write(
      "change.yml", `basic_auth_users: { ${name}: "${hash(password)}" }\n`,
    );
    const server = await served({ web: users("ada", "one") });
    const agent = new HttpAgent({ keepAlive: true, maxSockets: 1 });
    const status = async (user: string, password: string) => (await ask(
      `${server.url}/-/healthy`, { user, password, agent },
    )).status;
    assert.equal(await status("ada", "one"), 200);
    users("ada", "two");
    assert.deepEqual([await status("ada", "one"), await status("ada", "two")], [401, 200]);
    users("bob", "two");
    assert.deepEqual([await status("ada", "two"), await status("bob", "two")], [401, 200]);
    folder.write("change.yml", "");
    assert.equal(await status("eve", ""), 401, "a file that is empty for a moment lets nobody in");
    assert.equal(await status("bob", "two"), 200);
    agent.destroy();
  });

  test("a rate above which requests get 429, whoever asks", async () => {
    const server = await served({ web: folder.write("rate.yml", "rate_limit: { interval: 1h, burst: 2 }\n") });
    const statuses: number[] = [];
    for (const path of ["/metrics", "/-/healthy", "/metrics", "/"]) {
      statuses.push((await ask(server.url + path)).status);
    }
    assert.deepEqual(statuses, [200, 200, 429, 429]);
  });
});

describe("TLS", () => {
  const folder = new Folder();
  let authority: Pair, server: Pair, stranger: Pair;
  before(() => {
    authority = certificate("DNS:authority");
    server = certificate("DNS:localhost,IP:127.0.0.1", authority);
    stranger = certificate("DNS:one");
    folder.writePair("server", server);
    folder.writePair("authority", authority);
  });
  afterEach(closeServed);
  after(() => folder.remove());

  /** Writes a web configuration with TLS, further keys of TLS (`more`), and other keys. */
  const web = (more: string, others = "") => folder.write("web.yml", `tls_server_config:\n  cert_file: server.crt\n  `
    + `key_file: server.key\n${more === "" ? "" : `  ${more}\n`}${others}\n`);
  /** Returns the status that a client gets, or "refused". */
  const outcome = async (url: string, who: Asked) => ask(`${url}/-/healthy`, { ca: authority.cert, ...who })
    .then(({ status }) => status, () => "refused");

  test("HTTP/1.1 and HTTP/2 side by side, with users; plain HTTP is none", async () => {
    const { url, port } = await served({ web: web("", `basic_auth_users: { ada: "${hash("right")}" `
      + `}\nhttp_server_config: { headers: { X-Content-Type-Options: nosniff } }`) });
    assert.match(url, /^https:\/\/127\.0\.0\.1:\d+$/);
    const session = await http2(url, authority.cert);
    for (const path of PATHS) {
      const one = await ask(url + path, { ca: authority.cert, user: "ada", password: "right" });
      const two = await askHttp2(session, path, basic("ada", "right"));
      assert.deepEqual(
        [two.status, two.body, two.headers["content-type"]], [one.status, one.body, one.headers["content-type"]],
      );
      assert.equal(two.headers["x-content-type-options"], "nosniff");
      assert.equal((await askHttp2(session, path)).status, 401);
      assert.equal((await ask(url + path, { ca: authority.cert })).status, 401);
    }
    session.close();
    await assert.rejects(ask(`http://127.0.0.1:${port}/`));
    await assert.rejects(ask(url), "a client that does not know the authority");
  });

  test("HTTP/2 takes as many bytes of headers as HTTP/1", async () => {
    const { url } = await served({ web: web("") });
    const session = await http2(url, authority.cert);
    const filler = (length: number) => ({ "x-filler": "x".repeat(length) });
    assert.equal((await askHttp2(session, "/-/healthy", undefined, filler(maxHeaderSize / 2))).status, 200);
    await assert.rejects(askHttp2(session, "/-/healthy", undefined, filler(maxHeaderSize)));
    session.close();
  });

  test("http2: false leaves HTTP/1.1 alone", async () => {
    const { url, port } = await served({ web: web("", "http_server_config: { http2: false }") });
    const socket = connectTls({ port, host: "127.0.0.1", ca: authority.cert, ALPNProtocols: ["h2", "http/1.1"] });
    await once(socket, "secureConnect");
    assert.equal(socket.alpnProtocol, "http/1.1");
    socket.destroy();
    assert.equal(await outcome(url, {}), 200);
  });

  const ALLOWED = {
    NoClientCert: "none stranger ours", RequestClientCert: "none stranger ours", RequireAnyClientCert: "stranger ours",
    RequireClientCert: "stranger ours", VerifyClientCertIfGiven: "none ours", RequireAndVerifyClientCert: "ours",
  };
  for (const [type, allowed] of Object.entries(ALLOWED)) {
    test(`client_auth_type ${type} is for ${allowed}`, async () => {
      const ours = certificate("DNS:one", authority);
      const { url } = await served(
        { web: web(`client_auth_type: ${type}${type === "NoClientCert" ? "" : "\n  client_ca_file: authority.crt"}`) },
      );
      for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
        for (const [who, client] of Object.entries({ none: undefined, stranger, ours })) {
          assert.equal(
            await outcome(url, { client, tls: { minVersion: version, maxVersion: version } }),
            allowed.split(" ").includes(who) ? 200 : "refused",
            `${who}, ${version}`,
          );
        }
      }
    });
  }

  test("client_allowed_sans lets in whose certificate has one of them, of whatever kind", async () => {
    const { url } = await served({ web: web("client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: "
      + "authority.crt\n  client_allowed_sans: [one, 192.0.2.1, \"2001:db8::1\", \"spiffe://a/b\", a@example.org]") });
    for (const [names, expected] of [
      ["DNS:one", 200], ["DNS:two,DNS:one", 200], ["IP:192.0.2.1", 200], ["IP:2001:db8::1", 200],
      ["URI:spiffe://a/b", 200], ["email:a@example.org", 200],
      ["DNS:two", "refused"], ["DNS:one.example", "refused"], ["URI:one", 200], ["email:one@example.org", "refused"],
      ["IP:192.0.2.2", "refused"],
    ] as const) assert.equal(await outcome(url, { client: certificate(names, authority) }), expected, names);
  });

  test("a resumed session is the client that it was, and none outlives the authority that vouched for it", async () => {
    const ours = certificate("DNS:one", authority);
    const policy = (ca: string) => web(
      `client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ${ca}\n  client_allowed_sans: [one]`,
    );
    const { url, port } = await served({ web: policy("authority.crt") });
    const session = new Promise<Buffer>((resolve, reject) => {
      const socket: TLSSocket = connectTls(
        { port, host: "127.0.0.1", ca: authority.cert, ...ours },
        () => { socket.write("GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n"); },
      );
      socket.once("session", (ticket) => {
        resolve(ticket);
        socket.destroy();
      }).once("error", reject);
    });
    const resumed = await ask(
      `${url}/-/healthy`, { ca: authority.cert, client: ours, tls: { session: await session } },
    );
    assert.equal(resumed.resumed, true);
    assert.equal(resumed.status, 200);
    folder.writePair("stranger", stranger);
    policy("stranger.crt");
    assert.equal(await outcome(url, { client: ours, tls: { session: await session } }), "refused");
  });

  test("versions, cipher suites and curves are those that are configured", async () => {
    const version = async (more: string, tls: Asked["tls"]) => {
      const { url } = await served({ web: web(more, "http_server_config: { http2: false }") });
      const result = await ask(
        `${url}/-/healthy`, { ca: authority.cert, tls },
      ).then(({ protocol }) => protocol, () => "refused");
      return result;
    };
    assert.equal(await version("", { maxVersion: "TLSv1.2" }), "TLSv1.2");
    assert.equal(await version("", {}), "TLSv1.3");
    assert.equal(
      await version("", { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" }), "refused",
    );
    assert.equal(await version(
      "min_version: TLS10", { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" },
    ), "TLSv1.1");
    assert.equal(await version("min_version: TLS13", { maxVersion: "TLSv1.2" }), "refused");
    assert.equal(await version("max_version: TLS12", {}), "TLSv1.2");
    const suites = "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n  max_version: TLS12";
    assert.equal(await version(suites, { ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" }), "refused");
    assert.equal(await version(suites, { ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" }), "TLSv1.2");
    assert.equal(await version("curve_preferences: [CurveP521]", { ecdhCurve: "X25519" }), "refused");
    assert.equal(await version("curve_preferences: [CurveP521]", { ecdhCurve: "P-521" }), "TLSv1.3");
  });

  test("of two cipher suites the server's first is taken, or the client's", async () => {
    const list = "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n "
      + " max_version: TLS12";
    for (const [prefer, taken] of [
      [true, "ECDHE-ECDSA-AES256-GCM-SHA384"], [false, "ECDHE-ECDSA-AES128-GCM-SHA256"],
    ] as const) {
      const { port } = await served({ web: web(`${list}\n  prefer_server_cipher_suites: ${prefer}`) });
      const socket = connectTls({
        port, host: "127.0.0.1", ca: authority.cert,
        ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384",
      });
      await once(socket, "secureConnect");
      assert.equal(socket.getCipher().name, taken);
      socket.destroy();
    }
  });

  test("a certificate changes while it is served: new connections see the new one, and those that "
    + "are there go on", async () => {
    const [first, second, third] = [
      server, certificate("DNS:localhost,IP:127.0.0.1", authority),
      certificate("DNS:localhost,IP:127.0.0.1", authority),
    ];
    const { url, log } = await served({ web: web("") });
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: authority.cert });
    const session = await http2(url, authority.cert);
    const stays = () => ask(`${url}/-/healthy`, { agent });
    const { socket } = await stays();
    const seen = async () => (await ask(`${url}/-/healthy`, { ca: authority.cert })).fingerprint;
    assert.equal(await seen(), fingerprint(first));

    folder.write("server.crt", second.cert);
    assert.deepEqual(
      [await seen(), await seen(), await seen()],
      [fingerprint(first), fingerprint(first), fingerprint(first)],
      "a certificate without its key changes nothing",
    );
    assert.equal(log.length, 1, "and is one line in the log");
    assert.match(log[0], /not the private key of the certificate in cert_file; the web configuration stays as it was$/);
    folder.write("server.key", second.key);
    assert.equal(await seen(), fingerprint(second));

    folder.write("server.crt", "junk");
    assert.equal(await seen(), fingerprint(second));
    folder.writePair("server", third);
    assert.equal(await seen(), fingerprint(third), "it recovers");

    const after = await stays();
    assert.equal(after.socket, socket, "the same connection, with the certificate that it had");
    assert.equal(after.fingerprint, fingerprint(first));
    assert.equal((await askHttp2(session, "/-/healthy")).status, 200);
    agent.destroy();
    session.close();
    folder.writePair("server", server);
  });

  test("TLS and HTTP/2 can be left and taken up while it is served", async () => {
    const { url, port } = await served({ web: web("") });
    assert.equal(await outcome(url, {}), 200);
    folder.write("web.yml", `basic_auth_users: { ada: "${hash("right")}" }\n`);
    assert.equal(await outcome(url, {}), "refused");
    assert.equal((await ask(`http://127.0.0.1:${port}/-/healthy`, { user: "ada", password: "right" })).status, 200);
    web("");
    assert.equal(await outcome(url, {}), 200);
    const session = await http2(url, authority.cert);
    assert.equal((await askHttp2(session, "/-/healthy")).status, 200);
    session.close();
  });
});
