/** Tests `pongd stamp` against a running pongd: its modes, keys and their rotation, and what is counted. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, describe, test } from "node:test";
import { CLI, needs, Netns, Pongd } from "../support/netns.js";

const DIR = mkdtempSync(join(tmpdir(), "pongd-stamp-"));
after(() => { rmSync(DIR, { recursive: true }); });
const [CONFIG, KEY, OTHER, KEYS] = ["pongd.yaml", "stamp.key", "other.key", "keys"].map((name) => join(DIR, name));
const SECRETS = ["a secret of thirty-three octets !", `another secret, which is ${"longer, and ".repeat(5)}longer`];

/** What of a report the tests look at. */
interface Report {
  readonly sent: number;
  readonly received: number;
  readonly wrong: number;
  readonly times: Record<string, { readonly min: number }> | undefined;
}

function writeKey(file: string, secret: string, mode = 0o600): void {
  writeFileSync(file, `${secret}\n`);
  chmodSync(file, mode);
}

describe("pongd stamp", needs(), () => {
  let ns: Netns;
  beforeEach(async () => {
    ns = await Netns.open();
    writeKey(KEY, SECRETS[0]);
    writeKey(OTHER, SECRETS[1]);
    rmSync(KEYS, { recursive: true, force: true });
    mkdirSync(KEYS);
    writeKey(join(KEYS, "7"), SECRETS[0]);
    writeKey(join(KEYS, "300"), SECRETS[1]);
    writeFileSync(CONFIG, [
      "services:", "  keyed: { stamp: { key_file: stamp.key } }", "  many: { stamp: { key_dir: keys } }",
      "udp: { 862: stamp, 863: keyed, 864: many }", "prefixes: [10.99.0.0/16, \"fd99::/64\"]",
      "source_rate_limit: { rate: 1000000 }\n",
    ].join("\n"));
  });
  afterEach(() => ns.close());

  const stamp = async (...args: string[]) => {
    const { status, stdout, stderr } = await ns.run(process.execPath, CLI, "stamp", "--json", "-", ...args);
    assert.equal(stderr, "");
    const report = JSON.parse(stdout) as Report;
    assert.equal(status, report.received === 0 ? 1 : 0);
    return report;
  };
  const all = async (...args: string[]) => {
    const report = await stamp("--count", "20", "--interval", "0.002", "--timeout", "30", ...args);
    assert.deepEqual([report.sent, report.received, report.wrong], [20, 20, 0], args.join(" "));
    const { roundTrip, inside } = report.times ?? {};
    assert.ok(roundTrip.min > 0 && inside.min >= 0);
  };
  const none = async (...args: string[]) => {
    const { sent, received } = await stamp("--count", "3", "--interval", "0.001", "--timeout", "0.1", ...args);
    assert.deepEqual([sent, received], [3, 0], args.join(" "));
  };

  for (const mode of ["tun", "tap"]) {
    test(`${mode}: every packet comes back, authenticated or not, IPv4 and IPv6, in fragments too`, async () => {
      const pongd = await Pongd.start(ns, "--config", CONFIG, "--mode", mode);
      for (const address of ["10.99.3.4", "fd99::34"]) {
        await all(address);
        await all("--size", "4000", address);
        await all("--port", "863", "--key-file", KEY, address);
        await all("--port", "863", "--key-file", KEY, "--ssid", "9", "--size", "4000", address);
        await all("--port", "864", "--key-file", KEY, "--ssid", "7", address);
        await all("--port", "864", "--key-file", OTHER, "--ssid", "300", address);
        await none("--port", "863", address);
        await none("--port", "863", "--key-file", OTHER, address);
        await none("--port", "864", "--key-file", KEY, "--ssid", "300", address);
        await none("--port", "864", "--key-file", KEY, address);
      }
      const metrics = await pongd.metrics();
      assert.equal(metrics.get("pongd_packets_dropped_total{reason=\"stamp_hmac\",queue=\"0\"}"), 24);
      assert.equal(metrics.get("pongd_udp_datagrams_total{service=\"keyed\",queue=\"0\"}"), 80);
      const { stdout, stderr } = await pongd.stop();
      assert.doesNotMatch(stdout + stderr, /secret|may read/);
    });
  }

  test("a reload changes keys, unless one is wrong; what others may read is said", async () => {
    const reload = () => ns.http("http://127.0.0.1:7664/-/reload", "-X", "POST");
    chmodSync(KEY, 0o644);
    const pongd = await Pongd.start(ns, "--config", CONFIG);
    const exposed = `services.keyed.stamp.key_file: others than its owner may read stamp.key, whose mode is 0644; `
      + "chmod 600 stamp.key";
    assert.equal(pongd.stderr.split(exposed).length, 2, pongd.stderr);
    const keyed = ["--port", "863", "10.99.3.4"];
    await all("--key-file", KEY, ...keyed);

    writeKey(KEY, SECRETS[1]);
    assert.equal((await reload()).status, 200);
    await all("--key-file", OTHER, ...keyed);
    writeKey(OTHER, SECRETS[0]);
    await none("--key-file", OTHER, ...keyed);

    writeKey(KEY, "short");
    const { status, body } = await reload();
    assert.equal(status, 500);
    assert.match(body, /services\.keyed\.stamp\.key_file: stamp\.key: a key of 5 bytes; expected 16 to 65536/);
    writeKey(OTHER, SECRETS[1]);
    await all("--key-file", OTHER, ...keyed);
    assert.equal(pongd.stderr.split(exposed).length, 2);

    writeKey(KEY, SECRETS[0], 0o640);
    assert.match((await reload()).body, /may read stamp\.key, whose mode is 0640/);
    const { stdout, stderr } = await pongd.stop();
    assert.match(stderr, /may read stamp\.key, whose mode is 0640/);
    assert.doesNotMatch(stdout + stderr, /secret/);
  });
});
