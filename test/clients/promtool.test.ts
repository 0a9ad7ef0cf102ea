/** /metrics by Prometheus's own checker. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { needs, Netns, Pongd } from "../support/netns.js";

test("promtool finds nothing to complain of in pongd's metrics", needs("promtool"), async () => {
  const ns = await Netns.open();
  const pongd = await Pongd.start(ns, "10.99.0.0/16");
  const { body } = await pongd.get("/metrics");
  const { stdout, stderr } = spawnSync("promtool", ["check", "metrics"], { input: body, encoding: "utf8" });
  // Node's own process metrics are prom-client's to name.
  const complaints = (stdout + stderr).split("\n").filter((line) => line.startsWith("pongd_") || line.includes("error"));
  assert.deepEqual(complaints, []);
  await pongd.stop();
  await ns.close();
});
