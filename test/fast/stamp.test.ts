/** Tests the STAMP reflector against RFC 8762 §4 and RFC 8972 §4: what it sends, octet by octet. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ERROR_ESTIMATE } from "../../abi/control.js";
import { Protocol, REPLIES, SERVED } from "../../abi/counters.js";
import { Service } from "../../abi/tcp.js";
import { compile, load, WasmEngine } from "../../src/engine/wasm.js";
import { moduleOf } from "../../src/engine/create.js";
import { estimateOf } from "../../src/sys/realtime.js";
import { type BenchOptions, BY_DEFAULT, Rig } from "../support/engines.js";
import { frame, SHARED } from "../support/frames.js";
import { checksum6, fragmentsOf6, udpPacket6 } from "../support/ipv6.js";
import { bytes, fragmentsOf, pattern, plainSum, udpPacket, type UdpOptions } from "../support/packets.js";

const PORT = 862;
const POLICY = {
  ...BY_DEFAULT, sourceLimit: { rate: 1e9, burst: 1e9 },
  udp: { ports: [{ first: PORT, last: PORT, service: { name: "stamp", kind: Service.stamp } }] },
};
/** 2026-12-01, 12:00:00.25 UTC, in ms, and as NTP has it (RFC 5905 §6). */
const NOON = Date.UTC(2026, 11, 1, 12, 0, 0, 250);
const NTP_NOON = hex(`${(NOON / 1000 - 0.25 + 2_208_988_800).toString(16)}40000000`);
/** Not synchronized, and off by as much as can be said. */
const UNKNOWN = hex("3fff");
const BASE = 44;

function hex(digits: string): Uint8Array {
  return Uint8Array.from(Buffer.from(digits, "hex"));
}

async function rigWith(options: BenchOptions = {}): Promise<Rig> {
  const rig = await Rig.create("wasm", { ...options, policy: { ...POLICY, ...options.policy } });
  rig.wall = NOON;
  return rig;
}

/** A sender's packet, RFC 8762 §4.2.1 with the SSID of RFC 8972 §3; `rest` lies behind its 44 octets. */
function sent({ zero = new Uint8Array(28), rest = new Uint8Array(0) }: { zero?: Uint8Array; rest?: Uint8Array } = {}) {
  return Uint8Array.from(bytes(hex("00000007e5f6a7b8c9dadbec8a0bc0de"), zero, rest));
}

/** The reflector's packet, RFC 8762 §4.3.1, that answers one. */
function reflected(request: Uint8Array, {
  ttl = 64, received = NTP_NOON, left = NTP_NOON, error = UNKNOWN, rest = request.slice(BASE),
} = {}): Uint8Array {
  return bytes(
    request.slice(0, 4), left, error, request.slice(14, 16), received, request.slice(0, 4), request.slice(4, 12),
    request.slice(12, 14), 0, 0, ttl, 0, 0, 0, rest,
  );
}

function ask(rig: Rig, data: Uint8Array<ArrayBuffer>, options: UdpOptions = {}): Uint8Array | undefined {
  const [reply] = rig.respond(udpPacket({ destinationPort: PORT, ...options, data })) as (Uint8Array | undefined)[];
  return reply?.slice(28);
}

function holds(reply: Uint8Array): boolean {
  const datagram = reply.subarray(20);
  return plainSum(
    bytes(reply.subarray(12, 20), 0, 17, datagram.length >> 8, datagram.length & 255, datagram),
  ) === 0xffff;
}

