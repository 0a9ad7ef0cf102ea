/** Tests links through a device: how long packets are under way, what is lost, and what a reload and an end do. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, describe, test } from "node:test";
import { CLI, needs, Netns, poll, Pongd, sum } from "../support/netns.js";

const FOLDER = mkdtempSync(join(tmpdir(), "pongd-links-"));
const FILE = join(FOLDER, "pongd.yaml");
const SITE = join(FOLDER, "site");
const BYTES = Buffer.alloc(300_000, "what comes through a link that loses packets ");
const HELD = "pongd_held_packets{queue=\"0\"}";

describe("links", needs("ping", "curl"), () => {
  let ns: Netns;
  beforeEach(async () => {
    ns = await Netns.open();
    mkdirSync(SITE, { recursive: true });
    writeFileSync(join(SITE, "file"), BYTES);
  });
  afterEach(() => ns.close());
  after(() => { rmSync(FOLDER, { recursive: true }); });

  const write = (...lines: string[]) => { writeFileSync(FILE, `${lines.join("\n")}\n`); };
  const start = (...args: string[]) => Pongd.start(ns, "--config", FILE, ...args);
  /** Returns the sequence numbers of the pings that were answered, and the shortest round trip in ms. */
  const ping = async (address: string, count: number) => {
    const { stdout } = await ns.run("ping", "-i", "0.002", "-W", "30", "-c", String(count), address);
    const answers = [...stdout.matchAll(/icmp_seq=(\d+) .*time=([\d.]+) ms$/gm)];
    return {
      answered: answers.map(([, sequence]) => Number(sequence)),
      shortest: Math.min(...answers.map(([, , ms]) => Number(ms))),
    };
  };

  for (const [io, mode, precision] of [
    ["uring", "tun", "coarse"], ["readwrite", "tun", "fine"], ["uring", "tap", "fine"],
  ]) {
    test(`${io}, ${mode}, ${precision}: nothing comes back early, and exactly the packets that are named are lost`, async () => {
      write(
        "links:", "  far: { rtt: 40ms, out: { jitter: 5ms } }",
        "  drill: { in: { loss: { packets: [3] } }, out: { loss: { packets: [6-7] } } }",
        "prefixes:", "  - 10.99.0.0/24", "  - { prefix: 10.99.1.0/24, link: far }",
        "  - { prefix: \"fd99:1::/64\", link: far }",
        "  - { prefix: 10.99.2.0/24, link: drill }",
      );
      const pongd = await start("--io", io, "--mode", mode, "--precision", precision);
      assert.equal((await ping("10.99.0.7", 20)).answered.length, 20);
      for (const address of ["10.99.1.7", "fd99:1::7"]) {
        const { answered, shortest } = await ping(address, 50);
        // Jitter never lets one pass another.
        assert.deepEqual(answered, Array.from({ length: 50 }, (_, i) => i + 1));
        assert.ok(shortest >= 35, `${shortest} ms`);
      }
      // On the way out, the third is not there to be counted.
      assert.deepEqual((await ping("10.99.2.7", 10)).answered, [1, 2, 4, 5, 6, 9, 10]);
      const metrics = await pongd.metrics();
      const seed = metrics.get("pongd_link_seed") ?? 0;
      assert.ok(pongd.stdout.includes(`\n  links         seed ${seed}, room for 16384 packets in each queue\n`));
      const effect = (prefix: string, direction: string, effect: string) =>
        metrics.get(`pongd_link_packets_total{prefix="${prefix}",direction="${direction}",effect="${effect}"}`);
      assert.equal(effect("10.99.2.0/24", "in", "dropped"), 1);
      assert.equal(effect("10.99.2.0/24", "out", "dropped"), 2);
      assert.equal(effect("10.99.1.0/24", "in", "delayed"), 50);
      assert.equal(metrics.get("pongd_packets_dropped_total{reason=\"link_loss\",queue=\"0\"}"), 1);
      assert.equal(metrics.get("pongd_packets_dropped_total{reason=\"link_loss_out\",queue=\"0\"}"), 2);
      assert.equal(metrics.get(HELD), 0);
    });
  }

  test("a STAMP sender sees how long each way takes, and on which way packets are lost", async () => {
    write(
      "services: { own: { stamp: { mode: stateful } } }", "udp: { 862: own }",
      "link: { in: { delay: 30ms, loss: { packets: [4-6] } }, out: { delay: 10ms, loss: { packets: [8-9] } } }",
      "prefixes: [10.99.0.0/16]",
    );
    await start();
    const args = ["--json", "-", "--count", "20", "--interval", "0.01", "--timeout", "5"];
    const { stdout } = await ns.run(process.execPath, CLI, "stamp", ...args, "10.99.3.4");
    const { losses, times } = JSON.parse(stdout) as {
      losses: { there: number; back: number };
      times: Record<"there" | "back" | "inside" | "roundTrip", { min: number; max: number }>;
    };
    assert.deepEqual([losses.there, losses.back], [3, 2]);
    assert.ok(times.there.min >= 30, `${times.there.min} ms there`);
    assert.ok(times.back.min >= 10, `${times.back.min} ms back`);
    assert.ok(times.roundTrip.min >= 40);
  });

  test("TCP goes through it whole, whatever is lost, doubled and spoilt on the way", async () => {
    write(
      `services: { site: { http: { root: ${SITE} } } }`, "tcp: { 80: site }",
      "link:", "  rtt: 10ms", "  in: { loss: 1%, duplicate: 1%, corrupt: 1% }",
      "  out: { loss: 1%, duplicate: 1%, corrupt: 1% }",
      "prefixes: [10.99.0.0/16]", "seed: 7",
    );
    const pongd = await start();
    const hash = async (name: string) => createHash("sha256").update(
      (await ns.run("curl", "-s", "--max-time", "60", "--retry", "3", `http://10.99.4.5/${name}`)).stdout,
    ).digest("hex");
    assert.equal(await hash("file"), createHash("sha256").update(BYTES).digest("hex"));
    const metrics = await pongd.metrics();
    for (const effect of ["dropped", "duplicated", "corrupted"]) {
      const labels = `{prefix="10.99.0.0/16",direction="out",effect="${effect}"}`;
      assert.ok((metrics.get(`pongd_link_packets_total${labels}`) ?? 0) > 0, effect);
    }
  });

  test("what is on its way arrives after a reload that removes the link", async () => {
    write("prefixes: [{ prefix: 10.99.0.0/16, link: { rtt: 3s } }]");
    const pongd = await start();
    const pinged = ping("10.99.5.6", 1);
    await poll(() => pongd.metrics(), (metrics) => metrics.get(HELD) === 1);
    write("prefixes: [10.99.0.0/16]");
    await ns.http("http://127.0.0.1:7664/-/reload", "-X", "POST");
    assert.ok((await ping("10.99.5.7", 1)).answered.length === 1);
    const { answered, shortest } = await pinged;
    assert.deepEqual(answered, [1]);
    assert.ok(shortest >= 3000);
  });

  test("what is on its way when pongd ends is counted as such", async () => {
    write("prefixes: [10.99.0.0/16]", "link: { rtt: 3600s }");
    const pongd = await start();
    const pings = ns.spawn("ping", "-i", "0.002", "-c", "5", "10.99.5.6");
    await poll(() => pongd.metrics(), (metrics) => metrics.get(HELD) === 5);
    pings.kill();
    const { status, stdout, stderr } = await pongd.stop();
    assert.equal(status, 0);
    assert.match(stdout + stderr, /dropped 5 \(stopped 5\)/);
  });

  test("a worker crashes: what is on its way is counted, what comes later is answered", needs("strace"), async () => {
    write(
      "paths: { far: [{ hop: 10.98.0.1, link: { rtt: 3600s }, icmp: { rate: 1, burst: 1 } }] }", "prefixes:",
      "  - 10.99.0.0/24", "  - { prefix: 10.99.1.0/24, path: far }",
      "  - { prefix: 10.99.2.0/24, link: { rtt: 40ms } }",
    );
    const pongd = await start("--precision", "fine");
    const pings = ["1", "64"].map((ttl) => ns.spawn("ping", "-i", "0.002", "-c", "500", "-t", ttl, "10.99.1.6"));
    // Beside the pings, the errors are on their way.
    await poll(
      () => pongd.metrics(), (metrics) => (metrics.get(HELD) ?? 0) - sum(metrics, "pongd_hop_errors_total") === 500,
    );
    for (const each of pings) each.kill();
    const crashed = pongd.crash();
    // Those that wait for the next worker are answered by it.
    assert.equal((await ping("10.99.0.6", 500)).answered.length, 500);
    await crashed;
    const { answered, shortest } = await ping("10.99.2.6", 10);
    assert.equal(answered.length, 10);
    assert.ok(shortest >= 40, `${shortest} ms`);
    const metrics = await pongd.metrics();
    const dropped = (reason: string) => metrics.get(`pongd_packets_dropped_total{reason="${reason}",queue="0"}`);
    assert.equal(metrics.get("pongd_worker_restarts_total{queue=\"0\"}"), 1);
    assert.equal(metrics.get(HELD), 0);
    assert.equal(dropped("worker_crash"), 500);
    assert.equal(sum(metrics, "pongd_replies_total"), 510);
    assert.equal(sum(metrics, "pongd_packets_received_total"), 510 + sum(metrics, "pongd_packets_dropped_total"));
  });

  test("as many packets are kept as may be, and no more", async () => {
    write("prefixes: [10.99.0.0/16]", "link: { rtt: 3600s }", "held_packets: 3");
    const pongd = await start();
    const pings = ns.spawn("ping", "-i", "0.002", "-c", "5", "10.99.5.6");
    const full = "pongd_packets_dropped_total{reason=\"held_full\",queue=\"0\"}";
    const metrics = await poll(() => pongd.metrics(), (metrics) => metrics.get(full) === 2);
    pings.kill();
    assert.equal(metrics.get(HELD), 3);
  });
});
