/**
 * Disturbs a pongd that runs: its link, its addresses and routes, its limits, its log, its clock. After each it has to
 * answer again, and every packet was counted once.
 */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, test } from "node:test";
import { EXIT } from "../../src/base/failure.js";
import { IO_NAMES } from "../../src/io/contract.js";
import { source } from "../support/assembly.js";
import { addUp, CLI, ended, needs, Netns, onlyUp, poll, Pongd, said, sum } from "../support/netns.js";
import { fragmentsOf, icmpPacket } from "../support/packets.js";
import { Random } from "../support/random.js";

const PREFIXES = ["10.99.0.0/16", "fd99::/64"];
const ALL = process.env.FAULTS === "all";
/** Rounds of each random test; the long form has a hundred. */
const TIMES = ALL ? 100 : 4;
const [TARGET, TARGET6] = ["10.99.1.1", "fd99::1:1"];

describe("disturbed", needs("ping", "strace"), () => {
  let ns: Netns;
  const loads: ChildProcess[] = [];
  beforeEach(async () => { ns = await Netns.open(); });
  afterEach(async () => {
    await unload();
    await ns.close();
  });

  /** Sends pings of several kinds, as fast as they are answered, until unload(). */
  const load = () => {
    for (const args of [
      ["-f", TARGET], ["-i", "0.005", "-s", "4000", "10.99.1.2"], ["-i", "0.005", TARGET6],
      ["-i", "0.01", "-s", "1300", "fd99::1:2"],
    ]) {
      const ping = ns.spawn("ping", "-q", ...args);
      // ping has much to say of what it cannot send meanwhile.
      ping.stderr.resume();
      ping.stdout.resume();
      loads.push(ping);
    }
  };
  const unload = async () => {
    await Promise.all(loads.splice(0).map(async (ping) => {
      ping.kill();
      await ended(ping);
    }));
  };
  const replied = (metrics: Map<string, number>) => sum(metrics, "pongd_replies_total");
  /** Asserts that both families are answered, and that everything adds up now that nobody sends any more. */
  const sound = async (pongd: Pongd, before: Map<string, number>) => {
    await unload();
    await pongd.until((metrics) => metrics.get("pongd_ready") === 1);
    for (const target of [TARGET, TARGET6]) await ns.ok("ping", "-c", "1", "-w", "10", target);
    const after = await pongd.metrics();
    onlyUp(before, after);
    addUp(after);
    assert.equal(sum(after, "pongd_worker_restarts_total"), 0);
  };
  /** Runs the command that a message suggests, as somebody with the rights for it would copy it. */
  const runSuggested = async (log: string, pattern: RegExp) => {
    const [, command = ""] = pattern.exec(log) ?? [];
    assert.notEqual(command, "", log);
    await ns.ok("sh", "-c", `sudo() { "$@"; }; ${command}`);
  };
  const gone = async () => {
    assert.deepEqual((await ns.ip<{ ifname: string }>("link")).map(({ ifname }) => ifname), ["lo"]);
  };
  const reach = async (target: string) => {
    await poll(() => ns.run("ping", "-c", "1", "-W", "0.2", target), ({ status }) => status === 0);
  };

  for (const io of IO_NAMES) {
    const start = (...args: string[]) => Pongd.start(ns, ...PREFIXES, "--io", io, ...args);

    test(`${io}: the link goes down and up every 50 ms under load, forty times`, async () => {
      const pongd = await start("--queues", "2");
      load();
      const before = await pongd.until((metrics) => replied(metrics) > 100);
      await ns.ok(
        "sh",
        "-c",
        "for i in $(seq 40); do ip link set pong0 down; sleep 0.025; ip link set pong0 up; sleep 0.025; done",
      );
      await pongd.until((metrics) => metrics.get("pongd_ready") === 1 && replied(metrics) > replied(before));
      await sound(pongd, before);
      assert.equal((await pongd.stop()).status, 0);
      await gone();
    });

    test(`${io}: the MTU changes under load, below what IPv6 needs and above what it was at the start`, async () => {
      const pongd = await start("--queues", "2");
      load();
      const before = await pongd.until((metrics) => replied(metrics) > 100);
      for (let i = 0; i < 3; i++) {
        for (const mtu of ["1400", "1279", "68", "9000", "1280", "65535", "1500"]) {
          await ns.ok("ip", "link", "set", "pong0", "mtu", mtu);
          // These pings are longer than what pongd reads.
          if (mtu === "9000") {
            await ns.run("ping", "-c", "3", "-i", "0.002", "-W", "0.1", "-s", "5000", "-M", "do", TARGET);
          }
        }
      }
      await sound(pongd, before);
      // With an MTU below 1280 the kernel forgets that it must make no link-local address.
      const [{ inet6_addr_gen_mode: mode }] = await ns.ip("-d", "link", "show", "dev", "pong0");
      assert.equal(mode, "none");
      assert.equal(await ns.ok("ip", "-6", "-o", "addr", "show", "dev", "pong0", "scope", "link"), "");
      assert.ok(((await pongd.metrics()).get("pongd_packets_dropped_total{reason=\"pkt_too_small\",queue=\"0\"}") ?? 0)
        + ((await pongd.metrics()).get("pongd_packets_dropped_total{reason=\"pkt_too_small\",queue=\"1\"}") ?? 0) >= 3);
      assert.equal((await pongd.stop()).status, 0);
    });

    // For the other backend, test/net/overrun.test.ts overruns the queue.
    if (io === "uring" || ALL) test(`${io}: stopped for five seconds under load: each packet is received, or counted `
      + "as one that the queue had no room for", async () => {
      const pongd = await start();
      const before = await pongd.metrics();
      const steady = ns.spawn(process.execPath, source("build/test/support/steady.js"), "pong0", "2000", ...[1, 2, 3]
        .map((sequence) => Buffer.from(icmpPacket({ sequence })).toString("hex")));
      await pongd.until((metrics) => replied(metrics) > 100);
      process.kill(pongd.pid, "SIGSTOP");
      await sleep(5000);
      process.kill(pongd.pid, "SIGCONT");
      const resumed = await pongd.metrics();
      await pongd.until((metrics) => replied(metrics) > replied(resumed) + 1000);
      steady.stdin.end();
      const { sent } = JSON.parse(await said(steady.stdout, /\n/)) as { sent: number };
      const came = (metrics: Map<string, number>) => sum(metrics, "pongd_packets_received_total")
        + sum(metrics, "pongd_device_tx_dropped_total");
      const after = await pongd.until((metrics) => came(metrics) >= came(before) + sent);
      assert.equal(came(after), came(before) + sent);
      assert.ok(sum(after, "pongd_device_tx_dropped_total") > 0);
      await sound(pongd, before);
      assert.equal((await pongd.stop()).status, 0);
    });
  }

  test("an address or a route that somebody deletes is put back, and said; what stands in a route's "
    + "place stays there", async () => {
    const pongd = await Pongd.start(ns, ...PREFIXES);
    const before = await pongd.metrics();
    for (const [command, message] of [
      [["ip", "route", "del", "10.99.0.0/16"], /warn prefix 10\.99\.0\.0\/16 is not routed to pong0: put back/],
      [["ip", "-6", "route", "del", "fd99::/64"], /warn prefix fd99::\/64 is not routed to pong0: put back/],
      // IPv4 routes are lost with the address that they are from.
      [
        ["ip", "addr", "del", "10.99.0.1/32", "dev", "pong0"],
        /warn host address 10\.99\.0\.1 is not on pong0, prefix 10\.99\.0\.0\/16 is not routed to pong0: put back/,
      ],
      [
        ["ip", "-6", "addr", "del", "fd99::1/128", "dev", "pong0"],
        /warn host address fd99::1 is not on pong0: put back/,
      ],
    ] as const) {
      await ns.ok(command[0], ...command.slice(1));
      await pongd.logged(message);
    }
    await sound(pongd, before);
    await ns.ok("ip", "route", "replace", "blackhole", "10.99.0.0/16");
    await pongd.logged(/warn prefix 10\.99\.0\.0\/16 is routed elsewhere now/);
    assert.equal((await pongd.metrics()).get("pongd_ready"), 0);
    await ns.ok("ip", "route", "del", "blackhole", "10.99.0.0/16");
    await pongd.logged(/what was missing is answered again/);
    await sound(pongd, before);
    assert.equal((await pongd.stop()).status, 0);
  });

  test("without IPv6 at the start: a larger MTU later brings no link-local address either; without rights it says how "
    + "to be rid of it", async () => {
    const pongd = await Pongd.start(ns, "10.99.0.0/16", "--mtu", "1000", "--drop-privileges");
    await ns.ok("ip", "link", "set", "pong0", "mtu", "1500");
    await pongd.logged(
      /warn the kernel has given pong0 an IPv6 link-local address: [^\n]*given up; sudo ip link set pong0 addrgenmode none && sudo /,
    );
    assert.equal((await pongd.get("/-/ready")).status, 200);
    await runSuggested(pongd.stderr, /link-local.*; (sudo .*)\n/);
    assert.equal(await ns.ok("ip", "-6", "-o", "addr", "show", "dev", "pong0", "scope", "link"), "");
    await pongd.stop();
  });

  test("the device is renamed, to what a shell would run: what is said from then on names it so, and its commands "
    + "can be copied", async () => {
    const pongd = await Pongd.start(ns, ...PREFIXES, "--drop-privileges");
    const name = "$(id)';a&b";
    await ns.ok("sh", "-c", `ip link set pong0 down && ip link set pong0 name "$1"`, "sh", name);
    await pongd.logged(/info device pong0 is called /);
    await ns.ok("ip", "link", "set", name, "up");
    await pongd.logged(/the link is up/);
    await ns.ok("ip", "link", "set", name, "down");
    await pongd.logged(/the link is down: .*; sudo ip link set '/);
    await runSuggested(pongd.stderr, /the link is down: [^;]*; (sudo ip link set '.*)\n/);
    await pongd.logged(/prefix 10\.99\.0\.0\/16 is not routed to \$\(id\)';a&b: /);
    await pongd.logged(/prefix fd99::\/64 is not routed to \$\(id\)';a&b: /);
    await runSuggested(pongd.stderr, /prefix 10\.99\.0\.0\/16 is not routed [^\n]*given up; (sudo .*)\n/);
    await runSuggested(pongd.stderr, /prefix fd99::\/64 is not routed [^\n]*given up; (sudo .*)\n/);
    await pongd.logged(/what was missing is answered again/);
    for (const target of [TARGET, TARGET6]) await ns.pings(1, target);
    assert.equal((await pongd.stop()).status, 0);
  });

  for (const where of ["pong0", "all"]) test(`IPv6 is disabled by net.ipv6.conf.${where}, and enabled again: it says `
    + "so, answers by IPv4, and comes back", async () => {
    const pongd = await Pongd.start(ns, ...PREFIXES);
    const before = await pongd.metrics();
    const disable = (value: number) => ns.ok("sysctl", "-qw", `net.ipv6.conf.${where}.disable_ipv6=${value}`);
    await disable(1);
    await pongd.logged(/warn nothing is answered by IPv6: netlink: [^\n]*EACCES/);
    assert.equal((await pongd.get("/-/ready")).status, 503);
    await reach(TARGET);
    await disable(0);
    await pongd.logged(/what was missing is answered again/);
    await sound(pongd, before);
    assert.equal((await pongd.stop()).status, 0);
  });

  test("routes of others that come and go by the thousand cost it nothing that is seen", async () => {
    const pongd = await Pongd.start(ns, ...PREFIXES);
    const before = await pongd.metrics();
    const other = Array.from(
      { length: 20000 }, (_, i) => `route add blackhole 172.${16 + (i >> 16)}.${i >> 8 & 255}.${i & 255}/32`,
    ).join("\n");
    const batch = ns.spawn("ip", "-batch", "-");
    batch.stdin.end(other);
    await ended(batch);
    await ns.ok("ip", "route", "del", "10.99.0.0/16");
    await pongd.logged(/prefix 10\.99\.0\.0\/16 is not routed to pong0: put back/);
    await sound(pongd, before);
    assert.equal((await pongd.stop()).status, 0);
  });

  for (const hours of [1, -1]) test(`the clock is set ${hours > 0 ? "forward" : "back"} by an hour: what waits goes `
    + "on waiting, limits go on, and its own time is that of no clock that is set", async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "pongd-clock-"));
    context.after(() => { rmSync(folder, { recursive: true }); });
    const file = join(folder, "set");
    const clock = pathToFileURL(source("build/test/support/clock.js")).href;
    const wrapper = ["env", `NODE_OPTIONS=--import=${clock}`, `PONGD_TEST_CLOCK=${hours * 3_600_000} ${file}`];
    const pongd = await Pongd.start(ns, { wrapper }, ...PREFIXES, "--rate-limit", "50/20");
    await ns.ok("ping", "-c", "1", "-w", "10", TARGET);
    const inject = ns.spawn(process.execPath, source("build/test/support/inject.js"), "pong0");
    inject.stdin.end(Buffer.from(fragmentsOf(icmpPacket({ fragment: 0 }), [0, 32, 64])[0]).toString("hex"));
    await ended(inject);
    const before = await pongd.until((metrics) => sum(metrics, "pongd_fragments_held") === 1);
    writeFileSync(file, "");
    // The pings are sent above the limit of 20 at once and 50 a second, however slow the machine is: they use up the
    // burst, and what is gained again.
    const { stdout } = await ns.run("ping", "-q", "-i", "0.002", "-c", "400", TARGET);
    const answered = Number(/ (\d+) received/.exec(stdout)?.[1]);
    assert.ok(answered > 40 && answered < 400, stdout);
    assert.equal(sum(await pongd.metrics(), "pongd_fragments_held"), 1);
    await sound(pongd, before);
    const { stdout: summary, status } = await pongd.stop();
    assert.equal(status, 0);
    assert.ok(Number(/ packets in ([-\d.]+) s/.exec(summary)?.[1]) < 600, summary);
    assert.ok(Number(/ packets in ([-\d.]+) s/.exec(summary)?.[1]) > 0, summary);
  });

  for (const io of IO_NAMES) {
    const random = Random.fromEnvironment();
    test(`${io}: a worker that ends at a random instruction, ${TIMES} times: every packet counted once, no counter `
      + `goes back, replies go on; seed ${random.seed}`, async () => {
      const { restarts, received, replied, dropped, held } = JSON.parse(
        await ns.ok(process.execPath, source("build/test/support/kill.js"), io, String(TIMES), String(random.seed)),
      ) as {
        restarts: number; received: number; replied: number; dropped: Record<string, number>; held: number;
      };
      assert.equal(restarts, TIMES);
      assert.equal(received, replied + held + Object.values(dropped).reduce((a, b) => a + b, 0));
      await gone();
    });

    test(`${io}: kill -9 under load at a random instruction, ${TIMES} times: a new one starts at once; seed `
      + `${random.seed}`, async () => {
      for (let i = 0; i < TIMES; i++) {
        const pongd = await Pongd.start(ns, ...PREFIXES, "--io", io);
        load();
        await pongd.until((metrics) => replied(metrics) > 100);
        const at = performance.now() + random.below(20_000) / 1000;
        while (performance.now() < at);
        await pongd.stop("SIGKILL");
        await unload();
      }
      const pongd = await Pongd.start(ns, ...PREFIXES, "--io", io);
      await ns.ok("ping", "-c", "1", "-w", "10", TARGET);
      assert.equal((await pongd.stop()).status, 0);
      await gone();
    });
  }

  test("connections take all descriptors: packets are answered, and metrics again once some are free", async () => {
    const pongd = await Pongd.start(ns, ...PREFIXES);
    load();
    const before = await pongd.until((metrics) => replied(metrics) > 100);
    const open = readdirSync(`/proc/${pongd.pid}/fd`).length;
    await ns.ok("prlimit", "--pid", String(pongd.pid), `--nofile=${open + 4}:${open + 4}`);
    const clients = ns.spawn(process.execPath, "--input-type=module", "-e", `
      const { connect } = await import("node:net");
      const sockets = Array.from({ length: 100 }, () => connect(7664, "127.0.0.1").on("error", () => undefined));
      await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once("connect", resolve).once("close", resolve))));
      console.log("connected");
      process.stdin.resume().on("end", () => process.exit());`);
    await said(clients.stdout, /\n/);
    await reach(TARGET);
    clients.stdin.end();
    await ended(clients);
    await sound(pongd, before);
    assert.equal((await pongd.stop()).status, 0);
  });

  for (const format of ["text", "json"]) test(`${format}: nowhere to log to, whether the disk is full or the reader `
    + "is gone: it answers, and ends as it does otherwise", async () => {
    for (const redirect of ["2>/dev/full >/dev/null", "2>&1 >/dev/null"]) {
      const script = `exec 3>&1; { sh -c 'echo $$ >&3; exec "$@" 3>&-' sh "$@" ${redirect}; echo "status $?" `
        + ">&3; } | true";
      const child = ns.spawn(
        "sh", "-c", script, "sh", process.execPath, CLI, "run", ...PREFIXES, "--log-format", format,
      );
      let output = "";
      child.stdout.on("data", (chunk) => { output += String(chunk); });
      await reach(TARGET);
      for (let i = 0; i < 3; i++) await ns.ok("sh", "-c", "ip link set pong0 down; ip link set pong0 up");
      await reach(TARGET);
      process.kill(Number(/^\d+/.exec(output)?.[0]), "SIGTERM");
      await ended(child);
      assert.match(output, /\nstatus 0\n$/, redirect);
      await gone();
    }
  });

  test("the metrics' address, /dev/net/tun and whatever can be written go while it runs: it answers, restarts a "
    + "worker included", async (context) => {
    if (process.getuid?.() !== 0) {
      context.skip("needs root, to mount");
      return;
    }
    await ns.ok("ip", "addr", "add", "192.0.2.7/32", "dev", "lo");
    const pongd = await Pongd.start(
      ns, { wrapper: ["unshare", "-m"] }, ...PREFIXES, "--listen", "0.0.0.0:7664", "--io", "readwrite",
    );
    const before = await pongd.metrics();
    await ns.ok("ip", "addr", "del", "192.0.2.7/32", "dev", "lo");
    await ns.ok(
      "nsenter", "-m", "-t", String(pongd.pid), "sh", "-c",
      "mount -t tmpfs none /dev/net && mount -o remount,bind,ro /",
    );
    const injection = await pongd.inject(pongd.worker, "read:error=EIO");
    await ns.run("ping", "-c", "1", "-W", "0.1", TARGET);
    await injection.ended;
    await pongd.until((metrics) => sum(metrics, "pongd_worker_restarts_total") === 1);
    await reach(TARGET);
    const after = await pongd.metrics();
    onlyUp(before, after);
    addUp(after);
    assert.equal((await pongd.stop()).status, 0);
    await gone();
  });

  const [major] = process.versions.node.split(".").map(Number);
  if (major < 24) {
    test("no address space for its memory: one line that says where to look, status 1, and "
      + "nothing is left", async () => {
      const { status, stderr } = await ns.run(
        "prlimit", `--as=${3 * 2 ** 30}`, process.execPath, CLI, "run", ...PREFIXES,
      );
      assert.match(stderr, /^pongd: cannot reserve memory for packets: [^\n]*; see: ulimit -v\n$/);
      assert.equal(status, EXIT.RUNTIME);
      await gone();
    });
  } else {
    test("little address space: V8 does without what it would keep free behind memory, and it answers", async () => {
      const pongd = await Pongd.start(ns, { wrapper: ["prlimit", `--as=${4 * 2 ** 30}`] }, ...PREFIXES);
      await reach(TARGET);
      assert.equal((await pongd.stop()).status, 0);
      await gone();
    });
  }
});
