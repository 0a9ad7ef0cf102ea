/** Tests the S-BFD reflector against RFC 7880, RFC 7881 and RFC 5880: what it sends, octet by octet. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Protocol, REPLIES, SERVED } from "../../abi/counters.js";
import { Service } from "../../abi/tcp.js";
import { sbfdOf } from "../../src/config/measurement.js";
import type { SbfdMap } from "../../src/config/types.js";
import { type BenchOptions, BY_DEFAULT, Rig } from "../support/engines.js";
import { frame, SHARED } from "../support/frames.js";
import { checksum6, destination, fragmentsOf6, ipv6Packet, udpPacket6 } from "../support/ipv6.js";
import { bytes, fragmentsOf, pattern, plainSum, udpPacket } from "../support/packets.js";

const PORT = 7784;
const [DOWN, UP, DEMAND, POLL, FINAL] = [0x40, 0xc0, 0x02, 0x20, 0x10];
const MINE = [0x11, 0x22, 0x33, 0x44] as const;
const YOURS = [0x0a, 0x63, 0x01, 0x01] as const;

interface Control {
  readonly first?: number;
  readonly flags?: number;
  readonly mult?: number;
  readonly length?: number;
  readonly my?: readonly number[];
  readonly your?: readonly number[];
  readonly rest?: Uint8Array<ArrayBuffer>;
}

/** An initiator's packet, RFC 5880 §4.1. */
function control({
  first = 0x20, flags = DOWN | DEMAND, mult = 3, length = 24, my = MINE, your = YOURS, rest = new Uint8Array(0),
}: Control = {}): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(bytes(first, flags, mult, length, ...my, ...your, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, rest));
}

/** The reflector's packet that answers it. `interval` is the least time in µs between two packets of a source. */
function reflected({
  flags = UP, diag = 0, mult = 3, length = 24, my = MINE, your = YOURS, rest = new Uint8Array(0), interval = 1,
}: Control & { diag?: number; interval?: number } = {}): Uint8Array {
  return bytes(
    0x20 | diag, flags, mult, length, ...your, ...my, 0, 1, 2, 3, 0, 0, interval >> 8, interval & 255, 0, 0, 0, 0, rest,
  );
}

async function rigWith(map?: SbfdMap, options: BenchOptions = {}): Promise<Rig> {
  const service = map
    ? sbfdOf("mine", map, (_, message) => { assert.fail(message); })
    : { name: "sbfd", kind: Service.sbfd };
  assert.ok(service);
  return await Rig.create("wasm", {
    ...options, policy: {
      ...BY_DEFAULT, sourceLimit: { rate: 1e9, burst: 1e9 }, udp: { ports: [{ first: PORT, last: PORT, service }] },
      ...options.policy,
    },
  });
}

function ask(rig: Rig, data: Uint8Array<ArrayBuffer>, options = {}): Uint8Array | undefined {
  const [reply] = rig.respond(udpPacket({ destinationPort: PORT, ...options, data })) as (Uint8Array | undefined)[];
  return reply?.slice(28);
}

