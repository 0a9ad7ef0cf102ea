/**
 * Tests datagrams that a service thread has: both ends of the rings in one thread, and threads that say what is wrong.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Counter, SERVED } from "../../abi/counters.js";
import {
  DATA_LEN, DATAGRAM_ADDRESSES, DATAGRAM_FAMILY, DATAGRAM_LINK, DATAGRAM_LINK_LEN, DATAGRAM_PORTS, DATAGRAM_RING,
} from "../../abi/datagrams.js";
import { SLOTS } from "../../abi/slots.js";
import {
  ANSWERS_TAIL, DATAGRAMS_AT, DATAGRAMS_HEAD, NEWS_FOR, ORDERED, THREAD_SIZE, THREAD_STATE, THREADS, ThreadState,
} from "../../abi/streams.js";
import { NAMED_SERVICES, Service } from "../../abi/tcp.js";
import { SECRETS } from "../../src/engine/tcp.js";
import { Datagrams, type Datagram } from "../../src/net/datagrams.js";
import { Port } from "../../src/net/port.js";
import { formatBytes } from "../../src/prefix/prefixes.js";
import { BY_DEFAULT, Rig, type BenchOptions } from "../support/engines.js";
import { frame, macBytes, PEER_MAC, SHARED, SHARED_MAC } from "../support/frames.js";
import { checksum6, fragmentsOf6, udpPacket6 } from "../support/ipv6.js";
import { addr, bytes, fragmentsOf, pattern, plainSum, udpPacket } from "../support/packets.js";
import { Random } from "../support/random.js";

const DNS = 5300;
const ANY = 5301;
const ID = "0123456789abcdef";
const ECHO = { first: 7, last: 7, service: { name: "echo", kind: Service.echo } };
const PORTS = [
  ECHO,
  ...[[DNS, 0], [ANY, 1]].map(([port, any]) => ({
    first: port, last: port,
    service: { name: `dns${any}`, kind: Service.datagram, bytes: Buffer.from([...Buffer.from(ID, "hex"), any]) },
  })),
];

/** A rig, and service threads that are in the test's own. */
class Threads {
  readonly came: Datagram[] = [];
  readonly datagrams: Datagrams[];
  readonly words: Int32Array;
  readonly #ports: Port[];

  private constructor(readonly rig: Rig, count: number, readonly handler?: (datagram: Datagram) => void) {
    const { memory } = rig.linear;
    this.words = new Int32Array(memory.buffer);
    const nothing = () => undefined;
    this.#ports = Array.from({ length: count }, (_, i) => new Port(memory, i, () => assert.fail("no stream"), nothing));
    this.datagrams = this.#ports.map((_, i) => new Datagrams(memory, i, (datagram) => {
      this.came.push(datagram);
      this.handler?.(datagram);
    }, () => undefined));
    for (let i = 0; i < count; i++) this.setState(i, ThreadState.serving);
  }

  static async create(
    { threads = 1, ...options }: BenchOptions & { threads?: number } = {}, handler?: (datagram: Datagram) => void,
  ): Promise<Threads> {
    const rig = await Rig.create("wasm", {
      mtu: 1500, reloadable: true, ...options,
      policy: { ...BY_DEFAULT, sourceLimit: { rate: 1e9, burst: 1e9 }, udp: { ports: PORTS }, ...options.policy },
      tcp: { connections: 8, memory: 1 << 20, bySource: 0, threads, secrets: new Uint8Array(SECRETS) },
    });
    return new Threads(rig, threads, handler);
  }

  setState(thread: number, state: ThreadState): void {
    this.words[(THREADS + THREAD_SIZE * thread + THREAD_STATE) / 4] = state;
  }

  wordOf(thread: number, field: number): number {
    return (THREADS + THREAD_SIZE * thread + field) / 4;
  }

  /** Has the threads take what has come, and the packet loop what they order. Returns what is sent. */
  async settle(): Promise<Uint8Array[]> {
    const sent: Uint8Array[] = [];
    for (let quiet = 0; quiet < 3; quiet++) {
      for (const port of this.#ports) port.turn();
      for (const each of this.datagrams) while (each.turn()) quiet = 0;
      await turn();
      const more = this.rig.respond();
      if (more.length > 0) quiet = 0;
      sent.push(...more);
    }
    return sent;
  }

  /** Writes an answer as a thread might that is out of its mind. `change` has its header, and the ring. */
  answer(data: Uint8Array, change: (header: DataView) => void = () => undefined): void {
    const at = (this.words[this.wordOf(0, DATAGRAMS_AT)] >>> 0) + DATAGRAM_RING;
    const tail = this.words[this.wordOf(0, ANSWERS_TAIL)];
    const record = at + (tail & DATAGRAM_RING - 1);
    const header = new DataView(this.words.buffer, record, 128);
    header.setUint32(DATA_LEN, data.length, true);
    header.setUint8(DATAGRAM_FAMILY, 4);
    header.setUint16(DATAGRAM_PORTS, 40000);
    header.setUint16(DATAGRAM_PORTS + 2, DNS);
    this.rig.bytes.set([...addr("192.0.2.1"), ...addr("10.99.1.1")], record + DATAGRAM_ADDRESSES);
    this.rig.bytes.set(data, record + 128);
    change(header);
    this.publish(tail + 128 + Math.ceil(data.length / 128) * 128);
  }

  publish(tail: number): void {
    this.words[this.wordOf(0, ANSWERS_TAIL)] = tail | 0;
    this.words[ORDERED / 4] = 1;
  }

  get counts(): Record<string, number> {
    const { counters } = this.rig.linear;
    return {
      handled: counters[Counter.udpHandled], sent: counters[Counter.udpSent], unsent: counters[Counter.udpUnsent],
    };
  }
}

