/** Tests the IRTT server against what irtt 0.9's own client and server do: what it sends, octet by octet. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { Counter, Protocol, REPLIES, SERVED } from "../../abi/counters.js";
import {
  IRTT_KEY, IRTT_KEY_LEN, IRTT_OPEN, IRTT_SERVICE, IRTT_SESSION_SIZE, IRTT_SESSIONS, IRTT_SETS, IRTT_TOKEN, IRTT_WAYS,
} from "../../abi/irtt.js";
import { MAX_SERVICES, Service, SERVICE_SIZE, SERVICE_USERS, SERVICES } from "../../abi/tcp.js";
import { irttOf } from "../../src/config/measurement.js";
import type { IrttMap } from "../../src/config/types.js";
import { compile, load, WasmEngine } from "../../src/engine/wasm.js";
import { moduleOf } from "../../src/engine/create.js";
import { serviceAt } from "../../src/engine/services.js";
import { tableOf } from "../../src/engine/table.js";
import { DEFAULT_IRTT, irttBytes } from "../../src/prefix/irtt.js";
import { CLEAR_WAY } from "../../src/prefix/link.js";
import { parseAddress, parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { type BenchOptions, BY_DEFAULT, Rig } from "../support/engines.js";
import { frame, SHARED } from "../support/frames.js";
import { checksum6, destination, fragmentsOf6, ipv6Packet, udpPacket6 } from "../support/ipv6.js";
import { bytes, fragmentsOf, HOST, pattern, plainSum, PREFIX, udpPacket } from "../support/packets.js";

const PORT = 2112;
const [OPEN, REPLY, CLOSE, HMAC] = [1, 2, 4, 8];
const MAGIC = [0x14, 0xa7, 0x5b];
const NOON = Date.UTC(2026, 11, 1, 12);
const SECOND = 1_000_000_000n;
const KEY = "correct horse battery staple";
const DIR = mkdtempSync(join(tmpdir(), "pongd-irtt-"));
writeFileSync(join(DIR, "key"), `${KEY}\n`, { mode: 0o600 });
after(() => { rmSync(DIR, { recursive: true }); });

function fail(_: unknown, message: string): never {
  throw new Error(message);
}

/** Parameters by type, as the client writes them: {uvarint type, varint value} each. */
type Parameters = Partial<Record<number, number>>;
/** Version 1, 1 s, 20 ms, length 0, both statistics, both times on both clocks: 19 octets. */
const USUAL: Parameters = { 1: 1, 2: 1e9, 3: 2e7, 5: 3, 6: 3, 7: 3 };

function varint(value: number): number[] {
  const out: number[] = [];
  let rest = BigInt(value) << 1n ^ BigInt(value) >> 63n;
  for (; rest >= 0x80n; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
  return [...out, Number(rest)];
}

function parameters(values: Parameters): Uint8Array {
  return Uint8Array.from(Object.entries(values).flatMap(([type, value]) => [Number(type), ...varint(value ?? 0)]));
}

function open(
  values: Parameters = USUAL, { flags = OPEN, rest }: { flags?: number; rest?: Uint8Array } = {},
): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(bytes(...MAGIC, flags, parameters(values), rest ?? new Uint8Array(0)));
}

function u32(value: number): number[] {
  return [value & 255, value >> 8 & 255, value >> 16 & 255, value >>> 24];
}

/** A request, 60 octets long by default as the client's are. */
function request(token: Uint8Array, seq: number, { length = 60, flags = 0 } = {}): Uint8Array<ArrayBuffer> {
  const head = bytes(...MAGIC, flags, token, ...u32(seq));
  return Uint8Array.from(bytes(head, pattern(Math.max(0, length - head.length))));
}

function number(data: Uint8Array, at: number): bigint {
  return new DataView(data.buffer, data.byteOffset).getBigUint64(at, true);
}

async function rigWith(map?: IrttMap, options: BenchOptions = {}): Promise<Rig> {
  const rig = await Rig.create("wasm", { policy: policyOf(map), ...options });
  rig.now = 1000;
  rig.wall = NOON;
  return rig;
}

function policyOf(map?: IrttMap) {
  const service = map ? irttOf("mine", map, DIR, fail) : { name: "irtt", kind: Service.irtt };
  assert.ok(service);
  return {
    ...BY_DEFAULT, sourceLimit: { rate: 1e9, burst: 1e9 }, udp: { ports: [{ first: PORT, last: PORT, service }] },
  };
}

function ask(rig: Rig, data: Uint8Array<ArrayBuffer>, options = {}): Uint8Array {
  const replies = rig.respond(udpPacket({ destinationPort: PORT, sourcePort: 50_000, ...options, data }));
  return replies.length > 0 ? replies[0].slice(28) : new Uint8Array(0);
}

function ask6(rig: Rig, data: Uint8Array<ArrayBuffer>, options = {}): Uint8Array {
  const replies = rig.respond(udpPacket6({ destinationPort: PORT, sourcePort: 50_000, ...options, data }));
  return replies.length > 0 ? replies[0].slice(48) : new Uint8Array(0);
}

function keyedRig(map: IrttMap = {}): Promise<Rig> {
  return rigWith({ ...map, key_file: "key" });
}

/** Returns a packet with the flag and the HMAC that irtt gives it: over all of it, with zeros in the HMAC's place. */
function signed(packet: Uint8Array, key: string | Uint8Array = KEY): Uint8Array<ArrayBuffer> {
  const data = bytes(...MAGIC, packet[3] | HMAC, new Uint8Array(16), packet.subarray(4));
  data.set(createHmac("md5", key).update(data).digest(), 4);
  return Uint8Array.from(data);
}

