/** Tests the list of sessions of UDP services: what is read of an engine's memory, and how HTTP is asked for it. */
import assert from "node:assert/strict";
import { afterEach, describe, mock, test } from "node:test";
import { IRTT_SERVICE, IRTT_SESSION_SIZE, IRTT_SESSIONS, IRTT_SETS, IRTT_TOKEN, IRTT_WAYS } from "../../abi/irtt.js";
import {
  SESSION_SERVICE, SESSION_SIZE, SESSION_USED, SESSIONS, SESSIONS_TOUCHED,
} from "../../abi/sessions.js";
import { Service, SERVICE_SIZE } from "../../abi/tcp.js";
import { Failure } from "../../src/base/failure.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { DEFAULT_STAMP, stampBytes } from "../../src/prefix/stamp.js";
import { SessionList, sessionsQueryOf } from "../../src/telemetry/sessions.js";
import { Lines } from "../../src/top/listing.js";
import { SESSIONS as FORM } from "../../src/top/sessions.js";
import { BY_DEFAULT, Rig } from "../support/engines.js";
import { udpPacket6 } from "../support/ipv6.js";
import { bytes, pattern, udpPacket, type UdpOptions } from "../support/packets.js";
import { Random } from "../support/random.js";
import { ask, closeServed, served } from "../support/served.js";
import { sent } from "../support/stamp.js";

type Line = Readonly<Record<string, unknown>>;

const [STAMP, IRTT] = [862, 2112];
const MAGIC = [0x14, 0xa7, 0x5b];
/** An open of version 1, without further parameters. */
const OPEN = Uint8Array.from([...MAGIC, 1, 1, 2]);
const ROOM = 64;
const PEER = { src: "192.0.2.1", sourcePort: 5000 };
const PEER6 = { src: "2001:db8::7", sourcePort: 5000 };

function rigWith(sessions = ROOM): Promise<Rig> {
  const stamp = {
    name: "own", kind: Service.stamp, bytes: stampBytes({ ...DEFAULT_STAMP, mode: "stateful", idleMs: 60_000 }),
  };
  return Rig.create("wasm", {
    sessions,
    policy: {
      ...BY_DEFAULT, sourceLimit: { rate: 1e9, burst: 1e9 }, udp: {
        ports: [
          { first: STAMP, last: STAMP, service: stamp },
          { first: IRTT, last: IRTT, service: { name: "irtt", kind: Service.irtt } },
        ],
      },
    },
  });
}

/** Sends a packet of STAMP. */
function measure(rig: Rig, ssid: number, options: UdpOptions = {}): void {
  const replies = rig.respond(udpPacket({ ...PEER, destinationPort: STAMP, ...options, data: sent({ ssid }) }));
  assert.equal(replies.length, 1);
}

/** Opens a session of IRTT, sends so many requests, and returns the token. */
function begin(rig: Rig, requests: number, options: UdpOptions = {}): Uint8Array {
  const say = (data: Uint8Array<ArrayBuffer>) =>
    rig.respond(udpPacket({ ...PEER, destinationPort: IRTT, ...options, data }))[0].slice(28);
  const token = say(OPEN).slice(4, 12);
  for (let i = 0; i < requests; i++) say(Uint8Array.from(bytes(...MAGIC, 0, token, i, 0, 0, 0, pattern(44))));
  return token;
}

function listOf(...rigs: readonly Rig[]): SessionList {
  return new SessionList(rigs.map(({ linear: { memory } }, index) => ({ index, memory })));
}

/** Lists the sessions of a rig at its own time. */
function linesOf(rig: Rig, query = ""): Line[] {
  const pieces = listOf(rig).pieces(sessionsQueryOf(new URLSearchParams(query)), () => 1e6 * rig.now);
  return [...pieces].join("").split("\n").slice(0, -1).map((line) => JSON.parse(line) as Line);
}

