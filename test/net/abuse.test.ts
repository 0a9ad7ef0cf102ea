/** Tries to exhaust pongd through its device and its port. It has to go on serving, in the memory that it has. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { source } from "../support/assembly.js";
import { ended, needs, Netns, Pongd, sum } from "../support/netns.js";
import { ipv4Packet, pattern } from "../support/packets.js";

/** Fragments in a flood; LONG_ABUSE=1 makes it 100,000. */
const FRAGMENTS = process.env.LONG_ABUSE === "1" ? 100_000 : 20_000;
const SLOW_SECONDS = 5;

/** Returns a process's resident memory in bytes. */
const resident = (pid: number) => Number(
  /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1],
) * 1024;

async function inject(ns: Netns, packets: readonly Uint8Array[]): Promise<void> {
  const child = ns.spawn(process.execPath, source("build/test/support/inject.js"), "pong0");
  child.stdin.end(packets.map((packet) => Buffer.from(packet).toString("hex")).join("\n"));
  const status = await ended(child);
  assert.equal(status, 0);
}

test(`${FRAGMENTS} first fragments of as many datagrams: memory stays as it is, and an honest ping in fragments is `
  + "answered", needs("ping"), async (context) => {
  const ns = await Netns.open();
  context.after(() => ns.close());
  const pongd = await Pongd.start(ns, "10.99.0.0/16");
  context.after(() => pongd.stop());
  // Every other fragment lies at the end of one of the longest datagrams, so that all of a buffer is touched.
  const flood = (count: number) => Array.from({ length: count }, (_, i) => ipv4Packet(
    pattern(8), { src: `198.51.${i >> 8 & 255}.${i & 255}`, id: i & 0xffff, fragment: 0x2000 | (i & 1) * 8000 },
  ));
  const received = async (count: number) => pongd.until(
    (metrics) => sum(metrics, "pongd_packets_received_total") >= count,
  );
  await inject(ns, flood(1000));
  await received(1000);
  const before = resident(pongd.pid);
  await inject(ns, flood(FRAGMENTS));
  const metrics = await received(1000 + FRAGMENTS);
  // Metrics and other work of the main thread take some memory; a buffer is 67 KiB.
  assert.ok(resident(pongd.pid) - before < 32 << 20, `${before} bytes before, ${resident(pongd.pid)} after`);
  assert.equal(sum(metrics, "pongd_fragments_held"), 64);
  await ns.pings(3, "-s", "3000", "10.99.1.1");
});

test("slowhttptest's slow headers, slow bodies, slow reading and ranges, all at once: every scrape is answered", needs(
  "slowhttptest",
), async (context) => {
  const ns = await Netns.open();
  context.after(() => ns.close());
  const pongd = await Pongd.start(ns, "10.99.0.0/16");
  context.after(() => pongd.stop());
  const url = "http://127.0.0.1:7664/metrics";
  // The attacks together open more connections than are kept.
  const common = ["-c", "200", "-r", "100", "-l", String(SLOW_SECONDS), "-i", "1", "-p", "5", "-u", url];
  let running = 0;
  const attacks = [["-H"], ["-B"], ["-X", "-w", "1", "-y", "2", "-n", "1", "-z", "1", "-k", "3"], ["-R"]]
    .map(async (mode) => {
      running++;
      const { stdout, stderr } = await ns.run("slowhttptest", ...mode, ...common);
      running--;
      return stdout + stderr;
    });
  let scrapes = 0;
  for (; running > 0; scrapes++) {
    const { status, body } = await pongd.get("/metrics");
    assert.equal(status, 200);
    assert.match(body, /^pongd_ready 1$/m);
  }
  for (const said of await Promise.all(attacks)) assert.match(said, /slow HTTP test status/);
  assert.ok(scrapes > 0);
});
