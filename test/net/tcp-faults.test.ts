/** Tests workers that crash with TCP connections, and limits of connections and memory that are reached. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, describe, test } from "node:test";
import { IO_NAMES } from "../../src/io/contract.js";
import { addUp, needs, Netns, onlyUp, Pongd, sum } from "../support/netns.js";
import { allGone, bytes, Clients, dropped, Stalled } from "../support/tcpclients.js";

const PREFIX = "10.99.0.0/16";
const PORTS = ["--tcp", "7=echo"];

let ns: Netns;
const folder = mkdtempSync(join(tmpdir(), "pongd-tcp-"));
beforeEach(async () => { ns = await Netns.open(); });
afterEach(() => ns.close());
after(() => { rmSync(folder, { recursive: true }); });

describe("a worker that crashes", needs("ping", "strace", "python3"), () => {
  const COUNT = 2000;
  const RESET = "Connection reset by peer";
  const flows = [1, 2, 3, 4, 5, 6, 7, 8];

  /** Returns how many bytes of memory pongd has. */
  const residentBytes = (pongd: Pongd) => {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pongd.pid}/status`, "utf8"))?.[1]) * 1024;
  };

  for (const io of IO_NAMES) {
    test(`${io}: its connections are reset when their peers speak, those of the other queue go on, and as many more `
      + "are opened", async () => {
      const pongd = await Pongd.start(ns, PREFIX, ...PORTS, "--queues", "2", "--io", io);
      const clients = new Clients(ns, 7);
      assert.deepEqual(await clients.open(COUNT), { open: COUNT });
      assert.deepEqual(await clients.echo(100), { right: COUNT });
      const full = await pongd.metrics();
      const [kept, lost] = [0, 1].map((queue) => full.get(`pongd_tcp_connections{queue="${queue}"}`) ?? NaN);
      assert.equal(kept + lost, COUNT);
      assert.ok(kept > 0 && lost > 0, `both queues have connections: ${kept}, ${lost}`);
      const resident = residentBytes(pongd);

      const { ended } = await pongd.inject(pongd.worker, "read:error=EIO");
      // In the ring, packets are not read by this call; single packets are.
      const pings = flows.map((last) => ns.spawn("ping", "-q", "-i", "0.01", `10.99.210.${last}`));
      const first = await clients.echo(100);
      await ended;
      const crashed = await pongd.until((metrics) => sum(metrics, "pongd_worker_restarts_total") === 1);
      for (const ping of pings) ping.kill();
      const { right, [RESET]: reset = 0, ...others } = await clients.echo(100);
      assert.deepEqual([right, (first[RESET] ?? 0) + reset, others], [kept, lost, {}]);
      assert.equal(crashed.get("pongd_tcp_closed_total{how=\"crashed\",queue=\"1\"}"), lost);
      assert.equal(crashed.get("pongd_tcp_connections{queue=\"0\"}"), kept);
      assert.equal(crashed.get("pongd_tcp_connections{queue=\"1\"}"), 0);
      const spoken = await pongd.metrics();
      assert.equal(spoken.get("pongd_tcp_resets_sent_total{reason=\"no_connection\",queue=\"0\"}"), 0);
      assert.ok((spoken.get("pongd_tcp_resets_sent_total{reason=\"no_connection\",queue=\"1\"}") ?? 0) >= lost);
      assert.equal(sum(crashed, "pongd_tcp_time_wait"), 0);
      onlyUp(full, crashed);

      assert.deepEqual(await clients.open(lost), { open: lost });
      assert.deepEqual(await clients.echo(100), { right: COUNT });
      assert.equal(sum(await pongd.metrics(), "pongd_tcp_connections"), COUNT);
      assert.ok(
        residentBytes(pongd) < 1.5 * resident, `${residentBytes(pongd)} bytes of memory, ${resident} before the crash`,
      );
      assert.deepEqual(await clients.end(COUNT), { closed: COUNT });
      addUp(await allGone(pongd));
      await clients.close();
      assert.equal((await pongd.stop()).status, 0);
    });
  }
});

describe("limits", needs("python3"), () => {
  test("connections: new ones are dropped and counted while old ones echo, and are accepted once some have ended",
    async () => {
      const pongd = await Pongd.start(ns, PREFIX, ...PORTS, "--tcp-connections", "64");
      const old = new Clients(ns, 7);
      const late = new Clients(ns, 7, 1000);
      assert.deepEqual(await old.open(64), { open: 64 });
      assert.deepEqual(await late.begin(8), { begun: 8 });
      await pongd.until((metrics) => dropped(metrics, "tcp_limit") >= 8);
      assert.deepEqual(await old.echo(10_000), { right: 64 });
      assert.equal(sum(await pongd.metrics(), "pongd_tcp_connections"), 64);
      assert.deepEqual(await old.end(8), { closed: 8 });
      // The kernel asks again.
      assert.deepEqual(await late.opened(8), { open: 8 });
      assert.deepEqual(await late.echo(10_000), { right: 8 });
      assert.deepEqual(await old.echo(10_000), { right: 56 });
      assert.deepEqual(await Promise.all([old.end(56), late.end(8)]), [{ closed: 56 }, { closed: 8 }]);
      addUp(await allGone(pongd));
      await Promise.all([old.close(), late.close()]);
      assert.equal((await pongd.stop()).status, 0);
    });

  for (const [service, port, request] of [["echo", 7, "x"], ["reply", 80, "ask\n"]] as const) {
    test(`memory: readers of ${service} that stand still take what there is; others echo once these have ended, out of `
      + "order as well", async () => {
      const file = join(folder, "pongd.yaml");
      writeFileSync(join(folder, "reply"), "r".repeat(100_000));
      writeFileSync(file, "services: { r: { tcp: { reply: reply, after: \"\\n\" } } }\n"
      + `tcp: { 7: echo, 80: r }\nprefixes: [${PREFIX}]\n`);
      const pongd = await Pongd.start(ns, "--config", file, "--tcp-memory", "65536");
      // What does not fit into the queue is lost, so that what comes behind it is out of order.
      await ns.ok("ip", "link", "set", "pong0", "txqueuelen", "8");
      const stalled = new Stalled(ns, "10.99.250", port, 8, request);
      await pongd.until((metrics) => sum(metrics, "pongd_tcp_memory_bytes") >= 65536 / 2);
      const clients = new Clients(ns, 7);
      assert.deepEqual(await clients.open(10), { open: 10 });
      const echoed = clients.echo(30_000);
      await pongd.until((metrics) => bytes(metrics, "in") > 0);
      await stalled.end();
      assert.deepEqual(await echoed, { right: 10 });
      assert.deepEqual(await clients.end(10), { closed: 10 });
      addUp(await allGone(pongd));
      await clients.close();
      assert.equal((await pongd.stop()).status, 0);
    });
  }
});
