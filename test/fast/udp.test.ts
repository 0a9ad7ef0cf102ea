/** Tests UDP services: what a port answers, and what it never does. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Counter, PREFIX_REPLIES, Protocol, REPLIES, SERVED } from "../../abi/counters.js";
import { SLOTS } from "../../abi/slots.js";
import { Unreachable } from "../../abi/tables.js";
import { Service } from "../../abi/tcp.js";
import { tableOf } from "../../src/engine/table.js";
import type { PortRange } from "../../src/prefix/policy.js";
import { parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { type BenchOptions, BY_DEFAULT, Rig } from "../support/engines.js";
import { frame, macBytes, PEER_MAC, SHARED, SHARED_MAC } from "../support/frames.js";
import {
  checksum6, destination, expectedError6, fragmentsOf6, ipv6Packet, udpPacket6,
} from "../support/ipv6.js";
import {
  bytes, expectedError, fragmentsOf, icmpPacket, pattern, plainSum, PREFIX, setHeaderChecksum, udpPacket,
  type UdpOptions,
} from "../support/packets.js";
import { UDP, UDP_PORTS } from "../vectors/drops.js";

const ECHO = { destinationPort: 7 } as const;
/** More than any test sends. */
const UNLIMITED = { sourceLimit: { rate: 1e9, burst: 1e9 } };

function rigWith(options: BenchOptions = {}, ports: readonly PortRange[] = UDP_PORTS): Promise<Rig> {
  return Rig.create("wasm", { ...options, policy: { ...BY_DEFAULT, ...UNLIMITED, udp: { ports }, ...options.policy } });
}

/** Returns the answer to a datagram over IPv4 without options that goes in one piece, by RFC 862 and RFC 768. */
function echoOf(request: Uint8Array, { ttl = 64, tos = 0, id = undefined as number | undefined } = {}): Uint8Array {
  const view = new DataView(request.buffer, request.byteOffset);
  const reply = request.slice(0, 20 + view.getUint16(24));
  const out = new DataView(reply.buffer);
  out.setUint16(2, reply.length);
  reply[1] = tos;
  reply[8] = ttl;
  reply.set(request.subarray(12, 16), 16);
  reply.set(request.subarray(16, 20), 12);
  reply.set(request.subarray(20, 22), 22);
  reply.set(request.subarray(22, 24), 20);
  if (reply.length > 552) reply[6] &= ~0x40;
  if (id !== undefined) out.setUint16(4, id);
  setHeaderChecksum(reply);
  return reply;
}

/** The same over IPv6. `at`: where the datagram begins in the request. */
function echoOf6(request: Uint8Array, at = 40, trafficClass = 0): Uint8Array {
  const length = new DataView(request.buffer, request.byteOffset).getUint16(at + 4);
  const header = request.slice(0, 40);
  const view = new DataView(header.buffer);
  view.setUint16(0, 0x6000 | trafficClass << 4 | header[1] & 15);
  view.setUint16(4, length);
  header.set([17, 64], 6);
  header.set(request.subarray(8, 24), 24);
  header.set(request.subarray(24, 40), 8);
  return bytes(
    header, request.subarray(at + 2, at + 4), request.subarray(at, at + 2), request.subarray(at + 4, at + length),
  );
}

function sumHolds(reply: Uint8Array): boolean {
  const datagram = reply.subarray(20);
  const pseudo = bytes(reply.subarray(12, 20), 0, 17, datagram.length >> 8, datagram.length & 255);
  return plainSum(bytes(pseudo, datagram)) === 0xffff;
}

const counted = (rig: Rig, kind: Service) => rig.linear.counters[SERVED + kind];
const replied = (rig: Rig) => rig.linear.counters[REPLIES + Protocol.udp];

