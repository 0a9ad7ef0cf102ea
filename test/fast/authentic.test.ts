/** Tests STAMP's authenticated mode against RFC 8762 §4.4: what is reflected, octet by octet, and what is not. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, test } from "node:test";
import { Protocol, REPLIES, TLV_FLAGS, TlvFlag } from "../../abi/counters.js";
import { Service } from "../../abi/tcp.js";
import { padsOf } from "../../src/base/sha256.js";
import { moduleOf } from "../../src/engine/create.js";
import { tableOf } from "../../src/engine/table.js";
import { compile, load, WasmEngine } from "../../src/engine/wasm.js";
import type { PortService } from "../../src/prefix/policy.js";
import { parseAddress, parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { DEFAULT_STAMP, stampBytes, withKeys, type StampKeys, type StampOptions } from "../../src/prefix/stamp.js";
import { type BenchOptions, BY_DEFAULT, Rig } from "../support/engines.js";
import { frame, SHARED } from "../support/frames.js";
import { checksum6, fragmentsOf6, HOST6, PREFIX6, udpPacket6 } from "../support/ipv6.js";
import { bytes, fragmentsOf, HOST, pattern, plainSum, PREFIX, udpPacket } from "../support/packets.js";
import { M, tlv, U } from "../support/stamp.js";

const PORT = 862;
const KEY = pattern(20);
/** 2026-12-01, 12:00:00.25 UTC, in ms, and as NTP has it (RFC 5905 §6). */
const NOON = Date.UTC(2026, 11, 1, 12, 0, 0, 250);
const NTP_NOON = `${(NOON / 1000 - 0.25 + 2_208_988_800).toString(16)}40000000`;
const BASE = 112;
/** RFC 8972 §4: the TLVs are not authentic. */
const I = 0x20;

function hex(digits: string): Uint8Array {
  return Uint8Array.from(Buffer.from(digits, "hex"));
}

function serviceOf(keys: StampKeys, options: Partial<StampOptions> = {}): PortService {
  return { name: "keyed", kind: Service.stamp, bytes: withKeys(stampBytes({ ...DEFAULT_STAMP, ...options }), keys) };
}

const policyOf = (service: PortService) => ({
  ...BY_DEFAULT, sourceLimit: { rate: 1e9, burst: 1e9 }, udp: { ports: [{ first: PORT, last: PORT, service }] },
});

async function rigWith(
  service = serviceOf(padsOf(KEY)), options: BenchOptions = {}, engine: "wasm" | "wasm-scalar" = "wasm",
): Promise<Rig> {
  const rig = await Rig.create(engine, { ...options, policy: policyOf(service) });
  rig.wall = NOON;
  return rig;
}

function tagOf(packet: Uint8Array, key: Uint8Array): Uint8Array {
  return Uint8Array.from(createHmac("sha256", key).update(packet.subarray(0, 96)).digest().subarray(0, 16));
}

interface Sent {
  readonly key?: Uint8Array;
  readonly ssid?: number;
  /** What must be zero, but need not be. */
  readonly zero?: number;
  /** What lies behind the 112 octets. */
  readonly rest?: Uint8Array;
}

/** A sender's packet, RFC 8762 §4.2.2 with the SSID of RFC 8972 §3. */
function sent({ key = KEY, ssid = 0xc0de, zero = 0, rest = new Uint8Array(0) }: Sent = {}): Uint8Array<ArrayBuffer> {
  const packet = new Uint8Array(BASE + rest.length).fill(zero, 4, 96);
  packet.set(hex("00000007"));
  packet.set(hex("e5f6a7b8c9dadbec8a0b"), 16);
  packet.set([ssid >> 8, ssid & 255], 26);
  packet.set(tagOf(packet, key), 96);
  packet.set(rest, BASE);
  return packet;
}

