/** Sends hostile packets through a real device: every vector, as it is, and each is counted once under its reason. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { source } from "../support/assembly.js";
import { COMBINATIONS, ended, needs, Netns, Pongd, sum } from "../support/netns.js";
import { icmpPacket } from "../support/packets.js";
import { DROPS } from "../vectors/drops.js";

for (const { engine, io } of COMBINATIONS) {
  test(`${engine}, ${io}: I5: every drop vector is counted under its reason, through the device`, needs(), async () => {
    const ns = await Netns.open();
    const pongd = await Pongd.start(
      ns, "10.99.0.0/16", "fd99::/64", "--engine", engine, "--io", io, "--queues", "2", "--unreachable", "off",
      "--reassembly", "0",
    );
    const before = await pongd.metrics();
    const requests = Array.from({ length: 50 }, (_, i) => icmpPacket({ sequence: i }));
    const packets = [...DROPS.map(({ packet }) => packet), ...requests];
    const inject = ns.spawn(process.execPath, source("build/test/support/inject.js"), "pong0");
    inject.stdin.end(packets.map((packet) => Buffer.from(packet).toString("hex")).join("\n"));
    const status = await ended(inject);
    assert.equal(status, 0);

    const expected = new Map<string, number>();
    for (const { reason, name } of DROPS) {
      // Only the wasm engine looks at TCP by default.
      const told = engine === "wasm" && name.startsWith("TCP") ? "tcp_csum" : reason;
      expected.set(told, (expected.get(told) ?? 0) + 1);
    }
    const dropped = (metrics: Map<string, number>, reason: string) => ["0", "1"].reduce((total, queue) => {
      return total + (metrics.get(`pongd_packets_dropped_total{reason="${reason}",queue="${queue}"}`) ?? NaN);
    }, 0);
    // The kernel sends packets of its own when a link comes up, all of them to IPv6 multicast addresses. They may
    // outnumber the test's.
    const KERNEL = "ip_invalid_dest";
    const others = (metrics: Map<string, number>) => sum(
      metrics, "pongd_packets_received_total",
    ) - dropped(metrics, KERNEL);
    const ours = expected.get(KERNEL) ?? 0;
    const after = await pongd.until((metrics) => {
      return dropped(metrics, KERNEL) >= dropped(before, KERNEL) + ours
        && others(metrics) >= others(before) + packets.length - ours;
    });
    const difference = (reason: string) => dropped(after, reason) - dropped(before, reason);
    for (const [reason, count] of expected) if (reason !== KERNEL) assert.equal(difference(reason), count, reason);
    assert.equal(sum(after, "pongd_replies_total") - sum(before, "pongd_replies_total"), requests.length);
    assert.equal(
      sum(after, "pongd_packets_received_total"),
      sum(after, "pongd_replies_total") + sum(after, "pongd_packets_dropped_total"),
    );
    await pongd.stop();
    await ns.close();
  });
}