/** Returns a packet that has an HMAC with the one that it should have. */
function resigned(packet: Uint8Array): Uint8Array {
  return signed(bytes(packet.subarray(0, 4), packet.subarray(20)));
}

/** Opens a session, and returns its token. */
function opened(rig: Rig, values = USUAL, options = {}): Uint8Array {
  const reply = ask(rig, open(values), options);
  assert.deepEqual([...reply.slice(0, 4)], [...MAGIC, OPEN | REPLY], String(reply));
  return reply.slice(4, 12);
}

describe("IRTT", () => {
  test("IR-2: an open is answered with a token and the parameters, IPv4", async () => {
    const rig = await rigWith();
    const [reply] = rig.respond(udpPacket({ destinationPort: PORT, sourcePort: 50_000, data: open(), tos: 0xb9 }));
    const data = reply.slice(28);
    assert.deepEqual(data, bytes(...MAGIC, OPEN | REPLY, data.slice(4, 12), parameters(USUAL)));
    assert.notEqual(number(data, 4), 0n);
    assert.deepEqual([...reply.slice(20, 24)], [PORT >> 8, PORT & 255, 50_000 >> 8, 50_000 & 255]);
    assert.equal(reply[1], 0xb8);
    const datagram = reply.subarray(20);
    assert.equal(plainSum(bytes(reply.subarray(12, 20), 0, 17, 0, datagram.length, datagram)), 0xffff);
    assert.equal(plainSum(reply.subarray(0, 20)), 0xffff);
    assert.equal(rig.linear.counters[REPLIES + Protocol.irtt], 1);
    assert.equal(rig.linear.counters[SERVED + Service.irtt], 1);
  });

  test("IR-2: and IPv6, behind an extension header, too", async () => {
    const rig = await rigWith();
    const asked = udpPacket6({ destinationPort: PORT, sourcePort: 50_000, data: open() });
    const [reply] = rig.respond(asked);
    const data = reply.slice(48);
    assert.deepEqual(data, bytes(...MAGIC, OPEN | REPLY, data.slice(4, 12), parameters(USUAL)));
    const datagram = reply.slice(40);
    datagram.set([0, 0], 6);
    const [src, dst] = [reply.slice(8, 24), reply.slice(24, 40)].map((address) =>
      Buffer.from(address).toString("hex").replace(/(.{4})(?!$)/g, "$1:"));
    assert.equal(checksum6(datagram, 17, { src, dst }) || 0xffff, reply[46] << 8 | reply[47]);
    const behind = ipv6Packet(asked.slice(40), { nextHeader: 17, extensions: [destination()] });
    assert.deepEqual(rig.respond(behind), [reply]);
  });

  test("IR-1: a request gets counts and times, on both clocks", async () => {
    const rig = await rigWith();
    const token = opened(rig);
    rig.now += 250;
    const data = ask(rig, request(token, 0));
    assert.deepEqual(data.slice(0, 28), bytes(
      ...MAGIC, REPLY, token, ...u32(0), ...u32(1), ...u32(1), ...u32(0),
    ));
    const [wall, monotonic] = [BigInt(NOON) * 1_000_000n, SECOND + 250_000_000n];
    assert.deepEqual([28, 36, 44, 52].map((at) => number(data, at)), [wall, monotonic, wall, monotonic]);
    assert.equal(data.length, 60);
  });

  test("IR-1: behind a link, the times show how long each way took", async () => {
    const [there, back] = [30, 20];
    const link = { in: { ...CLEAR_WAY, delayNs: there * 1e6 }, out: { ...CLEAR_WAY, delayNs: back * 1e6 } };
    const rig = await rigWith(undefined, { kept: 10, policy: { ...policyOf(), link } });
    /** Sends a packet, and returns what comes back, and when. */
    const through = (data: Uint8Array<ArrayBuffer>) => {
      let replies = rig.respond(udpPacket({ destinationPort: PORT, sourcePort: 50_000, data }));
      assert.equal(replies.length, 0);
      while (replies.length === 0) {
        rig.now = rig.clock.deadline / 1e6;
        replies = rig.respond();
      }
      return { data: replies[0].slice(28), at: rig.now };
    };
    const token = through(open()).data.slice(4, 12);
    const sentAt = rig.now;
    const { data, at } = through(request(token, 0));
    for (const place of [36, 52]) {
      const monotonicMs = Number(number(data, place)) / 1e6;
      assert.ok(Math.abs(monotonicMs - (sentAt + there)) < 0.05, `${monotonicMs - sentAt} ms there`);
      assert.ok(Math.abs(at - monotonicMs - back) < 0.05, `${at - monotonicMs} ms back`);
    }
  });

  test("IR-1: the time at which it leaves is that of the batch, and the checksum covers it", async () => {
    const module = compile(moduleOf("wasm"));
    for (const [stampAt, fields] of [[1, [40n]], [2, [0n]], [3, [0n, 40n]], [4, [20n]]] as const) {
      const rig: Rig = await Rig.over(async ({ memory }) => new WasmEngine(await load(module, memory), memory, () => {
        rig.clock.set(BigInt(rig.now) * 1_000_000n + 40n, BigInt(NOON) * 1_000_000n + 40n);
      }), { policy: policyOf() });
      rig.now = 5000;
      rig.wall = NOON;
      const token = opened(rig, { ...USUAL, 5: 0, 6: stampAt });
      rig.now += 1000;
      const asked = udpPacket({ destinationPort: PORT, sourcePort: 50_000, data: request(token, 9) });
      const [, reply] = rig.respond(udpPacket(), asked);
      const data = reply.slice(28);
      assert.deepEqual(data.slice(0, 16), bytes(...MAGIC, REPLY, token, ...u32(9)));
      assert.deepEqual(
        fields.flatMap((_, i) => [number(data, 16 + 16 * i), number(data, 24 + 16 * i)]),
        fields.flatMap((ns) => [BigInt(NOON) * 1_000_000n + ns, 2n * SECOND + ns]),
      );
      const datagram = reply.subarray(20);
      assert.equal(plainSum(bytes(reply.subarray(12, 20), 0, 17, 0, datagram.length, datagram)), 0xffff);
    }
  });

  test("IR-1: fields are those that were agreed, and the rest is filled", async () => {
    const fill = (length: number) => Uint8Array.from({ length }, (_, i) => "irtt".charCodeAt(i % 4));
    for (const stats of [0, 1, 2, 3]) {
      for (const stampAt of [0, 1, 2, 3, 4]) {
        for (const clock of [1, 2, 3]) {
          const rig = await rigWith();
          const token = opened(rig, { 1: 1, 4: 100, 5: stats, 6: stampAt, 7: clock });
          const times = [0, 1, 1, 2, 1][stampAt] * (clock === 3 ? 2 : 1);
          const end = 16 + [0, 4, 8, 12][stats] + 8 * times;
          const data = ask(rig, request(token, 1, { length: 100 }));
          assert.equal(data.length, 100);
          assert.deepEqual(data.slice(end), fill(100 - end), `${stats} ${stampAt} ${clock}`);
          // What has just enough room is answered, and nothing longer is ever sent.
          assert.equal(ask(rig, request(token, 2, { length: end })).length, end);
          assert.equal(ask(rig, request(token, 3, { length: end }).slice(0, end - 1)).length, 0);
          assert.deepEqual(rig.dropped, { irtt_malformed: 1 });
        }
      }
    }
  });

  test("IR-3: a reply is as long as was agreed, and no longer than its request", async () => {
    const rig = await rigWith();
    const token = opened(rig, { ...USUAL, 4: 80 });
    for (const [seq, length, expected] of [[0, 60, 60], [1, 79, 79], [2, 80, 80], [3, 1000, 80]]) {
      assert.equal(ask(rig, request(token, seq, { length })).length, expected);
    }
    assert.deepEqual(rig.dropped, {});
  });

  test("IR-1: random bytes where the client asks for them", async () => {
    const rig = await rigWith();
    const rand = bytes(9, 4, Buffer.from("rand"));
    const reply = ask(rig, open({ 1: 1, 4: 500 }, { rest: rand }));
    assert.deepEqual(reply.slice(12), bytes(parameters({ 1: 1, 3: 1e7, 4: 500 }), rand));
    const data = ask(rig, request(reply.slice(4, 12), 0, { length: 500 })).slice(16);
    assert.ok(new Set(data).size > 200);
    // Other fills are not what the server has.
    const restricted = ask(
      rig, open({ 1: 1, 4: 500 }, { rest: bytes(9, 12, Buffer.from("pattern:00ff")) }), { sourcePort: 6000 },
    );
    assert.deepEqual(restricted.slice(12), parameters({ 1: 1, 3: 1e7, 4: 500 }));
  });

  test("IR-4: the window has a bit for each of the last 64 requests, and none where one came late", async () => {
    const rig = await rigWith({ min_interval: "0ms" });
    const token = opened(rig, { 1: 1, 5: 3 });
    let count = 0;
    for (const [seq, window] of [
      [5, 1n], [6, 3n], [8, 0b1101n], [7, 0n], [9, 0b11111n], [9, 0b11111n], [73, 1n], [74, 3n], [500, 1n], [0, 0n],
      [501, 3n], [564, 1n << 63n | 1n],
    ] as const) {
      const data = ask(rig, request(token, seq, { length: 28 }));
      assert.equal(data[16], ++count);
      assert.equal(number(data, 20), window, `request ${seq}`);
    }
  });

  test("IR-4: only the address and the port that have opened it may use a session", async () => {
    const rig = await rigWith();
    const token = opened(rig);
    assert.equal(ask(rig, request(token, 0), { sourcePort: 50_001 }).length, 0);
    assert.equal(ask(rig, request(token, 0), { src: "192.0.2.77" }).length, 0);
    assert.equal(ask(rig, request(token, 0), { dst: "10.99.7.7" }).length, 0);
    assert.equal(ask(rig, request(token.map((octet) => octet ^ 1), 0)).length, 0);
    assert.equal(ask(rig, request(new Uint8Array(8), 0)).length, 0);
    assert.deepEqual(rig.dropped, { irtt_token: 5 });
    assert.equal(ask(rig, request(token, 0)).length, 60);
  });

  test("IR-4: clients with the same port have sessions of their own", async () => {
    const rig = await rigWith();
    const sources = Array.from({ length: 1000 }, (_, i) =>
      ({ src: `192.0.2.${1 + (i & 127)}`, dst: `10.99.9.${1 + (i >> 7)}` }));
    const tokens = sources.map((from) => opened(rig, USUAL, from));
    sources.forEach((from, i) => { assert.equal(ask(rig, request(tokens[i], 0), from).length, 60); });
    assert.equal(new Set(tokens.map(String)).size, sources.length);
  });

  test("IR-4: no session after 65 s of silence", async () => {
    const rig = await rigWith();
    const token = opened(rig);
    rig.now += 65_000;
    assert.equal(ask(rig, request(token, 0)).length, 60);
    rig.now += 65_000;
    assert.equal(ask(rig, request(token, 1)).length, 60);
    rig.now += 65_001;
    assert.equal(ask(rig, request(token, 2)).length, 0);
    assert.deepEqual(rig.dropped, { irtt_token: 1 });
  });

  test("IR-4: five requests at once, then one for each interval", async () => {
    const rig = await rigWith();
    const token = opened(rig);
    const answered = (count: number) =>
      Array.from({ length: count }, (_, i) => ask(rig, request(token, i))).filter(({ length }) => length > 0).length;
    assert.equal(answered(9), 5);
    rig.now += 9;
    assert.equal(answered(1), 0);
    rig.now += 1;
    assert.equal(answered(2), 1);
    rig.now += 30;
    assert.equal(answered(9), 3);
    assert.deepEqual(rig.dropped, { irtt_interval: 12 });
    const own = await rigWith({ min_interval: "1s" });
    const slow = opened(own);
    for (let i = 0; i < 6; i++) assert.equal(ask(own, request(slow, i)).length, i < 5 ? 60 : 0);
  });

  test("IR-2: parameters are restricted, and unknown ones are not answered", async () => {
    const rig = await rigWith({ max_duration: "10 s", min_interval: "50 ms", max_length: 100 });
    const asked = { 1: 1, 2: 6e10, 3: 1e6, 4: 1400, 5: 1, 6: 3, 7: 3, 8: 184 };
    const reply = ask(rig, open(asked, { rest: bytes(77, ...varint(-5), 0x80, 1, 7) }));
    assert.deepEqual(reply.slice(12), parameters({ ...asked, 2: 1e10, 3: 5e7, 4: 100 }));
    // An interval of more than a quarter of the time after which a session is over.
    const slow = ask(rig, open({ 1: 1, 3: 6e10 }), { sourcePort: 6000 });
    assert.deepEqual(slow.slice(12), parameters({ 1: 1, 3: 1.5e10 }));
    const token = opened(rig, USUAL, { sourcePort: 6001 });
    assert.equal(ask(rig, request(token, 0, { length: 101 }), { sourcePort: 6001 }).length, 0);
    assert.equal(ask(rig, request(token, 0, { length: 100 }), { sourcePort: 6001 }).length, 60);
    assert.deepEqual(rig.dropped, { irtt_malformed: 1 });
  });

  test("IR-2: a test that goes on for too long is closed with a reply", async () => {
    const rig = await rigWith({ max_duration: "10s" });
    const token = opened(rig);
    assert.equal(ask(rig, request(token, 0))[3], REPLY);
    rig.now += 12_000;
    assert.equal(ask(rig, request(token, 1))[3], REPLY);
    rig.now += 1;
    assert.equal(ask(rig, request(token, 2))[3], REPLY | CLOSE);
    assert.equal(ask(rig, request(token, 3)).length, 0);
  });

  test("IR-2: another version is told ours, and open with close tests nothing: neither has a token", async () => {
    const rig = await rigWith();
    for (const data of [open({ ...USUAL, 1: 2 }), open(USUAL, { flags: OPEN | CLOSE })]) {
      assert.deepEqual(
        ask(rig, data), bytes(...MAGIC, OPEN | REPLY | CLOSE, new Uint8Array(8), parameters(USUAL)),
      );
    }
    assert.equal(ask(rig, request(new Uint8Array(8), 0)).length, 0);
    assert.deepEqual(rig.dropped, { irtt_token: 1 });
  });

  test("IR-5: a close is not answered, and ends the session", async () => {
    const rig = await rigWith();
    const token = opened(rig);
    assert.equal(ask(rig, request(token, 0, { flags: CLOSE, length: 12 }), { sourcePort: 50_001 }).length, 0);
    assert.equal(ask(rig, request(token, 0)).length, 60);
    assert.equal(ask(rig, request(token, 0, { flags: CLOSE, length: 12 }).slice(0, 12)).length, 0);
    assert.equal(ask(rig, request(token, 1)).length, 0);
    assert.deepEqual(rig.dropped, { irtt_token: 2, irtt_close: 1 });
  });

  test("IR-5: an open that is sent again gets the same token until the session is used, then another one", async () => {
    const rig = await rigWith();
    const token = opened(rig);
    assert.deepEqual(opened(rig), token);
    assert.equal(ask(rig, request(token, 0)).length, 60);
    const again = opened(rig);
    assert.notDeepEqual(again, token);
    const data = ask(rig, request(again, 0));
    assert.equal(data[16], 1, "the count begins again");
  });

  test("IR-5: opens that are forged do not end the session of the client whose port they name", async () => {
    const rig = await rigWith();
    const token = opened(rig);
    assert.equal(ask(rig, request(token, 0)).length, 60);
    for (let i = 0; i < 100; i++) assert.notDeepEqual(opened(rig), token);
    assert.equal(ask(rig, request(token, 1))[16], 2);
    assert.deepEqual(rig.dropped, {});
  });

  test("IR-5: tokens are all different, and others with another key", async () => {
    const tokens = new Set<string>();
    for (const key of [1, 2]) {
      const rig = await rigWith();
      rig.bytes.fill(key, IRTT_KEY, IRTT_KEY + IRTT_KEY_LEN);
      for (let port = 0; port < 500; port++) {
        tokens.add(String(opened(rig, USUAL, { sourcePort: 40_000 + port })));
      }
    }
    assert.equal(tokens.size, 1000);
  });

  test("IR-5: an open with other parameters leaves a session that nobody has used as it was", async () => {
    const rig = await rigWith();
    const token = opened(rig);
    // Nobody but the client can use what a forged open begins.
    const others = [{ ...USUAL, 5: 0 }, { ...USUAL, 4: 30 }, { 1: 1 }].map((values) => opened(rig, values));
    assert.equal(new Set([token, ...others].map(String)).size, 4);
    const random = ask(rig, open(USUAL, { rest: bytes(9, 4 << 1, Buffer.from("rand")) })).slice(4, 12);
    assert.notDeepEqual(random, token);
    assert.deepEqual(opened(rig), token);
    const data = ask(rig, request(token, 7));
    assert.deepEqual(data.slice(0, 28), bytes(...MAGIC, REPLY, token, ...u32(7), ...u32(1), ...u32(1), ...u32(0)));
    assert.equal(data.length, 60);
  });

  test("IR-4: sessions are bounded: those that nobody has used make room, and those in use stay", async () => {
    const rig = await rigWith();
    const capacity = IRTT_SETS * IRTT_WAYS;
    const used: [Uint8Array, object][] = [];
    for (let i = 0; i < 40; i++) {
      const from = { sourcePort: 20_000 + i };
      const token = opened(rig, USUAL, from);
      assert.equal(ask(rig, request(token, 0), from).length, 60);
      used.push([token, from]);
    }
    for (let i = 0; i < 2 * capacity; i++) opened(rig, USUAL, { sourcePort: 30_000 + i });
    rig.now += 100;
    for (const [token, from] of used) assert.equal(ask(rig, request(token, 1), from).length, 60);
    assert.deepEqual(rig.dropped, {});
    // In use, all of them: for others there is no room.
    let refused = 0;
    for (let i = 0; i < 2 * capacity; i++) {
      const from = { sourcePort: 40_000 + i % 20_000, src: i < 20_000 ? "192.0.2.1" : "192.0.2.2" };
      const reply = ask(rig, open(), from);
      if (reply.length === 0) refused++;
      else ask(rig, request(reply.slice(4, 12), 0), from);
    }
    assert.ok(refused >= capacity, String(refused));
    assert.deepEqual(rig.dropped, { irtt_sessions: refused });
    rig.now += 66_000;
    opened(rig, USUAL, { sourcePort: 2000 });
  });

  test("IR-4: sessions are counted, and those that are over are not, though nobody sends anything", async () => {
    const rig = await rigWith({ max_duration: "1s" });
    const count = () => rig.linear.counters[Counter.irttSessions];
    const close = (token: Uint8Array, from: object) => {
      ask(rig, Uint8Array.from(bytes(...MAGIC, CLOSE, token, pattern(4))), from);
    };
    for (let i = 0; i < 300; i++) {
      const from = { sourcePort: 20_000 + i };
      const token = opened(rig, USUAL, from);
      assert.deepEqual(opened(rig, USUAL, from), token);
      if (i % 3 === 0) close(token, from);
      if (i % 3 === 1) assert.equal(ask(rig, request(token, 0), from).length, 60);
    }
    assert.equal(count(), 200);
    // Of 100, the time is over: the next request is the last.
    rig.now += 10_000;
    const first = opened(rig, USUAL, { sourcePort: 1999 });
    ask(rig, request(first, 0), { sourcePort: 1999 });
    rig.now += 4000;
    assert.equal(ask(rig, request(first, 1), { sourcePort: 1999 })[3], REPLY | CLOSE);
    assert.equal(count(), 200);
    // As the packet loop does, when a deadline has come. Each time, a quarter of them is looked at.
    rig.now += 50_000;
    const left = new Set<number>();
    for (let i = 0; i < 30; i++, rig.now += 1000) {
      rig.respond();
      left.add(count());
    }
    assert.equal(count(), 0);
    assert.ok(left.size > 3, [...left].join());
    assert.equal(rig.clock.deadline, 0, "nothing is waited for");
  });

  test("IR-4: one that makes room is counted no longer", async () => {
    const rig = await rigWith();
    for (let i = 0; i < 3 * IRTT_SETS * IRTT_WAYS; i++) opened(rig, USUAL, { sourcePort: 20_000 + i });
    const tokens = Array.from({ length: IRTT_SETS * IRTT_WAYS }, (_, i) =>
      rig.words[(IRTT_SESSIONS + i * IRTT_SESSION_SIZE) / 4]).filter((token) => token !== 0);
    assert.equal(rig.linear.counters[Counter.irttSessions], tokens.length);
  });

  test("IR-4: sessions outlast a crash, are counted, and end as they would have", async () => {
    const rig = await rigWith();
    const tokens = Array.from({ length: 20 }, (_, i) => opened(rig, USUAL, { sourcePort: 20_000 + i }));
    rig.now += 60_000;
    rig.linear.recover();
    assert.equal(ask(rig, request(tokens[7], 0), { sourcePort: 20_007 }).length, 60);
    assert.equal(rig.linear.counters[Counter.irttSessions], 20);
    for (let i = 0; i < 15; i++, rig.now += 1000) rig.respond();
    assert.equal(rig.linear.counters[Counter.irttSessions], 1);
    // The crash may come in the middle of a batch that has changed their number.
    rig.words[IRTT_OPEN / 4] = 7;
    rig.linear.recover();
    rig.respond();
    assert.deepEqual([rig.words[IRTT_OPEN / 4], rig.linear.counters[Counter.irttSessions]], [1, 1]);
  });

  test("IR-4: a service is used by as many sessions as it has, also after a crash", async () => {
    const rig = await rigWith({ max_duration: "10s" });
    const users = () => Array.from({ length: MAX_SERVICES }, (_, i) =>
      rig.words[(SERVICES + SERVICE_SIZE * i + SERVICE_USERS) / 4]).reduce((a, b) => a + b);
    // Some make room for others.
    for (let i = 0; i < 2 * IRTT_SETS * IRTT_WAYS; i++) opened(rig, USUAL, { sourcePort: 20_000 + i });
    const count = () => rig.linear.counters[Counter.irttSessions];
    assert.ok(count() > IRTT_SETS * IRTT_WAYS / 2);
    assert.equal(users(), count());
    const tokens = [1, 2, 3].map((sourcePort) => opened(rig, USUAL, { sourcePort: 2000 + sourcePort }));
    ask(rig, request(tokens[0], 0, { flags: CLOSE }), { sourcePort: 2001 });
    for (const after of [0, 13_000]) {
      rig.now += after;
      assert.equal(ask(rig, request(tokens[1], 0), { sourcePort: 2002 })[3], REPLY | (after > 0 ? CLOSE : 0));
    }
    assert.equal(users(), count());
    rig.now += 40_000;
    ask(rig, request(tokens[2], 0), { sourcePort: 2003 });
    rig.linear.recover();
    assert.equal(ask(rig, request(tokens[2], 1), { sourcePort: 2003 }).length, 60);
    assert.equal(users(), count());
    for (let i = 0; i < 30; i++, rig.now += 1000) rig.respond();
    assert.deepEqual([users(), count()], [1, 1]);
    rig.now += 66_000;
    for (let i = 0; i < 10; i++, rig.now += 1000) rig.respond();
    assert.deepEqual([users(), count()], [0, 0]);
  });

  test("IR-4: no reload gives the service of a session away, until a request comes to another one", async () => {
    const rig = await rigWith({ max_length: 1000 }, { reloadable: true });
    const token = opened(rig);
    const [place] = Array.from({ length: IRTT_SETS * IRTT_WAYS }, (_, i) => (IRTT_SESSIONS + i * IRTT_SESSION_SIZE) / 4)
      .filter((word) => rig.words[word + IRTT_TOKEN / 4] !== 0);
    const serviceOf = () => rig.words[place + IRTT_SERVICE / 4];
    const old = serviceOf();
    /** Gives each of some ports another service, whose names begin with this. */
    const reload = (name: string) => {
      const ports = Array.from({ length: 100 }, (_, i) => ({
        first: PORT + i, last: PORT + i,
        service: { name: `${name}${i}`, kind: Service.irtt, bytes: irttBytes({ ...DEFAULT_IRTT, maxLength: 999 - i }) },
      }));
      rig.linear.serve(tableOf(
        serving([parsePrefix(PREFIX)], { ...policyOf(), udp: { ports } }), { hosts: [parseAddress(HOST)] },
      ));
    };
    for (const name of ["a", "b", "c"]) {
      reload(name);
      rig.respond();
      assert.deepEqual([serviceOf(), serviceAt(rig.words, old)], [old, "mine"]);
    }
    assert.equal(ask(rig, request(token, 0)).length, 60);
    assert.equal(serviceAt(rig.words, serviceOf()), "c0");
    assert.deepEqual([old, serviceOf()].map((record) => rig.words[(record + SERVICE_USERS) / 4]), [0, 1]);
    for (const name of ["d", "e"]) reload(name);
    assert.notEqual(serviceAt(rig.words, old), "mine");
    assert.equal(serviceAt(rig.words, serviceOf()), "c0");
  });

  test("IR-4: a network that has all sessions in use makes room for others, and for them alone", async () => {
    const rig = await rigWith();
    const use = (from: object, make: typeof ask = ask) => {
      const reply = make(rig, open(), from);
      return reply.length > 0 && make(rig, request(reply.slice(4, 12), 0), from).length > 0;
    };
    const greedy = (i: number) => ({ sourcePort: 20_000 + i % 5000, src: `192.0.2.${1 + Math.floor(i / 5000)}` });
    const capacity = IRTT_SETS * IRTT_WAYS;
    for (let i = 0; i < 3 * capacity; i++) use(greedy(i));
    const refused = rig.dropped.irtt_sessions;
    assert.ok(refused > capacity, String(refused));
    for (let i = 0; i < 100; i++) {
      const sourcePort = 20_000 + i;
      assert.ok(use({ sourcePort, src: `198.51.${i}.9` }));
      assert.ok(use({ sourcePort, src: `2001:db8:${i}::9` }, ask6));
    }
    assert.deepEqual(rig.dropped, { irtt_sessions: refused });
    // The others' sessions stay, whatever the greedy one does.
    for (let i = 0; i < capacity; i++) use(greedy(3 * capacity + i));
    assert.deepEqual(rig.dropped, { irtt_sessions: refused + capacity });
  });

  test("IR-3: whatever an open says, the reply is at most 14 octets longer", async () => {
    const rig = await rigWith({ min_interval: "15s" });
    let seed = 1;
    const random = () => (seed = Math.imul(seed, 1_664_525) + 1_013_904_223 >>> 0) >>> 24;
    let answered = 0;
    for (let i = 0; i < 5000; i++) {
      const octet = (_: unknown, at: number) => at % 2 ? random() >> random() % 8 : random() % 12;
      const rest = Uint8Array.from({ length: random() % 40 }, octet);
      const data = open({ 1: 1 + (random() & 1) }, { rest });
      const reply = ask(rig, data, { sourcePort: 1024 + i });
      if (reply.length > 0) answered++;
      assert.ok(reply.length <= data.length + 14, Buffer.from(data).toString("hex"));
    }
    assert.ok(answered > 500, String(answered));
    assert.equal(ask(rig, open({ 1: 1 }), { sourcePort: 60_000 }).length, open({ 1: 1 }).length + 14);
  });

  for (const [what, data] of [
    ["no parameters", open({})], ["no version", open({ 2: 1e9 })], ["a number that does not end", open({ 1: 1 }, {
      rest: bytes(2, 0x80, 0x80),
    })],
    ["a number of 11 octets", open({ 1: 1 }, { rest: bytes(2, ...new Uint8Array(10).fill(0x80), 0) })],
    ["a type without a value", open({ 1: 1 }, { rest: bytes(2) })],
    ["a fill beyond the packet", open({ 1: 1 }, { rest: bytes(9, 5, Buffer.from("rand")) })],
    ["statistics that there are not", open({ ...USUAL, 5: 4 })], ["times that there are not", open({ ...USUAL, 6: 5 })],
    ["clocks that there are not", open({ ...USUAL, 7: 4 })], ["times without a clock", open({ ...USUAL, 7: 0 })],
    ["a negative duration", open({ ...USUAL, 2: -1 })], ["a negative interval", open({ ...USUAL, 3: -1 })],
    ["129 octets of parameters", open({ 1: 1 }, { rest: new Uint8Array(127).fill(50) })],
    ["a flag that there is not", open(USUAL, { flags: OPEN | 16 })],
    ["another magic number", open().with(2, 0x5c)],
    ["a token that is cut off", request(new Uint8Array(8), 0).slice(0, 11)],
  ] as const) {
    test(`IR-2: ${what} is dropped`, async () => {
      const rig = await rigWith();
      assert.equal(ask(rig, Uint8Array.from(data)).length, 0);
      assert.deepEqual(rig.dropped, { irtt_malformed: 1 });
    });
  }

  describe("with a key", () => {
    test("IR-1: packets with its HMAC are answered, and the replies have one, IPv4 and IPv6", async () => {
      const rig = await keyedRig();
      for (const six of [false, true]) {
        const askAny = six ? ask6 : ask;
        for (const [i, stampAt] of [0, 1, 2, 3, 4].entries()) {
          const values: Parameters = { 1: 1, 3: 2e7, 4: 1000, 5: 3, ...stampAt > 0 && { 6: stampAt }, 7: 3 };
          const from = { sourcePort: 50_000 + i };
          const reply = askAny(rig, signed(open(values)), from);
          const token = reply.slice(20, 28);
          assert.deepEqual(reply, signed(bytes(...MAGIC, OPEN | REPLY, token, parameters(values))));
          rig.now += 20;
          const end = 44 + 16 * [0, 1, 1, 2, 1][stampAt];
          // Without an HMAC it would have 16 octets less.
          const echoed = askAny(rig, signed(request(token, 7, { length: end + 4 - 16 })), from);
          const head = bytes(...MAGIC, REPLY, token, ...u32(7), ...u32(1), ...u32(1), ...u32(0));
          const [wall, monotonic] = [BigInt(NOON) * 1_000_000n, SECOND + 20_000_000n];
          const times = new BigUint64Array([[], [wall, monotonic], [wall, monotonic],
            [wall, monotonic, wall, monotonic], [wall, monotonic]][stampAt]);
          assert.deepEqual(
            echoed, signed(bytes(head, new Uint8Array(times.buffer), Buffer.from("irtt"))), `${six} ${stampAt}`,
          );
          // Exactly the fields have room.
          assert.equal(askAny(rig, signed(request(token, 8, { length: end - 16 })), from).length, end);
          assert.equal(askAny(rig, signed(request(token, 9, { length: end - 16 }).slice(0, end - 17)), from).length, 0);
          assert.equal(askAny(rig, signed(request(token, 0, { flags: CLOSE, length: 16 })), from).length, 0);
          assert.equal(askAny(rig, signed(request(token, 10)), from).length, 0);
        }
      }
      assert.deepEqual(rig.dropped, { irtt_malformed: 10, irtt_close: 10, irtt_token: 10 });
    });

    test("IR-1: the HMAC covers the time at which a reply leaves, and the checksum covers the HMAC", async () => {
      const module = compile(moduleOf("wasm"));
      const rig: Rig = await Rig.over(async ({ memory }) => new WasmEngine(await load(module, memory), memory, () => {
        rig.clock.set(BigInt(rig.now) * 1_000_000n + 40n, BigInt(NOON) * 1_000_000n + 40n);
      }), { policy: policyOf({ key_file: "key" }) });
      rig.now = 5000;
      rig.wall = NOON;
      const token = ask(rig, signed(open({ ...USUAL, 5: 0, 6: 3 }))).slice(20, 28);
      rig.now += 1000;
      const asked = udpPacket({ destinationPort: PORT, sourcePort: 50_000, data: signed(request(token, 9)) });
      const [, reply] = rig.respond(udpPacket(), asked);
      const data = reply.slice(28);
      assert.deepEqual(
        [32, 40, 48, 56].map((at) => number(data, at)),
        [0n, 40n].flatMap((ns) => [BigInt(NOON) * 1_000_000n + ns, 2n * SECOND + ns]),
      );
      assert.deepEqual(data, resigned(data));
      const datagram = reply.subarray(20);
      assert.equal(plainSum(bytes(reply.subarray(12, 20), 0, 17, 0, datagram.length, datagram)), 0xffff);
    });

    test("IR-1: a packet whose HMAC is wrong, or that has none, changes nothing", async () => {
      const rig = await keyedRig();
      const token = ask(rig, signed(open())).slice(20, 28);
      let dropped = 0;
      const isDropped = (data: Uint8Array<ArrayBuffer>) => {
        assert.equal(ask(rig, data).length, 0);
        assert.deepEqual(rig.dropped, { irtt_hmac: ++dropped });
      };
      for (const data of [open(), request(token, 0), request(token, 0, { flags: CLOSE, length: 12 })]) {
        isDropped(data);
        isDropped(signed(data, pattern(17)));
        const right = signed(data);
        for (let bit = 32; bit < 8 * right.length; bit += bit < 160 ? 1 : 37) {
          isDropped(right.with(bit >> 3, right[bit >> 3] ^ 1 << (bit & 7)));
        }
        for (const length of [4, 5, 19]) isDropped(right.slice(0, length));
      }
      // No request had a count, and no session has ended.
      assert.equal(ask(rig, signed(request(token, 0)))[32], 1);
      assert.equal(rig.linear.counters[Counter.irttSessions], 1);
      assert.equal(ask(rig, signed(bytes(...MAGIC, 0))).length, 0);
      assert.deepEqual(rig.dropped, { irtt_hmac: dropped, irtt_malformed: 1 });
    });

    test("IR-1: without a key, what has an HMAC is not answered", async () => {
      const rig = await rigWith();
      assert.equal(ask(rig, signed(open())).length, 0);
      assert.equal(ask(rig, signed(request(opened(rig), 0))).length, 0);
      assert.deepEqual(rig.dropped, { irtt_hmac: 2 });
    });

    test("IR-1: requests of 1 to 9,000 octets, in fragments", async () => {
      const rig = await keyedRig({ min_interval: "0ms" });
      const reply = ask(rig, signed(open({ 1: 1, 4: 9000, 6: 3, 7: 3 })));
      const token = reply.slice(20, 28);
      for (const length of [64, 72, 73, 1472, 4000, 9000]) {
        const data = signed(request(token, 0, { length: length - 16 }));
        const packet = udpPacket({ destinationPort: PORT, sourcePort: 50_000, data });
        const cuts = [0, ...[1480, 2960, 4440, 5920, 7400, 8880].filter((at) => at < data.length + 8), data.length + 8];
        const replies = rig.respond(...fragmentsOf(packet, cuts));
        const back = bytes(...replies.map((fragment) => fragment.slice(20))).slice(8);
        assert.equal(back.length, length);
        assert.deepEqual(back, resigned(back), String(length));
      }
    });
  });

  test("what a server has sent is not answered", async () => {
    const rig = await rigWith();
    const token = opened(rig);
    assert.equal(ask(rig, request(token, 0, { flags: REPLY })).length, 0);
    assert.equal(ask(rig, open(USUAL, { flags: OPEN | REPLY })).length, 0);
    assert.equal(ask(rig, open(), { sourcePort: PORT }).length, 0);
    assert.deepEqual(rig.dropped, { udp_loop: 3 });
  });

  test("an open that leaves no room for its reply within the MTU is dropped", async () => {
    const rig = await rigWith(undefined, { mtu: 68 });
    assert.equal(ask(rig, open()).length, 31);
    assert.equal(ask(rig, open(USUAL, { rest: bytes(77, 0) })).length, 0);
    assert.deepEqual(rig.dropped, { irtt_malformed: 1 });
  });

  test("in TAP mode, and in fragments", async () => {
    const tap = await rigWith(undefined, { link: SHARED });
    const [framed] = tap.respond(frame(udpPacket({ destinationPort: PORT, data: open() })));
    assert.deepEqual(framed.slice(14 + 28 + 12), parameters(USUAL));
    const token = framed.slice(14 + 28 + 4, 14 + 28 + 12);
    const [again] = tap.respond(frame(udpPacket({ destinationPort: PORT, data: request(token, 0) })));
    assert.equal(again.length, 14 + 28 + 60);
    const rig = await rigWith();
    for (const six of [false, true]) {
      const make = (data: Uint8Array<ArrayBuffer>) =>
        (six ? udpPacket6 : udpPacket)({ destinationPort: PORT, sourcePort: 50_000, data });
      const [reply] = rig.respond(make(open({ ...USUAL, 4: 4000 })));
      const data = request(reply.slice(six ? 52 : 32, six ? 60 : 40), 0, { length: 4000 });
      const replies = rig.respond(...six
        ? fragmentsOf6(make(data), [0, 1448, 2896, 4008])
        : fragmentsOf(make(data), [0, 1480, 2960, 4008]));
      const back = bytes(...replies.map((fragment) => fragment.slice(six ? 48 : 20))).slice(8);
      assert.equal(back.length, 4000);
      assert.equal(number(back, 44), BigInt(NOON) * 1_000_000n);
    }
  });
});