describe("what an engine has", () => {
  test("a session of STAMP", async () => {
    const rig = await rigWith();
    rig.now = 5000;
    for (let i = 0; i < 3; i++, rig.now += 1000) measure(rig, 513);
    assert.deepEqual(linesOf(rig), [{
      queue: 0, protocol: "stamp", localAddress: "10.99.1.1", localPort: STAMP, remoteAddress: "192.0.2.1",
      remotePort: 5000, service: "own", ssid: 513, packets: 3, ageMs: 3000, idleMs: 1000, expiresMs: 59_000,
    }]);
  });

  test("one of IRTT, whose token nobody is told", async () => {
    const rig = await rigWith();
    rig.now = 5000;
    const token = begin(rig, 0);
    rig.now += 2000;
    const [{ place, ...unused }] = linesOf(rig);
    const expected = {
      queue: 0, protocol: "irtt", localAddress: "10.99.1.1", localPort: IRTT, remoteAddress: "192.0.2.1",
      remotePort: 5000, service: "irtt", packets: 0, ageMs: 2000, idleMs: 2000, expiresMs: 63_000,
    };
    assert.deepEqual(unused, expected);
    const at = IRTT_SESSIONS + IRTT_SESSION_SIZE * Number(place) + IRTT_TOKEN;
    assert.deepEqual([...rig.bytes.subarray(at, at + 8)], [...token]);
    begin(rig, 5);
    rig.now += 500;
    const [line] = linesOf(rig);
    assert.deepEqual(line, { ...expected, place, packets: 5, ageMs: 2500, idleMs: 500, expiresMs: 64_500 });
    const hex = Buffer.from(token).toString("hex");
    const number = Buffer.from(token).readBigUInt64LE();
    for (const secret of [hex, String(number), String(Number(number)), [...token].join()]) {
      assert.ok(!JSON.stringify(line).includes(secret));
    }
  });

  test("over IPv6, too", async () => {
    const rig = await rigWith();
    rig.respond(
      udpPacket6({ ...PEER6, destinationPort: STAMP, data: sent({ ssid: 1 }) }),
      udpPacket6({ ...PEER6, destinationPort: IRTT, data: OPEN }),
    );
    assert.deepEqual(
      linesOf(rig).map(({ protocol, localAddress, remoteAddress, remotePort, localPort }) =>
        [protocol, localAddress, localPort, remoteAddress, remotePort]),
      [["stamp", "fd99::1:1", STAMP, "2001:db8::7", 5000], ["irtt", "fd99::1:1", IRTT, "2001:db8::7", 5000]],
    );
  });

  test("each filter, alone and together, and the limit", async () => {
    const rig = await rigWith();
    measure(rig, 1);
    measure(rig, 2);
    measure(rig, 3, { src: "198.51.100.7", dst: "10.99.7.7" });
    begin(rig, 1, { sourcePort: 7000, dst: "10.99.7.7" });
    rig.respond(udpPacket6({ ...PEER6, destinationPort: IRTT, sourcePort: 7001, data: OPEN }));
    const seen = (query: string) => linesOf(rig, query).map(({ ssid, remotePort }) => ssid ?? remotePort).sort();
    for (const [query, expected] of [
      ["", [1, 2, 3, 7000, 7001]], ["protocol=stamp", [1, 2, 3]], ["protocol=irtt", [7000, 7001]],
      ["port=862", [1, 2, 3]], ["port=2112", [7000, 7001]], ["port=7", []],
      ["service=own", [1, 2, 3]], ["service=irtt", [7000, 7001]], ["service=stamp", []],
      ["local=10.99.7.0/24", [3, 7000]], ["local=0.0.0.0/0", [1, 2, 3, 7000]], ["local=::/0", [7001]],
      ["remote=192.0.2.0/24", [1, 2, 7000]], ["remote=198.51.100.0/29", [3]], ["remote=2001:db8::/32", [7001]],
      ["protocol=stamp&port=862&service=own&local=10.99.7.7&remote=198.51.100.7", [3]],
      ["protocol=stamp&service=irtt", []], ["protocol=stamp&limit=2", [1, 2]],
    ] as const) assert.deepEqual(seen(query), expected, query);
  });

  test("all queues' are listed, up to the limit in all", async () => {
    const rigs = await Promise.all([rigWith(), rigWith()]);
    for (const rig of rigs) for (const ssid of [1, 2]) measure(rig, ssid);
    const queues = (query: string) => [...listOf(...rigs).lines(new URLSearchParams(query))].join("").split("\n")
      .slice(0, -1).map((line) => (JSON.parse(line) as Line).queue);
    assert.deepEqual(queues(""), [0, 0, 1, 1]);
    assert.deepEqual(queues("limit=3"), [0, 0, 1]);
  });

  test("one that has ended is not listed", async () => {
    const rig = await rigWith();
    measure(rig, 1);
    const token = begin(rig, 1);
    rig.respond(udpPacket({ ...PEER, destinationPort: IRTT, data: Uint8Array.from([...MAGIC, 4, ...token]) }));
    assert.deepEqual(linesOf(rig).map(({ protocol }) => protocol), ["stamp"]);
    rig.now += 62_000;
    rig.respond();
    assert.deepEqual(linesOf(rig), []);
  });

  test("a memory that has room for none", async () => {
    assert.deepEqual(linesOf(await rigWith(0)), []);
  });
});