describe("UDP echo", () => {
  test("UE-1: any data comes back from the address and port that was asked, IPv4", async () => {
    const rig = await rigWith();
    const lengths = [...Array.from({ length: 1500 }, (_, i) => i), 4095, 9000, 65506, 65507];
    for (const length of lengths) {
      const request = udpPacket({ ...ECHO, src: "192.0.2.7", dst: "10.99.200.7", data: pattern(length) });
      const [reply] = rig.respond(request);
      assert.ok(reply, `no answer to ${length} bytes: ${JSON.stringify(rig.dropped)}`);
      assert.equal(Buffer.compare(reply, echoOf(request)), 0, `${length} bytes`);
      assert.ok(sumHolds(reply), `${length} bytes`);
    }
    assert.equal(replied(rig), lengths.length);
    assert.equal(rig.linear.counters[PREFIX_REPLIES], lengths.length);
    assert.equal(counted(rig, Service.echo), lengths.length);
    assert.deepEqual(rig.dropped, {});
  });

  test("UE-1: and IPv6", async () => {
    const rig = await rigWith();
    const lengths = [...Array.from({ length: 1500 }, (_, i) => i), 4095, 9000, 65487];
    for (const length of lengths) {
      const request = udpPacket6({ ...ECHO, src: "2001:db8::7", dst: "fd99::abcd:7", data: pattern(length) });
      const [reply] = rig.respond(request);
      assert.ok(reply, `no answer to ${length} bytes: ${JSON.stringify(rig.dropped)}`);
      assert.equal(Buffer.compare(reply, echoOf6(request)), 0, `${length} bytes`);
      const sum = checksum6(zeroSum(reply.subarray(40)), 17, { src: "fd99::abcd:7", dst: "2001:db8::7" }) || 0xffff;
      assert.equal(new DataView(reply.buffer, reply.byteOffset).getUint16(46), sum, `${length} bytes`);
    }
    assert.equal(replied(rig), lengths.length);
    assert.deepEqual(rig.dropped, {});
  });

  test("UE-1: a checksum of 0 stays none over IPv4; a sum of 0 is 0xffff", async () => {
    const rig = await rigWith();
    const none = udpPacket({ ...ECHO, checksum: 0 });
    // Two bytes that bring the sum to 0.
    const blank = udpPacket({ ...ECHO, data: new Uint8Array(2) });
    const zero = udpPacket({ ...ECHO, data: blank.slice(26, 28) });
    assert.deepEqual([...zero.subarray(26, 28)], [0xff, 0xff]);
    const replies = rig.respond(none, zero);
    assert.deepEqual(replies, [echoOf(none), echoOf(zero)]);
    assert.deepEqual(replies.map((reply) => [...reply.subarray(26, 28)]), [[0, 0], [0xff, 0xff]]);
  });

  test("UE-5: bytes behind the datagram do not come back", async () => {
    const rig = await rigWith();
    const longer = udpPacket({ ...ECHO, data: pattern(40), length: 28, checksum: 0 });
    const padded = bytes(udpPacket(ECHO), pattern(18));
    const six = udpPacket6({ ...ECHO, data: pattern(20) });
    const longer6 = ipv6Packet(bytes(six.subarray(40), pattern(33)), { nextHeader: 17 });
    assert.deepEqual(rig.respond(longer, padded, longer6), [
      echoOf(longer), echoOf(udpPacket(ECHO)), echoOf6(longer6),
    ]);
    assert.deepEqual(echoOf6(longer6), echoOf6(six));
  });

  test("UE-5: the DSCP comes back, the ECN codepoint does not; the TTL is ours", async () => {
    const rig = await rigWith({ policy: { ttl: 77 } });
    for (let tos = 0; tos < 256; tos++) {
      const request = udpPacket({ ...ECHO, tos, ttl: 1 });
      assert.deepEqual(rig.respond(request), [echoOf(request, { tos: tos & ~3, ttl: 77 })], `TOS ${tos}`);
      const six = udpPacket6({ ...ECHO, trafficClass: tos, flowLabel: 0xabcde, hopLimit: 9 });
      const expected = echoOf6(six, 40, tos & ~3);
      expected[7] = 77;
      assert.deepEqual(rig.respond(six), [expected], `traffic class ${tos}`);
    }
  });

  test("a reply that a path may have to cut has an identification, and no don't-fragment", async () => {
    const rig = await rigWith();
    const request = udpPacket({ ...ECHO, data: pattern(1000), id: 0 });
    const view = new DataView(request.buffer);
    const identity = view.getUint16(24) ^ view.getUint16(26);
    assert.deepEqual(rig.respond(request), [echoOf(request, { id: identity })]);
  });

  test("options of IPv4 are as with ping, and extension headers do not come back", async () => {
    const rig = await rigWith();
    const options = Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0);
    const [reply] = rig.respond(udpPacket({ ...ECHO, options }));
    assert.deepEqual([...reply.subarray(20, 28)], [7, 7, 8, 10, 99, 1, 1, 0]);
    assert.equal(plainSum(reply.subarray(0, 28)), 0xffff);
    assert.deepEqual(reply.subarray(36), pattern(16));
    const plain = udpPacket6(ECHO);
    const six = ipv6Packet(plain.subarray(40), { nextHeader: 17, extensions: [destination(1, 4, 0, 0, 0, 0)] });
    assert.deepEqual(rig.respond(six), [echoOf6(plain)]);
  });

  test("UE-4: a datagram in fragments comes back whole, in fragments", async () => {
    const rig = await rigWith({ mtu: 1500 });
    for (const length of [1000, 3000, 20_000, 65_400]) {
      const whole = udpPacket({ ...ECHO, data: pattern(length), fragment: 0 });
      const endsBy = (size: number) => [
        0, ...Array.from({ length: Math.floor((length + 7) / size) }, (_, i) => size * (i + 1)), length + 8,
      ];
      const fragments = fragmentsOf(whole, endsBy(1480));
      const replies = fragments.flatMap((fragment) => rig.respond(fragment));
      assert.ok(replies.every((reply) => reply.length <= 1500));
      assert.ok(total(replies) <= total(fragments));
      const data = Buffer.concat(replies.map((reply) => reply.subarray(20)));
      assert.deepEqual(new Uint8Array(data), echoOf(whole).subarray(20), `${length} bytes`);

      const six = udpPacket6({ ...ECHO, data: pattern(length) });
      const fragments6 = fragmentsOf6(six, endsBy(1448));
      const replies6 = fragments6.flatMap((fragment) => rig.respond(fragment));
      assert.ok(replies6.every((reply) => reply.length <= 1500));
      assert.ok(total(replies6) <= total(fragments6));
      const data6 = Buffer.concat(replies6.map((reply) => reply.subarray(reply[6] === 44 ? 48 : 40)));
      assert.deepEqual(new Uint8Array(data6), echoOf6(six).subarray(40), `${length} bytes`);
    }
    assert.deepEqual(rig.dropped, {});
    assert.equal(rig.held, 0);
    assert.equal(replied(rig), rig.received);
    assert.equal(rig.slots.free, SLOTS);
  });

  test("of a datagram in fragments, what its length leaves out does not come back", async () => {
    const rig = await rigWith({ mtu: 1500 });
    const whole = udpPacket({ ...ECHO, data: pattern(2000), fragment: 0, length: 108, checksum: 0 });
    const replies = fragmentsOf(whole, [0, 1480, 2008]).flatMap((fragment) => rig.respond(fragment));
    assert.deepEqual(replies.map((reply) => reply.length), [128]);
    assert.deepEqual(replies[0].subarray(28), pattern(2000).subarray(0, 100));
  });

  test("in TAP mode it goes back to where it came from", async () => {
    const rig = await rigWith({ link: SHARED, mtu: 1500 });
    const request = udpPacket(ECHO);
    const [reply] = rig.respond(frame(request, { tags: [[0x8100, 42]], padding: 5 }));
    assert.deepEqual(reply.subarray(0, 12), bytes(macBytes(PEER_MAC), macBytes(SHARED_MAC)));
    assert.deepEqual(reply.subarray(18), echoOf(request));
    const six = udpPacket6(ECHO);
    const [reply6] = rig.respond(frame(six, { type: 0x86dd }));
    assert.deepEqual(reply6.subarray(14), echoOf6(six));
  });

  test("UE-3: each source has 1000 answers at once and 1000 a second, unless another limit is set", async () => {
    const rig = await rigWith({ policy: { sourceLimit: undefined } });
    const answered = (count: number, options: UdpOptions = {}) => Array.from(
      { length: count }, () => rig.respond(udpPacket({ ...ECHO, ...options })).length,
    ).reduce((sum, length) => sum + length, 0);
    assert.equal(answered(1100), 1000);
    assert.equal(answered(10, { src: "192.0.2.1" }), 10, "another source");
    assert.equal(rig.respond(icmpPacket()).length, 1, "ping has no such limit");
    rig.now += 50;
    assert.equal(answered(100), 50);
    assert.deepEqual(rig.dropped, { rate_limited: 150 });
    assert.equal(counted(rig, Service.echo), 1060);

    const other = await rigWith({ policy: { sourceLimit: { rate: 1, burst: 3 } } });
    assert.equal(other.respond(...Array.from({ length: 9 }, () => udpPacket(ECHO))).length, 3);
    const both = await rigWith({ policy: { limit: { rate: 1, burst: 2 } } });
    assert.equal(both.respond(...Array.from({ length: 9 }, () => udpPacket(ECHO))).length, 2, "the prefix's");
  });

  test("UE-2: two pongds on one link do not answer each other, whatever a third one forges", async () => {
    const [a, b] = await Promise.all([
      rigWith({ mtu: 1500 }), rigWith({ mtu: 1500, prefixes: ["10.98.0.0/16"], host: "10.98.0.1" }),
    ]);
    for (let sourcePort = 0; sourcePort < 65536; sourcePort += sourcePort < 12000 ? 1 : 97) {
      let packets = a.respond(udpPacket({ ...ECHO, src: "10.98.1.1", sourcePort }));
      let hops = 0;
      for (; packets.length > 0 && hops < 10; hops++) packets = (hops % 2 === 0 ? b : a).respond(...packets);
      // The first answer may be told to be about a port without a service.
      assert.ok(hops <= 2, `from port ${sourcePort}`);
    }
  });
});

