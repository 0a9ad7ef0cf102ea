/** Tests the list of TCP connections: what is read of an engine's memory, and how it is asked for over HTTP. */
import assert from "node:assert/strict";
import { afterEach, describe, mock, test } from "node:test";
import { FIRST_PREFIX } from "../../abi/tables.js";
import {
  CAME, CONNECTION_SIZE, CONNECTIONS, CONNECTIONS_TOUCHED, Drain, DRAIN, OWNER, Service, SERVICE, SERVICE_NAME,
  SERVICE_NAME_LEN, SERVICE_SIZE, State, STATE, WAIT_COUNT, WAIT_FIRST,
} from "../../abi/tcp.js";
import { Failure } from "../../src/base/failure.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { PrefixList } from "../../src/prefix/list.js";
import { parsePrefix } from "../../src/prefix/prefixes.js";
import { ConnectionList, queryOf } from "../../src/telemetry/connections.js";
import { CONNECTIONS as FORM } from "../../src/top/connections.js";
import { Lines } from "../../src/top/listing.js";
import { Random } from "../support/random.js";
import { ask, closeServed, served } from "../support/served.js";
import { ACK, decode, encode, FIN, PSH, SYN, type Segment } from "../support/tcp.js";
import { ADDRESSES, LIMITS, PORTS, TcpHost, type Family } from "../support/tcphost.js";

type Line = Readonly<Record<string, unknown>>;

const PREFIXES = PrefixList.of([
  { ...parsePrefix("10.99.0.0/16"), name: "lab" }, parsePrefix("fd99::/64"),
]);

function listOf(...memories: readonly WebAssembly.Memory[]): ConnectionList {
  return new ConnectionList(memories.map((memory, index) => ({ index, memory })), { prefixes: PREFIXES });
}

/** Lists the connections of a host at its own time. */
function linesOf({ rig, us }: TcpHost, query = ""): Line[] {
  const pieces = listOf(rig.linear.memory).pieces(queryOf(new URLSearchParams(query)), () => 1000 * us);
  return [...pieces].join("").split("\n").slice(0, -1).map((line) => JSON.parse(line) as Line);
}

/** A peer that says what a test has it say. */
class Peer {
  #seq = 1000;
  #ack = 0;

  constructor(readonly host: TcpHost, readonly port: number, readonly local: number, readonly family: Family = 4) {}

  say(flags: number, more: Partial<Segment> = {}): Segment[] {
    const { peer, local } = ADDRESSES[this.family];
    this.host.inject(encode({
      src: peer, dst: local, srcPort: this.port, dstPort: this.local, seq: this.#seq, ack: this.#ack, flags,
      window: 1000, ...more,
    }));
    this.#seq += (more.data?.length ?? 0) + (flags & (SYN | FIN) ? 1 : 0);
    return this.host.take().map(({ packet }) => {
      const segment = decode(packet);
      this.#ack = segment.seq + segment.data.length + (segment.flags & (SYN | FIN) ? 1 : 0);
      return segment;
    });
  }

  open(options: Segment["options"] = {}, timestamps?: { val: number; ecr: number }): this {
    this.say(SYN, { options: { ...options, ...timestamps && { timestamps } } });
    this.say(ACK, timestamps ? { options: { timestamps } } : {});
    return this;
  }
}

