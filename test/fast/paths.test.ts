/** Tests paths in the engine, in virtual time: what hops say, and what packets meet on their way. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Counter, ERRORS, ERRORS6, IcmpError, Protocol, REPLIES } from "../../abi/counters.js";
import { tableOf } from "../../src/engine/table.js";
import { CLEAR_WAY, type Link, type Way } from "../../src/prefix/link.js";
import { PrefixList } from "../../src/prefix/list.js";
import type { Hop, RouterPath } from "../../src/prefix/path.js";
import { parseAddress, parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { HopErrors } from "../../src/telemetry/hoperrors.js";
import { read } from "../support/config.js";
import { BY_DEFAULT, Rig, type BenchOptions } from "../support/engines.js";
import { frame, SHARED } from "../support/frames.js";
import { HOST6, hopByHop, icmpv6Packet, PREFIX6, setIcmpv6Checksum, TARGET6, udpPacket6 } from "../support/ipv6.js";
import {
  checksum, expectedReply, HOST, icmpPacket, ipv4Packet, PREFIX, setHeaderChecksum, TARGET, udpPacket,
} from "../support/packets.js";
import { Random } from "../support/random.js";
import { ACK, SYN } from "../support/tcp.js";
import { PORTS, SERVICES, TcpHost } from "../support/tcphost.js";
import { Peer } from "../support/tcppeer.js";
import { PATHED } from "../vectors/drops.js";

const MS = 1e6;

function hop(ipv4: string, rest: Partial<Hop> = {}): Hop {
  return {
    ipv4: parseAddress(ipv4), ipv6: parseAddress(`fd98::${ipv4.split(".")[3]}`), silent: false, blackHole: false,
    ttl: 64, icmp: { rate: 1000, burst: 1000 }, mpls: [], ...rest,
  };
}

function delay(inMs: number, outMs: number, way: Partial<Way> = {}): Link {
  return { in: { ...CLEAR_WAY, delayNs: inMs * MS }, out: { ...CLEAR_WAY, delayNs: outMs * MS, ...way } };
}

async function rigWith(path: RouterPath, options: BenchOptions = {}): Promise<Rig> {
  const rig = await Rig.create("wasm", { kept: 1000, ...options, policy: { ...BY_DEFAULT, path, ...options.policy } });
  rig.now = 1000;
  return rig;
}

/** Returns each packet that is sent until `end`, with the time in ms since 1000. */
function until(rig: Rig, end: number): { at: number; reply: Uint8Array }[] {
  const found: { at: number; reply: Uint8Array }[] = [];
  for (;;) {
    const deadline = rig.clock.deadline / MS;
    if (deadline === 0 || deadline > end) return found;
    rig.now = Math.max(rig.now, deadline);
    for (const reply of rig.respond()) found.push({ at: Math.floor(rig.now - 1000), reply });
  }
}

function isBalanced(rig: Rig): void {
  const { counters } = rig.linear;
  const replied = counters.subarray(REPLIES, REPLIES + Object.keys(Protocol).length / 2).reduce((a, b) => a + b);
  const dropped = Object.values(rig.dropped).reduce((a, b) => a + b, 0);
  assert.equal(
    counters[Counter.packetsReceived] + counters[Counter.linkCopies],
    replied + dropped + counters[Counter.held] + counters[Counter.kept] + counters[Counter.tcpReceived],
  );
}

const THREE = ["10.98.0.1", "10.98.0.2", "10.98.0.3"].map((address) => hop(address));

const word = (bytes: Uint8Array, at: number) => new DataView(bytes.buffer, bytes.byteOffset).getUint16(at);

/** An error of a hop, taken apart; it fails unless its checksums hold. */
function errorIn(packet: Uint8Array) {
  const six = packet[0] >> 4 === 6;
  const msg = packet.subarray(six ? 40 : 20);
  if (six) {
    const again = packet.slice();
    setIcmpv6Checksum(again);
    assert.deepEqual(packet, again);
  } else {
    assert.equal(checksum(packet.subarray(0, 20)), 0);
    assert.equal(checksum(msg), 0);
    assert.equal(word(packet, 2), packet.length);
  }
  const from = [...packet.subarray(six ? 8 : 12, six ? 24 : 16)];
  const fieldLen = six ? 8 * msg[4] : 4 * msg[5];
  const quote = fieldLen === 0 ? msg.subarray(8) : msg.subarray(8, 8 + fieldLen);
  return {
    type: msg[0], code: msg[1], from, ttl: six ? packet[7] : packet[8], tos: packet[1], mtu: word(msg, 6), quote,
    extension: fieldLen === 0 ? undefined : msg.subarray(8 + fieldLen),
  };
}

