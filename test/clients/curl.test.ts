/**
 * Asks a running pongd over TLS by curl. The file that turns TLS
 * on is named by the flag, the variable and the configuration.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { EXIT } from "../../src/base/failure.js";
import { fingerprint, Folder, hash } from "../support/certificates.js";
import { needs, Netns, Pongd } from "../support/netns.js";
import { certificate, type Pair } from "../support/x509.js";

const PREFIX = "10.99.0.0/16";
const URL = "https://127.0.0.1:7664";

describe("--web-config", needs("curl", "ping"), () => {
  const folder = new Folder();
  let ns: Netns;
  let authority: Pair;
  let web: string;
  before(async () => {
    ns = await Netns.open();
    authority = certificate("DNS:authority");
    folder.writePair("authority", authority);
    folder.writePair("server", certificate("IP:127.0.0.1", authority));
    web = folder.write("web.yml", "tls_server_config: { cert_file: server.crt, key_file: server.key "
    + `}\nbasic_auth_users: { ada: "${hash("right")}" }\n`);
  });
  after(async () => {
    await ns.close();
    await folder.remove();
  });

  const curl = (...args: string[]) => ns.run(
    "curl", "-sS", "--fail", "--cacert", folder.file("authority.crt"), ...args,
  );
  const metrics = async (...args: string[]) => (await curl("-u", "ada:right", ...args, `${URL}/metrics`)).stdout;

  for (const io of ["uring", "readwrite"]) {
    test("metrics by HTTP/1.1 and HTTP/2, compressed and as OpenMetrics, without privileges, while packets are "
      + `answered and a certificate changes; ${io}`, async () => {
      const pongd = await Pongd.start(
        ns, PREFIX, "--web-config", web, "--drop-privileges", "--queues", "2", "--io", io,
      );
      assert.match(pongd.stdout, /^ {2}metrics {7}https:\/\/127\.0\.0\.1:7664\/metrics$/m);
      await ns.pings(3, "10.99.1.1");
      for (const version of ["--http1.1", "--http2"]) {
        for (const text of [await metrics(version), await metrics(version, "--compressed")]) {
          assert.match(text, /^# TYPE pongd_replies_total counter$/m);
          assert.match(text, /^pongd_prefix_replies_total\{prefix="10\.99\.0\.0\/16"\} 3$/m);
        }
        assert.match(
          await metrics(version, "-H", "Accept: application/openmetrics-text"),
          /^# TYPE pongd_replies counter\n[^]*\n# EOF\n$/m,
        );
        const [{ status, stderr }, wrong] = [
          await curl(version, `${URL}/metrics`), await curl(version, "-u", "ada:wrong", `${URL}/-/ready`),
        ];
        assert.deepEqual(
          [status, stderr, wrong.status], [22, "curl: (22) The requested URL returned error: 401\n", 22],
        );
      }
      const second = certificate("IP:127.0.0.1", authority);
      folder.writePair("server", second);
      const presented = await ns.evaluate(
        "import { connect } from 'node:tls'; const s = connect({ port: 7664, host: '127.0.0.1', rejectUnauthorized: "
        + "false }, () => { console.log(JSON.stringify(s.getPeerCertificate().fingerprint256)); s.destroy(); });",
      );
      assert.equal(presented, fingerprint(second));
      await ns.pings(3, "10.99.1.1");
      const { status, stderr } = await pongd.stop();
      assert.match(stderr, /^\S+ info web configuration read anew\n$/);
      assert.equal(status, 0);
    });
  }

  test("pongd's own configuration names one beside it; a reload reads both, and goes on where the web "
    + "configuration is wrong", async () => {
    const config = folder.write("pongd.yaml", `prefixes: [${PREFIX}]\nweb_config: web.yml\n`);
    const pongd = await Pongd.start(ns, "--config", config);
    assert.match(await metrics(), /^pongd_config_last_reload_successful 1$/m);
    const right = folder.write("right.yml", (await ns.ok("cat", web)));
    folder.write("web.yml", "tls_server_config: [\n");
    assert.equal((await curl("-u", "ada:right", "-X", "POST", `${URL}/-/reload`)).stdout, "Reloaded\n");
    await pongd.logged(/error \S+web\.yml:2:1: .*; the web configuration stays as it was\n/);
    folder.write("web.yml", await ns.ok("cat", right));
    assert.match(await metrics(), /^pongd_config_last_reload_successful 1$/m);
    await pongd.logged(/web configuration read anew\n/);
    assert.equal((await pongd.stop()).status, 0);
  });

  test("a wrong one at the start: status 3, a line with its place, and no device", async () => {
    const wrong = folder.write("wrong.yml", "tls_server_config: { cert_file: server.crt, key_file: authority.key }\n");
    const { status, stdout, stderr } = await Pongd.fail(ns, PREFIX, "--web-config", wrong);
    assert.equal(
      stderr, `pongd: ${wrong}:1:55: tls_server_config.key_file: not the private key of the certificate in cert_file\n`,
    );
    assert.deepEqual([stdout, status], ["", EXIT.CONFIG]);
    assert.deepEqual((await ns.ip<{ ifname: string }>("link")).map(({ ifname }) => ifname), ["lo"]);
  });
});
