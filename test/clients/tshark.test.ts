/** Has an independent dissector look at the replies: every checksum is verified, every request matched to its reply. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { COMBINATIONS, needs, Netns, poll, Pongd, said } from "../support/netns.js";

/** Replies to one round of clients. */
const ROUND = 50;

for (const { engine, io } of COMBINATIONS) {
  test(`${engine}, ${io}: tshark verifies every checksum and matches every reply to its request`, needs(
    "tshark", "ping", "fping",
  ), async () => {
    const ns = await Netns.open();
    const pongd = await Pongd.start(ns, "10.99.0.0/16", "--engine", engine, "--io", io);
    const fields = ["icmp.type", "ip.checksum.status", "icmp.checksum.status", "icmp.resp_to", "ip.ttl"];
    const capture = ns.spawn(
      "tshark", "-i", "pong0", "-n", "-l", "-f", "icmp", "-c", "180", "-o", "ip.check_checksum:TRUE", "-T", "fields",
      ...fields.flatMap((field) => ["-e", field]),
    );
    let output = "";
    capture.stdout.on("data", (chunk) => { output += String(chunk); });
    await said(capture.stderr, /Capturing on/);
    // tshark says that it captures a moment before it does, so the packets are sent again until it has them.
    await poll(async () => {
      await ns.run("ping", "-c", "10", "-i", "0.002", "-s", "57", "-p", "ff", "10.99.1.1");
      await ns.run(
        "fping", "-q", "-c", "10", "-p", "10", "-i", "1", "-b", "1400", "10.99.2.0", "10.99.2.1", "10.99.2.2",
        "10.99.2.3",
      );
    }, () => capture.exitCode !== null);
    const rows = output.trim().split("\n").map((line) => line.split("\t"));
    const replies = rows.filter(([type]) => type === "0");
    assert.ok(replies.length >= 80, `${replies.length} replies among ${rows.length} packets`);
    for (const [, ip, icmp, , ttl] of replies) assert.deepEqual([ip, icmp, ttl], ["1", "1", "64"], "good, good, ours");
    const matched = replies.map(([, , , request]) => request !== "");
    assert.ok(matched.slice(ROUND).every(Boolean), "none but the first ones answer a request that was not captured");
    await pongd.stop();
    await ns.close();
  });
}
