/**
 * Tests pre-made devices: whoever runs pongd there needs no privilege, and whatever becomes of pongd, the device stays
 * as it was.
 */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { EXIT } from "../../src/base/failure.js";
import { CLI, needs, Netns, poll, Pongd, type Result } from "../support/netns.js";
import { asUser, USER } from "../support/user.js";

const PREFIX = "10.99.0.0/16";
const PREFIX6 = "fd99::/64";

describe("a pre-made device", rootAlone(), () => {
  let ns: Netns;
  before(async () => { ns = await Netns.open(); });
  after(() => ns.close());
  afterEach(async () => { await ns.run("ip", "link", "del", "pong0"); });

  const pongd = (...args: string[]) => ns.run(process.execPath, CLI, ...args);
  const create = async (...args: string[]) => {
    const { status, stderr, stdout } = await pongd("device", "create", "pong0", ...args);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  /** Runs pongd as somebody without privileges. */
  const start = (...args: string[]) => Pongd.start(ns, { wrapper: asUser() }, ...args);
  const runAsUser = (...args: string[]) => {
    const [command, ...rest] = [...asUser(), process.execPath, CLI, ...args];
    return ns.run(command, ...rest);
  };
  const failed = ({ status, stdout, stderr }: Result, expected: number, message: RegExp) => {
    assert.match(stderr, message);
    assert.match(stderr, /^pongd: [^\n]*\n$/);
    assert.equal(stdout, "");
    assert.equal(status, expected);
  };
  /**
   * Returns all that ip(8) has to say of the device, once nobody has a queue of it: the kernel takes an io_uring ring
   * apart in its own time.
   */
  const state = async () => {
    const show = () => ns.ip<{ operstate: string }>("-d", "link", "show", "dev", "pong0");
    const link = await poll(show, ([{ operstate }]) => operstate === "DOWN");
    const routes = [await ns.ip("route", "show", "table", "all"), await ns.ip("-6", "route", "show", "table", "all")];
    return { link, addresses: await ns.ip("addr", "show", "dev", "pong0"), routes };
  };
  const ping = (target: string) => ns.pings(2, target);

  for (const [how, queues, make] of [
    ["pongd device create", 1, () => create(PREFIX, PREFIX6, "--user", "nobody", "--mtu", "1400")],
    [
      "pongd device create, for two queues", 2,
      () => create(PREFIX, PREFIX6, "--user", String(USER), "--group", String(USER), "--queues", "2", "--mtu", "1400"),
    ],
    ["ip tuntap", 1, () => ns.ok("sh", "-c", tuntap(""))],
    ["ip tuntap, for two queues", 2, () => ns.ok("sh", "-c", tuntap("multi_queue"))],
    ["ip tuntap, for two queues, run with one", 1, () => ns.ok("sh", "-c", tuntap("multi_queue"))],
  ] as const) {
    test(`made by ${how}: an ordinary user's pongd answers there, and however it ends, the device `
      + "is as it was", async () => {
      await make();
      const made = await state();
      for (const signal of ["SIGTERM", "SIGKILL"] as const) {
        const running = await start(PREFIX, PREFIX6, "--queues", String(queues));
        await ping("10.99.1.1");
        await ping("fd99::1:1");
        assert.match(running.stdout, new RegExp(`pong0, pre-made, mtu 1400, ${queues} queue`));
        assert.match(running.stdout, /host address {2}10\.99\.0\.1, fd99::1\n/);
        assert.equal((await running.get("/-/ready")).status, 200);
        const { status, stderr } = await running.stop(signal);
        assert.equal(stderr, "");
        assert.equal(status, signal === "SIGTERM" ? 0 : null);
        assert.deepEqual(await state(), made);
      }
    });
  }

  test("the host's own addresses there are not answered for, further ones of a family included", async () => {
    await create(PREFIX, "--user", "nobody");
    await ns.ok("ip", "addr", "add", "10.99.0.2/32", "dev", "pong0");
    const running = await start(PREFIX, "--host-address", "10.99.0.2");
    assert.match(running.stdout, /host address {2}10\.99\.0\.2\n/);
    // These pings are sent past the host's own routing table, into the device.
    for (const own of ["10.99.0.1", "10.99.0.2"]) await ns.ok("ip", "route", "add", own, "dev", "pong0", "table", "7");
    const metric = "pongd_packets_dropped_total{reason=\"not_our_prefix\",queue=\"0\"}";
    await ns.ok(
      "sh", "-c", "ip rule add pref 0 lookup 7 && ip rule add pref 100 lookup local && ip rule del pref 0 lookup local",
    );
    for (const [i, own] of ["10.99.0.1", "10.99.0.2"].entries()) {
      await ns.run("ping", "-c", "1", "-W", "0.1", own);
      assert.equal((await running.metrics()).get(metric), i + 1);
    }
    await ns.ok(
      "sh", "-c", "ip rule add pref 0 lookup local && ip rule del pref 100 lookup local && ip rule del pref 0 lookup 7",
    );
    await running.stop();
  });

  test("a second pongd is refused, with one queue and with several, and the first answers on", async () => {
    for (const queues of ["1", "2"]) {
      await create(PREFIX, "--user", "nobody", "--queues", queues);
      const first = await start(PREFIX, "--queues", queues);
      failed(
        await runAsUser("run", PREFIX, "--queues", queues, "--listen", "127.0.0.1:0"),
        EXIT.RUNTIME,
        /device pong0 is in use/,
      );
      failed(
        await pongd("run", PREFIX, "--queues", queues, "--listen", "127.0.0.1:0"),
        EXIT.RUNTIME,
        /device pong0 is in use/,
      );
      failed(await pongd("device", "remove", "pong0"), EXIT.RUNTIME, /device pong0 is in use/);
      await ping("10.99.1.1");
      await first.stop();
      await pongd("device", "remove", "pong0");
    }
  });

  for (const [what, make, args, status, message] of [
    [
      "of somebody else", "user 1", [], EXIT.PERMISSION,
      /device pong0 belongs to user 1; run pongd as that, or as root/,
    ],
    ["of another group", "group 1", [], EXIT.PERMISSION, /device pong0 belongs to group 1;/],
    [
      "with packet information", "user 65534 pi", [], EXIT.RUNTIME,
      /\(pi\).*anew: sudo pongd device remove pong0 && sudo pongd device create pong0 PREFIX --user 65534\n/,
    ],
    [
      "with virtio-net headers, for the js engine", "user 65534 vnet_hdr multi_queue", ["--engine", "js"], EXIT.RUNTIME,
      /\(vnet_hdr\).*create pong0 PREFIX --user 65534 --queues 2\n/,
    ],
    [
      "of the other kind", "user 65534", ["--mode", "tap"], EXIT.RUNTIME,
      /is pre-made and a TUN device; run with --mode tun, or make it anew: .*--mode tap\n/,
    ],
    [
      "of one queue, for two", "user 65534", ["--queues", "2"], EXIT.RUNTIME,
      /has one queue alone; leave --queues out, or make it anew: .*--queues 2\n/,
    ],
    [
      "with another MTU", "user 65534", ["--mtu", "1400"], EXIT.RUNTIME,
      /has MTU 1500; leave --mtu out, or: sudo ip link set pong0 mtu 1400\n/,
    ],
    [
      "without that host address", "user 65534", ["--host-address", "10.99.0.9"], EXIT.RUNTIME,
      /10\.99\.0\.9 is not on pong0.*sudo ip addr add 10\.99\.0\.9\/32 dev pong0\n/,
    ],
  ] as const) {
    test(`a device ${what} is refused in one line, and left as it is`, async () => {
      await ns.ok("sh", "-c", `ip tuntap add pong0 mode tun ${make}`);
      const made = await state();
      failed(await runAsUser("run", PREFIX, ...args), status, message);
      assert.deepEqual(await state(), made);
    });
  }

  test("what is missing there is said with the command that mends it, which is seen to have been run", async () => {
    await ns.ok("sh", "-c", "ip tuntap add pong0 mode tun user 65534");
    const running = await start(PREFIX, "10.98.0.0/24", "--host-address", "none");
    await running.logged(/the link is down: nothing is answered until it is up; sudo ip link set pong0 up/);
    await ns.ok("ip", "link", "set", "pong0", "up");
    await running.logged(
      /2 prefixes, 10\.99\.0\.0\/16 first, are not routed to pong0; sudo ip route add 10\.99\.0\.0\/16 dev pong0 && sudo /,
    );
    assert.equal((await running.get("/-/ready")).status, 503);
    // One route serves both prefixes.
    await ns.ok("ip", "route", "add", "10.98.0.0/15", "dev", "pong0");
    await running.logged(/what was missing is answered again/);
    assert.equal((await running.get("/-/ready")).status, 200);
    await ns.ok("ip", "addr", "add", "192.0.2.1/32", "dev", "lo");
    await ping("10.98.0.7");
    await running.stop();
    await ns.ok("ip", "addr", "del", "192.0.2.1/32", "dev", "lo");
  });

  test("an MTU too small for IPv6 is refused", async () => {
    await create("--user", "nobody", "--mtu", "1000");
    failed(
      await runAsUser("run", PREFIX6),
      EXIT.RUNTIME,
      /has MTU 1000: IPv6 prefixes need at least 1280; sudo ip link set pong0 mtu 1280/,
    );
  });

  test("an MTU too small for services of TCP is refused where there are any", async () => {
    await create(PREFIX, "--user", "nobody", "--mtu", "200");
    failed(
      await runAsUser("run", PREFIX, "--tcp", "7=echo"),
      EXIT.RUNTIME,
      /has MTU 200: TCP's services need at least 256; sudo ip link set pong0 mtu 256, or leave the services out/,
    );
    const running = await start(PREFIX, "--tcp", "7=silent");
    await ping("10.99.1.1");
    await running.stop();
  });

  test("offload that is asked for and cannot be is warned of, and that which is chosen is not", async () => {
    await create(PREFIX, "--user", "nobody");
    for (const [args, level] of [[["--offload", "on"], "warn"], [["--tcp", "7=echo"], "info"]] as const) {
      const running = await start(PREFIX, ...args);
      const { stdout, stderr } = await running.stop();
      assert.match(stdout, /, offload off\n/);
      assert.match(stderr, new RegExp(` ${level} offload is off: device pong0 was made without room for it; see [^\n]*\n`));
    }
  });

  test("a TAP device", async () => {
    await create(PREFIX, "--user", "nobody", "--mode", "tap");
    const running = await start(PREFIX, "--mode", "tap");
    await ping("10.99.1.1");
    await running.stop();
  });

  test("create says in one line what is in the way, and leaves nothing half made", async () => {
    await create(PREFIX, "--user", "nobody");
    const made = await state();
    failed(
      await pongd("device", "create", "pong0", "--user", "nobody"),
      EXIT.RUNTIME,
      /device pong0 exists already; remove it first: sudo pongd device remove pong0/,
    );
    assert.deepEqual(await state(), made);
    failed(
      await pongd("device", "create", "pong1", PREFIX, "--user", "nobody"),
      EXIT.RUNTIME,
      /prefix 10\.99\.0\.0\/16 is routed to pong0 already/,
    );
    failed(
      await pongd("device", "create", "lo", "--user", "nobody"),
      EXIT.RUNTIME,
      /an interface named lo exists already; choose another name/,
    );
    failed(
      await runAsUser("device", "create", "pong1", "--user", "nobody"),
      EXIT.PERMISSION,
      /making device pong1 needs CAP_NET_ADMIN; run as root/,
    );
    failed(
      await pongd("device", "create", "pong1", "--user", "no-such-user"), EXIT.USAGE, /there is no user "no-such-user"/,
    );
    failed(
      await pongd("device", "create", "pong1", "--group", "no-such-group"),
      EXIT.USAGE,
      /there is no group "no-such-group"/,
    );
    assert.deepEqual((await ns.ip<{ ifname: string }>("link")).map(({ ifname }) => ifname), ["lo", "pong0"]);
  });

  test("doctor tells a user without privileges how to have one, and of the one that is there", async () => {
    const without = await runAsUser("doctor");
    assert.match(
      without.stdout,
      /missing {2}CAP_NET_ADMIN is not in effect\n {9}mend: run as root.*; or run on a device of your own: sudo pongd device create pong0 /,
    );
    assert.equal(without.status, EXIT.PERMISSION);
    await create(PREFIX, "--user", "nobody");
    const there = await runAsUser("doctor");
    assert.match(
      there.stdout, /ok {7}CAP_NET_ADMIN is not in effect, and device pong0 is there to run without: --device pong0\n/,
    );
    assert.equal(there.status, 0);
    await ns.ok("ip", "link", "del", "pong0");
    // A program has to be both the owner and in the group. A supplementary group counts.
    for (const [owner, groups, status] of [
      [["--group", "4711"], "4711", 0], [["--group", "4711"], "4712", EXIT.PERMISSION],
      [
        ["--group", "4711", "--user", String(USER)], "4712", EXIT.PERMISSION,
      ], [["--group", "4711", "--user", "1"], "4711", EXIT.PERMISSION],
    ] as const) {
      await create(PREFIX, ...owner);
      const wrapper = asUser().map((arg) => arg === "--clear-groups" ? `--groups=${groups}` : arg);
      const seen = await ns.run(wrapper[0], ...wrapper.slice(1), process.execPath, CLI, "doctor");
      assert.equal(seen.status, status, seen.stdout);
      const { pongd: running, answers } = await Pongd.attempt(ns, { wrapper }, PREFIX);
      assert.equal(answers, status === 0, "as the kernel sees it");
      assert.equal((await running.stop()).status, status);
      await ns.ok("ip", "link", "del", "pong0");
    }
  });

  test("remove takes persistent TUN and TAP devices, its owner's too, and leaves all else alone", async () => {
    await create(PREFIX, "--user", "nobody");
    assert.deepEqual(await runAsUser("device", "remove", "pong0"), { status: 0, stdout: "", stderr: "" });
    failed(await pongd("device", "remove", "pong0"), EXIT.RUNTIME, /there is no interface pong0/);
    await ns.ok("sh", "-c", "ip tuntap add pong0 mode tap user 1");
    failed(
      await runAsUser("device", "remove", "pong0"),
      EXIT.PERMISSION,
      /cannot remove pong0: TUNSETIFF pong0: EPERM; run as its owner, or as root/,
    );
    assert.equal((await pongd("device", "remove", "pong0")).status, 0);
    failed(await pongd("device", "remove", "lo"), EXIT.RUNTIME, /interface lo is no TUN or TAP device/);
    await ns.ok("ip", "link", "add", "pong0", "type", "bridge");
    failed(await pongd("device", "remove", "pong0"), EXIT.RUNTIME, /no TUN or TAP device but a bridge/);
    await ns.ok("ip", "link", "del", "pong0");
    const running = await Pongd.start(ns, PREFIX);
    failed(await pongd("device", "remove", "pong0"), EXIT.RUNTIME, /device pong0 is not persistent/);
    failed(
      await pongd("device", "create", "pong0", "--user", "nobody"),
      EXIT.RUNTIME,
      /pong0 exists already, a device of a program that runs/,
    );
    await running.stop();
  });
});

/** Returns a script that does what `pongd device create` does, by ip(8) alone. */
function tuntap(multiQueue: string): string {
  return [
    `ip tuntap add pong0 mode tun user ${USER} ${multiQueue}`,
    "ip link set pong0 mtu 1400 addrgenmode none up",
    "ip addr add 10.99.0.1/32 dev pong0",
    "ip addr add fd99::1/128 dev pong0 nodad",
    `ip route add ${PREFIX} dev pong0`,
    `ip route add ${PREFIX6} dev pong0`,
  ].join(" && ");
}

function rootAlone() {
  const { skip } = needs("ping", "setpriv");
  return { skip: skip || (process.getuid?.() === 0 ? false : "needs root, to become somebody else") };
}
