/**
 * Tests how pongd comes up and goes down, and everything that can come in between: what it says, with which status it
 * ends, and what it leaves behind.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { EXIT } from "../../src/base/failure.js";
import { TWICE_MS } from "../../src/daemon/signals.js";
import { IO_NAMES } from "../../src/io/contract.js";
import { source } from "../support/assembly.js";
import { Clients } from "../support/tcpclients.js";
import { CLI, needs, Netns, poll, Pongd, type Result, sum } from "../support/netns.js";

const PREFIX = "10.99.0.0/16";

for (const io of IO_NAMES) describe(io, needs("ping", "curl"), () => {
  const start = (...args: string[]) => Pongd.start(ns, ...args, "--io", io);
  const fail = (...args: string[]) => Pongd.fail(ns, ...args, "--io", io);
  let ns: Netns;
  before(async () => { ns = await Netns.open(); });
  after(() => ns.close());

  const links = async () => (await ns.ip<{ ifname: string }>("link")).map(({ ifname }) => ifname);
  const routes = async () => (await ns.ip<{ dst: string; dev: string }>("route"))
    .map(({ dst, dev }) => `${dst} ${dev}`);
  /** I6: asserts that a pongd that failed left nothing behind, and printed one line. */
  const failed = async ({ status, stderr, stdout }: Result, expected: number, message: RegExp, remaining = ["lo"]) => {
    assert.match(stderr, message);
    assert.equal(stderr.trim().split("\n").length, 1, `one line: ${stderr}`);
    assert.match(stderr, /^pongd: /);
    assert.equal(stdout, "");
    assert.equal(status, expected);
    assert.deepEqual(await links(), remaining);
  };

  test("it says what it did and what to try next, and at the end what was answered; nothing is left", async () => {
    const pongd = await start(PREFIX, "--tcp", "7=echo", "--tcp", "8000-8010=discard");
    await ns.pings(2, "10.99.1.1");
    const { status, stdout, stderr } = await pongd.stop("SIGINT");
    for (const said of [
      `pong0, mtu 1500, 1 queue, engine wasm, io ${io}, offload on`, "host address  10.99.0.1", "10.99.0.0/16 (65,536 addresses)",
      "  tcp           7 echo, 8000-8010 discard\n", "http://127.0.0.1:7664/metrics", "try: ping 10.99.1.1",
    ]) {
      assert.ok(stdout.includes(said), `${said} in ${stdout}`);
    }
    // Nobody reads this at a terminal.
    assert.doesNotMatch(stdout, /Ctrl-C/);
    assert.match(stdout, /\nanswered 2 of \d+ packets in \d+\.\d s(; dropped \d+ \(ip_invalid_dest \d+\))?\n$/);
    assert.equal(stderr, "");
    assert.equal(status, 0);
    assert.deepEqual(await links(), ["lo"]);
    assert.deepEqual(await routes(), []);
  });

  test("on a terminal it says how to stop it, and an address of each family to try", async () => {
    const [command, ...args] = ns.command(
      "script",
      "-qec",
      `${process.execPath} ${CLI} run ${PREFIX} fd00:99::/64 --except 10.99.0.0/17 --io ${io}`,
      "/dev/null",
    );
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    let said = "";
    for await (const chunk of child.stdout) {
      said += String(chunk);
      // A terminal sends the same byte for Ctrl-C.
      if (said.includes("stop: Ctrl-C") && !child.stdin.writableEnded) child.stdin.end("\x03");
    }
    assert.match(said, /^try: ping 10\.99\.128\.1 or ping fd00:99::101 {4}stop: Ctrl-C\r?$/m);
    assert.match(said, /answered \d+ of \d+ packets/);
  });

  test("npm start: all that it says to try is answered, and README.md shows the same words", async () => {
    const { scripts: { start: script } } = JSON.parse(readFileSync(source("package.json"), "utf8")) as {
      scripts: { start: string };
    };
    const pongd = await start(...script.replace(/^exec node build\/src\/cli\.js run /, "").split(" "));
    await ns.pings(2, "10.99.1.1");
    assert.match(await ns.ok("curl", "-sS", "http://10.99.1.1/"), /^10\.99\.1\.1:80 of 10\.99\.0\.0\/16 answers /);
    const { status, stdout } = await pongd.stop();
    assert.equal(status, 0);
    // The last line has figures.
    const told = stdout.trimEnd().replace(/\n.*$/, "");
    assert.match(told, /^try: ping 10\.99\.1\.1 or curl http:\/\/10\.99\.1\.1\/$/m);
    const readme = readFileSync(source("README.md"), "utf8");
    for (const shown of [script.replace("exec node build/src/cli.js", "pongd"), told.replace(`io ${io}`, "io uring")]) {
      assert.ok(readme.replaceAll("\n    ", "\n").includes(shown), shown);
    }
  });

  test("where no address answers ping, it says so, and nothing to try", async () => {
    const { stdout } = await (await start(
      PREFIX, "--except", "10.99.0.0/17", "--except", "10.99.128.0/17", "--ignore-echo",
    )).stop();
    assert.match(stdout, /^pongd answers timestamps alone on pong0$/m);
    assert.doesNotMatch(stdout, /try:/);
  });

  test("SIGTERM ends it the same way", async () => {
    const { status, stdout } = await (await start(PREFIX)).stop("SIGTERM");
    assert.match(stdout, /\nanswered 0 of /);
    assert.equal(status, 0);
  });

  test("connections that do not end: it says for how many it waits; a second signal ends it at once", async () => {
    // Its client's kernel goes on sending for a while, to whoever comes next.
    const own = await Netns.open();
    const pongd = await Pongd.start(own, PREFIX, "--io", io, "--tcp", "7=echo", "--shutdown-delay", "1m");
    const clients = new Clients(own, 7);
    assert.deepEqual(await clients.open(1), { open: 1 });
    process.kill(pongd.pid, "SIGTERM");
    await pongd.logged(/ info waiting up to 60 s for 1 TCP connection to end; another signal ends pongd at once\n/);
    // One that comes sooner counts as the same signal.
    await delay(TWICE_MS + 1);
    const { status, stderr } = await pongd.stop();
    await clients.close();
    assert.equal(status, EXIT.RUNTIME);
    assert.match(stderr, /^.* info waiting .*\n.* warn ended at once, by a second signal\n$/);
    await poll(() => own.ip<unknown>("link"), ({ length }) => length === 1);
    await own.close();
  });

  test("in JSON, what came up and what was answered are log lines, and standard output stays empty", async () => {
    const pongd = await Pongd.logging(ns, /"msg":"running"/, PREFIX, "--io", io, "--log-format", "json");
    const { stdout, stderr } = await pongd.stop();
    const lines = stderr.trim().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(lines.map(({ level, msg }) => [level, msg]), [["info", "running"], ["info", "stopped"]]);
    assert.deepEqual(lines[0].prefixes, [PREFIX]);
    assert.equal(stdout, "");
  });

  test("I6: after kill -9 the kernel removes the device", async () => {
    const pongd = await start(PREFIX);
    await pongd.stop("SIGKILL");
    // The kernel takes an io_uring ring apart in its own time, and the device with it.
    await poll(links, ({ length }) => length === 1);
    assert.deepEqual(await routes(), []);
  });

  test("I6: fifty times up and down in one process leave no descriptor and no device", async () => {
    const output = await ns.ok(process.execPath, source("build/test/support/cycle.js"), "50", io);
    const { first, last } = JSON.parse(output) as { first: number; last: number };
    assert.equal(last, first);
    assert.deepEqual(await links(), ["lo"]);
  });

  test("a device of that name exists: status 1, and the first pongd goes on", async () => {
    const pongd = await start(PREFIX);
    await failed(await fail(
      "10.98.0.0/16", "--listen", "127.0.0.1:0",
    ), EXIT.RUNTIME, /an interface named pong0 exists already.*--device/, ["lo", "pong0"]);
    assert.match(await ns.ok("ping", "-c", "1", "10.99.1.1"), / 1 received/);
    await pongd.stop();
    await failed(await fail(PREFIX, "--device", "lo"), EXIT.RUNTIME, /an interface named lo exists already/);
  });

  test("the metrics port is in use: status 1, before any device is made", async () => {
    const pongd = await start(PREFIX);
    await failed(await fail(
      "10.98.0.0/16", "--device", "pong1",
    ), EXIT.RUNTIME, /127\.0\.0\.1:7664 is in use.*--listen/, ["lo", "pong0"]);
    await pongd.stop();
  });

  test("a listen address of another machine: status 1", async () => {
    await failed(
      await fail(PREFIX, "--listen", "192.0.2.1:7664"), EXIT.RUNTIME, /192\.0\.2\.1:7664 is no address of this machine/,
    );
  });

  test("the prefix is routed elsewhere: status 1, and that route stays", async () => {
    await ns.ok("ip", "route", "add", PREFIX, "dev", "lo");
    await failed(
      await fail(PREFIX),
      EXIT.RUNTIME,
      /prefix 10\.99\.0\.0\/16 is routed to lo already; .*ip route show table all 10\.99\.0\.0\/16/,
    );
    assert.deepEqual(await routes(), ["10.99.0.0/16 lo"]);
    await ns.ok("ip", "route", "del", PREFIX);
    await ns.ok("ip", "route", "add", "blackhole", PREFIX);
    await failed(await fail(PREFIX), EXIT.RUNTIME, /prefix 10\.99\.0\.0\/16 is routed elsewhere already/);
    await ns.ok("ip", "route", "del", "blackhole", PREFIX);
    await ns.ok("ip", "route", "add", "local", "10.0.0.0/8", "dev", "lo");
    await failed(
      await fail(PREFIX), EXIT.RUNTIME, /prefix 10\.99\.0\.0\/16 is this host's own already; .*10\.0\.0\.0\/8/,
    );
    await ns.ok("ip", "route", "del", "local", "10.0.0.0/8", "dev", "lo");
    await ns.ok("ip", "addr", "add", "192.0.2.7/32", "dev", "lo");
    await failed(await fail("192.0.2.7/32"), EXIT.RUNTIME, /prefix 192\.0\.2\.7\/32 is this host's own already/);
    await ns.ok("ip", "addr", "del", "192.0.2.7/32", "dev", "lo");
  });

  test("a part of the prefix is routed elsewhere: a warning says which, and the rest is answered", async () => {
    await ns.ok("ip", "route", "add", "10.99.1.0/24", "dev", "lo");
    const pongd = await start(PREFIX);
    assert.match(
      pongd.stderr, /warn 10\.99\.1\.0\/24, a part of 10\.99\.0\.0\/16, is routed to lo: it does not reach pongd\n$/,
    );
    assert.match(await ns.ok("ping", "-c", "1", "10.99.2.1"), / 1 received/);
    await pongd.stop();
    await ns.ok("ip", "route", "del", "10.99.1.0/24");
  });

  test("a signal during the start ends it as well, at any moment, and nothing is left", async () => {
    for (let delay = 0; delay <= 300; delay += 30) {
      const { status, stderr } = await ns.run(
        "timeout", "-s", "INT", String(Math.max(1, delay) / 1000), process.execPath, CLI, "run", PREFIX, "--queues",
        "3", "--io", io,
      );
      assert.equal(stderr, "");
      assert.ok(status === 0 || status === 124, String(status));
      assert.deepEqual(await links(), ["lo"]);
    }
  });

  test("someone deletes the device: status 1 and a message in plain words", async () => {
    const pongd = await start(PREFIX);
    await ns.ok("ip", "link", "del", "pong0");
    const { status, stderr } = await pongd.ended;
    assert.match(stderr, /^pongd: device pong0 was deleted while pongd ran; start pongd again to make it anew\n$/);
    assert.equal(status, EXIT.RUNTIME);
  });

  test("someone deletes the device while it is busy: the same", async () => {
    for (let i = 0; i < 5; i++) {
      const pongd = await start(PREFIX);
      const flood = ns.spawn("ping", "-f", "-q", "-w", "5", "10.99.1.1");
      await pongd.until((metrics) => sum(metrics, "pongd_replies_total") > 0);
      await ns.ok("ip", "link", "del", "pong0");
      const { status, stderr } = await pongd.ended;
      flood.kill();
      assert.match(stderr, /^pongd: device pong0 was deleted while pongd ran[^\n]*\n$/);
      assert.equal(status, EXIT.RUNTIME);
    }
  });

  test("the link is set down and up again: it says so, is not ready meanwhile, and answers again", async () => {
    const pongd = await start(PREFIX, "192.0.2.0/24");
    const all = await routes();
    assert.equal((await pongd.get("/-/ready")).status, 200);
    await ns.ok("ip", "link", "set", "pong0", "down");
    await pongd.logged(/the link is down/);
    assert.equal((await pongd.get("/-/ready")).status, 503);
    assert.equal((await pongd.metrics()).get("pongd_ready"), 0);
    assert.equal((await pongd.get("/-/healthy")).status, 200);
    assert.deepEqual(await routes(), []);
    await ns.ok("ip", "link", "set", "pong0", "up");
    await pongd.logged(/the link is up/);
    assert.equal((await pongd.get("/-/ready")).status, 200);
    assert.equal((await pongd.metrics()).get("pongd_ready"), 1);
    assert.deepEqual(await routes(), all);
    assert.match(await ns.ok("ping", "-c", "1", "10.99.1.1"), / 1 received/);
    assert.match(await ns.ok("ping", "-c", "1", "192.0.2.9"), / 1 received/);
    await pongd.stop();
  });

  test("the link loses its carrier and has it again: it says so, is not ready meanwhile, and "
    + "answers again", async () => {
    const pongd = await start(PREFIX);
    await ns.ok("ip", "link", "set", "pong0", "carrier", "off");
    await pongd.logged(/the link has no carrier: nothing is answered until it has; sudo ip link set pong0 carrier on/);
    assert.equal((await pongd.get("/-/ready")).status, 503);
    await ns.ok("ip", "link", "set", "pong0", "carrier", "on");
    await pongd.logged(/the link is up/);
    assert.equal((await pongd.get("/-/ready")).status, 200);
    assert.match(await ns.ok("ping", "-c", "1", "10.99.1.1"), / 1 received/);
    await pongd.stop();
  });

  test("while the link is down the prefix gets another route: it says so, and is not ready", async () => {
    const pongd = await start(PREFIX);
    await ns.ok("sh", "-c", `ip link set pong0 down && ip route add blackhole ${PREFIX} && ip link set pong0 up`);
    await pongd.logged(/prefix 10\.99\.0\.0\/16 is routed elsewhere now/);
    assert.equal((await pongd.get("/-/ready")).status, 503);
    await pongd.stop();
    await ns.ok("ip", "route", "del", "blackhole", PREFIX);
  });

  test("two signals at once end it like one, with its summary", async () => {
    for (let i = 0; i < 5; i++) {
      const pongd = await start(PREFIX);
      process.kill(pongd.pid, "SIGINT");
      const { status, stdout } = await pongd.stop("SIGINT");
      assert.match(stdout, /\nanswered /);
      assert.equal(status, 0);
    }
  });

  test("twenty quick flaps, and it answers", async () => {
    const pongd = await start(PREFIX);
    for (let i = 0; i < 20; i++) await ns.ok("sh", "-c", "ip link set pong0 down && ip link set pong0 up");
    let reply = await ns.run("ping", "-c", "1", "-W", "1", "10.99.1.1");
    for (let tries = 0; tries < 5 && reply.status !== 0; tries++) {
      reply = await ns.run("ping", "-c", "1", "-W", "1", "10.99.1.1");
    }
    assert.equal(reply.status, 0, reply.stdout + reply.stderr);
    await pongd.stop();
  });

  test("a raised MTU is warned of", async () => {
    const pongd = await start(PREFIX);
    await ns.ok("ip", "link", "set", "pong0", "mtu", "9000");
    await pongd.logged(/MTU was raised: packets above 1500 bytes are dropped; start pongd with --mtu 9000/);
    await pongd.stop();
  });

  test("two queues, and the classic point-to-point pair", async () => {
    const pongd = await start("10.0.0.2/32", "--host-address", "10.0.0.1", "--queues", "2", "--mtu", "9000");
    await ns.pings(2, "-s", "8972", "10.0.0.2");
    const metrics = await pongd.metrics();
    assert.equal(metrics.get("pongd_queue_info{queue=\"1\",engine=\"wasm\",io=\"" + io + "\"}"), 1);
    assert.equal(sum(metrics, "pongd_replies_total"), 2);
    await pongd.stop();
  });

  test("--host-address none makes routes alone", async () => {
    const pongd = await start(PREFIX, "--host-address", "none");
    const [{ addr_info }] = await ns.ip<{ addr_info: { family: string }[] }>("addr", "show", "dev", "pong0");
    assert.deepEqual(addr_info.filter(({ family }) => family === "inet"), []);
    assert.deepEqual(await routes(), [`${PREFIX} pong0`]);
    await ns.ok("ip", "addr", "add", "192.0.2.1/32", "dev", "lo");
    assert.match(await ns.ok("ping", "-c", "1", "-I", "192.0.2.1", "10.99.0.1"), / 1 received/);
    await pongd.stop();
  });

  test("--ignore-echo counts and does not answer; --ttl sets what replies carry", async () => {
    const pongd = await start(PREFIX, "--ignore-echo");
    assert.match((await ns.run("ping", "-c", "2", "-i", "0.01", "-W", "0.2", "10.99.1.1")).stdout, / 0 received/);
    assert.equal(
      (await pongd.metrics()).get("pongd_packets_dropped_total{reason=\"icmp_echo_ignored\",queue=\"0\"}"), 2,
    );
    await pongd.stop();
    const other = await start(PREFIX, "--ttl", "7");
    assert.match(await ns.ok("ping", "-c", "1", "10.99.1.1"), /ttl=7 /);
    await other.stop();
  });
});

