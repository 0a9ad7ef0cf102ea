/**
 * Tests the path MTU of IPv6, S-12: the effects of a Packet Too Big, and their limits. IPv4's, E-16, is tested in
 * engine.test.ts.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PATH_SETS, PATHS } from "../../abi/paths.js";
import { SLOTS } from "../../abi/slots.js";
import { BY_DEFAULT, Rig, type BenchOptions } from "../support/engines.js";
import { frame, PEER_MAC, SHARED, SHARED_MAC } from "../support/frames.js";
import {
  expectedReply6, fragmentHeader, fragmentsOf6, icmpv6Packet, ipv6Packet, PREFIX6, TARGET6, udpPacket6,
} from "../support/ipv6.js";
import { bytes, pattern } from "../support/packets.js";
import { Random } from "../support/random.js";
import { Reassembler } from "../support/reassembler.js";

const CLIENT = "2001:db8::7";
const ROUTER = "2001:db8:ffff::1";
const SECOND = 1000;
const MINUTE = 60 * SECOND;

const random = Random.fromEnvironment();

/** Makes a Packet Too Big about `sent`, for its sender. */
function tooBig(sent: Uint8Array, mtu: number, { quoted = 1232 } = {}): Uint8Array {
  const to = [...Array(8).keys()].map((i) => (sent[8 + 2 * i] << 8 | sent[9 + 2 * i]).toString(16)).join(":");
  return icmpv6Packet(
    { type: 2, src: ROUTER, dst: to, identifier: mtu >>> 16, sequence: mtu & 0xffff, data: sent.slice(0, quoted) },
  );
}

const ping = (
  length: number, options: Parameters<typeof icmpv6Packet>[0] = {},
) => icmpv6Packet({ src: CLIENT, data: pattern(length - 48), ...options });

/** Reassembles fragments, and checks that each is as long as the MTU allows. */
function whole(fragments: readonly Uint8Array[], mtu: number): Uint8Array | undefined {
  const reassembler = new Reassembler();
  fragments.forEach((fragment, i) => {
    const last = i === fragments.length - 1;
    assert.ok(
      fragment.length <= mtu && (last || fragment.length > mtu - 8),
      `fragment ${i} has ${fragment.length} bytes, of an MTU of ${mtu}`,
    );
  });
  return fragments.map((fragment) => reassembler.insert(fragment)).at(-1);
}