/** Puts fragments of one datagram together. */
function joined(packets: readonly Uint8Array[]): Uint8Array {
  const six = packets[0][0] >> 4 === 6;
  const datagram = new Uint8Array(70_000);
  let end = 0;
  for (const packet of packets) {
    assert.ok(packet.length <= 1500);
    const view = new DataView(packet.buffer, packet.byteOffset);
    const isFragment = six && packet[6] === 44;
    const offset = six ? (isFragment ? view.getUint16(42) & ~7 : 0) : (view.getUint16(6) & 0x1fff) << 3;
    if (!six) assert.equal(plainSum(packet.subarray(0, 20)), 0xffff, "header checksum");
    const part = packet.subarray(six ? (isFragment ? 48 : 40) : 20);
    datagram.set(part, offset);
    end = Math.max(end, offset + part.length);
  }
  const whole = datagram.slice(0, end);
  assert.equal(new DataView(whole.buffer).getUint16(4), end, "UDP length");
  if (six) {
    const [src, dst] = [8, 24].map((at) => formatBytes(packets[0].subarray(at, at + 16)));
    const zero = whole.slice();
    zero.set([0, 0], 6);
    assert.equal(new DataView(whole.buffer).getUint16(6), checksum6(zero, 17, { src, dst }) || 0xffff, "UDP checksum");
  } else {
    const pseudo = bytes(packets[0].subarray(12, 20), 0, 17, end >> 8, end & 255);
    assert.equal(plainSum(bytes(pseudo, whole)), 0xffff, "UDP checksum");
    assert.notDeepEqual(whole.subarray(6, 8), Uint8Array.of(0, 0));
  }
  return whole;
}

function summary({ message, service, ends }: Datagram): unknown[] {
  const { remoteAddress, localAddress, remotePort, localPort, owner } = ends;
  const [remote, local] = [remoteAddress, localAddress].map(formatBytes);
  return [remote, remotePort, local, localPort, owner, service, message.toString()];
}

