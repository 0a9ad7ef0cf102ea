/** Tests PROBE against RFC 8335: what a prefix tells of the interfaces that it is configured to have. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Protocol, REPLIES } from "../../abi/counters.js";
import type { InterfaceMap } from "../../src/config/types.js";
import { tableOf } from "../../src/engine/table.js";
import { parseAddress, parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { BY_DEFAULT, Rig, type BenchOptions } from "../support/engines.js";
import { frame, macBytes, SHARED } from "../support/frames.js";
import { addr6, destination, fragmentsOf6, icmpv6Packet, ipv6Packet } from "../support/ipv6.js";
import { addr, bytes, fragmentsOf, icmpPacket, pattern } from "../support/packets.js";
import {
  byAddress, byIndex, byName, expectedProbe, interfacesOf, object, probe4, probe6, structure, type ProbeOptions,
} from "../support/probe.js";
import { PROBES } from "../vectors/drops.js";

const [OK, MALFORMED, NO_INTERFACE, NO_ENTRY, SEVERAL] = [0, 1, 2, 3, 4];
const [ACTIVE, IPV4, IPV6] = [4, 2, 1];
const ALL = ACTIVE | IPV4 | IPV6;
/** The flags of a query about a neighbor: L is clear. */
const BESIDE = { flags: 0 };

const MAC = "02:00:5e:00:53:01";
const INTERFACES: readonly InterfaceMap[] = [
  { name: "eth0", index: 2, address: ["192.0.2.1", "192.0.2.2", "2001:db8::1", "fe80::1", MAC] },
  { name: "eth1", index: 0xffff_fffe, address: ["198.51.100.1", "fe80::1"], active: false },
  { name: "eth10", index: 4, ipv6: false },
  { name: "ge-0/0/1.100", index: 5, ipv4: false },
  { name: "tunnel", index: 6, ipv4: false, ipv6: false },
  { name: "twin", index: 7 },
  { name: "twin", index: 7, address: "203.0.113.7" },
];
const NEIGHBORS: readonly InterfaceMap[] = [
  { address: "192.0.2.10", neighbor: "reachable" },
  { address: ["192.0.2.11", "2001:db8::11", "02:00:5e:00:53:11"], neighbor: "failed" },
  { address: "fe80::2", neighbor: "stale" },
  { address: "fe80::2", neighbor: "delay" },
];

async function rigWith(maps: readonly InterfaceMap[] = INTERFACES, options: BenchOptions = {}): Promise<Rig> {
  return await Rig.create("wasm", {
    mtu: 1500, ...options, policy: { ...BY_DEFAULT, interfaces: interfacesOf(maps), ...options.policy },
  });
}

/** Asks over both families, and expects this reply. */
function expectReply(rig: Rig, object: Uint8Array, code: number, state = 0, options: ProbeOptions = {}): void {
  for (const request of [probe4(object, options), probe6(object, options)]) {
    const replies = rig.respond(request);
    assert.deepEqual(replies.map(hex), [hex(expectedProbe(request, code, state))]);
  }
}

function hex(packet: Uint8Array): string {
  return Buffer.from(packet).toString("hex");
}

const byIpv4 = (address: string) => byAddress(1, addr(address));
const byIpv6 = (address: string) => byAddress(2, addr6(address));
const byMac = (address: string, afi = 16389) => byAddress(afi, macBytes(address));

