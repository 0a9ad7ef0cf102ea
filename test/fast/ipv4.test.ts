/**
 * Tests the part of IPv4 that the wasm engine alone handles, with SIMD and without: errors, and what they depend on.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Counter, ERRORS, IcmpError } from "../../abi/counters.js";
import { ERROR_BURST } from "../../abi/limits.js";
import { Unreachable } from "../../abi/tables.js";
import { type BenchOptions, BY_DEFAULT, Rig } from "../support/engines.js";
import { expectedError, icmpPacket, ipv4Packet, pattern, plainSum, udpPacket } from "../support/packets.js";
import { SILENT } from "../vectors/drops.js";

for (const name of ["wasm", "wasm-scalar"] as const) {
  const create = (options: BenchOptions = {}) => Rig.create(
    name, { ...options, policy: { ...BY_DEFAULT, ...options.policy } },
  );

  describe(name, () => {
    for (const { reason, name: vector, packet, policy } of SILENT) {
      test(`${vector} → ${reason}`, async () => {
        const rig = await create({ policy });
        assert.deepEqual(rig.respond(packet), []);
        assert.deepEqual(rig.dropped, { [reason]: 1 });
      });
    }

    test("X-4: UDP to any port is answered with port unreachable, X-1: that quotes as much of it as 576 bytes hold, "
      + "with a TOS of 0", async () => {
      const rig = await create();
      for (const length of [0, 1, 16, 519, 520, 521, 1472, 65507]) {
        for (const checksum of [undefined, 0]) {
          rig.now += 1000;
          const packet = udpPacket(
            { data: pattern(length), tos: 0xb8, src: "192.0.2.7", dst: "10.99.200.3", checksum },
          );
          const [error, ...others] = rig.respond(packet);
          assert.deepEqual(error, expectedError(packet, 3, 3));
          assert.equal(plainSum(error.subarray(20)), 0xffff);
          assert.deepEqual(others, []);
        }
      }
      assert.deepEqual(rig.dropped, { no_socket: 16 });
      assert.equal(rig.linear.counters[ERRORS + IcmpError.port_unreachable], 16);
      assert.equal(rig.replied, 0);
    });

    test("X-4: a protocol that nobody speaks is answered with protocol unreachable; TCP is "
      + "another one's", async () => {
      const rig = await create({ policy: { ttl: 99 } });
      for (let protocol = 0; protocol < 256; protocol++) {
        if (protocol === 1 || protocol === 17) continue;
        rig.now += 1000;
        const packet = ipv4Packet(pattern(40), { protocol });
        assert.deepEqual(
          rig.respond(packet), protocol === 6 ? [] : [expectedError(packet, 3, 2, { ttl: 99 })], `protocol ${protocol}`,
        );
      }
      assert.deepEqual(rig.dropped, { tcp_csum: 1, ip_noproto: 253 });
    });

    test("X-1: an error is no longer than the MTU", async () => {
      const rig = await create({ mtu: 68 });
      const packet = udpPacket({ data: pattern(40) });
      assert.deepEqual(rig.respond(packet), [expectedError(packet, 3, 3, { most: 68 })]);
    });

    test("X-4: silent is silent, and off does not look", async () => {
      const off = await create(
        { policy: { ...BY_DEFAULT, unreachable: { udp: Unreachable.off, other: Unreachable.silent } } },
      );
      assert.deepEqual(off.respond(udpPacket({ length: 3 }), ipv4Packet(pattern(40), { protocol: 47 })), []);
      assert.deepEqual(off.dropped, { unhandled_proto: 1, ip_noproto: 1 });
    });

    test("X-3: at most 50 at once and one each millisecond after, each kind by itself; more are "
      + "counted as limited", async () => {
      const rig = await create();
      rig.now = 1_800_000_000_000;
      const ports = (count: number) => Array.from({ length: count }, () => udpPacket());
      const sent = (count: number) => rig.respond(...ports(count)).length;
      assert.equal(sent(200), ERROR_BURST);
      assert.equal(rig.linear.counters[Counter.errorsLimited], 150);
      assert.equal(rig.respond(ipv4Packet(pattern(8), { protocol: 99 })).length, 1, "another kind");
      rig.now += 7.5;
      assert.equal(sent(20), 7);
      rig.now += 0.5;
      assert.equal(sent(20), 1);
      rig.now -= 3_600_000;
      assert.equal(sent(20), 0, "a clock that was set back gives nothing");
      rig.now += 10;
      assert.equal(sent(20), 10, "and takes nothing");
      rig.now += 1_000_000;
      assert.equal(sent(200), ERROR_BURST);
      assert.deepEqual(rig.dropped, { no_socket: 200 + 20 + 20 + 20 + 20 + 200, ip_noproto: 1 });
    });

    test("X-2: no error to one that no reply may go to", async () => {
      const rig = await create();
      for (const src of ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "10.99.3.3"]) {
        assert.deepEqual(rig.respond(udpPacket({ src })), [], src);
      }
      for (const dst of ["224.0.0.1", "255.255.255.255", "10.98.0.1"]) {
        assert.deepEqual(rig.respond(udpPacket({ dst, src: "192.0.2.1" })), [], dst);
      }
      assert.deepEqual(rig.respond(icmpPacket({ type: 3, code: 3 })), []);
    });

    test("the packet behind one that was answered with an error is answered", async () => {
      const rig = await create();
      const replies = rig.respond(udpPacket(), icmpPacket({ sequence: 9 }), udpPacket());
      assert.deepEqual(replies.map((reply) => reply[20]), [0, 3, 3], "echo replies first");
    });
  });
}
