/** Tests what an engine does with a frame in TAP mode. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PACKET_SIZE, MacPolicy } from "../../abi/control.js";
import { Counter, IcmpError, ERRORS, Protocol, REPLIES, PREFIX_REPLIES, BATCH_SIZES } from "../../abi/counters.js";
import { SLOTS } from "../../abi/slots.js";
import { formatMac, ethernetOf } from "../../src/tun/mac.js";
import { type BenchOptions, BY_DEFAULT, ENGINES, Rig } from "../support/engines.js";
import {
  arpFrame, BROADCAST, expectedEcho, frame, linkOption, macBytes, PEER_MAC, PER_ADDRESS, SHARED, SHARED_MAC,
  solicitation, solicitationFrame, type FrameOptions,
} from "../support/frames.js";
import {
  addr6, expectedError6, expectedReply6, fragmentsOf6, HOST6, icmpv6Packet, ipv6Packet, PREFIX6, TARGET6, udpPacket6,
} from "../support/ipv6.js";
import {
  addr, expectedError, expectedReply, fragmentsOf, HOST, icmpPacket, pattern, PREFIX, udpPacket,
} from "../support/packets.js";
import { DROP_FRAMES } from "../vectors/frames.js";

const TAGS: readonly (readonly [string, FrameOptions["tags"] & object])[] = [
  ["no tag", []],
  ["an 802.1Q tag", [[0x8100, 0xe02a]]],
  ["an 802.1ad tag", [[0x88a8, 7]]],
  ["two tags", [[0x88a8, 7], [0x8100, 42]]],
  ["a priority tag", [[0x8100, 0x6000]]],
];
const DUAL: BenchOptions = { prefixes: [PREFIX, PREFIX6], hosts: [HOST, HOST6] };
/** The MAC address of TARGET6 if each address has its own. */
const MAC6 = "02:76:2e:2a:69:ff";
/** The MAC policies, with the MAC address of 10.99.1.1 under each. */
const LINKS = [["shared", SHARED, SHARED_MAC], ["per address", PER_ADDRESS, "02:70:0a:63:01:01"]] as const;

