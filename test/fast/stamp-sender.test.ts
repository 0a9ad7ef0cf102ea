/** Tests `pongd stamp` against a reflector of this file's own, on loopback: it loses, repeats and reorders packets. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { clockErrorOf, ntpOf, replyOf, requestOf, type Fault, type Reply } from "../../src/stamp/packet.js";
import { measure, type SenderOptions } from "../../src/stamp/sender.js";
import { Tally, type Times } from "../../src/stamp/tally.js";
import { summaryOf } from "../../src/stamp/text.js";
import { pongd } from "../support/commands.js";
import { pattern } from "../support/packets.js";

const DIR = mkdtempSync(join(tmpdir(), "pongd-stamp-"));
after(() => { rmSync(DIR, { recursive: true }); });
const KEY = pattern(24);
/** 2026-12-01, 12:00:00.25 UTC, in ns, and as NTP has it (RFC 5905 §6). */
const NOON = BigInt(Date.UTC(2026, 11, 1, 12, 0, 0, 250)) * 1_000_000n;
const NTP_NOON = `${(Number(NOON / 1_000_000_000n) + 2_208_988_800).toString(16)}40000000`;
/** Milliseconds that the reflector says to have had a packet. */
const INSIDE = 7;

function tagOf(packet: Uint8Array, key: Uint8Array): Buffer {
  return createHmac("sha256", key).update(packet.subarray(0, 96)).digest().subarray(0, 16);
}

/** Returns the reply to a request, RFC 8762 §4.3: T2 and T3 are what the request has, and INSIDE more. */
function reflect(request: Buffer, sequence: number, key?: Uint8Array): Buffer {
  const reply = Buffer.from(request);
  const [time, received, sender, senderTime, error, senderError, ttl, base] = key
    ? [16, 32, 48, 64, 24, 72, 80, 112]
    : [4, 16, 24, 28, 12, 36, 40, 44];
  reply.fill(0, 0, base);
  reply.writeUInt32BE(sequence);
  request.copy(reply, received, time, time + 8);
  reply.writeBigUInt64BE(request.readBigUInt64BE(time) + (BigInt(INSIDE) << 32n) / 1000n, time);
  // Synchronized, and off by 2^-6 s at most.
  reply.writeUInt16BE(0x8000 | 26 << 8 | 1, error);
  request.copy(reply, error + 2, error + 2, error + 4);
  request.copy(reply, sender, 0, 4);
  request.copy(reply, senderTime, time, time + 8);
  request.copy(reply, senderError, error, error + 2);
  reply[ttl] = 255;
  if (key) tagOf(reply, key).copy(reply, 96);
  return reply;
}

/** What the reflector does with each request: `there` before it has counted it, `back` behind. */
interface Path {
  there?(sequence: number): "lost" | "twice" | undefined;
  back?(sequence: number): "lost" | "twice" | "swapped" | undefined;
  /** Sends what is no reply, before the reply. */
  wrong?(reply: Buffer, send: (packet: Buffer) => void, port: number): void;
}

class Reflector {
  readonly #socket: Socket;
  readonly requests: Buffer[] = [];
  asked: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async open(path: Path = {}, { counts = false, key, host = "127.0.0.1" }: {
    counts?: boolean; key?: Uint8Array; host?: string;
  } = {}): Promise<Reflector> {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4").bind(0, host);
    await once(socket, "listening");
    const reflector = new Reflector(socket);
    let [count, held] = [0, undefined as Buffer | undefined];
    socket.on("message", (request, { address, port }) => {
      reflector.requests.push(request);
      reflector.asked();
      const sequence = request.readUInt32BE();
      const there = path.there?.(sequence);
      if (there === "lost") return;
      for (let i = 0; i < (there === "twice" ? 2 : 1); i++) {
        const reply = reflect(request, counts ? count++ : sequence, key);
        path.wrong?.(reply, (packet) => { socket.send(packet, port, address); }, port);
        const back = path.back?.(sequence);
        if (back === "lost") continue;
        if (back === "swapped") {
          held = reply;
          continue;
        }
        const replies = [reply, ...back === "twice" ? [reply] : [], ...held ? [held] : []];
        held = undefined;
        for (const each of replies) socket.send(each, port, address);
      }
    });
    return reflector;
  }

