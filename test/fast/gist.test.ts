/**
 * Tests the mistakes of the 2010 gist that pongd grew out of (gist.github.com/glacjay/585620), so that none returns.
 * Each test is for one mistake.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ENGINES, Rig } from "../support/engines.js";
import { expectedReply, icmpPacket, ipv4Packet, pattern, plainSum } from "../support/packets.js";

for (const name of ENGINES) {
  describe(name, () => {
    test("carries are folded until there are none, not once", async () => {
      const rig = await Rig.create(name);
      // All words are 0xffff: every addition carries, and the fold of the last one carries again.
      for (const length of [2, 1470, 1472, 65506, 65507]) {
        const request = icmpPacket({ data: new Uint8Array(length).fill(0xff), identifier: 0xffff, sequence: 0xffff });
        const [reply] = rig.respond(request);
        assert.ok(reply, `${length} bytes: ${JSON.stringify(rig.dropped)}`);
        assert.equal(plainSum(reply.subarray(20)), 0xffff);
      }
    });

    test("a reply is as long as its request, not 2048 bytes", async () => {
      const rig = await Rig.create(name);
      for (const length of [0, 56, 1472]) {
        assert.equal(rig.respond(icmpPacket({ data: pattern(length) }))[0].length, 28 + length);
      }
    });

    test("a header is as long as it says, not 20 bytes: options are not taken for the ICMP message", async () => {
      const rig = await Rig.create(name);
      // An option of eight bytes, which would read as an echo request if the message were looked for at byte 20.
      const options = Uint8Array.of(8, 8, 0xf7, 0xf7, 0, 0, 0, 0);
      assert.deepEqual(rig.respond(icmpPacket({ type: 0, options })), []);
      assert.deepEqual(rig.dropped, name === "js" ? { ip_options: 1 } : { unhandled_icmp_type: 1 });
    });

    test("a protocol other than ICMP is not answered, whatever its bytes look like", async () => {
      const rig = await Rig.create(name);
      const msg = icmpPacket().slice(20);
      for (let protocol = 0; protocol < 256; protocol++) {
        assert.equal(rig.respond(ipv4Packet(msg, { protocol })).length, protocol === 1 ? 1 : 0, `protocol ${protocol}`);
      }
    });

    test("a type other than echo and timestamp request is not answered", async () => {
      const rig = await Rig.create(name);
      for (let type = 0; type < 256; type++) {
        assert.equal(rig.respond(icmpPacket({ type })).length, type === 8 || type === 13 ? 1 : 0, `type ${type}`);
      }
    });

    test("a version other than 4 is not answered", async () => {
      const rig = await Rig.create(name);
      for (let version = 0; version < 16; version++) {
        const packet = icmpPacket();
        packet[0] = version << 4 | 5;
        packet[10] = packet[11] = 0;
        const sum = ~plainSum(packet.subarray(0, 20)) & 0xffff;
        packet.set([sum >> 8, sum & 255], 10);
        assert.equal(rig.respond(packet).length, version === 4 ? 1 : 0, `version ${version}`);
      }
    });

    test("an odd length is summed with a zero after it, not with the byte that lies there", async () => {
      const rig = await Rig.create(name);
      const request = icmpPacket({ data: pattern(55) });
      const followed = new Uint8Array(request.length + 1);
      followed.set(request);
      followed[request.length] = 0x77;
      assert.deepEqual(rig.respond(followed), [expectedReply(request)]);
    });

    test("the TTL is set, not returned as received", async () => {
      const rig = await Rig.create(name);
      assert.equal(rig.respond(icmpPacket({ ttl: 1 }))[0][8], 64);
    });
  });
}
