/** Tests `pongd bench tun` and `pongd bench http`, and what else the first one's sender can do: overload pongd. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { test } from "node:test";
import { affinity } from "../../src/bench/affinity.js";
import { HTTP_TESTS, type HttpReport, type TunReport } from "../../src/bench/report.js";
import { median, medianInterval } from "../../src/bench/stats.js";
import { Station } from "../../src/bench/tun.js";
import { CLI, COMBINATIONS, needs } from "../support/netns.js";

/** Runs pongd in namespaces of its own, so that it has the rights wherever namespaces are to be had. */
const pongd = (...args: string[]) => pongdOn(process.env.PATH ?? "", ...args);
const pongdOn = (path: string, ...args: string[]) => spawnSync(
  "unshare", ["-r", "-n", "env", `PATH=${path}`, process.execPath, CLI, ...args], { encoding: "utf8" },
);

test("every combination is measured, and the figures are of one piece", needs(), () => {
  const { status, stdout, stderr } = pongd("bench", "tun", "--seconds", "0.6", "--json", "-");
  assert.equal(stderr, "");
  assert.equal(status, 0);
  const { complete, results } = JSON.parse(stdout) as TunReport;
  assert.ok(complete);
  assert.deepEqual(
    results.map(({ engine, io }) => `${engine} ${io}`), COMBINATIONS.map(({ engine, io }) => `${engine} ${io}`),
  );
  for (const { io, repliesPerSecond, cpuNsPerPacket, systemCallsPerPacket, idle, halfLoad } of results) {
    assert.ok(repliesPerSecond.median > 0);
    assert.ok(cpuNsPerPacket > 0);
    assert.ok(io === "readwrite"
      ? systemCallsPerPacket > 1.9 && systemCallsPerPacket < 2.5
      : systemCallsPerPacket > 0 && systemCallsPerPacket < 0.5);
    for (const latency of [idle, halfLoad]) {
      assert.ok(latency && latency.count > 0);
      assert.ok(0 < latency.p50Us && latency.p50Us <= latency.p90Us && latency.p90Us <= latency.p99Us
        && latency.p99Us <= latency.p999Us && latency.p999Us <= latency.maxUs);
      assert.equal(latency.histogram.reduce((sum, [, count]) => sum + count, 0), latency.count);
    }
    assert.equal(idle?.packetsPerSecond, 0);
    assert.ok(halfLoad && halfLoad.packetsPerSecond > 0);
  }
});

for (const [client, path, skip] of [
  ["wrk", process.env.PATH ?? "", needs("wrk")], ["own", "/no/such/folder", needs()],
] as const) {
  test(`http: every test measures both servers, with ${client === "wrk" ? "wrk" : "no wrk on PATH"}`, skip, () => {
    const { status, stdout, stderr } = pongdOn(path, "bench", "http", "--seconds", "1.8", "--json", "-");
    assert.equal(stderr, "");
    assert.equal(status, 0);
    const { complete, results } = JSON.parse(stdout) as HttpReport;
    assert.ok(complete);
    assert.deepEqual(
      results.map((result) => `${result.test} ${result.server} ${result.client}`),
      HTTP_TESTS.flatMap((name) => {
        const by = name === "keepalive" || name === "lone" ? client : "own";
        return [`${name} pongd ${by}`, `${name} kernel ${by}`];
      }),
    );
    for (const { test, server, perSecond, ratioToKernel, ratioToKernelInterval, cpuUs, p50Us, p99Us } of results) {
      assert.ok(perSecond.min > 0 && perSecond.min <= perSecond.median && perSecond.median <= perSecond.max);
      assert.ok(cpuUs > 0);
      assert.ok(ratioToKernel !== null && ratioToKernel > 0 && ratioToKernelInterval !== null);
      if (server === "kernel") assert.deepEqual([ratioToKernel, ...ratioToKernelInterval], [1, 1, 1]);
      if (test === "bulk") assert.deepEqual([p50Us, p99Us], [null, null]);
      else assert.ok(p50Us !== null && p99Us !== null && 0 < p50Us && p50Us <= p99Us);
    }
  });
}

for (const name of ["tun", "http"]) {
  test(`${name}: without rights it says so in one line, and ends with 4`, needs("setpriv"), (context) => {
    if (process.getuid?.() !== 0) {
      context.skip("needs root, to give rights up");
      return;
    }
    const nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set=-all"];
    const { status, stdout, stderr } = spawnSync(
      "setpriv", [...nobody, process.execPath, CLI, "bench", name], { encoding: "utf8" },
    );
    assert.match(stderr, new RegExp(`^pongd: bench ${name} makes a network namespace [^\\n]*, and may not: EPERM; `
      + `run it as root \\(sudo\\), or [^\\n]*: unshare -r pongd bench ${name}\\n$`));
    assert.equal(stdout, "");
    assert.equal(status, 4);
  });
}

const [, ...others] = affinity();
const twoCpus = others.length > 0 ? needs("taskset") : { skip: "needs a CPU for the sender, and one for pongd" };
for (const { engine, io } of COMBINATIONS) {
  test("overload: beyond what it can take, replies stay at 95 % of the peak, and the device counts the rest "
    + `(${engine}, ${io})`, twoCpus, async () => {
    const station = await Station.start({ engine, io, mtu: 1500, offload: false, seed: 1 });
    // The rivals leave pongd an eighth of its CPU. With a whole CPU it may take all that a sender can offer.
    const rivals = Array.from(
      { length: 7 }, () => spawn("taskset", ["-c", String(others.at(-1)), process.execPath, "-e", "for (;;);"]),
    );
    try {
      const flood = async (packetsPerSecond: number) => (await station.flood(
        { kind: "flood", packetBytes: 84, seconds: 0.2, packetsPerSecond },
      )).flood;
      const rate = ({ replies, seconds }: Awaited<ReturnType<typeof flood>>) => replies / seconds;
      const capacity = median([rate(await flood(Infinity)), rate(await flood(Infinity)), rate(await flood(Infinity))]);
      const loads = [0.9 * capacity, capacity, Infinity];
      const rounds: number[][] = [];
      const offered: number[] = [];
      while (rounds.length < 9) {
        const round: number[] = [];
        for (const load of loads) {
          const result = await flood(load);
          round.push(rate(result));
          if (load === Infinity) offered.push((result.taken + result.dropped) / result.seconds / capacity);
          // Packets that were taken before the clock started may be answered after, and the reverse: a queue's length
          // and a batch.
          assert.ok(
            Math.abs(result.replies - result.taken) < 5000, `${result.taken} taken, ${result.replies} answered`,
          );
        }
        rounds.push(round);
      }
      assert.ok(
        median(offered) > 1.2, `no overload: the sender has offered ${median(offered)} times what pongd can take`,
      );
      // Rates are compared within a round, because a machine drifts,
      // and by the interval of the median, because it is disturbed.
      for (const [i, load] of loads.slice(0, -1).entries()) {
        const ratios = rounds.map((round) => round[2] / round[i]);
        const [, high] = medianInterval(ratios);
        assert.ok(high >= 0.95, `replies when overloaded, to those at ${load / capacity} times capacity: `
        + ratios.map((ratio) => ratio.toFixed(3)).join(", "));
      }
    } finally {
      for (const rival of rivals) rival.kill();
      station.end();
    }
  });
}