describe("STAMP", () => {
  test("M-4: the reply has the sender's packet, both times and the TTL, IPv4", async () => {
    const rig = await rigWith();
    const request = sent();
    for (let ttl = 0; ttl < 256; ttl++) {
      const asked = udpPacket({ destinationPort: PORT, sourcePort: 50_000, data: request, ttl, tos: ttl });
      const [reply] = rig.respond(asked);
      assert.deepEqual(reply.slice(28), reflected(request, { ttl }));
      assert.deepEqual([...reply.slice(20, 24)], [PORT >> 8, PORT & 255, 50_000 >> 8, 50_000 & 255]);
      assert.deepEqual([reply[8], reply[1]], [255, ttl & ~3], "our TTL, and the DSCP alone");
      assert.ok(holds(reply));
    }
    assert.equal(rig.linear.counters[SERVED + Service.stamp], 256);
    assert.equal(rig.linear.counters[REPLIES + Protocol.udp], 256);
  });

  test("M-4: and IPv6", async () => {
    const rig = await rigWith();
    for (const rest of [new Uint8Array(0), new Uint8Array(1001)]) {
      const request = sent({ rest });
      const [reply] = rig.respond(udpPacket6({ destinationPort: PORT, data: request, hopLimit: 9 }));
      assert.deepEqual(reply.slice(48), reflected(request, { ttl: 9 }));
      assert.equal(reply[7], 255);
      const datagram = reply.slice(40);
      datagram.set([0, 0], 6);
      const [src, dst] = [reply.slice(8, 24), reply.slice(24, 40)].map((address) =>
        Buffer.from(address).toString("hex").replace(/(.{4})(?!$)/g, "$1:"));
      assert.equal(checksum6(datagram, 17, { src, dst }) || 0xffff, reply[46] << 8 | reply[47]);
    }
  });

  test("M-3: the reply is as long as the request, whole or in fragments, TUN or TAP", async () => {
    const rig = await rigWith();
    for (const length of [...Array.from({ length: 300 }, (_, i) => i), 1428, 8000, 65_400]) {
      const request = sent({ rest: new Uint8Array(length) });
      assert.deepEqual(ask(rig, request), reflected(request), `${length} more octets`);
    }
    const small = await rigWith({ mtu: 1500 });
    const request = sent({ rest: new Uint8Array(4000) });
    for (const [six, fragments] of [
      [false, fragmentsOf(udpPacket({ destinationPort: PORT, data: request }), [0, 1480, 2960, 4052])],
      [true, fragmentsOf6(udpPacket6({ destinationPort: PORT, data: request }), [0, 1448, 2896, 4052])],
    ] as const) {
      const replies = small.respond(...fragments);
      const data = replies.map((reply) => reply.slice(six ? 48 : 20));
      assert.deepEqual(bytes(...data).slice(8), reflected(request));
    }
    const tap = await rigWith({ link: SHARED });
    const [framed] = tap.respond(frame(udpPacket({ destinationPort: PORT, data: sent() })));
    assert.deepEqual(framed.slice(14 + 28), reflected(sent()));
  });

  test("M-8: what must be zero is ignored, and is zero in the reply", async () => {
    const rig = await rigWith();
    const request = sent({ zero: new Uint8Array(28).fill(255) });
    assert.deepEqual(ask(rig, request), reflected(request));
  });

  test("M-5: times of before and after 2036 and 2106", async () => {
    const rig = await rigWith();
    for (const [at, ntp] of [
      [0, "83aa7e8000000000"], [Date.UTC(2036, 1, 7, 6, 28, 15), "ffffffff00000000"],
      [Date.UTC(2036, 1, 7, 6, 28, 16), "0000000000000000"], [Date.UTC(2106, 1, 7, 6, 28, 16), "83aa7e8000000000"],
      [500, "83aa7e8080000000"], [999.999999, "83aa7e80fffffffb"],
    ] as const) {
      rig.wall = at;
      const time = hex(ntp);
      assert.deepEqual(ask(rig, sent()), reflected(sent(), { received: time, left: time }), new Date(at).toISOString());
    }
  });

  test("M-5: the second time is that at which the batch leaves, and the checksum covers it", async () => {
    const module = compile(moduleOf("wasm"));
    const rig: Rig = await Rig.over(async ({ memory }) => new WasmEngine(await load(module, memory), memory, () => {
      rig.clock.set(1000n, BigInt(NOON + 500) * 1_000_000n);
    }), { policy: POLICY });
    rig.wall = NOON;
    const request = udpPacket({ destinationPort: PORT, data: sent() });
    const replies = rig.respond(request, udpPacket(), request);
    assert.equal(replies.length, 3);
    const left = hex(Buffer.from(NTP_NOON.slice(0, 4)).toString("hex") + "c0000000");
    for (const reply of [replies[0], replies[2]]) {
      assert.deepEqual(reply.slice(28), reflected(sent(), { left }));
      assert.ok(holds(reply));
    }
  });

  test("a request without a checksum gets a reply with one", async () => {
    const rig = await rigWith();
    const [reply] = rig.respond(udpPacket({ destinationPort: PORT, data: sent(), checksum: 0 }));
    assert.ok(holds(reply));
    assert.notEqual(reply[26] | reply[27], 0);
  });

  test("M-6: the error estimate is what the host has written", async () => {
    const rig = await rigWith();
    rig.words[ERROR_ESTIMATE / 4] = 0x8a3b;
    assert.deepEqual(ask(rig, sent()), reflected(sent(), { error: hex("8a3b") }));
    for (const us of [0, 1, 17, 1500, 16_000_000, 4_000_000_000]) {
      const estimate = estimateOf(us);
      const [scale, multiplier] = [estimate >> 8 & 63, estimate & 255];
      const error = multiplier * 2 ** (scale - 32);
      assert.equal(estimate >> 14, 2, "synchronized, in NTP's format");
      assert.ok(multiplier > 0 && error >= us / 1e6 && error <= Math.max(us / 1e6 * 1.01, 2 ** -32), `${us}: ${error}`);
    }
  });

  test("M-11: no reply is longer than its request, or goes to a port of a reflector's", async () => {
    const rig = await rigWith();
    for (let length = 0; length < BASE; length++) assert.equal(ask(rig, sent().slice(0, length)), undefined);
    for (const sourcePort of [7, PORT, 2112]) assert.equal(ask(rig, sent(), { sourcePort }), undefined);
    assert.deepEqual(rig.dropped, { stamp_short: BASE, udp_loop: 3 });
  });

  const tlv = (flags: number, type: number, value: Uint8Array, length = value.length) =>
    bytes(flags, type, length >> 8, length & 255, value);
  const unknown = (flags: number) => tlv(flags, 200, pattern(9));
  const padding = (flags: number, length = 5) => tlv(flags, 1, pattern(length));
  for (const [name, before, after] of [
    ["M-9: padding comes back", padding(0x80), padding(0)],
    ["M-9: other flags than U are cleared, too", padding(0xff), padding(0)],
    ["M-9: an unknown TLV is marked, and those behind it are read", bytes(unknown(0x80), padding(0x80)),
      bytes(unknown(0x80), padding(0))],
    ["M-9: and is marked where the sender did not", unknown(0), unknown(0x80)],
    ["M-9: types that are known elsewhere", bytes(tlv(0x80, 2, pattern(4)), tlv(0, 11, pattern(4))),
      bytes(tlv(0x80, 2, pattern(4)), tlv(0x80, 11, pattern(4)))],
    ["M-9: one that goes beyond the packet is malformed, and the last",
      bytes(padding(0x80), tlv(0x80, 1, pattern(8), 9)), bytes(padding(0), tlv(0x40, 1, pattern(8), 9))],
    ["M-9: an unknown one, likewise", tlv(0, 200, pattern(8), 65_535), tlv(0xc0, 200, pattern(8), 65_535)],
    ["M-9: up to three octets behind the last are padding", bytes(padding(0x80), pattern(3)),
      bytes(padding(0), pattern(3))],
    ["M-9: of length 0", bytes(tlv(0x80, 1, new Uint8Array(0)), unknown(0)),
      bytes(tlv(0, 1, new Uint8Array(0)), unknown(0x80))],
    ["M-9: zeros are TWAMP Light's padding", new Uint8Array(37), new Uint8Array(37)],
    ["M-9: also behind TLVs", bytes(padding(0x80), new Uint8Array(9)), bytes(padding(0), new Uint8Array(9))],
  ] as const) {
    test(name, async () => {
      const rig = await rigWith();
      const request = sent({ rest: before });
      assert.deepEqual(ask(rig, request), reflected(request, { rest: Uint8Array.from(after) }));
    });
  }

  test("M-9: whatever the TLVs are, the reply is as long as the request, and differs in flags alone", async () => {
    const rig = await rigWith();
    let seed = 1;
    const random = () => (seed = Math.imul(seed, 1_664_525) + 1_013_904_223 >>> 0) >>> 24;
    for (let i = 0; i < 3000; i++) {
      // Lengths are small, so that there are many.
      const rest = Uint8Array.from({ length: random() }, (_, at) => at % 4 === 2 ? 0 : random() >> (i % 8));
      const request = sent({ rest });
      const reply = ask(rig, request);
      assert.ok(reply);
      assert.equal(reply.length, request.length);
      const flags = new Set<number>();
      for (let at = 0; rest.length - at >= 4;) {
        flags.add(at);
        at += 4 + (rest[at + 2] << 8 | rest[at + 3]);
      }
      rest.forEach((octet, at) => { if (!flags.has(at)) assert.equal(reply[BASE + at], octet); });
      assert.deepEqual(reply.slice(0, BASE), reflected(sent()));
    }
  });
});
