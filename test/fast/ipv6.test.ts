/**
 * Tests IPv6: what every engine answers, and what the wasm engine alone handles, with SIMD and without: extension
 * headers and errors.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Counter, ERRORS, ERRORS6, IcmpError, PREFIX_REPLIES, Protocol, REPLIES } from "../../abi/counters.js";
import { ERROR_BURST } from "../../abi/limits.js";
import { Unreachable } from "../../abi/tables.js";
import { type BenchOptions, BY_DEFAULT, ENGINES, Rig } from "../support/engines.js";
import {
  destination, expectedError6, expectedReply6, fragmentHeader, hopByHop, icmpv6Message, icmpv6Packet, ipv6Packet, raw,
  routing, udpPacket6, type Extension,
} from "../support/ipv6.js";
import { bytes, icmpPacket, pattern, udpPacket } from "../support/packets.js";

const PORT_UNREACHABLE = [1, 4] as const;
const PARAMETER_PROBLEM = 4;

for (const name of ENGINES) {
  describe(name, () => {
    test("S-1: an echo request is answered, byte for byte as RFC 4443 says, and counted", async () => {
      const rig = await Rig.create(name, { prefixes: ["10.99.0.0/16", "fd99::/64", "fd99::7:0/112"] });
      const request = icmpv6Packet({ dst: "fd99::7:7" });
      assert.deepEqual(rig.respond(request), [expectedReply6(request)]);
      assert.equal(rig.linear.counters[REPLIES + Protocol.icmpv6], 1);
      assert.equal(rig.linear.counters[REPLIES + Protocol.icmp], 0);
      assert.deepEqual([...rig.linear.counters.subarray(PREFIX_REPLIES, PREFIX_REPLIES + 3)], [0, 0, 1]);
      assert.deepEqual(rig.dropped, {});
    });

    test("S-2: the reply's source is the request's destination, and data of every length from 0 to 65487 comes back, "
      + "with identifier and sequence number", async () => {
      const rig = await Rig.create(name);
      const all = pattern(65487);
      for (const length of [
        ...Array.from({ length: 1500 }, (_, i) => i), 4095, 4096, 8952, 8953, 32767, 32768, 65486, 65487,
      ]) {
        const request = icmpv6Packet({
          src: "2001:db8::7", dst: "fd99::abcd:7", data: all.subarray(0, length), identifier: length & 0xffff,
          sequence: ~length & 0xffff,
        });
        const [reply] = rig.respond(request);
        assert.ok(reply, `no reply to ${length} bytes of data: ${JSON.stringify(rig.dropped)}`);
        assert.equal(Buffer.compare(reply, expectedReply6(request)), 0, `wrong reply to ${length} bytes of data`);
      }
    });

    test("S-2: a code goes back as it came", async () => {
      const rig = await Rig.create(name);
      for (const code of [1, 4, 255]) {
        const request = icmpv6Packet({ code });
        assert.deepEqual(rig.respond(request), [expectedReply6(request)]);
      }
    });

    test("S-4: a checksum of 0 is one like any other, and its alias 0xffff is accepted", async () => {
      const rig = await Rig.create(name);
      // Sequence numbers with which the request's checksum is 0, and the reply's.
      const [high, low] = icmpv6Message({ sequence: 0 }).subarray(2, 4);
      const sequence = high << 8 | low;
      const zero = icmpv6Packet({ sequence });
      assert.deepEqual([...zero.subarray(42, 44)], [0, 0]);
      const alias = zero.slice();
      alias.set([0xff, 0xff], 42);
      assert.deepEqual(rig.respond(zero, alias), [expectedReply6(zero), expectedReply6(zero)]);
      const before = icmpv6Packet({ sequence: sequence - 0x100 });
      const expected = expectedReply6(before);
      assert.deepEqual([...expected.subarray(42, 44)], [0, 0]);
      assert.deepEqual(rig.respond(before), [expected]);
    });

    test("S-9: the reply's hop limit is ours, whatever the request's; traffic class and flow label go back "
      + "as they came", async () => {
      const rig = await Rig.create(name, { policy: { ttl: 77 } });
      for (const hopLimit of [0, 1, 2, 64, 255]) {
        const request = icmpv6Packet({ hopLimit, trafficClass: hopLimit, flowLabel: 0xfffff - hopLimit });
        assert.deepEqual(rig.respond(request), [expectedReply6(request, { hopLimit: 77 })]);
      }
      for (let trafficClass = 0; trafficClass < 256; trafficClass++) {
        const request = icmpv6Packet({ trafficClass, flowLabel: trafficClass << 12 | 0x5a5 });
        const [reply] = rig.respond(request);
        assert.deepEqual(reply.subarray(0, 4), request.subarray(0, 4));
      }
    });

    test("trailing bytes are not echoed", async () => {
      const rig = await Rig.create(name);
      for (const length of [0, 1, 18, 56]) {
        const request = icmpv6Packet({ data: pattern(length) });
        assert.deepEqual(rig.respond(bytes(request, new Uint8Array(18).fill(0xee))), [expectedReply6(request)]);
      }
    });

    test("any single host may ask, from its link too", async () => {
      const rig = await Rig.create(name);
      for (const src of ["fd99::1", "2001:db8::1", "fe80::1", "::2", "64:ff9b::1", "fec0::1"]) {
        const request = icmpv6Packet({ src });
        assert.deepEqual(rig.respond(request), [expectedReply6(request)], src);
      }
    });

    test("I1: every address of the prefix answers, its first and last too, and none beside it", async () => {
      const rig = await Rig.create(name, { prefixes: ["2001:db8::8/125"], host: undefined });
      for (let last = 0; last < 256; last++) {
        const replies = rig.respond(icmpv6Packet({ src: "2001:db9::1", dst: `2001:db8::${last.toString(16)}` }));
        assert.equal(replies.length, last >= 8 && last < 16 ? 1 : 0, String(last));
      }
      assert.deepEqual(rig.dropped, { not_our_prefix: 248 });
    });

    test("an echo request stays unanswered where the option says so", async () => {
      const rig = await Rig.create(name, { policy: { echo: false } });
      assert.deepEqual(rig.respond(icmpv6Packet()), []);
      assert.deepEqual(rig.dropped, { icmp_echo_ignored: 1 });
    });
  });
}

test("js: what has extension headers is dropped as ip_options, a fragment as ip_fragment", async () => {
  const rig = await Rig.create("js");
  assert.deepEqual(rig.respond(...[[hopByHop()], [destination()], [routing(0, 0)], [fragmentHeader(0, 0, 1)]]
    .map((extensions) => icmpv6Packet({ extensions }))), []);
  assert.deepEqual(rig.dropped, { ip_options: 3, ip_fragment: 1 });
});

for (const name of ["wasm", "wasm-scalar"] as const) {
  const create = (options: BenchOptions = {}) => Rig.create(
    name, { ...options, policy: { ...BY_DEFAULT, ...options.policy } },
  );
  const lengthOf = (extensions: readonly Extension[]) => extensions.reduce((sum, { rest }) => sum + 1 + rest.length, 0);

  /** Checks that an echo request behind each chain is answered, without the chain. */
  const answers = async (chains: readonly (readonly Extension[])[]) => {
    const rig = await create();
    for (const extensions of chains) {
      for (const length of [0, 1, 56, 1000]) {
        const request = icmpv6Packet({ extensions, data: pattern(length), src: "2001:db8::7" });
        assert.deepEqual(
          rig.respond(request),
          [expectedReply6(request, { extensions: lengthOf(extensions) })],
          JSON.stringify(extensions.map(({ number }) => number)),
        );
      }
    }
    assert.deepEqual(rig.dropped, {});
  };

  /** Checks that each packet is answered with a parameter problem, and dropped for its headers. */
  const complains = async (
    cases: readonly (readonly [packet: Uint8Array, code: number, pointer: number])[], reason = "ipv6_bad_exthdr",
  ) => {
    const rig = await create();
    for (const [packet, code, pointer] of cases) {
      rig.now += 1000;
      assert.deepEqual(
        rig.respond(packet),
        [expectedError6(packet, PARAMETER_PROBLEM, code, { pointer })],
        Buffer.from(packet.subarray(0, 80)).toString("hex"),
      );
    }
    assert.deepEqual(rig.dropped, { [reason]: cases.length });
    assert.equal(rig.linear.counters[ERRORS6 + IcmpError.parameter_problem], cases.length);
  };

  describe(name, () => {
    test("S-7: extension headers in any order, eight of them, are walked, and do not come back", () => answers([
      [hopByHop()], [destination()], [routing(0, 0)], [fragmentHeader(0, 0, 1)],
      [hopByHop(), destination(), routing(0, 0), fragmentHeader(0, 0, 1), destination()],
      [destination(), fragmentHeader(0, 0, 1), routing(2, 0), destination(), routing(253, 0)],
      [raw(60, 255, ...Array.from({ length: 8 }, () => bytes(0x1e, 253, new Uint8Array(253))), 1, 4, 0, 0, 0, 0)],
      Array.from({ length: 8 }, () => destination()),
    ]));

    test("S-7: options that are unknown and may be skipped are, and padding of up to seven bytes", () => answers([
      [hopByHop(0x1e, 0)], [hopByHop(0x3f, 3, 1, 2, 3)], [hopByHop(5, 2, 0, 0)], [destination(0, 0, 0, 0, 0, 0)], [
        destination(0x1e, 3, 1, 2, 3, 1, 5, new Uint8Array(5), 0x1e, 0),
      ],
      [destination(...Array.from({ length: 8 }, () => bytes(0x1e, 1, 0xff, 0)))],
    ]));

    test("S-7: an unknown option that asks for it is told of, code 2, with the pointer at it", () => complains([
      [icmpv6Packet({ extensions: [hopByHop(0x9e, 0)] }), 2, 42],
      [icmpv6Packet({ extensions: [hopByHop(0xde, 0)] }), 2, 42],
      [icmpv6Packet({ extensions: [hopByHop(0x1e, 3, 1, 2, 3, 0xbf, 0)] }), 2, 47],
      [icmpv6Packet({ extensions: [hopByHop(), destination(0, 0xc9, 0)] }), 2, 51],
      // A jumbo payload option in a packet of usual length is simply unknown.
      [icmpv6Packet({ extensions: [hopByHop(0xc2, 4, 0, 1, 0, 0)] }), 2, 42],
      [icmpv6Packet({ extensions: [fragmentHeader(0, 0, 1), destination(0x80, 0)], data: pattern(1400) }), 2, 50],
    ]));

    test("S-7: hop-by-hop options anywhere but behind the IPv6 header are told of, code 1, with the pointer at the "
      + "next header", () => complains([
      [icmpv6Packet({ extensions: [destination(), hopByHop()] }), 1, 40],
      [icmpv6Packet({ extensions: [hopByHop(), hopByHop()] }), 1, 40],
      [icmpv6Packet({ extensions: [routing(0, 0), destination(), hopByHop()] }), 1, 64],
      [icmpv6Packet({ extensions: [fragmentHeader(0, 0, 1), hopByHop()] }), 1, 40],
    ]));

    test("S-7: a next header that nobody knows is told of, code 1, with the pointer at it; no next header, UDP and "
      + "TCP are not", async () => {
      const rig = await create();
      for (let nextHeader = 0; nextHeader < 256; nextHeader++) {
        if ([0, 43, 44, 58, 60].includes(nextHeader)) continue;
        for (const extensions of [[], [hopByHop(), destination()]]) {
          rig.now += 1000;
          const packet = ipv6Packet(pattern(40), { nextHeader, extensions });
          const silent = [6, 17, 59].includes(nextHeader);
          assert.deepEqual(
            rig.respond(packet),
            silent ? [] : [expectedError6(packet, PARAMETER_PROBLEM, 1, { pointer: extensions.length > 0 ? 48 : 6 })],
            `next header ${nextHeader}`,
          );
        }
      }
      assert.deepEqual(rig.dropped, { tcp_csum: 2, ip_noproto: 2 * 249, pkt_too_small: 2 });
    });

    test("S-7: next headers that nobody knows are told of only where the policy says so; malformed "
      + "headers always", async () => {
      for (const [mode, reason] of [
        [Unreachable.silent, "ip_noproto"], [Unreachable.off, "unhandled_proto"],
      ] as const) {
        const rig = await create({ policy: { unreachable: { udp: mode, other: mode } } });
        assert.deepEqual(rig.respond(ipv6Packet(pattern(40), { nextHeader: 253 })), []);
        assert.equal(rig.respond(icmpv6Packet({ extensions: [destination(0x9e, 0)] })).length, 1);
        assert.deepEqual(rig.dropped, { [reason]: 1, ipv6_bad_exthdr: 1 });
      }
    });

    test("S-8: a fragment that is all of its packet is answered at once, whatever its identification and "
      + "reserved bits", () => answers([
      [fragmentHeader(0, 0, 0)], [fragmentHeader(0, 0, 0xffffffff)], [fragmentHeader(0, 6, 1, 0xff)], [
        destination(), fragmentHeader(0, 0, 1), destination(),
      ],
    ]));

    test("S-8: a second fragment header is told of, code 0, with the pointer at it", () => complains([
      [icmpv6Packet({ extensions: [fragmentHeader(0, 0, 1), fragmentHeader(0, 0, 2)] }), 0, 48],
      [icmpv6Packet({ extensions: [fragmentHeader(0, 0, 1), destination(), fragmentHeader(8, 1, 2)] }), 0, 56],
    ]));

    test("S-8: a fragment with more whose length is no multiple of 8 is told of, code 0, with the pointer at the "
      + "payload length", () => complains([
      [icmpv6Packet({ extensions: [fragmentHeader(0, 1, 1)], data: pattern(57) }), 0, 4],
      [icmpv6Packet({ extensions: [fragmentHeader(800, 1, 1)], data: pattern(4) }), 0, 4],
    ]));

    test("S-8: a fragment beyond 65535 bytes is told of, code 0, with the pointer at its offset", async () => {
      await complains([
        [ipv6Packet(pattern(8), { extensions: [fragmentHeader(65528, 0, 1)] }), 0, 42],
        [ipv6Packet(pattern(8), { extensions: [fragmentHeader(65528, 1, 1)] }), 0, 42],
        [ipv6Packet(pattern(8), { extensions: [destination(), fragmentHeader(65520, 1, 1)] }), 0, 50],
      ]);
      const rig = await create();
      const longest = [[fragmentHeader(65528, 0, 1)], [destination(), fragmentHeader(65520, 0, 2)]];
      assert.deepEqual(rig.respond(...longest.map((extensions) => ipv6Packet(pattern(7), { extensions }))), []);
      assert.deepEqual([rig.dropped, rig.held], [{}, 2]);
    });

    test("S-8: a first fragment without the whole chain of headers is told of, code 3", async () => {
      const first = fragmentHeader(0, 1, 1);
      await complains([
        [ipv6Packet(new Uint8Array(0), { extensions: [first] }), 3, 0],
        [ipv6Packet(new Uint8Array(0), { extensions: [first], nextHeader: 253 }), 3, 0],
        [ipv6Packet(pattern(16), { extensions: [first], nextHeader: 6 }), 3, 0],
        [ipv6Packet(new Uint8Array(0), { extensions: [first, destination()] }), 3, 0],
        [ipv6Packet(Uint8Array.of(58, 1, 1, 4, 0, 0, 0, 0), { extensions: [first], nextHeader: 60 }), 3, 0],
        [ipv6Packet(new Uint8Array(0), { extensions: [destination(), first] }), 3, 0],
        [ipv6Packet(Uint8Array.of(128, 0, 0, 0), { extensions: [first] }), 3, 0],
      ]);
      const rig = await create();
      const whole = [
        { nextHeader: 58, length: 8 }, { nextHeader: 17, length: 8 }, { nextHeader: 6, length: 24 },
        { nextHeader: 253, length: 8 },
      ];
      const firsts = whole.map(({ nextHeader, length }) => {
        return ipv6Packet(
          new Uint8Array(length).fill(128),
          { extensions: [fragmentHeader(0, 1, nextHeader), destination()], nextHeader },
        );
      });
      assert.deepEqual(rig.respond(...firsts), []);
      assert.deepEqual([rig.dropped, rig.held], [{}, 4]);
    });

    test("S-10: a routing header of any type with segments left is told of, code 0, with the pointer at the type; "
      + "without it is passed over", async () => {
      await complains(Array.from(
        { length: 256 }, (_, type) => [icmpv6Packet({ extensions: [routing(type, 1 + type % 255)] }), 0, 42] as const,
      ));
      await complains([[icmpv6Packet({ extensions: [hopByHop(), destination(), routing(0, 1)] }), 0, 58]]);
      await answers(Array.from({ length: 256 }, (_, type) => [routing(type, 0)]));
    });

    test("S-11: UDP to any port is answered with port unreachable, S-6: that quotes as much of it as 1280 bytes hold, "
      + "traffic class and flow label 0", async () => {
      const rig = await create({ policy: { ttl: 99 } });
      for (const length of [0, 1, 16, 1183, 1184, 1185, 1400, 65487]) {
        for (const extensions of [[], [destination()]]) {
          if (length > 65000 && extensions.length > 0) continue;
          rig.now += 1000;
          const packet = udpPacket6({
            data: pattern(length), trafficClass: 0xb8, flowLabel: 0x12345, src: "2001:db8::7", dst: "fd99::7:3",
            extensions,
          });
          assert.deepEqual(rig.respond(packet), [expectedError6(packet, ...PORT_UNREACHABLE, { hopLimit: 99 })]);
        }
      }
      assert.deepEqual(rig.dropped, { no_socket: 15 });
      assert.equal(rig.linear.counters[ERRORS6 + IcmpError.port_unreachable], 15);
      assert.equal(rig.linear.counters[ERRORS + IcmpError.port_unreachable], 0);
      assert.equal(rig.replied, 0);
    });

    test("S-6: an error quotes no byte behind the packet, and is no longer than the MTU", async () => {
      const rig = await create({ mtu: 1280 });
      const packet = udpPacket6({ data: pattern(40) });
      assert.deepEqual(rig.respond(bytes(packet, pattern(100))), [expectedError6(packet, ...PORT_UNREACHABLE)]);
      const small = await create({ mtu: 200 });
      const full = udpPacket6({ data: pattern(152) });
      assert.deepEqual(small.respond(full), [expectedError6(full, ...PORT_UNREACHABLE, { most: 200 })]);
    });

    test("S-6: at most 50 at once and one each millisecond after, each kind by itself and "
      + "apart from IPv4's", async () => {
      const rig = await create();
      rig.now = 1_800_000_000_000;
      const sent = (packet: Uint8Array, count: number) => rig.respond(
        ...Array.from({ length: count }, () => packet),
      ).length;
      assert.equal(sent(udpPacket6(), 200), ERROR_BURST);
      assert.equal(rig.linear.counters[Counter.errorsLimited], 150);
      assert.equal(sent(udpPacket(), 60), ERROR_BURST, "IPv4's");
      assert.equal(sent(icmpv6Packet({ extensions: [destination(0x9e, 0)] }), 60), ERROR_BURST, "another kind");
      rig.now += 7.5;
      assert.equal(sent(udpPacket6(), 20), 7);
    });

    test("S-6: no error about an error or a redirect, behind whatever headers, to many, or from none", async () => {
      const rig = await create();
      const tell = destination(0x9e, 0);
      const ah = raw(51, 1, 0, 0, new Uint8Array(8));
      const messages: [Extension[], number[]][] = [
        [[tell], [1, 2, 3, 4, 100, 127, 137]],
        [[hopByHop(), routing(3, 2)], [1]],
        [[tell, destination(), routing(0, 0), fragmentHeader(0, 0, 1)], [1]],
        [[tell, ah], [1]],
        [[ah], [1]],
        [[fragmentHeader(0, 0, 1), hopByHop()], [3]],
      ];
      for (const [extensions, types] of messages) {
        for (const type of types) assert.deepEqual(rig.respond(icmpv6Packet({ type, extensions })), [], `type ${type}`);
      }
      for (const type of [128, 129, 135, 200]) {
        assert.equal(rig.respond(icmpv6Packet({ type, extensions: [tell] })).length, 1, `type ${type}`);
      }
      const empty = ipv6Packet(new Uint8Array(0), { extensions: [tell] });
      assert.deepEqual(
        rig.respond(bytes(empty, 1)),
        [expectedError6(empty, PARAMETER_PROBLEM, 2, { pointer: 42 })],
        "a type that is not there is none",
      );
      for (const src of ["::", "::1", "ff02::1", "fd99::3"]) {
        assert.deepEqual(rig.respond(udpPacket6({ src })), [], src);
      }
      for (const dst of ["ff02::1", "2001:db8::2"]) assert.deepEqual(rig.respond(udpPacket6({ dst })), [], dst);
    });

    test("the packet behind one that was answered with an error is answered", async () => {
      const rig = await create();
      const replies = rig.respond(udpPacket6(), icmpv6Packet(), icmpPacket(), udpPacket6());
      assert.deepEqual(
        replies.map((reply) => reply[reply[0] >> 4 === 6 ? 40 : 20]), [0, 1, 129, 1], "IPv4 echo replies first",
      );
    });

    test("I4: an extension header's length, an option's, and the packet's, at every value", async () => {
      const rig = await create();
      for (const number of [0, 43, 44, 60]) {
        for (let length = 0; length < 256; length++) {
          for (const size of [0, 7, 8, 64, 2048, 2056]) {
            rig.respond(ipv6Packet(bytes(58, length, pattern(size)).subarray(0, size), { nextHeader: number }));
          }
          rig.respond(icmpv6Packet({ extensions: [raw(number, 0, 0x1e, length, 0, 0, 0, 0)] }));
        }
      }
      const packet = icmpv6Packet(
        { extensions: [hopByHop(0x1e, 0), destination(), routing(0, 0), fragmentHeader(0, 0, 1)] },
      );
      for (let length = 0; length < packet.length - 40; length++) {
        const cut = packet.slice(0, 40 + length);
        new DataView(cut.buffer).setUint16(4, length);
        rig.respond(cut);
      }
      assert.equal(rig.received, Object.values(rig.dropped).reduce((a, b) => a + b, 0) + rig.replied + rig.held);
    });
  });
}