/** The reflector's packet, RFC 8762 §4.3.2, that answers one. */
function reflected(
  request: Uint8Array, { key = KEY, ttl = 64, left = NTP_NOON, rest = request.slice(BASE) } = {},
): Uint8Array {
  const zeros = (length: number) => "00".repeat(length);
  const sequence = Buffer.from(request.subarray(0, 4)).toString("hex");
  const [timestamp, error, ssid] = [[16, 24], [24, 26], [26, 28]].map(([from, end]) =>
    Buffer.from(request.subarray(from, end)).toString("hex"));
  const base = hex([
    sequence, zeros(12), left, "3fff", ssid, zeros(4), NTP_NOON, zeros(8), sequence, zeros(12), timestamp, error,
    zeros(6), ttl.toString(16).padStart(2, "0"), zeros(15),
  ].join(""));
  assert.equal(base.length, 96);
  return bytes(base, tagOf(base, key), rest);
}

const request4 = (data: Uint8Array<ArrayBuffer>) => udpPacket({ destinationPort: PORT, data });
const ask = (rig: Rig, data: Uint8Array<ArrayBuffer>) =>
  (rig.respond(request4(data)) as (Uint8Array | undefined)[]).at(0)?.slice(28);

function holds(reply: Uint8Array): boolean {
  const datagram = reply.subarray(20);
  return plainSum(
    bytes(reply.subarray(12, 20), 0, 17, datagram.length >> 8, datagram.length & 255, datagram),
  ) === 0xffff;
}

