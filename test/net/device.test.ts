/** Tests the device and rtnetlink by themselves, for both families, against what ip(8) says. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { source } from "../support/assembly.js";
import { PREFIXES } from "../../abi/tables.js";
import { needs, Netns } from "../support/netns.js";

describe("device", needs(), () => {
  let ns: Netns;
  before(async () => { ns = await Netns.open(); });
  after(() => ns.close());

  /** Runs a body in the namespace with the modules of tun/ in scope, and returns what it prints as JSON. */
  const evaluate = <T>(body: string) => ns.evaluate<T>(`
    const [{ TunDevice }, netlink, libc, { parseAddress }, { Pace }] = await Promise.all(["tun/device", "tun/netlink", "sys/libc", "prefix/prefixes", "base/pace"].map((file) => import("${source(
      "build/src/",
    )}" + file + ".js")));
    const { execFileSync } = await import("node:child_process");
    const ip = (...args) => JSON.parse(execFileSync("ip", ["-json", ...args], { encoding: "utf8" }) || "[]");
    const prefix = (text) => ({ ...parseAddress(text.split("/")[0]), length: Number(text.split("/")[1]), text });
    ${body}`);

  test("link, MTU, queue length, addresses and routes of both families are what ip says", async () => {
    const seen = await evaluate<Record<string, Record<string, unknown>[]>>(`
      const device = new TunDevice({ name: "dev0", mtu: 9000, queues: 2 });
      await device.routing.configure([parseAddress("10.99.0.1"), parseAddress("fd99::1")], [prefix("10.99.0.0/16"), prefix("192.0.2.1/32"), prefix("fd99::/64"), prefix("fd99:1::/48")]);
      console.log(JSON.stringify({ link: ip("-d", "link", "show", "dev", "dev0"), addr: ip("addr", "show", "dev", "dev0")[0].addr_info, v4: ip("route"), v6: ip("-6", "route") }));
      device.close();`);
    const [link] = seen.link as [{
      mtu: number;
      txqlen: number;
      flags: string[];
      linkinfo: { info_kind: string; info_data: Record<string, unknown> };
    }];
    assert.equal(link.mtu, 9000);
    assert.equal(link.txqlen, 4096);
    assert.ok(link.flags.includes("UP"));
    assert.equal(link.linkinfo.info_data.type, "tun");
    assert.equal(link.linkinfo.info_data.pi, false);
    assert.equal(link.linkinfo.info_data.vnet_hdr, false);
    assert.equal(link.linkinfo.info_data.multi_queue, true);
    assert.equal(link.linkinfo.info_data.numqueues, 2);
    assert.equal(link.linkinfo.info_data.persist, false);
    assert.equal((link as Record<string, unknown>).inet6_addr_gen_mode, "none");
    assert.deepEqual(
      seen.addr.map(({ local, prefixlen }) => `${String(local)}/${String(prefixlen)}`),
      ["10.99.0.1/32", "fd99::1/128"],
      "no link-local address",
    );
    assert.ok(seen.addr.every(({ tentative }) => tentative !== true), "no duplicate address detection to wait for");
    const v4 = seen.v4.map(({ dst, dev, protocol, scope, prefsrc }) => ({ dst, dev, protocol, scope, prefsrc }));
    assert.deepEqual(v4, ["10.99.0.0/16", "192.0.2.1"].map(
      (dst) => ({ dst, dev: "dev0", protocol: "static", scope: "link", prefsrc: "10.99.0.1" }),
    ));
    const v6 = seen.v6.filter(({ protocol }) => protocol === "static")
      .map(({ dst, dev, prefsrc }) => ({ dst, dev, prefsrc }));
    assert.deepEqual(v6, ["fd99::/64", "fd99:1::/48"].map((dst) => ({ dst, dev: "dev0", prefsrc: "fd99::1" })));
  });

  test("after it was down, both families come back, and twice is no harm", async () => {
    const seen = await evaluate<{ down: unknown; up: unknown; before: unknown; after: unknown; gone: boolean }>(`
      const device = new TunDevice({ name: "dev0", mtu: 1500, queues: 1 });
      await device.routing.configure([parseAddress("10.99.0.1"), parseAddress("fd99::1")], [prefix("10.99.0.0/16"), prefix("fd99::/64")]);
      const state = () => [ip("route"), ip("-6", "route").filter(({ protocol }) => protocol === "static"), ip("addr", "show", "dev", "dev0")[0].addr_info.map(({ local }) => local)];
      const before = state();
      ip("link", "set", "dev0", "down");
      const down = await device.routing.restore();
      ip("link", "set", "dev0", "up");
      const up = await device.routing.restore();
      await device.routing.restore();
      const after = state();
      ip("link", "del", "dev0");
      console.log(JSON.stringify({ down, up, before, after, gone: await device.routing.restore() === undefined }));
      device.close();`);
    assert.deepEqual(seen.after, seen.before);
    assert.equal((seen.before as unknown[][])[2].length, 2);
    assert.equal((seen.down as { up: boolean }).up, false);
    assert.equal((seen.up as { up: boolean }).up, true);
    assert.equal(seen.gone, true);
  });

  test("as many prefixes as there may be come up, come back, and are not put back where they are", async (t) => {
    const seen = await evaluate<Record<"up" | "again"
      | "idle", { ms: number; v4: number; v6: number }> & { lost: unknown }>(`
      const half = ${PREFIXES / 2};
      const device = new TunDevice({ name: "dev0", mtu: 1500, queues: 1 });
      const v4 = Array.from({ length: half }, (_, i) => prefix("10." + (i >> 8) + "." + (i & 255) + ".128/25"));
      const v6 = Array.from({ length: half }, (_, i) => prefix("fd99:" + i.toString(16) + "::/48"));
      const state = async (work) => {
        const start = performance.now();
        const result = await work();
        const ms = Math.round(performance.now() - start);
        const count = (...args) => execFileSync("ip", [...args, "route", "show", "dev", "dev0", "proto", "static"], { encoding: "utf8", maxBuffer: 1 << 28 }).split("\\n").length - 1;
        return { ms, v4: count("-4"), v6: count("-6"), result };
      };
      const up = await state(() => device.routing.configure([parseAddress("192.0.2.1"), parseAddress("fd98::1")], [...v4, ...v6]));
      ip("link", "set", "dev0", "down");
      ip("-6", "route", "add", "blackhole", "fd99:7::/48", "metric", "1024");
      ip("link", "set", "dev0", "up");
      const again = await state(() => device.routing.restore());
      const idle = await state(() => device.routing.restore());
      ip("-6", "route", "del", "blackhole", "fd99:7::/48");
      console.log(JSON.stringify({ up, again, idle, lost: idle.result.lost }));
      device.close();`);
    const { up, again, idle, lost } = seen;
    t.diagnostic(`up in ${up.ms} ms, again in ${again.ms} ms, looked at in ${idle.ms} ms`);
    assert.deepEqual([up.v4, up.v6], [PREFIXES / 2, PREFIXES / 2]);
    assert.deepEqual([again.v4, again.v6], [PREFIXES / 2, PREFIXES / 2 - 1]);
    assert.deepEqual([idle.v4, idle.v6], [PREFIXES / 2, PREFIXES / 2 - 1]);
    assert.deepEqual(lost, { count: 1, first: ["fd99:7::/48"] });
  });

  test("routes come and go with a reload: what stays is not touched, and nothing changes where one "
    + "cannot be had", async () => {
    const seen = await evaluate<Record<"added" | "kept" | "down" | "up"
      | "undone", string[]> & { refused: string; disabled: string; lines: string[] }>(`
      const device = new TunDevice({ name: "dev0", mtu: 1500, queues: 1 });
      const host = [parseAddress("10.99.0.1"), parseAddress("fd99::1")];
      const routes = () => [...ip("route", "show", "dev", "dev0"), ...ip("-6", "route", "show", "dev", "dev0", "proto", "static")].map(({ dst, prefsrc }) => dst + " " + prefsrc);
      const [a, b, c, d, e] = ["10.99.0.0/16", "10.98.0.0/24", "fd99::/64", "fd98::/64", "10.98.0.0/16"].map(prefix);
      await device.routing.configure(host, [a, b, c]);
      const lines = [...await device.routing.addRoutes([a, d, e]), ...await device.routing.keepRoutes([a, b, c, d, e])];
      const added = routes();
      lines.push(...await device.routing.keepRoutes([a, d, e]));
      const kept = routes();
      ip("link", "set", "dev0", "down");
      lines.push(...await device.routing.addRoutes([b, d, e]), ...await device.routing.keepRoutes([b, d, e]));
      const down = routes();
      ip("link", "set", "dev0", "up");
      await device.routing.restore();
      const up = routes();
      ip("route", "add", "10.97.0.0/16", "dev", "lo");
      let refused;
      try { await device.routing.addRoutes([b, d, e, a, prefix("10.97.0.0/16")]); } catch (error) { refused = error.message; }
      execFileSync("sysctl", ["-qw", "net.ipv6.conf.dev0.disable_ipv6=1"]);
      let disabled;
      try { await device.routing.addRoutes([b, d, e, prefix("10.96.0.0/16"), prefix("fd96::/64")]); } catch (error) { disabled = error.message; }
      const undone = routes();
      console.log(JSON.stringify({ added, kept, down, up, undone, refused, disabled, lines }));
      ip("route", "del", "10.97.0.0/16");
      device.close();`);
    assert.deepEqual(seen.added, [
      "10.98.0.0/24 10.99.0.1", "10.98.0.0/16 10.99.0.1", "10.99.0.0/16 10.99.0.1", "fd98::/64 fd99::1",
      "fd99::/64 fd99::1",
    ]);
    assert.deepEqual(seen.kept, ["10.98.0.0/16 10.99.0.1", "10.99.0.0/16 10.99.0.1", "fd98::/64 fd99::1"]);
    assert.deepEqual(seen.down, []);
    assert.deepEqual(seen.up, ["10.98.0.0/24 10.99.0.1", "10.98.0.0/16 10.99.0.1", "fd98::/64 fd99::1"]);
    assert.deepEqual(seen.undone, seen.up.filter((route) => !route.startsWith("fd")));
    assert.match(seen.refused, /prefix 10\.97\.0\.0\/16 is routed to lo already/);
    assert.match(seen.disabled, /^IPv6 is disabled on this host/);
    assert.deepEqual(seen.lines, []);
  });

  test("routes of a reload without CAP_NET_ADMIN: those within one that is there need none, of the "
    + "others it says how", async (
    context,
  ) => {
    if (process.getuid?.() !== 0) {
      context.skip("needs root, to lose its capabilities alone");
      return;
    }
    const seen = await evaluate<Record<"added" | "kept" | "routes" | "missing", string[]>>(`
      const device = new TunDevice({ name: "dev0", mtu: 1500, queues: 1 });
      const [a, b, inner] = ["10.99.0.0/16", "10.98.0.0/16", "10.99.7.0/24"].map(prefix);
      await device.routing.configure([parseAddress("10.99.0.1")], [a]);
      libc.capset(new Uint8Array(Uint32Array.of(0x20080522, 0).buffer), new Uint8Array(24));
      const adopted = new TunDevice({ name: "dev0", queues: 1, fds: device.queues });
      await adopted.routing.configure([parseAddress("10.99.0.1")], [a]);
      const added = [...await adopted.routing.addRoutes([a, inner]), ...await adopted.routing.addRoutes([a, inner, b])];
      const { refused } = await adopted.routing.restore();
      const kept = await adopted.routing.keepRoutes([inner]);
      console.log(JSON.stringify({ added, kept, missing: [...refused.values()], routes: ip("route").map(({ dst }) => dst) }));`);
    assert.deepEqual(seen.added, ["prefix 10.98.0.0/16 is not routed to dev0: that needs CAP_NET_ADMIN, which was "
      + "given up; sudo ip route add 10.98.0.0/16 dev dev0 src 10.99.0.1"]);
    assert.deepEqual(seen.missing, seen.added);
    assert.deepEqual(seen.kept, ["prefix 10.99.0.0/16 is still routed to dev0: that needs CAP_NET_ADMIN, which was "
      + "given up; sudo ip route del 10.99.0.0/16 dev dev0"]);
    assert.deepEqual(seen.routes, ["10.99.0.0/16"]);
  });

  test("the watch goes on after more notifications than the kernel keeps", async () => {
    const seen = await evaluate<{ overrun: number; later: number }>(`
      const device = new TunDevice({ name: "dev0", mtu: 1500, queues: 1 });
      await device.routing.configure([], []);
      let calls = 0;
      const end = device.watch(() => { calls++; });
      const idle = () => new Promise((resolve) => { setTimeout(resolve, 50); });
      const called = async () => {
        const before = calls;
        for (let tries = 0; calls === before && tries < 400; tries++) await idle();
        return calls;
      };
      // The event loop waits for these commands, so nobody reads meanwhile.
      const input = Array.from({ length: 2000 }, (_, i) => "route add blackhole 10.1." + (i >> 8) + "." + (i & 255) + "\\n").join("");
      execFileSync("ip", ["-batch", "-"], { input });
      const overrun = await called();
      await idle();
      execFileSync("ip", ["route", "add", "10.2.0.0/16", "dev", "dev0"]);
      const later = await called();
      end();
      execFileSync("sh", ["-c", "ip route flush type blackhole"]);
      console.log(JSON.stringify({ overrun, later }));
      device.close();`);
    assert.ok(seen.later > seen.overrun);
  });

  test("what the kernel refuses is told with its errno and its own sentence", async () => {
    const messages = await evaluate<string[]>(`
      const netlinkSocket = new netlink.Netlink();
      const message = async (call) => { try { await call(); return "no error"; } catch (error) { return error.message; } };
      const device = new TunDevice({ name: "dev0", mtu: 1500, queues: 1 });
      const { index } = netlinkSocket.link("dev0");
      console.log(JSON.stringify([
        await message(() => netlinkSocket.link("nothere")),
        await message(() => netlinkSocket.setLinkUp(index, 60, 4096)),
        await message(() => netlinkSocket.addRoutes(index, 4, [prefix("10.99.0.0/16")], undefined, new Pace())),
        await message(() => netlinkSocket.addRoutes(999, 4, [prefix("10.99.0.0/16")], undefined, new Pace())),
        await message(() => netlinkSocket.addRoutes(index, 4, [{ ...prefix("10.99.0.0/16"), length: 40 }], undefined, new Pace())),
      ]));
      device.close();`);
    assert.match(messages[0], /netlink: link nothere: ENODEV/);
    assert.match(messages[1], /netlink: link \d+ up, mtu 60, txqueuelen 4096: EINVAL \(mtu less than device minimum\)/);
    assert.match(messages[2], /netlink: route 10\.99\.0\.0\/16: ENETDOWN/);
    assert.match(messages[3], /netlink: route 10\.99\.0\.0\/16: ENODEV/);
    assert.match(messages[4], /EINVAL \(Invalid prefix length\)/);
  });
});