describe("a datagram to a port of a service thread", () => {
  test("is told with where it came from and went to, and may be answered at once, later, and often", async () => {
    const threads = await Threads.create();
    const { rig, came } = threads;
    const options = { src: "192.0.2.1", dst: "10.99.7.7", destinationPort: DNS, data: Buffer.from("who?") };
    assert.deepEqual(rig.respond(udpPacket(options)), []);
    assert.equal(rig.words[NEWS_FOR / 4], 1);
    const ports6 = { destinationPort: ANY, sourcePort: 53 };
    rig.respond(udpPacket6({ src: "2001:db8::1", dst: "fd99::7", ...ports6, data: Buffer.from("6?") }));
    assert.deepEqual(await threads.settle(), []);
    assert.deepEqual(came.map(summary), [
      ["192.0.2.1", 40000, "10.99.7.7", DNS, 2, ID, "who?"], ["2001:db8::1", 53, "fd99::7", ANY, 3, ID, "6?"],
    ]);

    assert.equal(came[1].reply("six"), true);
    assert.equal(came[0].reply(Buffer.from("one")), true);
    const [six, one] = await threads.settle();
    assert.deepEqual([one[8], one[9], one[6]], [64, 17, 0x40]);
    assert.deepEqual(one.subarray(12, 20), bytes(addr("10.99.7.7"), addr("192.0.2.1")));
    assert.deepEqual([...joined([one])], [...bytes(DNS >> 8, DNS & 255, 40000 >> 8, 40000 & 255, 0, 11),
      ...one.subarray(26, 28), ...Buffer.from("one")]);
    assert.deepEqual([six[7], six[6], formatBytes(six.subarray(8, 24)), formatBytes(six.subarray(24, 40))], [
      64, 17, "fd99::7", "2001:db8::1",
    ]);
    assert.deepEqual([...joined([six]).subarray(0, 4)], [ANY >> 8, ANY & 255, 0, 53]);
    assert.equal(came[0].reply(new Uint8Array(0)), true);
    assert.equal(came[0].reply("again"), true);
    assert.deepEqual((await threads.settle()).map((packet) => packet.length), [28, 33]);
    assert.deepEqual(threads.counts, { handled: 2, sent: 4, unsent: 0 });
    assert.deepEqual([0, 1].map((i) => rig.linear.counters[SERVED + NAMED_SERVICES + i]), [1, 1]);
    assert.deepEqual(rig.dropped, {});
    assert.equal(rig.slots.free, SLOTS);
  });

  test("has data of any length, and so has the answer, in fragments where they need it", async () => {
    const threads = await Threads.create({}, ({ message, reply }) => { assert.ok(reply(message)); });
    const { rig } = threads;
    for (const length of [0, 1, 7, 127, 128, 129, 524, 525, 1472, 1473, 1500, 4096, 9000, 65_000, 65_507]) {
      const data = pattern(length);
      const whole = udpPacket({ destinationPort: DNS, data, fragment: 0 });
      const sixth = udpPacket6({ destinationPort: DNS, data });
      const inner = Array.from({ length: Math.floor((length + 7) / 1440) }, (_, i) => 1440 * (i + 1));
      const ends = [0, ...inner, length + 8];
      for (const fragments of [
        ends.length > 2 ? fragmentsOf(whole, ends) : [whole], ends.length > 2 ? fragmentsOf6(sixth, ends) : [sixth],
      ]) {
        const sent = fragments.flatMap((fragment) => rig.respond(fragment));
        sent.push(...await threads.settle());
        assert.ok(sent.length > 0, `${length} bytes: ${JSON.stringify(rig.dropped)}`);
        assert.deepEqual(joined(sent).subarray(8), data, `${length} bytes`);
        const plain = sent.length === 1 && sent[0][0] === 0x45 && sent[0].length <= 552;
        assert.ok(sent[0][0] >> 4 === 6 || (sent[0][6] & 0x40) !== 0 === plain, "don't-fragment");
      }
    }
    assert.deepEqual(rig.dropped, {});
    assert.equal(rig.held, 0);
    assert.equal(rig.received, threads.counts.handled, "I5");
    assert.equal(rig.slots.free, SLOTS);
  });

  test("is dropped while there is no room for it, which costs nobody else anything", async () => {
    const threads = await Threads.create();
    const { rig } = threads;
    const packet = udpPacket({ destinationPort: DNS, data: pattern(1000) });
    const room = Math.floor(DATAGRAM_RING / (128 + 1024));
    for (let i = 0; i < room + 5; i++) rig.respond(packet);
    assert.deepEqual(rig.dropped, { socket_rcvbuff: 5 });
    assert.equal(rig.respond(udpPacket({ destinationPort: 7 })).length, 1);
    await threads.settle();
    assert.equal(threads.came.length, room);
    rig.respond(packet);
    await threads.settle();
    assert.equal(threads.came.length, room + 1);
    assert.ok(threads.came.every(({ message }) => message.equals(pattern(1000))));
  });

  test("for which its handler takes long ends a turn", async () => {
    const threads = await Threads.create({}, () => {
      for (const began = performance.now(); performance.now() - began < 50;);
    });
    for (let i = 0; i < 2; i++) threads.rig.respond(udpPacket({ destinationPort: DNS }));
    assert.equal(threads.datagrams[0].turn(), true);
    assert.equal(threads.came.length, 1);
    assert.equal(threads.datagrams[0].turn(), false);
    assert.equal(threads.came.length, 2);
  });

  test("answers for which there is no room are refused, and those that there is no slot for are counted", async () => {
    const threads = await Threads.create();
    const { rig, came } = threads;
    rig.respond(udpPacket({ destinationPort: DNS }));
    await threads.settle();
    const [{ reply }] = came;
    const large = pattern(60_000);
    assert.deepEqual(Array.from({ length: 20 }, () => reply(large)).lastIndexOf(true), 16);
    const sent = await threads.settle();
    assert.equal(threads.counts.sent + threads.counts.unsent, 17);
    assert.ok(threads.counts.sent > 0);
    assert.equal(sent.length, 41 * threads.counts.sent);
    assert.equal(reply("small"), true);
    assert.equal((await threads.settle()).length, 1);
    assert.throws(() => reply(pattern(65_508)), RangeError);
    assert.throws(() => reply(7 as unknown as string), TypeError);
    assert.equal(rig.slots.free, SLOTS);
  });

  test("goes to the thread of its flow, and to another one while that does not serve", async () => {
    const threads = await Threads.create({ threads: 3 });
    const { rig } = threads;
    const newsOf = (sourcePort: number) => {
      rig.words[NEWS_FOR / 4] = 0;
      rig.respond(udpPacket({ destinationPort: DNS, sourcePort }));
      return Math.log2(rig.words[NEWS_FOR / 4]);
    };
    const flows = Array.from({ length: 60 }, (_, i) => 30_000 + i);
    const first = flows.map(newsOf);
    assert.deepEqual(new Set(first), new Set([0, 1, 2]));
    assert.deepEqual(flows.map(newsOf), first);
    threads.setState(1, ThreadState.gone);
    rig.words[ORDERED / 4] = 1;
    rig.respond();
    const second = flows.map(newsOf);
    assert.deepEqual(second.filter((thread, i) => first[i] !== 1 && thread !== first[i]), []);
    assert.ok(!second.includes(1));
    for (const i of [0, 2]) threads.setState(i, ThreadState.gone);
    rig.words[ORDERED / 4] = 1;
    rig.respond(udpPacket({ destinationPort: DNS }));
    assert.deepEqual(rig.dropped, { socket_rcvbuff: 1 });
  });

  test("comes from clients' ports, unless the service says otherwise; limits hold", async () => {
    const threads = await Threads.create({ policy: { sourceLimit: undefined } });
    const { rig } = threads;
    rig.respond(...[53, DNS, ANY, 7].map((sourcePort) => udpPacket({ destinationPort: DNS, sourcePort })));
    assert.deepEqual(rig.dropped, { udp_loop: 4 });
    rig.respond(...[0, 53, DNS, ANY, 7].map((sourcePort) => udpPacket({ destinationPort: ANY, sourcePort })));
    assert.equal(threads.counts.handled, 5);
    for (let i = 0; i < 1000; i++) rig.respond(udpPacket({ destinationPort: ANY }));
    assert.deepEqual(rig.dropped, { udp_loop: 4, rate_limited: 5 });
  });

  test("in TAP mode is answered with its tags, to where it came from", async () => {
    const threads = await Threads.create({ link: SHARED }, ({ reply }) => { reply("ok"); });
    threads.rig.respond(frame(udpPacket({ destinationPort: DNS }), { tags: [[0x88a8, 7], [0x8100, 42]] }));
    const [sent] = await threads.settle();
    assert.deepEqual(sent.subarray(0, 22), bytes(
      macBytes(PEER_MAC), macBytes(SHARED_MAC), 0x88, 0xa8, 0, 7, 0x81, 0, 0, 42, 8, 0,
    ));
    assert.deepEqual(Buffer.from(joined([sent.slice(22)]).subarray(8)).toString(), "ok");
  });

  test("is lost with a packet loop that crashes; later ones are not", async () => {
    const threads = await Threads.create({}, ({ message, reply }) => { reply(message); });
    const { rig } = threads;
    for (let i = 0; i < 3; i++) {
      rig.respond(udpPacket({ destinationPort: DNS }));
      assert.equal((await threads.settle()).length, 1);
    }
    rig.respond(udpPacket({ destinationPort: DNS }));
    const { length } = threads.came;
    rig.linear.recover();
    assert.equal(threads.came[0].reply("late"), false);
    assert.deepEqual(await threads.settle(), []);
    assert.equal(threads.came.length, length);
    assert.equal(rig.respond(udpPacket({ destinationPort: DNS })).length, 0);
    assert.equal((await threads.settle()).length, 1);
  });
});