describe("UDP ports", () => {
  for (const { reason, name, packet, policy } of UDP) {
    test(`${name} → ${reason}`, async () => {
      const rig = await Rig.create("wasm", { policy: { ...BY_DEFAULT, ...policy } });
      assert.deepEqual(rig.respond(packet), []);
      assert.deepEqual(rig.dropped, { [reason]: 1 });
      assert.equal(rig.slots.free, SLOTS);
    });
  }

  test("a port without a service is as it is without any", async () => {
    for (const udp of [Unreachable.on, Unreachable.silent, Unreachable.off]) {
      const policy = { unreachable: { udp, other: Unreachable.on } };
      const rig = await rigWith({ policy });
      const plain = await Rig.create("wasm", { policy: { ...BY_DEFAULT, ...policy } });
      const packets = [udpPacket(), udpPacket6(), udpPacket({ length: 3 }), udpPacket({ checksum: 1 })];
      assert.deepEqual(rig.respond(...packets), plain.respond(...packets));
      assert.deepEqual(rig.dropped, plain.dropped);
      assert.equal(rig.respond(udpPacket(ECHO)).length, 1, "a service is there whatever unreachable says");
    }
    const rig = await rigWith();
    assert.deepEqual(rig.respond(udpPacket(), udpPacket6()), [
      expectedError(udpPacket(), 3, 3), expectedError6(udpPacket6(), 1, 4),
    ]);
  });

  test("each prefix has its own", async () => {
    const rig = await Rig.create("wasm", { reloadable: true, policy: BY_DEFAULT });
    const echo = { name: "echo", kind: Service.echo };
    const [a, b] = [[{ first: 7, last: 7, service: echo }], [{ first: 4000, last: 4010, service: echo }]]
      .map((ports, i) => serving([parsePrefix(`10.${98 + i}.0.0/16`)], { udp: { ports } }).prefixes);
    const none = serving([parsePrefix("10.97.0.0/16")]).prefixes;
    rig.linear.serve(tableOf({ ...serving([]), prefixes: [...a, ...b, ...none] }, {}));
    const answers = (dst: string, destinationPort: number) => {
      const [reply] = rig.respond(udpPacket({ src: "192.0.2.1", dst, destinationPort }));
      return reply[9] === 17;
    };
    const asked = [
      ["10.98.1.1", 7], ["10.98.1.1", 4000], ["10.99.1.1", 7], ["10.99.1.1", 3999], ["10.99.1.1", 4000],
      ["10.99.1.1", 4010], ["10.99.1.1", 4011], ["10.97.1.1", 7],
    ] as const;
    assert.deepEqual(
      asked.map(([dst, port]) => answers(dst, port)), [true, false, false, false, true, true, false, false],
    );
    rig.linear.serve(tableOf({ ...serving([]), prefixes: [...b] }, { indices: [1] }));
    assert.equal(answers("10.99.1.1", 4000), true);
    assert.deepEqual(rig.respond(udpPacket({ src: "192.0.2.1", dst: "10.98.1.1", destinationPort: 7 })), []);
  });

  test("services of TCP and UDP are listed and counted apart", async () => {
    const echo = { name: "echo", kind: Service.echo };
    const discard = { name: "discard", kind: Service.discard };
    const at = (port: number, service: PortRange["service"]) => [{ first: port, last: port, service }];
    const linear = (await Rig.create("wasm", { reloadable: true })).linear;
    const table = linear.write(tableOf({ ...serving([]), prefixes: serving(
      [parsePrefix(PREFIX)], { tcp: { ports: at(7, echo) }, udp: { ports: [...at(7, echo), ...at(9, discard)] } },
    ).prefixes }));
    assert.deepEqual(linear.accepting(table).map(({ protocol, service }) => `${protocol} ${service}`), [
      "tcp echo", "udp echo", "udp discard",
    ]);
    assert.equal(new Set(linear.accepting(table).map(({ counter }) => counter)).size, 3);
  });

  test("I5: received = replied + dropped", async () => {
    const rig = await rigWith();
    rig.respond(...UDP.map(({ packet }) => packet), udpPacket(ECHO), udpPacket6(ECHO), icmpPacket());
    const dropped = Object.values(rig.dropped).reduce((sum, count) => sum + count, 0);
    assert.equal(rig.received, dropped + replied(rig) + rig.replied);
    assert.equal(rig.linear.counters[Counter.packetsReceived], UDP.length + 3);
  });
});

function total(packets: readonly Uint8Array[]): number {
  return packets.reduce((sum, packet) => sum + packet.length, 0);
}

/** Returns a datagram whose checksum field is 0. */
function zeroSum(datagram: Uint8Array): Uint8Array {
  const copy = datagram.slice();
  copy.set([0, 0], 6);
  return copy;
}