describe("HP-1, HP-8: a packet whose TTL is over", () => {
  test("what a hop says later keeps nothing waiting until then, and takes its turn on the way back", async () => {
    const rate = { byteNs: 8000, overhead: 0, queueNs: 10 * MS };
    const steps = [hop("10.98.0.1", { link: delay(100, 0, { rate }) })];
    const rig = await rigWith({ steps });
    const found: { at: number; reply: Uint8Array }[] = [];
    for (let i = 0; i < 20; i++) {
      found.push(...until(rig, 1000 + 10 * i));
      rig.now = 1000 + 10 * i;
      rig.respond(icmpPacket({ sequence: i }), ...i === 9 ? [icmpPacket({ ttl: 1 })] : []);
    }
    found.push(...until(rig, 2000));
    assert.deepEqual(rig.dropped, { ttl_expired: 1 });
    const replies = found.filter(({ reply }) => reply[20] === 0);
    assert.deepEqual(replies.map(({ reply }) => word(reply, 26)), Array.from({ length: 20 }, (_, i) => i));
    // It comes to the hop beside a ping, and is sent behind its reply.
    const [error] = found.filter(({ reply }) => reply[20] === 11);
    assert.equal(error.at, Math.floor(190 + (84 + error.reply.length) * 0.008));
    assert.equal(rig.linear.counters[Counter.keptAll], 0);
    isBalanced(rig);
  });

  test("what a hop says later goes back by what there is then", async () => {
    const rate = { byteNs: 1000, overhead: 0, queueNs: 10 * MS };
    const near = hop("10.98.0.1", { link: delay(100, 0, { rate }) });
    for (const [path, policy] of [
      [{ steps: [near, near] }, {}], [{ steps: [near] }, {}], [undefined, {}], [undefined, { link: delay(0, 5) }],
    ] as const) {
      const rig = await rigWith({ steps: [near, hop("10.98.0.2")] }, { reloadable: true });
      rig.respond(icmpPacket({ ttl: 2 }));
      const answers = { ...BY_DEFAULT, ...policy, path, exceptions: [], policy: BY_DEFAULT };
      rig.linear.serve(tableOf(serving([parsePrefix(PREFIX)], answers), { hosts: [parseAddress(HOST)] }));
      const [{ reply }, ...more] = until(rig, 2000);
      assert.deepEqual([errorIn(reply).type, errorIn(reply).from, more], [11, [10, 98, 0, 2], []]);
      assert.equal(rig.linear.counters[Counter.keptAll], 0);
      isBalanced(rig);
    }
    // Its prefix is gone.
    const far = hop("10.98.0.1", { link: delay(100, 50, { rate }) });
    const rig = await rigWith({ steps: [far] }, { reloadable: true });
    rig.respond(icmpPacket({ ttl: 1 }));
    const none = serving([], { ...BY_DEFAULT, exceptions: [], policy: BY_DEFAULT });
    // The second one takes the place of the first table of all.
    for (let i = 0; i < 2; i++) rig.linear.serve(tableOf(none, { hosts: [parseAddress(HOST)] }));
    assert.deepEqual(until(rig, 1000.1 + 100).map(({ at }) => at), [100]);
  });

  test("each hop says so with its address, and the host answers", async () => {
    const rig = await rigWith({ steps: THREE });
    for (const [i, { ipv4, ipv6 }] of THREE.entries()) {
      const request = icmpPacket({ ttl: i + 1 });
      const request6 = icmpv6Packet({ hopLimit: i + 1 });
      const [four, six, ...more] = rig.respond(request, request6).map(errorIn);
      assert.deepEqual(more, []);
      assert.deepEqual([four.type, four.code, four.from, four.ttl], [11, 0, [...ipv4?.bytes ?? []], 64 - i]);
      assert.deepEqual([six.type, six.code, six.from, six.ttl], [3, 0, [...ipv6?.bytes ?? []], 64 - i]);
      assert.equal(checksum(four.quote.subarray(0, 20)), 0);
      assert.deepEqual([four.quote[8], four.quote.length], [1, request.length]);
      assert.deepEqual([six.quote[7], six.quote.length], [1, request6.length]);
    }
    assert.deepEqual(rig.dropped, { ttl_expired: 6 });
    const [reply, reply6] = rig.respond(icmpPacket({ ttl: 4 }), icmpv6Packet({ hopLimit: 4 }));
    assert.deepEqual(reply, expectedReply(icmpPacket(), 61));
    assert.deepEqual([reply6[40], reply6[7]], [129, 61]);
    isBalanced(rig);
  });

  test("the way back has its own length", async () => {
    const rig = await rigWith({ steps: THREE, back: 7 });
    assert.equal(rig.respond(icmpPacket())[0][8], 57);
    const short = await rigWith({ steps: THREE, back: 64 });
    assert.deepEqual(short.respond(icmpPacket()), []);
    assert.deepEqual(short.dropped, { ttl_expired: 1 });
    isBalanced(short);
  });

  test("the host quotes the packet as it came to it", async () => {
    const rig = await rigWith({ steps: THREE });
    const [four, six] = rig.respond(udpPacket({ ttl: 9 }), udpPacket6({ hopLimit: 9 })).map(errorIn);
    assert.deepEqual([four.type, four.code, four.quote[8], four.ttl], [3, 3, 6, 61]);
    assert.deepEqual([six.type, six.code, six.quote[7], six.ttl], [1, 4, 6, 61]);
    assert.equal(checksum(four.quote.subarray(0, 20)), 0);
  });

  test("no error is about an error, or a fragment that is not the first", async () => {
    const rig = await rigWith({ steps: THREE });
    const packets = [icmpPacket({ ttl: 1, type: 3, code: 3 }), icmpv6Packet({ hopLimit: 1, type: 1 })];
    assert.deepEqual(rig.respond(...packets, ipv4Packet(new Uint8Array(8), { ttl: 1, fragment: 2 })), []);
    assert.deepEqual(rig.dropped, { ttl_expired: 3 });
    isBalanced(rig);
  });
});

