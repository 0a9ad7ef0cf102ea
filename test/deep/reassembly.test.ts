/**
 * Tests reassembly and replies in fragments, which the wasm engine alone does, with SIMD and without, against an
 * implementation that goes byte by byte.
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import fc from "fast-check";
import { CONTEXT, MTU, QUEUED, REASSEMBLY } from "../../abi/control.js";
import { Drop, ERRORS, IcmpError } from "../../abi/counters.js";
import { BATCH, SLOT_BASE, SLOTS } from "../../abi/slots.js";
import { TICK_NS } from "../../abi/timers.js";
import { Unreachable } from "../../abi/tables.js";
import { REASSEMBLY_BUFFER_SIZE, REASSEMBLY_TABLE_SIZE } from "../../abi/reassembly.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { DEFAULT_REASSEMBLY } from "../../src/prefix/policy.js";
import { tableOf } from "../../src/engine/table.js";
import { parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { build, type Exports } from "../support/assembly.js";
import { Rig, type BenchOptions } from "../support/engines.js";
import {
  destination, expectedError6, expectedReply6, fragmentHeader, fragmentsOf6, hopByHop, icmpv6Packet, ipv6Packet, raw,
  routing, setIcmpv6Checksum, udpPacket6, type Extension,
} from "../support/ipv6.js";
import {
  addr, bytes, expectedReply, fragmentsOf, icmpPacket, ipv4Packet, pattern, plainSum, PREFIX, setHeaderChecksum,
  udpPacket,
} from "../support/packets.js";
import { Reassembler } from "../support/reassembler.js";
import { FRAGMENTS } from "../vectors/drops.js";

const FLOOD = 1_000_000;
/** Milliseconds after which a datagram is given up: 60 s, and a tick of the timers. */
const MINUTE = 60_000.02;
const GUARD = 0xa5;

/** Cuts a packet where a link of this MTU would. */
function fragmented(packet: Uint8Array, mtu = 1500): Uint8Array[] {
  const headerLen = (packet[0] & 15) * 4;
  const size = mtu - headerLen & ~7;
  const payloadLen = packet.length - headerLen;
  return fragmentsOf(packet, [...Array.from({ length: Math.ceil(payloadLen / size) }, (_, i) => i * size), payloadLen]);
}

/** Cuts an IPv6 packet likewise, with `extensions` before each fragment header. */
function fragmented6(packet: Uint8Array, mtu = 1500, extensions: readonly Extension[] = []): Uint8Array[] {
  const room = mtu - 48 - extensions.reduce((sum, { rest }) => sum + 1 + rest.length, 0);
  const payloadLen = packet.length - 40;
  const offsets = [0];
  while (payloadLen - offsets[offsets.length - 1] > room) offsets.push(offsets[offsets.length - 1] + (room & ~7));
  return fragmentsOf6(packet, [...offsets, payloadLen], undefined, extensions);
}

/** Joins fragments, which are in order, to their datagram. */
function joined(fragments: readonly Uint8Array[]): Uint8Array {
  const datagram = new Uint8Array(20 + fragments.reduce((sum, { length }) => sum + length - 20, 0));
  datagram.set(fragments[0]);
  let end = 0;
  for (const [i, fragment] of fragments.entries()) {
    assert.equal(fragment[6] << 8 | fragment[7], end >> 3 | (i < fragments.length - 1 ? 0x2000 : 0));
    datagram.set(fragment.subarray(20), 20 + end);
    end += fragment.length - 20;
  }
  new DataView(datagram.buffer).setUint16(2, datagram.length);
  datagram[6] = 0;
  setHeaderChecksum(datagram);
  return datagram;
}

/** Returns the datagrams in packets, which are whole ones or fragments. None may be left incomplete or come twice. */
function datagramsOf(packets: readonly Uint8Array[]): Uint8Array[] {
  const reassembler = new Reassembler();
  const datagrams = packets.flatMap((packet) => {
    const ipv4 = packet[0] >> 4 === 4;
    if (ipv4) assert.equal(plainSum(packet.subarray(0, (packet[0] & 15) * 4)), 0xffff, "header checksum");
    if (ipv4 ? (packet[6] & 0x3f | packet[7]) === 0 : packet[6] !== 44) return [packet];
    const datagram = reassembler.insert(packet);
    if (datagram && ipv4) setHeaderChecksum(datagram);
    return datagram ? [datagram] : [];
  });
  assert.deepEqual([reassembler.held, reassembler.dropped], [0, {}]);
  return datagrams;
}