describe("a record that nobody would write", () => {
  test("any bytes at all come to lines with numbers", async () => {
    const rig = await rigWith();
    const random = new Random(1);
    const first = rig.words[SESSIONS / 4];
    rig.words[SESSIONS_TOUCHED / 4] = 0xffff_ffff;
    for (let round = 0; round < 10; round++) {
      const fill = (from: number, length: number) => {
        for (let i = from; i < from + length; i++) rig.bytes[i] = round === 0 ? 0xff : random.below(256);
      };
      fill(first, SESSION_SIZE * ROOM);
      fill(IRTT_SESSIONS, IRTT_SESSION_SIZE * 100);
      for (let i = 0; i < ROOM; i++) rig.bytes[first + SESSION_SIZE * i + SESSION_SERVICE] |= 1;
      for (let i = 0; i < 100; i++) rig.bytes[IRTT_SESSIONS + IRTT_SESSION_SIZE * i + IRTT_TOKEN] |= 1;
      const lines = linesOf(rig);
      assert.equal(lines.length, ROOM + 100);
      for (const [key, value] of lines.flatMap((line) => Object.entries(line))) {
        assert.ok(typeof value !== "number" || value >= 0, `${key} is ${String(value)}`);
        assert.notEqual(value, null, key);
      }
    }
  });

  for (const [protocol, used] of [["stamp", SESSION_USED], ["irtt", 8]] as const) {
    test(`${protocol}: one that becomes another's is read again, and left out if that goes on`, async () => {
      const rig = await rigWith();
      const size = protocol === "stamp" ? SESSION_SIZE : IRTT_SESSION_SIZE;
      for (const sourcePort of [5001, 5002]) {
        if (protocol === "stamp") measure(rig, 1, { sourcePort });
        else begin(rig, 1, { sourcePort });
      }
      const at = (place: number) =>
        (protocol === "stamp" ? rig.words[SESSIONS / 4] : IRTT_SESSIONS) + size * place;
      const count = protocol === "stamp" ? 2 : IRTT_SETS * IRTT_WAYS;
      const [first, second] = Array.from({ length: count }, (_, i) => at(i))
        .filter((address) => protocol === "stamp" || rig.words[(address + IRTT_TOKEN) / 4] !== 0);
      const [own, other] = [first, second].map((from) => rig.bytes.slice(from, from + size));
      const portOf = (record: Uint8Array) =>
        new DataView(record.buffer).getUint16(protocol === "stamp" ? 12 : 64);
      rig.bytes.fill(0, second, second + size);
      /** Lists while `change` is called after each copy. */
      const during = (change: (copies: number) => void): unknown[] => {
        const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
        const set = Reflect.get(typedArray, "set");
        let copies = 0;
        const copying = mock.method(typedArray, "set", function (this: Uint8Array, ...copied: Parameters<typeof set>) {
          set.apply(this, copied);
          if (this.buffer !== rig.bytes.buffer) change(++copies);
        });
        try {
          return linesOf(rig).map(({ remotePort }) => remotePort);
        } finally {
          copying.mock.restore();
        }
      };
      const become = (record: Uint8Array) => {
        for (const [i, byte] of record.entries()) rig.bytes[first + i] = byte;
      };
      assert.deepEqual(during(() => undefined), [portOf(own)]);
      assert.deepEqual(during((copies) => { if (copies === 1) become(other); }), [portOf(other)]);
      become(own);
      assert.deepEqual(during((copies) => { become(copies % 2 === 1 ? other : own); }), []);
      become(own);
      assert.deepEqual(during(() => { rig.words[(first + used + 4) / 4]++; }), [], "a time that passes 2^32");
      become(own);
      assert.deepEqual(during(() => { rig.bytes.fill(0, first, first + size); }), [], "one that ends");
    });
  }

  test("a service that is none has no name", async () => {
    const rig = await rigWith();
    begin(rig, 1);
    const { place } = linesOf(rig)[0];
    const word = (IRTT_SESSIONS + IRTT_SESSION_SIZE * Number(place) + IRTT_SERVICE) / 4;
    const right = rig.words[word];
    for (const address of [0, right + 1, 0xffff_ffff, rig.bytes.length, right + 200 * SERVICE_SIZE]) {
      rig.words[word] = address;
      assert.equal(linesOf(rig)[0].service, undefined, `service at ${address}`);
    }
  });
});