for (const name of ["wasm", "wasm-scalar"] as const) {
  describe(name, () => {
    const create = (options: BenchOptions = {}) => Rig.create(
      name, { prefixes: [PREFIX6], mtu: 1500, policy: BY_DEFAULT, ...options },
    );

    for (const mtu of [1280, 1380, 1400, 1492]) {
      test(`S-12: once a link of ${mtu} bytes was told of, replies fit it, whole or in fragments, those to others as `
        + "before", async () => {
        const rig = await create();
        const [sent] = rig.respond(ping(1500));
        assert.deepEqual(sent, expectedReply6(ping(1500)), "nothing is known yet");
        assert.deepEqual(rig.respond(tooBig(sent, mtu)), []);
        assert.deepEqual(rig.dropped, { icmp_packet_too_big: 1 });
        assert.deepEqual(rig.respond(ping(mtu)), [expectedReply6(ping(mtu))]);
        for (let length = mtu + 1; length <= 1500; length++) {
          const request = ping(length, { sequence: length });
          assert.deepEqual(whole(rig.respond(request), mtu), expectedReply6(request), `${length} bytes`);
        }
        const large = ping(9000);
        assert.deepEqual(
          whole(rig.respond(...fragmentsOf6(large, [0, 1448, 2896, 4344, 5792, 7240, 8688, 8960])), mtu),
          expectedReply6(large),
        );
        for (const other of [{ src: "2001:db8::8" }, { src: "2001:db8:1::7" }]) {
          assert.deepEqual(rig.respond(ping(1500, other)), [expectedReply6(ping(1500, other))]);
        }
        assert.equal(rig.slots.free, SLOTS);
      });
    }

    test("S-12: a reply to a request in fragments is cut no larger than the largest of them, or 1280", async () => {
      const rig = await create();
      for (const [largest, mtu] of [[1000, 1280], [1232, 1280], [1240, 1288], [1392, 1440], [1448, 1496]]) {
        for (const order of [[0, 1, 2], [2, 1, 0]]) {
          const request = ping(40 + 2 * largest + 304);
          const fragments = fragmentsOf6(request, [0, largest, 2 * largest, 2 * largest + 304]);
          assert.deepEqual(whole(rig.respond(...order.map((i) => fragments[i])), mtu), expectedReply6(request));
        }
      }
      assert.deepEqual([rig.dropped, rig.held], [{}, 0]);
    });

    test("S-12: what was learnt holds for ten minutes", async () => {
      const rig = await create();
      const [sent] = rig.respond(ping(1500));
      rig.respond(tooBig(sent, 1400));
      for (let minute = 0; minute < 10; minute++) {
        assert.equal(rig.respond(ping(1500)).length, 2, `after ${minute} minutes`);
        rig.now += MINUTE;
      }
      assert.deepEqual(rig.respond(ping(1500)), [sent]);
      // An entry does not live longer or shorter because the wall clock is set.
      rig.respond(tooBig(sent, 1400));
      for (rig.wall of [0, 100 * MINUTE]) assert.equal(rig.respond(ping(1500)).length, 2);
    });

    test("S-12: an MTU is lowered again and never raised", async () => {
      const rig = await create();
      const [sent] = rig.respond(ping(1500));
      for (const [told, mtu] of [[1450, 1450], [1499, 1450], [1400, 1400], [1450, 1400], [1280, 1280]]) {
        rig.respond(tooBig(sent, told));
        assert.deepEqual(whole(rig.respond(ping(1500)), mtu), expectedReply6(ping(1500)));
      }
      assert.deepEqual(rig.dropped, { icmp_packet_too_big: 5 });
    });

    test("S-12: replies without a fragment header of their request have an identification of "
      + "their own each", async () => {
      const rig = await create();
      const [sent] = rig.respond(ping(1500));
      rig.respond(tooBig(sent, 1400));
      const ids = Array.from(
        { length: 1000 }, (_, sequence) => String(rig.respond(ping(1500, { sequence }))[0].subarray(44, 48)),
      );
      assert.equal(new Set(ids).size, ids.length);
    });

    test("S-12: a message about what was not sent changes nothing, nor does one with an MTU "
      + "that no path has", async () => {
      const rig = await create();
      const [sent] = rig.respond(ping(1500));
      const changed = (change: (packet: Uint8Array) => void) => {
        const packet = sent.slice();
        change(packet);
        return packet;
      };
      const from = (src: string, dst: string, type: number) => icmpv6Packet({ src, dst, type, data: pattern(1452) });
      const forged: [string, Uint8Array][] = [
        ["an MTU of 0", tooBig(sent, 0)], ["one of 1279", tooBig(sent, 1279)], [
          "one of 2^32 - 1", tooBig(sent, 0xffffffff),
        ],
        ["an MTU that the packet fits", tooBig(sent, 1500)],
        ["nothing was sent there", tooBig(changed((p) => { p[39] ^= 1; }), 1400)],
        [
          "another address sent it",
          icmpv6Packet({ type: 2, src: ROUTER, sequence: 1400, data: changed((p) => { p[23] ^= 2; }).slice(0, 1232) }),
        ],
        [
          "an echo request", tooBig(from(TARGET6, CLIENT, 128), 1400),
        ], ["an error", tooBig(from(TARGET6, CLIENT, 1), 1400)],
        ["UDP", tooBig(udpPacket6({ src: TARGET6, dst: CLIENT, data: pattern(1400) }), 1400)],
        ["a fragment of UDP", tooBig(ipv6Packet(
          pattern(1444), { src: TARGET6, dst: CLIENT, nextHeader: 17, extensions: [fragmentHeader(1448, 1, 7)] },
        ), 1400)],
        ["IPv4", tooBig(changed((p) => { p[0] = 0x45; }), 1400)],
        ["a packet longer than any that is sent", tooBig(changed((p) => { p.set([0xff, 0xff], 4); }), 1400)],
      ];
      for (const [what, packet] of forged) {
        assert.deepEqual(rig.respond(packet), [], what);
        assert.deepEqual(rig.respond(ping(1500)), [sent], what);
      }
      for (const quoted of [0, 39, 48]) assert.deepEqual(rig.respond(tooBig(sent, 1400, { quoted })), []);
      const corrupt = tooBig(sent, 1400);
      corrupt[60] ^= 1;
      assert.deepEqual(rig.respond(corrupt), []);
      assert.deepEqual(rig.respond(ping(1500)), [sent]);
      assert.deepEqual(rig.dropped, { icmp_unrelated: forged.length, pkt_too_small: 3, icmp_csum: 1 });
    });

    test("S-12: a fragment that was sent, the first or another, is as good as a whole reply", async () => {
      for (const index of [0, 1]) {
        const rig = await create();
        const request = ping(4000);
        const fragments = rig.respond(...fragmentsOf6(request, [0, 1448, 2896, 3960]));
        rig.respond(tooBig(fragments[index], 1300));
        assert.deepEqual(
          whole(rig.respond(...fragmentsOf6(request, [0, 1448, 2896, 3960])), 1300), expectedReply6(request),
        );
        assert.deepEqual(rig.dropped, { icmp_packet_too_big: 1 });
      }
    });

    test("S-12: a flood of forged messages changes nothing that was there, and one with spoofed pings takes no place "
      + `that is in use; seed ${random.seed}`, async () => {
      const rig = await create();
      rig.now = 1e12;
      const [sent] = rig.respond(ping(1500));
      rig.respond(tooBig(sent, 1400));
      const table = rig.bytes.subarray(PATHS, PATHS + 256 * PATH_SETS);
      const before = table.slice();
      const word = () => random.below(65536).toString(16);
      for (let i = 0; i < 40; i++) {
        rig.respond(...Array.from({ length: 250 }, () => {
          const elsewhere = sent.slice();
          elsewhere.set(Uint8Array.from({ length: 8 }, () => random.below(256)), 32);
          return tooBig(elsewhere, 1280);
        }));
      }
      assert.deepEqual(table, before);
      // In each of six seconds there are half as many sources again as there are entries, with a Packet Too Big for
      // each at once.
      for (let second = 0; second < 6; second++) {
        for (let i = 0; i < 12; i++) {
          const spoofed = Array.from({ length: 250 }, () => `2001:db8:${word()}:${word()}::${word()}`);
          const replies = rig.respond(...spoofed.map((src) => ping(1300, { src })));
          rig.respond(...replies.map((reply) => tooBig(reply, 1280)));
        }
        assert.deepEqual(whole(rig.respond(ping(1500)), 1400), expectedReply6(ping(1500)));
        rig.now += SECOND;
      }
    });

    test("S-12: on an Ethernet the fragments go where the request came from, with its tags", async () => {
      const tags = [[0x8100, 42]] as const;
      const rig = await create({ link: SHARED });
      const asked = (packet: Uint8Array) => frame(packet, { type: 0x86dd, tags });
      const [sent] = rig.respond(asked(ping(1500)));
      assert.deepEqual(rig.respond(asked(tooBig(sent.subarray(18), 1400))), []);
      const frames = rig.respond(asked(ping(1500)));
      const header = bytes(...frame(new Uint8Array(0), { dst: PEER_MAC, src: SHARED_MAC, type: 0x86dd, tags }));
      for (const bytes of frames) assert.deepEqual(bytes.slice(0, 18), header);
      assert.deepEqual(whole(frames.map((bytes) => bytes.subarray(18)), 1400), expectedReply6(ping(1500)));
      assert.equal(rig.slots.free, SLOTS);
    });

    test("S-12: where there are no slots for the fragments, the reply is dropped as nomem", async () => {
      const rig = await create();
      const [sent] = rig.respond(ping(1500));
      rig.respond(tooBig(sent, 1400));
      while (rig.slots.free > 4) rig.slots.take();
      assert.deepEqual(rig.respond(ping(1500)), []);
      assert.deepEqual(rig.dropped, { icmp_packet_too_big: 1, nomem: 1 });
    });
  });
}
