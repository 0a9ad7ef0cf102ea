/** Tests honest TCP connections beside floods and beside peers that never read, and very many that are idle. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, test } from "node:test";
import { CONNECTION_SIZE } from "../../abi/tcp.js";
import { source } from "../support/assembly.js";
import { ended, needs, Netns, Pongd, sum } from "../support/netns.js";
import { Random } from "../support/random.js";
import { ACK, encode, PSH, SYN } from "../support/tcp.js";
import { allGone, Clients, dropped, Stalled } from "../support/tcpclients.js";

const PREFIX = "10.99.0.0/16";
const HOST = Uint8Array.of(10, 99, 0, 1);

describe("TCP, beside others", needs("python3"), () => {
  let ns: Netns;
  beforeEach(async () => { ns = await Netns.open(); });
  afterEach(() => ns.close());

  /** Puts packets into the device, as fast as its queue takes them. */
  const inject = async (packets: readonly Uint8Array[]) => {
    const child = ns.spawn(process.execPath, source("build/test/support/inject.js"), "pong0");
    child.stdin.end(packets.map((packet) => `${Buffer.from(packet).toString("hex")}\n`).join(""));
    assert.equal(await ended(child), 0);
  };

  /** Has so many connections opened, used and ended again and again until `others` is over. */
  const honestly = async (count: number, others: Promise<unknown>) => {
    let over = false as boolean;
    const done = others.finally(() => { over = true; });
    const clients = new Clients(ns, 7);
    do {
      assert.deepEqual(await clients.open(count), { open: count });
      assert.deepEqual(await clients.echo(2000), { right: count });
      assert.deepEqual(await clients.end(count), { closed: count });
    } while (!over);
    await done;
    await clients.close();
  };

  test("a flood of SYNs and of segments that belong to nothing: others open, echo and close", async () => {
    const pongd = await Pongd.start(ns, PREFIX, "--tcp", "7=echo", "--tcp-connections", "3000");
    const COUNT = 20_000;
    const HALF = 1500;
    const random = new Random(1);
    // To the sources of these, nothing is routed.
    const flood = Array.from({ length: 2 * COUNT }, (_, i) => encode({
      src: Uint8Array.of(198, 18 + random.below(2), random.below(256), random.below(256)),
      dst: Uint8Array.of(10, 99, 1 + random.below(200), 1 + random.below(250)),
      srcPort: 1024 + random.below(60_000), dstPort: 7, seq: random.next(), window: 1000,
      ...i % 2 === 0 ? { flags: SYN, options: { mss: 1460 } } : { flags: ACK | PSH, ack: random.next() },
    }));
    await honestly(50, inject(flood));
    // What is left of the others is on its way out.
    const metrics = await pongd.until((metrics) => {
      return sum(metrics, "pongd_tcp_connections") === sum(metrics, "pongd_tcp_half_open_connections");
    });
    // Half of the connections may be half-open; the rest of the SYNs is answered, and forgotten.
    const halfOpen = sum(metrics, "pongd_tcp_half_open_connections");
    assert.ok(halfOpen <= HALF, `${halfOpen} half-open connections`);
    const cookies = (what: string) => metrics.get(`pongd_tcp_syn_cookies_total{what="${what}",queue="0"}`) ?? NaN;
    // No more SYNs can have come before the first cookie, and as many acknowledgements, which are not taken for answers
    // to one.
    assert.ok(cookies("sent") >= COUNT - HALF, `${cookies("sent")} cookies`);
    assert.ok(cookies("failed") >= COUNT - HALF, `${cookies("failed")} acknowledgements of none`);
    assert.ok(cookies("failed") <= COUNT, `${cookies("failed")} acknowledgements of none`);
    assert.equal(sum(metrics, "pongd_tcp_memory_bytes"), 0);
    assert.equal((await pongd.stop()).status, 0);
  });

  test("forged SYNs and acknowledgements for a connection: two are answered in a second, and it goes on", async () => {
    const pongd = await Pongd.start(ns, PREFIX, "--tcp", "7=echo");
    const clients = new Clients(ns, 7);
    assert.deepEqual(await clients.open(1), { open: 1 });
    assert.deepEqual(await clients.echo(1000), { right: 1 });
    const [[srcPort, address]] = await clients.places(1);
    const to = { src: HOST, dst: Uint8Array.from(address.split("."), Number), srcPort, dstPort: 7 };
    const random = new Random(2);
    const before = await pongd.metrics();
    const begun = performance.now();
    // The window is twice as wide as the steps of the SYNs, so that some are in it.
    const STEP = 1 << 17;
    const forged = [
      ...Array.from({ length: 2 ** 32 / STEP }, (_, i) => ({ seq: i * STEP, flags: SYN })),
      ...Array.from({ length: 5000 }, () => ({ seq: random.next(), flags: ACK, ack: random.next() })),
    ];
    await inject(forged.map((each) => encode({ ...to, ...each, window: 1000 })));
    const challenged = (metrics: Map<string, number>) => dropped(metrics, "tcp_flags")
      + dropped(metrics, "tcp_invalid_ack_sequence") + dropped(metrics, "tcp_overwindow")
      + dropped(metrics, "tcp_invalid_sequence") + dropped(metrics, "tcp_old_data");
    const after = await pongd.until((metrics) => challenged(metrics) >= forged.length);
    assert.ok(dropped(after, "tcp_flags") > dropped(before, "tcp_flags"), "a SYN in the window");
    const seconds = (performance.now() - begun) / 1000;
    const out = (metrics: Map<string, number>) => metrics.get(
      "pongd_tcp_segments_total{direction=\"out\",queue=\"0\"}",
    ) ?? NaN;
    const answers = out(after) - out(before);
    assert.ok(answers >= 1 && answers <= 2 * seconds + 1, `${answers} answers in ${seconds} s`);
    assert.deepEqual(await clients.echo(1000), { right: 1 });
    assert.deepEqual(await clients.end(1), { closed: 1 });
    await allGone(pongd);
    await clients.close();
    assert.equal((await pongd.stop()).status, 0);
  });

  test("peers that ask and never read, of chargen and of echo: others open, echo and close", async () => {
    const pongd = await Pongd.start(ns, PREFIX, "--tcp", "7=echo 19=chargen", "--tcp-memory", "16777216");
    const stalled = [new Stalled(ns, "10.99.250", 19, 100, "x"), new Stalled(ns, "10.99.251", 7, 50, "x")];
    // Each echo has kept all that it takes when its peer is told so.
    const full = pongd.until((metrics) => sum(metrics, "pongd_tcp_connections") >= 150
      && sum(metrics, "pongd_tcp_memory_bytes") >= 50 * 65536);
    await honestly(50, full);
    // The others may have been among those that were counted.
    const metrics = await pongd.until((metrics) => sum(metrics, "pongd_tcp_connections") === 150);
    assert.ok(sum(metrics, "pongd_tcp_memory_bytes") <= 16_777_216);
    await Promise.all(stalled.map((each) => each.end()));
    await allGone(pongd);
    assert.equal((await pongd.stop()).status, 0);
  });

  test("10,000 connections take the memory of their blocks while they are idle, and echo", async () => {
    const COUNT = 2500;
    const pongd = await Pongd.start(ns, PREFIX, "--tcp", "7=echo");
    const clients = [0, 1, 2, 3].map((i) => new Clients(ns, 7, COUNT * i));
    // Once, so that what any first connection needs is there.
    assert.deepEqual(await clients[0].open(100), { open: 100 });
    assert.deepEqual(await clients[0].end(100), { closed: 100 });
    const before = wasmBytes(pongd);
    for (const each of clients) assert.deepEqual(await each.open(COUNT), { open: COUNT });
    assert.equal(sum(await pongd.metrics(), "pongd_tcp_connections"), 4 * COUNT);
    const bytes = (wasmBytes(pongd) - before) / (4 * COUNT);
    assert.ok(bytes >= CONNECTION_SIZE * 0.9 && bytes <= 600, `${bytes} bytes a connection`);
    for (const each of clients) assert.deepEqual(await each.echo(100), { right: COUNT });
    await pongd.until((metrics) => sum(metrics, "pongd_tcp_memory_bytes") === 0);
    assert.equal(sum(await pongd.metrics(), "pongd_tcp_connections"), 4 * COUNT);
    for (const each of clients) assert.deepEqual(await each.end(COUNT), { closed: COUNT });
    await allGone(pongd);
    await Promise.all(clients.map((each) => each.close()));
    assert.equal((await pongd.stop()).status, 0);
  });
});

/** Returns how many bytes the queue's memory takes: that of the mapping for which most is reserved. */
function wasmBytes(pongd: Pongd): number {
  const mappings = readFileSync(`/proc/${pongd.pid}/smaps`, "utf8")
    .matchAll(/^Size: +(\d+) kB\n(?:.*\n)*?Rss: +(\d+) kB$/gm);
  const [, rss] = [...mappings].map(([, size, rss]) => [Number(size), Number(rss)])
    .filter(([, rss]) => rss > 0)
    .reduce((a, b) => b[0] > a[0] ? b : a);
  return rss * 1024;
}