  get port(): number {
    return (this.#socket.address()).port;
  }

  close(): void {
    this.#socket.close();
  }
}

const OPTIONS: SenderOptions = {
  address: "127.0.0.1", family: 4, port: 0, source: undefined, count: 20, interval: 0.001, timeout: 60, size: 44,
  ssid: 0, key: undefined, error: 0x3fff,
};

/** Measures until all requests and so many replies have come, second ones and late ones left out. */
async function measured(reflector: Reflector, options: Partial<SenderOptions>, replies: number) {
  const enough = new AbortController();
  const seen: Times[] = [];
  const failures: string[] = [];
  const look = reflector.asked = () => {
    if (seen.length === replies && reflector.requests.length === OPTIONS.count) enough.abort();
  };
  const totals = await measure({ ...OPTIONS, port: reflector.port, ...options }, {
    replied(times) {
      seen.push(times);
      look();
    },
    failed(message) { failures.push(message); },
  }, enough.signal);
  reflector.close();
  assert.deepEqual(failures, []);
  return { ...totals, seen };
}

function taken(reply: Reply | Fault): Reply {
  if (typeof reply === "string") assert.fail(reply);
  return reply;
}

describe("packets", () => {
  const request = { sequence: 7, time: NOON, error: 0x8a3b, ssid: 0xc0de };
  const hex = (packet: Buffer) => packet.toString("hex");

  test("a request", () => {
    assert.equal(
      hex(requestOf({ ...request, size: 44, key: undefined })), `00000007${NTP_NOON}8a3bc0de${"00".repeat(28)}`,
    );
    assert.equal(
      hex(requestOf({ ...request, size: 51, key: undefined })).slice(88), "00010003" + "000000", "Extra Padding",
    );
    assert.equal(hex(requestOf({ ...request, size: 48, key: undefined })).slice(88), "00010000");
  });

  test("one that is authenticated", () => {
    const covered = `00000007${"00".repeat(12)}${NTP_NOON}8a3bc0de${"00".repeat(68)}`;
    const tag = hex(tagOf(Buffer.from(covered, "hex"), KEY));
    assert.equal(hex(requestOf({ ...request, size: 112, key: KEY })), covered + tag);
    assert.equal(hex(requestOf({ ...request, size: 118, key: KEY })), `${covered}${tag}000100020000`);
  });

  for (const [what, key] of [["a reply", undefined], ["one that is authenticated", KEY]] as const) {
    test(what, () => {
      const packet = reflect(requestOf({ ...request, size: key ? 112 : 44, key }), 9, key);
      const size = packet.length;
      const { left, ...reply } = taken(replyOf(packet, size, key, NOON));
      assert.deepEqual(reply, {
        sequence: 7, reflected: 9, sent: ntpOf(NOON), received: NOON, clock: { synchronized: true, ms: 1000 * 2 ** -6 },
      });
      assert.ok(left - NOON - BigInt(INSIDE) * 1_000_000n <= 1n);
      assert.equal(replyOf(packet.subarray(0, -1), size, key, NOON), "length");
      assert.equal(replyOf(Buffer.concat([packet, Buffer.alloc(1)]), size, key, NOON), "length");
      const early = Buffer.from(packet);
      // T3 is a second less.
      early[key ? 19 : 7]--;
      if (key) tagOf(early, key).copy(early, 96);
      assert.equal(replyOf(early, size, key, NOON), "times");
      if (!key) return;
      packet[5] ^= 1;
      assert.equal(replyOf(packet, size, key, NOON), "hmac");
    });
  }

  test("times before and after 2036 and 2106, of NTP and of PTP", () => {
    for (const [at, ntp] of [
      [0, "83aa7e8000000000"], [Date.UTC(2036, 1, 7, 6, 28, 15), "ffffffff00000000"],
      [Date.UTC(2036, 1, 7, 6, 28, 16), "0000000000000000"], [Date.UTC(2106, 1, 7, 6, 28, 16), "83aa7e8000000000"],
    ] as const) {
      const time = BigInt(at) * 1_000_000n;
      assert.equal(hex(requestOf({ ...request, time, size: 44, key: undefined })).slice(8, 24), ntp);
      for (const [error, from] of [[0x0001, ntp], [0x4001, `${ptp(at)}00000000`]] as const) {
        const reply = Buffer.alloc(44);
        reply.write(from, 4, "hex");
        reply.write(from, 16, "hex");
        reply.writeUInt16BE(error, 12);
        // The clocks need not agree.
        for (const now of [time, time + BigInt(1e18), time - BigInt(1e18)]) {
          assert.equal(taken(replyOf(reply, 44, undefined, now)).received, time, new Date(at).toISOString());
        }
      }
    }
  });

  const ptp = (ms: number) => (ms / 1000 % 2 ** 32).toString(16).padStart(8, "0");

  test("what a clock says of itself", () => {
    assert.deepEqual(clockErrorOf(0x8000 | 32 << 8 | 3), { synchronized: true, ms: 3000 });
    assert.equal(clockErrorOf(0x3fff).synchronized, false);
  });
});

describe("requests and replies", () => {
  const NS = 1_000_000n;
  const clock = { synchronized: true, ms: 1 };
  const at = (ms: number, offset = 0) => ({ steady: BigInt(ms) * NS, wall: BigInt(ms + offset) * NS });
  /** A reply to a request that was sent at `sent` ms, or as many as its number. */
  const reply = (sequence: number, ms: number, reflected = sequence, sent = sequence) => ({
    sequence, reflected, sent: ntpOf(at(sent).wall), received: BigInt(ms) * NS, left: BigInt(ms + 2) * NS, clock,
  });

  test("the round trip is without the reflector's own time, and a step of the wall clock changes delays alone", () => {
    const tally = new Tally(2, 1000n * NS);
    tally.sent(0, at(100));
    tally.sent(1, at(101));
    assert.deepEqual(
      tally.came(reply(0, 103, 0, 100), at(109)), { sequence: 0, roundTrip: 7, there: 3, back: 4, inside: 2 },
    );
    assert.deepEqual(
      tally.came(reply(1, 104, 1, 101), at(110, 50)), { sequence: 1, roundTrip: 7, there: 3, back: 54, inside: 2 },
    );
  });

  test("a reply that comes too late is lost, and those that wait are forgotten", () => {
    const tally = new Tally(1000, 50n * NS);
    for (let i = 0; i < 1000; i++) {
      tally.sent(i, at(i));
      assert.ok(tally.waiting <= 50);
    }
    assert.equal(tally.came(reply(900, 950), at(999)), undefined);
    assert.ok(tally.came(reply(960, 980), at(999)));
    assert.equal(tally.came(reply(900, 950), at(999)), undefined);
    const { sent, received, lost, late, duplicates } = tally.totals();
    assert.deepEqual([sent, received, lost, late, duplicates], [1000, 1, 999, 1, 1]);
  });

  test("what was not asked for is wrong", () => {
    const tally = new Tally(10, 1000n * NS);
    tally.sent(0, at(0));
    for (const sequence of [1, 9, 10, 0xffff_ffff]) assert.equal(tally.came(reply(sequence, 1), at(2)), undefined);
    for (const fault of ["length", "hmac", "hmac", "address"] as const) tally.came(fault, at(2));
    assert.equal(tally.came(reply(0, 1, 0, 1), at(2)), undefined);
    const { received, wrong, faults } = tally.totals();
    assert.deepEqual(
      { received, wrong, faults },
      { received: 0, wrong: 9, faults: { length: 1, hmac: 2, sequence: 4, timestamp: 1, times: 0, address: 1 } },
    );
    assert.ok(tally.came(reply(0, 1), at(2)));
    assert.match(summaryOf("192.0.2.1", tally.totals(), 0x8001), new RegExp([
      "9 wrong\nwrong, and not used: 1 of another length than was sent, 2 not authentic, ",
      "4 with a number that was not sent, 1 with another time than was sent, 1 from another address\n",
    ].join("")));
  });

  test("a session that was there before says nothing of where packets were lost", () => {
    const tally = new Tally(10, 1000n * NS);
    for (let i = 0; i < 10; i++) tally.sent(i, at(i));
    for (let i = 0; i < 9; i++) tally.came(reply(i, i, 5000 + i), at(i + 3));
    assert.equal(tally.totals().losses, undefined);
  });

  test("times stand apart from each other however wrong a clock is", () => {
    for (const year of [0, 50 * 365 * 86_400_000]) {
      const tally = new Tally(1, 1000n * NS);
      tally.sent(0, at(year + 100));
      tally.came(reply(0, 110, 0, year + 100), at(year + 120));
      const rows = summaryOf("192.0.2.1", tally.totals(), 0x8001).split("\n").slice(2, 7);
      for (const row of rows) assert.equal(row.slice(12).trim().split(/ +/).length, 5, row);
      assert.equal(new Set(rows.map(({ length }) => length)).size, 1);
      if (year === 0) assert.equal(rows[0].length, 62);
    }
  });

  test("percentiles", () => {
    const tally = new Tally(100, 1000n * NS);
    for (let i = 0; i < 100; i++) {
      tally.sent(i, at(0));
      tally.came(reply(i, 0, i, 0), at(102 - i));
    }
    assert.deepEqual(tally.totals().times?.roundTrip, { min: 1, median: 50, p95: 95, p99: 99, max: 100 });
  });
});

describe("a reflector on loopback", () => {
  for (const [what, key, host] of [
    ["IPv4", undefined, "127.0.0.1"], ["IPv6", undefined, "::1"], ["authenticated", KEY, "127.0.0.1"],
  ] as const) {
    test(`${what}: every reply is taken`, async () => {
      const reflector = await Reflector.open({}, { host, ...key && { key } });
      const size = key ? 150 : 82;
      const { seen, ...totals } = await measured(
        reflector, { address: host, family: host.includes(":") ? 6 : 4, key, size, ssid: 77, source: host }, 20,
      );
      assert.deepEqual(
        { sent: totals.sent, received: totals.received, lost: totals.lost, wrong: totals.wrong },
        { sent: 20, received: 20, lost: 0, wrong: 0 },
      );
      for (const { there, inside } of seen) assert.deepEqual([there, Math.round(inside)], [0, INSIDE]);
      for (const request of reflector.requests) {
        assert.equal(request.length, size);
        assert.equal(request.readUInt16BE(key ? 26 : 14), 77);
      }
    });
  }

  const far = (sequence: number) => sequence % 5 === 1 ? "lost" : undefined;
  const near = (sequence: number) => sequence % 5 === 3 ? "lost" : undefined;
  for (const [what, path, counts, replies, expected] of [
    ["loses", { there: far, back: near }, false, 12, { lost: 8, losses: undefined }],
    ["counts, and loses there", { there: far }, true, 16, { lost: 4, losses: { there: 4, back: 0, unknown: 0 } }],
    ["counts, and loses both ways", { there: far, back: near }, true, 12,
      { lost: 8, losses: { there: 4, back: 4, unknown: 0 } }],
    ["counts, and loses the last ones", { there: (i) => i === 0 || i > 16 ? "lost" : undefined }, true, 16,
      { lost: 4, losses: { there: 1, back: 0, unknown: 3 } }],
    ["counts, loses and repeats there", { there: (i) => far(i) ?? (i % 5 === 0 ? "twice" : undefined) }, true, 16,
      { lost: 4, duplicates: 4, losses: { there: 4, back: 0, unknown: 0 } }],
    ["repeats", { back: (i) => i < 19 && i % 3 === 0 ? "twice" : undefined }, false, 20, { lost: 0, duplicates: 7 }],
    ["reorders", { back: (i) => i % 4 === 0 ? "swapped" : undefined }, false, 20, { lost: 0, reordered: 5 }],
  ] as const satisfies readonly (readonly [string, Path, boolean, number, object])[]) {
    test(`one that ${what}`, async () => {
      const totals = await measured(await Reflector.open(path, { counts }), {}, replies);
      const names = Object.keys(expected) as (keyof typeof totals)[];
      const found = Object.fromEntries(names.map((name) => [name, totals[name]]));
      assert.deepEqual(found, expected);
      assert.equal(totals.sent, 20);
      assert.equal(totals.received, replies);
    });
  }

  for (const host of ["127.0.0.1", "::1"]) {
    test(`what cannot be a reply is counted, and not used, ${host}`, async () => {
      const other = createSocket(host.includes(":") ? "udp6" : "udp4").bind(0, host);
      await once(other, "listening");
      /** Changes a copy of a reply. */
      const changed = (packet: Buffer, change: (copy: Buffer) => unknown) => {
        const copy = Buffer.from(packet);
        change(copy);
        return copy;
      };
      const reflector = await Reflector.open({
        wrong: (reply, send, port) => {
          send(reply.subarray(0, -1));
          send(changed(reply, (copy) => copy.writeUInt32BE(20, 24)));
          send(changed(reply, (copy) => copy.writeUInt32BE(0, 32)));
          // T2 is ten seconds later.
          send(changed(reply, (copy) => copy.writeUInt32BE(copy.readUInt32BE(16) + 10, 16)));
          other.send(reply, port, host);
        },
      }, { host });
      const { seen, received, wrong, faults, duplicates, times } = await measured(
        reflector, { address: host, family: host.includes(":") ? 6 : 4 }, 20,
      );
      other.close();
      assert.deepEqual([seen.length, received, duplicates], [20, 20, 0]);
      assert.equal(Math.round(times?.inside.max ?? 0), INSIDE);
      assert.deepEqual(faults, { length: 20, hmac: 0, sequence: 20, timestamp: 20, times: 20, address: 20 });
      assert.equal(wrong, 100);
    });
  }

  test("replies of another key are wrong", async () => {
    const reflector = await Reflector.open({}, { key: pattern(25) });
    const totals = await measure(
      { ...OPTIONS, port: reflector.port, key: KEY, size: 112, count: 1, timeout: 0.05 },
      { replied: () => assert.fail(), failed(message) { assert.fail(message); } }, new AbortController().signal,
    );
    reflector.close();
    assert.equal(totals.received, 0);
  });
});

describe("the command", () => {
  /** Runs it against a reflector. */
  const run = async (reflector: Reflector, ...args: string[]) => {
    const ended = await pongd("stamp", "--port", String(reflector.port), "--interval", "0.001", ...args);
    reflector.close();
    return ended;
  };

  test("prints a line for each reply, and what became of all", async () => {
    const { status, stdout, stderr } = await run(await Reflector.open(), "--count", "3", "localhost", "-4");
    assert.deepEqual([status, stderr], [0, ""]);
    const lines = stdout.split("\n");
    for (const i of [0, 1, 2]) {
      const times = "time=-?\\d+\\.\\d{3} ms there=0\\.000 ms back=";
      assert.match(lines[i], new RegExp(`^44 bytes from 127\\.0\\.0\\.1: seq=${i} ${times}`));
    }
    assert.deepEqual(lines.slice(3, 5), ["--- 127.0.0.1 ---", "3 sent, 3 received, 0 lost (0 %)"]);
    assert.match(lines[5], /^ms +min +median +p95 +p99 +max$/);
    const names = lines.slice(6, 10).map((line) => line.slice(0, 11).trim());
    assert.deepEqual(names, ["round trip", "there", "back", "reflector"]);
    assert.match(stdout, /There and back are as right as both clocks: here .*, there off by up to 16 ms\.\n$/);
  });

  test("--key-file, --ssid and --size", async () => {
    const file = join(DIR, "key");
    writeFileSync(file, Buffer.concat([KEY, Buffer.from("\n")]));
    const reflector = await Reflector.open({}, { key: KEY });
    const { status, stdout } = await run(
      reflector, "--count", "2", "--key-file", file, "--ssid", "300", "--size", "200", "--quiet", "127.0.0.1",
    );
    assert.equal(status, 0);
    assert.match(stdout, /^--- 127\.0\.0\.1 ---\n2 sent, 2 received, /);
    for (const request of reflector.requests) {
      assert.deepEqual([request.length, request.readUInt16BE(26)], [200, 300]);
      assert.deepEqual(request.subarray(96, 112), tagOf(request, KEY));
    }
  });

  test("--json, to standard output or a file", async () => {
    for (const file of ["-", join(DIR, "report.json")]) {
      const { status, stdout } = await run(await Reflector.open(), "--count", "4", "--json", file, "127.0.0.1");
      assert.equal(status, 0);
      const report = JSON.parse(file === "-" ? stdout : readFileSync(file, "utf8")) as Record<string, unknown>;
      const { address, authenticated, sent, received, lost, size, times } = report;
      assert.deepEqual([address, authenticated, sent, received, lost, size], ["127.0.0.1", false, 4, 4, 0, 44]);
      assert.deepEqual(Object.keys(times as object), ["roundTrip", "there", "back", "inside"]);
    }
  });

  test("status 1 when nothing comes back", async () => {
    const reflector = await Reflector.open({ there: () => "lost" });
    const { status, stdout } = await run(reflector, "--count", "1", "--timeout", "0.02", "127.0.0.1");
    assert.deepEqual([status, stdout], [1, "--- 127.0.0.1 ---\n1 sent, 0 received, 1 lost (100 %)\n"]);
  });

  test("status 1, and a line, when nobody listens", async () => {
    const reflector = await Reflector.open();
    const { port } = reflector;
    reflector.close();
    const { status, stderr } = await pongd(
      "stamp", "--port", String(port), "--count", "3", "--interval", "0.001", "--timeout", "0.5", "127.0.0.1",
    );
    assert.deepEqual([status, stderr], [1, `pongd: 127.0.0.1 has no service at UDP port ${port}\n`]);
  });

  for (const [args, message] of [
    [[], /missing required argument 'address'/],
    [[""], /^pongd: the address is empty; write it like 10\.99\.1\.1$/],
    [["no such name"], /^pongd: "no such name" has no address: getaddrinfo /],
    [["10.99.1.1", "10.99.1.2"], /too many arguments/],
    [["::1", "-4"], /^pongd: ::1 is an IPv6 address, and not one of IPv4$/],
    [["127.0.0.1", "-6"], /^pongd: 127\.0\.0\.1 is an IPv4 address, and not one of IPv6$/],
    [["127.0.0.1", "-4", "-6"], /^pongd: --ipv4 and --ipv6 are given; give one$/],
    [["127.0.0.1", "--source", "::1"], /^pongd: 127\.0\.0\.1 is an IPv4 address, and not one of IPv6$/],
    [["127.0.0.1", "--source", "lo"], /^pongd: --source: "lo" is not an IP address$/],
    [["127.0.0.1", "--size", "43"], /44 to 65527/],
    [["127.0.0.1", "--size", "46"], /^pongd: --size 46: a packet has 44 bytes, or 48 or more$/],
    [["127.0.0.1", "--key-file", "/none"], /^pongd: --key-file: \/none: cannot be read: ENOENT/],
    [["127.0.0.1", "--key-file", "/dev/null"], /^pongd: --key-file: \/dev\/null: not a regular file/],
    [["127.0.0.1", "--count", "0"], /1 to 100000/],
    [["127.0.0.1", "--interval", "0"], /0\.001 to 3600/],
    [["127.0.0.1", "--ssid", "65536"], /0 to 65535/],
    [["127.0.0.1", "--json", "/none/x"], /^pongd: "\/none\/x" cannot be written: ENOENT/],
  ] as const) {
    test(`status 2 and one line: ${args.join(" ")}`, async () => {
      const { status, stdout, stderr } = await pongd("stamp", ...args);
      assert.equal(status, 2, stderr);
      assert.equal(stdout, "");
      assert.match(stderr, /^[^\n]+\n$/);
      assert.match(stderr.trimEnd(), message);
    });
  }
});
