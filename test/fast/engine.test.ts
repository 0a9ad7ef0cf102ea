/** Tests what an engine does with one packet: every engine, every requirement and every reason to drop. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BATCH_SIZES, Counter, Drop, PREFIX_REPLIES } from "../../abi/counters.js";
import { BATCH, SLOTS } from "../../abi/slots.js";
import { ENGINES, Rig } from "../support/engines.js";
import { expectedReply, icmpPacket, ipv4Packet, pattern, plainSum, setIcmpChecksum } from "../support/packets.js";
import { DROPS, FRAGMENTS, IGNORED, LIMITED, LINKED, PATHED, PROBES, SILENT, UDP } from "../vectors/drops.js";
import { DROP_FRAMES } from "../vectors/frames.js";

for (const name of ENGINES) {
  describe(name, () => {
    test("E-1: an echo request is answered, byte for byte as RFC 792 says", async () => {
      const rig = await Rig.create(name);
      const request = icmpPacket();
      assert.deepEqual(rig.respond(request), [expectedReply(request)]);
      assert.equal(rig.replied, 1);
      assert.deepEqual(rig.dropped, {});
    });

    test("E-2: the reply's source is the request's destination", async () => {
      const rig = await Rig.create(name);
      const [reply] = rig.respond(icmpPacket({ src: "192.0.2.7", dst: "10.99.200.3" }));
      assert.deepEqual([...reply.subarray(12, 20)], [10, 99, 200, 3, 192, 0, 2, 7]);
    });

    test("E-3: data of every length from 0 to 65507 comes back, with identifier and sequence number", async () => {
      const rig = await Rig.create(name);
      const all = pattern(65507);
      const lengths = [
        ...Array.from({ length: 2049 }, (_, i) => i), 4095, 4096, 8972, 8973, 32767, 32768, 65505, 65506, 65507,
      ];
      for (const length of lengths) {
        const request = icmpPacket(
          { data: all.subarray(0, length), identifier: length & 0xffff, sequence: ~length & 0xffff },
        );
        const [reply] = rig.respond(request);
        assert.ok(reply, `no reply to ${length} bytes of data: ${JSON.stringify(rig.dropped)}`);
        assert.equal(Buffer.compare(reply, expectedReply(request)), 0, `wrong reply to ${length} bytes of data`);
      }
    });

    test("E-9: the reply's TTL is ours, whatever the request's, V-4: also for 0 and 1", async () => {
      for (const ttl of [64, 1, 255]) {
        const rig = await Rig.create(name, { policy: { ttl } });
        for (const requestTtl of [0, 1, 2, 63, 64, 128, 255]) {
          const request = icmpPacket({ ttl: requestTtl });
          assert.deepEqual(rig.respond(request), [expectedReply(request, ttl)]);
        }
      }
    });

    test("E-10: type of service goes back as it came", async () => {
      const rig = await Rig.create(name);
      for (let tos = 0; tos < 256; tos++) {
        const [reply] = rig.respond(icmpPacket({ tos }));
        assert.equal(reply[1], tos);
        assert.equal(plainSum(reply.subarray(0, 20)), 0xffff);
      }
    });

    test("E-11: the checksum of an odd length holds, and counts no byte behind it", async () => {
      const rig = await Rig.create(name);
      for (const length of [1, 3, 5, 7, 9, 15, 17, 57, 63, 65, 1471]) {
        const [reply] = rig.respond(icmpPacket({ data: pattern(length) }));
        assert.equal(plainSum(reply.subarray(20)), 0xffff, `${length} bytes of data`);
      }
    });

    test("E-12: an echo request with a code other than 0 is answered, the code kept", async () => {
      const rig = await Rig.create(name);
      for (let code = 0; code < 256; code++) {
        const request = icmpPacket({ code });
        assert.deepEqual(rig.respond(request), [expectedReply(request)]);
        assert.equal(expectedReply(request)[21], code);
      }
    });

    for (const { reason, name: vector, packet, policy } of IGNORED) {
      test(`E-13: ${vector} is answered unless the prefix is told not to`, async () => {
        assert.equal((await Rig.create(name)).respond(packet).length, 1);
        const rig = await Rig.create(name, { policy });
        assert.deepEqual(rig.respond(packet), []);
        assert.deepEqual(rig.dropped, { [reason]: 1 });
      });
    }

    for (const data of [56, 524, 525, 1472]) {
      test(`E-15, E-16: identification and don't-fragment of ${28 + data} bytes go back, but no don't-fragment above `
        + "552, and the reserved flag never", async () => {
        const rig = await Rig.create(name);
        for (const fragment of [0x0000, 0x4000, 0x8000, 0xc000]) {
          for (const id of [0, 1, 0xff, 0x100, 0xffff]) {
            const request = { id, fragment, sequence: 0xfedc, data: pattern(data) };
            const [reply] = rig.respond(icmpPacket(request));
            assert.deepEqual(reply, expectedReply(icmpPacket({ ...request, fragment: fragment & 0x4000 })));
            assert.equal(reply[6], data > 524 ? 0 : fragment >> 8 & 0x40);
            assert.equal(plainSum(reply.subarray(0, 20)), 0xffff);
          }
        }
      });
    }

    test("E-16: replies to requests without an identification have one each", async () => {
      const rig = await Rig.create(name);
      const ids = Array.from({ length: 1000 }, (_, sequence) => {
        const [reply] = rig.respond(
          icmpPacket({ id: 0, fragment: 0x4000, sequence: sequence + 0x1000, data: pattern(1400) }),
        );
        return reply[4] << 8 | reply[5];
      });
      assert.equal(new Set(ids).size, ids.length);
    });

    test("V-3: trailing bytes are not echoed", async () => {
      const rig = await Rig.create(name);
      for (const length of [0, 1, 18, 56]) {
        const request = icmpPacket({ data: pattern(length) });
        const padded = new Uint8Array(request.length + 18).fill(0xee);
        padded.set(request);
        assert.deepEqual(rig.respond(padded), [expectedReply(request)]);
      }
      assert.equal(rig.linear.counters[Counter.bytesReceived], 4 * (28 + 18) + 0 + 1 + 18 + 56);
    });

    test("C-3: an all-zero echo request gets the reply whose checksum verifies", async () => {
      const rig = await Rig.create(name);
      for (const length of [0, 8, 1000]) {
        const msg = new Uint8Array(8 + length);
        msg.set([8, 0, 0xf7, 0xff]);
        const [reply] = rig.respond(ipv4Packet(msg));
        const expected = new Uint8Array(8 + length);
        expected.set([0xff, 0xff], 2);
        assert.deepEqual(reply.subarray(20), expected);
      }
    });

    test("C-3: where the recomputed checksum is 0, that is what is sent, wherever the bits are "
      + "that make it so", async () => {
      const rig = await Rig.create(name);
      // The rest of the reply sums to 0xffff, by the identifier, the code, or the last bytes of a short and a long
      // message.
      for (const [length, code, ...ones] of [
        [8, 0, 4, 5], [10, 0, 8, 9], [1472, 0, 1470, 1471], [64, 0xff, 4], [1473, 0xff, 1472],
      ]) {
        const msg = new Uint8Array(length);
        msg.set([8, code]);
        for (const at of ones) msg[at] = 0xff;
        setIcmpChecksum(msg);
        assert.deepEqual([...msg.subarray(2, 4)], [0xf7, 0xff]);
        for (const request of [ipv4Packet(msg), ipv4Packet(msg, { fragment: 0x8000 })]) {
          const [reply] = rig.respond(request);
          assert.deepEqual([...reply.subarray(22, 24)], [0, 0], `${length} bytes, code ${code}`);
          assert.equal(plainSum(reply.subarray(20)), 0xffff);
        }
      }
    });

    test("C-3: a request's checksum of 0xffff, the alias of 0, is accepted where it verifies", async () => {
      const rig = await Rig.create(name);
      const msg = Uint8Array.of(8, 0, 0, 0, 0xf7, 0xff, 0, 0);
      assert.equal(plainSum(msg), 0xffff);
      assert.equal(rig.respond(ipv4Packet(msg)).length, 1);
      msg.set([0xff, 0xff], 2);
      const [reply] = rig.respond(ipv4Packet(msg));
      assert.equal(plainSum(reply.subarray(20)), 0xffff);
    });

    test("V-5: the host's own address is a valid source, though it lies in the prefix", async () => {
      assert.equal((await Rig.create(name)).respond(icmpPacket({ src: "10.99.0.1" })).length, 1);
      const rig = await Rig.create(name, { host: undefined });
      assert.deepEqual(rig.respond(icmpPacket({ src: "10.99.0.1" })), []);
      assert.deepEqual(rig.dropped, { martian_source: 1 });
    });

    test("I1: every address of the prefix answers, its first and last too, and none beside it", async () => {
      const rig = await Rig.create(name, { prefixes: ["198.51.100.8/29"], host: undefined });
      for (let last = 0; last < 256; last++) {
        const replies = rig.respond(icmpPacket({ src: "192.0.2.1", dst: `198.51.100.${last}` }));
        assert.equal(replies.length, last >= 8 && last < 16 ? 1 : 0, `198.51.100.${last}`);
      }
      assert.deepEqual(rig.dropped, { not_our_prefix: 248 });
    });

    test("T-1, T-3: a timestamp request is answered with the message's 20 bytes, from the address that was asked, "
      + "whatever came behind them", async () => {
      const rig = await Rig.create(name, { policy: { ttl: 77 } });
      rig.now = Date.UTC(2026, 10, 24, 12, 34, 56, 789) + 0.5;
      const ms = ((12 * 60 + 34) * 60 + 56) * 1000 + 789;
      for (const length of [20, 21, 40, 1472]) {
        for (const code of [0, 5]) {
          const options = { type: 13, code, src: "192.0.2.7", dst: "10.99.200.3", tos: 0x48, id: 0xbeef, ttl: 3 };
          const request = icmpPacket({ ...options, data: pattern(length - 8) });
          const expected = expectedReply(icmpPacket({ ...options, data: pattern(12) }), 77);
          const view = new DataView(expected.buffer);
          expected.set([14, 0], 20);
          view.setUint32(32, ms);
          view.setUint32(36, ms);
          setIcmpChecksum(expected.subarray(20));
          assert.deepEqual(rig.respond(request), [expected]);
        }
      }
      assert.equal(rig.replied, 8);
    });

    test("T-2: milliseconds since midnight UTC, and 0 again at midnight", async () => {
      const rig = await Rig.create(name);
      const midnight = Date.UTC(2026, 10, 25);
      const last = 86_399_999;
      for (const [now, ms] of [
        [0, 0], [midnight - 1, last], [midnight - 0.001, last], [midnight, 0], [midnight + 1, 1],
        [Date.UTC(2100, 0, 2) - 1, last],
      ]) {
        rig.now = now;
        const [reply] = rig.respond(icmpPacket({ type: 13, data: pattern(12) }));
        const view = new DataView(reply.buffer, reply.byteOffset);
        assert.deepEqual([view.getUint32(32), view.getUint32(36)], [ms, ms]);
        assert.equal(plainSum(reply.subarray(20)), 0xffff);
        assert.equal(plainSum(reply.subarray(0, 20)), 0xffff);
      }
    });

    test("E-13: a timestamp is answered while echo is ignored", async () => {
      const rig = await Rig.create(name, { policy: { echo: false } });
      assert.equal(rig.respond(icmpPacket({ type: 13, data: pattern(12) })).length, 1);
    });

    test("I1: what is cut out of a prefix is not answered, what lies in it and is a prefix is, and the rest of it may "
      + "ask", async () => {
      const rig = await Rig.create(
        name,
        { prefixes: ["10.99.0.0/16", "10.99.7.64/26"], exceptions: ["10.99.7.0/24", "10.99.7.70/32"], host: undefined },
      );
      const answered = (dst: string, src = "192.0.2.1") => rig.respond(icmpPacket({ src, dst })).length === 1;
      assert.deepEqual([
        "10.99.6.255", "10.99.7.0", "10.99.7.63", "10.99.7.64", "10.99.7.70", "10.99.7.127", "10.99.7.128", "10.99.8.0",
      ].map((dst) => answered(dst)), [true, false, false, true, false, true, false, true]);
      assert.deepEqual(rig.dropped, { not_our_prefix: 4 });
      assert.ok(answered("10.99.1.1", "10.99.7.1"), "an address that is not answered for is a source as any other");
    });

    for (const { reason, name: vector, packet } of DROPS) {
      test(`${vector} → ${reason}`, async () => {
        const rig = await Rig.create(name);
        assert.deepEqual(rig.respond(packet), []);
        assert.deepEqual(rig.dropped, { [reason]: 1 });
        assert.equal(rig.received, 1);
      });
    }

    test("I5: a batch of everything: received = replied + dropped, and every slot is free again", async () => {
      const rig = await Rig.create(name);
      const packets = [
        ...DROPS.map(({ packet }) => packet), ...Array.from({ length: 20 }, (_, i) => icmpPacket({ sequence: i })),
      ];
      const replies = rig.respond(...packets);
      assert.deepEqual(
        replies.map((reply) => reply[27]), Array.from({ length: 20 }, (_, i) => i), "in the order in which they came",
      );
      const dropped = Object.values(rig.dropped).reduce((a, b) => a + b, 0);
      assert.equal(rig.received, packets.length);
      assert.equal(rig.received, rig.replied + dropped);
      assert.equal(rig.linear.counters[Counter.bytesReceived], packets.reduce((sum, { length }) => sum + length, 0));
      assert.equal(rig.slots.free, SLOTS);
      assert.equal(new Set(rig.slots.stack).size, SLOTS, "no slot is on the stack twice");
    });

    test("replies are counted under the longest prefix that holds their address", async () => {
      const rig = await Rig.create(name, { prefixes: ["10.99.0.0/16", "10.99.7.0/24", "10.99.7.7/32"] });
      rig.respond(
        ...["10.99.1.1", "10.99.7.6", "10.99.7.7", "10.99.7.8", "10.99.8.0"].map((dst) => icmpPacket({ dst })),
      );
      assert.deepEqual([...rig.linear.counters.subarray(PREFIX_REPLIES, PREFIX_REPLIES + 3)], [2, 2, 1]);
    });

    test("batches are counted by their size, in powers of two", async () => {
      const rig = await Rig.create(name);
      for (const size of [1, 2, 3, 4, 5, 8, 9, 128, 129, BATCH]) {
        rig.respond(...Array.from({ length: size }, () => icmpPacket()));
      }
      assert.deepEqual([...rig.linear.counters.subarray(BATCH_SIZES, BATCH_SIZES + 9)], [1, 1, 2, 2, 1, 0, 0, 1, 2]);
    });
  });
}

test("every drop reason has a vector", () => {
  const reasons = Object.keys(Drop).filter((key) => Number.isNaN(Number(key)));
  // Five reasons have tests elsewhere: worker_crash and stopped are counted by the host and belong to no packet,
  // icmp_packet_too_big (pmtu.test.ts) is about a packet that was answered, skb_gso_seg (offload.test.ts) about the
  // header before a packet, and socket_rcvbuff (datagrams.test.ts) about a service thread. Most reasons of TCP need a
  // connection, which test/vectors/tcp/ has, and three of IRTT's a session (irtt.test.ts).
  const ofConnections = reasons.filter((reason) => reason.startsWith("tcp_") && reason !== "tcp_csum");
  assert.deepEqual([
    "worker_crash", "stopped", "icmp_packet_too_big", "skb_gso_seg", "socket_rcvbuff", "irtt_interval", "irtt_sessions",
    "irtt_close", ...ofConnections,
    ...new Set(
      [
        ...DROPS, ...IGNORED, ...PROBES, ...LIMITED, ...SILENT, ...UDP, ...FRAGMENTS, ...LINKED, ...PATHED,
        ...DROP_FRAMES,
      ].map(({ reason }) => reason),
    ),
  ].sort(), reasons.sort());
});