test("I3: a hop sends no error to its own address", async () => {
  const rig = await rigWith({ steps: THREE });
  const sources = THREE.map(({ ipv4, ipv6 }) => ({ src: ipv4?.text ?? "", src6: ipv6?.text ?? "" }));
  for (const { src, src6 } of sources) {
    for (const ttl of [1, 2, 3]) rig.respond(icmpPacket({ src, ttl }), icmpv6Packet({ src: src6, hopLimit: ttl }));
  }
  assert.deepEqual(rig.dropped, { ttl_expired: 18 });
  assert.equal(rig.linear.counters[ERRORS + IcmpError.time_exceeded], 6);
  assert.equal(rig.linear.counters[ERRORS6 + IcmpError.time_exceeded], 6);
  isBalanced(rig);
});

describe("hops write into options, on both ways", () => {
  const [first, second] = [[10, 98, 0, 1], [10, 98, 0, 2]];
  const host = [10, 99, 1, 1];
  const path = { steps: [hop("10.98.0.1"), hop("10.98.0.2", { link: delay(100, 30) })] };
  /** Returns the options of the reply to a ping that has these. */
  const answered = async (...options: number[]) => {
    const rig = await rigWith(path);
    const [reply, ...more] = [
      ...rig.respond(icmpPacket({ options: Uint8Array.from(options) })), ...until(rig, 2000).map((sent) => sent.reply),
    ];
    assert.deepEqual(more, []);
    assert.equal(checksum(reply.subarray(0, 4 * (reply[0] & 15))), 0);
    return [...reply.subarray(20, 20 + options.length)];
  };
  const zeros = (count: number) => Array.from({ length: count }, () => 0);

  test("their addresses into a Record Route, as long as there is room", async () => {
    assert.deepEqual(
      await answered(7, 31, 4, ...zeros(29)),
      [7, 31, 28, ...first, ...second, ...host, ...host, ...second, ...first, ...zeros(4), 0].slice(0, 32),
    );
    assert.deepEqual(await answered(7, 7, 4, ...zeros(5)), [7, 7, 8, ...first, 0]);
  });

  test("addresses and times into a Timestamp, whose overflow counts the others", async () => {
    const option = await answered(68, 36, 5, 1, ...zeros(32));
    assert.deepEqual(option.slice(0, 4), [68, 36, 37, 0x11 + 0x10]);
    const times = [0, 1, 2, 3].map((i) => Buffer.from(option).readUInt32BE(8 + 8 * i));
    assert.deepEqual([0, 1, 2, 3].map((i) => option.slice(4 + 8 * i, 8 + 8 * i)), [first, second, host, host]);
    assert.deepEqual(times.map((time) => time - times[0]), [0, 100, 100, 100]);
  });

  test("times alone, or those that are asked for by address", async () => {
    const option = await answered(68, 28, 5, 0, ...zeros(24));
    assert.deepEqual(option.slice(0, 4), [68, 28, 29, 0]);
    const times = [0, 1, 2, 3, 4, 5].map((i) => Buffer.from(option).readUInt32BE(4 + 4 * i));
    assert.deepEqual(times.map((time) => time - times[0]), [0, 100, 100, 100, 100, 130]);
    const named = await answered(68, 20, 5, 3, ...second, ...zeros(4), ...first, ...zeros(4));
    assert.deepEqual([named.slice(0, 8), named.slice(12, 16)], [[68, 20, 21, 3, ...second], first]);
  });
});

test("HP-2, HP-3: an error quotes as much as fits, and has internetwork control's precedence", async () => {
  const rig = await rigWith({ steps: THREE });
  const [four, six] = rig.respond(
    icmpPacket({ ttl: 1, tos: 0x2b, data: new Uint8Array(1400) }),
    icmpv6Packet({ hopLimit: 1, data: new Uint8Array(1400) }),
  );
  assert.deepEqual([four.length, errorIn(four).tos], [576, 0xc8]);
  assert.equal(six.length, 1280);
  errorIn(six);
});

/** Returns the objects of an extension structure (RFC 4884 §7), whose checksum has to hold. */
function objectsIn(structure: Uint8Array): { kind: string; payload: number[] }[] {
  assert.equal(structure[0], 0x20);
  assert.equal(checksum(structure), 0);
  const objects: { kind: string; payload: number[] }[] = [];
  for (let at = 4; at < structure.length;) {
    const len = word(structure, at);
    assert.ok(len >= 4 && at + len <= structure.length);
    objects.push({
      kind: `${structure[at + 2]}/${structure[at + 3]}`, payload: [...structure.subarray(at + 4, at + len)],
    });
    at += len;
  }
  return objects;
}