describe("a walk", () => {
  test("it looks at the time again and again where nothing is found, and pauses", () => {
    const { memory } = LinearMemory.create({ mtu: 1500, reassembly: 0, blocks: 1, sessions: 65_536 });
    new Uint32Array(memory.buffer)[SESSIONS_TOUCHED / 4] = 65_536;
    let ms = 0;
    const clock = mock.method(performance, "now", () => ms++);
    try {
      const list = new SessionList([{ index: 0, memory }]);
      const pieces = [...list.lines(new URLSearchParams())];
      assert.ok(pieces.length > 65_536 / 1024 / 10, `${pieces.length} slices`);
      assert.ok(pieces.every((piece) => piece === ""));
    } finally {
      clock.mock.restore();
    }
  });
});

describe("asking", () => {
  afterEach(closeServed);

  test("GET /sessions answers with an object a line, and 503 before pongd is up", async () => {
    const rig = await rigWith();
    for (const ssid of [1, 2]) measure(rig, ssid);
    begin(rig, 1);
    const { url } = await served({ sessions: listOf(rig) });
    const { status, headers, body } = await ask(`${url}/sessions?protocol=irtt`);
    assert.deepEqual([status, headers["content-type"]], [200, "application/x-ndjson"]);
    assert.equal((JSON.parse(body) as Line).remotePort, 5000);
    assert.equal((await ask(`${url}/sessions`)).body.split("\n").length, 4);
    assert.equal((await ask(`${url}/sessions?limit=1`)).body.split("\n").length, 2);
    const head = await ask(`${url}/sessions`, { method: "HEAD" });
    assert.deepEqual([head.status, head.body], [200, ""]);
    assert.equal((await ask(`${url}/sessions`, { method: "POST" })).status, 405);
    assert.equal((await ask(`${(await served()).url}/sessions`)).status, 503);
  });

  for (const [query, message] of [
    ["protocol=sbfd", "protocol: \"sbfd\" has no sessions; expected stamp or irtt"],
    ["protocol=", "protocol: \"\" has no sessions; "],
    ["local=10.0.0.1/8", "local: prefix \"10.0.0.1/8\" has bits set"],
    ["port=0", "port: \"0\" is not a whole number from 1 to 65535"],
    ["limit=50001", "limit: \"50001\" is not a whole number from 1 to 50000"],
    ["port=1&port=2", "port: it is given twice"],
    ["state=all", "state: unknown parameter; expected one of protocol, local, remote, port, service, limit"],
  ] as const) {
    test(`refused: ${query}`, async () => {
      assert.throws(
        () => sessionsQueryOf(new URLSearchParams(query), "--"),
        (error) => error instanceof Failure && error.exitStatus === 2 && error.message.startsWith(`--${message}`),
      );
      const { url } = await served({ sessions: new SessionList([]) });
      const { status, body } = await ask(`${url}/sessions?${query}`);
      assert.equal(status, 400);
      assert.ok(body.startsWith(`Bad Request: ${message}`), body);
    });
  }
});

describe("lines for people", () => {
  const linesFor = (...lines: readonly unknown[]) =>
    new Lines(lines.map((line) => `${JSON.stringify(line)}\n`).join(""), FORM);

  test("one for each session, in columns", () => {
    const stamp = {
      protocol: "stamp", localAddress: "fd99::1", localPort: 862, remoteAddress: "2001:db8::7", remotePort: 40_000,
      service: "own", ssid: 0, packets: 4711, ageMs: 61_000.4, idleMs: 12.345,
    };
    const irtt = { protocol: "irtt", localAddress: "10.99.0.1", localPort: 2112, place: 0, packets: 0, idleMs: 1500 };
    assert.equal(linesFor(stamp, irtt, {}).text(), [
      "PROTOCOL  LOCAL           REMOTE               ID       PACKETS  AGE   IDLE  SERVICE",
      "stamp     [fd99::1]:862   [2001:db8::7]:40000  ssid 0   4711     1m1s  12ms  own",
      "irtt      10.99.0.1:2112  -:-                  place 0  0        -     1.5s  -",
      "-         -:-             -:-                  -        -        -     -     -",
      "",
    ].join("\n"));
  });

  test("only what can be printed of another program's reaches the terminal", () => {
    const hostile = { protocol: "\x1b[31m", service: "a".repeat(1e5), ssid: "\x9b", packets: {} };
    assert.match(linesFor(hostile).text(), /^[\x20-\x7e\n…]*$/);
    assert.ok(linesFor(hostile).text().split("\n").every((line) => line.length < 1000), "a line is not endless");
    assert.deepEqual(JSON.parse(linesFor(hostile).json()), hostile);
  });

  test("what is no list of sessions is refused", () => {
    assert.throws(() => new Lines("<html>\n", FORM), /^Error: line 1 is no session; is it a pongd\?$/);
  });
});