describe("S-BFD", () => {
  test("SB-1: the reply has the discriminators exchanged and says Up, IPv4", async () => {
    const rig = await rigWith();
    const [reply] = rig.respond(udpPacket({
      destinationPort: PORT, sourcePort: 50_000, data: control(), ttl: 9, tos: 0xc3,
    }));
    assert.deepEqual(reply.slice(28), reflected());
    assert.deepEqual([...reply.slice(20, 24)], [PORT >> 8, PORT & 255, 50_000 >> 8, 50_000 & 255]);
    assert.deepEqual([reply[8], reply[1]], [255, 0xc0], "our TTL, and the DSCP alone");
    const datagram = reply.subarray(20);
    assert.equal(plainSum(bytes(reply.subarray(12, 20), 0, 17, 0, datagram.length, datagram)), 0xffff);
    assert.equal(rig.linear.counters[SERVED + Service.sbfd], 1);
    assert.equal(rig.linear.counters[REPLIES + Protocol.sbfd], 1);
    assert.equal(rig.linear.counters[REPLIES + Protocol.udp], 0);
  });

  test("SB-1: and IPv6", async () => {
    const rig = await rigWith();
    const [reply] = rig.respond(udpPacket6({ destinationPort: PORT, sourcePort: 50_000, data: control() }));
    assert.deepEqual(reply.slice(48), reflected());
    assert.deepEqual([...reply.slice(40, 44)], [PORT >> 8, PORT & 255, 50_000 >> 8, 50_000 & 255]);
    assert.equal(reply[7], 255);
    const datagram = reply.slice(40);
    datagram.set([0, 0], 6);
    const [src, dst] = [reply.slice(8, 24), reply.slice(24, 40)].map((address) =>
      Buffer.from(address).toString("hex").replace(/(.{4})(?!$)/g, "$1:"));
    assert.equal(checksum6(datagram, 17, { src, dst }) || 0xffff, reply[46] << 8 | reply[47]);
    assert.equal(rig.linear.counters[REPLIES + Protocol.sbfd], 1);
  });

  test("SB-1: and behind an extension header of IPv6, which does not come back", async () => {
    const rig = await rigWith();
    const data = udpPacket6({ destinationPort: PORT, sourcePort: 50_000, data: control() });
    const [plain] = rig.respond(data);
    assert.deepEqual(rig.respond(ipv6Packet(data.slice(40), { nextHeader: 17, extensions: [destination()] })), [plain]);
  });

  test("SB-1: in TAP mode, and in fragments", async () => {
    const tap = await rigWith(undefined, { link: SHARED });
    const [framed] = tap.respond(frame(udpPacket({ destinationPort: PORT, data: control() })));
    assert.deepEqual(framed.slice(14 + 28), reflected());
    const rig = await rigWith();
    const rest = Uint8Array.from(pattern(4000));
    const data = control({ rest });
    for (const [six, fragments] of [
      [false, fragmentsOf(udpPacket({ destinationPort: PORT, data }), [0, 1480, 2960, 4032])],
      [true, fragmentsOf6(udpPacket6({ destinationPort: PORT, data }), [0, 1448, 2896, 4032])],
    ] as const) {
      const replies = rig.respond(...fragments);
      assert.deepEqual(bytes(...replies.map((reply) => reply.slice(six ? 48 : 20))).slice(8), reflected({ rest }));
    }
    assert.equal(rig.linear.counters[REPLIES + Protocol.sbfd], 6);
  });

  test("SB-1: whatever the initiator's state is; F answers P, and other flags are clear", async () => {
    const rig = await rigWith();
    for (let state = 0; state < 4; state++) {
      for (const [flags, expected] of [[0, 0], [POLL, FINAL], [FINAL, 0], [8, 0], [POLL | FINAL | 8, FINAL]]) {
        assert.deepEqual(
          ask(rig, control({ flags: state << 6 | flags | DEMAND, first: 0x3f })), reflected({ flags: UP | expected }),
        );
      }
    }
  });

  test("SB-1: the detection multiplier and what lies behind the packet come back", async () => {
    const rig = await rigWith();
    for (const rest of [0, 1, 2, 101].map((length) => Uint8Array.from(pattern(length)))) {
      assert.deepEqual(ask(rig, control({ mult: 255, rest })), reflected({ mult: 255, rest }));
      const length = 24 + rest.length;
      assert.deepEqual(ask(rig, control({ length, rest })), reflected({ length, rest }));
    }
  });

  test("a request without a checksum gets a reply with one", async () => {
    const rig = await rigWith();
    const [reply] = rig.respond(udpPacket({ destinationPort: PORT, data: control(), checksum: 0 }));
    const datagram = reply.subarray(20);
    assert.equal(plainSum(bytes(reply.subarray(12, 20), 0, 17, 0, datagram.length, datagram)), 0xffff);
  });

  test("SB-1: AdminDown, with its diagnostic", async () => {
    const rig = await rigWith({ admin_down: true });
    assert.deepEqual(ask(rig, control({ flags: UP | DEMAND | POLL })), reflected({ flags: FINAL, diag: 7 }));
  });

  test("SB-1: how often a source may ask is what its limit says", async () => {
    for (const [rate, interval] of [[1000, 1000], [300, 3334], [100, 10_000]] as const) {
      const rig = await rigWith(undefined, { policy: { sourceLimit: { rate, burst: 10 } } });
      assert.deepEqual(ask(rig, control()), reflected({ interval }));
    }
    const usual = await rigWith(undefined, { policy: { sourceLimit: undefined } });
    assert.deepEqual(ask(usual, control()), reflected({ interval: 1000 }));
  });

  test("SB-1: discriminators that are not its own are not answered", async () => {
    const rig = await rigWith({ discriminators: [1, "10.99.1.1", 0xffff_ffff] });
    for (const your of [[0, 0, 0, 1], [10, 99, 1, 1], [255, 255, 255, 255]]) {
      assert.deepEqual(ask(rig, control({ your })), reflected({ your }));
    }
    for (const your of [[0, 0, 0, 2], [1, 1, 99, 10], [1, 0, 0, 0]]) {
      assert.equal(ask(rig, control({ your })), undefined);
    }
    assert.deepEqual(rig.dropped, { sbfd_discriminator: 3 });
  });

  for (const [what, wrong] of [
    ["version 0", { first: 0x00 }], ["version 2", { first: 0x40 }], ["a length of 23", { length: 23 }],
    ["a length beyond the datagram", { length: 25 }], ["a detection multiplier of 0", { mult: 0 }],
    ["authentication", { flags: DOWN | DEMAND | 4 }], ["the M bit", { flags: DOWN | DEMAND | 1 }],
    ["my discriminator 0", { my: [0, 0, 0, 0] }], ["your discriminator 0", { your: [0, 0, 0, 0] }],
  ] as const satisfies readonly (readonly [string, Control])[]) {
    test(`SB-1: ${what} is dropped`, async () => {
      const rig = await rigWith();
      assert.equal(ask(rig, control(wrong)), undefined);
      assert.deepEqual(rig.dropped, { sbfd_malformed: 1 });
    });
  }

  test("SB-1: less than 24 octets are dropped", async () => {
    const rig = await rigWith();
    for (let length = 0; length < 24; length++) assert.equal(ask(rig, control().slice(0, length)), undefined);
    assert.deepEqual(rig.dropped, { sbfd_malformed: 24 });
  });

  test("SB-1: no reflector answers another: not its port, nor what has no D bit", async () => {
    const rig = await rigWith();
    const reply = ask(rig, control());
    assert.ok(reply);
    assert.equal(ask(rig, Uint8Array.from(reply)), undefined);
    for (const sourcePort of [PORT, 862, 1023]) assert.equal(ask(rig, control(), { sourcePort }), undefined);
    assert.deepEqual(rig.dropped, { udp_loop: 4 });
  });
});