describe("STAMP, authenticated", () => {
  for (const engine of ["wasm", "wasm-scalar"] as const) {
    test(`M-10: ${engine}: the reply has the sender's packet, both times, the TTL and an HMAC, IPv4 and IPv6`, async () => {
      const rig = await rigWith(undefined, {}, engine);
      for (const zero of [0, 0xff]) {
        const request = sent({ zero });
        const [reply] = rig.respond(udpPacket({ destinationPort: PORT, data: request, ttl: 7, tos: 0xbb }));
        assert.deepEqual(reply.slice(28), reflected(request, { ttl: 7 }));
        assert.deepEqual([reply[8], reply[1]], [255, 0xb8]);
        assert.ok(holds(reply));
        const [reply6] = rig.respond(udpPacket6({ destinationPort: PORT, data: request, hopLimit: 9 }));
        assert.deepEqual(reply6.slice(48), reflected(request, { ttl: 9 }));
        const datagram = reply6.slice(40);
        datagram.set([0, 0], 6);
        const [src, dst] = [reply6.slice(8, 24), reply6.slice(24, 40)].map((address) =>
          Buffer.from(address).toString("hex").replace(/(.{4})(?!$)/g, "$1:"));
        assert.equal(checksum6(datagram, 17, { src, dst }) || 0xffff, reply6[46] << 8 | reply6[47]);
      }
      assert.equal(rig.linear.counters[REPLIES + Protocol.stamp], 4);
      assert.deepEqual(rig.dropped, {});
    });
  }

  test("M-2: a packet of less than 112 octets is dropped, whatever `short` says", async () => {
    for (const short of ["drop", "answer"] as const) {
      const rig = await rigWith(serviceOf(padsOf(KEY), { short }));
      for (let length = 0; length < BASE; length++) assert.equal(ask(rig, sent().slice(0, length)), undefined);
      assert.deepEqual(rig.dropped, { stamp_hmac: BASE });
    }
  });

  test("M-10: a packet in which any bit is another one is dropped", async () => {
    const rig = await rigWith();
    const packet = sent();
    for (let bit = 0; bit < 8 * BASE; bit++) {
      const changed = packet.slice();
      changed[bit >> 3] ^= 1 << (bit & 7);
      assert.equal(ask(rig, changed), undefined, `bit ${bit}`);
    }
    assert.deepEqual(rig.dropped, { stamp_hmac: 8 * BASE });
    assert.deepEqual(ask(rig, packet), reflected(packet));
  });

  test("M-10: a packet of another key is dropped, and one that is not authenticated", async () => {
    const rig = await rigWith();
    for (const key of [pattern(19), pattern(21), new Uint8Array(0)]) assert.equal(ask(rig, sent({ key })), undefined);
    const without = sent().fill(0, 96, 112);
    assert.equal(ask(rig, without), undefined);
    assert.deepEqual(rig.dropped, { stamp_hmac: 4 });
  });

  test("M-10: keys of any length", async () => {
    for (const length of [16, 63, 64, 65, 1000, 65_536]) {
      const key = pattern(length);
      const rig = await rigWith(serviceOf(padsOf(key)));
      assert.deepEqual(ask(rig, sent({ key })), reflected(sent({ key }), { key }), `${length} octets`);
    }
  });

  test("M-10: each SSID has its key, and one without a key is dropped", async () => {
    const most = Array.from({ length: 1024 }, (_, i) => 63 * i);
    for (const ssids of [[7], [0, 65_535], [3, 5, 8, 200, 256, 1000, 4096], most]) {
      const keys = new Map(ssids.map((ssid) => [ssid, pattern(16 + ssid % 50)]));
      const rig = await rigWith(serviceOf(new Map([...keys].reverse().map(([ssid, key]) => [ssid, padsOf(key)]))));
      for (const [ssid, key] of keys) {
        const request = sent({ key, ssid });
        assert.deepEqual(ask(rig, request), reflected(request, { key }), `SSID ${ssid} of ${ssids.length}`);
      }
      const others = ssids.flatMap((ssid) => [ssid - 1, ssid + 1]).filter((ssid) => !keys.has(ssid) && ssid >= 0
        && ssid < 65_536);
      for (const ssid of others) assert.equal(ask(rig, sent({ key: keys.get(ssids[0]), ssid })), undefined);
      assert.deepEqual(rig.dropped, { stamp_hmac: others.length });
    }
  });

  test("M-3: the reply is as long as the request, whole or in fragments, TUN or TAP", async () => {
    const rig = await rigWith();
    for (const length of [...Array.from({ length: 70 }, (_, i) => i), 1000, 65_395]) {
      const request = sent({ rest: new Uint8Array(length) });
      assert.deepEqual(ask(rig, request), reflected(request), `${length} more octets`);
    }
    const small = await rigWith(undefined, { mtu: 1500 });
    const request = sent({ rest: new Uint8Array(3932) });
    for (const [six, fragments] of [
      [false, fragmentsOf(request4(request), [0, 1480, 2960, 4052])],
      [true, fragmentsOf6(udpPacket6({ destinationPort: PORT, data: request }), [0, 1448, 2896, 4052])],
    ] as const) {
      const data = small.respond(...fragments).map((reply) => reply.slice(six ? 48 : 20));
      assert.deepEqual(bytes(...data).slice(8), reflected(request));
    }
    const tap = await rigWith(undefined, { link: SHARED });
    const [framed] = tap.respond(frame(request4(sent())));
    assert.deepEqual(framed.slice(14 + 28), reflected(sent()));
    const [framed6] = tap.respond(frame(udpPacket6({ destinationPort: PORT, data: sent() }), { type: 0x86dd }));
    assert.deepEqual(framed6.slice(14 + 48), reflected(sent()));
  });

  test("M-5: the HMAC covers the time at which the batch leaves", async () => {
    const module = compile(moduleOf("wasm"));
    const rig: Rig = await Rig.over(async ({ memory }) => new WasmEngine(await load(module, memory), memory, () => {
      rig.clock.set(1000n, BigInt(NOON + 500) * 1_000_000n);
    }), { policy: policyOf(serviceOf(padsOf(KEY))) });
    rig.wall = NOON;
    const replies = rig.respond(request4(sent()), udpPacket(), request4(sent({ ssid: 1 })));
    assert.equal(replies.length, 3);
    const left = `${NTP_NOON.slice(0, 8)}c0000000`;
    assert.deepEqual(replies[0].slice(28), reflected(sent(), { left }));
    assert.deepEqual(replies[2].slice(28), reflected(sent({ ssid: 1 }), { left }));
    assert.ok(holds(replies[0]) && holds(replies[2]));
  });

  const sequence = hex("00000007");
  /** An HMAC TLV, RFC 8972 §4.8, behind these TLVs. */
  const hmac = (tlvs: Uint8Array, flags = U, key = KEY) =>
    tlv(8, tagOf(bytes(sequence, tlvs), key), { flags });
  const signed = (...tlvs: Uint8Array[]) => bytes(...tlvs, hmac(bytes(...tlvs)));
  const cos = (flags: number, value: readonly number[]) => tlv(4, value, { flags });
  const padding = (flags: number, length = 5) => tlv(1, pattern(length), { flags });
  const unknown = (flags: number) => tlv(200, pattern(9), { flags });
  /** Asked for DSCP 46; the answer's second DSCP is that of the request, 0. */
  const [asked, served] = [cos(U, [46 << 2, 0, 0, 0]), cos(0, [46 << 2, 0, 0, 0])];
  const answered = (...tlvs: Uint8Array[]) => bytes(...tlvs, hmac(bytes(...tlvs), 0));
  const wrong = hmac(pattern(3));
  for (const [name, rest, expected] of [
    ["TLVs that are authentic are answered, and their HMAC is that of the answers", signed(asked, unknown(0)),
      answered(served, unknown(U))],
    ["padding may lie before the HMAC, and behind it", bytes(signed(padding(U), asked), padding(U), padding(U)),
      bytes(answered(padding(0), served), padding(0), padding(0))],
    ["an HMAC of nothing but the sequence number", signed(), answered()],
    ["zeros behind it", bytes(signed(asked), new Uint8Array(9)), bytes(answered(served), new Uint8Array(9))],
    ["three octets behind it", bytes(signed(asked), pattern(3)), bytes(answered(served), pattern(3))],
    ["padding that is the only TLV needs none", padding(U), padding(0)],
    ["nor do zeros", new Uint8Array(12), new Uint8Array(12)],
    ["a malformed TLV before it", signed(tlv(4, [1, 2, 3]), asked), answered(tlv(4, [1, 2, 3], { flags: M }), asked)
      .map((octet, i, all) => i === all.length - 20 ? U : octet)],
  ] as const) {
    test(`M-9: authenticated: ${name}`, async () => {
      const rig = await rigWith(serviceOf(padsOf(KEY), { cos: [46] }));
      const request = sent({ rest });
      assert.deepEqual(ask(rig, request), reflected(request, { rest: Uint8Array.from(expected) }));
      const [reply] = rig.respond(udpPacket6({ destinationPort: PORT, data: request }));
      assert.deepEqual(reply.slice(48), reflected(request, { rest: Uint8Array.from(expected) }));
      const isServed = Buffer.from(expected).includes(Buffer.from(served));
      assert.equal(reply[0] << 4 & 0xff | reply[1] >> 4, isServed ? 46 << 2 : 0);
    });
  }

  for (const [name, tlvs] of [
    ["with another HMAC", [asked, padding(U), wrong]],
    ["with the HMAC of another key", [asked, hmac(asked, U, pattern(19))]],
    ["with the HMAC of another packet", [asked, tlv(8, tagOf(bytes(hex("00000008"), asked), KEY))]],
    ["with a TLV behind the HMAC", [asked, hmac(asked), unknown(U)]],
    ["with two of them", [asked, hmac(asked), hmac(bytes(asked, hmac(asked)))]],
    ["with an HMAC that is short", [asked, tlv(8, hmac(asked).slice(4, 19))]],
    ["with an HMAC that is cut off", [asked, hmac(asked).slice(0, 12)]],
    ["without one", [asked]],
    ["that are malformed, without one", [tlv(4, [1, 2, 3, 4], { length: 5 })]],
    ["without one, of which several are padding", [padding(U), padding(U)]],
  ] as const) {
    test(`M-9: authenticated: TLVs ${name} are marked, and go back as they came`, async () => {
      const rig = await rigWith(serviceOf(padsOf(KEY), { cos: [46] }));
      const request = sent({ rest: bytes(...tlvs) });
      const marked = tlvs.map((each) => Uint8Array.from([I, ...each.subarray(1)]));
      assert.deepEqual(ask(rig, request), reflected(request, { rest: Uint8Array.from(bytes(...marked)) }));
      const [reply] = rig.respond(udpPacket6({ destinationPort: PORT, data: request }));
      assert.deepEqual(reply.slice(0, 2), Uint8Array.of(0x60, 0), "no DSCP is asked for");
      assert.equal(rig.linear.counters[TLV_FLAGS + TlvFlag.integrity], 2 * tlvs.length);
    });
  }

  test("M-9: authenticated: any other bit of the TLVs is found, but for those of padding behind", async () => {
    const rig = await rigWith();
    const rest = bytes(signed(padding(U, 3), asked, unknown(U)), padding(U));
    const end = rest.length - 9;
    for (let bit = 0; bit < 8 * rest.length; bit++) {
      const changed = rest.slice();
      changed[bit >> 3] ^= 1 << (bit & 7);
      const reply = ask(rig, sent({ rest: changed })) ?? assert.fail();
      assert.equal(reply.length, BASE + rest.length);
      // The HMAC does not cover its own flags, nor what lies behind it: with another header, that may be no padding.
      const isCovered = bit >> 3 < end && bit >> 3 !== end - 20;
      if (isCovered) assert.equal(reply[BASE], I, `bit ${bit}`);
      else if (bit >> 3 <= end || bit >> 3 >= end + 4) assert.equal(reply[BASE], 0, `bit ${bit}`);
    }
  });

  test("M-11: with sources: any, a packet that looks like a reply is not answered", async () => {
    const rig = await rigWith(serviceOf(padsOf(KEY), { sources: "any" }));
    const request = sent();
    const reply = ask(rig, request) ?? assert.fail();
    for (const sourcePort of [PORT, 50_000]) {
      const packet = (data: Uint8Array) =>
        udpPacket({ destinationPort: PORT, sourcePort, data: Uint8Array.from(data) });
      assert.equal(rig.respond(packet(request)).length, 1);
      assert.equal(rig.respond(packet(sent({ zero: 0xff }))).length, 1);
      assert.equal(rig.respond(packet(reply)).length, 0);
    }
    assert.deepEqual(rig.dropped, { udp_loop: 2 });
  });

  test("a reload changes keys at once", async () => {
    const rig = await rigWith(undefined, { reloadable: true });
    const other = pattern(40);
    for (const [now, before] of [[KEY, other], [other, KEY], [KEY, other]]) {
      const prefixes = [PREFIX, PREFIX6].map(parsePrefix);
      const served = serving(prefixes, { ...policyOf(serviceOf(padsOf(now))), exceptions: [] });
      rig.linear.serve(tableOf(served, { hosts: [HOST, HOST6].map(parseAddress) }));
      assert.deepEqual(ask(rig, sent({ key: now })), reflected(sent({ key: now }), { key: now }));
      assert.equal(ask(rig, sent({ key: before })), undefined);
    }
  });

  test("nothing of a key but its pads is in the engine's memory", async () => {
    const key = Buffer.from("a key that nobody finds anywhere");
    const rig = await rigWith(serviceOf(padsOf(key)));
    assert.ok(ask(rig, sent({ key })));
    const memory = Buffer.from(rig.bytes.buffer as ArrayBuffer);
    assert.equal(memory.indexOf(key), -1);
    assert.notEqual(memory.indexOf(padsOf(key)), -1);
  });
});
