/**
 * Puts pongd behind a link that takes less than the others, E-16 and S-12. Pings of every length come back, as from a
 * Linux host beside it. The first one may not: its reply may be how pongd first hears of the link.
 *
 *            ┌─ eth0 ── 1500 ─────── c0 ─┐             ┌─ p0 ── eth0  pongd's host
 *    client ─┤                           ├─  router   ─┤
 *            └─ eth1 ── 1280 to 1492 ─ c1 ┘            └─ o0 ── eth0  Linux, with  ip route add local PREFIX dev lo
 *
 * All that goes to the client takes the narrow link; what comes from it takes either.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { needs, Netns, Pongd } from "../support/netns.js";

const MTUS = [1492, 1400, 1380, 1280];
const WAYS = [["both ways", "eth1", 1], ["on the way back alone", "eth0", 2]] as const;
const TARGETS = { pongd: ["10.99.3.3", "2001:db8:99::5"], linux: ["10.77.3.3", "2001:db8:77::5"] } as const;

describe("path MTU", needs("ping", "fping", "tracepath", "sysctl"), () => {
  let client: Netns;
  let router: Netns;
  let host: Netns;
  let linux: Netns;

  before(async () => {
    [client, router, host, linux] = await Promise.all([0, 0, 0, 0].map(() => Netns.open()));
    for (const [index, [near, nearName, farName]] of ([
      [client, "eth0", "c0"], [client, "eth1", "c1"], [host, "eth0", "p0"], [linux, "eth0", "o0"],
    ] as const).entries()) {
      await near.ok(
        "ip", "link", "add", nearName, "type", "veth", "peer", "name", farName, "netns", String(router.pid),
      );
      for (const [ns, name, last] of [[near, nearName, 2], [router, farName, 1]] as const) {
        await ns.ok("ip", "addr", "add", `172.16.${index}.${last}/30`, "dev", name);
        await ns.ok("ip", "addr", "add", `fd00:${index}::${last}/64`, "dev", name, "nodad");
        await ns.ok("ip", "link", "set", name, "up");
      }
    }
    for (const ns of [client, router, host]) await ns.ok(
      "sysctl",
      "-qw",
      "net.ipv4.ip_forward=1",
      "net.ipv6.conf.all.forwarding=1",
      "net.ipv4.conf.all.rp_filter=0",
      "net.ipv4.conf.default.rp_filter=0",
    );
    for (const way of [1, 2]) {
      await client.ok("ip", "addr", "add", `192.0.2.${way}/32`, "dev", "lo");
      await client.ok("ip", "addr", "add", `2001:db8:c::${way}/128`, "dev", "lo", "nodad");
      await router.ok("ip", "route", "add", `192.0.2.${way}/32`, "via", "172.16.1.2");
      await router.ok("ip", "route", "add", `2001:db8:c::${way}/128`, "via", "fd00:1::2");
    }
    for (const [ns, index, prefix, prefix6] of [
      [host, 2, "10.99.0.0/16", "2001:db8:99::/64"], [linux, 3, "10.77.0.0/16", "2001:db8:77::/64"],
    ] as const) {
      await ns.ok("ip", "route", "add", "default", "via", `172.16.${index}.1`);
      await ns.ok("ip", "-6", "route", "add", "default", "via", `fd00:${index}::1`);
      await router.ok("ip", "route", "add", prefix, "via", `172.16.${index}.2`);
      await router.ok("ip", "route", "add", prefix6, "via", `fd00:${index}::2`);
    }
    await linux.ok("ip", "route", "add", "local", "10.77.0.0/16", "dev", "lo");
    await linux.ok("ip", "-6", "route", "add", "local", "2001:db8:77::/64", "dev", "lo");
  });
  after(() => Promise.all([client, router, host, linux].map((ns) => ns.close())));

  /** Sets the MTU of the narrow link, and has the client send by that device. */
  const narrow = async (mtu: number, device: string, way: number) => {
    await client.ok("ip", "link", "set", "eth1", "mtu", String(mtu));
    await router.ok("ip", "link", "set", "c1", "mtu", String(mtu));
    const [index] = /\d/.exec(device) ?? [];
    await client.ok("ip", "route", "replace", "default", "via", `172.16.${index}.1`, "src", `192.0.2.${way}`);
    await client.ok("ip", "-6", "route", "replace", "default", "via", `fd00:${index}::1`, "src", `2001:db8:c::${way}`);
    for (const ns of [client, linux]) await ns.ok("ip", "-6", "route", "flush", "cache");
  };
  /** Sends pings of each length, and returns whether the first was answered. The others must be. */
  const first = async (target: string, lengths: readonly number[]) => {
    const { status } = await client.run("ping", "-c", "1", "-W", "2", "-s", String(lengths[0]), target);
    for (const length of lengths) await client.pings(2, "-s", String(length), target);
    return status === 0;
  };

  for (const [engine, mode] of [["wasm", "tun"], ["wasm", "tap"], ["js", "tun"]] as const) {
    test(`E-16, S-12: ${engine}, ${mode}: pings of every length are answered behind a narrow link, as by `
      + "Linux beside", async () => {
      const pongd = await Pongd.start(host, "10.99.0.0/16", "2001:db8:99::/64", "--engine", engine, "--mode", mode);
      // The JavaScript engine answers no fragments, and knows no path's MTU.
      const both = engine === "wasm";
      for (const [, device, way] of WAYS) {
        for (const mtu of MTUS) {
          await narrow(mtu, device, way);
          for (const [target, target6] of Object.values(TARGETS)) {
            const whole = device === "eth0" ? [1472, 56, mtu - 28, mtu - 27] : [mtu - 28, 56];
            assert.ok(
              await first(target, both ? [1472, 56, mtu - 28, mtu - 27, 2000, 5000] : whole),
              `IPv4, MTU ${mtu}, ${target}`,
            );
            if (both) await first(target6, [1452, 56, mtu - 48, mtu - 47, 2000, 5000]);
          }
        }
      }
      const metrics = await pongd.metrics();
      if (both) {
        assert.ok((metrics.get("pongd_packets_dropped_total{reason=\"icmp_packet_too_big\",queue=\"0\"}") ?? 0) >= 1);
      }
      assert.equal((await pongd.stop()).status, 0);
    });
  }

  test("E-16, S-12: tracepath finds the narrow link and arrives; fping with data of more than "
    + "that is answered", async () => {
    const pongd = await Pongd.start(host, "10.99.0.0/16", "2001:db8:99::/64");
    await narrow(1400, "eth1", 1);
    for (const target of TARGETS.pongd) {
      await first(target, [1372]);
      const path = await client.ok("tracepath", "-n", target);
      assert.match(path, /reached/);
      assert.match(path, /Resume: pmtu 1400/);
      assert.match(await client.ok("fping", "-c", "3", "-p", "50", "-t", "10000", "-b", "1452", target), /xmt|bytes/);
    }
    await pongd.stop();
  });
});
