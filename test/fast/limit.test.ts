/** Tests rate limits, by prefix and by source, and packets that are not limited. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SEED } from "../../abi/control.js";
import { Counter, PREFIX_REPLIES } from "../../abi/counters.js";
import { SOURCES } from "../../abi/limits.js";
import { Unreachable } from "../../abi/tables.js";
import { Directory } from "../support/directory.js";
import { DEFAULT_ANSWERS, DEFAULT_POLICY, type Limit } from "../../src/prefix/policy.js";
import { parseAddress, parsePrefix, serving, type Serving } from "../../src/prefix/prefixes.js";
import { BY_DEFAULT, ENGINES, Rig } from "../support/engines.js";
import { icmpv6Packet, PREFIX6 } from "../support/ipv6.js";
import { fragmentsOf, HOST, icmpPacket, pattern, PREFIX, udpPacket } from "../support/packets.js";
import { LIMITED } from "../vectors/drops.js";

/** Makes prefixes to serve, each with the limit given for it, and with the other answers by default. */
function served(...prefixes: [prefix: string, limit?: Limit][]): Serving {
  return {
    prefixes: prefixes.map(([text, limit]) => ({ ...parsePrefix(text), answers: { ...DEFAULT_ANSWERS, limit } })),
    exceptions: [], policy: DEFAULT_POLICY,
  };
}