for (const name of ["wasm", "wasm-scalar"] as const) {
  const create = (options: BenchOptions = {}) => Rig.create(
    name, { mtu: 1500, ...options, policy: { reassembly: 64, tcp: { ports: [] }, ...options.policy } },
  );

  /**
   * Checks that every packet has one verdict or waits, that every slot is on the free stack, and that there is a
   * deadline if something waits.
   */
  const settle = (rig: Rig) => {
    const dropped = Object.values(rig.dropped).reduce((sum, count) => sum + count, 0);
    assert.equal(rig.received, rig.replied + dropped + rig.held, "I5: received = replied + dropped + held");
    assert.equal(rig.slots.free, SLOTS);
    assert.equal(new Set(rig.slots.stack).size, SLOTS);
    assert.equal(rig.clock.deadline !== 0, rig.held > 0);
  };

  describe(name, () => {
    for (const { reason, name: vector, packets, dropped, policy, mtu, laterMs } of FRAGMENTS) {
      test(`${vector} → ${reason}`, async () => {
        const rig = await create({ mtu: mtu ?? 65535, policy });
        for (const packet of packets) assert.deepEqual(rig.respond(packet), []);
        if (laterMs !== undefined) {
          rig.now += laterMs;
          rig.respond();
        }
        assert.deepEqual(rig.dropped, { [reason]: dropped });
        assert.equal(rig.held, packets.length - dropped);
        settle(rig);
      });
    }

    test("V-6, V-8, E-4: echo of every length up to 65507 that comes in fragments goes back in fragments, with all "
      + "its data", async () => {
      const rig = await create();
      const data = pattern(65507);
      for (let length = 0; length <= 65507; length++) {
        const request = icmpPacket({ data: data.subarray(0, length), fragment: 0, id: length, tos: 0x48 });
        const cut = length < 1473
          ? fragmentsOf(request, [0, 8, length + 8].filter((end, i, all) => end !== all[i - 1]))
          : fragmented(request);
        const replies = rig.respond(...cut);
        assert.ok(replies.every((reply) => reply.length <= 1500));
        assert.equal(replies.length, length < 1473 ? 1 : cut.length);
        assert.ok(replies.every((reply) => plainSum(reply.subarray(0, 20)) === 0xffff));
        assert.equal(Buffer.compare(joined(replies), expectedReply(request)), 0, `${length} bytes`);
        assert.equal(rig.held, 0);
      }
      assert.deepEqual(rig.dropped, {});
      settle(rig);
    });

    test("E-4: a reply's fragments are cut as RFC 791 has it for every MTU", async () => {
      for (let mtu = 68; mtu < 700; mtu++) {
        const rig = await create({ mtu });
        const request = icmpPacket({ data: pattern(1800), fragment: 0 });
        const replies = rig.respond(...fragmented(request, mtu));
        assert.deepEqual(datagramsOf(replies), [expectedReply(request)]);
        for (const [i, reply] of replies.entries()) {
          assert.ok(reply.length <= mtu && (i === replies.length - 1 || reply.length > mtu - 8), `${mtu}`);
        }
      }
    });

    test("V-6: random datagrams in random fragments, in any order, again, overlapping, of many senders: as "
      + "byte by byte", async () => {
      const rig = await create({ policy: { reassembly: 4 } });
      const block = fc.nat(40);
      const piece = fc.record({
        from: block, length: block, rest: fc.constantFrom(0, 0, 0, 1, 7),
        end: fc.constantFrom(undefined, undefined, undefined, true, false),
      });
      const datagram = fc.record({
        sender: fc.nat(2), id: fc.nat(1), protocol: fc.constantFrom(1, 1, 1, 17),
        length: fc.nat(320), cuts: fc.uniqueArray(block, { maxLength: 5 }), again: fc
          .array(fc.nat(5), { maxLength: 2 }),
        stray: fc.array(piece, { maxLength: 1 }),
      });
      const scenario = fc.record({
        datagrams: fc.array(datagram, { minLength: 1, maxLength: 8 }),
        order: fc.array(fc.nat(), { minLength: 64, maxLength: 64 }),
        batch: fc.integer({ min: 1, max: 20 }),
      });
      let answered = 0;
      const dropped: Record<string, number> = {};
      fc.assert(fc.property(scenario, ({ datagrams, order, batch }) => {
        rig.now += 2 * MINUTE;
        rig.respond();
        const before = rig.dropped;
        const repliedBefore = rig.replied;
        assert.equal(rig.held, 0);

        const fragments = datagrams.flatMap(({ sender, id, protocol, length, cuts, again, stray }) => {
          const request = icmpPacket(
            { src: `192.0.2.${sender}`, id, protocol, data: pattern(length), identifier: length, fragment: 0 },
          );
          const parts = fragmentsOf(request, [
            0, ...cuts.map((cut) => 8 * cut).filter((cut) => cut > 0 && cut < length + 8).sort((a, b) => a - b),
            length + 8,
          ]);
          const strays = stray.map(({ from, length: blocks, rest, end }) => ipv4Packet(
            pattern(8 * blocks + rest),
            { src: `192.0.2.${sender}`, id, protocol, fragment: from | (end ?? true ? 0x2000 : 0) },
          ));
          return [...parts, ...again.flatMap((i) => parts.slice(i, i + 1)), ...strays];
        })
          .map((packet, i) => ({ packet, key: order[i % order.length] }))
          .sort((a, b) => a.key - b.key)
          .map(({ packet }) => packet)
          .filter((packet) => ((packet[6] & 0x3f) | packet[7]) !== 0);

        const oracle = new Reassembler(4);
        const datagramsInOrder = fragments.flatMap((packet) => oracle.insert(packet) ?? []);
        const replies = [];
        for (let i = 0; i < fragments.length; i += batch) {
          replies.push(...rig.respond(...fragments.slice(i, i + batch)));
        }
        const requests = datagramsInOrder.filter(
          (whole) => whole.length >= 28 && whole[9] === 1 && whole[20] === 8 && plainSum(whole.subarray(20)) === 0xffff,
        );
        assert.deepEqual(replies, requests.map((whole) => expectedReply(whole)));
        assert.equal(rig.held, oracle.held);
        const difference = Object.fromEntries(
          Object.entries(rig.dropped).map(([reason, count]) => [reason, count - (before[reason] ?? 0)]),
        );
        for (const reason of ["dup_frag", "bad_frag", "frag_evicted"]) {
          assert.equal(difference[reason] ?? 0, oracle.dropped[reason] ?? 0, reason);
          dropped[reason] = (dropped[reason] ?? 0) + (oracle.dropped[reason] ?? 0);
        }
        const unanswered = ["icmp_csum", "pkt_too_small", "unhandled_proto", "unhandled_icmp_type"]
          .reduce((sum, reason) => sum + (difference[reason] ?? 0), 0);
        assert.equal(rig.replied - repliedBefore + unanswered, oracle.replied);
        answered += replies.length;
        settle(rig);
      }), { numRuns: 3000 });
      assert.ok(answered > 1000, `${answered}`);
      for (const reason of ["dup_frag", "bad_frag", "frag_evicted"]) {
        assert.ok(dropped[reason] > 500, `${reason}: ${dropped[reason]}`);
      }
    });

    test("V-6: 65,507 bytes in fragments of 8 bytes, backwards", async () => {
      const rig = await create();
      const request = icmpPacket({ data: pattern(65507), fragment: 0 });
      const fragments = fragmented(request, 28).reverse();
      const replies: Uint8Array[] = [];
      for (let i = 0; i < fragments.length; i += BATCH) replies.push(...rig.respond(...fragments.slice(i, i + BATCH)));
      assert.deepEqual(datagramsOf(replies), [expectedReply(request)]);
      assert.equal(rig.replied, 8190);
      settle(rig);
    });

    test("V-6: datagrams are told apart by source, destination, protocol and identification", async () => {
      const rig = await create();
      const request = (options: object) => icmpPacket({ data: pattern(56), fragment: 0, ...options });
      const [first, last] = fragmentsOf(request({}), [0, 32, 64]);
      const others = [{ src: "192.0.2.9" }, { dst: "10.99.1.2" }, { protocol: 17 }, { id: 0xbeee }]
        .map((options) => fragmentsOf(request(options), [0, 32, 64]));
      assert.deepEqual(rig.respond(first, ...others.map(([, tail]) => tail)), []);
      assert.equal(rig.held, 5);
      assert.deepEqual(rig.respond(last), [expectedReply(request({}))]);
      settle(rig);
    });

    test("V-6: a timeout is told to the sender if the first fragment came, V-7: and to nobody if not", async () => {
      const rig = await create();
      rig.now = 1_000_000;
      const [first, , last] = fragmented(icmpPacket({ data: pattern(4000), fragment: 0, src: "192.0.2.7", tos: 0xb8 }));
      const withoutFirst = fragmented(icmpPacket({ data: pattern(4000), fragment: 0, src: "192.0.2.8" })).slice(1);
      const ofError = fragmented(icmpPacket({ data: pattern(4000), type: 3, fragment: 0, src: "192.0.2.9" })).slice(1);
      assert.deepEqual(rig.respond(last, first), []);
      const { deadline } = rig.clock;
      const lateNs = deadline - (rig.now + 60_000) * 1e6;
      assert.ok(lateNs >= 0 && lateNs < TICK_NS, `${lateNs} ns late`);
      rig.now += 1000;
      assert.deepEqual(rig.respond(...withoutFirst, ...ofError), []);
      assert.equal(rig.clock.deadline, deadline, "the earliest");
      rig.now += MINUTE - 1001;
      assert.deepEqual(rig.respond(), []);
      assert.equal(rig.held, 6);

      rig.now += 1;
      const errors = rig.respond(icmpPacket());
      assert.deepEqual(errors.map((error) => [error[20], error[21]]), [[0, 0], [11, 1]]);
      assert.deepEqual(errors[1].subarray(28), first.subarray(0, 548));
      assert.deepEqual(errors[1].subarray(12, 20), Uint8Array.of(...addr("10.99.1.1"), ...addr("192.0.2.7")));
      assert.deepEqual(rig.dropped, { frag_reasm_timeout: 2 });
      assert.ok(rig.clock.deadline > rig.now * 1e6 && rig.clock.deadline <= (rig.now + 1000) * 1e6);
      settle(rig);
      rig.now += 1000;
      assert.deepEqual(rig.respond(), []);
      assert.deepEqual(rig.dropped, { frag_reasm_timeout: 6 });
      assert.equal(rig.linear.counters[ERRORS + IcmpError.time_exceeded], 1);
      settle(rig);
    });

    test("V-6: what comes after the timeout begins anew", async () => {
      const rig = await create();
      const [first, last] = fragmented(icmpPacket({ data: pattern(2000), fragment: 0 }));
      rig.respond(first);
      rig.now += MINUTE;
      assert.deepEqual(rig.respond(last).map((reply) => reply[20]), [11]);
      assert.deepEqual([rig.dropped, rig.held], [{ frag_reasm_timeout: 1 }, 1]);
      settle(rig);
    });

    test("a wall clock that is set forward or back ends nothing, and holds nothing longer", async () => {
      const rig = await create();
      const [first, last] = fragmented(icmpPacket({ data: pattern(2000), fragment: 0 }));
      for (const wall of [1_800_000_000_000, 1_900_000_000_000, 1_700_000_000_000]) {
        rig.wall = wall;
        assert.deepEqual(rig.respond(last), []);
        assert.equal(rig.held, 1);
        rig.wall = wall === 1_700_000_000_000 ? 0 : 2 * wall;
        assert.equal(rig.respond(first).length, 2);
      }
      rig.respond(last);
      rig.wall = 0;
      rig.now += MINUTE;
      rig.respond();
      assert.deepEqual([rig.dropped, rig.held], [{ frag_reasm_timeout: 1 }, 0]);
      settle(rig);
    });

    test("V-6: datagrams whose hashes are the same are told apart still", async () => {
      for (const other of [{ id: 2 }, { src: "192.0.2.9" }]) {
        const rig = await create();
        const request = icmpPacket({ id: 1, fragment: 0, ...other });
        const [first] = fragmentsOf(icmpPacket({ id: 1, fragment: 0 }), [0, 32, 64]);
        const [head, tail] = fragmentsOf(request, [0, 32, 64]);
        rig.respond(first, head);
        const table = rig.words[REASSEMBLY / 4] / 4;
        rig.words[table] = rig.words[table + 2];
        assert.deepEqual(rig.respond(tail), [expectedReply(request)]);
        assert.deepEqual([rig.dropped, rig.held], [{}, 1]);
        settle(rig);
      }
    });

    test("V-6: memory is touched for as many buffers as are needed", async () => {
      const rig = await create();
      for (let id = 0; id < 100; id++) {
        assert.equal(rig.respond(...fragmentsOf(icmpPacket({ id, fragment: 0 }), [0, 32, 64])).length, 1);
      }
      const second = rig.words[REASSEMBLY / 4] + REASSEMBLY_TABLE_SIZE + REASSEMBLY_BUFFER_SIZE;
      const end = rig.words[REASSEMBLY / 4] + REASSEMBLY_TABLE_SIZE + 64 * REASSEMBLY_BUFFER_SIZE;
      assert.ok(rig.bytes.subarray(second, end).every((byte) => byte === 0));
    });

    test("V-6: the oldest datagram makes room, whatever was complete in between", async () => {
      const rig = await create({ policy: { reassembly: 3 } });
      const halves = Array.from({ length: 6 }, (_, id) => fragmentsOf(icmpPacket({ id, fragment: 0 }), [0, 32, 64]));
      rig.respond(halves[0][0], halves[1][0], halves[2][0]);
      assert.equal(rig.respond(halves[0][1]).length, 1);
      rig.respond(halves[3][0], halves[4][0]);
      assert.deepEqual(rig.dropped, { frag_evicted: 1 });
      assert.deepEqual(rig.respond(halves[2][1], halves[3][1], halves[4][1]).map((reply) => reply[5]), [2, 3, 4]);
      assert.equal(rig.held, 0);
      assert.deepEqual(rig.respond(halves[1][1]), []);
      settle(rig);
    });

    test(`V-6: ${FLOOD} first fragments of random senders stay within the buffers, each is counted, and echo is `
      + "answered meanwhile", async () => {
      const rig = await create();
      const area = rig.words[REASSEMBLY / 4];
      const end = area + REASSEMBLY_TABLE_SIZE + 64 * REASSEMBLY_BUFFER_SIZE;
      rig.bytes.fill(GUARD, end);
      const before = rig.bytes.slice(SLOT_BASE + SLOTS * rig.linear.slotSize, area);
      const fragment = icmpPacket({ data: pattern(1472), fragment: 0x2000 });
      const view = new DataView(fragment.buffer);
      const pings = 16;
      let sent = 0;
      let senders = 0;
      while (sent < FLOOD) {
        const count = Math.min(BATCH - pings, FLOOD - sent);
        const packets = Array.from({ length: count }, () => {
          // No sender comes twice: multiplication by an odd number is a permutation modulo 2^24.
          view.setUint32(12, 0xc6000000 | Math.imul(senders++, 0x9e3779b1) & 0xffffff);
          setHeaderChecksum(fragment);
          return fragment.slice();
        });
        const requests = Array.from({ length: pings }, (_, i) => icmpPacket({ sequence: i }));
        assert.equal(rig.respond(...packets, ...requests).length, pings);
        sent += count;
      }
      assert.equal(rig.held, 64);
      assert.deepEqual(rig.dropped, { frag_evicted: FLOOD - 64 });
      assert.ok(rig.bytes.subarray(end).every((byte) => byte === GUARD), "nothing behind the buffers");
      assert.deepEqual(rig.bytes.subarray(SLOT_BASE + SLOTS * rig.linear.slotSize, area), before, "nor before them");
      settle(rig);
    });

    test("V-6: the longest datagram leaves the buffers beside its own alone", async () => {
      const rig = await create({ policy: { reassembly: 3 } });
      const buffers = rig.words[REASSEMBLY / 4] + REASSEMBLY_TABLE_SIZE;
      const beside = [0, 2].map(
        (i) => rig.bytes.subarray(buffers + i * REASSEMBLY_BUFFER_SIZE, buffers + (i + 1) * REASSEMBLY_BUFFER_SIZE),
      );
      rig.respond(ipv4Packet(pattern(8), { id: 1, fragment: 0x2000 }));
      const before = beside.map((bytes) => bytes.slice());
      const most = fragmented(icmpPacket({ data: pattern(65507 - 40), options: new Uint8Array(40), fragment: 0 }));
      assert.equal(
        most.flatMap((part) => rig.respond(part)).length,
        Math.ceil((65507 - 40 + 8) / (1500 - 20)),
        "answered, without the options",
      );
      for (const [offset, length] of [[65528, 7], [65520, 15]]) {
        rig.respond(ipv4Packet(pattern(length), { id: 2, fragment: offset >> 3 }));
      }
      assert.deepEqual(beside, before);
    });

    test("V-7: an error about a reassembled datagram quotes it from its start, and one about a later fragment is "
      + "never sent", async () => {
      const rig = await create({ policy: { unreachable: { udp: Unreachable.on, other: Unreachable.on } } });
      const packet = udpPacket({ data: pattern(3000), fragment: 0 });
      const fragments = fragmented(packet);
      assert.deepEqual(rig.respond(...fragments.slice(1)), []);
      const [error, ...others] = rig.respond(fragments[0]);
      assert.deepEqual([error[20], error[21]], [3, 3]);
      assert.deepEqual(error.subarray(28), packet.subarray(0, 548));
      assert.deepEqual(others, []);
      assert.deepEqual(
        rig.respond(...[17, 47, 6, 1].map((protocol) => ipv4Packet(pattern(64), { protocol, fragment: 5 }))), [],
      );
      assert.deepEqual(rig.dropped, { no_socket: 3 });
      settle(rig);
    });

    test("S-8: IPv6 echo of every length that comes in fragments goes back in fragments of its identification, with "
      + "all its data", async () => {
      const rig = await create();
      const lengths = [...Array(3000).keys(), ...Array.from({ length: 45 }, (_, i) => i * 1448)
        .flatMap((end) => [-9, -8, -7, -1, 0, 1, 7, 8].map((d) => end + d))];
      for (const length of [...lengths.filter((length) => length >= 0), 65487, 65507, 65519, 65520, 65526, 65527]) {
        const request = icmpv6Packet({ data: pattern(length), trafficClass: 0x48, flowLabel: 0x12345 });
        const cut = length < 1453
          ? fragmentsOf6(request, [0, 8, length + 8].filter((end, i, all) => end !== all[i - 1]))
          : fragmented6(request);
        if (length === 0) cut[0][43] = 0;
        const expected = length < 1453 ? [expectedReply6(request)] : fragmented6(expectedReply6(request));
        const replies = rig.respond(...cut);
        assert.deepEqual(replies.map(({ length }) => length), expected.map(({ length }) => length), `${length} bytes`);
        assert.equal(Buffer.compare(Buffer.concat(replies), Buffer.concat(expected)), 0, `${length} bytes`);
      }
      assert.deepEqual([rig.dropped, rig.held], [{}, 0]);
      settle(rig);
    });

    test("S-8: an IPv6 reply's fragments are cut as RFC 8200 has it for every MTU", async () => {
      for (let mtu = 1280; mtu < 1320; mtu++) {
        const rig = await create({ mtu });
        for (const length of [mtu - 49, mtu - 48, mtu - 47, 2400, 2 * mtu, 40000]) {
          const request = icmpv6Packet({ data: pattern(length) });
          const replies = rig.respond(...fragmented6(request, mtu));
          assert.deepEqual(datagramsOf(replies), [expectedReply6(request)]);
          for (const [i, reply] of replies.entries()) {
            assert.ok(reply.length <= mtu && (i === replies.length - 1 || reply.length > mtu - 8), `${mtu}`);
          }
        }
      }
    });

    test("S-8: random IPv6 datagrams in random fragments, in any order, again, overlapping, of many senders: as byte "
      + "by byte", async () => {
      const rig = await create({ policy: { reassembly: 4 } });
      const chains = [[], [], [destination()], [hopByHop(), destination(), routing(0, 0)]];
      const block = fc.nat(40);
      const datagram = fc.record({
        sender: fc.nat(2), id: fc.nat(1), type: fc.constantFrom(128, 128, 128, 129), length: fc.nat(320), chain: fc
          .constantFrom(...chains),
        cuts: fc.uniqueArray(block, { maxLength: 5 }), again: fc.array(fc.nat(5), { maxLength: 2 }),
        stray: fc.array(fc.record({
          from: fc.integer({ min: 1, max: 40 }), length: block, rest: fc.constantFrom(0, 0, 1, 7), end: fc.boolean(),
        }), { maxLength: 1 }),
      });
      const scenario = fc.record({
        datagrams: fc.array(datagram, { minLength: 1, maxLength: 8 }),
        order: fc.array(fc.nat(), { minLength: 64, maxLength: 64 }),
        batch: fc.integer({ min: 1, max: 20 }),
      });
      let answered = 0;
      const dropped: Record<string, number> = {};
      fc.assert(fc.property(scenario, ({ datagrams, order, batch }) => {
        rig.now += 2 * MINUTE;
        rig.respond();
        assert.equal(rig.held, 0);
        const before = rig.dropped;
        const repliedBefore = rig.replied;

        const fragments = datagrams.flatMap(({ sender, id, type, length, chain, cuts, again, stray }) => {
          const src = `2001:db8::${sender}`;
          const request = icmpv6Packet({ src, type, data: pattern(length), identifier: length });
          const ends = [...new Set([0, ...cuts.map((cut) => 8 * cut).filter((cut) => cut < length + 8), length + 8])]
            .sort((a, b) => a - b);
          const parts = fragmentsOf6(request, ends, id, chain).filter(() => ends.length > 2);
          // Only the last part may have a length that is no multiple of 8.
          const strays = stray.map(({ from, length: blocks, rest, end }) => {
            return ipv6Packet(
              pattern(8 * blocks + (end ? rest : 0)), { src, extensions: [fragmentHeader(8 * from, end ? 0 : 1, id)] },
            );
          });
          return [...parts, ...again.flatMap((i) => parts.slice(i, i + 1)), ...strays];
        })
          .map((packet, i) => ({ packet, key: order[i % order.length] }))
          .sort((a, b) => a.key - b.key)
          .map(({ packet }) => packet);

        const oracle = new Reassembler(4);
        const wholes = fragments.flatMap((packet) => oracle.insert(packet) ?? []);
        const replies = [];
        for (let i = 0; i < fragments.length; i += batch) {
          replies.push(...rig.respond(...fragments.slice(i, i + batch)));
        }
        const expected = wholes.flatMap((whole) => {
          const extensions = whole[6] === 58 ? 0 : whole[6] === 60 ? 8 : 40;
          const message = whole.subarray(40 + extensions);
          const plain = bytes(
            whole.subarray(0, 4), message.length >> 8, message.length & 255, 58, 64, whole.subarray(8, 40), message,
          );
          const right = plain.slice();
          setIcmpv6Checksum(right);
          return message[0] === 128 && Buffer.compare(right, plain) === 0 ? [expectedReply6(plain)] : [];
        });
        assert.deepEqual(replies, expected);
        assert.equal(rig.held, oracle.held);
        const difference = Object.fromEntries(
          Object.entries(rig.dropped).map(([reason, count]) => [reason, count - (before[reason] ?? 0)]),
        );
        for (const reason of ["dup_frag", "bad_frag", "frag_evicted"]) {
          assert.equal(difference[reason] ?? 0, oracle.dropped[reason] ?? 0, reason);
          dropped[reason] = (dropped[reason] ?? 0) + (oracle.dropped[reason] ?? 0);
        }
        const unanswered = ["icmp_csum", "unhandled_icmp_type"].reduce(
          (sum, reason) => sum + (difference[reason] ?? 0), 0,
        );
        assert.equal(rig.replied - repliedBefore + unanswered, oracle.replied);
        answered += replies.length;
        settle(rig);
      }), { numRuns: 3000 });
      assert.ok(answered > 1000, `${answered}`);
      for (const reason of ["dup_frag", "bad_frag", "frag_evicted"]) {
        assert.ok(dropped[reason] > 300, `${reason}: ${dropped[reason]}`);
      }
    });

    test("S-8: datagrams are told apart by source, destination, identification and family, and not by "
      + "the next header", async () => {
      const rig = await create();
      const request = icmpv6Packet();
      const [first, last] = fragmentsOf6(request, [0, 32, 64], 7);
      const others = [{ src: "2001:db8::7" }, { dst: "fd99::1:2" }].map(
        (options) => fragmentsOf6(icmpv6Packet(options), [0, 32, 64], 7)[1],
      );
      const [, ipv4] = fragmentsOf(icmpPacket({ id: 7, fragment: 0 }), [0, 32, 64]);
      assert.deepEqual(rig.respond(first, ...others, fragmentsOf6(request, [0, 32, 64], 8)[1], ipv4), []);
      assert.equal(rig.held, 5);
      last[40] = 17;
      assert.deepEqual(rig.respond(last), [expectedReply6(request)]);
      assert.equal(rig.held, 4);
      settle(rig);
    });

    test("S-8: headers before the fragment header, 896 bytes of them all, count as the datagram's, and "
      + "those behind it", async () => {
      const rig = await create();
      const option = (length: number) => bytes(0x1e, length, new Uint8Array(length));
      const long = (length: number) => raw(
        60, length / 8 - 1, option(253), option(253), option(253), option(length - 769),
      );
      const request = icmpv6Packet({ data: pattern(3000) });
      for (const extensions of [[destination()], [hopByHop(), destination(), routing(0, 0)], [long(848)]]) {
        assert.deepEqual(
          datagramsOf(rig.respond(...fragmented6(request, 1500, extensions))), [expectedReply6(request)],
        );
      }
      const within = icmpv6Packet({ data: pattern(3000), extensions: [destination(0x1e, 0)] });
      assert.deepEqual(
        datagramsOf(rig.respond(...fragmented6(within).reverse())), [expectedReply6(within, { extensions: 8 })],
      );
      assert.deepEqual(rig.dropped, {});
      assert.deepEqual(rig.respond(...fragmented6(request, 1500, [long(856)])), []);
      assert.deepEqual(rig.dropped, { ipv6_bad_exthdr: 6 });
      settle(rig);
    });

    test("S-8: an error about a reassembled datagram quotes it without its fragment header", async () => {
      const rig = await create({ policy: { unreachable: { udp: Unreachable.on, other: Unreachable.on } } });
      const udp = udpPacket6({ data: pattern(3000) });
      assert.deepEqual(rig.respond(...fragmented6(udp)), [expectedError6(udp, 1, 4)]);
      const unknown = ipv6Packet(pattern(3000), { nextHeader: 253, extensions: [destination()] });
      assert.deepEqual(rig.respond(...fragmented6(unknown)), [expectedError6(unknown, 4, 1, { pointer: 40 })]);
      const before = ipv6Packet(pattern(3000), { nextHeader: 253 });
      assert.deepEqual(
        rig.respond(...fragmented6(before, 1500, [destination()])), [expectedError6(unknown, 4, 1, { pointer: 40 })],
      );
      const late = icmpv6Packet({ data: pattern(3000), extensions: [hopByHop()] });
      assert.deepEqual(rig.respond(...fragmented6(late)), [expectedError6(late, 4, 1, { pointer: 6 })]);
      const twice = icmpv6Packet({ data: pattern(3000), extensions: [fragmentHeader(0, 1, 9)] });
      assert.deepEqual(rig.respond(...fragmented6(twice)), [expectedError6(twice, 4, 0, { pointer: 40 })]);
      assert.deepEqual(rig.dropped, { no_socket: 3, ip_noproto: 6, ipv6_bad_exthdr: 6 });
      settle(rig);
    });

    test("S-8: an IPv6 timeout is told to the sender, with the first fragment as it came, if that came", async () => {
      const rig = await create();
      const request = icmpv6Packet({ data: pattern(4000), src: "2001:db8::7" });
      for (const [extensions, mtu] of [[[], 1500], [[destination()], 1500], [[], 1280], [[], 300]] as const) {
        const [first, , ...rest] = fragmented6(request, mtu, extensions);
        assert.deepEqual(rig.respond(...rest, first), []);
        rig.now += MINUTE - 1;
        assert.deepEqual(rig.respond(), []);
        rig.now += 1;
        assert.deepEqual(rig.respond(), [expectedError6(first, 3, 1)]);
        assert.deepEqual(rig.respond(...fragmented6(request, mtu, extensions).slice(1)), []);
        rig.now += MINUTE;
        assert.deepEqual(rig.respond(), []);
        settle(rig);
      }
      rig.respond(fragmented6(icmpv6Packet({ type: 1, data: pattern(4000) }))[0]);
      rig.now += MINUTE;
      assert.deepEqual(rig.respond(), [], "never about an error");
      assert.deepEqual(Object.keys(rig.dropped), ["frag_reasm_timeout"]);
    });

    test("S-8, RFC 3168 §5.3: congestion that a fragment met is in the reply's traffic class", async () => {
      const rig = await create();
      for (const [codepoints, expected] of [[[1, 1], 1], [[2, 3], 3], [[3, 2], 3], [[0, 0], 0], [[2, 1], 2]] as const) {
        const fragments = fragmentsOf6(icmpv6Packet({ trafficClass: 0xb8, flowLabel: 0xfffff }), [0, 32, 64]);
        fragments.forEach((fragment, i) => { fragment[1] |= codepoints[i] << 4; });
        assert.deepEqual(
          rig.respond(...fragments).map((reply) => [...reply.subarray(0, 4)]),
          [[0x6b, 0x8f | expected << 4, 0xff, 0xff]],
        );
      }
    });

    test("a reply in fragments is not marked don't fragment, though its request was: where it gets through "
      + "is not known", async () => {
      const rig = await create();
      const request = icmpPacket({ data: pattern(1000), fragment: 0x4000 });
      assert.deepEqual(rig.respond(...fragmented(request, 576)), [expectedReply(Object.assign(request, { 6: 0 }))]);
    });

    test("RFC 3168 §5.3: congestion that a fragment met is in the reply's type of service", async () => {
      const rig = await create();
      for (const [codepoints, expected] of [
        [[1, 1], 1], [[2, 3], 3], [[3, 2], 3], [[3, 3], 3], [[0, 0], 0], [[2, 1], 2],
      ] as const) {
        const fragments = fragmentsOf(icmpPacket({ fragment: 0 }), [0, 32, 64]);
        fragments.forEach((fragment, i) => {
          fragment[1] = 0xb8 | codepoints[i];
          setHeaderChecksum(fragment);
        });
        assert.deepEqual(rig.respond(...fragments).map((reply) => reply[1]), [0xb8 | expected]);
      }
    });
  });
}