describe("PROBE", () => {
  test("PR-1: a query by name, by index or by address is told of the interface, over both families", async () => {
    const rig = await rigWith();
    for (const [object, state] of [
      [byName("eth0"), ALL], [byIndex(2), ALL], [byIpv4("192.0.2.1"), ALL], [byIpv4("192.0.2.2"), ALL],
      [byIpv6("2001:db8::1"), ALL], [byMac(MAC), ALL], [byMac(MAC, 6), ALL],
      [byName("eth1"), 0], [byIndex(0xffff_fffe), 0], [byIpv4("198.51.100.1"), 0],
      [byName("eth10"), ACTIVE | IPV4], [byName("ge-0/0/1.100"), ACTIVE | IPV6], [byName("tunnel"), ACTIVE],
      [byIpv4("203.0.113.7"), ALL],
    ] as const) {
      expectReply(rig, object, OK, state);
    }
    assert.deepEqual(rig.dropped, {});
    assert.equal(rig.linear.counters[REPLIES + Protocol.icmp], 14);
    assert.equal(rig.linear.counters[REPLIES + Protocol.icmpv6], 14);
  });

  test("PR-1: whatever is no interface's is code 2, and what several have is code 4", async () => {
    const rig = await rigWith();
    for (const object of [
      byName("eth"), byName("eth2"), byName("ETH0"), byName("eth00"), byName("x".repeat(200)), byIndex(0), byIndex(3),
      byIndex(0x0200_0000), byIpv4("192.0.2.3"), byIpv6("2001:db8::2"), byMac("02:00:5e:00:53:02"),
      // Families that nothing here has.
      byAddress(16390, pattern(8)), byAddress(25, pattern(5)), byAddress(6, pattern(8)),
      byAddress(25, addr("192.0.2.1")), byAddress(16389, pattern(6)),
      // The first bytes of an IPv6 address are no IPv4 address.
      byIpv4("32.1.13.184"),
    ]) {
      expectReply(rig, object, NO_INTERFACE);
    }
    for (const object of [byName("twin"), byIndex(7), byIpv6("fe80::1")]) expectReply(rig, object, SEVERAL);
    assert.deepEqual(rig.dropped, {});
  });

  test("PR-1: an interface that has an address twice is one", async () => {
    const rig = await rigWith([{ address: ["192.0.2.1", "192.0.2.1"] }, { address: "192.0.2.2" }]);
    expectReply(rig, byIpv4("192.0.2.1"), OK, ALL);
  });

  test("PR-1: a malformed query is code 1", async () => {
    const rig = await rigWith();
    const name = byName("eth0");
    const unpadded = (afi: number, address: Uint8Array) =>
      object(3, bytes(afi >> 8, afi & 255, address.length, 0, address));
    const malformed: readonly (readonly [what: string, object: Uint8Array, options?: ProbeOptions])[] = [
      ["another version", name, { version: 0x10 }], ["a wrong checksum", name, { sum: 0x1234 }],
      ["another class", object(1, name.subarray(4), { classNum: 2 })], ["C-Type 0", object(0, pattern(4))],
      ["C-Type 4", object(4, pattern(4))], ["no name", object(1, new Uint8Array(0))],
      ["an object that is longer than the message", object(1, pattern(4), { len: 12 }), { sum: 0 }],
      ["an object that is shorter than its header", object(1, pattern(4), { len: 3 })],
      ["an object of length 0", object(1, pattern(4), { len: 0 })],
      ["an index of 5 bytes", object(2, pattern(5))], ["an index of 3 bytes", object(2, pattern(3))],
      ["an index of 8 bytes", object(2, pattern(8))], ["no address", object(3, bytes(0, 1, 4, 0))],
      ["half a family", object(3, bytes(0, 1))],
      ["an IPv4 address of 3 bytes", unpadded(1, pattern(3))],
      ["an IPv4 address of 16 bytes", byAddress(1, pattern(16))],
      ["an IPv6 address of 4 bytes", byAddress(2, pattern(4))],
      ["a MAC address of 8 bytes", byAddress(16389, pattern(8))],
      ["a long MAC address of 6 bytes", byAddress(16390, pattern(6))],
      ["an address that is shorter than its length", byAddress(1, pattern(4), 5)],
      ["an address that is longer than its length", byAddress(1, pattern(8), 4)],
      ["an address of no bytes", byAddress(25, new Uint8Array(4), 0)],
    ];
    for (const [what, object, options] of malformed) {
      for (const request of [probe4(object, options), probe6(object, options)]) {
        assert.deepEqual(rig.respond(request).map(hex), [hex(expectedProbe(request, MALFORMED))], what);
      }
    }
    for (const length of [0, 1, 4, 7]) {
      const data = structure(name).slice(0, length);
      const request = icmpPacket({ type: 42, sequence: 1, data });
      const six = icmpv6Packet({ type: 160, sequence: 1, data });
      const replies = rig.respond(request, six);
      assert.deepEqual(replies.map(hex), [request, six].map((each) => hex(expectedProbe(each, MALFORMED))));
    }
    assert.deepEqual(rig.dropped, {});
  });

  test("PR-1: an address may lie there without padding, and a name without NULs", async () => {
    const rig = await rigWith([{ name: "lo0", address: MAC }]);
    expectReply(rig, object(3, bytes(0x40, 0x05, 6, 0, macBytes(MAC))), OK, ALL);
    expectReply(rig, object(1, Buffer.from("lo0")), OK, ALL);
    expectReply(rig, object(1, Buffer.from("lo0\0\0\0\0\0")), OK, ALL);
    expectReply(rig, object(1, Buffer.from("lo0\0x")), NO_INTERFACE);
    expectReply(rig, object(1, Buffer.from("\0\0\0\0")), NO_INTERFACE);
  });

  test("PR-1: the extension structure comes back, and what follows it, which its checksum leaves out", async () => {
    const rig = await rigWith();
    for (const length of [1, 4, 37, 400]) expectReply(rig, byName("eth0"), OK, ALL, { data: pattern(length) });
    // RFC 4884 §7: 0 is no checksum.
    expectReply(rig, byName("eth0"), OK, ALL, { sum: 0 });
  });

  test("PR-1: code and reserved bits of a request are ignored; identifier and sequence number come back", async () => {
    const rig = await rigWith();
    expectReply(rig, byIndex(2), OK, ALL, { flags: 0xff });
    const packet = { code: 77, identifier: 0xbeef, sequence: 0xa500 | 1 };
    for (const request of [probe4(byIndex(2), {}, packet), probe6(byIndex(2), {}, packet)]) {
      assert.deepEqual(rig.respond(request).map(hex), [hex(expectedProbe(request, OK, ALL))]);
    }
  });

  test("PR-1: a reply has no DSCP and no ECN, don't-fragment, and a TTL of 255, whatever the prefix's", async () => {
    const rig = await rigWith(INTERFACES, { policy: { ttl: 9 } });
    const four = probe4(byIndex(2), {}, { tos: 0xb9, ttl: 3, id: 0x4321, fragment: 0 });
    const six = probe6(byIndex(2), {}, { trafficClass: 0xb9, flowLabel: 0xabcde, hopLimit: 3 });
    const [reply, reply6] = rig.respond(four, six);
    assert.deepEqual([reply[1], reply[6], reply[8]], [0, 0x40, 255]);
    assert.deepEqual([...reply6.slice(0, 4), reply6[7]], [0x60, 0x0a, 0xbc, 0xde, 255]);
    assert.deepEqual([reply, reply6].map(hex), [[four], [six]].map(([each]) => hex(expectedProbe(each, OK, ALL))));
  });

  test("PR-1: nobody may fragment a reply of RFC 8335's; one that is longer goes as all long ones do", async () => {
    const rig = await rigWith();
    const request = (length: number) => probe4(byIndex(2), { data: pattern(length) }, { fragment: 0x4000 });
    const flagOf = (length: number) => rig.respond(request(length))[0][6] & 0x40;
    assert.deepEqual([flagOf(552 - 40), flagOf(552 - 39)], [0x40, 0]);
  });

  test("PR-1: an address of a neighbor, where L is clear, is told of by its state", async () => {
    const rig = await rigWith([...INTERFACES, ...NEIGHBORS]);
    expectReply(rig, byIpv4("192.0.2.10"), OK, 2 << 5, BESIDE);
    for (const object of [byIpv4("192.0.2.11"), byIpv6("2001:db8::11"), byMac("02:00:5e:00:53:11")]) {
      expectReply(rig, object, OK, 6 << 5, BESIDE);
    }
    expectReply(rig, byIpv6("fe80::2"), SEVERAL, 0, BESIDE);
    for (const object of [byIpv4("192.0.2.1"), byIpv4("192.0.2.12"), byMac(MAC)]) {
      expectReply(rig, object, NO_ENTRY, 0, BESIDE);
    }
    // The other way round, an address of a neighbor is none of this node's.
    expectReply(rig, byIpv4("192.0.2.10"), NO_INTERFACE);
    for (const object of [byName("eth0"), byIndex(2)]) expectReply(rig, object, MALFORMED, 0, BESIDE);
    expectReply(rig, byIpv4("192.0.2.10"), MALFORMED, 0, { ...BESIDE, sum: 1 });
    expectReply(rig, byIpv4("192.0.2.10"), OK, 2 << 5, { flags: 0xfe });
  });

  test("PR-1: states of a neighbor are those of RFC 8335", async () => {
    const states = ["incomplete", "reachable", "stale", "delay", "probe", "failed"] as const;
    const rig = await rigWith(states.map((neighbor, i) => ({ address: `192.0.2.${i}`, neighbor })));
    states.forEach((_, i) => { expectReply(rig, byIpv4(`192.0.2.${i}`), OK, i + 1 << 5, BESIDE); });
  });

  test("PR-1: what the list has nothing for is not answered, as RFC 8335 §8 has it by default", async () => {
    const [name, index, address] = [byName("eth0"), byIndex(2), byIpv4("192.0.2.1")];
    const malformed = object(9, pattern(4));
    for (const [maps, answered] of [
      [[{ name: "eth0" }], [name, malformed]], [[{ index: 2 }], [index, malformed]],
      [[{ address: "192.0.2.1" }], [address, malformed]], [[{ address: "192.0.2.1", neighbor: "stale" }], []],
    ] as const) {
      const rig = await rigWith(maps);
      const others = [name, index, address, malformed].filter((each) => !answered.some((other) => other === each));
      for (const object of others) assert.deepEqual(rig.respond(probe4(object), probe6(object)), []);
      assert.deepEqual(rig.dropped, { icmp_probe_ignored: 2 * others.length });
      for (const object of answered) assert.equal(rig.respond(probe4(object), probe6(object)).length, 2);
    }
    const rig = await rigWith();
    for (const object of [name, index, address, malformed]) {
      assert.deepEqual(rig.respond(probe4(object, BESIDE), probe6(object, BESIDE)), []);
    }
    assert.deepEqual(rig.dropped, { icmp_probe_ignored: 8 });
  });

  for (const { name, reason, packet } of PROBES) {
    test(`${name} → ${reason}`, async () => {
      const rig = await rigWith([{ index: 2 }]);
      assert.deepEqual(rig.respond(packet), []);
      assert.deepEqual(rig.dropped, { [reason]: 1 });
    });
  }

  test("D-3: PROBE is off by default, and replies to it are never answered", async () => {
    const off = await Rig.create("wasm", { policy: BY_DEFAULT });
    assert.deepEqual(off.respond(probe4(byIndex(2)), probe6(byIndex(2))), []);
    assert.deepEqual(off.dropped, { unhandled_icmp_type: 2 });
    const rig = await rigWith();
    for (const request of [probe4(byIndex(2)), probe6(byIndex(2))]) {
      const [reply] = rig.respond(request);
      const back = expectedBack(reply);
      assert.deepEqual(rig.respond(back), []);
    }
    assert.deepEqual(rig.dropped, { unhandled_icmp_type: 2 });
  });

  test("PR-1: prefix and source have their limits, and a query that is not meant costs nothing of them", async () => {
    const rig = await rigWith(INTERFACES, { policy: { limit: { rate: 1, burst: 2 } } });
    const sent = [probe4(byIndex(2), BESIDE), probe4(byIndex(2)), probe6(byIndex(2)), probe4(object(9, pattern(4)))];
    assert.equal(rig.respond(...sent).length, 3, "each family has a prefix of its own");
    assert.equal(rig.respond(...sent).length, 1);
    assert.deepEqual(rig.dropped, { icmp_probe_ignored: 2, rate_limited: 2 });
    const limited = await rigWith(INTERFACES, { policy: { sourceLimit: { rate: 1, burst: 1 } } });
    const from = (src: string) => probe4(byIndex(2), {}, { src });
    assert.equal(limited.respond(from("198.51.100.1"), from("198.51.100.2"), from("203.0.113.1")).length, 2);
  });

  test("PR-1: I3: nothing that came to many, or from no host", async () => {
    const rig = await rigWith();
    for (const dst of ["224.0.0.1", "255.255.255.255"]) rig.respond(probe4(byIndex(2), {}, { dst }));
    rig.respond(probe6(byIndex(2), {}, { dst: "ff02::1" }));
    for (const src of ["224.0.0.1", "255.255.255.255", "0.0.0.0", "127.0.0.1"]) {
      rig.respond(probe4(byIndex(2), {}, { src }));
    }
    for (const src of ["ff02::1", "::", "::1"]) rig.respond(probe6(byIndex(2), {}, { src }));
    assert.deepEqual(rig.dropped, { ip_invalid_dest: 3, martian_source: 7 });
    const tap = await rigWith(INTERFACES, { link: SHARED });
    assert.deepEqual(tap.respond(frame(probe4(byIndex(2)), { dst: "ff:ff:ff:ff:ff:ff" })), []);
    assert.deepEqual(tap.dropped, { unicast_in_l2_multicast: 1 });
  });

  test("PR-1: a wrong checksum of the message, and a message that is cut off", async () => {
    const rig = await rigWith();
    for (const request of [probe4(byIndex(2)), probe6(byIndex(2))]) {
      const wrong = request.slice();
      wrong[wrong.length - 1] ^= 1;
      rig.respond(wrong, request.slice(0, -1));
    }
    assert.deepEqual(rig.dropped, { icmp_csum: 2, pkt_too_small: 2 });
  });

  test("PR-1: in TAP mode, with options, behind extension headers and in fragments", async () => {
    const tap = await rigWith(INTERFACES, { link: SHARED });
    for (const request of [probe4(byIndex(2)), probe6(byIndex(2))]) {
      const [reply] = tap.respond(frame(request, { type: request[0] >> 4 === 6 ? 0x86dd : 0x0800 }));
      assert.deepEqual(hex(reply.slice(14)), hex(expectedProbe(request, OK, ALL)));
    }
    const rig = await rigWith();
    // Padding alone does not come back.
    const optioned = probe4(byIndex(2), {}, { options: bytes(1, 1, 1, 0) });
    assert.deepEqual(rig.respond(optioned).map(hex), [hex(expectedProbe(probe4(byIndex(2)), OK, ALL))]);
    const six = probe6(byIndex(2));
    const behind = ipv6Packet(six.slice(40), { extensions: [destination()] });
    assert.deepEqual(rig.respond(behind).map(hex), [hex(expectedProbe(six, OK, ALL))]);

    const long = { data: pattern(3000) };
    const whole = probe4(byName("eth0"), long, { fragment: 0 });
    const replies = rig.respond(...fragmentsOf(whole, [0, 8, 16, 1480, 2960, whole.length - 20]));
    const message = bytes(...replies.map((reply) => reply.slice(20)));
    assert.deepEqual(hex(message), hex(expectedProbe(whole, OK, ALL).slice(20)));
    const whole6 = probe6(byName("eth0"), long);
    const replies6 = rig.respond(...fragmentsOf6(whole6, [0, 8, 1448, 2896, whole6.length - 40]));
    const message6 = bytes(...replies6.map((reply) => reply.slice(48)));
    assert.deepEqual(hex(message6), hex(expectedProbe(whole6, OK, ALL).slice(40)));
    assert.deepEqual(rig.dropped, {});
  });

  test("S-12: a Packet Too Big about a reply is heeded where PROBE is answered, and nowhere else", async () => {
    const request = probe6(byName("eth0"), { data: pattern(1400) }, { src: "2001:db8::5" });
    const echo = icmpv6Packet({ src: "2001:db8::5", data: pattern(1400) });
    for (const [rig, reason] of [
      [await rigWith(), "icmp_packet_too_big"], [await Rig.create("wasm", { policy: BY_DEFAULT }), "icmp_unrelated"],
    ] as const) {
      rig.respond(request, echo);
      const reply = expectedProbe(request, OK, ALL);
      const about = (quoted: Uint8Array) => icmpv6Packet({
        type: 2, src: "2001:db8::9", identifier: 0, sequence: 1300, data: quoted,
      });
      rig.respond(about(reply.slice(0, 1200)));
      assert.equal(rig.dropped[reason], 1, reason);
    }
  });

  test("PR-1: prefixes have interfaces of their own, and a reload changes them", async () => {
    const rig = await rigWith([{ name: "eth0", index: 1 }], { reloadable: true });
    expectReply(rig, byName("eth0"), OK, ALL);
    expectReply(rig, byName("eth1"), NO_INTERFACE);
    const two = serving([parsePrefix("10.99.0.0/16"), parsePrefix("fd99::/64"), parsePrefix("10.99.1.0/24")]);
    const [old, other] = [interfacesOf([{ name: "eth0" }]), interfacesOf([{ name: "eth1", active: false }])];
    const lists = [undefined, old, other];
    rig.linear.serve(tableOf({
      ...two, prefixes: two.prefixes.map((prefix, i) => ({
        ...prefix, answers: { ...prefix.answers, interfaces: lists[i] },
      })),
    }, { hosts: ["10.99.0.1", "fd99::1"].map(parseAddress) }));
    const [four, six] = [probe4(byName("eth1")), probe6(byName("eth0"))];
    const elsewhere = probe4(byName("eth1"), {}, { dst: "10.99.2.2" });
    assert.deepEqual(
      rig.respond(four, six, elsewhere).map(hex), [expectedProbe(four, OK), expectedProbe(six, OK, ALL)].map(hex),
    );
    assert.deepEqual(rig.dropped, { unhandled_icmp_type: 1 });
  });
});

/** Turns a reply around, so that it goes to whoever sent it. */
function expectedBack(reply: Uint8Array): Uint8Array {
  const back = reply.slice();
  const [at, length] = reply[0] >> 4 === 6 ? [8, 16] : [12, 4];
  back.set(reply.subarray(at, at + length), at + length);
  back.set(reply.subarray(at + length, at + 2 * length), at);
  return back;
}
