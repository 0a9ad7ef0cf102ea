/** Tests packets that the device's queue has no room for: pongd never sees them, but its metrics have them all. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { source } from "../support/assembly.js";
import { CLI, COMBINATIONS, needs, Netns, Pongd, sum } from "../support/netns.js";

const METRIC = "pongd_device_tx_dropped_total";
const SENT = 200;

describe("an overrun", needs("ping"), () => {
  let ns: Netns;
  before(async () => { ns = await Netns.open(); });
  after(() => ns.close());

  /** Returns the kernel's own count of dropped packets. */
  const dropped = async () => (await ns.ip<{
    stats64: { tx: { dropped: number } };
  }>("-s", "link", "show", "dev", "pong0"))[0].stats64.tx.dropped;

  /** Sends more packets than the queue holds, while nobody reads it. */
  const overrun = async (pongd: Pongd) => {
    await ns.ok("ip", "link", "set", "pong0", "txqueuelen", "20");
    process.kill(pongd.pid, "SIGSTOP");
    await ns.run("ping", "-q", "-c", String(SENT), "-i", "0.002", "-W", "0.1", "10.99.1.1");
    process.kill(pongd.pid, "SIGCONT");
  };

  for (const { engine, io } of COMBINATIONS) {
    test(`${engine}, ${io}: every packet that was sent is received, or counted as one that the queue `
      + "had no room for", async () => {
      const pongd = await Pongd.start(ns, "10.99.0.0/16", "--engine", engine, "--io", io);
      const before = await pongd.metrics();
      assert.equal(before.get(METRIC), 0);
      await overrun(pongd);
      const after = await pongd.until((metrics) => sum(metrics, "pongd_packets_received_total")
        + sum(metrics, METRIC) >= sum(before, "pongd_packets_received_total") + SENT);
      assert.equal(
        sum(after, "pongd_packets_received_total") + sum(after, METRIC),
        sum(before, "pongd_packets_received_total") + SENT,
      );
      // Packets for reads that the ring had asked for before are not in the queue.
      assert.ok(sum(after, METRIC) > 0 && sum(after, METRIC) <= SENT - 20, String(sum(after, METRIC)));
      assert.equal(sum(after, METRIC), await dropped());
      await pongd.stop();
    });
  }

  test("on a pre-made device it counts from this pongd's start", async () => {
    await ns.ok(process.execPath, CLI, "device", "create", "pong0", "10.99.0.0/16", "--user", "root");
    const first = await Pongd.start(ns, "10.99.0.0/16");
    await overrun(first);
    await first.until((metrics) => sum(metrics, METRIC) > 0);
    await first.stop();
    const earlier = await dropped();
    const second = await Pongd.start(ns, "10.99.0.0/16");
    assert.equal((await second.metrics()).get(METRIC), 0);
    await overrun(second);
    const later = await second.until((metrics) => sum(metrics, METRIC) > 0);
    assert.equal(later.get(METRIC), await dropped() - earlier);
    await second.stop();
    await ns.ok("ip", "link", "del", "pong0");
  });

  test("a device that is gone, or closed, keeps its last count", async () => {
    const counts = await ns.evaluate<number[]>(`
      const { TunDevice } = await import("${source("build/src/tun/device.js")}");
      const { Netlink } = await import("${source("build/src/tun/netlink.js")}");
      const { Overruns } = await import("${source("build/src/tun/overruns.js")}");
      const { execFileSync } = await import("node:child_process");
      const device = new TunDevice({ name: "dev0", mtu: 1500, queues: 1 });
      await device.routing.configure([], []);
      const overruns = new Overruns(new Netlink(), device.overruns);
      execFileSync("sh", ["-c", "ip link set dev0 txqueuelen 1 && ip addr add 10.98.0.1/24 dev dev0 && { ping -q -c 5 -i 0.002 -W 0.1 10.98.0.2 || true; }"]);
      const counts = [overruns.txDropped()];
      execFileSync("ip", ["link", "del", "dev0"]);
      counts.push(overruns.txDropped());
      device.close();
      counts.push(overruns.txDropped());
      console.log(JSON.stringify(counts));`);
    assert.deepEqual(counts, [4, 4, 4]);
  });
});
