/**
 * Tests where `pongd doctor PREFIX…` says that a packet's way ends, and what `pongd run` says where it ends before it
 * reaches this host.
 */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { EXIT } from "../../src/base/failure.js";
import { CLI, needs, Netns, Pongd } from "../support/netns.js";

const PREFIXES = ["10.99.0.0/16", "fd99::/64"];
const FORWARDING = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"];

describe("doctor with prefixes", needs("ping", "iptables", "ip6tables"), () => {
  let ns: Netns;
  beforeEach(async () => {
    ns = await Netns.open();
    // A namespace's devices may or may not begin with the host's settings: net.core.devconf_inherit_init_net decides.
    await forward(0);
    await ns.ok("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0");
    await ns.ok("sh", "-c", "ip tuntap add other mode tun && ip link set other up && ip addr add 192.0.2.1/32 dev "
    + "other && ip addr add 2001:db8::1/128 dev other");
  });
  afterEach(() => ns.close());

  const forward = (value: number) => ns.ok("sysctl", "-qw", ...FORWARDING.map((key) => `${key}=${value}`));
  const doctor = (...args: string[]) => ns.run(process.execPath, CLI, "doctor", ...args);
  const sees = async (expected: RegExp, status = 0, ...args: string[]) => {
    const seen = await doctor(...args.length > 0 ? args : PREFIXES);
    assert.match(seen.stdout, expected);
    assert.equal(seen.status, status, seen.stdout + seen.stderr);
    return seen.stdout;
  };

  test("all is well: each step has its line, and a ping of each family is answered", async () => {
    const pongd = await Pongd.start(ns, ...PREFIXES);
    await forward(1);
    const said = await sees(/^ok {7}routes: no other one takes packets from what pong0 is for$/m);
    for (const line of [
      "IPv4 forwarding is on", "IPv6 forwarding is on", "the firewall's policy lets packets be forwarded",
      "ping 10.99.1.1 is answered", "ping fd99::101 is answered",
    ]) {
      assert.ok(said.includes(`ok       ${line}\n`), `${line} in ${said}`);
    }
    assert.doesNotMatch(said, /^(missing|wrong)/m);
    await pongd.stop();
  });

  test("without pongd: another's route in the way is wrong, and that nothing is pinged is a note", async () => {
    await sees(/^note {5}there is no device pong0, so pongd does not run on it, and nothing is pinged$/m);
    await ns.ok("ip", "route", "add", PREFIXES[0], "dev", "other");
    await sees(
      /^wrong {4}prefix 10\.99\.0\.0\/16 is routed to other already\n {9}mend: choose another prefix, or see: ip route show/m,
      EXIT.PERMISSION,
    );
    await ns.ok("ip", "route", "replace", PREFIXES[0], "dev", "other", "table", "100");
    await ns.ok("ip", "route", "del", PREFIXES[0], "table", "main");
    await sees(/^note {5}10\.99\.0\.0\/16 is routed to other in table 100: /m);
  });

  for (const [where, break_, expected] of [
    [
      "at a route of somebody else", "ip route add 10.99.1.1/32 dev other",
      /a packet to 10\.99\.1\.1 stops here: it is routed to other, where it should go to pong0\n {9}mend: see: ip route get 10\.99\.1\.1\n/,
    ],
    ["at a rule", "ip route add unreachable default table 100 && ip rule add pref 5 to 10.99.0.0/16 lookup 100 && ip "
    + "rule del pref 0 && ip rule add pref 1 lookup local", /a packet to 10\.99\.1\.1 stops here: it has no route, /],
    [
      "in front of the device", "iptables -A OUTPUT -o pong0 -p icmp -j DROP",
      /a ping to 10\.99\.1\.1 stops before pong0: this host does not send it/,
    ],
    [
      "behind the device", "iptables -A INPUT -i pong0 -p icmp -j DROP",
      /a ping to 10\.99\.1\.1 is answered, and this host drops the answer/,
    ],
    ["at the link", "ip link set pong0 down", /the link of pong0 is down\n {9}mend: sudo ip link set pong0 up/],
  ] as const) {
    test(`it says that the way ends ${where}`, async () => {
      const pongd = await Pongd.start(ns, PREFIXES[0]);
      await ns.ok("sh", "-c", break_);
      await sees(new RegExp(`^wrong {4}${expected.source}`, "m"), EXIT.PERMISSION, PREFIXES[0]);
      await pongd.stop();
    });
  }

  test("it says that the way ends at pongd", async () => {
    const pongd = await Pongd.start(ns, PREFIXES[0], "--ignore-echo");
    await sees(
      /^wrong {4}a ping to 10\.99\.1\.1 stops at pongd: it comes to pong0, and is not answered\n/m,
      EXIT.PERMISSION,
      PREFIXES[0],
    );
    await pongd.stop();
  });

  test("what other machines' packets need is a note each: forwarding, the firewall's policy, reverse "
    + "path filters", async () => {
    await ns.ok("sh", "-c", "iptables -P FORWARD DROP && sysctl -qw net.ipv4.conf.other.rp_filter=1");
    const said = await sees(
      /^note {5}IPv4 forwarding is off, so nothing from other machines reaches pongd\n {9}mend: sudo sysctl -w net\.ipv4\.ip_forward=1$/m,
    );
    assert.match(
      said, /^note {5}IPv6 forwarding is off, .*\n {9}mend: sudo sysctl -w net\.ipv6\.conf\.all\.forwarding=1$/m,
    );
    assert.match(
      said,
      /^note {5}the firewall drops what is forwarded unless a rule allows it: (iptables -S FORWARD|nft list table ip filter)$/m,
    );
    assert.match(said, /^note {5}rp_filter is strict on other: /m);
  });

  test("what cannot be read, and a prefix that is none, is said as everywhere", async () => {
    assert.match(
      (await doctor("--config", "/nowhere/pongd.yaml")).stderr, /^pongd: \/nowhere\/pongd\.yaml: cannot be read: /,
    );
    const { status, stderr } = await doctor("10.99.0.1/16");
    assert.match(stderr, /did you mean 10\.99\.0\.0\/16\?\n$/);
    assert.equal(status, EXIT.USAGE);
  });

  test("run without a host address warns where nothing is forwarded, once a family, with the command "
    + "that mends it", async () => {
    const warnings = async (...args: string[]) => {
      const pongd = await Pongd.start(ns, ...PREFIXES, ...args);
      await pongd.stop();
      return pongd.stderr.match(/warn .*/g) ?? [];
    };
    const none = ["--host-address", "none"];
    const expected = [
      "warn IPv4 forwarding is off, so nothing from other machines reaches pongd; sudo sysctl -w net.ipv4.ip_forward=1",
      "warn IPv6 forwarding is off, so nothing from other machines reaches pongd; sudo sysctl -w "
      + "net.ipv6.conf.all.forwarding=1",
    ];
    assert.deepEqual(await warnings(...none), expected);
    assert.deepEqual(await warnings(...none, "--drop-privileges"), expected);
    assert.deepEqual(await warnings("--host-address", "10.99.0.1"), []);
    assert.deepEqual(await warnings(...none, "--no-routes"), []);
    for (const warning of expected) await ns.ok("sh", "-c", `sudo() { "$@"; }; ${warning.replace(/.*; /, "")}`);
    assert.deepEqual(await warnings(...none), []);
    await ns.ok("sysctl", "-qw", "net.ipv4.conf.default.forwarding=0");
    assert.deepEqual(await warnings(...none), ["warn IPv4 forwarding is off on pong0, so no reply reaches another "
      + "machine; sudo sysctl -w net/ipv4/conf/pong0/forwarding=1"]);
  });
});