for (const name of ENGINES) {
  for (const [policy, link, mac] of LINKS) {
    describe(`${name}, MAC addresses ${policy}`, () => {
      for (const [what, tags] of TAGS) {
        test(`L-1: an echo request with ${what} is answered with it, and without padding`, async () => {
          const rig = await Rig.create(name, { link });
          for (const length of [0, 1, 18, 56, 1472]) {
            for (const padding of [0, 1, 18]) {
              const request = frame(icmpPacket({ data: pattern(length) }), { dst: mac, tags, padding });
              assert.deepEqual(rig.respond(request), [expectedEcho(request, tags.length)]);
            }
          }
          assert.equal(rig.replied, 15);
          assert.deepEqual(rig.dropped, {});
        });

        test(`A-1: an ARP request with ${what} is answered with it: the target has the MAC address at which it is `
          + "answered", async () => {
          const rig = await Rig.create(name, { link });
          for (const [dst, padding, hardware] of [
            [BROADCAST, 0, 1], [BROADCAST, 18, 1], [mac, 0, 1], [BROADCAST, 0, 6], [mac, 18, 6],
          ] as const) {
            const request = arpFrame({ targetMac: dst, hardware }, { dst, tags, padding });
            const headerLen = 14 + 4 * tags.length;
            const expected = Uint8Array.from([
              ...macBytes(PEER_MAC), ...macBytes(mac), ...request.subarray(12, headerLen),
              0, 1, 8, 0, 6, 4, 0, 2, ...macBytes(mac), ...addr("10.99.1.1"), ...macBytes(PEER_MAC),
              ...addr("10.99.0.1"),
            ]);
            assert.deepEqual(rig.respond(request), [expected]);
          }
          assert.equal(rig.linear.counters[REPLIES + Protocol.arp], 5);
          assert.equal(rig.linear.counters[PREFIX_REPLIES], 5);
          assert.deepEqual(rig.dropped, {});
        });
      }

      for (const [what, tags] of TAGS) {
        test(`N-2: a neighbor solicitation with ${what} is answered: solicited, N-3: overriding nobody, with the `
          + "target's MAC address", async () => {
          const rig = await Rig.create(name, { link, prefixes: [PREFIX6], host: HOST6 });
          const own = link.policy === MacPolicy.shared ? SHARED_MAC : MAC6;
          for (const [dst, to, options, padding] of [
            [undefined, "33:33:ff:01:00:01", linkOption(PEER_MAC), 0],
            [undefined, "33:33:ff:01:00:01", Uint8Array.of(14, 1, 1, 2, 3, 4, 5, 6, ...linkOption(PEER_MAC)), 3],
            [undefined, "33:33:ff:01:00:01", new Uint8Array(0), 0],
            [undefined, "33:33:ff:01:00:01", Uint8Array.of(14, 1, 1, 2, 3, 4, 5, 6), 3],
            [undefined, own, new Uint8Array(0), 0],
            [undefined, own, linkOption(PEER_MAC), 0],
            [TARGET6, own, linkOption(PEER_MAC), 0],
            [TARGET6, own, new Uint8Array(0), 0],
          ] as const) {
            for (const src of ["fd99::1", "fe80::5054:ff:fe12:3456", "2001:db8::7"]) {
              const request = solicitationFrame(
                { src, options, ...dst === undefined ? {} : { dst } }, { dst: to, tags, padding },
              );
              const headerLen = 14 + 4 * tags.length;
              const data = Uint8Array.of(
                ...addr6(TARGET6), ...dst === undefined || options.length > 0 ? linkOption(own, 2) : [],
              );
              const advertisement = icmpv6Packet(
                { src: TARGET6, dst: src, hopLimit: 255, type: 136, identifier: 0x4000, sequence: 0, data },
              );
              assert.deepEqual(rig.respond(request), [Uint8Array.of(
                ...macBytes(PEER_MAC), ...macBytes(own), ...request.subarray(12, headerLen), ...advertisement,
              )]);
            }
          }
          assert.equal(rig.linear.counters[REPLIES + Protocol.ndisc], 24);
          assert.equal(rig.linear.counters[PREFIX_REPLIES], 24);
          assert.deepEqual(rig.dropped, {});
        });
      }

      test("N-2: the answer goes to the address that the solicitation names, or where it came from where "
        + "it names none", async () => {
        const rig = await Rig.create(name, { link, prefixes: [PREFIX6], host: HOST6 });
        const own = link.policy === MacPolicy.shared ? SHARED_MAC : MAC6;
        const [named] = rig.respond(solicitationFrame({ options: linkOption("52:54:00:00:00:07") }));
        assert.deepEqual(named.subarray(0, 6), macBytes("52:54:00:00:00:07"));
        for (const [dst, to] of [[TARGET6, own], [undefined, "33:33:ff:01:00:01"]] as const) {
          const options = { options: new Uint8Array(0), ...dst === undefined ? {} : { dst } };
          const [unnamed] = rig.respond(solicitationFrame(options, { dst: to, src: "52:54:00:00:00:08" }));
          assert.deepEqual(unnamed.subarray(0, 6), macBytes("52:54:00:00:00:08"));
        }
      });

      test("N-1: a neighbor solicitation in a fragment, be it the only one, is not answered "
        + "(RFC 6980 §5)", async () => {
        const rig = await Rig.create(name, { link, prefixes: [PREFIX6], host: HOST6 });
        const whole = solicitation();
        const fragment = ipv6Packet(
          whole.subarray(40),
          { dst: "ff02::1:ff01:1", hopLimit: 255, extensions: [{ number: 44, rest: new Uint8Array(7) }] },
        );
        for (const dst of ["33:33:ff:01:00:01", SHARED_MAC]) {
          assert.deepEqual(rig.respond(frame(fragment, { dst, type: 0x86dd })), []);
        }
        assert.equal(rig.received, 2);
      });

      test("A-1: the answer goes to the sender that the request names, RFC 826, whoever passed "
        + "the frame on", async () => {
        const rig = await Rig.create(name, { link });
        const [reply] = rig.respond(arpFrame({ senderMac: "52:54:00:00:00:07" }));
        assert.deepEqual(reply.subarray(0, 6), macBytes("52:54:00:00:00:07"));
        assert.deepEqual(reply.subarray(32, 38), macBytes("52:54:00:00:00:07"));
      });

      test("A-4: nothing is learnt: a reply goes where its request came from, whatever ARP said before", async () => {
        const rig = await Rig.create(name, { link });
        rig.respond(arpFrame({ senderMac: "52:54:00:00:00:07" }, { src: "52:54:00:00:00:07" }));
        const request = frame(icmpPacket(), { dst: mac });
        assert.deepEqual(rig.respond(request), [expectedEcho(request)]);
      });

      for (const { reason, name: vector, frame, policy: only } of DROP_FRAMES.filter(
        ({ policy }) => (policy ?? link.policy) === link.policy,
      )) {
        test(`${vector} → ${reason}`, async () => {
          const rig = await Rig.create(name, { ...DUAL, link });
          // If each address has its own MAC address, a frame that is dropped for another reason goes to the right one.
          const sent = only === undefined && Buffer.from(frame.subarray(0, 6)).equals(macBytes(SHARED_MAC))
            ? frame.map((byte, i) => macBytes(mac)[i] ?? byte)
            : frame;
          assert.deepEqual(rig.respond(sent), []);
          assert.deepEqual(rig.dropped, { [reason]: 1 });
          assert.equal(rig.received, 1);
          assert.equal(rig.linear.counters[Counter.bytesReceived], sent.length);
        });
      }

      test("I5: a batch of everything: received = replied + dropped, every slot is free again, and a "
        + "batch is one", async () => {
        const rig = await Rig.create(name, { ...DUAL, link });
        const vectors = DROP_FRAMES.map(({ frame }) => frame);
        const requests = Array.from(
          { length: 21 },
          (_, i) => [arpFrame(), solicitationFrame(), frame(icmpPacket({ sequence: i }), { dst: mac })][i % 3],
        );
        const frames = [...vectors, ...requests];
        const replies = rig.respond(...frames).length;
        const dropped = Object.values(rig.dropped).reduce((a, b) => a + b, 0);
        assert.equal(rig.received, frames.length);
        assert.equal(
          replies,
          rig.replied + rig.linear.counters[REPLIES + Protocol.arp] + rig.linear.counters[REPLIES + Protocol.ndisc],
        );
        assert.equal(rig.received, replies + dropped);
        assert.ok(replies >= 21);
        assert.equal(rig.linear.counters[Counter.bytesReceived], frames.reduce((sum, { length }) => sum + length, 0));
        assert.equal(rig.linear.counters.subarray(BATCH_SIZES, BATCH_SIZES + 9).reduce((a, b) => a + b, 0), 1);
        assert.equal(rig.slots.free, SLOTS);
        assert.equal(new Set(rig.slots.stack).size, SLOTS, "no slot is on the stack twice");
        assert.ok(rig.slots.stack.every((slot) => slot % 64 === 0));
      });

      test("a frame of the MTU with two tags fits into a read, and is answered in full", async () => {
        for (const mtu of [1500, 1512, 9000, 65521]) {
          const rig = await Rig.create(name, { link, mtu });
          const request = frame(
            icmpPacket({ data: pattern(mtu - 28) }), { dst: mac, tags: [[0x88a8, 7], [0x8100, 42]] },
          );
          assert.equal(rig.words[PACKET_SIZE / 4], request.length);
          assert.ok(rig.linear.slotSize >= 2 + request.length);
          assert.deepEqual(rig.respond(request), [expectedEcho(request, 2)]);
        }
      });
    });
  }

  test(`${name}: one MAC address for each IPv4 address: 02:70, then the address`, async () => {
    const rig = await Rig.create(name, { link: PER_ADDRESS });
    for (const target of ["10.99.0.0", "10.99.1.2", "10.99.128.255", "10.99.255.255"]) {
      const [reply] = rig.respond(arpFrame({ target }));
      assert.deepEqual([...reply.subarray(6, 12)], [0x02, 0x70, ...addr(target)]);
    }
  });
}

