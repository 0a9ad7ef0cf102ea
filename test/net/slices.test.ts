/**
 * Tests that the event loop goes on while there are many routes, pongd's own or others' (I11), and what comes in
 * between: another job, a stop, others' changes.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { source } from "../support/assembly.js";
import { CLI, ended, needs, Netns } from "../support/netns.js";

/** I11: the longest time in ms for which nothing may hold the event loop. */
const MAX_HELD_MS = 100;
const MANY = 50_000;

/** Time in ms that the process computed at the longest between two turns of the event loop, and in all. */
interface Held {
  readonly longest: number;
  readonly all: number;
}

describe("slices", needs(), () => {
  let ns: Netns;
  beforeEach(async () => { ns = await Netns.open(); });
  afterEach(() => ns.close());

  /**
   * Runs a body in the namespace, with a device and many prefixes in scope, and returns what it prints as JSON. held()
   * measures CPU time: on a busy machine other processes hold the event loop as well.
   */
  const evaluate = <T>(body: string) => ns.evaluate<T>(`
    const modules = ["tun/device", "tun/netlink", "base/pace", "prefix/blocks"];
    const [{ TunDevice }, { Netlink }, { Pace, Stopped }, { BlockSet }] = await Promise.all(
      modules.map((file) => import("${source("build/src/")}" + file + ".js")),
    );
    const { execFileSync, spawn } = await import("node:child_process");
    const { once } = await import("node:events");
    const blocks = (family, from, count) => Array.from({ length: count }, (_, k) => {
      const i = from + k;
      return family === 4
        ? { bytes: Uint8Array.of(10, i >> 16, i >> 8 & 255, i & 255), length: 32 }
        : { bytes: Uint8Array.of(0xfd, 0x99, 0, i >> 16, i >> 8 & 255, i & 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), length: 48 };
    });
    const routes = (family, device) => execFileSync(
      "ip", ["-" + family, "route", "show", "dev", device, "proto", "static"], { encoding: "utf8", maxBuffer: 1 << 28 },
    ).split("\\n").length - 1;
    const held = async (work) => {
      const now = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000; };
      let over = false;
      let longest = 0;
      const began = now();
      let last = began;
      const turn = () => {
        const time = now();
        longest = Math.max(longest, time - last);
        last = time;
        if (!over) setImmediate(turn);
      };
      setImmediate(turn);
      await work();
      over = true;
      turn();
      return { longest, all: last - began };
    };
    const device = new TunDevice({ name: "pong0", queues: 1 });
    const { routing } = device;
    ${body}
    device.close();`);

  for (const family of [4, 6]) {
    test(`IPv${family}: start, reload and look hold the event loop for a slice at a time`, async (t) => {
      const seen = await evaluate<Record<string, Held> & { routes: number[] }>(`
        const [first, second] = [blocks(${family}, 0, ${MANY}), blocks(${family}, ${MANY / 2}, ${MANY})];
        const configure = await held(() => routing.configure([], first));
        const counts = [routes(${family}, "pong0")];
        const add = await held(() => routing.addRoutes(second));
        counts.push(routes(${family}, "pong0"));
        const keep = await held(() => routing.keepRoutes(second));
        counts.push(routes(${family}, "pong0"));
        const look = await held(() => routing.restore());
        execFileSync("sh", ["-c", "ip link set pong0 down; ip link set pong0 up"]);
        const restore = await held(() => routing.restore());
        counts.push(routes(${family}, "pong0"));
        console.log(JSON.stringify({ configure, add, keep, look, restore, routes: counts }));`);
      const { routes, ...times } = seen;
      assert.deepEqual(routes, [MANY, 1.5 * MANY, MANY, MANY]);
      for (const [what, { longest, all }] of Object.entries(times)) {
        t.diagnostic(`${what}: ${longest.toFixed(0)} of ${all.toFixed(0)} ms`);
        assert.ok(longest < MAX_HELD_MS, `${what}: the event loop was held for ${longest} ms`);
      }
    });

    test(`IPv${family}: others' routes, a hundred thousand, do not hold the event loop either`, async (t) => {
      const seen = await evaluate<Record<string, Held> & { lines: string[] }>(`
        const other = new TunDevice({ name: "other", queues: 1 });
        await other.routing.configure([], blocks(${family}, 0, ${2 * MANY}));
        const prefix = { bytes: blocks(${family}, 0, 1)[0].bytes.map((byte, i) => i === 0 ? byte : 0), length: 8 };
        let lines;
        const configure = await held(async () => { lines = await routing.configure([], [prefix]); });
        const look = await held(() => routing.restore());
        const again = await held(() => routing.restore());
        console.log(JSON.stringify({ configure, look, again, lines }));
        other.close();`);
      const { lines, ...times } = seen;
      assert.equal(lines.length, 11);
      assert.match(lines[10], new RegExp(`^and ${2 * MANY - 10} more routes like these;`));
      for (const [what, { longest, all }] of Object.entries(times)) {
        t.diagnostic(`${what}: ${longest.toFixed(0)} of ${all.toFixed(0)} ms`);
        assert.ok(longest < MAX_HELD_MS, `${what}: the event loop was held for ${longest} ms`);
      }
    });
  }

  test("jobs run one after the other, while others change routes all the time: nothing is lost, and nothing is taken "
    + "for lost", async () => {
    const seen = await evaluate<{ lines: string[]; lost: number[]; counts: number[]; others: number }>(`
      const flood = (family, address) => {
        const lines = Array.from({ length: 20_000 }, (_, i) => "route add blackhole " + address(i) + "\\nroute del blackhole "
          + address(i) + "\\n");
        const batch = spawn("ip", ["-" + family, "-batch", "-"], { stdio: ["pipe", "ignore", "inherit"] });
        batch.stdin.end(lines.join(""));
        return once(batch, "exit");
      };
      let flooding = true;
      const floods = Promise.all([
        flood(4, (i) => "10.200." + (i >> 8 & 255) + "." + (i & 255) + "/32"), flood(6, (i) => "fd98:0:" + i.toString(16) + "::/64"),
      ]).then(() => { flooding = false; });
      const both = (from) => [...blocks(4, from, 5000), ...blocks(6, from, 5000)];
      await routing.configure([], both(0));
      const lines = [];
      const lost = [];
      let rounds = 0;
      for (let from = 0; flooding || rounds < 4; from = from === 0 ? 2500 : 0) {
        const looks = [];
        const add = routing.addRoutes(both(from));
        looks.push(routing.restore());
        const keep = routing.keepRoutes(both(from));
        looks.push(routing.restore());
        lines.push(...await add, ...await keep);
        for (const { lost: { count }, mended } of await Promise.all(looks)) {
          lost.push(count);
          lines.push(...mended);
        }
        rounds++;
      }
      await floods;
      console.log(JSON.stringify({ lines, lost: [...new Set(lost)], counts: [routes(4, "pong0"), routes(6, "pong0")] }));`);
    assert.deepEqual(seen.lost, [0]);
    assert.deepEqual(seen.lines, []);
    assert.deepEqual(seen.counts, [5000, 5000]);
  });

  test("a job that is stopped ends at its next turn, and so do those that wait for it", async () => {
    const seen = await evaluate<{ outcomes: string[]; made: number }>(`
      const outcome = (job) => job.then(() => "done", (error) => error instanceof Stopped ? "stopped" : String(error));
      const jobs = [routing.configure([], blocks(4, 0, ${MANY})), routing.restore(), routing.addRoutes(blocks(4, 0, 1000))];
      const outcomes = Promise.all(jobs.map(outcome));
      const link = new Netlink();
      while (!link.link("pong0").up) await new Promise((resolve) => { setImmediate(resolve); });
      link.close();
      routing.stop();
      console.log(JSON.stringify({ outcomes: await outcomes, made: routes(4, "pong0") }));`);
    assert.deepEqual(seen.outcomes, ["stopped", "stopped", "stopped"]);
    assert.ok(seen.made < MANY, `${seen.made} routes were made`);
  });

  test("a signal while routes are made at the start ends it, and the device is gone", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pongd-"));
    const file = join(folder, "pongd.yaml");
    const prefixes = Array.from({ length: MANY }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
    writeFileSync(file, `prefixes:\n${prefixes.map((prefix) => `  - ${prefix}\n`).join("")}`);
    const pongd = ns.spawn(process.execPath, CLI, "run", "--config", file);
    let output = "";
    for (const stream of [pongd.stdout, pongd.stderr]) stream.on("data", (chunk) => { output += String(chunk); });
    while (!readFileSync(`/proc/${ns.pid}/net/dev`, "utf8").includes("pong0")) await setImmediate();
    pongd.kill("SIGTERM");
    assert.equal(await ended(pongd), 0);
    assert.match(output, /^answered 0 of 0 packets in [^\n]*\n$/);
    assert.deepEqual((await ns.ip<{ ifname: string }>("link")).map(({ ifname }) => ifname), ["lo"]);
    rmSync(folder, { recursive: true });
  });
});