describe("a thread that says what is wrong", () => {
  /** What it says, and how many answers are not sent for it. */
  const LIES: readonly (readonly [string, (header: DataView) => void])[] = [
    ["an address that is not served", (header) => { header.setUint8(DATAGRAM_ADDRESSES + 5, 98); }],
    ["the host's own address", (header) => { header.setUint32(DATAGRAM_ADDRESSES + 4, 0x0a630001); }],
    ["a port that is no thread's", (header) => { header.setUint16(DATAGRAM_PORTS + 2, 7); }],
    ["a port without a service", (header) => { header.setUint16(DATAGRAM_PORTS + 2, 53); }],
    ["to an address of pongd's", (header) => { header.setUint32(DATAGRAM_ADDRESSES, 0x0a630202); }],
    ["to a multicast address", (header) => { header.setUint8(DATAGRAM_ADDRESSES, 224); }],
    ["to a broadcast", (header) => { header.setUint32(DATAGRAM_ADDRESSES, 0xffffffff); }],
    ["of no family", (header) => { header.setUint8(DATAGRAM_FAMILY, 5); }],
    ["of another family", (header) => { header.setUint8(DATAGRAM_FAMILY, 6); }],
  ];
  for (const [what, lie] of LIES) {
    test(`${what}: nothing is sent`, async () => {
      const threads = await Threads.create();
      threads.answer(pattern(10), lie);
      threads.answer(pattern(10));
      assert.equal(threads.rig.respond().length, 1, "the right one is");
      assert.deepEqual(threads.counts, { handled: 0, sent: 1, unsent: 1 });
    });
  }

  test("a link header that is not pongd's: nothing is sent", async () => {
    const right = bytes(macBytes(PEER_MAC), macBytes(SHARED_MAC), 8, 0);
    const changed = (at: number, value: number) => {
      const header = right.slice();
      header[at] = value;
      return header;
    };
    const threads = await Threads.create({ link: SHARED });
    const headers = [
      right, changed(0, 1), changed(6, 0x16), changed(13, 6), changed(12, 0x81), right.slice(0, 13),
      bytes(right, new Uint8Array(12)), new Uint8Array(14),
    ];
    const sent = headers.map((header) => {
      threads.answer(pattern(3), (view) => {
        view.setUint8(DATAGRAM_LINK_LEN, header.length);
        header.forEach((byte, i) => { view.setUint8(DATAGRAM_LINK + i, byte); });
        view.setUint8(DATAGRAM_FAMILY, 4);
        view.setUint32(DATAGRAM_ADDRESSES, 0xc0000201);
      });
      return threads.rig.respond().length;
    });
    assert.deepEqual(sent, [1, 0, 0, 0, 0, 0, 0, 0]);
  });

  test("lengths and positions that cannot be: its answers are lost, and later ones are sent", async () => {
    for (const [length, tail] of [
      [0xffffffff, 256], [65_528, 1 << 17], [1000, 256], [10, 3 << 20], [10, -256], [10, DATAGRAM_RING + 128],
    ]) {
      const threads = await Threads.create();
      const { rig } = threads;
      threads.answer(pattern(10), (header) => { header.setUint32(DATA_LEN, length, true); });
      threads.publish(tail);
      const sent = rig.respond();
      assert.ok(sent.length <= 1);
      assert.equal(rig.call(0), 0);
      threads.answer(pattern(10));
      assert.equal(rig.respond().length, 1, `after ${length} bytes, up to ${tail}`);
      assert.equal(rig.slots.free, SLOTS);
    }
  });

  test("anything at all, at random: what is sent is right, and nothing else is written", async () => {
    const random = Random.fromEnvironment();
    const threads = await Threads.create();
    const { rig, words } = threads;
    const [from, end] = rig.slotRange;
    const at = words[threads.wordOf(0, DATAGRAMS_AT)] >>> 0;
    for (let i = 0; i < 3000; i++) {
      threads.answer(pattern(random.below(200)), (header) => {
        for (let n = random.below(4); n > 0; n--) header.setUint8(random.below(80), random.below(256));
      });
      if (random.oneIn(10)) threads.publish(Math.floor(random.next() * 2 ** 32));
      if (random.oneIn(10)) words[threads.wordOf(0, DATAGRAMS_HEAD)] = Math.floor(random.next() * 2 ** 32) | 0;
      rig.respond(udpPacket({ destinationPort: DNS, data: pattern(random.below(500)) }));
      assert.equal(rig.slots.free, SLOTS, `seed ${random.seed}`);
      // The head is a record's again, so that what follows is looked at.
      words[threads.wordOf(0, ANSWERS_TAIL)] &= -128;
    }
    assert.ok(at > end && from < end);
    assert.ok(threads.counts.sent > 100, JSON.stringify(threads.counts));
    assert.ok(threads.counts.unsent > 100);
  });
});