describe("what an engine has", () => {
  test("a connection with all options, while it waits for an acknowledgement, and after it", async () => {
    const host = await TcpHost.create();
    const timestamps = { val: 1, ecr: 0 };
    const peer = new Peer(host, 40_000, PORTS.echo);
    peer.say(SYN, { options: { mss: 1000, scale: 3, sackPermitted: true, timestamps } });
    assert.deepEqual(linesOf(host).map(({ state, inFlight }) => [state, inFlight]), [["syn-received", 0]]);
    host.advance(20_000);
    peer.say(ACK, { options: { timestamps } });
    host.advance(1_000_000);
    peer.say(ACK | PSH, { options: { timestamps }, data: Buffer.from("hello") });
    host.advance(150_000);
    const [{ rttMs, rttVarMs, rtoMs, idleMs, tailProbeMs, keepaliveMs, cwnd, receiveWindow, ...rest }] = linesOf(host);
    assert.deepEqual(rest, {
      queue: 0, state: "established", localAddress: "10.99.1.1", localPort: 7, remoteAddress: "198.51.100.7",
      remotePort: 40_000, prefix: "10.99.0.0/16", name: "lab", service: "echo", options: ["ts", "sack", "wscale"],
      sendScale: 3, receiveScale: 7, mss: 988, acknowledged: 0, received: 5, inFlight: 5, sendWindow: 8000,
      retransmits: 0, probes: 0,
    });
    assert.ok(Math.abs(Number(rttMs) - 20) < 1 && Math.abs(Number(rttVarMs) - 10) < 1, String(rttMs));
    assert.equal(rtoMs, Number(rttMs) + 200);
    assert.ok(Math.abs(Number(idleMs) - 150) < 1, `idle for ${String(idleMs)} ms`);
    assert.ok(Number(tailProbeMs) > 0 && Number(tailProbeMs) < rtoMs - 149, `${String(tailProbeMs)} ms`);
    assert.ok(Math.abs(Number(keepaliveMs) - 7_200_000 + 150) < 1, String(keepaliveMs));
    assert.ok(Number(cwnd) >= 10_000 && Number(receiveWindow) > 60_000, `${String(cwnd)}, ${String(receiveWindow)}`);

    host.advance(2_000_000);
    const [late] = linesOf(host);
    assert.ok(Number(late.retransmits) >= 1 && Number(late.retransmitMs) > 0, JSON.stringify(late));
    assert.equal(late.rtoMs, rtoMs * 2 ** Number(late.retransmits));

    host.take();
    peer.say(ACK, { options: { timestamps } });
    const [after] = linesOf(host);
    assert.deepEqual([after.acknowledged, after.inFlight, after.retransmits, after.retransmitMs], [5, 0, 0, undefined]);
  });

  test("one that began without options", async () => {
    const host = await TcpHost.create();
    new Peer(host, 40_000, PORTS.discard, 6).open();
    const [line] = linesOf(host);
    assert.deepEqual(
      [line.localAddress, line.remoteAddress, line.prefix, line.name, line.options, line.sendScale, line.mss],
      ["fd99::1:1", "2001:db8::7", "fd99::/64", undefined, [], undefined, 1220],
    );
  });

  test("one in TIME-WAIT, which is listed if it is asked for", async () => {
    const host = await TcpHost.create();
    const peer = new Peer(host, 40_000, PORTS.discard).open();
    host.rig.words[DRAIN / 4] = Drain.close;
    host.sleepTo(host.us + 1);
    host.advance(100_000);
    const [fin] = host.take().map(({ packet }) => decode(packet));
    assert.ok(fin.flags & FIN, "it was closed from here first");
    assert.deepEqual(linesOf(host).map(({ state, inFlight }) => [state, inFlight]), [["fin-wait-1", 0]]);
    peer.say(FIN | ACK, { ack: fin.seq + 1 });
    host.advance(10e6);
    assert.deepEqual(linesOf(host), []);
    for (const query of ["state=time-wait", "state=all", "state=established,time-wait&port=9&remote=198.51.100.7"]) {
      const [{ expiresMs, ...rest }] = linesOf(host, query);
      assert.deepEqual(rest, {
        queue: 0, state: "time-wait", localAddress: "10.99.1.1", localPort: 9, remoteAddress: "198.51.100.7",
        remotePort: 40_000,
      });
      assert.ok(Math.abs(Number(expiresMs) - 50_000) < 1, `it ends in ${String(expiresMs)} ms`);
    }
    for (const query of ["state=all&service=discard", "state=all&port=7", "state=all&local=10.98.0.0/16"]) {
      assert.deepEqual(linesOf(host, query), [], query);
    }
  });

  test("each filter, alone and together, and the limit", async () => {
    const host = await TcpHost.create();
    new Peer(host, 1, PORTS.echo).open();
    new Peer(host, 2, PORTS.discard).open();
    new Peer(host, 3, PORTS.discard, 6).open();
    new Peer(host, 4, PORTS.reply).open().say(FIN | ACK);
    new Peer(host, 5, PORTS.echo).say(SYN);
    for (const [query, ports] of [
      ["", [1, 2, 3, 4, 5]], ["state=established", [1, 2, 3]], ["state=syn-received", [5]],
      ["state=last-ack", [4]], ["state=last-ack,syn-received", [4, 5]], ["state=time-wait", []],
      ["port=9", [2, 3]], ["service=echo", [1, 5]], ["service=reply", [4]], ["service=none", []],
      ["local=10.99.0.0/16", [1, 2, 4, 5]], ["local=10.99.1.1", [1, 2, 4, 5]], ["local=10.99.1.0/31", [1, 2, 4, 5]],
      ["local=10.99.1.2/31", []], ["local=0.0.0.0/0", [1, 2, 4, 5]], ["local=::/0", [3]],
      ["remote=198.51.100.0/29", [1, 2, 4, 5]], ["remote=198.51.100.8/29", []], ["remote=2001:db8::/32", [3]],
      ["remote=2001:db8::6/127", [3]], ["remote=2001:db8::8/125", []],
      ["state=established&port=9&remote=2001:db8::/32&service=discard", [3]], ["limit=2", [1, 2]],
      ["port=9&limit=1", [2]],
    ] as const) {
      assert.deepEqual(linesOf(host, query).map(({ remotePort }) => remotePort), ports, query);
    }
  });

  test("all queues' are listed, up to the limit in all", async () => {
    const hosts = await Promise.all([TcpHost.create(), TcpHost.create()]);
    for (const host of hosts) for (const port of [1, 2]) new Peer(host, port, PORTS.echo).open();
    const list = listOf(...hosts.map(({ rig }) => rig.linear.memory));
    const seen = (query: string) => [...list.pieces(queryOf(new URLSearchParams(query)))].join("").split("\n")
      .slice(0, -1).map((line) => (JSON.parse(line) as Line).queue);
    assert.deepEqual(seen(""), [0, 0, 1, 1]);
    assert.deepEqual(seen("limit=3"), [0, 0, 1]);
    assert.deepEqual(seen("limit=2"), [0, 0]);
  });

  test("a service has the name that the configuration gives it", async () => {
    const service = { name: "ssh", kind: Service.banner, bytes: Buffer.from("SSH-2.0-x\r\n") };
    const host = await TcpHost.create({ ports: [{ first: 22, last: 22, service }] });
    new Peer(host, 1, 22).open();
    assert.deepEqual(linesOf(host, "service=ssh").map((line) => line.service), ["ssh"]);
    const { words, bytes } = host.rig;
    const record = words[(words[CONNECTIONS / 4] + SERVICE) / 4] / 4;
    const at = words[record + SERVICE_NAME / 4];
    for (const [address, length] of [
      [at, 0], [at, 65], [at, 0xffff_ffff], [bytes.length - 2, 3], [bytes.length, 1], [0xffff_ffff, 64],
    ]) {
      words[record + SERVICE_NAME / 4] = address;
      words[record + SERVICE_NAME_LEN / 4] = length;
      assert.deepEqual(linesOf(host).map((line) => line.service), [undefined], `${length} bytes at ${address}`);
    }
  });

  test("a prefix that has another's index by now is not taken for that", async () => {
    const host = await TcpHost.create();
    new Peer(host, 1, PORTS.echo).open();
    const block = host.rig.words[CONNECTIONS / 4];
    for (const owner of [FIRST_PREFIX + 1, FIRST_PREFIX + 2, 0, 0xffff_ffff, 0x7fff_ffff]) {
      host.rig.words[(block + OWNER) / 4] = owner;
      assert.equal(linesOf(host)[0].prefix, undefined, `owner ${owner}`);
    }
  });
});