describe("HP-4, HP-5: extensions", () => {
  const labelled = hop("10.98.0.1", {
    mpls: [24001, 16], interface: { index: 7, name: "eth0.10", address: true, mtu: 1500 },
  });
  for (const [size, what] of [[8, "short"], [301, "of an odd length"], [1400, "long"]] as const) {
    test(`labels and an interface behind a packet that is ${what}`, async () => {
      const rig = await rigWith({ steps: [labelled] });
      const data = new Uint8Array(size).fill(1);
      const packets = rig.respond(icmpPacket({ ttl: 1, data }), icmpv6Packet({ hopLimit: 1, data }));
      for (const [packet, room, addr] of [
        [packets[0], 576, [0, 1, 0, 0, 10, 98, 0, 1]],
        [packets[1], 1280, [0, 2, 0, 0, 0xfd, 0x98, ...Array.from({ length: 13 }, () => 0), 1]],
      ] as const) {
        const { quote, extension } = errorIn(packet);
        assert.ok(packet.length <= room);
        assert.ok(extension !== undefined && quote.length >= 128);
        assert.deepEqual(objectsIn(extension), [
          { kind: "1/1", payload: [0x05, 0xdc, 0x10, 1, 0, 1, 1, 1] },
          {
            kind: "2/15",
            payload: [0, 0, 0, 7, ...addr, 8, ...Buffer.from("eth0.10"), 0, 0, 0x05, 0xdc],
          },
        ]);
        const quoted = Math.min(quote.length, size + (packet[0] >> 4 === 6 ? 48 : 28));
        assert.ok(quote.subarray(quoted).every((byte) => byte === 0));
        assert.equal(quote[quoted - 1], 1);
      }
    });
  }
});

test("HP-6: a hop has limits of its own", async () => {
  const steps = [hop("10.98.0.1", { icmp: { rate: 1, burst: 2 } }), THREE[1]];
  const rig = await rigWith({ steps });
  const three = Array.from({ length: 3 }, () => icmpPacket({ ttl: 1 }));
  assert.equal(rig.respond(...three).length, 2);
  assert.equal(rig.linear.counters[Counter.errorsLimited], 1);
  assert.equal(rig.respond(icmpPacket({ ttl: 2 })).length, 1);
  rig.now += 1000;
  assert.equal(rig.respond(...three).length, 1);
  assert.deepEqual(rig.dropped, { ttl_expired: 7 });
});

test("engines that share a hop have their part each of its limits, but at least one at once", async () => {
  const parts = async (rate: number, burst: number) => {
    const rig = await rigWith({ steps: THREE }, { reloadable: true, prefixes: [PREFIX] });
    const path = { steps: [hop("10.98.0.1", { icmp: { rate, burst } })] };
    rig.linear.serve(tableOf(serving([parsePrefix(PREFIX)], { path }), { hosts: [parseAddress(HOST)], shares: 4 }));
    const say = () => rig.respond(...Array.from({ length: 50 }, () => icmpPacket({ ttl: 1 }))).length;
    const atOnce = say();
    rig.now += 200;
    return [atOnce, say()];
  };
  assert.deepEqual([await parts(100, 40), await parts(10, 1), await parts(1, 1)], [[10, 5], [1, 0], [1, 0]]);
});

test("an error that a hop withholds takes nothing from its prefix, one to a source above its rate nothing from the hop",
  async () => {
    const limit = (burst: number) => ({ rate: 0.001, burst });
    const path = { steps: [hop("10.98.0.1", { icmp: limit(2) }), THREE[1]] };
    const rig = await rigWith(path, { policy: { ...BY_DEFAULT, limit: limit(4), sourceLimit: limit(1) } });
    const sent = (ttl: number, ...sources: readonly string[]) =>
      rig.respond(...sources.map((src) => icmpPacket({ src, ttl }))).length;
    const sources = Array.from({ length: 9 }, (_, i) => `198.51.${i}.1`);
    assert.equal(sent(1, sources[0], sources[0], sources[0]), 1);
    assert.equal(sent(1, ...sources.slice(1, 5)), 1);
    assert.equal(sent(2, ...sources.slice(5, 9)), 2);
    assert.equal(rig.linear.counters[Counter.errorsLimited], 7);
  });

test("the errors of hops are counted by path, hop and type", async () => {
  for (const name of [undefined, "far \"away\""]) {
    const steps = [THREE[0], hop("10.98.0.2", { name: "core", mtu: 1300 })];
    const rig = await rigWith({ name, steps }, { prefixes: ["10.99.0.0/16"] });
    const packets = [icmpPacket({ ttl: 1 }), icmpPacket({ ttl: 2 }), icmpPacket({ data: new Uint8Array(1400) })];
    rig.respond(...packets, icmpPacket({ ttl: 1 }));
    const served = { prefixes: PrefixList.of([parsePrefix("10.99.0.0/16")]) };
    const text = Buffer.concat([...new HopErrors([rig.linear], served).pieces(false)]).toString();
    const path = name === undefined ? "10.99.0.0/16" : String.raw`far \"away\"`;
    assert.deepEqual(text.split("\n").filter((line) => line.startsWith("pongd")), [
      `pongd_hop_errors_total{path="${path}",hop="10.98.0.1",type="time_exceeded"} 2`,
      `pongd_hop_errors_total{path="${path}",hop="core",type="time_exceeded"} 1`,
      `pongd_hop_errors_total{path="${path}",hop="core",type="packet_too_big"} 1`,
    ]);
  }
});

