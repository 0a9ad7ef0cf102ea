/**
 * Tests TAP mode with real clients. On the host, and behind a bridge:
 *
 *   ping, arping, arp-scan, ndisc6 ── host ── pong0 (TAP) ── pongd
 *
 *   namespace "peer": eth0 ── veth0 ── br0 ── pong0 (TAP) ── pongd
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { source } from "../support/assembly.js";
import { arpFrame, frame } from "../support/frames.js";
import { COMBINATIONS, ended, needs, Netns, poll, Pongd, said, sum } from "../support/netns.js";
import { icmpPacket, pattern } from "../support/packets.js";

const PREFIXES = ["10.99.0.0/16", "fd99::/64"];

interface Neighbor {
  readonly dst: string;
  readonly lladdr?: string;
}

/** Returns the MAC addresses under which a namespace knows its neighbours. */
async function neighbors(ns: Netns, dev: string): Promise<Map<string, string | undefined>> {
  return new Map((await ns.ip<Neighbor>("neigh", "show", "dev", dev)).map(({ dst, lladdr }) => [dst, lladdr]));
}

for (const { engine, io } of COMBINATIONS) {
  describe(`tap, ${engine}, ${io}`, needs("ping", "arp-scan", "ndisc6"), () => {
    let ns: Netns;
    let pongd: Pongd;
    let mac: string;
    before(async () => {
      ns = await Netns.open();
      pongd = await Pongd.start(ns, ...PREFIXES, "--mode", "tap", "--engine", engine, "--io", io);
      mac = /mac address +(\S+)/.exec(pongd.stdout)?.[1] ?? "?";
    });
    after(async () => {
      await pongd.stop();
      await ns.close();
    });

    test("the device is a TAP device, with a MAC address of the host's own", async () => {
      const [link] = await ns.ip<{
        address: string;
        linkinfo: { info_data: { type: string } };
      }>("-d", "link", "show", "dev", "pong0");
      assert.equal(link.linkinfo.info_data.type, "tap");
      assert.match(link.address, /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
      assert.notEqual(link.address, mac);
    });

    for (const size of [0, 56, 1471, 1472]) {
      test(`A-1, L-1: the host asks by ARP, and ping with ${size} bytes of data is answered`, async () => {
        await ns.pings(3, "-s", String(size), `10.99.1.${size & 15}`);
        assert.equal((await neighbors(ns, "pong0")).get(`10.99.1.${size & 15}`), mac);
      });
    }

    test("N-2: the host solicits an IPv6 address, and learns its MAC address", async () => {
      assert.match(await ns.ok("ndisc6", "-n", "-1", "-w", "20000", "fd99::1:1", "pong0"), new RegExp(mac, "i"));
      // The host solicits an address when it has something to send there.
      await ns.run("ping", "-c", "1", "-W", "1", "fd99::1:2");
      assert.equal((await neighbors(ns, "pong0")).get("fd99::1:2"), mac);
    });

    if (engine === "wasm") {
      for (const args of [["10.99.1.1"], ["-6", "fd99::1:1"]]) {
        test(`V-6, S-8: ping -s 3000 ${args.join(" ")}, which goes and comes in fragments, is answered`, async () => {
          await ns.pings(3, "-s", "3000", ...args);
        });
      }
    }

    test("arping gets an answer for every address, from the one MAC address", needs("arping"), async () => {
      for (const target of ["10.99.0.0", "10.99.7.7", "10.99.255.255"]) {
        assert.match(await ns.ok("arping", "-c", "2", "-w", "20", "-I", "pong0", target), new RegExp(`from ${mac} `));
      }
    });

    test("A-2: a probe, by arping's duplicate address detection, finds nobody; A-4: nor does an announcement", needs(
      "arping",
    ), async () => {
      const before = await pongd.metrics();
      await ns.run("arping", "-c", "1", "-w", "1", "-S", "0.0.0.0", "-I", "pong0", "10.99.7.7");
      await ns.run("arping", "-c", "1", "-w", "1", "-U", "-S", "10.99.0.1", "-I", "pong0", "10.99.0.1");
      const after = await pongd.metrics();
      for (const reason of ["arp_probe", "arp_announcement"]) {
        const key = `pongd_packets_dropped_total{reason="${reason}",queue="0"}`;
        assert.ok((after.get(key) ?? 0) > (before.get(key) ?? 0), reason);
      }
      assert.equal(
        after.get(`pongd_replies_total{protocol="arp",queue="0"}`),
        before.get(`pongd_replies_total{protocol="arp",queue="0"}`),
      );
    });

    test("arp-scan finds every address of a /24, each once", async () => {
      const output = await ns.ok("arp-scan", "-q", "-x", "-I", "pong0", "--retry=1", "--interval=1", "10.99.5.0/24");
      const found = output.trim().split("\n").map((line) => line.split("\t"));
      assert.equal(new Set(found.map(([address]) => address)).size, 256);
      assert.equal(found.length, 256);
      assert.deepEqual(new Set(found.map(([, from]) => from)), new Set([mac]));
    });

    test("I5: after all of this, received = replied + dropped", async () => {
      const metrics = await pongd.metrics();
      assert.equal(
        sum(metrics, "pongd_packets_received_total"),
        sum(metrics, "pongd_replies_total") + sum(metrics, "pongd_packets_dropped_total"),
      );
      assert.equal(metrics.get("pongd_batch_packets_sum"), sum(metrics, "pongd_packets_received_total"));
      assert.equal(metrics.get("pongd_batch_packets_count"), metrics.get("pongd_batch_packets_bucket{le=\"+Inf\"}"));
      assert.equal(sum(metrics, "pongd_write_errors_total"), 0);
    });

    test("with a MAC address for each, neighbours have one each", async () => {
      const own = await Netns.open();
      const each = await Pongd.start(
        own, ...PREFIXES, "--mode", "tap", "--mac", "per-address", "--engine", engine, "--io", io,
      );
      for (const target of ["10.99.1.1", "10.99.1.2"]) {
        assert.match(await own.ok("ping", "-c", "1", "-W", "20", target), / 1 received/);
      }
      await own.run("ping", "-c", "1", "-W", "1", "fd99::1:1");
      const known = await neighbors(own, "pong0");
      assert.deepEqual(
        ["10.99.1.1", "10.99.1.2", "fd99::1:1"].map((dst) => known.get(dst)),
        ["02:70:0a:63:01:01", "02:70:0a:63:01:02", "02:76:2e:2a:69:ff"],
      );
      await each.stop();
      await own.close();
    });
  });

  test(`${engine}, ${io}: L-1: the host and a peer are answered through a bridge, its tags kept, and tshark finds `
    + "nothing wrong", needs("ping", "tshark"), async () => {
    const ns = await Netns.open();
    const peer = await Netns.open();
    const pongd = await Pongd.start(
      ns, "10.99.0.0/16", "--except", "10.99.0.1", "--mode", "tap", "--host-address", "none", "--no-routes", "--engine",
      engine, "--io", io,
    );
    const mac = /mac address +(\S+)/.exec(pongd.stdout)?.[1] ?? "?";
    await ns.ok("ip", "link", "add", "br0", "up", "type", "bridge");
    await ns.ok("ip", "link", "set", "pong0", "master", "br0");
    await ns.ok("ip", "addr", "add", "10.99.0.1/16", "dev", "br0");
    await ns.ok("ip", "link", "add", "eth0", "netns", String(peer.pid), "type", "veth", "peer", "name", "veth0");
    await ns.ok("ip", "link", "set", "veth0", "up", "master", "br0");
    await peer.ok("ip", "link", "set", "eth0", "up");
    await peer.ok("ip", "addr", "add", "192.0.2.1/32", "dev", "eth0");
    await peer.ok("ip", "route", "add", "10.99.0.0/16", "dev", "eth0", "src", "192.0.2.1");
    const [{ address }] = await peer.ip<{ address: string }>("link", "show", "dev", "eth0");

    const columns = [
      "eth.dst", "ieee8021ad.id", "vlan.id", "arp.opcode", "arp.duplicate-address-detected", "icmp.type",
      "ip.checksum.status", "icmp.checksum.status", "_ws.malformed",
    ];
    const capture = peer.spawn(
      "tshark", "-i", "eth0", "-n", "-l", "-o", "ip.check_checksum:TRUE", "-T", "fields",
      ...columns.flatMap((column) => ["-e", column]),
    );
    let output = "";
    capture.stdout.on("data", (chunk) => { output += String(chunk); });
    await said(capture.stderr, /Capturing on/);
    const rows = () => output.split("\n")
      .map((line) => line.split("\t"))
      .filter(([dst]) => dst === address)
      .map(([, outer, inner, ...fields]) => [`${outer}/${inner}`, ...fields]);
    const echoes = (vlan: string) => rows().filter(([id, , , type]) => id === vlan && type === "0").length;
    const arps = (vlan: string) => rows().filter(([id, opcode]) => id === vlan && opcode === "2").length;
    const tagged = [[[0x8100, 42]], [[0x88a8, 7], [0x8100, 42]]] as const;
    const frames = [
      ...tagged.flatMap((tags) => [0, 57, 1464].map(
        (length) => frame(icmpPacket({ src: "192.0.2.1", data: pattern(length) }), { src: address, dst: mac, tags }),
      )),
      arpFrame({ senderMac: address, sender: "192.0.2.1", target: "10.99.2.1" }, { src: address, tags: tagged[0] }),
    ];
    // tshark says that it captures a moment before it does, so the packets are sent again until it has them.
    await poll(async () => {
      await peer.ok("ip", "neigh", "flush", "all");
      await peer.pings(3, "-s", "1472", "10.99.1.1");
      const inject = peer.spawn(process.execPath, source("build/test/support/inject.js"), "eth0", "frames");
      inject.stdin.end(frames.map((bytes) => Buffer.from(bytes).toString("hex")).join("\n"));
      assert.equal(await ended(inject), 0);
      return { echoes: ["/", "/42", "7/42"].map(echoes), arps: ["/", "/42"].map(arps) };
    }, (seen) => seen.echoes.every((count) => count >= 3) && seen.arps.every((count) => count >= 1));
    capture.kill("SIGINT");
    await ended(capture);
    for (const [, , duplicate, type, ip, icmp, malformed] of rows()) {
      assert.deepEqual([duplicate, malformed], ["", ""]);
      if (type === "0") assert.deepEqual([ip, icmp], ["1", "1"], "good, good");
    }
    assert.equal((await neighbors(peer, "eth0")).get("10.99.1.1"), mac);
    await ns.pings(3, "10.99.1.1");
    assert.equal((await neighbors(ns, "br0")).get("10.99.1.1"), mac);
    assert.deepEqual(await ns.ip("route", "show", "dev", "pong0"), []);
    const metrics = await pongd.metrics();
    assert.equal(
      sum(metrics, "pongd_packets_received_total"),
      sum(metrics, "pongd_replies_total") + sum(metrics, "pongd_packets_dropped_total"),
    );
    await pongd.stop();
    await peer.close();
    await ns.close();
  });
}

test("the MAC address is the same when the device is made anew, and another for another device", needs(
  "ping",
), async () => {
  const ns = await Netns.open();
  const macs: (string | undefined)[] = [];
  for (const device of ["pong0", "pong0", "pong1"]) {
    const pongd = await Pongd.start(ns, "10.99.0.0/16", "--mode", "tap", "--device", device);
    await ns.ok("ping", "-c", "1", "-W", "20", "10.99.1.1");
    macs.push((await neighbors(ns, device)).get("10.99.1.1"));
    await pongd.stop();
  }
  assert.match(String(macs[0]), /^[0-9a-f][26ae]:/);
  assert.equal(macs[1], macs[0]);
  assert.notEqual(macs[2], macs[0]);
  await ns.close();
});
