/** Tests the HTTP service of a running pongd: what it answers, and that nothing waits for its thread, which may die. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { ended, needs, Netns, Pongd, poll, sum } from "../support/netns.js";

const PREFIXES = ["10.99.0.0/16", "fd99::/64"];

/**
 * Opens a connection, and asks whenever a line comes: prints each answer's first line, and at the end what ended the
 * connection. `begun` is what it has said of the next request while it waits.
 */
const KEEP = `
import socket, sys
s = socket.create_connection((sys.argv[1], 80))
begun = sys.argv[2].encode()
s.sendall(begun)
try:
    for _ in sys.stdin:
        s.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"[len(begun):] + begun)
        print(s.recv(4096).split(b"\\r\\n")[0].decode(), flush=True)
    print("end" if s.recv(1) == b"" else "more", flush=True)
except ConnectionResetError:
    print("reset", flush=True)
`;

describe("HTTP", needs("curl", "python3", "strace"), () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-http-"));
  const fault = join(dir, "fault");
  const faulty = join(dir, "faulty.cjs");
  const config = join(dir, "pongd.yaml");
  let ns: Netns;
  before(() => {
    // The service thread does, once, what the file says.
    writeFileSync(faulty, `
      const { isMainThread, workerData } = require("node:worker_threads");
      const fs = require("node:fs");
      if (!isMainThread && workerData?.thread !== undefined) setInterval(() => {
        let what = "";
        try { what = fs.readFileSync(${JSON.stringify(fault)}, "utf8"); } catch { return; }
        fs.rmSync(${JSON.stringify(fault)});
        if (what === "die") throw new Error("told to die");
        if (what === "hang") for (;;);
      }, 10).unref();`);
  });
  afterEach(async () => {
    rmSync(fault, { force: true });
    await ns.close();
  });
  after(() => { rmSync(dir, { recursive: true }); });

  const get = (url: string, ...options: string[]) => ns.ok("curl", "-sS", "--max-time", "20", ...options, url);
  const open = async (...args: string[]) => {
    ns = await Netns.open();
    return Pongd.start(
      ns, { wrapper: ["env", `NODE_OPTIONS=--require=${faulty}`] }, ...PREFIXES, "--tcp", "80=http", ...args,
    );
  };
  /** A client that keeps its connection. Unless `begun` is "", it is never idle. */
  const keep = (address: string, begun = "G") => {
    const child = ns.spawn("python3", "-uc", KEEP, address, begun);
    let output = "";
    child.stdout.on("data", (chunk) => { output += String(chunk); });
    const lines = (count: number) => poll(
      () => Promise.resolve(output.split("\n").slice(0, -1)), (said) => said.length >= count,
    );
    return { child, ask: () => { child.stdin.write("\n"); }, lines };
  };

  for (const [what, ...args] of [
    ["TUN, offload, io_uring", "--io", "uring"], ["TUN, no offload, read and write", "--offload", "off", "--io", "readwrite"],
    ["TAP", "--mode", "tap"], ["four queues", "--queues", "4"],
  ]) {
    test(`${what}: every address answers, in both families, as text and as JSON`, async () => {
      const pongd = await open(...args);
      for (const address of ["10.99.1.1", "10.99.255.254", "[fd99::1:1]", "[fd99::ffff:1]"]) {
        assert.match(await get(`http://${address}/`), new RegExp(`^${address.replace(/[[\].]/g, "\\$&")}:80 answers \\S+\n$`));
        const { address: bare, port } = JSON.parse(await get(`http://${address}/.json`)) as Record<string, unknown>;
        assert.deepEqual([bare, port], [address.replace(/[[\]]/g, ""), 80]);
      }
      assert.match(await get("http://10.99.1.1/", "-I"), /^HTTP\/1\.1 200 OK\r\n/);
      const metrics = await pongd.metrics();
      assert.equal(sum(metrics, "pongd_tcp_accepted_total"), 9);
      assert.equal((await pongd.stop()).status, 0);
    });
  }

  test("its thread dies: its connections are reset, others are not, and the next thread serves", async () => {
    const pongd = await open("--tcp", "7=echo");
    const http = keep("10.99.1.1");
    http.ask();
    await http.lines(1);
    const ping = ns.spawn("ping", "-i", "0.01", "-W", "20", "10.99.1.1");
    let pings = "";
    ping.stdout.on("data", (chunk) => { pings += String(chunk); });
    writeFileSync(fault, "die");
    await pongd.logged(/service thread 0 died: told to die; its connections are reset, and it is started again/);
    http.child.stdin.end();
    assert.deepEqual(await http.lines(2), ["HTTP/1.1 200 OK", "reset"]);
    assert.match(await get("http://10.99.1.1/"), /answers/);
    ping.kill("SIGINT");
    await ended(ping);
    const answered = [...pings.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, sequence]) => Number(sequence));
    assert.deepEqual(answered, answered.map((_, i) => i + 1));
    const metrics = await pongd.until((metrics) => sum(metrics, "pongd_tcp_connections") === 0);
    assert.equal(sum(metrics, "pongd_tcp_closed_total"), 2);
    assert.equal((await pongd.stop()).status, 0);
  });

  test("its thread hangs: packets, other services, a reload and the end do not wait for it", async () => {
    writeFileSync(config, `prefixes: [${PREFIXES.join(", ")}]\ntcp: { 80: http, 9: discard }\n`);
    ns = await Netns.open();
    const pongd = await Pongd.start(
      ns, { wrapper: ["env", `NODE_OPTIONS=--require=${faulty}`] }, "--config", config, "--shutdown-delay", "100ms",
    );
    assert.match(await get("http://10.99.1.1/"), /answers/);
    const http = keep("10.99.1.1");
    http.ask();
    await http.lines(1);
    writeFileSync(fault, "hang");
    await poll(() => Promise.resolve(ns.ok("sh", "-c", `test ! -e ${fault} && echo gone || true`)), (said) => said !== "");
    await ns.pings(10, "10.99.1.1");
    process.kill(pongd.pid, "SIGHUP");
    await pongd.logged(/configuration reloaded/);
    const { status } = await pongd.stop();
    assert.equal(status, 0);
    http.child.kill();
  });

  test("a packet loop crashes: its connections end, and it serves again", async () => {
    const pongd = await open();
    const http = keep("10.99.1.1");
    http.ask();
    await http.lines(1);
    await pongd.crash();
    await pongd.until((metrics) => sum(metrics, "pongd_worker_restarts_total") === 1);
    http.ask();
    http.child.stdin.end();
    assert.deepEqual((await http.lines(2)).slice(1), ["reset"]);
    assert.match(await get("http://10.99.1.1/"), /answers/);
    assert.equal((await pongd.stop()).status, 0);
  });

  test("a stop ends what is idle at once; a reload brings the service, and takes it away", async () => {
    writeFileSync(config, `prefixes: [${PREFIXES.join(", ")}]\n`);
    ns = await Netns.open();
    const pongd = await Pongd.start(ns, "--config", config, "--shutdown-delay", "20s");
    await assert.rejects(get("http://10.99.1.1/"));
    writeFileSync(config, `prefixes: [${PREFIXES.join(", ")}]\ntcp: { 80: http }\n`);
    process.kill(pongd.pid, "SIGHUP");
    await pongd.logged(/configuration reloaded/);
    assert.match(await get("http://10.99.1.1/"), /answers/);
    const http = keep("10.99.1.1", "");
    http.ask();
    await http.lines(1);
    http.child.stdin.end();
    const { status } = await pongd.stop();
    assert.equal(status, 0);
    assert.deepEqual(await http.lines(2), ["HTTP/1.1 200 OK", "end"]);
  });
});

