/** Tests the STAMP reflector against RFC 8762 §4: what it sends, octet by octet. stamp-tlv.test.ts has its TLVs. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ERROR_ESTIMATE } from "../../abi/control.js";
import { Protocol, REPLIES, SERVED } from "../../abi/counters.js";
import { Service } from "../../abi/tcp.js";
import { compile, load, WasmEngine } from "../../src/engine/wasm.js";
import { moduleOf } from "../../src/engine/create.js";
import { DEFAULT_STAMP, stampBytes, type StampOptions } from "../../src/prefix/stamp.js";
import { estimateOf } from "../../src/sys/realtime.js";
import { parseAddress } from "../../src/prefix/prefixes.js";
import { type BenchOptions, BY_DEFAULT, Rig } from "../support/engines.js";
import { frame, SHARED } from "../support/frames.js";
import { checksum6, fragmentsOf6, hopByHop, icmpv6Packet, udpPacket6 } from "../support/ipv6.js";
import { bytes, fragmentsOf, plainSum, udpPacket, type UdpOptions } from "../support/packets.js";
import { BASE, sent } from "../support/stamp.js";

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

function hex(digits: string): Uint8Array {
  return Uint8Array.from(Buffer.from(digits, "hex"));
}

async function rigWith(options: BenchOptions = {}): Promise<Rig> {
  const rig = await Rig.create("wasm", { ...options, policy: { ...POLICY, ...options.policy } });
  rig.wall = NOON;
  return rig;
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

/** Returns a rig with a service of one's own. */
function rigOf(stamp: Partial<StampOptions>, options: BenchOptions = {}): Promise<Rig> {
  const service = { name: "own", kind: Service.stamp, bytes: stampBytes({ ...DEFAULT_STAMP, ...stamp }) };
  return rigWith({ ...options, policy: { udp: { ports: [{ first: PORT, last: PORT, service }] } } });
}

