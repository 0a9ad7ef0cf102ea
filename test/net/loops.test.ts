/**
 * Runs two pongds, each of which reaches the other's addresses, so that the other gets what one answers. They are
 * joined by routes, and by a bridge:
 *
 *   namespace "near": pong0 ── kernel ── eth0 ═══ eth0 ── kernel ── pong0 :namespace "far"        (TUN)
 *       10.99.1.0/24, fd99::1:0/112                          10.99.0.0/24, fd99::/112
 *
 *   pong0 ── br0 ── pong1        (TAP)
 *
 * Every kind of packet is put into pong0, as if the other had sent it. Packets that pass between the two are counted,
 * until two rounds of pings have added nothing but themselves. The pings go through every queue of the loop, and stand
 * in line there behind all that came before.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { source } from "../support/assembly.js";
import { arpFrame, BROADCAST, frame, linkOption, macBytes, solicitationFrame } from "../support/frames.js";
import { HOST6, icmpv6Packet, TARGET6 } from "../support/ipv6.js";
import { ended, needs, Netns, Pongd, sum } from "../support/netns.js";
import { icmpPacket, TARGET, udpPacket } from "../support/packets.js";
import { HOST_CASES } from "../vectors/hosts.js";

/**
 * Prefixes of the two pongds. HOST_CASES go to an address of one
 * and come from one of the other, unless they say otherwise.
 */
const NEAR = ["10.99.1.0/24", "fd99::1:0/112"];
const FAR = ["10.99.0.0/24", "fd99::/112"];
const CASES = HOST_CASES.filter(({ packets }) => packets.every(({ length }) => length <= 1500));
/** Addresses that no other packet has. */
const CLIENT = { near: ["192.0.2.1", "2001:db8::1"], far: ["198.51.100.1", "2001:db8:1::1"] };

/**
 * Returns a pongd's counts of errors and replies, without echo replies, which went to the pings that wait for quiet.
 */
function said(metrics: Map<string, number>): Record<string, number> {
  const others = [...metrics].filter(
    ([key]) => /^pongd_(icmp_errors_sent_total|replies_total)/.test(key) && !/"icmp(v6)?",queue/.test(key),
  );
  return Object.fromEntries(others);
}

async function inject(ns: Netns, device: string, packets: readonly Uint8Array[], ...mode: "frames"[]): Promise<void> {
  const child = ns.spawn(process.execPath, source("build/test/support/inject.js"), device, ...mode);
  let errors = "";
  child.stderr.on("data", (chunk) => { errors += String(chunk); });
  child.stdin.end(packets.map((packet) => Buffer.from(packet).toString("hex")).join("\n"));
  const status = await ended(child);
  assert.equal(status, 0, errors);
}

interface Link {
  readonly stats64: { rx: { packets: number }; tx: { packets: number } };
}

/** Returns how many packets have passed a device, in either direction. */
async function passed(ns: Netns, device: string): Promise<number> {
  const [{ stats64: { rx, tx } }] = await ns.ip<Link>("-s", "link", "show", "dev", device);
  return rx.packets + tx.packets;
}

/**
 * Returns the count once two rounds of pings in a row have added no more than `own` each, less what all rounds added;
 * `ping` is one round. @throws AssertionError when the packets do not come to an end.
 */
async function settled(count: () => Promise<number>, ping: () => Promise<unknown>, own: number): Promise<number> {
  let quiet = 0;
  let last = await count();
  let rounds = 0;
  for (; quiet < 2; rounds++) {
    assert.ok(rounds < 50, `after 50 rounds there are still packets: ${last}`);
    await ping();
    const now = await count();
    quiet = now - last === own ? quiet + 1 : 0;
    last = now;
  }
  return last - rounds * own;
}

