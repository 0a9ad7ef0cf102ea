/** Tests IPv6 prefixes on the device: what pongd sets up there, and what becomes of it. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { EXIT } from "../../src/base/failure.js";
import { needs, Netns, Pongd, sum } from "../support/netns.js";

describe("IPv6", needs("ping"), () => {
  let ns: Netns;
  before(async () => { ns = await Netns.open(); });
  after(() => ns.close());

  interface Route { dst: string; dev: string; protocol: string; prefsrc?: string }
  const routes = async () => (await ns.ip<Route>("-6", "route", "show", "dev", "pong0"))
    .filter(({ protocol }) => protocol === "static")
    .map(({ dst, prefsrc }) => `${dst} from ${String(prefsrc)}`);
  const addresses = async () => (await ns.ip<{
    addr_info: { local: string; prefixlen: number }[];
  }>("addr", "show", "dev", "pong0"))[0].addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`);

  test("each family's first usable address is the host's, and each prefix a route from it; all of it comes back when "
    + "the link does", async () => {
    const pongd = await Pongd.start(
      ns, "10.99.0.0/16", "2001:db8::/64", "2001:db8:1::/48", "2001:db8:2::7", "--except", "2001:db8::ff00/120",
    );
    const expected = ["2001:db8::/64", "2001:db8:1::/48", "2001:db8:2::7"].map((dst) => `${dst} from 2001:db8::1`);
    assert.deepEqual(await routes(), expected);
    assert.deepEqual(await addresses(), ["10.99.0.1/32", "2001:db8::1/128"]);
    await ns.ok("ip", "link", "set", "pong0", "down");
    await pongd.logged(/the link is down/);
    assert.deepEqual([await routes(), await addresses()], [[], ["10.99.0.1/32"]]);
    await ns.ok("ip", "link", "set", "pong0", "up");
    await pongd.logged(/the link is up/);
    assert.deepEqual([await routes(), await addresses()], [expected, ["10.99.0.1/32", "2001:db8::1/128"]]);
    const { stdout } = await pongd.stop();
    for (const said of [
      "host address  10.99.0.1, 2001:db8::1", "2001:db8::/64 (2^64 addresses)", "2001:db8:2::7/128 (1 address)",
      "except        2001:db8::ff00/120",
    ]) {
      assert.ok(stdout.includes(`${said}\n`), `${said} in ${stdout}`);
    }
  });

  test("an MTU that is too small for IPv6 is warned of, and costs IPv6 alone, until it is large "
    + "enough again", async () => {
    const pongd = await Pongd.start(ns, "10.99.0.0/16", "2001:db8::/64");
    const ready = async () => (await pongd.get("/-/ready")).status;
    await ns.ok("ip", "link", "set", "pong0", "mtu", "1279");
    await pongd.logged(/nothing is answered by IPv6: the device's MTU is 1279, and has to be 1280/);
    await ns.ok("ping", "-c", "1", "10.99.1.1");
    assert.equal(await ready(), 503);
    await ns.ok("ip", "link", "set", "pong0", "mtu", "1500");
    await pongd.logged(/what was missing is answered again/);
    assert.deepEqual([await routes(), await ready()], [["2001:db8::/64 from 2001:db8::1"], 200]);
    await ns.ok("ping", "-c", "1", "2001:db8::1:1");
    await ns.ok("ip", "link", "set", "pong0", "mtu", "600");
    await pongd.logged(/the device's MTU is 600/);
    assert.equal((await pongd.stop()).status, 0);
  });

  test("--host-address once a family; none makes routes alone", async () => {
    const pongd = await Pongd.start(
      ns, "10.99.0.0/16", "2001:db8::/64", "--host-address", "2001:db8::abc", "--host-address", "192.0.2.1",
    );
    assert.deepEqual(await addresses(), ["192.0.2.1/32", "2001:db8::abc/128"]);
    await pongd.stop();
    const other = await Pongd.start(ns, "2001:db8::/64", "--host-address", "none");
    assert.deepEqual([await routes(), await addresses()], [["2001:db8::/64 from undefined"], []]);
    await other.stop();
  });

  test("the kernel puts nothing of its own into the device when it comes up: a ping is the first packet", async () => {
    const pongd = await Pongd.start(ns, "10.99.0.0/16", "2001:db8::/64");
    await ns.ok("ping", "-c", "1", "10.99.1.1");
    assert.equal(sum(await pongd.metrics(), "pongd_packets_received_total"), 1);
    await pongd.stop();
  });

  test("the prefix is routed elsewhere, or the host's own: status 1", async () => {
    const refused = async (message: RegExp) => {
      const { status, stderr } = await Pongd.fail(ns, "2001:db8::/64");
      assert.match(stderr, message);
      assert.equal(status, EXIT.RUNTIME);
    };
    await ns.ok("ip", "-6", "route", "add", "blackhole", "2001:db8::/64");
    await refused(
      /^pongd: prefix 2001:db8::\/64 is routed (elsewhere|to lo) already; [^\n]*ip route show table all 2001:db8::\/64\n$/,
    );
    await ns.ok("ip", "-6", "route", "del", "blackhole", "2001:db8::/64");
    await ns.ok("ip", "-6", "route", "add", "local", "2001:db8::/32", "dev", "lo");
    await refused(/^pongd: prefix 2001:db8::\/64 is this host's own already; [^\n]*2001:db8::\/32\n$/);
    await ns.ok("ip", "-6", "route", "del", "local", "2001:db8::/32", "dev", "lo");
  });

  test("where the host has IPv6 disabled: status 1, one line, the command that mends it, and no device is left; IPv4 "
    + "works", async () => {
    await ns.ok("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1");
    for (const args of [["2001:db8::/64"], ["2001:db8::/64", "10.99.0.0/16", "--host-address", "none"]]) {
      const { status, stdout, stderr } = await Pongd.fail(ns, ...args);
      assert.match(stderr, /^pongd: IPv6 is disabled on this host[^\n]*; sudo sysctl -w net\.ipv6\.conf[^\n]*\n$/);
      assert.deepEqual([status, stdout], [EXIT.RUNTIME, ""]);
      assert.deepEqual((await ns.ip<{ ifname: string }>("link")).map(({ ifname }) => ifname), ["lo"]);
    }
    const pongd = await Pongd.start(ns, "10.99.0.0/16");
    assert.match(await ns.ok("ping", "-c", "1", "10.99.1.1"), / 1 received/);
    await pongd.stop();
    await ns.ok("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=0");
  });
});