describe("errors for which there is no room", () => {
  const sent = ({ linear: { counters } }: Rig) => [
    counters[ERRORS + IcmpError.time_exceeded], counters[ERRORS6 + IcmpError.time_exceeded],
    counters[ERRORS + IcmpError.port_unreachable], counters[ERRORS6 + IcmpError.port_unreachable],
  ];

  test("are not counted, be they a hop's or the prefix's", async () => {
    const rig = await rigWith({ name: "far", steps: [{ ...THREE[0], link: delay(0, 10) }] }, { kept: 3 });
    const { counters } = rig.linear;
    assert.deepEqual(rig.respond(...Array.from({ length: 2 }, () => icmpPacket({ ttl: 1 }))), []);
    assert.deepEqual(rig.respond(...Array.from({ length: 2 }, () => icmpv6Packet({ hopLimit: 1 }))), []);
    assert.deepEqual([sent(rig), rig.linear.hopErrors[0].errors[0]], [[2, 1, 0, 0], 3]);
    assert.deepEqual(rig.respond(udpPacket(), udpPacket6()), []);
    assert.deepEqual([sent(rig), counters[Counter.keptAll]], [[2, 1, 0, 0], 3]);
    assert.equal(until(rig, 2000).length, 3);
    assert.deepEqual(rig.respond(udpPacket(), udpPacket6()), []);
    assert.deepEqual(sent(rig), [2, 1, 1, 1]);
    isBalanced(rig);
  });

  test("are other than those that a link loses", async () => {
    const lossy = delay(0, 10, { loss: { kind: "packets", ranges: [[1, 1]] } });
    const rig = await rigWith({ steps: [{ ...THREE[0], link: lossy }] });
    rig.respond(icmpPacket({ ttl: 1 }), icmpPacket({ ttl: 1 }));
    assert.equal(until(rig, 2000).length, 1);
    assert.deepEqual([sent(rig)[0], rig.linear.hopErrors[0].errors[0]], [2, 2]);
    isBalanced(rig);
  });
});

test("a reload keeps what hops of a path remember, until it has the path no more", async () => {
  const steps = [hop("10.98.0.1", { icmp: { rate: 0.001, burst: 2 } })];
  const rig = await rigWith({ name: "far", steps }, { reloadable: true, prefixes: [PREFIX] });
  const say = () => rig.respond(icmpPacket({ ttl: 1 })).length;
  const reload = (path: RouterPath) => {
    rig.linear.serve(tableOf(serving([parsePrefix(PREFIX)], { path }), { hosts: [parseAddress(HOST)] }));
  };
  const errors = () => rig.linear.hopErrors.map(({ path, errors: [expired] }) => [path, expired]);
  assert.equal(say(), 1);
  reload({ name: "far", steps: [...steps, ...THREE] });
  assert.deepEqual([say(), say(), errors()[0]], [1, 0, ["far", 2]]);
  for (const name of ["near", "nearer"]) {
    reload({ name, steps });
    assert.deepEqual([say(), errors()], [1, [[name, 1]]]);
  }
  reload({ name: "far", steps });
  assert.deepEqual([say(), errors()], [1, [["far", 1]]]);
});

test("a reload that fails forgets nothing of what hops remember", async () => {
  const far = { name: "far", steps: [hop("10.98.0.1", { icmp: { rate: 0.001, burst: 2 } })] };
  const rig = await rigWith(far, { reloadable: true, prefixes: [PREFIX] });
  const reload = (path: RouterPath) => {
    rig.linear.serve(tableOf(serving([parsePrefix(PREFIX)], { path }), { hosts: [parseAddress(HOST)] }));
  };
  const say = () => rig.respond(icmpPacket({ ttl: 1 })).length;
  assert.equal(say(), 1);
  for (let i = 0; i < 2; i++) {
    assert.throws(() => { reload({ name: "long", steps: Array.from({ length: 300 }, () => THREE[0]) }); }, RangeError);
  }
  reload(far);
  assert.deepEqual([say(), say()], [1, 0]);
  assert.equal(rig.linear.hopErrors[0].errors[0], 2);
});

test("hops of two tables that do not fit beside each other: what to do is said", async () => {
  const path = (name: string): RouterPath => ({
    name,
    steps: [{ by: "flow", branches: Array.from({ length: 100 }, () => Array.from({ length: 50 }, () => THREE[0])) }],
  });
  const rig = await rigWith(path("one"), { reloadable: true, prefixes: [PREFIX] });
  const table = tableOf(serving([parsePrefix(PREFIX)], { path: path("two") }), { hosts: [parseAddress(HOST)] });
  assert.throws(() => { rig.linear.serve(table); }, {
    message: "with the one before, it has more than 8192 hops and branching points; restart, or reload without what "
      + "changes first",
  });
});