describe("fragments of a reply", () => {
  const DONE = 0;
  let linear: LinearMemory;
  let transmit: Exports[string];
  before(async () => {
    linear = LinearMemory.create(
      { mtu: 100, reassembly: DEFAULT_REASSEMBLY, table: tableOf(serving([parsePrefix(PREFIX)])) },
    );
    ({ transmit } = await build("assembly/respond/fragment.ts", linear.memory, "release"));
  });

  test("without slots enough for all of them, none is sent", () => {
    const words = new Uint32Array(linear.memory.buffer);
    for (const [length, slots] of [[72, 1], [73, 2], [152, 2], [153, 3], [200, 3]]) {
      const datagram = icmpPacket({ data: pattern(length), fragment: 0 });
      const at = words[REASSEMBLY / 4];
      for (const spare of [0, slots - 1, slots]) {
        new Uint8Array(linear.memory.buffer).set(datagram, at);
        words[QUEUED / 4] = 0;
        // The engine leaves two slots for the I/O.
        linear.slots.freeAll();
        while (linear.slots.free > spare + 2) linear.slots.take();
        const verdict = spare === slots ? DONE : ~Drop.nomem;
        assert.equal(transmit(CONTEXT, at, datagram.length), verdict, `${length} bytes, ${spare} slots`);
        assert.equal(words[QUEUED / 4], spare === slots ? slots : 0);
      }
    }
    linear.slots.freeAll();
  });

  const COPIED = [0x82, 4, 9, 9];
  const cases: [name: string, options: number[], later: number[]][] = [
    ["Record Route, then one that is copied", [7, 7, 4, 1, 2, 3, 4, ...COPIED, 0], COPIED],
    ["one that is copied and no multiple of 4", [1, 0x82, 3, 9, 7, 3, 4, 0], [0x82, 3, 9, 0]],
    ["no-operations", [1, 1, 1, 0], []],
    ["what lies behind the end", [0, 7, 3, 4], []],
    ["a length of 0", [7, 0, ...COPIED, 0, 0], COPIED],
    ["a length beyond the header", [...COPIED, 7, 200, 5, 5], COPIED],
    ["a type and no length", [...COPIED, 1, 1, 1, 7], COPIED],
  ];
  for (const [name, options, later] of cases) {
    test(`E-4: later ones have the options alone that are marked to be copied: ${name}`, () => {
      const bytes = new Uint8Array(linear.memory.buffer);
      const words = new Uint32Array(linear.memory.buffer);
      assert.equal(words[MTU / 4], 100);
      const datagram = icmpPacket({ data: pattern(200), options: Uint8Array.from(options), fragment: 0 });
      const at = words[REASSEMBLY / 4];
      bytes.set(datagram, at);
      words[QUEUED / 4] = 0;
      assert.equal(transmit(CONTEXT, at, datagram.length), DONE);
      const fragments = Array.from(
        { length: words[QUEUED / 4] },
        (_, i) => bytes.slice(linear.slots.toSend(i), linear.slots.toSend(i) + linear.slots.toSendLength(i)),
      );
      assert.ok(fragments.length > 2);
      fragments.forEach((fragment, i) => {
        assert.deepEqual([...fragment.subarray(20, (fragment[0] & 15) * 4)], i === 0 ? options : later);
      });
      assert.ok(fragments.slice(1, -1).every(({ length }) => length > 100 - 8), "as long as the MTU lets them be");
      assert.deepEqual(datagramsOf(fragments), [datagram]);
    });
  }
});
