/** Tests scrapes beside packets: the main thread's work does not disturb the packet loop. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { source } from "../support/assembly.js";
import { ended, needs, Netns, Pongd, sum } from "../support/netns.js";
import { icmpPacket } from "../support/packets.js";

const SCRAPES = 100;

test(`${SCRAPES} scrapes of 1,000 prefixes, one upon another, and every packet that is sent `
  + "meanwhile is answered", needs(), async () => {
  const ns = await Netns.open();
  const prefixes = Array.from({ length: 999 }, (_, i) => `10.100.${i >> 8}.${i & 255}/32`);
  const pongd = await Pongd.start(ns, "10.99.0.0/16", ...prefixes);
  // The queue holds five seconds of packets. A busy machine keeps pongd from its CPU, and the sender, which then
  // catches up.
  await ns.ok("ip", "link", "set", "pong0", "txqueuelen", "10000");
  const sender = ns.spawn(
    process.execPath,
    source("build/test/support/steady.js"),
    "pong0",
    "2000",
    Buffer.from(icmpPacket()).toString("hex"),
  );
  let said = "";
  sender.stdout.on("data", (chunk) => { said += String(chunk); });
  await pongd.until((metrics) => sum(metrics, "pongd_replies_total") > 0);
  const samples = await ns.evaluate<number>(`
    let samples = 0;
    for (let i = 0; i < ${SCRAPES}; i++) samples += (await (await fetch("http://127.0.0.1:7664/metrics")).text()).match(/^pongd_prefix_replies_total\\{/gm).length;
    console.log(samples);`);
  assert.equal(samples, SCRAPES * 1000);
  sender.stdin.end();
  await ended(sender);
  const { sent, refused } = JSON.parse(said) as { sent: number; refused: number };
  assert.equal(refused, 0);
  const metrics = await pongd.until((metrics) => sum(metrics, "pongd_replies_total") >= sent);
  assert.equal(sum(metrics, "pongd_replies_total"), sent);
  assert.equal(sum(metrics, "pongd_prefix_replies_total"), sent);
  await pongd.stop();
  await ns.close();
});