for (const name of ENGINES) {
  describe(name, () => {
    /** Returns how many of `count` requests, all at the same time, are answered. */
    const answered = (rig: Rig, count: number, request = icmpPacket()) => Array.from(
      { length: count }, () => rig.respond(request).length,
    ).reduce((a, b) => a + b);

    for (const { reason, name: vector, packet } of LIMITED) {
      for (const [whose, policy] of [
        ["prefix", { limit: { rate: 1, burst: 1 } }], ["source", { sourceLimit: { rate: 1, burst: 1 } }],
      ] as const) {
        test(`${vector} above the rate of its ${whose} → ${reason}`, async () => {
          const rig = await Rig.create(name, { policy });
          assert.equal(rig.respond(packet).length, 1);
          assert.deepEqual(rig.respond(packet), []);
          assert.deepEqual(rig.dropped, { [reason]: 1 });
        });
      }
    }

    test("a prefix answers its burst at once, then its rate, and in a long silence saves up no more "
      + "than its burst", async () => {
      const rig = await Rig.create(name, { policy: { limit: { rate: 50, burst: 7 } } });
      assert.equal(answered(rig, 20), 7);
      rig.now += 100;
      assert.equal(answered(rig, 20), 5);
      rig.now += 19;
      assert.equal(answered(rig, 20), 0);
      rig.now += 1;
      assert.equal(answered(rig, 20), 1);
      rig.now += 86_400_000;
      assert.equal(answered(rig, 20), 7);
      assert.deepEqual(rig.dropped, { rate_limited: 100 - 20 });
    });

    test("a fraction of an answer a second is one in many", async () => {
      const rig = await Rig.create(name, { policy: { limit: { rate: 0.1, burst: 1 } } });
      let count = 0;
      for (; rig.now < 100_000; rig.now += 1000) count += answered(rig, 1);
      assert.equal(count, 10);
    });

    test("a wall clock that is set forward or back gives nothing, and takes nothing", async () => {
      const rig = await Rig.create(name, { policy: { limit: { rate: 1000, burst: 5 } } });
      rig.wall = 1_000_000;
      assert.equal(answered(rig, 9), 5);
      for (rig.wall of [10, 2_000_000]) assert.equal(answered(rig, 9), 0);
      rig.now += 2;
      assert.equal(answered(rig, 9), 2);
    });

    test("a bucket owes no more than it holds when a reload makes it smaller", async () => {
      const rig = await Rig.create(name, { prefixes: [PREFIX], reloadable: true });
      const directory = new Directory(served([PREFIX, { rate: 1, burst: 5000 }]), [], 1);
      rig.linear.serve(directory.table);
      const request = icmpPacket({ src: "192.0.2.1" });
      assert.equal(answered(rig, 5200, request), 5000);
      rig.linear.serve(directory.change(served([PREFIX, { rate: 10, burst: 10 }])).table);
      assert.equal(answered(rig, 20, request), 0);
      rig.now += 310;
      assert.equal(answered(rig, 20, request), 3);
    });

    test("what is not answered for another reason costs nothing", async () => {
      const rig = await Rig.create(
        name, { policy: { limit: { rate: 1, burst: 2 }, sourceLimit: { rate: 1, burst: 2 } } },
      );
      const broken = icmpPacket();
      broken[30] ^= 1;
      assert.equal(answered(rig, 10, broken) + answered(rig, 10, icmpPacket({ type: 0 })), 0);
      assert.equal(answered(rig, 10), 2);
    });

    test("each prefix has a bucket of its own, the longest match decides, and one without a "
      + "limit has none", async () => {
      const rig = await Rig.create(
        name, { prefixes: [PREFIX, "10.99.7.0/24", "10.99.8.0/24", PREFIX6], reloadable: true },
      );
      rig.linear.serve(new Directory(served([PREFIX, { rate: 1, burst: 3 }], [
        "10.99.7.0/24", { rate: 1, burst: 2 },
      ], ["10.99.8.0/24"], [PREFIX6, { rate: 1, burst: 1 }]), [], 1).table);
      const to = (dst: string) => answered(rig, 10, icmpPacket({ src: "192.0.2.1", dst }));
      assert.deepEqual(
        [to("10.99.1.1"), to("10.99.7.1"), to("10.99.8.1"), to("10.99.1.2"), to("10.99.7.2")], [3, 2, 10, 0, 0],
      );
      assert.equal(answered(rig, 10, icmpv6Packet({ src: "2001:db8::1" })), 1);
      assert.deepEqual([...rig.linear.counters.subarray(PREFIX_REPLIES, PREFIX_REPLIES + 4)], [3, 2, 10, 1]);
    });

    test("engines that share a prefix have their part each, of the rate and of the burst, but at "
      + "least one at once", async () => {
      const rig = await Rig.create(name, { prefixes: [PREFIX], reloadable: true });
      rig.linear.serve(new Directory(served([PREFIX, { rate: 100, burst: 40 }]), [], 4).table);
      assert.equal(answered(rig, 50, icmpPacket({ src: "192.0.2.1" })), 10);
      rig.now += 200;
      assert.equal(answered(rig, 50, icmpPacket({ src: "192.0.2.1" })), 5);
      const small = await Rig.create(name, { prefixes: [PREFIX], reloadable: true });
      small.linear.serve(new Directory(served([PREFIX, { rate: 1, burst: 1 }]), [], 4).table);
      assert.equal(answered(small, 5, icmpPacket({ src: "192.0.2.1" })), 1);
    });

    test("a source is its /24 or its /56, whatever it asks of whom, and the others have what is theirs", async () => {
      const policy = { sourceLimit: { rate: 1, burst: 2 } };
      const rig = await Rig.create(name, { policy });
      const from = (src: string, dst = "10.99.1.1") => answered(rig, 1, icmpPacket({ src, dst }));
      assert.deepEqual(
        [from("192.0.2.1"), from("192.0.2.200", "10.99.9.9"), from("192.0.2.3"), from("192.0.3.1"), from("192.1.2.1")],
        [1, 1, 0, 1, 1],
      );
      const from6 = (src: string) => answered(rig, 1, icmpv6Packet({ src }));
      assert.deepEqual([
        from6("2001:db8:0:100::1"), from6("2001:db8:0:1ff::2"), from6("2001:db8:0:1aa:5::3"),
        from6("2001:db8:0:200::1"), from6("2001:db8:1:100::1"),
      ], [1, 1, 0, 1, 1]);
    });

    test("a source above its rate takes nothing of what the prefix may answer to others", async () => {
      const rig = await Rig.create(
        name, { policy: { limit: { rate: 1, burst: 5 }, sourceLimit: { rate: 1, burst: 2 } } },
      );
      assert.equal(answered(rig, 100, icmpPacket({ src: "192.0.2.1" })), 2);
      assert.equal(answered(rig, 100, icmpPacket({ src: "198.51.100.1" })), 2);
      assert.equal(answered(rig, 100, icmpPacket({ src: "203.0.113.1" })), 1);
    });

    test("sources spread over the table, in another way for another seed", async () => {
      const spread = async (seed: number) => {
        const rig = await Rig.create(name, { policy: { sourceLimit: { rate: 0.001, burst: 1 } } });
        rig.words[SEED / 4] = seed;
        return Array.from(
          { length: SOURCES / 4 }, (_, i) => answered(rig, 1, icmpPacket({ src: `198.${i >> 8}.${i & 255}.1` })),
        );
      };
      const [first, again, other] = [await spread(1), await spread(1), await spread(2)];
      assert.deepEqual(first, again);
      assert.notDeepEqual(first, other);
      // Chance would give the same: of n sources in m buckets, m(1 - (1 - 1/m)^n) are the first in theirs, which is
      // 1810 of 2048.
      for (const one of [first, other]) {
        assert.ok(Math.abs(one.reduce((a, b) => a + b) - 1810) < 60, String(one.reduce((a, b) => a + b)));
      }
    });
  });
}