describe("a block that nobody would write", () => {
  test("a service that is none, and states that there are not", async () => {
    const host = await TcpHost.create();
    new Peer(host, 1, PORTS.echo).open();
    const { words, bytes } = host.rig;
    const block = words[CONNECTIONS / 4];
    const right = words[(block + SERVICE) / 4];
    for (const address of [0, right + 1, 0xffff_ffff, 0xffff_fffc, bytes.length, bytes.length - 4]) {
      words[(block + SERVICE) / 4] = address;
      assert.equal(linesOf(host)[0].service, undefined, `service at ${address}`);
    }
    for (const state of [State.CLOSED, State.TIME_WAIT, 9, 32, 33, 255]) {
      bytes[block + STATE] = state;
      assert.deepEqual(linesOf(host, "state=all"), [], `state ${state}`);
    }
  });

  test("any bytes at all come to lines with numbers", async () => {
    const host = await TcpHost.create();
    const { words, bytes } = host.rig;
    const random = new Random(1);
    const blocks = words[CONNECTIONS / 4];
    words[CONNECTIONS_TOUCHED / 4] = LIMITS.connections;
    words[WAIT_FIRST / 4] = 0xffff_fff0;
    words[WAIT_COUNT / 4] = 0xffff_ffff;
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < CONNECTION_SIZE * LIMITS.connections; i++) {
        bytes[blocks + i] = round === 0 ? 0xff : random.below(256);
      }
      for (let i = 0; i < LIMITS.connections; i++) bytes[blocks + CONNECTION_SIZE * i + STATE] = 1 + i % 7;
      const lines = linesOf(host, "state=all");
      assert.equal(lines.length, LIMITS.connections);
      for (const line of lines) {
        for (const [key, value] of Object.entries(line)) {
          assert.ok(typeof value !== "number" || value >= 0, `${key} is ${String(value)}`);
          assert.notEqual(value, null, key);
        }
      }
    }
    words[CONNECTIONS_TOUCHED / 4] = 0xffff_ffff;
    assert.equal(linesOf(host).length, LIMITS.connections);
  });

  test("one that becomes another's while it is read is read again, and left out if that goes on", async () => {
    const host = await TcpHost.create();
    for (const port of [1, 2]) new Peer(host, port, PORTS.echo).open();
    const { words, bytes } = host.rig;
    const [first, second] = [0, 1].map((i) => words[CONNECTIONS / 4] + CONNECTION_SIZE * i);
    const other = bytes.slice(second, second + CONNECTION_SIZE);
    bytes[second + STATE] = State.CLOSED;
    /** Lists while `change` is called after each copy. */
    const during = (change: (copies: number) => void, query = ""): unknown[] => {
      const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
      const set = Reflect.get(typedArray, "set");
      let copies = 0;
      const copying = mock.method(typedArray, "set", function (this: Uint8Array, ...copied: Parameters<typeof set>) {
        set.apply(this, copied);
        if (this.length === CONNECTION_SIZE && this.buffer !== bytes.buffer) change(++copies);
      });
      try {
        return linesOf(host, query).map(({ remotePort }) => remotePort);
      } finally {
        copying.mock.restore();
      }
    };
    const become = (block: Uint8Array) => {
      for (const [i, byte] of block.entries()) bytes[first + i] = byte;
    };
    const own = bytes.slice(first, first + CONNECTION_SIZE);
    assert.deepEqual(during(() => undefined), [1]);
    const becomeOther = (copies: number) => { if (copies === 1) become(other); };
    assert.deepEqual(during(becomeOther), [2]);
    become(own);
    assert.deepEqual(during((copies) => { become(copies % 2 === 1 ? other : own); }), []);
    become(own);
    assert.deepEqual(during(() => { bytes[first + STATE] = State.CLOSED; }), []);
    become(own);
    words[(second + SERVICE) / 4] += SERVICE_SIZE;
    other.set(bytes.subarray(second + SERVICE, second + SERVICE + 4), SERVICE);
    assert.deepEqual(during(becomeOther, "service=echo"), [], "the other's service");
    become(own);
    assert.deepEqual(during(() => { words[(first + CAME + 4) / 4]++; }), [], "a count that passes 2^32");
  });
});