describe("two pongds, a router each", needs("ping"), () => {
  let near: Netns;
  let far: Netns;
  let nearby: Pongd;
  let remote: Pongd;

  before(async () => {
    near = await Netns.open();
    far = await Netns.open();
    nearby = await Pongd.start(near, ...NEAR, "--host-address", "none");
    remote = await Pongd.start(far, ...FAR, "--host-address", "none");
    await near.ok("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", String(far.pid));
    const batch = async (ns: Netns, lines: string) => {
      await ns.ok("sh", "-c", `printf '%s' "$1" | ip -batch -`, "sh", lines);
    };
    const forward = async (
      ns: Netns, mac: string, addresses: readonly string[], [prefix, prefix6]: readonly string[],
      clients: readonly string[],
    ) => {
      await ns.ok(
        "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0",
        "net.ipv4.conf.eth0.rp_filter=0", "net.ipv4.conf.pong0.rp_filter=0",
      );
      // The link sends nothing of its own: it has no link-local address, and its neighbours are permanent.
      await batch(ns, `
        link set eth0 addrgenmode none
        link set eth0 address ${mac}
        link set eth0 up
        addr add ${addresses[0]}/32 dev lo
        addr add ${addresses[1]}/128 dev lo nodad
        neigh replace 203.0.113.9 lladdr ${mac === "02:00:00:00:00:01"
          ? "02:00:00:00:00:02"
          : "02:00:00:00:00:01"} dev eth0 nud permanent
        neigh replace 2001:db8:9::9 lladdr ${mac === "02:00:00:00:00:01"
          ? "02:00:00:00:00:02"
          : "02:00:00:00:00:01"} dev eth0 nud permanent
        route add ${prefix} via 203.0.113.9 dev eth0 onlink
        route add 10.98.0.0/24 via 203.0.113.9 dev eth0 onlink
        route add ${clients[0]}/32 via 203.0.113.9 dev eth0 onlink
        route add ${prefix6} via 2001:db8:9::9 dev eth0 onlink
        route add fd98::/112 via 2001:db8:9::9 dev eth0 onlink
        route add ${clients[1]}/128 via 2001:db8:9::9 dev eth0 onlink
      `);
    };
    await forward(near, "02:00:00:00:00:01", CLIENT.near, FAR, CLIENT.far);
    await forward(far, "02:00:00:00:00:02", CLIENT.far, NEAR, CLIENT.near);
  });
  after(async () => {
    await nearby.stop();
    await remote.stop();
    await near.close();
    await far.close();
  });

  /**
   * Pings through the link both ways, and through both pongds:
   * for each family, request and reply pass the link each way.
   */
  const ping = () => Promise.all([
    near.ok("ping", "-c", "1", "-W", "10", "-I", CLIENT.near[0], "10.99.0.200"), near
      .ok("ping", "-c", "1", "-W", "10", "-I", CLIENT.near[1], "fd99::200"),
    far.ok("ping", "-c", "1", "-W", "10", "-I", CLIENT.far[0], "10.99.1.200"), far
      .ok("ping", "-c", "1", "-W", "10", "-I", CLIENT.far[1], "fd99::1:200"),
  ]);
  const onLink = () => settled(() => passed(near, "eth0"), ping, 8);

  test("I3: to what the one answers the other is silent: one packet passes the link for each answer, "
    + "and that is all", async () => {
    const before = await onLink();
    const answers = sum(await nearby.metrics(), "pongd_bytes_sent_total");
    const sent = CASES.flatMap(({ packets }) => packets);
    const remoteBefore = await remote.metrics();
    await inject(near, "pong0", sent);
    const between = await onLink() - before;
    assert.ok(sum(await nearby.metrics(), "pongd_bytes_sent_total") > answers);
    assert.ok(between > 500, `${between} packets on the link`);
    assert.ok(between <= sent.length, `${between} packets on the link after ${sent.length}`);
    // The only answers of the other were to pings that wait for quiet.
    const remoteAfter = await remote.metrics();
    assert.ok(
      sum(remoteAfter, "pongd_packets_received_total") - sum(remoteBefore, "pongd_packets_received_total") > 500,
    );
    assert.deepEqual(said(remoteAfter), said(remoteBefore));
  });

  test("an answer to a prefix that nobody has, and that each router has from the other, passes the link as often as "
    + "its TTL allows", async () => {
    const lost = [
      icmpPacket({ src: "10.98.0.1", dst: TARGET }), icmpPacket(
        { src: "10.98.0.1", dst: TARGET, type: 13, data: new Uint8Array(12) },
      ), udpPacket({ src: "10.98.0.1", dst: TARGET }),
      icmpv6Packet({ src: "fd98::1", dst: TARGET6 }),
    ];
    const before = await onLink();
    await inject(near, "pong0", lost);
    const between = await onLink() - before;
    // Each packet passes as often as its TTL of 64 allows. Then the
    // routers tell pongd about it, by redirects and time exceeded.
    assert.ok(between > 60 * lost.length && between < 2 * 64 * lost.length, `${between} packets on the link`);
  });
});

