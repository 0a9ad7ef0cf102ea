/** Tests routes of others beside pongd's: table and metric are part of what a route is, here as in the kernel. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { EXIT } from "../../src/base/failure.js";
import { needs, Netns, Pongd } from "../support/netns.js";

const PREFIXES = ["10.99.0.0/16", "fd99::/64"] as const;
const TARGETS = ["10.99.1.1", "fd99::1:1"];

describe("routes", needs("ping"), () => {
  let ns: Netns;
  beforeEach(async () => {
    ns = await Netns.open();
    await ns.ok(
      "sh", "-c", "ip tuntap add other mode tun && ip link set other up && ip addr add 192.0.2.1/32 dev other",
    );
  });
  afterEach(() => ns.close());

  const start = (...args: string[]) => Pongd.start(ns, ...PREFIXES, ...args);
  const answers = async () => {
    for (const target of TARGETS) await ns.pings(1, target);
  };
  /** Returns the routes of the prefixes to the device, in the main table. */
  const routes = async () => {
    const all = [
      ...await ns.ip("route", "show", "dev", "pong0"), ...await ns.ip("-6", "route", "show", "dev", "pong0"),
    ];
    return all.filter(({ dst }) => (PREFIXES as readonly unknown[]).includes(dst))
      .map(({ dst, metric = 0 }) => `${String(dst)} ${String(metric)}`);
  };

  for (const [what, other, remaining] of [
    ["in another table", ["table", "100"], ["10.99.0.0/16 0", "fd99::/64 1024"]],
    [
      "with another metric", ["metric", "2000"],
      ["10.99.0.0/16 0", "10.99.0.0/16 2000", "fd99::/64 1024", "fd99::/64 2000"],
    ],
  ] as const) {
    test(`a route to the device ${what} is not pongd's own: that is put back, and the other one stays`, async () => {
      const pongd = await start();
      for (const prefix of PREFIXES) await ns.ok("ip", "route", "add", prefix, "dev", "pong0", ...other);
      await ns.ok("ip", "route", "del", PREFIXES[0], "dev", "pong0", "proto", "static");
      await ns.ok("ip", "-6", "route", "del", PREFIXES[1], "dev", "pong0", "proto", "static", "metric", "1024");
      for (const prefix of PREFIXES) {
        await pongd.logged(new RegExp(`warn prefix ${prefix} is not routed to pong0: put back`));
      }
      assert.deepEqual((await routes()).sort(), remaining);
      await answers();
      await pongd.stop();
    });
  }

  test("a reload that drops a prefix deletes pongd's own route, and not one with a better metric", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pongd-"));
    const file = join(folder, "pongd.yaml");
    writeFileSync(file, `prefixes: [10.98.0.0/16, ${PREFIXES.join(", ")}]\n`);
    const pongd = await Pongd.start(ns, "--config", file);
    await ns.ok("ip", "-6", "route", "add", PREFIXES[1], "dev", "pong0", "metric", "50", "proto", "static");
    writeFileSync(file, "prefixes: [10.98.0.0/16]\n");
    assert.equal((await ns.http("http://127.0.0.1:7664/-/reload", "-X", "POST")).status, 200);
    assert.deepEqual(await routes(), ["fd99::/64 50"]);
    await pongd.stop();
    rmSync(folder, { recursive: true });
  });

  for (const [what, route, warning] of [
    [
      "a routing daemon's of a worse metric", [PREFIXES[0], "dev", "other", "proto", "bird", "metric", "20"],
      /warn prefix 10\.99\.0\.0\/16 is routed to other as well: the metric of pongd's route, 0, wins over 20\n$/,
    ],
    [
      "the same by IPv6", [PREFIXES[1], "dev", "other", "proto", "zebra", "metric", "1025"],
      /warn prefix fd99::\/64 is routed to other as well: the metric of pongd's route, 1024, wins over 1025\n$/,
    ],
    [
      "a blackhole of a worse metric", ["blackhole", PREFIXES[0], "metric", "4294967295"],
      /warn prefix 10\.99\.0\.0\/16 is routed elsewhere as well: .*, 0, wins over 4294967295\n$/,
    ],
    [
      "one of several ways", [PREFIXES[0], "metric", "7", "nexthop", "dev", "other", "nexthop", "dev", "lo"],
      /warn prefix 10\.99\.0\.0\/16 is routed elsewhere as well: .*, 0, wins over 7\n$/,
    ],
    [
      "one in a table that a rule leads to", [PREFIXES[0], "dev", "other", "table", "100"],
      /warn 10\.99\.0\.0\/16 is routed to other in table 100: packets that a rule sends there do not reach pongd\n$/,
    ],
    [
      "a part of the prefix in such a table", ["fd99::5/128", "dev", "other", "table", "1000"],
      /warn fd99::5\/128 is routed to other in table 1000: packets that/,
    ],
    [
      "a part of the prefix", ["10.99.7.0/24", "dev", "other", "metric", "20"],
      /warn 10\.99\.7\.0\/24, a part of 10\.99\.0\.0\/16, is routed to other: it does not reach pongd\n$/,
    ],
    ["one in the table that the kernel looks into last", [PREFIXES[0], "dev", "other", "table", "default"], /^$/],
    [
      "that of a transparent proxy, for every address, where a rule leads",
      ["local", "default", "dev", "lo", "table", "100"], /^$/,
    ],
  ] as const) {
    test(`pongd's route wins over ${what}: it starts, and says so`, async () => {
      await ns.ok("ip", "route", "add", ...route);
      const pongd = await start();
      assert.match(pongd.stderr, warning);
      await answers();
      await pongd.stop();
    });
  }

  for (const [what, route, message] of [
    [
      "a better metric", [PREFIXES[1], "dev", "other", "proto", "bird", "metric", "32"],
      /prefix fd99::\/64 is routed to other already, and its metric, 32, wins over pongd's, 1024; choose another prefix, or see: ip route show table all fd99::\/64\n$/,
    ],
    ["the same metric", [PREFIXES[1], "dev", "other"], /prefix fd99::\/64 is routed to other already;/],
    ["the same metric by IPv4", [PREFIXES[0], "dev", "other"], /prefix 10\.99\.0\.0\/16 is routed to other already;/],
    [
      "a type of service", [PREFIXES[0], "dev", "other", "tos", "0x10", "metric", "20"],
      /prefix 10\.99\.0\.0\/16 is routed to other already for TOS 0x10;/,
    ],
    [
      "a better metric, and no way at all", ["unreachable", PREFIXES[1], "metric", "5"],
      /prefix fd99::\/64 is routed to lo already, and its metric, 5, wins/,
    ],
    [
      "the kernel's own metric, for the network that a link is in",
      [PREFIXES[0], "dev", "other", "proto", "kernel", "metric", "600"],
      /prefix 10\.99\.0\.0\/16 is routed to other already, which is its own network;/,
    ],
  ] as const) {
    test(`another's route with ${what} keeps pongd from starting, and stays`, async () => {
      await ns.ok("ip", "route", "add", ...route);
      const before = await ns.ok("sh", "-c", "ip route show table all; ip -6 route show table all");
      const { status, stderr } = await Pongd.fail(ns, ...PREFIXES);
      assert.match(stderr, message);
      assert.equal(status, EXIT.RUNTIME);
      assert.equal(await ns.ok("sh", "-c", "ip route show table all; ip -6 route show table all"), before);
    });
  }

  test("of a routing daemon's thousands of routes within a prefix, ten are named, and the rest counted", async () => {
    const batch = ns.spawn("ip", "-batch", "-");
    batch.stdin.end(
      Array.from({ length: 2000 }, (_, i) => `route add blackhole 10.99.${100 + (i >> 8)}.${i & 255}/32\n`).join(""),
    );
    await once(batch, "exit");
    const pongd = await start();
    assert.equal(pongd.stderr.match(/a part of/g)?.length, 10);
    assert.match(pongd.stderr, /warn and 1990 more routes like these; see: ip route show table all\n$/);
    await answers();
    await pongd.stop();
  });
});
