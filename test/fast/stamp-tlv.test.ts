/** Tests TLVs of STAMP against RFC 8972 §4 and RFC 9503: what comes back of them, octet by octet. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ERROR_ESTIMATE } from "../../abi/control.js";
import { TLV_FLAGS, TlvFlag } from "../../abi/counters.js";
import { Service } from "../../abi/tcp.js";
import { DEFAULT_STAMP, stampBytes, type StampOptions } from "../../src/prefix/stamp.js";
import { BY_DEFAULT, Rig } from "../support/engines.js";
import { frame, macBytes, PEER_MAC, SHARED } from "../support/frames.js";
import { addr6, destination as destinationOptions, TARGET6, udpPacket6 } from "../support/ipv6.js";
import { addr, bytes, pattern, TARGET, udpPacket } from "../support/packets.js";
import { BASE, M, reflectedTlvs, sent, tlv, U, type Facts } from "../support/stamp.js";

const PORT = 862;
const SENDER_PORT = 50_001;
const PEER = "192.0.2.7";
const PEER6 = "2001:db8::7";
const DSCP = 10;
const ECN = 3;

interface Way {
  readonly family: 4 | 6;
  readonly tap: boolean;
}
const WAYS: readonly Way[] = [
  { family: 4, tap: false }, { family: 4, tap: true }, { family: 6, tap: false }, { family: 6, tap: true },
];

/** A reflector, and the facts that it has. */
class Reflector {
  readonly rig: Rig;
  readonly facts: Facts;
  readonly #way: Way;

  private constructor(rig: Rig, facts: Facts, way: Way) {
    this.rig = rig;
    this.facts = facts;
    this.#way = way;
  }

  static async create(
    options: Partial<StampOptions> = {}, way: Way = { family: 4, tap: false }, isSynchronized = false,
  ): Promise<Reflector> {
    const stamp = { ...DEFAULT_STAMP, ...options };
    const service = { name: "own", kind: Service.stamp, bytes: stampBytes(stamp) };
    const rig = await Rig.create("wasm", {
      ...way.tap && { link: SHARED },
      policy: {
        ...BY_DEFAULT, sourceLimit: { rate: 1e9, burst: 1e9 }, udp: { ports: [{ first: PORT, last: PORT, service }] },
      },
    });
    rig.words[ERROR_ESTIMATE / 4] = isSynchronized ? 0x8a3b : 0x3fff;
    const every = Array.from({ length: 64 }, (_, dscp) => dscp);
    const six = way.family === 6;
    return new Reflector(rig, {
      source: [...six ? addr6(PEER6) : addr(PEER)], destination: [...six ? addr6(TARGET6) : addr(TARGET)],
      ports: { source: SENDER_PORT, destination: PORT }, mac: way.tap ? [...macBytes(PEER_MAC)] : undefined,
      dscp: DSCP, ecn: ECN, isSynchronized, isTold: stamp.location,
      permitted: stamp.cos === "any" ? every : stamp.cos === "none" ? [] : stamp.cos,
    }, way);
  }

  /** Returns the TLVs of the reply to a packet with these, and its DSCP and ECN codepoint; undefined for no reply. */
  ask(rest: Uint8Array): { rest: Uint8Array; dscp: number; ecn: number } | undefined {
    const { family, tap } = this.#way;
    const data = sent({ rest });
    const tos = DSCP << 2 | ECN;
    const packet = family === 4
      ? udpPacket({ src: PEER, sourcePort: SENDER_PORT, destinationPort: PORT, data, tos })
      : udpPacket6({ src: PEER6, sourcePort: SENDER_PORT, destinationPort: PORT, data, trafficClass: tos });
    const [reply] = this.rig.respond(tap ? frame(packet, { type: family === 4 ? 0x0800 : 0x86dd }) : packet) as
      (Uint8Array | undefined)[];
    if (!reply) return undefined;
    const end = this.rig.slots.toSend(0) + this.rig.slots.toSendLength(0);
    assert.ok(this.rig.bytes.subarray(end, end + 32).every((octet) => octet === 0xa5), "nothing behind it is touched");
    const ip = reply.subarray(tap ? 14 : 0);
    const message = ip.subarray(family === 4 ? 28 : 48);
    assert.equal(message.length, data.length);
    const replied = family === 4 ? ip[1] : (ip[0] & 15) << 4 | ip[1] >> 4;
    return { rest: message.slice(BASE), dscp: replied >> 2, ecn: replied & 3 };
  }

