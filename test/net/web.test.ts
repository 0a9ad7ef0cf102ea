/**
 * Tests the web thread of a running pongd: it dies, runs out of its heap and hangs, and packets, signals and the end of
 * pongd do not wait for it.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { ended, needs, Netns, Pongd, poll, said } from "../support/netns.js";

const PREFIX = "10.99.0.0/16";
const URL = "http://127.0.0.1:7664";
/** The longest that a web thread that hangs may delay the end of pongd, on a busy machine. */
const STOP_MS = 5000;

/** A service manager: it prints the datagrams that come to its socket, a line each. */
const NOTIFIED = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("listening")
while True: print(s.recv(4096).decode().replace("\\n", " "))
`;

describe("the web thread", needs("python3"), () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-web-"));
  const fault = join(dir, "fault");
  const faulty = join(dir, "faulty.cjs");
  const config = join(dir, "pongd.yaml");
  let ns: Netns;
  before(async () => {
    // The thread does, once, what the file says.
    writeFileSync(faulty, `
      const { isMainThread, threadId, workerData } = require("node:worker_threads");
      const fs = require("node:fs");
      if (!isMainThread && workerData?.sockets) setInterval(() => {
        let what = "";
        try { what = fs.readFileSync(${JSON.stringify(fault)}, "utf8"); } catch { return; }
        fs.rmSync(${JSON.stringify(fault)});
        if (what === "die") throw new Error("told to die");
        if (what === "heap") for (const kept = [];;) kept.push(new Array(1000).fill(0.5));
        if (what === "hang") for (;;);
      }, 10).unref();`);
    writeFileSync(config, `prefixes: [${PREFIX}]\n`);
    ns = await Netns.open();
  });
  afterEach(() => { rmSync(fault, { force: true }); });
  after(async () => {
    await ns.close();
    rmSync(dir, { recursive: true });
  });

  const start = (...args: string[]) => Pongd.start(
    ns, { wrapper: ["env", `NODE_OPTIONS=--require=${faulty}`] }, "--config", config, ...args,
  );
  const tell = (what: string) => { writeFileSync(fault, what); };

  for (const [what, why] of [["die", "told to die"], ["heap", "Worker terminated due to reaching memory limit"]]) {
    test(`that dies (${what}) is started again at the same places, with a line that says why, and no ping is `
      + "lost", async () => {
      const path = join(dir, "pongd.sock");
      const pongd = await start("--listen", `127.0.0.1:7664,unix:${path}`);
      const ping = ns.spawn("ping", "-i", "0.01", "-W", "20", "10.99.1.1");
      const sockets = () => readdirSync(`/proc/${pongd.pid}/fd`).filter((fd) => {
        try {
          return readlinkSync(`/proc/${pongd.pid}/fd/${fd}`).startsWith("socket:");
        } catch {
          return false;
        }
      }).length;
      const before = sockets();
      let output = "";
      ping.stdout.on("data", (chunk) => { output += String(chunk); });
      for (let times = 1; times <= 2; times++) {
        tell(what);
        const line = `error the web thread died: ${why}[^\\n]*; it is started again\\n`;
        await pongd.logged(new RegExp(`(?:${line}[^]*){${times}}`));
        // Nobody has closed the sockets, so a connection waits in place of being refused.
        assert.equal((await ns.http(`${URL}/-/ready`)).body, "Ready\n");
        assert.equal((await ns.http("http://localhost/-/ready", "--unix-socket", path)).body, "Ready\n");
      }
      await poll(() => Promise.resolve(sockets()), (count) => count <= before);
      const metrics = await ns.http(`${URL}/metrics`);
      assert.match(metrics.body, /^pongd_prefix_replies_total\{prefix="10\.99\.0\.0\/16"\} [1-9]/m);
      ping.kill("SIGINT");
      await ended(ping);
      const answered = [...output.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, sequence]) => Number(sequence));
      assert.deepEqual(answered, answered.map((_, i) => i + 1));
      const { status, stderr } = await pongd.stop();
      assert.equal(status, 0);
      assert.equal(stderr.trim().split("\n").length, 2, stderr);
    });
  }

  test("that hangs delays neither packets, nor a reload, nor the watchdog, nor for long the end", async () => {
    const notified = join(dir, "notify");
    const manager = ns.spawn("python3", "-uc", NOTIFIED, notified);
    await said(manager.stdout, /listening/);
    const pongd = await Pongd.start(ns, { wrapper: [
      "env", `NODE_OPTIONS=--require=${faulty}`, `NOTIFY_SOCKET=${notified}`, "WATCHDOG_USEC=300000",
    ] }, "--config", config);
    tell("hang");
    assert.equal((await ns.run("curl", "-sS", "-m", "1", `${URL}/-/healthy`)).status, 28, "it hangs");
    assert.match(await ns.ok("ping", "-q", "-c", "20", "-i", "0.01", "-W", "20", "10.99.1.1"), / 0% packet loss/);
    await said(manager.stdout, /(WATCHDOG=1[^]*){5}/);
    process.kill(pongd.pid, "SIGHUP");
    await pongd.logged(/configuration reloaded/);
    const begun = performance.now();
    const { status } = await pongd.stop();
    assert.equal(status, 0);
    assert.ok(performance.now() - begun < STOP_MS, `${performance.now() - begun} ms`);
  });

  test("that cannot be started again for a wrong web configuration is tried again until that is mended", async () => {
    const web = join(dir, "web.yml");
    writeFileSync(web, "http_server_config: {}\n");
    const pongd = await start("--web-config", web);
    writeFileSync(web, "wrong: 1\n");
    tell("die");
    await pongd.logged(/the web thread died: \S+web\.yml:1:1: unknown key "wrong"/);
    writeFileSync(web, "http_server_config: {}\n");
    assert.equal((await ns.http(`${URL}/-/ready`)).body, "Ready\n");
    await pongd.stop();
  });
});
