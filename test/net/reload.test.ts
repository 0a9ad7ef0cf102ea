/** Tests reloads of a running pongd: what changes, what does not, and what is lost, which is nothing. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, describe, test } from "node:test";
import { addUp, ended, needs, Netns, Pongd, poll, said, sum } from "../support/netns.js";

/** The file that each test writes. */
const FOLDER = mkdtempSync(join(tmpdir(), "pongd-"));
const FILE = join(FOLDER, "pongd.yaml");
const write = (text: string) => { writeFileSync(FILE, text); };
/** The least number of reloads while pings are sent. */
const RELOADS = 30;
const SUCCESSFUL = "pongd_config_last_reload_successful";
const SUCCEEDED_AT = "pongd_config_last_reload_success_timestamp_seconds";

function nextTurn(): Promise<false> {
  return new Promise((resolve) => {
    setImmediate(() => { resolve(false); });
  });
}

describe("reload", needs("ping", "fping"), () => {
  let ns: Netns;
  beforeEach(async () => {
    ns = await Netns.open();
    write("prefixes: [10.99.0.0/16]\n");
  });
  afterEach(() => ns.close());
  after(() => { rmSync(FOLDER, { recursive: true }); });

  const start = (...args: string[]) => Pongd.start(ns, "--config", FILE, ...args);
  const post = (path = "/-/reload", ...headers: string[]) => ns.http(
    `http://127.0.0.1:7664${path}`, "-X", "POST", ...headers.flatMap((header) => ["-H", header]),
  );
  const reloaded = async () => { assert.deepEqual(await post(), { status: 200, body: "Reloaded\n" }); };
  /** Returns the answer's TTL, or undefined where there is none. */
  const ttl = async (address: string, seconds = 20) => / ttl=(\d+)/.exec(
    (await ns.run("ping", "-c", "1", "-W", String(seconds), address)).stdout,
  )?.[1];
  const silent = async (address: string) => await ttl(address, 0.3) === undefined;
  const routes = async () => (await ns.ip<{ dst: string }>("route", "show", "dev", "pong0")).map(({ dst }) => dst);

  for (const io of ["uring", "readwrite"]) {
    test(`${io}: what did not change loses no packet, plain or in fragments, by SIGHUP or by request`, async () => {
      const pongd = await start("--queues", "2", "--io", io);
      // The queue holds seconds of pings: on a busy machine pongd may get no time for as long as the usual queue lasts.
      await ns.ok("ip", "link", "set", "pong0", "txqueuelen", "10000");
      let [sent, count] = [0, 0];
      const pings = async () => {
        do {
          for (const said of await Promise.all([
            ...[1, 2, 3].map((last) => ns.ok("ping", "-q", "-i", "0.002", "-c", "2000", `10.99.1.${last}`)),
            ns.ok("ping", "-q", "-i", "0.005", "-s", "6000", "-c", "800", "10.99.2.1"),
          ])) assert.match(said, /^(2000|800) packets transmitted/m);
          // Each ping of 6,000 bytes is five fragments.
          sent += 3 * 2000 + 5 * 800;
        } while (count < RELOADS);
        return true;
      };
      const pinged = pings();
      for (let over = false; !over; count++) {
        write(`prefixes: [10.99.0.0/16, 10.98.${count % 200}.0/24]\nsource_rate_limit: `
          + `${count % 2 ? "none" : "{ rate: 1000000 }"}\n`);
        if (count % 2) process.kill(pongd.pid, "SIGHUP");
        await reloaded();
        over = await Promise.race([pinged, nextTurn()]);
      }
      // pongd's own count is used: a ping that gets no time itself misses replies that have come.
      const metrics = await pongd.metrics();
      const totals = [
        "pongd_packets_received_total", "pongd_replies_total", "pongd_packets_dropped_total",
        "pongd_write_errors_total",
      ].map((name) => sum(metrics, name));
      assert.deepEqual(totals, [sent, sent, 0, 0]);
      await pongd.stop();
    });
  }

  test("prefixes, exceptions, answers, TTL and limits change, each with its route; counts of "
    + "what stays go on", async () => {
    write("prefixes:\n  - { prefix: 10.99.0.0/16, name: lab }\n  - { prefix: 10.99.7.0/24, name: dark, answer: [] }\n "
      + " - 10.97.0.0/24\n");
    const pongd = await start();
    assert.deepEqual([await ttl("10.99.1.1"), await silent("10.99.7.1"), await ttl("10.97.0.1")], ["64", true, "64"]);
    write("except: [10.99.8.0/24]\nttl: 99\nprefixes:\n  - { prefix: 10.99.0.0/16, name: lab }\n  - { prefix: "
      + "10.99.7.0/24, name: lit, ttl: 7, rate_limit: { rate: 0.001, burst: 2 } }\n  - 10.96.0.0/24\n");
    await reloaded();
    assert.deepEqual(
      [await ttl("10.99.1.1"), await ttl("10.99.7.1"), await ttl("10.96.0.1"), await silent("10.99.8.1")],
      ["99", "7", "99", true],
    );
    assert.deepEqual(await routes(), ["10.96.0.0/24", "10.99.0.0/16", "10.99.7.0/24"]);
    const { stdout } = await ns.run("fping", "-c", "3", "-p", "5", "-t", "2000", "10.99.7.2");
    assert.equal(stdout.match(/bytes/g)?.length, 1, "the second of its burst; the first went to 10.99.7.1");
    const metrics = await pongd.metrics();
    const replies = [...metrics].filter(([sample]) => sample.startsWith("pongd_prefix_replies_total"));
    assert.deepEqual(Object.fromEntries(replies), {
      "pongd_prefix_replies_total{prefix=\"10.99.0.0/16\",name=\"lab\"}": 2,
      "pongd_prefix_replies_total{prefix=\"10.99.7.0/24\",name=\"lit\"}": 2,
      "pongd_prefix_replies_total{prefix=\"10.96.0.0/24\"}": 1,
    });
    assert.equal(metrics.get("pongd_packets_dropped_total{reason=\"rate_limited\",queue=\"0\"}"), 2);
    await pongd.stop();
  });

  test("a connection keeps its service, which changes or goes; one that does not change keeps its count", async () => {
    const reply = (text: string) => { writeFileSync(join(FOLDER, "reply"), `${text}\n`); };
    const services = "services:\n  own: { tcp: { reply: reply, after: \"\\n\" } }\n"
      + "  same: { tcp: { banner: \"hello\\n\" } }\n";
    const connect = (port: number) => {
      const client = ns.spawn(process.execPath, "-e", `const socket = require("net").connect(${port}, "10.99.1.1");
        process.stdin.pipe(socket); socket.pipe(process.stdout); socket.on("error", (e) => console.log(e.code));`);
      return {
        hears: (pattern: RegExp) => said(client.stdout, pattern),
        async asks(line: string, pattern: RegExp) {
          const heard = said(client.stdout, pattern);
          client.stdin.write(`${line}\n`);
          await heard;
        },
        async ends() {
          client.stdin.end();
          await ended(client);
        },
      };
    };
    const accepted = async () => {
      const found: Record<string, number> = {};
      for (const [key, count] of await pongd.metrics()) {
        const [, service] = (/^pongd_tcp_accepted_total\{service="(\w+)"/.exec(key) ?? []) as (string | undefined)[];
        if (service !== undefined) found[service] = (found[service] ?? 0) + count;
      }
      return found;
    };
    reply("first");
    write(`${services}tcp: { 7: echo, 80: own, 22: same }\nprefixes: [10.99.0.0/16]\n`);
    const pongd = await start("--queues", "2");
    const [old, echo] = [connect(80), connect(7)];
    await old.asks("?", /^first\n/m);
    await echo.asks("one", /^one\n/m);
    const greeted = connect(22);
    await greeted.hears(/^hello\n/m);
    assert.deepEqual(await accepted(), { echo: 1, own: 1, same: 1 });

    reply("second");
    write(`${services}tcp: { 80: own, 22: same, 23: same }\nprefixes: [10.99.0.0/16]\n`);
    await reloaded();
    const now = connect(80);
    await now.asks("?", /^second\n/m);
    await old.asks("?", /^first\n/m);
    await echo.asks("two", /^two\n/m);
    const refused = connect(7);
    await refused.hears(/^ECONNREFUSED\n/m);
    // The changed service is another one, which counts its own connections.
    assert.deepEqual(await accepted(), { own: 1, same: 1 });

    for (const client of [old, echo, greeted, now]) await client.ends();
    const after = await pongd.until((metrics) => sum(metrics, "pongd_tcp_connections") === 0);
    assert.equal(after.get("pongd_tcp_closed_total{how=\"reset\",queue=\"0\"}"), 0);
    addUp(await pongd.metrics());
    await pongd.stop();
  });

  test("a file that is wrong, or gone, changes nothing: it is logged with its line, and the metrics say so until "
    + "one is right", async () => {
    const pongd = await start();
    const { [SUCCEEDED_AT]: startedAt } = Object.fromEntries(await pongd.metrics());
    const unchanged = async () => {
      assert.equal(await ttl("10.99.1.1"), "64");
      assert.deepEqual(await routes(), ["10.99.0.0/16"]);
      const metrics = await pongd.metrics();
      assert.deepEqual([metrics.get(SUCCESSFUL), metrics.get(SUCCEEDED_AT)], [0, startedAt]);
    };
    write("ttl: 9\nprefixes:\n  - 10.98.0.0/16\n  - 10.97.0.1/16\nanswers: [echo]\n");
    const wrong = await post();
    assert.equal(wrong.status, 500);
    assert.match(wrong.body, new RegExp(`^${FILE}:4:5: .*10\\.97\\.0\\.0/16.*\n${FILE}:5:1: .*"answers".*answer.*\n$`));
    await unchanged();
    rmSync(FILE);
    process.kill(pongd.pid, "SIGHUP");
    await pongd.logged(/cannot|ENOENT|no such file/i);
    await unchanged();
    write("ttl: 9\nprefixes: [10.99.0.0/16]\n");
    await reloaded();
    const metrics = await pongd.metrics();
    assert.equal(metrics.get(SUCCESSFUL), 1);
    assert.ok((metrics.get(SUCCEEDED_AT) ?? 0) > startedAt);
    assert.equal(await ttl("10.99.1.1"), "9");
    assert.match(pongd.stderr, new RegExp(` error ${FILE}:4:5: .*\n.* error ${FILE}:5:1: .*\n.* error the `
      + `configuration was not reloaded: all is as it was\n`));
    await pongd.stop();
  });

  test("a pipe in the file's place is refused and not waited for", async () => {
    const pongd = await start();
    rmSync(FILE);
    await ns.ok("mkfifo", FILE);
    const { status, body } = await post();
    assert.deepEqual(
      [status, body], [500, `${FILE}: not a regular file, and so not to be read a second time; write it to one\n`],
    );
    assert.equal(await ttl("10.99.1.1"), "64");
    rmSync(FILE);
    assert.equal((await pongd.stop()).status, 0);
  });

  test("a prefix that cannot be had, as it is routed elsewhere, keeps all of the file from "
    + "being taken over", async () => {
    await ns.ok("ip", "route", "add", "10.96.0.0/24", "dev", "lo");
    const pongd = await start();
    write("ttl: 9\nprefixes: [10.99.0.0/16, 10.97.0.0/24, 10.96.0.0/24]\n");
    const { status, body } = await post();
    assert.equal(status, 500);
    assert.match(body, /prefix 10\.96\.0\.0\/24 is routed to lo already/);
    assert.equal(await ttl("10.99.1.1"), "64");
    assert.ok(await silent("10.97.0.1"));
    assert.deepEqual(await routes(), ["10.99.0.0/16"]);
    await pongd.stop();
    await ns.ok("ip", "route", "del", "10.96.0.0/24", "dev", "lo");
  });

  test("what a reload does not change is said, and the rest is done", async () => {
    const pongd = await start();
    write("device: { mtu: 1400, queues: 2 }\nlisten: 127.0.0.1:9999\nlog: { level: debug }\nttl: 5\nprefixes: "
      + "[10.99.0.0/16, \"fd99::/64\"]\n");
    const { status, body } = await post();
    assert.equal(status, 200);
    assert.equal(await ttl("10.99.1.1"), "5");
    for (const [key, now, then] of [
      ["device.mtu", "auto", "1400"], ["device.queues", "1", "2"], ["listen", "127.0.0.1:7664", "127.0.0.1:9999"],
      ["the host's IPv6 address", "none", "fd99::1"],
    ]) {
      const line = `${key} stays ${now} until pongd is started again, when it will be ${then}\n`;
      assert.ok(pongd.stderr.includes(` warn ${line}`), line);
      assert.ok(body.includes(line), line);
    }
    await pongd.stop();
  });

  test("flags go on winning over the file", async () => {
    const pongd = await start("--ttl", "77");
    write("ttl: 5\nprefixes: [10.99.0.0/16]\n");
    await reloaded();
    assert.equal(await ttl("10.99.1.1"), "77");
    await pongd.stop();
  });

  test("right after somebody has taken the host's address away: it is put back before routes are "
    + "made from it", async () => {
    const pongd = await start();
    write("prefixes: [10.99.0.0/16, 10.98.0.0/16, \"fd99::/64\"]\n");
    await ns.ok("ip", "addr", "flush", "dev", "pong0");
    const { status, body } = await post();
    assert.equal(status, 200, body);
    await pongd.until((metrics) => metrics.get("pongd_ready") === 1);
    assert.deepEqual([await ttl("10.99.1.1"), await ttl("10.98.1.1")], ["64", "64"]);
    assert.match(pongd.stderr, /host address 10\.99\.0\.1 is not on pong0(, [^\n]*)?: put back/);
    await pongd.stop();
  });

  test("without privileges: answers change, routes that are missing are named with the command, and what an outer "
    + "prefix covers needs none", async () => {
    const pongd = await start("--drop-privileges");
    write("prefixes:\n  - 10.99.0.0/16\n  - { prefix: 10.99.7.0/24, ttl: 7 }\n  - 10.97.0.0/24\n");
    assert.match((await post()).body, /^Reloaded\n.*sudo ip route add 10\.97\.0\.0\/24 dev pong0 src 10\.99\.0\.1\n$/);
    assert.deepEqual([await ttl("10.99.1.1"), await ttl("10.99.7.1"), await silent("10.97.0.1")], ["64", "7", true]);
    const [
      , command,
    ] = /warn .*10\.97\.0\.0\/24.*CAP_NET_ADMIN.*sudo (ip route add 10\.97\.0\.0\/24 dev pong0 src 10\.99\.0\.1)\n/
      .exec(pongd.stderr)
      ?? [];
    assert.ok(command, pongd.stderr);
    assert.equal(pongd.stderr.match(/10\.97\.0\.0\/24/g)?.length, 2, "said once, with the command");
    assert.equal((await pongd.get("/-/ready")).status, 503);
    await ns.ok(...command.split(" ") as [string, ...string[]]);
    assert.equal(await ttl("10.97.0.1"), "64");
    await reloaded();
    assert.equal((await pongd.get("/-/ready")).status, 200);
    const capabilities = readdirSync(`/proc/${pongd.pid}/task`).map(
      (thread) => /^CapEff:\s*(\w+)$/m.exec(readFileSync(`/proc/${pongd.pid}/task/${thread}/status`, "utf8"))?.[1],
    );
    assert.deepEqual([...new Set(capabilities)], ["0000000000000000"]);
    await pongd.stop();
  });

  test("260 of them leave memory and descriptors as they were", async () => {
    const pongd = await start("--queues", "2");
    const state = () => ({
      descriptors: readdirSync(`/proc/${pongd.pid}/fd`).length,
      resident: Number(/^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pongd.pid}/status`, "utf8"))?.[1]),
    });
    const requests = (count: number) => ns.evaluate<number>(
      "let n = 0; while (n < Number(process.argv[1]) && (await fetch('http://127.0.0.1:7664/-/reload', { method: "
      + "'POST' })).status === 200) n++; console.log(n)", String(count),
    );
    assert.equal(await requests(60), 60);
    const warm = state();
    assert.equal(await requests(200), 200);
    const end = state();
    // The thread that has read the file may still be ending.
    await poll(() => Promise.resolve(state().descriptors), (descriptors) => descriptors <= warm.descriptors);
    // The collector's own ups and downs are larger than the margin
    // that a leak of a table, 512 KiB a queue, would stay under.
    assert.ok(end.resident < warm.resident + 60_000, `${warm.resident} kB after 60, ${end.resident} kB after 260`);
    await pongd.stop();
  });

  test("a burst of signals is one reload, or two", async () => {
    const pongd = await start();
    write("ttl: 3\nprefixes: [10.99.0.0/16]\n");
    for (let i = 0; i < 1000; i++) process.kill(pongd.pid, "SIGHUP");
    await reloaded();
    assert.equal(await ttl("10.99.1.1"), "3");
    await pongd.stop();
  });

  test("only by POST or PUT, not by a page of another site, and not where there is no file; then a "
    + "hangup ends it", async () => {
    const pongd = await start();
    assert.equal((await pongd.get("/-/reload")).status, 405);
    assert.equal((await post("/metrics")).status, 405);
    assert.equal((await post("/-/reload", "sec-fetch-site: cross-site")).status, 403);
    assert.equal((await post("/-/reload", "sec-fetch-site: same-origin")).status, 200);
    await pongd.stop();
    const without = await Pongd.start(ns, "10.99.0.0/16");
    assert.equal((await post()).status, 409);
    const { status, stdout } = await without.stop("SIGHUP");
    assert.equal(status, 0);
    assert.match(stdout, /\nanswered 0 of /);
  });
});
