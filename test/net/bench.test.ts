/** Tests `pongd bench tun` and `pongd bench http`: what they say, not how fast anything is. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { HTTP_TESTS, type HttpReport, type TunReport } from "../../src/bench/report.js";
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
