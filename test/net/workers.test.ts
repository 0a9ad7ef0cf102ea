/** Tests workers that crash: what the others do meanwhile, what is counted, and when pongd gives up. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { BATCH } from "../../abi/slots.js";
import { EXIT } from "../../src/base/failure.js";
import { IO_NAMES } from "../../src/io/contract.js";
import { source } from "../support/assembly.js";
import { needs, Netns, Pongd, sum } from "../support/netns.js";

for (const io of IO_NAMES) describe(io, needs("ping", "strace"), () => {
  let ns: Netns;
  before(async () => { ns = await Netns.open(); });
  after(() => ns.close());

  const flows = [1, 2, 3, 4, 5, 6, 7, 8];

  test("one of two is killed under load: nothing is lost but what was with it, no counter goes back, every packet is "
    + "counted once", async () => {
    const pongd = await Pongd.start(ns, "10.99.0.0/16", "--queues", "2", "--io", io);
    // The queue holds all of the pings, so that none is lost, however long a busy machine takes to start a worker.
    await ns.ok("ip", "link", "set", "pong0", "txqueuelen", "10000");
    const pings = Promise.all(flows.map((last) => ns.ok("ping", "-q", "-i", "0.004", "-c", "1000", `10.99.1.${last}`)));
    const under = await pongd.until((metrics) => sum(metrics, "pongd_replies_total") > 400);
    for (const queue of [0, 1]) {
      assert.ok((under.get(`pongd_packets_received_total{queue="${queue}"}`) ?? 0) > 0, `queue ${queue} has flows`);
    }
    const killed = pongd.crash();
    let last = under;
    await pongd.until((metrics) => {
      for (const [sample, value] of last) if (/_total\b/.test(sample) && sample.startsWith("pongd_")) {
        assert.ok((metrics.get(sample) ?? -1) >= value, `${sample} goes back from ${value}`);
      }
      last = metrics;
      return metrics.get("pongd_worker_restarts_total{queue=\"1\"}") === 1;
    });
    await killed;
    await pings;
    // pongd's own count is used: a ping that gets no time itself misses replies that have come.
    const metrics = await pongd.until((metrics) => sum(metrics, "pongd_replies_total") >= 1000 * flows.length - BATCH);
    assert.equal(sum(metrics, "pongd_device_tx_dropped_total"), 0);
    assert.equal(metrics.get("pongd_worker_restarts_total{queue=\"0\"}"), 0);
    assert.equal(
      sum(metrics, "pongd_packets_received_total"),
      sum(metrics, "pongd_replies_total") + sum(metrics, "pongd_packets_dropped_total"),
    );
    assert.match(pongd.stderr, /^\S+ error the worker of queue 1 died: .*; it is started again queue=1\n$/);
    const { status } = await pongd.stop();
    assert.equal(status, 0);
  });

  test("the third crash in ten seconds ends pongd, with a line and status 1, and nothing is left", async () => {
    const pongd = await Pongd.start(ns, "10.99.0.0/16", "--queues", "2", "--io", io);
    const pings = flows.map((last) => ns.spawn("ping", "-q", "-i", "0.01", `10.99.1.${last}`));
    for (const restarts of [1, 2]) {
      await pongd.crash();
      const again = await pongd.until(
        (metrics) => metrics.get("pongd_worker_restarts_total{queue=\"1\"}") === restarts,
      );
      // A crash counts against the next worker only once that one does its work.
      const received = (metrics: Map<string, number>) => metrics.get("pongd_packets_received_total{queue=\"1\"}")
        ?? NaN;
      await pongd.until((metrics) => received(metrics) > received(again));
    }
    await pongd.crash();
    const { status, stderr } = await pongd.ended;
    assert.equal(status, EXIT.RUNTIME);
    assert.match(stderr, /pongd: the worker of queue 1 died: .*; workers crashed 3 times in 10 s\n$/);
    assert.deepEqual((await ns.ip<{ ifname: string }>("link")).map(({ ifname }) => ifname), ["lo"]);
    for (const ping of pings) ping.kill();
  });

  test("without descriptors for another worker, pongd ends with a line in place of aborting", async () => {
    const pongd = await Pongd.start(ns, "10.99.0.0/16", "--queues", "2", "--io", io);
    await ns.ok("prlimit", "--pid", String(pongd.pid), "--nofile=20:20");
    const pings = flows.map((last) => ns.spawn("ping", "-q", "-i", "0.01", `10.99.1.${last}`));
    await pongd.crash();
    const { status, stderr } = await pongd.ended;
    assert.equal(status, EXIT.RUNTIME);
    assert.match(stderr, /\npongd: no descriptors are left to start a worker with; see: ulimit -n\n$/);
    for (const ping of pings) ping.kill();
  });

  test("an engine that traps: what was with it is counted as lost, and the rest stays counted", async () => {
    const { said, restarts, before, after, lost, received } = JSON.parse(
      await ns.ok(process.execPath, source("build/test/support/crash.js"), io),
    ) as {
      said: string[]; restarts: number; before: Verdicts; after: Verdicts; lost: number; received: number;
    };
    assert.deepEqual(said, ["the worker of queue 0 died: memory access out of bounds"]);
    assert.equal(restarts, 1);
    assert.ok(lost >= 1, "the packet that it trapped on");
    assert.equal(after.dropped.worker_crash, lost);
    assert.equal(received, after.replied + Object.values(after.dropped).reduce((a, b) => a + b, 0) + after.held);
    assert.ok(after.replied >= before.replied + 20);
  });
});

interface Verdicts {
  readonly replied: number;
  readonly held: number;
  readonly dropped: Record<string, number>;
}