describe("HP-7: a hop with a smaller MTU", () => {
  const narrow: RouterPath = { steps: [THREE[0], hop("10.98.0.2", { mtu: 1400 })] };
  const long = new Uint8Array(1400);

  test("says so where the packet must not be fragmented", async () => {
    const rig = await rigWith(narrow);
    const [four, six] = rig.respond(icmpPacket({ data: long }), icmpv6Packet({ data: long })).map(errorIn);
    assert.deepEqual([four.type, four.code, four.mtu, four.ttl, four.quote[8]], [3, 4, 1400, 63, 63]);
    assert.deepEqual([six.type, six.code, six.mtu, six.ttl, six.quote[7]], [2, 0, 1400, 63, 63]);
    assert.deepEqual(rig.dropped, { pkt_too_big: 2 });
    assert.equal(errorIn(rig.respond(icmpPacket({ ttl: 2, data: long }))[0]).type, 11);
  });

  test("lets others through, whose replies come in fragments", async () => {
    const rig = await rigWith(narrow);
    const request = icmpPacket({ data: long, fragment: 0 });
    const fragments = rig.respond(request);
    assert.deepEqual(fragments.map(({ length }) => length), [1396, 52]);
    for (const fragment of fragments) assert.equal(checksum(fragment.subarray(0, 20)), 0);
    const payload = Buffer.concat(fragments.map((fragment) => fragment.subarray(20)));
    assert.deepEqual(payload, Buffer.from(expectedReply(request).subarray(20)));
    assert.deepEqual(fragments.map((fragment) => fragment[8]), [62, 62]);
    isBalanced(rig);
  });

  for (const family of [4, 6] as const) {
    test(`IPv${family}: segments are no longer than the path has room for, also after a reload`, async () => {
      const host = await TcpHost.create({ policy: { path: narrow }, mtu: 1500, kept: 100, reloadable: true });
      const peer = new Peer(host, family, PORTS.chargen);
      const [{ seq }] = peer.say({ seq: 0, flags: SYN, options: { mss: 1460 } });
      const [{ data }] = peer.say({ seq: 1, ack: seq + 1 >>> 0, flags: ACK });
      assert.equal(data.length, family === 4 ? 1360 : 1340);
      assert.deepEqual(host.rig.dropped, {});
      const path = { steps: [hop("10.98.0.2", { mtu: 1300 })] };
      const served = serving([PREFIX, PREFIX6].map(parsePrefix), { tcp: { ports: SERVICES }, path });
      host.rig.linear.serve(tableOf(served, { hosts: [HOST, HOST6].map(parseAddress) }));
      const more = peer.say({ seq: 1, ack: seq + 1 + data.length >>> 0, flags: ACK });
      assert.ok(more.length > 0);
      for (const segment of more) assert.ok(segment.data.length <= (family === 4 ? 1260 : 1240));
    });
  }

  test("a connection begins with ten segments of the length that the path takes", async () => {
    const path = { steps: [hop("10.98.0.2", { mtu: 576 })] };
    const host = await TcpHost.create({ policy: { path }, mtu: 1500, kept: 100 });
    const peer = new Peer(host, 4, PORTS.chargen);
    const [{ seq }] = peer.say({ seq: 0, flags: SYN, options: { mss: 1460 } });
    const segments = peer.say({ seq: 1, ack: seq + 1 >>> 0, flags: ACK });
    // RFC 6928 §2: ten segments.
    assert.deepEqual(segments.map(({ data }) => data.length), Array<number>(10).fill(536));
  });

  test("a black hole says nothing, there and back", async () => {
    const rig = await rigWith({ steps: [hop("10.98.0.1", { mtu: 1400, blackHole: true })] });
    const packets = [icmpPacket({ data: long }), icmpv6Packet({ data: long }), icmpPacket({ data: long, fragment: 0 })];
    assert.deepEqual(rig.respond(...packets), []);
    assert.deepEqual(rig.dropped, { pmtu_black_hole: 3 });
    assert.equal(rig.respond(icmpPacket()).length, 1);
    isBalanced(rig);
  });
});