describe("a walk", () => {
  const memoryOf = (count: number) => {
    const { memory } = LinearMemory.create({
      mtu: 1500, reassembly: 0, blocks: 1, tcp: { ...LIMITS, connections: count, memory: 0 },
    });
    const words = new Uint32Array(memory.buffer);
    words[CONNECTIONS_TOUCHED / 4] = count;
    return { memory, words, bytes: new Uint8Array(memory.buffer) };
  };

  test("it looks at the time again and again where nothing is found, and pauses", () => {
    const count = 100_000;
    const { memory } = memoryOf(count);
    let ms = 0;
    const clock = mock.method(performance, "now", () => ms++);
    try {
      const pieces = [...listOf(memory).pieces(queryOf(new URLSearchParams()))];
      assert.ok(pieces.length > count / 1024 / 10, `${pieces.length} slices`);
      assert.ok(pieces.every((piece) => piece === ""));
    } finally {
      clock.mock.restore();
    }
  });

  test("a piece is not much longer than 64 KiB, however many there are", () => {
    const { memory, words, bytes } = memoryOf(2000);
    for (let i = 0; i < 2000; i++) bytes[words[CONNECTIONS / 4] + CONNECTION_SIZE * i + STATE] = State.ESTABLISHED;
    const pieces = [...listOf(memory).pieces(queryOf(new URLSearchParams("limit=2000")))];
    assert.equal(pieces.join("").split("\n").length, 2001);
    for (const piece of pieces) assert.ok(piece.length < 65_536 + 1024, `${piece.length}`);
  });
});