function ask(rig: Rig, data: Uint8Array, options: UdpOptions = {}): Uint8Array | undefined {
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
  test("M-4: behind a path, the reply has the TTL that was left, and the hops take from its own", async () => {
    const hop = {
      ipv4: parseAddress("10.98.0.1"), ipv6: parseAddress("fd98::1"), silent: false, blackHole: false, ttl: 64,
      icmp: { rate: 1, burst: 1 }, mpls: [],
    };
    const request = sent();
    const rig = await rigWith({ kept: 10, policy: { path: { steps: [hop, hop, hop], back: 2 } } });
    const [reply] = rig.respond(udpPacket({ destinationPort: PORT, sourcePort: 50_000, data: request, ttl: 64 }));
    assert.deepEqual(reply.slice(28), reflected(request, { ttl: 61 }));
    assert.equal(reply[8], 253);
    const [reply6] = rig.respond(udpPacket6({
      destinationPort: PORT, sourcePort: 50_000, data: request, hopLimit: 255,
    }));
    assert.deepEqual([reply6[48 + 40], reply6[7]], [252, 253]);
  });

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
    assert.equal(rig.linear.counters[REPLIES + Protocol.stamp], 256);
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

  test("M-12: the DSCP and the TTL of replies are those of the service", async () => {
    const rig = await rigOf({ dscp: 46, ttl: 7 });
    for (let tos = 0; tos < 256; tos++) {
      const [reply, six] = rig.respond(
        udpPacket({ destinationPort: PORT, data: sent(), tos }),
        udpPacket6({ destinationPort: PORT, data: sent(), trafficClass: tos, flowLabel: 0xabcde }),
      );
      assert.deepEqual([reply[1], reply[8], plainSum(reply.subarray(0, 20))], [46 << 2, 7, 0xffff]);
      assert.deepEqual([...six.slice(0, 4), six[7]], [0x60 | 46 >> 2, (46 & 3) << 6 | 0xa, 0xbc, 0xde, 7]);
    }
  });

  test("M-11: a packet of TWAMP Light's gets a reply of 44 octets if the service says so", async () => {
    const rig = await rigOf({ short: "answer" });
    for (let length = 14; length < BASE; length++) {
      const request = sent().slice(0, length);
      const whole = bytes(request, new Uint8Array(BASE - length));
      assert.deepEqual(ask(rig, request), reflected(whole), `${length} octets`);
      const [reply] = rig.respond(udpPacket6({ destinationPort: PORT, data: request, extensions: [hopByHop()] }));
      assert.deepEqual(reply.slice(48), reflected(whole));
      assert.equal(reply[4] << 8 | reply[5], 52);
    }
    const [reply] = rig.respond(udpPacket({ destinationPort: PORT, data: sent().slice(0, 14) }));
    assert.equal(reply.length, 72);
    assert.ok(holds(reply) && plainSum(reply.subarray(0, 20)) === 0xffff);
    for (let length = 0; length < 14; length++) assert.equal(ask(rig, sent().slice(0, length)), undefined);
    assert.deepEqual(rig.dropped, { stamp_short: 14 });
    // Where a reply of that length would not fit.
    const narrow = await rigOf({ short: "answer" }, { mtu: 71 });
    assert.equal(ask(narrow, sent().slice(0, 14)), undefined);
    assert.deepEqual(narrow.dropped, { stamp_short: 1 });
  });

  test("M-13: with sources: any, every port is answered, and what a reflector sent never is", async () => {
    const rig = await rigOf({ sources: "any" });
    for (const sourcePort of [0, 7, 53, PORT, 2112]) assert.ok(ask(rig, sent(), { sourcePort }));
    assert.ok(ask(rig, sent({ zero: new Uint8Array(28).fill(255) }), { sourcePort: PORT }));
    const reply = ask(rig, sent(), { sourcePort: PORT });
    assert.ok(reply);
    assert.equal(ask(rig, reply, { sourcePort: PORT }), undefined);
    // A reflector whose clock is another one, and whose packets are longer.
    const other = bytes(reflected(sent(), { received: hex("0102030405060708") }), new Uint8Array(60));
    assert.equal(ask(rig, other, { sourcePort: PORT }), undefined);
    assert.deepEqual(rig.dropped, { udp_loop: 2 });
  });

  test("M-13: reflectors at ports of clients answer each other once, whatever a third one forges", async () => {
    const at = (first: number, prefixes: readonly string[], host: string) => rigWith({
      prefixes: [...prefixes], host,
      policy: { udp: { ports: [{ first, last: first, service: { name: "stamp", kind: Service.stamp } }] } },
    });
    const [a, b] = [await at(8620, ["10.99.0.0/16"], "10.99.0.1"), await at(8621, ["10.98.0.0/16"], "10.98.0.1")];
    const forged = udpPacket({ src: "10.98.1.1", sourcePort: 8621, destinationPort: 8620, data: sent() });
    const answers = a.respond(forged);
    assert.equal(answers.length, 1);
    assert.deepEqual(b.respond(...answers), []);
    assert.deepEqual(b.dropped, { udp_loop: 1 });
  });

  test("M-5: a reply that its path has no room for has both times, and a checksum, in fragments, too", async () => {
    const rig = await rigWith({ mtu: 1500 });
    const request = sent({ rest: new Uint8Array(1350) });
    const packet = udpPacket6({ destinationPort: PORT, data: request });
    const [whole] = rig.respond(packet);
    assert.equal(whole.length, packet.length);
    rig.respond(icmpv6Packet({ type: 2, identifier: 0, sequence: 1280, data: whole.slice(0, 1232) }));
    const fragments = rig.respond(packet);
    assert.equal(fragments.length, 2);
    const datagram = bytes(...fragments.map((fragment) => fragment.slice(48)));
    assert.deepEqual(datagram.slice(8), reflected(request));
    const [src, dst] = [whole.slice(8, 24), whole.slice(24, 40)].map((address) =>
      Buffer.from(address).toString("hex").replace(/(.{4})(?!$)/g, "$1:"));
    const sum = datagram[6] << 8 | datagram[7];
    assert.equal(checksum6(bytes(datagram.slice(0, 6), 0, 0, datagram.slice(8)), 17, { src, dst }) || 0xffff, sum);
  });
});