describe("the directory that pongd was started in is gone", needs("ping", "strace"), () => {
  let ns: Netns;
  let folder: string;
  beforeEach(async () => {
    ns = await Netns.open();
    folder = mkdtempSync(join(tmpdir(), "pongd-"));
  });
  afterEach(async () => {
    await ns.close();
    rmSync(folder, { recursive: true, force: true });
  });
  /** Runs the rest of a command line in that folder. */
  const there = () => ["sh", "-c", "cd \"$1\" && shift && exec \"$@\"", "sh", folder];

  test("a worker that crashes is started again; a reload says which file it misses, and changes nothing", async () => {
    writeFileSync(join(folder, "pongd.yaml"), `prefixes: [${PREFIX}]\n`);
    const pongd = await Pongd.start(ns, { wrapper: there() }, "--config", "pongd.yaml", "--io", "readwrite");
    const reload = () => ns.http("http://127.0.0.1:7664/-/reload", "-X", "POST");
    assert.equal((await reload()).status, 200);
    rmSync(folder, { recursive: true });
    const { ended } = await pongd.inject(pongd.worker, "read:error=EIO");
    await ns.run("ping", "-c", "1", "-W", "0.1", "10.99.1.1");
    await ended;
    await pongd.until((metrics) => sum(metrics, "pongd_worker_restarts_total") === 1);
    await ns.pings(1, "10.99.1.1");
    const { status, body } = await reload();
    assert.equal(status, 500);
    assert.match(body, /^pongd\.yaml: cannot be read: ENOENT: no such file or directory, open '\/.*\/pongd\.yaml'\n$/);
    await ns.pings(1, "10.99.1.1");
    assert.equal((await pongd.stop()).status, 0);
  });

  test("before it starts: it runs all the same; with a file that lies there it says what to give "
    + "in its place", async () => {
    const gone = ["sh", "-c", "cd \"$1\" && rmdir \"$1\" && shift && exec \"$@\"", "sh", folder];
    const pongd = await Pongd.start(ns, { wrapper: gone }, PREFIX);
    await ns.pings(1, "10.99.1.1");
    await pongd.stop();
    mkdirSync(folder);
    const [command, ...rest] = [...gone, process.execPath, CLI, "run", "--config", "pongd.yaml"];
    const { status, stderr } = await ns.run(command, ...rest);
    assert.equal(
      stderr, "pongd: pongd.yaml: the working directory, which it lies in, is gone; give the file's full path\n",
    );
    assert.equal(status, EXIT.CONFIG);
  });
});