for (const name of ["wasm", "wasm-scalar"] as const) {
  for (const [policy, link, mac] of LINKS) {
    test(`${name}, MAC addresses ${policy}: X-4: an ICMP error goes where its packet came from, `
      + "with its tags", async () => {
      const rig = await Rig.create(name, { link, policy: BY_DEFAULT });
      for (const [, tags] of TAGS) {
        const headerLen = 14 + 4 * tags.length;
        const packet = udpPacket();
        const [error, ...others] = rig.respond(frame(packet, { dst: mac, tags, padding: 4 }));
        assert.deepEqual([...error.subarray(0, 12)], [...macBytes(PEER_MAC), ...macBytes(mac)]);
        assert.deepEqual(
          [...error.subarray(12, headerLen - 2)], tags.flat().flatMap((word) => [word >> 8, word & 255]),
        );
        assert.deepEqual([...error.subarray(headerLen - 2, headerLen + 1)], [8, 0, 0x45]);
        assert.equal(error.length, headerLen + 28 + packet.length);
        assert.deepEqual(error.subarray(headerLen + 28), packet, "what it quotes has no link header");
        assert.deepEqual(others, []);
      }
      assert.equal(rig.linear.counters[ERRORS + IcmpError.port_unreachable], TAGS.length);
    });

    /** Frames to and from an address that answers, by family. */
    const families = [
      {
        family: "IPv4", own: mac, type: 0x0800, udp: udpPacket(), port: [3, 3], time: [11, 1], echo: icmpPacket(
          { data: pattern(3000), fragment: 0 },
        ),
        answer: (packet: Uint8Array) => expectedReply(packet), cut: (packet: Uint8Array) => fragmentsOf(
          packet, [0, 1480, 2960, 3008],
        ),
        error: (packet: Uint8Array, [type, code]: number[]) => expectedError(packet, type, code),
      },
      {
        family: "IPv6", own: link.policy === MacPolicy.shared
          ? SHARED_MAC
          : MAC6, type: 0x86dd, udp: udpPacket6(), port: [1, 4], time: [3, 1], echo: icmpv6Packet(
          { data: pattern(3000) },
        ),
        answer: (packet: Uint8Array) => expectedReply6(packet), cut: (packet: Uint8Array) => fragmentsOf6(
          packet, [0, 1448, 2896, 3008],
        ),
        error: (packet: Uint8Array, [type, code]: number[]) => expectedError6(packet, type, code),
      },
    ] as const;
    for (const { family, own, type, udp, port, time, echo, answer, cut, error } of families) {
      const create = () => Rig.create(name, { ...DUAL, link, policy: BY_DEFAULT, mtu: 1500 });
      const asked = (packet: Uint8Array, options: FrameOptions) => frame(packet, { dst: own, type, ...options });
      const answered = (
        packet: Uint8Array, { src = PEER_MAC, tags = [] }: FrameOptions,
      ) => frame(packet, { dst: src, src: own, type, tags });

      test(`${name}, MAC addresses ${policy}: V-6, S-8: ${family} fragments of two VLANs are of two datagrams, `
        + "whatever else they have in common; priorities are of one", async () => {
        const lans: (FrameOptions["tags"] & object)[] = [
          [], [[0x8100, 1]], [[0x8100, 42]], [[0x88a8, 42]], [[0x88a8, 7], [0x8100, 42]], [[0x88a8, 8], [0x8100, 42]],
          [[0x88a8, 7], [0x8100, 43]],
        ];
        const rig = await create();
        const [first, ...others] = cut(echo);
        for (const tags of lans) assert.deepEqual(rig.respond(asked(first, { tags })), []);
        for (const tags of lans) assert.deepEqual(rig.respond(asked(others[1], { tags })), []);
        for (const tags of lans) {
          const urgent = tags.map(([tpid, tci]) => [tpid, tci | 0xf000] as const);
          assert.deepEqual(rig.respond(asked(others[0], { tags: urgent })).length, 3);
        }
        assert.deepEqual([rig.dropped, rig.held], [{}, 0]);
      });

      for (const [what, tags] of TAGS) {
        test(`${name}, MAC addresses ${policy}: X-4: an ${family} error about a frame with ${what} has it, too, and `
          + "its addresses turned around", async () => {
          const rig = await create();
          assert.deepEqual(rig.respond(asked(udp, { tags, padding: 5 })), [answered(error(udp, [...port]), { tags })]);
        });

        test(`${name}, MAC addresses ${policy}: V-6, S-8: ${family} fragments with ${what} are answered in fragments `
          + "with it", async () => {
          const rig = await create();
          const frames = cut(echo).map((packet) => asked(packet, { tags, padding: 3 }));
          const expected = cut(answer(echo)).map((packet) => answered(packet, { tags }));
          assert.deepEqual(rig.respond(...frames), expected);
          assert.deepEqual(
            [frames[2], frames[0], arpFrame(), frames[1]].map((bytes) => rig.respond(bytes).length),
            [0, 0, 1, 3],
            "one a batch, with another in between",
          );
          assert.deepEqual([rig.dropped, rig.held], [{}, 0]);
        });

        test(`${name}, MAC addresses ${policy}: V-6, S-8: an ${family} timeout is told to where the first fragment, `
          + `with ${what}, came from`, async () => {
          const rig = await create();
          const [first, second] = cut(echo);
          const from = { src: "52:54:00:00:00:09", tags };
          rig.respond(asked(second, { src: "52:54:00:00:00:07", tags: [[0x8100, 9]] }));
          rig.respond(asked(first, from));
          // Other frames reuse the slots of the fragments.
          for (let i = 0; i < 4; i++) rig.respond(arpFrame(), frame(icmpPacket(), { dst: mac }));
          rig.now += 60_001;
          assert.deepEqual(
            rig.respond(arpFrame({}, { tags: [[0x8100, 3]] })).slice(1), [answered(error(first, [...time]), from)],
          );
          assert.deepEqual([rig.dropped, rig.held], [{ frag_reasm_timeout: 2 }, 0]);
          // The error is also sent if no packet comes after the timeout.
          rig.respond(asked(first, from));
          rig.now += 60_001;
          assert.deepEqual(rig.respond(), [answered(error(first, [...time]), from)]);
          assert.equal(rig.slots.free, SLOTS);
        });
      }
    }
  }
}

test("a device's MAC address is the same every time, another on another host or device, and always a unicast one of "
  + "local administration", () => {
  const of = (device: string, machine: string) => formatMac(ethernetOf(device, MacPolicy.shared, machine).address);
  assert.equal(of("pong0", "a"), of("pong0", "a"));
  assert.equal(
    formatMac(ethernetOf("pong0", MacPolicy.shared).address), formatMac(ethernetOf("pong0", MacPolicy.shared).address),
  );
  assert.notEqual(of("pong0", "a"), of("pong0", "b"));
  assert.notEqual(of("pong0", "a"), of("pong1", "a"));
  for (let i = 0; i < 200; i++) assert.match(of(`pong${i}`, "a"), /^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/);
});