for (const name of ENGINES.filter((engine) => engine !== "js")) {
  test(`${name}: ICMP errors count as what their prefix and their source are sent, and are limited, not the packet `
    + "dropped otherwise", async () => {
    const rig = await Rig.create(name, { policy: { ...BY_DEFAULT, limit: { rate: 1, burst: 3 } } });
    const replies = Array.from({ length: 5 }, () => rig.respond(udpPacket()).length);
    assert.deepEqual(replies, [1, 1, 1, 0, 0]);
    assert.deepEqual(rig.dropped, { no_socket: 5 });
    assert.equal(rig.linear.counters[Counter.errorsLimited], 2);
    assert.deepEqual(rig.respond(icmpPacket()), []);
  });

  test(`${name}: a prefix that is to answer nothing sends no error of any kind, though its packets `
    + "are told apart", async () => {
    const dark = {
      echo: false, timestamp: false, errors: false, unreachable: { udp: Unreachable.silent, other: Unreachable.silent },
    };
    const rig = await Rig.create(name, { policy: { ...BY_DEFAULT, ...dark } });
    const malformed = icmpPacket({ options: Uint8Array.of(7, 1, 0, 0) });
    const requests = [
      udpPacket(), malformed, icmpPacket(), icmpPacket({ type: 13, data: pattern(12) }),
      icmpPacket({ fragment: 0x2000, data: pattern(8) }),
    ];
    assert.deepEqual(rig.respond(...requests), []);
    rig.now = 61_000;
    assert.deepEqual(rig.respond(), []);
    assert.deepEqual(
      rig.dropped,
      { no_socket: 1, ip_options: 1, icmp_echo_ignored: 1, icmp_timestamp_ignored: 1, frag_reasm_timeout: 1 },
    );
  });
}

describe("another table in the place of the first", () => {
  for (const name of ENGINES) {
    test(`${name}: holds from the next batch on: owners, TTL, answers; what stays served keeps its count, and what is `
      + "new begins at 0", async () => {
      const rig = await Rig.create(name, { prefixes: [PREFIX, "192.0.2.0/24"], reloadable: true });
      const directory = new Directory(serving([PREFIX, "192.0.2.0/24"].map(parsePrefix)), [], 1);
      const to = (dst: string) => rig.respond(icmpPacket({ src: "203.0.113.1", dst })).map((reply) => reply[8]);
      const counts = () => Object.fromEntries(Array.from(directory.prefixes, ({ text, index }) =>
        [text, rig.linear.counters[PREFIX_REPLIES + index]]));
      const change = (next: Serving) => {
        const { table, fresh } = directory.change(next);
        rig.linear.clear(fresh);
        rig.linear.serve(table);
      };
      assert.deepEqual([to("10.99.1.1"), to("192.0.2.7"), to("198.51.100.7")], [[64], [64], []]);
      change(serving(["198.51.100.0/24", "192.0.2.0/24"].map(parsePrefix), { ttl: 7 }));
      assert.deepEqual([to("10.99.1.1"), to("192.0.2.7"), to("198.51.100.7")], [[], [7], [7]]);
      assert.deepEqual(counts(), { "198.51.100.0/24": 1, "192.0.2.0/24": 2 });
      change(serving([PREFIX, "198.51.100.0/24"].map(parsePrefix), { echo: false }));
      assert.deepEqual([to("10.99.1.1"), to("192.0.2.7"), to("198.51.100.7")], [[], [], []]);
      assert.deepEqual(counts(), { [PREFIX]: 0, "198.51.100.0/24": 1 });
      change(serving([PREFIX, "192.0.2.0/24"].map(parsePrefix)));
      assert.deepEqual([to("10.99.1.1"), to("192.0.2.7")], [[64], [64]]);
      assert.deepEqual(counts(), { [PREFIX]: 1, "192.0.2.0/24": 1 });
      assert.deepEqual(rig.dropped, { not_our_prefix: 3, icmp_echo_ignored: 2 });
    });
  }

  test("a datagram that began under one and is whole under the next is answered as the next says", async () => {
    const rig = await Rig.create("wasm", { mtu: 1500, policy: BY_DEFAULT, reloadable: true });
    const [head, tail] = fragmentsOf(icmpPacket({ data: pattern(1000), fragment: 0 }), [0, 504, 1008]);
    assert.deepEqual(rig.respond(head), []);
    rig.linear.serve(new Directory(serving([parsePrefix(PREFIX)], { ttl: 9 }), [parseAddress(HOST)], 1).table);
    const [reply] = rig.respond(tail);
    assert.equal(reply[8], 9);
    assert.deepEqual(reply.subarray(28), pattern(1000));
  });

  test("the indices of prefixes that are gone are given again only once nobody uses the table that has them", () => {
    const directory = new Directory(serving(["10.0.0.0/24", "10.0.1.0/24"].map(parsePrefix)), [], 1);
    const indices = () => directory.indices;
    assert.deepEqual(indices(), [0, 1]);
    assert.deepEqual(directory.change(serving(["10.0.2.0/24", "10.0.1.0/24"].map(parsePrefix))).fresh, [2]);
    assert.deepEqual(indices(), [2, 1]);
    assert.deepEqual(directory.change(serving(["10.0.3.0/24", "10.0.1.0/24"].map(parsePrefix))).fresh, [0]);
    assert.deepEqual(indices(), [0, 1]);
  });
});
