/**
 * Tests pongd as a process among others: Node.js's debugger, its warnings, names that steer a terminal, and a standard
 * error that nobody reads.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { MAX_WAITING } from "../../src/base/bounded.js";
import { CLI, needs, Netns, Pongd } from "../support/netns.js";

const PREFIX = "10.99.0.0/16";
/** The time after which a process counts as one that does not end. */
const ENDLESS_MS = 60_000;
const PIPE_LEN = 65536;

describe("the process", needs("ss"), () => {
  let ns: Netns;
  const dir = mkdtempSync(join(tmpdir(), "pongd-process-"));
  before(async () => { ns = await Netns.open(); });
  after(async () => {
    await ns.close();
    rmSync(dir, { recursive: true });
  });

  const listening = async () => (await ns.ok("ss", "-Hltn")).trim().split("\n").map((line) => line.split(/\s+/)[3]);
  const messages = (stderr: string) => stderr.trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { level: string; msg: string });

  for (const args of [[], ["--drop-privileges"]]) {
    test(["SIGUSR1 opens no debugger", ...args].join(", "), async () => {
      const pongd = await Pongd.start(ns, PREFIX, ...args);
      process.kill(pongd.pid, "SIGUSR1");
      assert.equal((await pongd.get("/-/healthy")).status, 200);
      assert.deepEqual(await listening(), ["127.0.0.1:7664"]);
      const { status, stderr } = await pongd.stop();
      assert.deepEqual([status, stderr], [0, ""]);
    });
  }

  test("SIGUSR1 before pongd's first line: the debugger that this opens is closed again", async () => {
    const signal = "NODE_OPTIONS=--import=data:text/javascript,process.kill(process.pid,'SIGUSR1')";
    const pongd = await Pongd.start(ns, { wrapper: ["env", signal] }, PREFIX);
    assert.deepEqual(await listening(), ["127.0.0.1:7664"]);
    await pongd.stop();
  });

  test("Node.js's warnings are lines of the log, of every thread", async () => {
    const warns = join(dir, "warns.cjs");
    writeFileSync(warns, `if (require("node:worker_threads").isMainThread) process.on("SIGUSR2", () => process.emitWarning("main\\x1b"));
      else process.emitWarning("worker");`);
    const pongd = await Pongd.start(ns, { wrapper: ["env", `NODE_OPTIONS=--require=${warns}`] }, PREFIX);
    await pongd.logged(/^\S+ warn \(node:\d+\) Warning: worker queue=0$/m);
    process.kill(pongd.pid, "SIGUSR2");
    await pongd.logged(/^\S+ warn Node\.js warns: Warning: main\\u001b$/m);
    await pongd.stop();
  });

  test("a name that steers a terminal is shown, in text and in JSON", async () => {
    const name = "x\x1b[7m";
    await ns.ok(
      "sh", "-c", `ip tuntap add dev "$0" mode tun && ip link set "$0" up && ip route add 10.99.1.0/24 dev "$0"`, name,
    );
    const text = await Pongd.start(ns, PREFIX);
    const { stderr } = await text.stop();
    assert.match(stderr, /^\S+ warn .*x\\u001b\[7m/);
    assert.ok(!stderr.includes("\x1b"));
    const json = await Pongd.logging(ns, /"msg":"running"/, PREFIX, "--log-format", "json");
    const [warning] = messages((await json.stop()).stderr);
    assert.match(warning.msg, /x\\u001b\[7m/);
    await ns.ok("ip", "link", "del", name);
  });

  test("with --log-format json every line is JSON, of failures and permissions too", async () => {
    await ns.ok("ip", "route", "add", PREFIX, "dev", "lo");
    const taken = await Pongd.fail(ns, PREFIX, "--log-format", "json");
    await ns.ok("ip", "route", "del", PREFIX);
    assert.match(messages(taken.stderr)[0].msg, /is routed to lo already/);
    const { stderr, status } = await ns.run(
      "setpriv", "--bounding-set", "-net_admin", process.execPath, CLI, "run", PREFIX, "--log-format=json",
    );
    assert.equal(messages(stderr)[0].level, "error");
    assert.equal(status, 4);
  });

  describe("standard error is not read", () => {
    // The path is in every line, which makes the lines long.
    const folder = join(dir, ...Array.from({ length: 12 }, () => "a".repeat(250)));
    const file = join(folder, "pongd.yaml");
    const WRONG = Array.from({ length: 20 }, (_, i) => `wrong${i}: 1\n`).join("");
    const RELOADS = 40;
    /** Lines of a reload: one for each fault, and one that nothing was reloaded. */
    const LINES = 21;
    before(() => mkdirSync(folder, { recursive: true }));

    /** Starts pongd, and makes it log more than it keeps. */
    const start = async (...args: string[]) => {
      writeFileSync(file, `prefixes: [${PREFIX}]\n`);
      const child = ns.spawn(process.execPath, CLI, "run", "--config", file, ...args);
      await Promise.race([once(child.stdout, "data"), once(child.stderr, "readable")]);
      writeFileSync(file, WRONG);
      await ns.ok("curl", "-sS", "-o", "/dev/null", "-X", "POST", `http://127.0.0.1:7664/-/reload?[1-${RELOADS}]`);
      return child;
    };

    test("what waits is bounded, what is dropped is counted, and SIGTERM ends it", async () => {
      const child = await start();
      const metrics = await ns.ok("curl", "-sS", "http://127.0.0.1:7664/metrics");
      const dropped = Number(/^pongd_log_lines_dropped_total (\d+)$/m.exec(metrics)?.[1]);
      assert.ok(dropped > 0 && dropped < RELOADS * LINES, String(dropped));
      child.kill("SIGTERM");
      const [status] = await once(child, "exit", { signal: AbortSignal.timeout(ENDLESS_MS) }) as [number];
      assert.equal(status, 0);
      let unread = 0;
      for await (const chunk of child.stderr as AsyncIterable<Buffer>) unread += chunk.length;
      assert.ok(unread <= MAX_WAITING + 3 * PIPE_LEN, `${unread} bytes`);
    });

    test("who reads again hears how many lines are missing: all others are there", async () => {
      const child = await start("--log-format", "json");
      let text = "";
      child.stderr.on("data", (chunk) => { text += String(chunk); });
      while (!text.includes("dropped, since nobody read")) await once(child.stderr, "data");
      child.kill("SIGTERM");
      await once(child, "close");
      const lines = messages(text) as { msg: string; droppedLines?: number }[];
      const dropped = lines.reduce((sum, line) => sum + (line.droppedLines ?? 0), 0);
      const said = lines.filter(({ msg }) => msg.includes("wrong") || msg.includes("not reloaded")).length;
      assert.equal(said + dropped, RELOADS * LINES);
    });
  });
});