describe("links of hops", () => {
  const steps = [
    hop("10.98.0.1", { link: delay(10, 1) }), THREE[1], hop("10.98.0.3", { link: delay(20, 2) }),
  ];

  test("an error comes as late as its hop is far, a reply as late as all of them", async () => {
    const rig = await rigWith({ steps }, { policy: { link: delay(30, 3) } });
    const four = [1, 2, 3, 4].flatMap((ttl) => [icmpPacket({ ttl }), icmpv6Packet({ hopLimit: ttl })]);
    assert.deepEqual(rig.respond(...four), []);
    isBalanced(rig);
    assert.deepEqual(until(rig, 2000).map(({ at }) => at), [11, 11, 11, 11, 33, 33, 66, 66]);
    isBalanced(rig);
  });

  test("frames go the same way", async () => {
    const rig = await rigWith({ steps }, { link: SHARED });
    rig.respond(frame(icmpPacket({ ttl: 3 })), frame(icmpv6Packet({ hopLimit: 4 }), { type: 0x86dd }));
    const sent = until(rig, 2000);
    assert.deepEqual(sent.map(({ at, reply }) => [at, reply.length > 60]), [[33, true], [33, true]]);
    assert.equal(errorIn(sent[0].reply.subarray(14)).type, 11);
  });

  test("what the link of a hop loses comes no further, and copies go on from there", async () => {
    const all = { kind: "random", probability: 1 } as const;
    const lost = await rigWith({
      steps: [THREE[0], hop("10.98.0.2", { link: { in: { ...CLEAR_WAY, loss: all }, out: CLEAR_WAY } })],
    });
    assert.equal(lost.respond(icmpPacket({ ttl: 1 }), icmpPacket({ ttl: 2 }), icmpPacket()).length, 1);
    assert.deepEqual(lost.dropped, { link_loss: 2, ttl_expired: 1 });
    isBalanced(lost);
    const duplicate = { probability: 1, correlation: 0 };
    const link = { in: { ...CLEAR_WAY, duplicate }, out: { ...CLEAR_WAY, duplicate } };
    const doubled = await rigWith({ steps: [hop("10.98.0.1", { link }), THREE[1]] });
    const sent = [...doubled.respond(icmpPacket()), ...until(doubled, 2000).map(({ reply }) => reply)];
    assert.equal(sent.length, 4);
    for (const reply of sent) assert.deepEqual(reply, expectedReply(icmpPacket(), 62));
    isBalanced(doubled);
    assert.equal(doubled.respond(icmpPacket({ ttl: 2 })).length, 4);
    isBalanced(doubled);
  });

  test("netem's words delay each copy that another link made", async () => {
    const [{ answers: { link, path } }] = read(`prefixes:
  - prefix: ${PREFIX}
    link: { out: { duplicate: 100% } }
    path: [{ hop: 10.98.0.1, link: { netem: delay 20ms duplicate 100%, compat: netem } }]
`).options.serving.prefixes;
    assert.ok(path);
    const rig = await rigWith(path, { policy: { link } });
    for (const at of [20, 120]) {
      rig.now = 980 + at;
      assert.deepEqual(rig.respond(icmpPacket()), []);
      assert.deepEqual(until(rig, 2000).map((sent) => sent.at), [at, at, at]);
    }
    isBalanced(rig);
  });

  /** Returns a rig whose hop sends by netem's words. */
  const byNetem = async (words: string) => {
    const [{ answers: { path } }] = read(
      `prefixes: [{ prefix: ${PREFIX}, path: [{ hop: 10.98.0.1, link: { netem: ${words}, compat: netem } }] }]`,
    ).options.serving.prefixes;
    assert.ok(path);
    return rigWith(path);
  };

  test("netem's slots let so many packets through at a time", async () => {
    const rig = await byNetem("slot 10ms packets 2");
    assert.deepEqual(rig.respond(...Array.from({ length: 5 }, () => icmpPacket())), []);
    assert.deepEqual(until(rig, 2000).map((sent) => sent.at), [10, 10, 20, 20, 30]);
    isBalanced(rig);
  });

  test("netem's model of Gilbert loses some packets, one after the other", async () => {
    const rig = await byNetem("loss gemodel 10% 20%");
    const came = Array.from({ length: 400 }, () => rig.respond(icmpPacket()).length);
    const lost = came.filter((count) => count === 0).length;
    assert.ok(lost > 60 && lost < 260, `${lost} of 400 are lost; a third is expected`);
    const runs = came.filter((count, i) => count === 0 && came[i - 1] !== 0).length;
    assert.ok(lost > 2 * runs, `${lost} lost in ${runs} runs; runs of five are expected`);
    isBalanced(rig);
  });
});

describe("HP-9: forks", () => {
  const steps = (by: "flow" | "destination" | "packet") => [
    THREE[0], { branches: [[hop("10.98.0.11")], [hop("10.98.0.21"), hop("10.98.0.22")]], by }, hop("10.98.0.3"),
  ];
  const second = (rig: Rig, packet: Uint8Array) => errorIn(rig.respond(packet)[0]).from.at(-1);
  const probe = (sourcePort: number, dst = TARGET) => udpPacket({ ttl: 2, sourcePort, dst });

  test("a flow takes one branch, flows take all of them, and after a new start the same ones", async () => {
    const [rig, again] = [await rigWith({ steps: steps("flow") }), await rigWith({ steps: steps("flow") })];
    const taken = Array.from({ length: 40 }, (_, i) => second(rig, probe(30_000 + i)));
    assert.deepEqual(new Set(taken), new Set([11, 21]));
    assert.deepEqual(Array.from({ length: 40 }, (_, i) => second(again, probe(30_000 + i))), taken);
    const other = await rigWith({ steps: steps("flow") }, { policy: { seed: 7n } });
    assert.notDeepEqual(Array.from({ length: 40 }, (_, i) => second(other, probe(30_000 + i))), taken);
  });

  test("by destination, ports do not matter; by packet, nothing does", async () => {
    const rig = await rigWith({ steps: steps("destination") });
    assert.equal(new Set(Array.from({ length: 20 }, (_, i) => second(rig, probe(i + 1)))).size, 1);
    assert.equal(new Set(Array.from({ length: 20 }, (_, i) => second(rig, probe(1, `10.99.1.${i + 1}`)))).size, 2);
    const each = await rigWith({ steps: steps("packet") });
    assert.equal(new Set(Array.from({ length: 20 }, () => second(each, probe(1)))).size, 2);
  });

  test("a reply comes back by the branch that its request took", async () => {
    const rig = await rigWith({ steps: steps("flow") });
    const seen = new Set<number>();
    for (let i = 0; i < 20; i++) {
      const packet = icmpPacket({ ttl: 2, identifier: i });
      const isLong = second(rig, packet) === 21;
      const request = icmpPacket({ identifier: i });
      const [reply] = rig.respond(request);
      assert.equal(reply[8], isLong ? 60 : 61);
      seen.add(reply[8]);
    }
    assert.deepEqual(seen, new Set([60, 61]));
  });
});