describe("two pongds at one bridge", needs("ping"), () => {
  test("I3: whatever comes as if from the other is answered once at most, and the other answers nothing", async (
    context,
  ) => {
    const ns = await Netns.open();
    context.after(() => ns.close());
    const [first, second] = [await start(ns, "pong0", NEAR), await start(ns, "pong1", FAR)];
    context.after(() => Promise.all([first, second].map(({ pongd }) => pongd.stop())));
    await ns.ok("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0");
    for (const device of ["pong0", "pong1"]) await ns.ok("ip", "link", "set", device, "master", "br0");
    await ns.ok("ip", "link", "set", "br0", "addrgenmode", "none", "up");
    await ns.ok("ip", "addr", "add", "192.0.2.1/32", "dev", "br0");
    for (const prefix of [NEAR[0], FAR[0]]) await ns.ok("ip", "route", "add", prefix, "dev", "br0", "src", "192.0.2.1");
    for (const target of ["10.99.1.200", "10.99.0.200"]) await ns.ok(
      "ip", "neigh", "add", target, "lladdr", target.startsWith("10.99.1") ? first.mac : second.mac, "dev", "br0",
      "nud", "permanent",
    );

    const count = async () => await passed(ns, "pong0") + await passed(ns, "pong1");
    const ping = () => Promise.all(
      ["10.99.1.200", "10.99.0.200"].map((target) => ns.ok("ping", "-c", "1", "-W", "10", target)),
    );
    const own = 4;
    const before = await settled(count, ping, own);
    const to = { dst: first.mac, src: second.mac };
    const frames = [
      ...CASES.flatMap(({ packets }) => packets)
        .map((packet) => frame(packet, { ...to, type: packet[0] >> 4 === 6 ? 0x86dd : 0x0800 })),
      ...[BROADCAST, first.mac].map((dst) => arpFrame({ senderMac: second.mac }, { dst, src: second.mac })),
      solicitationFrame({ src: HOST6, target: TARGET6, options: linkOption(second.mac) }, { src: second.mac }),
      // These come as if from the device itself, and from many.
      ...[first.mac, BROADCAST, "01:00:5e:00:00:01"].map((src) => frame(icmpPacket(), { ...to, src })),
      ...[BROADCAST, "01:00:5e:00:00:01"].map((dst) => frame(icmpPacket(), { ...to, dst })),
    ];
    const silent = await second.pongd.metrics();
    await inject(ns, "pong0", frames, "frames");
    const between = await settled(count, ping, own) - before;
    // Each frame went in once. Where it was answered, the answer went out at one device and in at the other.
    assert.ok(
      between > frames.length && between <= 3 * frames.length, `${between} frames, of which ${frames.length} were sent`,
    );
    // A reply may have an option without room left. The other reports that (E-8), and that is the end of it.
    const later = await second.pongd.metrics();
    assert.ok(sum(later, "pongd_icmp_errors_sent_total") - sum(silent, "pongd_icmp_errors_sent_total") < 10);
    const replies = (metrics: Map<string, number>) => ["arp", "ndisc", "icmpv6"].map(
      (protocol) => metrics.get(`pongd_replies_total{protocol="${protocol}",queue="0"}`),
    );
    assert.deepEqual(replies(later), replies(silent));
  });
});

async function start(ns: Netns, device: string, prefixes: readonly string[]): Promise<{ pongd: Pongd; mac: string }> {
  const port = device === "pong0" ? [] : ["--listen", "127.0.0.1:7665"];
  const pongd = await Pongd.start(
    ns, ...prefixes, "--device", device, "--mode", "tap", "--host-address", "none", "--no-routes", ...port,
  );
  const mac = /mac address +(\S+)/.exec(pongd.stdout)?.[1] ?? "?";
  assert.equal(macBytes(mac).length, 6);
  return { pongd, mac };
}