describe("asking", () => {
  afterEach(closeServed);

  test("GET /connections answers with an object a line, and 503 before pongd is up", async () => {
    const host = await TcpHost.create();
    new Peer(host, 1, PORTS.echo).open();
    new Peer(host, 2, PORTS.discard).open();
    const { url } = await served({ list: listOf(host.rig.linear.memory) });
    const { status, headers, body } = await ask(`${url}/connections?service=discard`);
    assert.deepEqual([status, headers["content-type"]], [200, "application/x-ndjson"]);
    assert.equal((JSON.parse(body) as Line).remotePort, 2);
    assert.equal((await ask(`${url}/connections`)).body.split("\n").length, 3);
    assert.deepEqual([(await ask(`${url}/connections?port=1`)).body], [""]);
    const head = await ask(`${url}/connections`, { method: "HEAD" });
    assert.deepEqual([head.status, head.body], [200, ""]);
    assert.equal((await ask(`${url}/connections`, { method: "POST" })).status, 405);
    assert.equal((await ask(`${(await served()).url}/connections`)).status, 503);
  });

  for (const [query, message] of [
    ["state=ESTAB", "state: \"ESTAB\" is not a state; expected syn-sent, syn-received, established, fin-wait-1, "
    + "fin-wait-2, closing, close-wait, last-ack, time-wait or all"],
    ["state=", "state: \"\" is not a state; "], ["state=closed", "state: \"closed\" is not a state; "],
    ["local=10.0.0.1/8", "local: prefix \"10.0.0.1/8\" has bits set beyond its length; did you mean 10.0.0.0/8?"],
    ["remote=x", "remote: \"x\" is not a prefix; write it like 10.99.0.0/16 or 2001:db8::/64"],
    ["port=0", "port: \"0\" is not a whole number from 1 to 65535"],
    ["port=65536", "port: \"65536\" is not a whole number from 1 to 65535"],
    ["port=1e3", "port: \"1e3\" is not"], ["limit=0", "limit: \"0\" is not a whole number from 1 to 50000"],
    ["limit=50001", "limit: \"50001\" is not"], ["port=1&port=2", "port: it is given twice"],
    ["sort=rtt", "sort: unknown parameter; expected one of state, local, remote, port, service, limit"],
  ] as const) {
    test(`refused: ${query}`, async () => {
      assert.throws(
        () => queryOf(new URLSearchParams(query), "--"),
        (error) => error instanceof Failure && error.exitStatus === 2 && error.message.startsWith(`--${message}`),
      );
      const { url } = await served({ list: listOf() });
      const { status, body } = await ask(`${url}/connections?${query}`);
      assert.equal(status, 400);
      assert.ok(body.startsWith(`Bad Request: ${message}`), body);
      assert.match(body, /^[^\n]*\n$/);
    });
  }
});

