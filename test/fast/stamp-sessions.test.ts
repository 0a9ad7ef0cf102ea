/** Tests the stateful mode of STAMP, RFC 8762 §4 and RFC 8972 §3, and the table of its sessions. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, test } from "node:test";
import { Counter, Protocol, REPLIES, TURNAROUND } from "../../abi/counters.js";
import { SESSION_COUNT, SESSIONS_TOUCHED } from "../../abi/sessions.js";
import { Service, SERVICE_SIZE, SERVICE_USERS, SERVICES } from "../../abi/tcp.js";
import { padsOf } from "../../src/base/sha256.js";
import { moduleOf } from "../../src/engine/create.js";
import { tableOf } from "../../src/engine/table.js";
import { compile, load, WasmEngine } from "../../src/engine/wasm.js";
import type { PortRange } from "../../src/prefix/policy.js";
import { parseAddress, parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { DEFAULT_STAMP, stampBytes, withKeys, type StampOptions } from "../../src/prefix/stamp.js";
import { type BenchOptions, BY_DEFAULT, Rig } from "../support/engines.js";
import { udpPacket6 } from "../support/ipv6.js";
import { bytes, HOST, PREFIX, udpPacket, type UdpOptions } from "../support/packets.js";
import { BASE, sent, tlv, type SentOptions } from "../support/stamp.js";

const PORT = 862;
const UNLIMITED = { rate: 1e9, burst: 1e9 };
const MINUTE = 60_000;

function portsOf(options: Partial<StampOptions> = {}): PortRange[] {
  const bytes = stampBytes({ ...DEFAULT_STAMP, mode: "stateful", ...options });
  return [{ first: PORT, last: PORT + 1, service: { name: "own", kind: Service.stamp, bytes } }];
}

function policyOf(options: Partial<StampOptions> = {}) {
  return { ...BY_DEFAULT, sourceLimit: UNLIMITED, udp: { ports: portsOf(options) } };
}

function rigWith(options: Partial<StampOptions> = {}, more: BenchOptions = {}): Promise<Rig> {
  return Rig.create("wasm", { sessions: 64, reloadable: true, ...more, policy: policyOf(options) });
}

interface Reply {
  readonly sequence: number;
  readonly senderSequence: number;
  readonly ssid: number;
  readonly rest: Uint8Array;
  readonly sentAt: bigint;
}

function replyOf(packet: Uint8Array | undefined): Reply | undefined {
  if (!packet) return undefined;
  const message = packet.slice(packet[0] >> 4 === 6 ? 48 : 28);
  const view = new DataView(message.buffer);
  return {
    sequence: view.getUint32(0), senderSequence: view.getUint32(24), ssid: view.getUint16(14),
    rest: message.slice(BASE), sentAt: view.getBigUint64(4),
  };
}

function ask(rig: Rig, packet: SentOptions = {}, options: UdpOptions = {}): Reply | undefined {
  const [reply] = rig.respond(udpPacket({ destinationPort: PORT, ...options, data: sent(packet) })) as
    (Uint8Array | undefined)[];
  return replyOf(reply);
}

const sessions = (rig: Rig) => rig.linear.counters[Counter.stampSessions];

describe("stateful STAMP", () => {
  test("M-7: each session counts its replies from 0, whatever the sender's numbers are", async () => {
    const rig = await rigWith();
    const ways: readonly (readonly [SentOptions, UdpOptions])[] = [
      [{}, {}], [{ ssid: 1 }, {}], [{}, { sourcePort: 40_001 }], [{}, { destinationPort: PORT + 1 }],
      [{}, { src: "192.0.2.1" }], [{}, { dst: "10.99.1.2" }],
    ];
    for (let i = 0; i < 5; i++) {
      for (const [packet, options] of ways) {
        const reply = ask(rig, { ...packet, sequence: 1000 - i }, options);
        assert.equal(reply?.sequence, i);
        assert.equal(reply.senderSequence, 1000 - i);
        assert.equal(reply.ssid, packet.ssid ?? 0xc0de);
      }
      const [six] = rig.respond(udpPacket6({ destinationPort: PORT, data: sent() }));
      assert.equal(replyOf(six)?.sequence, i);
    }
    assert.equal(sessions(rig), ways.length + 1);
    assert.equal(rig.linear.counters[REPLIES + Protocol.stamp], 5 * (ways.length + 1));
  });

  test("M-7: a packet that is lost on its way shows: the reply has a number of the session's", async () => {
    const rig = await rigWith();
    for (const [i, sequence] of [0, 1, 3, 4, 7].entries()) assert.equal(ask(rig, { sequence })?.sequence, i);
  });

  test("M-7: a session ends when it has been silent for its time", async () => {
    const rig = await rigWith({ idleMs: 10 * MINUTE });
    for (let i = 0; i < 5; i++, rig.now += 9 * MINUTE) assert.equal(ask(rig)?.sequence, i);
    rig.now += 2 * MINUTE;
    // As the packet loop does, when the deadline has come.
    rig.respond();
    assert.equal(sessions(rig), 0);
    assert.equal(ask(rig)?.sequence, 0);
  });

  test("a full table has no room for others, and those that are there go on", async () => {
    const rig = await rigWith({}, { sessions: 8 });
    const src = (i: number) => ({ src: `192.0.${i}.1` });
    for (let i = 0; i < 8; i++) assert.equal(ask(rig, {}, src(i))?.sequence, 0);
    for (let i = 8; i < 20; i++) assert.equal(ask(rig, {}, src(i)), undefined);
    for (let i = 0; i < 8; i++) assert.equal(ask(rig, {}, src(i))?.sequence, 1);
    assert.deepEqual(rig.dropped, { stamp_sessions: 12 });
    rig.now += 16 * MINUTE;
    rig.respond();
    for (let i = 8; i < 16; i++) assert.equal(ask(rig, {}, src(i))?.sequence, 0);
  });

  test("a source's network has a quarter of the table", async () => {
    const rig = await rigWith({}, { sessions: 32 });
    for (let i = 0; i < 8; i++) assert.ok(ask(rig, {}, { src: `192.0.2.${i}`, sourcePort: 2000 + i }));
    assert.equal(ask(rig, {}, { src: "192.0.2.200" }), undefined);
    assert.ok(ask(rig, {}, { src: "192.0.3.200" }));
    const six = (src: string) => rig.respond(udpPacket6({ src, destinationPort: PORT, data: sent() })).length;
    for (let i = 0; i < 8; i++) assert.equal(six(`2001:db8:0:${i}::7`), 1);
    assert.equal(six("2001:db8:0:ff::7"), 0, "the same /56");
    assert.equal(six("2001:db8:0:100::7"), 1);
    assert.equal(sessions(rig), 8 + 1 + 8 + 1);
  });

  test("without room for any, nothing is answered", async () => {
    const rig = await rigWith({}, { sessions: 0 });
    assert.equal(ask(rig), undefined);
    assert.deepEqual(rig.dropped, { stamp_sessions: 1 });
  });

  test("many sessions come and go, and the table is as it was", async () => {
    const rig = await rigWith({ idleMs: 5000 }, { sessions: 256 });
    const last = new Map<string, { sequence: number; at: number }>();
    let seed = 7;
    const random = (below: number) => {
      seed = Math.imul(seed, 1_664_525) + 1_013_904_223 >>> 0;
      return Math.floor(seed / 2 ** 32 * below);
    };
    for (let i = 0; i < 20_000; i++) {
      const [net, port, ssid] = [random(40), 2000 + random(4), random(3)];
      const key = `${net} ${port} ${ssid}`;
      const known = last.get(key);
      const reply = ask(rig, { ssid }, { src: `192.0.${net}.9`, sourcePort: port });
      if (reply) {
        // Between its end and the next sweep, a session may still be there.
        if (reply.sequence === 0) assert.ok(!known || rig.now - known.at >= 5000);
        else assert.equal(reply.sequence, (known?.sequence ?? NaN) + 1);
        last.set(key, { sequence: reply.sequence, at: rig.now });
      }
      rig.now += random(40);
    }
    assert.ok(rig.words[SESSIONS_TOUCHED / 4] > 100);
    rig.now += MINUTE;
    rig.respond();
    assert.equal(sessions(rig), 0);
    assert.equal(rig.words[SESSION_COUNT / 4], 0);
    assert.equal(users(rig), 0);
  });

  const users = (rig: Rig) => Array.from({ length: 256 }, (_, i) =>
    rig.words[(SERVICES + SERVICE_SIZE * i + SERVICE_USERS) / 4]).reduce((a, b) => a + b);

  test("sessions outlast a crash, with their numbers", async () => {
    const rig = await rigWith();
    for (let port = 2000; port < 2010; port++) for (let i = 0; i < 3; i++) ask(rig, {}, { sourcePort: port });
    rig.now += 14 * MINUTE;
    rig.respond();
    rig.linear.recover();
    assert.equal(users(rig), 10);
    assert.equal(ask(rig, {}, { sourcePort: 2005 })?.sequence, 3);
    assert.equal(sessions(rig), 10);
    assert.equal(ask(rig, {}, { sourcePort: 2020 })?.sequence, 0);
    // And end as they would have.
    rig.now += 2 * MINUTE;
    rig.respond();
    assert.equal(sessions(rig), 2);
    assert.equal(users(rig), 2);
    assert.equal(ask(rig, {}, { sourcePort: 2006 })?.sequence, 0);
  });

  test("sessions of a service that a reload takes away end, and others stay", async () => {
    const rig = await rigWith();
    ask(rig);
    ask(rig, {}, { destinationPort: PORT + 1 });
    const ports = [{ ...portsOf()[0], last: PORT }];
    const table = (udp: { ports: PortRange[] }) => tableOf(
      serving([parsePrefix(PREFIX)], { ...policyOf(), udp }), { hosts: [parseAddress(HOST)] },
    );
    rig.linear.serve(table({ ports }));
    rig.now += 2000;
    rig.respond();
    assert.equal(sessions(rig), 1);
    assert.equal(ask(rig)?.sequence, 1);
    // The same port has a service with other options.
    rig.linear.serve(table({ ports: portsOf({ ttl: 9 }) }));
    assert.equal(ask(rig)?.sequence, 0);
    rig.now += 2000;
    rig.respond();
    assert.equal(sessions(rig), 1);
    assert.equal(users(rig), 1);
  });

  test("M-9: Direct Measurement has the numbers of what came and of what left, with this one", async () => {
    const rig = await rigWith();
    const counts = (rest: Uint8Array) => [0, 4, 8].map((at) => new DataView(rest.buffer).getUint32(4 + at));
    for (let i = 1; i < 4; i++) {
      const reply = ask(rig, { rest: tlv(5, bytes(9, 8, 7, 6, new Uint8Array(8).fill(255))) });
      assert.ok(reply);
      assert.deepEqual([...reply.rest.slice(0, 4)], [0, 5, 0, 12]);
      assert.deepEqual(counts(reply.rest), [0x09080706, i, i]);
    }
    // A packet whose sender wants no reply has come all the same.
    assert.equal(ask(rig, { rest: tlv(10, tlv(1, [0, 0, 0, 0])) }), undefined);
    assert.deepEqual(counts(ask(rig, { rest: tlv(5, new Uint8Array(12)) })?.rest ?? new Uint8Array(20)), [0, 5, 4]);
  });

  test("M-9: Follow-Up Telemetry has the number and the time of the reply before, in one batch, too", async () => {
    const module = compile(moduleOf("wasm"));
    let left = 0n;
    const rig: Rig = await Rig.over(async ({ memory }) => new WasmEngine(await load(module, memory), memory, () => {
      rig.clock.set(5_000_000n, 1_800_000_000_000_000_000n + (left += 1_000_000n));
    }), { sessions: 16, policy: policyOf() });
    const packet = udpPacket({ destinationPort: PORT, data: sent({ rest: tlv(7, new Uint8Array(16).fill(255)) }) });
    const other = udpPacket({ destinationPort: PORT, sourcePort: 2000, data: sent() });
    const replies = [rig.respond(packet, other, packet), rig.respond(packet)].flat().map(replyOf)
      .filter((reply) => reply?.rest.length === 20);
    assert.equal(replies.length, 3);
    for (const [i, reply] of replies.entries()) {
      assert.ok(reply);
      const before = replies.at(i - 1);
      const value = new DataView(reply.rest.buffer, 4);
      if (i === 0 || !before) assert.deepEqual([...reply.rest.slice(4)], [...new Uint8Array(16)]);
      else {
        assert.equal(value.getUint32(0), i - 1);
        assert.equal(value.getBigUint64(4), before.sentAt);
        assert.deepEqual([...reply.rest.slice(16)], [2, 0, 0, 0]);
      }
    }
    // 5 ms from when the first batch came; the clock stands still in the second one.
    assert.equal(rig.linear.counters[TURNAROUND + 13], 4);
    assert.equal(rig.linear.counters[Counter.turnaroundNs], 20_000_000);
  });

  test("M-5: a step of the wall clock changes the times in replies alone", async () => {
    const NOON = 1_800_000_000_000;
    const module = compile(moduleOf("wasm"));
    /** By how much the wall clock is set while a batch is judged, in ms. */
    let step = 0;
    const rig: Rig = await Rig.over(async ({ memory }) => new WasmEngine(await load(module, memory), memory, () => {
      rig.clock.set(BigInt(rig.now) * 1_000_000n + 4000n, BigInt((rig.wall ?? 0) + step) * 1_000_000n + 4000n);
    }), { sessions: 16, policy: policyOf({ idleMs: 10 * MINUTE, timestamp: "ptp" }) });
    rig.now = 5000;
    /** Returns the number of a reply, how many came and left, and T2 and T3 in ms. */
    const asked = () => {
      const rest = tlv(5, new Uint8Array(12));
      const [packet] = rig.respond(udpPacket({ destinationPort: PORT, data: sent({ rest }) }));
      const view = new DataView(packet.slice(28).buffer);
      const at = (offset: number) => 1000 * view.getUint32(offset) + Math.floor(view.getUint32(offset + 4) / 1e6);
      return [view.getUint32(0), view.getUint32(BASE + 8), view.getUint32(BASE + 12), at(16), at(4)];
    };
    // What is set is far more than the session may be silent for.
    const walls = [NOON, NOON + 24 * 60 * MINUTE, NOON - 24 * 60 * MINUTE, 0, NOON];
    for (const [i, wall] of walls.entries()) {
      rig.wall = wall;
      assert.deepEqual(asked(), [i, i + 1, i + 1, wall, wall], `the clock says ${wall}`);
      rig.now += 9 * MINUTE;
    }
    step = -60 * MINUTE;
    assert.deepEqual(asked(), [5, 6, 6, NOON, NOON - 60 * MINUTE], "it is set while the packet is here");
    // How long replies take is measured by the other clock, 4 µs each.
    assert.equal(rig.linear.counters[TURNAROUND + 2], 6);
    assert.equal(rig.linear.counters[Counter.turnaroundNs], 24_000);
    step = 0;
    rig.now += 9 * MINUTE;
    rig.wall = 2 * NOON;
    rig.respond();
    assert.equal(sessions(rig), 1, "it has been silent for 9 minutes");
    rig.now += MINUTE + 1000;
    rig.wall = 0;
    rig.respond();
    assert.equal(sessions(rig), 0, "and now for more than 10");
  });

  test("M-10: authentic packets have sessions, and the HMACs cover what is told of the reply before", async () => {
    const key = Buffer.from("a key of the test's own");
    const hmacOf = (...parts: Uint8Array[]) =>
      createHmac("sha256", key).update(bytes(...parts)).digest().subarray(0, 16);
    const authentic = (sequence: number, ssid: number) => {
      const base = new Uint8Array(96);
      const view = new DataView(base.buffer);
      view.setUint32(0, sequence);
      view.setUint16(26, ssid);
      const tlvs = bytes(tlv(7, new Uint8Array(16)), tlv(5, new Uint8Array(12)));
      return bytes(base, hmacOf(base), tlvs, tlv(8, hmacOf(base.subarray(0, 4), tlvs)));
    };
    const service = {
      name: "own", kind: Service.stamp,
      bytes: withKeys(stampBytes({ ...DEFAULT_STAMP, mode: "stateful", timestamp: "ptp" }), padsOf(key)),
    };
    const rig = await Rig.create("wasm", {
      sessions: 64, policy: { ...policyOf(), udp: { ports: [{ first: PORT, last: PORT, service }] } },
    });
    let before = new Uint8Array(12);
    for (let i = 0; i < 3; i++) {
      rig.wall = 1000 * (i + 1);
      for (const [ssid, own] of [[5, i], [6, i]] as const) {
        const [packet] = rig.respond(udpPacket({ destinationPort: PORT, data: authentic(900 + i, ssid) }));
        const reply = packet.slice(28);
        const [base, tlvs] = [reply.slice(0, 96), reply.slice(112, 112 + 36)];
        const view = new DataView(base.buffer);
        assert.deepEqual([view.getUint32(0), view.getUint32(48), view.getUint16(26)], [own, 900 + i, ssid]);
        assert.equal(view.getUint32(16), i + 1, "T3");
        assert.deepEqual(reply.slice(96, 112), Uint8Array.from(hmacOf(base)));
        assert.deepEqual(reply.slice(112 + 36), tlv(8, hmacOf(base.subarray(0, 4), tlvs), { flags: 0 }));
        assert.deepEqual(tlvs.slice(0, 16), bytes(0, 7, 0, 16, before));
        assert.deepEqual([...tlvs.slice(28)], [0, 0, 0, own + 1, 0, 0, 0, own + 1]);
        if (ssid === 6) before = Uint8Array.from(bytes(base.subarray(0, 4), base.subarray(16, 24)));
      }
    }
    // What is not authentic is no session's.
    const forged = authentic(0, 5);
    forged[100] ^= 1;
    assert.deepEqual(rig.respond(udpPacket({ destinationPort: PORT, data: forged, sourcePort: 2000 })), []);
    assert.deepEqual(rig.dropped, { stamp_hmac: 1 });
    assert.equal(sessions(rig), 2);
  });

  test("M-5: times are in PTP's format if the service says so, with Z set", async () => {
    for (const mode of ["stateless", "stateful"] as const) {
      const rig = await rigWith({ timestamp: "ptp", mode });
      rig.wall = 4_294_967_296_250;
      const [packet] = rig.respond(udpPacket({ destinationPort: PORT, data: sent() }));
      const view = new DataView(packet.slice(28).buffer);
      for (const at of [4, 16]) {
        assert.equal(view.getUint32(at), 0, "2106 wraps");
        assert.equal(view.getUint32(at + 4), 250_000_000);
      }
      assert.equal(view.getUint16(12), 0x7fff);
      rig.wall = 999.999999;
      const [next] = rig.respond(udpPacket({ destinationPort: PORT, data: sent() }));
      assert.equal(new DataView(next.slice(28).buffer).getBigUint64(4), 999_999_999n);
    }
  });
});
