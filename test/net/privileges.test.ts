/** Tests --drop-privileges: one process makes the device, and then has no capability in any of its threads. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { EXIT } from "../../src/base/failure.js";
import { IO_NAMES } from "../../src/io/contract.js";
import { CLI, ended, needs, Netns, poll, Pongd, said } from "../support/netns.js";
import { asUser } from "../support/user.js";

const PREFIX = "10.99.0.0/16";
const PREFIX6 = "fd99::/64";

describe("--drop-privileges", needs("ping", "setpriv"), () => {
  let ns: Netns;
  before(async () => { ns = await Netns.open(); });
  after(() => ns.close());

  const links = async () => (await ns.ip<{ ifname: string }>("link")).map(({ ifname }) => ifname);
  const ping = (target: string) => ns.pings(2, target);
  /** Returns the sets of every thread that are not empty. */
  const capabilities = (pid: number) => readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
    return [...status.matchAll(/^Cap(?:Inh|Prm|Eff|Amb):\t(.*)$/gm)]
      .map(([line]) => line)
      .filter((line) => !/\t0+$/.test(line));
  });
  const inRoot = process.getuid?.() === 0;
  const users = {
    "who may do everything": [] as string[], ...inRoot ? { "with CAP_NET_ADMIN alone": asUser("net_admin") } : {},
  };

  for (const [who, wrapper] of Object.entries(users)) {
    for (const io of IO_NAMES) {
      test(`${who}, ${io}: no thread has a capability while it answers; the process is the same, and ends as it `
        + "always does", async () => {
        const pongd = await Pongd.start(
          ns, { wrapper: [...wrapper, "env", "PONGD_TEST=a = b"] }, PREFIX, PREFIX6, "--queues", "2",
          "--drop-privileges", "--io", io,
        );
        await ping("10.99.1.1");
        await ping("fd99::1:1");
        assert.ok(readdirSync(`/proc/${pongd.pid}/task`).length > 3);
        assert.deepEqual(capabilities(pongd.pid), []);
        assert.match(readFileSync(`/proc/${pongd.pid}/status`, "utf8"), /^NoNewPrivs:\t1$/m);
        assert.match(readFileSync(`/proc/${pongd.pid}/cmdline`, "latin1"), /--queue-fds\0\d+,\d+\0/);
        assert.ok(readFileSync(`/proc/${pongd.pid}/environ`, "utf8").split("\0").includes("PONGD_TEST=a = b"));
        const targets = readdirSync(`/proc/${pongd.pid}/fd`).flatMap((fd) => {
          try {
            return readlinkSync(`/proc/${pongd.pid}/fd/${fd}`);
          } catch {
            return [];
          }
        });
        assert.equal(targets.filter((target) => target === "/dev/net/tun").length, 2);
        const { status, stdout, stderr } = await pongd.stop();
        assert.match(stdout, /\nanswered 4 of /);
        assert.equal(stderr, "");
        assert.equal(status, 0);
        assert.deepEqual(await links(), ["lo"]);
      });
    }
  }

  test("a link that goes down takes its routes along: it says what brings them back, and sees "
    + "that it was done", async () => {
    const pongd = await Pongd.start(ns, PREFIX, PREFIX6, "--drop-privileges");
    await ns.ok("sh", "-c", "ip link set pong0 down && ip link set pong0 up");
    await pongd.logged(
      /prefix 10\.99\.0\.0\/16 is not routed to pong0: that needs CAP_NET_ADMIN, which was given up; sudo ip route add 10\.99\.0\.0\/16 dev pong0 /,
    );
    await pongd.logged(
      /host address fd99::1 is not on pong0, prefix fd99::\/64 is not routed to pong0.*sudo ip addr add fd99::1\/128 nodad dev pong0 && sudo ip route add fd99/,
    );
    assert.equal((await pongd.get("/-/ready")).status, 503);
    await ns.ok("sh", "-c", "ip addr add fd99::1/128 nodad dev pong0 && ip route add fd99::/64 dev pong0 && ip route "
    + "add 10.99.0.0/16 dev pong0");
    await pongd.logged(/what was missing is answered again/);
    assert.equal((await pongd.get("/-/ready")).status, 200);
    await ping("10.99.1.1");
    await ping("fd99::1:1");
    assert.equal((await pongd.stop()).status, 0);
  });

  test("what fails before or after leaves no device: a prefix that is routed elsewhere, a port "
    + "that is in use", async () => {
    await ns.ok("ip", "route", "add", PREFIX, "dev", "lo");
    const before = await Pongd.fail(ns, PREFIX, "--drop-privileges");
    assert.match(before.stderr, /^pongd: prefix 10\.99\.0\.0\/16 is routed to lo already[^\n]*\n$/);
    await ns.ok("ip", "route", "del", PREFIX);
    const other = await Pongd.start(ns, PREFIX);
    const after = await Pongd.fail(ns, "10.98.0.0/16", "--device", "pong1", "--drop-privileges");
    assert.match(after.stderr, /^pongd: [^\n]*127\.0\.0\.1:7664 is in use[^\n]*\n$/);
    assert.deepEqual([before.status, after.status, await links()], [EXIT.RUNTIME, EXIT.RUNTIME, ["lo", "pong0"]]);
    await other.stop();
  });

  test("after kill -9 the kernel removes the device", async () => {
    const pongd = await Pongd.start(ns, PREFIX, "--drop-privileges");
    await pongd.stop("SIGKILL");
    await poll(links, ({ length }) => length === 1);
  });

  test("standard streams that others share are as they were, and the arguments arrive as they were given", async () => {
    const script = "\"$@\" >/dev/null & echo $!; wait $!; status=$?; cat /proc/self/fdinfo/2 >&2; exit $status";
    const shell = ns.spawn(
      "sh", "-c", script, "sh", process.execPath, "--no-warnings", CLI, "run", "--drop-privileges", "--log-level",
      "debug", "--log-format", "json", "--", PREFIX,
    );
    let stderr = "";
    shell.stderr.on("data", (chunk) => { stderr += String(chunk); });
    const pid = await said(shell.stdout, /\n/);
    await said(shell.stderr, /"msg":"no thread has any capability"/, stderr);
    process.kill(Number(pid), "SIGTERM");
    assert.equal(await ended(shell), 0, stderr);
    // O_NONBLOCK is 04000.
    const flags = parseInt(/flags:\s*(\d+)/.exec(stderr)?.[1] ?? "", 8);
    assert.equal(flags & 0o4000, 0);
  });

  test("--queue-fds by hand is refused", async () => {
    for (const [value, message] of [
      ["x", /'--queue-fds <fds>' argument 'x' is invalid. It is for pongd's own use: leave it out/],
      ["", /'--queue-fds <fds>' argument '' is invalid. It is for pongd's own use: leave it out/],
      ["1", /--queue-fds 1: 1 is no queue of pong0; it is for pongd's own use: leave it out/],
      ["7777,7778", /7777 is no queue of pong0/],
    ] as const) {
      const { status, stderr } = await Pongd.fail(ns, PREFIX, "--queue-fds", value);
      assert.match(stderr, message);
      assert.match(stderr, /^pongd: [^\n]*\n$/);
      assert.equal(status, EXIT.USAGE);
    }
  });
});