describe("lines for people", () => {
  const LINE = {
    queue: 0, state: "established", localAddress: "fd99::1", localPort: 7, remoteAddress: "2001:db8::7",
    remotePort: 40_000, prefix: "fd99::/64", name: "lab", service: "echo", options: ["ts", "wscale"], sendScale: 3,
    receiveScale: 7, rttMs: 0.25, rttVarMs: 0.125, rtoMs: 200.25, mss: 1440, cwnd: 14_400, acknowledged: 5,
    received: 6, inFlight: 7, idleMs: 1, persistMs: 2, unknown: 3,
  };
  const linesFor = (...lines: readonly unknown[]) => {
    return new Lines(lines.map((line) => `${JSON.stringify(line)}\n`).join(""), FORM);
  };

  test("two for each connection, in columns", () => {
    const short = {
      state: "time-wait", localAddress: "10.99.0.1", localPort: 80, remoteAddress: "10.0.0.1", remotePort: 9,
      expiresMs: 1000,
    };
    assert.equal(linesFor(LINE, short).text(), [
      "STATE        LOCAL         REMOTE               SERVICE  PREFIX",
      "established  [fd99::1]:7   [2001:db8::7]:40000  echo     fd99::/64 lab",
      "    ts wscale:3,7 rtt:0.25/0.125ms rto:200.25ms mss:1440 cwnd:14400 acked:5 received:6 in-flight:7 idle:1ms "
      + "probe-in:2ms",
      "time-wait    10.99.0.1:80  10.0.0.1:9           -        -",
      "    expires-in:1s",
      "",
    ].join("\n"));
    assert.equal(linesFor().text(), "STATE  LOCAL  REMOTE  SERVICE  PREFIX\n");
  });

  test("times are in units that suit them", () => {
    for (const [ms, shown] of [
      [0, "0ms"], [999.999, "999.999ms"], [1000, "1s"], [1234.567, "1.235s"], [59_999.9, "60s"], [60_000, "1m"],
      [61_499, "1m1s"], [3_600_000, "1h"], [3_605_000, "1h5s"], [7_198_731.452, "1h59m59s"], [86_400_000, "24h"],
    ] as const) assert.ok(linesFor({ keepaliveMs: ms }).text().endsWith(` keepalive-in:${shown}\n`), `${ms} ms`);
  });

  test("only what can be printed of another program's reaches the terminal, and as JSON it stays what it is", () => {
    const hostile = {
      state: "\x1b[31m", localAddress: "\n", service: "a".repeat(1e5), options: ["\x9b", 3], name: {},
    };
    const text = linesFor(hostile).text();
    assert.match(text, /^[\x20-\x7e\n…]*$/);
    assert.ok(text.split("\n").every((line) => line.length < 1000), "a line is not endless");
    assert.deepEqual(JSON.parse(linesFor(hostile).json()), hostile);
    assert.match(linesFor(hostile).json(), /^[\x20-\x7e]*\n$/);
  });

  for (const [body, message] of [
    ["<html>\n", "line 1 is no connection; is it a pongd?"], ["{}\n[]\n", "line 2 is no connection"],
    ["{}\nnull\n", "line 2 is no connection"], ["{}\n\n", "line 2 is no connection"],
    ["{}", "the last line does not end"],
  ] as const) {
    test(`refused: ${JSON.stringify(body)}`, () => {
      assert.throws(
        () => new Lines(body, FORM), (error) => error instanceof Error && error.message.startsWith(message),
      );
    });
  }
});