test("HP-10: a hop whose address the prefix has answers from where it is", async () => {
  const own = { ipv4: parseAddress("10.99.7.2"), ipv6: parseAddress("fd99::7:2"), ttl: 255 };
  const steps = [
    hop("10.98.0.1", { link: delay(10, 1) }), hop("10.98.0.2", { ...own, link: delay(20, 2) }), hop("10.98.0.3"),
  ];
  const rig = await rigWith({ steps, back: 9 }, { policy: { link: delay(100, 100) } });
  const there = [{ dst: "10.99.7.2", ttl: 2 }, { dst: "10.99.7.2", ttl: 1 }].map(icmpPacket);
  rig.respond(...there, icmpv6Packet({ dst: "fd99::7:2", hopLimit: 2 }), udpPacket({ dst: "10.99.7.2" }));
  const sent = until(rig, 2000);
  assert.deepEqual(sent.map(({ at }) => at), [11, 33, 33, 33]);
  assert.equal(errorIn(sent[0].reply).type, 11);
  assert.deepEqual(sent[1].reply, expectedReply(there[0], 254));
  assert.deepEqual([sent[2].reply[40], sent[2].reply[7]], [129, 254]);
  const { type, code, ttl, quote } = errorIn(sent[3].reply);
  assert.deepEqual([type, code, ttl, quote[8]], [3, 3, 254, 63]);
  isBalanced(rig);
});

test("hostile packets are each counted once", async () => {
  const rig = await rigWith({ steps: THREE, back: 3 });
  const options = Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0);
  rig.respond(
    icmpPacket({ ttl: 1, options }), icmpPacket({ ttl: 0 }), icmpPacket({ ttl: 9, options }),
    icmpPacket({ ttl: 1 }).subarray(0, 24), ipv4Packet(new Uint8Array(0), { ttl: 1 }),
    ipv4Packet(new Uint8Array(2), { ttl: 2, protocol: 17 }),
    ipv4Packet(new Uint8Array(1480), { ttl: 1, fragment: 0x2000 }),
    icmpv6Packet({ hopLimit: 0 }), icmpv6Packet({ hopLimit: 1, extensions: [hopByHop(new Uint8Array(6))] }),
    icmpv6Packet({ hopLimit: 1 }).subarray(0, 39), icmpv6Packet({ hopLimit: 1 }).subarray(0, 50),
    icmpPacket({ ttl: 1, src: TARGET }), icmpv6Packet({ hopLimit: 1, src: TARGET6, dst: HOST6 }),
    icmpPacket({ ttl: 1, src: "224.0.0.1", dst: HOST }),
  );
  isBalanced(rig);
});

test("random damage to packets conserves their count, and every error holds together", async () => {
  const random = new Random(71);
  const fork = { branches: [[hop("10.98.0.11", { mtu: 600 })], [THREE[1], THREE[2]]], by: "flow" as const };
  const duplicate = { probability: 0.3, correlation: 0 };
  const link = delay(1, 1, { duplicate });
  const steps = [hop("10.98.0.1", { mpls: [16], link }), fork, hop("10.98.0.4", { mtu: 1400, link })];
  const rig = await rigWith({ steps, back: 2 }, { policy: { link }, mtu: 1500 });
  for (let round = 0; round < 300; round++) {
    const packets = Array.from({ length: 8 }, () => {
      const data = new Uint8Array(random.below(1400));
      const [ttl, fragment] = [random.below(7), random.oneIn(2) ? 0x4000 : random.below(3)];
      const packet = [
        () => icmpPacket({ ttl, data, fragment }), () => udpPacket({ ttl, data, fragment }),
        () => icmpv6Packet({ hopLimit: ttl, data }), () => udpPacket6({ hopLimit: ttl, data }),
      ][random.below(4)]();
      if (random.oneIn(3)) packet[random.below(Math.min(packet.length, 60))] ^= 1 << random.below(8);
      const headerLen = 4 * (packet[0] & 15);
      if (packet[0] >> 4 === 4 && headerLen >= 20 && headerLen <= packet.length) setHeaderChecksum(packet);
      return random.oneIn(5) ? packet.subarray(0, 1 + random.below(packet.length)) : packet;
    });
    rig.respond(...packets);
    until(rig, rig.now + random.below(20));
    isBalanced(rig);
    rig.now += 50;
  }
  assert.ok(rig.dropped.ttl_expired > 100 && rig.dropped.pkt_too_big > 20);
});

describe("drops", () => {
  for (const { reason, name, hop: rest, packets } of PATHED) {
    test(`${name} → ${reason}`, async () => {
      const rig = await rigWith({ steps: [THREE[0], { ...THREE[1], ...rest }] });
      rig.respond(...packets);
      assert.deepEqual(rig.dropped, { [reason]: packets.length });
    });
  }
});