  /** Asks, and compares with what the RFCs say. */
  check(rest: Uint8Array, what = Buffer.from(rest).toString("hex")): void {
    const wanted = reflectedTlvs(rest, this.facts);
    const reply = this.ask(rest);
    assert.deepEqual(
      reply && { rest: reply.rest, dscp: reply.dscp, ecn: reply.ecn },
      wanted && { rest: wanted.rest, dscp: wanted.dscp ?? DSCP, ecn: 0 }, what,
    );
  }
}

const words = (...of: number[]) => bytes(...of.map((word) => bytes(word >> 8, word & 255)));
const question = { mac: tlv(1, new Uint8Array(8)), to: tlv(4, new Uint8Array(16)), from: tlv(7, new Uint8Array(16)) };

describe("TLVs of STAMP", () => {
  const padding = tlv(1, pattern(5));
  const padded = tlv(1, pattern(5), { flags: 0 });
  const beyond = (type: number, flags: number) => tlv(type, pattern(8), { flags, length: 9 });
  for (const [name, before, after] of [
    ["padding comes back", padding, padded],
    ["flags of the sender's are overwritten", tlv(1, pattern(5), { flags: 0xff }), padded],
    ["an unknown type is marked, and those behind it are read", bytes(tlv(200, pattern(9)), padding),
      bytes(tlv(200, pattern(9)), padded)],
    ["an unknown type is marked where the sender did not", tlv(200, [], { flags: 0 }), tlv(200, [])],
    ["Micro-session IDs, controls of the reply's length, and private types are unknown",
      bytes(...[11, 12, 240, 252, 255].map((type) => tlv(type, pattern(8), { flags: 0 }))),
      bytes(...[11, 12, 240, 252, 255].map((type) => tlv(type, pattern(8), { flags: U })))],
    ["one that goes beyond the packet is malformed, and the last", bytes(padding, beyond(1, 0x80)),
      bytes(padded, beyond(1, M))],
    ["an unknown one, likewise", beyond(200, 0), beyond(200, M | U)],
    ["nothing behind a malformed one is changed", bytes(tlv(3, pattern(5)), tlv(1, [], { flags: 0xff })),
      bytes(tlv(3, pattern(5), { flags: M }), tlv(1, [], { flags: 0xff }))],
    ["up to three octets behind the last are padding", bytes(padding, pattern(3)), bytes(padded, pattern(3))],
    ["one of length 0", bytes(tlv(1, []), tlv(200, [], { flags: 0 })), bytes(tlv(1, [], { flags: 0 }), tlv(200, []))],
    ["zeros are TWAMP Light's padding", new Uint8Array(37), new Uint8Array(37)],
    ["zeros behind TLVs, likewise", bytes(padding, new Uint8Array(9)), bytes(padded, new Uint8Array(9))],
    ["Location has the ports", tlv(2, new Uint8Array(4)), tlv(2, words(PORT, SENDER_PORT), { flags: 0 })],
    ["Location answers what is asked, and no more", tlv(2, bytes(
      new Uint8Array(4), question.to, question.mac, question.from, tlv(5, new Uint8Array(16), { flags: 0 }),
    )),
    tlv(2, bytes(words(PORT, SENDER_PORT), tlv(5, bytes(addr(TARGET), new Uint8Array(12)), { flags: 0 }),
      tlv(3, new Uint8Array(8), { flags: 0 }), tlv(8, bytes(addr(PEER), new Uint8Array(12)), { flags: 0 }),
      tlv(5, new Uint8Array(16))), { flags: 0 })],
    ["a question of a wrong length is malformed, and the last",
      tlv(2, bytes(new Uint8Array(4), tlv(4, [1, 2, 3, 4]), question.from)),
      tlv(2, bytes(words(PORT, SENDER_PORT), tlv(4, [1, 2, 3, 4], { flags: M }), question.from), { flags: 0 })],
    ["Location without room for the ports is malformed", tlv(2, pattern(3)), tlv(2, pattern(3), { flags: M })],
    ["Timestamp Information has a clock that follows none, read by software", tlv(3, [0, 0, 0, 0]),
      tlv(3, [5, 2, 5, 2], { flags: 0 })],
    // DSCP1 46; then DSCP2 10, ECN 3 and RP 1.
    ["Class of Service has the DSCP and ECN codepoint that came", tlv(4, [46 << 2 | 3, 0xff, 0xff, 0xff]),
      tlv(4, [46 << 2, DSCP << 4 | ECN << 2 | 1, 0, 0], { flags: 0 })],
    ["Direct Measurement has nothing to count without a session", tlv(5, pattern(12), { flags: 0 }),
      tlv(5, pattern(12))],
    ["Access Report comes back", bytes(tlv(6, [0x10, 1, 0, 0]), tlv(6, [0x20, 2, 0, 0])),
      bytes(tlv(6, [0x10, 1, 0, 0], { flags: 0 }), tlv(6, [0x20, 2, 0, 0], { flags: 0 }))],
    ["Access Report of another network is discarded", tlv(6, [0x30, 1, 0, 0], { flags: 0 }), tlv(6, [0x30, 1, 0, 0])],
    ["Follow-Up Telemetry is zeros without a session", tlv(7, pattern(16)), tlv(7, new Uint8Array(16), { flags: 0 })],
    ["Follow-Up Telemetry of a wrong length has zeros all the same", bytes(tlv(7, pattern(14)), padding),
      bytes(tlv(7, bytes(new Uint8Array(12), pattern(14).slice(12)), { flags: M }), padding)],
    ["Destination Node Address: this one, others, and of the other family",
      bytes(tlv(9, addr(TARGET)), tlv(9, addr(PEER), { flags: 0 }), tlv(9, addr6(TARGET6), { flags: 0 })),
      bytes(tlv(9, addr(TARGET), { flags: 0 }), tlv(9, addr(PEER)), tlv(9, addr6(TARGET6)))],
    ["Return Path by the same link", tlv(10, tlv(1, [0, 0, 0, 1])),
      tlv(10, tlv(1, [0, 0, 0, 1], { flags: 0 }), { flags: 0 })],
    ["Return Path to somebody else is refused", tlv(10, tlv(2, addr("203.0.113.9"), { flags: 0 }), { flags: 0 }),
      tlv(10, tlv(2, addr("203.0.113.9")))],
    ["only the first Return Path counts", bytes(tlv(10, tlv(1, [0, 0, 0, 1])), tlv(10, tlv(1, [0, 0, 0, 0]))),
      bytes(tlv(10, tlv(1, [0, 0, 0, 1], { flags: 0 }), { flags: 0 }), tlv(10, tlv(1, [0, 0, 0, 0])))],
  ] as const) {
    test(`M-9: ${name}`, async () => {
      const reflector = await Reflector.create();
      assert.deepEqual(reflector.ask(before)?.rest, after);
      reflector.check(before);
    });
  }

  test("M-9: no reply, if the first Return Path says so", async () => {
    const own = await Reflector.create();
    for (const rest of [
      tlv(10, tlv(1, [0, 0, 0, 0])), tlv(10, tlv(1, [255, 255, 255, 254])),
      bytes(padding, tlv(10, tlv(1, [0, 0, 0, 0]))),
      tlv(10, bytes(tlv(2, addr(PEER)), tlv(1, [0, 0, 0, 0]))),
    ]) assert.equal(own.ask(rest), undefined);
    assert.deepEqual(own.rig.dropped, { stamp_no_reply: 4 });
  });

  test("M-12: a sender gets the DSCP that it asks for, if the service permits it", async () => {
    const some = await Reflector.create({ cos: [0, 46], dscp: 7 });
    const cos = (dscp: number) => tlv(4, [dscp << 2, 0, 0, 0]);
    for (const [rest, dscp] of [
      [new Uint8Array(0), 7], [cos(46), 46], [cos(0), 0], [cos(8), DSCP], [bytes(cos(46), cos(0)), 46],
      [bytes(cos(8), cos(46)), DSCP],
    ] as const) {
      assert.equal(some.ask(rest)?.dscp, dscp);
      assert.equal(some.ask(rest)?.ecn, 0);
    }
    assert.deepEqual(some.ask(bytes(cos(46), cos(0), cos(46)))?.rest, bytes(
      ...[[46, 0], [0, 1], [46, 0]].map(([dscp, refused]) =>
        tlv(4, [dscp << 2, DSCP << 4 | ECN << 2 | refused, 0, 0], { flags: 0 })),
    ));
    const any = await Reflector.create({ cos: "any" }, { family: 6, tap: false });
    for (let dscp = 0; dscp < 64; dscp++) assert.equal(any.ask(cos(dscp))?.dscp, dscp);
    const none = await Reflector.create({}, { family: 6, tap: false });
    for (let dscp = 0; dscp < 64; dscp++) assert.equal(none.ask(cos(dscp))?.dscp, DSCP);
  });

  test("M-9: a location is told by frame and packet, or not at all", async () => {
    const rest = tlv(2, bytes(new Uint8Array(4), question.mac, question.to, question.from));
    for (const way of WAYS) {
      for (const location of [true, false]) {
        const reflector = await Reflector.create({ location }, way, location);
        reflector.check(bytes(rest, tlv(3, [0, 0, 0, 0])), JSON.stringify({ way, location }));
        const value = reflector.ask(rest)?.rest.slice(4);
        assert.ok(value);
        assert.equal(value.subarray(0, 4).some((octet) => octet !== 0), location);
        if (way.tap) assert.equal(value[5], location ? 2 : 3, "an EUI-48, or an EUI-64 of zeros");
      }
    }
  });

  test("M-9: behind extension headers, the destination is that of the packet", async () => {
    const { rig, facts } = await Reflector.create({}, { family: 6, tap: false });
    const rest = bytes(tlv(9, addr6(TARGET6)), tlv(2, bytes(new Uint8Array(4), question.to)));
    const [reply] = rig.respond(udpPacket6({
      src: PEER6, sourcePort: SENDER_PORT, destinationPort: PORT, data: sent({ rest }),
      extensions: [destinationOptions()],
    }));
    assert.deepEqual(reply.slice(48 + BASE), reflectedTlvs(rest, facts)?.rest);
  });

  test("M-9: whatever the TLVs are, the reply is as long, and what the RFCs say", async () => {
    let seed = 1;
    const random = (below: number) => {
      seed = Math.imul(seed, 1_664_525) + 1_013_904_223 >>> 0;
      return Math.floor(seed / 2 ** 32 * below);
    };
    const some = (length: number) => Uint8Array.from({ length }, () => random(4) > 0 ? 0 : random(256));
    /** The lengths that are right for some type or other. */
    const lengths = [0, 4, 8, 12, 16, 20, 24];
    const one = (depth: number): Uint8Array => {
      const length = random(8) > 0 ? lengths[random(lengths.length)] : random(40);
      const nested = depth > 0 && random(2) > 0;
      const value = nested
        ? bytes(some(random(3) > 0 ? 4 : 0), ...Array.from({ length: random(4) }, () => one(depth - 1)))
        : some(length);
      const flags = random(256);
      return tlv(random(depth > 0 ? 14 : 8), value, { flags, ...random(12) === 0 && { length: random(60) } });
    };
    const counted = { [U]: 0, [M]: 0 };
    for (const [i, way] of [...WAYS, ...WAYS].entries()) {
      const reflector = await Reflector.create(
        { cos: i % 3 === 0 ? "any" : [0, 46, DSCP], location: i < WAYS.length }, way, i % 2 > 0,
      );
      for (let j = 0; j < 700; j++) {
        reflector.check(bytes(...Array.from({ length: random(7) }, () => one(1)), some(random(8))));
      }
      counted[U] += reflector.rig.linear.counters[TLV_FLAGS + TlvFlag.unrecognized];
      counted[M] += reflector.rig.linear.counters[TLV_FLAGS + TlvFlag.malformed];
      assert.ok(reflector.rig.linear.counters[TLV_FLAGS + TlvFlag.malformed] > 50);
    }
    assert.ok(counted[U] > counted[M]);
  });

  test("M-9: the flags that are set are counted", async () => {
    const { rig } = await Reflector.create();
    const packet = udpPacket({
      destinationPort: PORT, data: sent({ rest: bytes(tlv(200, []), tlv(1, []), tlv(201, [], { length: 7 })) }),
    });
    rig.respond(packet, packet);
    assert.equal(rig.linear.counters[TLV_FLAGS + TlvFlag.unrecognized], 4);
    assert.equal(rig.linear.counters[TLV_FLAGS + TlvFlag.malformed], 2);
  });
});
