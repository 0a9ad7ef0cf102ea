/** Tests prefixes behind links in the engine: what is counted, which slots are in use, and what comes when. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { Counter, LATENESS, LATENESS_BUCKETS, Protocol, REPLIES } from "../../abi/counters.js";
import { OFFLOAD_CSUM, OFFLOAD_TSO4, OFFLOAD_TSO6, SIZEOF_VNET_HEADER } from "../../abi/offload.js";
import { SENDS } from "../../abi/slots.js";
import { Service } from "../../abi/tcp.js";
import { tableOf } from "../../src/engine/table.js";
import { CLEAR_WAY, type Link, type Slots, type Way } from "../../src/prefix/link.js";
import type { RouterPath } from "../../src/prefix/path.js";
import { parseAddress, parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { DEFAULT_STAMP, stampBytes } from "../../src/prefix/stamp.js";
import { knownOf, type Between } from "../fuzz/engine/between.js";
import { isErrorAt } from "../fuzz/engine/oracle.js";
import { read } from "../support/config.js";
import { BY_DEFAULT, Rig, type BenchOptions } from "../support/engines.js";
import { configurations } from "../support/linkconfigs.js";
import { addr6, fragmentsOf6, HOST6, icmpv6Packet, TARGET6, udpPacket6 } from "../support/ipv6.js";
import {
  addr, bytes, expectedReply, fragmentsOf, HOST, icmpPacket, ipv4Packet, pattern, plainSum, PREFIX, setHeaderChecksum,
  udpPacket,
} from "../support/packets.js";
import { sent } from "../support/stamp.js";
import { ACK, decode, encode, SYN } from "../support/tcp.js";
import { LIMITS, SERVICES } from "../support/tcphost.js";

const MS = 1_000_000;
const STAMP = 862;
const KEPT = 400;
const UDP = {
  ports: [
    { first: 7, last: 7, service: { name: "echo", kind: Service.echo } },
    {
      first: STAMP, last: STAMP,
      service: { name: "stamp", kind: Service.stamp, bytes: stampBytes({ ...DEFAULT_STAMP, mode: "stateful" }) },
    },
  ],
};

function linkOf(way: { in?: Partial<Way>; out?: Partial<Way>; name?: string }): Link {
  return { name: way.name, in: { ...CLEAR_WAY, ...way.in }, out: { ...CLEAR_WAY, ...way.out } };
}

interface Output {
  readonly at: number;
  readonly packet: Uint8Array;
}

class Linked {
  readonly rig: Rig;
  readonly between: Between;
  readonly outputs: Output[] = [];

  private constructor(rig: Rig, between: Between) {
    this.rig = rig;
    this.between = between;
    rig.now = 1000;
  }

  static async create(link: Link | undefined, { policy, ...options }: BenchOptions = {}): Promise<Linked> {
    const { mtu = 1500 } = options;
    const rig = await Rig.create("wasm", {
      kept: KEPT, sessions: 16, tcp: LIMITS, ...options, mtu,
      policy: {
        ...BY_DEFAULT, sourceLimit: { rate: 1e9, burst: 1e9 }, udp: UDP, tcp: { ports: SERVICES }, link, ...policy,
      },
    });
    return new Linked(rig, knownOf(mtu, link, policy?.path));
  }

  send(...packets: readonly Uint8Array[]): void {
    const sent = this.rig.respond(...packets);
    assert.ok(sent.length <= SENDS, `${sent.length} packets in a call`);
    for (const packet of sent) this.outputs.push({ at: this.rig.now, packet });
    this.check();
  }

  /** Lets time go by until then, and calls the engine at each of its deadlines. */
  advanceTo(ms: number): void {
    const { rig } = this;
    for (let calls = 0; rig.clock.deadline > 0 && rig.clock.deadline / MS <= ms; calls++) {
      assert.ok(calls < 100_000, "the engine's deadlines end");
      rig.now = Math.max(rig.now, rig.clock.deadline / MS);
      this.send();
    }
    rig.now = Math.max(rig.now, ms);
  }

  /** Asserts that each packet that came has one verdict, or waits for one, and that each slot is free or kept. */
  check(): void {
    const { linear: { counters, slots }, dropped } = this.rig;
    const replied = counters.subarray(REPLIES, REPLIES + Object.keys(Protocol).length / 2).reduce((a, b) => a + b);
    const all = Object.values(dropped).reduce((a, b) => a + b, 0);
    assert.equal(
      counters[Counter.packetsReceived] + counters[Counter.linkCopies],
      replied + all + counters[Counter.held] + counters[Counter.kept] + counters[Counter.tcpReceived]
      + counters[Counter.udpHandled],
      "I5",
    );
    assert.ok(counters[Counter.keptAll] <= KEPT && counters[Counter.kept] <= counters[Counter.keptAll]);
    assert.equal(slots.count - slots.free, counters[Counter.keptAll], "a slot is free, or a packet is kept in it");
  }

  /** Asserts that nothing is kept or held once all time has passed. */
  end(): void {
    this.advanceTo(this.rig.now + 600_000);
    const { counters, slots } = this.rig.linear;
    for (const gauge of [Counter.kept, Counter.keptAll, Counter.held]) assert.equal(counters[gauge], 0);
    assert.equal(slots.free, slots.count);
    assert.equal(new Set(slots.stack).size, slots.count);
  }
}

const TARGET = "10.99.1.1";
const tcp = { src: addr(HOST), dst: addr(TARGET), srcPort: 4000 };

function ping(sequence = 1, more = {}): Uint8Array {
  return icmpPacket({ sequence, ...more });
}

const sequenceOf = (packet: Uint8Array) => packet[26] * 256 + packet[27];

/** Returns how often there is each ping, or each reply to one, that is no fragment: by its family and number. */
function countOf(packets: readonly Uint8Array[], type: number, type6: number): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const packet of packets) {
    const six = packet[0] >> 4 === 6;
    const msg = six ? 40 : 4 * (packet[0] & 15);
    if (six ? packet[6] !== 58 || packet[msg] !== type6 : packet[9] !== 1 || packet[msg] !== type) continue;
    const key = `${six ? 6 : 4} ${packet[msg + 6] * 256 + packet[msg + 7]}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** Asserts that lengths and checksums of a packet hold, and that it is no error about an error. */
function checkPacket(packet: Uint8Array): void {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const six = packet[0] >> 4 === 6;
  const headerLen = six ? 40 : 4 * (packet[0] & 15);
  assert.equal(six ? 40 + view.getUint16(4) : view.getUint16(2), packet.length);
  if (!six) assert.equal(plainSum(packet.subarray(0, headerLen)), 0xffff, "the header's checksum");
  const protocol = packet[six ? 6 : 9];
  if (six ? protocol === 44 : view.getUint16(6) & 0x3fff) return;
  const message = packet.subarray(headerLen);
  const addresses = packet.subarray(six ? 8 : 12, six ? 40 : 20);
  const pseudo = protocol === 1 ? [] : [...addresses, 0, protocol, message.length >> 8, message.length & 255];
  assert.equal(plainSum(bytes(...pseudo, message)), 0xffff, `the checksum of protocol ${protocol}`);
  if (protocol === (six ? 58 : 1) && (six ? message[0] < 128 : [3, 11, 12].includes(message[0]))) {
    assert.ok(!isErrorAt(message, 8, message.length), "no error is about an error");
  }
}

describe("random configurations and packets", () => {
  const folder = mkdtempSync(join(tmpdir(), "pongd-delays-"));
  const delays = join(folder, "delays.csv");
  writeFileSync(delays, "0\n5\n50\n");
  after(() => { rmSync(folder, { recursive: true }); });
  const seed = Number(process.env.SEED ?? 42);
  const configuration = configurations({ delays });
  const linkedBy = (text: string) => {
    const { policy, prefixes: [{ answers: { link, path } }] } = read(text).options.serving;
    return Linked.create(link, { policy: { path, seed: policy.seed } });
  };

  const large = icmpPacket({ data: pattern(8000), fragment: 0 });
  const large6 = icmpv6Packet({ data: pattern(8000) });
  const KINDS: readonly ((n: number) => Uint8Array[])[] = [
    (n) => [ping(n, { tos: n & 3 })], (n) => [icmpv6Packet({ sequence: n, trafficClass: n & 3 })],
    (n) => [udpPacket({ destinationPort: 7, sourcePort: 2000 + n })], (n) => [udpPacket6({ destinationPort: 7 + n })],
    (n) => [udpPacket({ destinationPort: STAMP, data: sent({ sequence: n }) })],
    (n) => [encode({ ...tcp, dstPort: [7, 19, 22, 80, 443][n % 5], srcPort: 3000 + n, flags: SYN, window: 65_535 })],
    (n) => [encode({ ...tcp, dstPort: 80, srcPort: 3000 + n, flags: ACK, ack: 7 })],
    () => fragmentsOf(large, [0, 1480, 2960, 4440, 5920, 7400, 8008]),
    (n) => fragmentsOf6(large6, [0, 1448, 2896, 4344, 5792, 7240, 8008], n),
    () => [icmpPacket({ type: 13, data: new Uint8Array(12) })], () => [ipv4Packet(pattern(20), { protocol: 99 })],
    (n) => [ping(n, { options: Uint8Array.of(7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0) })],
    (n) => fragmentsOf(large, [0, 1480, 2960, 4440, 5920, 7400, 8008]).slice(n % 3),
    // What ends on a path, or nearly; of errors none is spoken.
    (n) => [ping(n, { ttl: 1 + n % 6 }), icmpv6Packet({ sequence: n, hopLimit: 1 + n % 6 })],
    (n) => [udpPacket({ ttl: 1 + n % 6, sourcePort: 2000 + n }), udpPacket6({ hopLimit: 1 + n % 6 })],
    (n) => [icmpPacket({ type: 3, ttl: 1 + n % 6 }), icmpv6Packet({ type: 1, hopLimit: 1 + n % 6 })],
    (n) => [ping(n, { data: pattern(1200 + n % 272) }), icmpv6Packet({ sequence: n, data: pattern(1200 + n % 252) })],
  ];
  const packets = fc.array(fc.record({ kind: fc.nat(KINDS.length - 1), number: fc.nat(999) }), {
    minLength: 1, maxLength: 40,
  }).map((all) => all.flatMap(({ kind, number }) => KINDS[kind](number)).slice(0, 256));
  const steps = fc.array(fc.record({ packets, wait: fc.oneof(fc.constant(0), fc.nat(100)) }), {
    minLength: 1, maxLength: 8,
  });

  test("each packet is counted once, no slot is lost, all that is kept leaves, and what is sent is right", async () => {
    await fc.assert(fc.asyncProperty(configuration, steps, async (text, steps) => {
      const linked = await linkedBy(text);
      for (const { packets, wait } of steps) {
        linked.send(...packets);
        linked.advanceTo(linked.rig.now + wait);
      }
      linked.end();
      // Up to 32 µs: a tick is shorter.
      const late = linked.rig.linear.counters.subarray(LATENESS + 6, LATENESS + LATENESS_BUCKETS);
      assert.equal(late.reduce((a, b) => a + b, 0), 0, "nothing was late");
      const { between } = linked;
      if (between.spoilsOut) return;
      for (const { packet } of linked.outputs) {
        assert.ok(packet.length <= between.room, `${packet.length} bytes`);
        checkPacket(packet);
      }
      if (between.spoilsIn) return;
      const asked = countOf(steps.flatMap(({ packets }) => packets), 8, 128);
      for (const [ping, count] of countOf(linked.outputs.map(({ packet }) => packet), 0, 129)) {
        assert.ok(count <= between.copies * (asked.get(ping) ?? 0), `${count} replies to ping ${ping}`);
      }
    }), { numRuns: 150, seed });
  });

  test("the same seed sends the same bytes at the same times, and another one others", async () => {
    await fc.assert(fc.asyncProperty(configuration, steps, async (text, steps) => {
      const outputs = async () => {
        const linked = await linkedBy(text);
        for (const { packets, wait } of steps) {
          linked.send(...packets);
          linked.advanceTo(linked.rig.now + wait);
        }
        linked.end();
        return linked.outputs;
      };
      assert.deepEqual(await outputs(), await outputs());
    }), { numRuns: 25, seed });
    const lossy = linkOf({ out: { loss: { kind: "random", probability: 0.5 } } });
    const which = async (seed: bigint) => {
      const linked = await Linked.create(lossy, { policy: { seed } });
      linked.send(...Array.from({ length: 200 }, (_, i) => ping(i)));
      return linked.outputs.map(({ packet }) => sequenceOf(packet));
    };
    assert.deepEqual(await which(1n), await which(1n));
    assert.notDeepEqual(await which(1n), await which(2n));
  });

  test("packets that are not duplicates keep their order unless they may pass each other", async () => {
    const orderly = configurations({ orderly: true, delays });
    await fc.assert(fc.asyncProperty(orderly, fc.array(fc.nat(20), { maxLength: 30 }), async (text, waits) => {
      const linked = await linkedBy(text);
      let sequence = 0;
      for (const wait of waits) {
        linked.send(...Array.from({ length: 1 + wait % 5 }, () => ping(++sequence)));
        linked.advanceTo(linked.rig.now + wait);
      }
      linked.end();
      const order = linked.outputs.map(({ packet }) => sequenceOf(packet));
      assert.deepEqual(order, [...order].sort((a, b) => a - b));
    }), { numRuns: 100, seed });
  });
});

describe("times", () => {
  const NTP_EPOCH = 2_208_988_800;
  /** Returns ms of the rig's wall clock. */
  const ntp = (view: DataView, at: number) =>
    (view.getUint32(at) - NTP_EPOCH + view.getUint32(at + 4) / 2 ** 32) * 1000;

  for (const [name, out] of [
    ["kept once", {}], ["kept each way", { rate: { byteNs: 1, overhead: 0, queueNs: Infinity } }],
  ] as const) {
    test(`STAMP's and ICMP's times are those at the far end, ${name}`, async () => {
      const linked = await Linked.create(
        linkOf({ in: { delayNs: 30 * MS }, out: { delayNs: 20 * MS, ...out } }), { policy: { udp: UDP } },
      );
      linked.send(
        udpPacket({ destinationPort: STAMP, data: sent() }), icmpPacket({ type: 13, data: new Uint8Array(12) }),
      );
      linked.end();
      assert.equal(linked.outputs.length, 2);
      const [stamp, timestamp] = linked.outputs;
      const view = new DataView(stamp.packet.slice(28).buffer);
      const [t2, t3] = [ntp(view, 16), ntp(view, 4)];
      const near = (found: number, expected: number, what: string) => { assert.ok(Math.abs(found - expected) <= 0.05, `${what}: ${found}, not ${expected}`); };
      near(t2, 1030, "T2 has the way in");
      assert.equal(t3, t2);
      near(stamp.at - t3, 20, "and T4 the way out");
      const icmp = new DataView(timestamp.packet.slice(20).buffer);
      assert.deepEqual([icmp.getUint32(12), icmp.getUint32(16)], [1030, 1030]);
      near(timestamp.at, 1050, "the reply to a Timestamp");
    });
  }

  test("a stateful session counts what was lost on the way out, and not what was lost on the way in", async () => {
    const lost = (direction: "in" | "out") =>
      linkOf({ [direction]: { loss: { kind: "packets", ranges: [[2, 3], [5, 5]] } } });
    for (const [direction, expected] of [["in", [0, 1, 2]], ["out", [0, 3, 5]]] as const) {
      const linked = await Linked.create(lost(direction));
      for (let i = 0; i < 6; i++) linked.send(udpPacket({ destinationPort: STAMP, data: sent({ sequence: i }) }));
      const read = (at: number) => linked.outputs.map(({ packet }) => new DataView(packet.buffer, 28).getUint32(at));
      assert.deepEqual(read(24), [0, 3, 5], "the sender's numbers");
      assert.deepEqual(read(0), expected, "the reflector's");
      assert.deepEqual(linked.rig.dropped, { [direction === "in" ? "link_loss" : "link_loss_out"]: 3 });
    }
  });
});

describe("what else happens meanwhile", () => {
  const SLOW = linkOf({ in: { delayNs: 50 * MS }, out: { delayNs: 50 * MS } });

  test("a crash counts kept packets as lost with it, and all slots are free", async () => {
    for (const link of [SLOW, linkOf({ in: { delayNs: 50 * MS, duplicate: { probability: 1, correlation: 0 } } })]) {
      const linked = await Linked.create(link);
      linked.send(...Array.from({ length: 20 }, (_, i) => ping(i)), encode({ ...tcp, dstPort: 7, flags: SYN }));
      const { counters } = linked.rig.linear;
      const kept = counters[Counter.kept];
      assert.ok(kept >= 21);
      linked.rig.linear.recover();
      assert.deepEqual(linked.rig.dropped, { worker_crash: kept });
      linked.check();
      linked.end();
      assert.deepEqual(linked.outputs, []);
      linked.send(ping(99));
      linked.end();
      assert.ok(linked.outputs.length > 0);
    }
  });

  test("neither a crash nor a reload changes what netem's arithmetic draws next", async () => {
    const text = `prefixes: [${PREFIX}]\nlink: { netem: "delay 5ms 4ms loss 30% 30% duplicate 20%", compat: netem }\n`;
    const [{ answers: { link } }] = read(text).options.serving.prefixes;
    assert.ok(link);
    const table = tableOf(serving([parsePrefix(PREFIX)], { ...BY_DEFAULT, link }), { hosts: [parseAddress(HOST)] });
    const fates = async (between: (linked: Linked) => void) => {
      const linked = await Linked.create(link, { reloadable: true });
      for (let i = 0; i < 200; i++) {
        if (i === 100) between(linked);
        linked.send(ping(i));
        linked.advanceTo(linked.rig.now + 20);
      }
      linked.end();
      return linked.outputs.map(({ at, packet }) => [sequenceOf(packet), at]);
    };
    const plain = await fates(() => undefined);
    assert.ok(plain.length > 100);
    assert.deepEqual(await fates(({ rig }) => { rig.linear.recover(); }), plain);
    assert.deepEqual(await fates(({ rig }) => { rig.linear.serve(table); }), plain);
  });

  test("a reload that takes the link or the prefix away leaves what is under way", async () => {
    const answers = { ...BY_DEFAULT, policy: BY_DEFAULT, exceptions: [] };
    for (const prefix of [PREFIX, "10.98.0.0/16"]) {
      const linked = await Linked.create(SLOW, { reloadable: true });
      linked.send(...Array.from({ length: 20 }, (_, i) => ping(i)));
      linked.advanceTo(1010);
      linked.rig.linear.serve(tableOf(serving([parsePrefix(prefix)], answers), { hosts: [parseAddress(HOST)] }));
      linked.send(ping(20));
      linked.end();
      const ways = linked.outputs.map(({ at, packet }) => [sequenceOf(packet), Math.round(at)]);
      const slow = Array.from({ length: 20 }, (_, i) => [i, 1100]);
      assert.deepEqual(ways, prefix === PREFIX ? [[20, 1010], ...slow] : slow);
    }
  });

  test("after a reload, what is left of a slot is no more than there may be in one", async () => {
    const answers = { ...BY_DEFAULT, policy: BY_DEFAULT, exceptions: [] };
    const S = 1000 * MS;
    const slotted = (slots: Partial<Slots>) =>
      linkOf({ name: "wifi", in: { slots: { minNs: S, maxNs: S, ...slots } } });
    for (const before of [{ packets: 2 }, { packets: 1_000_000 }, { bytes: 100_000 }]) {
      const linked = await Linked.create(slotted(before), { reloadable: true });
      linked.send(ping(99));
      linked.advanceTo(5000);
      linked.outputs.splice(0);
      linked.rig.linear.serve(tableOf(
        serving([parsePrefix(PREFIX)], { ...answers, link: slotted({ packets: 2 }) }), { hosts: [parseAddress(HOST)] },
      ));
      linked.send(...Array.from({ length: 6 }, (_, i) => ping(i)));
      linked.end();
      const perTime = new Map<number, number>();
      for (const { at } of linked.outputs) perTime.set(at, (perTime.get(at) ?? 0) + 1);
      assert.ok(perTime.size >= 3 && Math.max(...perTime.values()) <= 2, JSON.stringify([before, [...perTime]]));
    }
  });

  test("a prefix without a link beside it is as it was", async () => {
    const lossy: Link = linkOf({
      in: { delayNs: 9 * MS, loss: { kind: "random", probability: 0.5 } },
      out: { duplicate: { probability: 0.5, correlation: 0 }, rate: { byteNs: 1000, overhead: 0, queueNs: 50 * MS } },
    });
    const linked = await Linked.create(undefined, { reloadable: true });
    const [near, far] = serving([parsePrefix("10.98.0.0/16"), parsePrefix(PREFIX)], BY_DEFAULT).prefixes;
    linked.rig.linear.serve(tableOf({
      prefixes: [near, { ...far, answers: { ...far.answers, link: lossy } }], exceptions: [], policy: BY_DEFAULT,
    }, { hosts: [parseAddress(HOST)] }));
    for (let i = 0; i < 100; i++) {
      const requests = Array.from({ length: 10 }, (_, n) => ping(n, { dst: "10.98.0.1" }));
      const others = Array.from({ length: 10 }, (_, n) => ping(n));
      const before = linked.outputs.length;
      linked.send(...requests.flatMap((request, n) => [others[n], request]));
      const replies = linked.outputs.slice(before).map(({ packet }) => packet).filter((packet) => packet[13] === 98);
      assert.deepEqual(replies, requests.map((request) => expectedReply(request)));
      linked.advanceTo(linked.rig.now + 3);
    }
    linked.end();
    assert.equal(linked.outputs.filter(({ packet }) => packet[13] === 98).length, 1000, "and none comes later");
    assert.ok(linked.rig.dropped.link_loss > 400);
  });

  test("a corrupted reply differs in one bit, which is any", async () => {
    const linked = await Linked.create(linkOf({ out: { corrupt: { probability: 1, correlation: 0 } } }));
    const request = ping();
    const right = expectedReply(request);
    const found = new Map<number, number>();
    for (let i = 0; i < 100; i++) {
      linked.send(...Array.from({ length: 100 }, () => request));
      linked.advanceTo(linked.rig.now + 1);
    }
    for (const { packet } of linked.outputs) {
      const bits = Array.from({ length: 8 * right.length }, (_, bit) => bit)
        .filter((bit) => (packet[bit >> 3] ^ right[bit >> 3]) >> (bit & 7) & 1);
      assert.equal(bits.length, 1);
      found.set(bits[0], (found.get(bits[0]) ?? 0) + 1);
    }
    assert.equal(linked.outputs.length, 10_000);
    assert.equal(found.size, 8 * right.length);
    const expected = 10_000 / found.size;
    const chi = [...found.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    assert.ok(chi < found.size + 3.3 * Math.sqrt(2 * found.size), `${chi}`);
  });

  test("a corrupted request is judged as it has become", async () => {
    const linked = await Linked.create(linkOf({ in: { corrupt: { probability: 1, correlation: 0 } } }));
    for (let i = 0; i < 20; i++) linked.send(...Array.from({ length: 100 }, () => ping()));
    linked.end();
    const { ip_csum: header = 0, icmp_csum: message = 0, ...others } = linked.rig.dropped;
    assert.ok(header > 300 && message > 1000 && linked.outputs.length === 0, JSON.stringify(linked.rig.dropped));
    const known = ["invalid_proto", "pkt_too_small", "ip_inhdr"];
    assert.deepEqual(Object.keys(others).filter((reason) => !known.includes(reason)), []);
  });

  test("duplicates on the way out take neither the slots nor the room of others", async () => {
    // Fragments of a large reply: all of them and their duplicates are more than a call sends.
    const doubled = linkOf({ out: { duplicate: { probability: 1, correlation: 0 } } });
    const linked = await Linked.create(doubled, { mtu: 76 });
    const pieces = 268;
    const whole = icmpPacket({ data: pattern(56 * pieces - 8), fragment: 0 });
    const all = fragmentsOf(whole, Array.from({ length: pieces + 1 }, (_, i) => 56 * i));
    linked.send(...all.slice(0, pieces / 2));
    linked.send(...all.slice(pieces / 2));
    assert.deepEqual(linked.rig.dropped, { nomem: pieces });
    const small = icmpPacket({ data: pattern(552), fragment: 0 });
    linked.send(...fragmentsOf(small, Array.from({ length: 11 }, (_, i) => 56 * i)));
    assert.equal(linked.outputs.length, 20);
    // Requests that were kept and come at the same time.
    const many = await Linked.create(linkOf({
      in: { delayNs: MS },
      out: { duplicate: { probability: 0.7, correlation: 0 }, rate: { byteNs: 1e-6, overhead: 0, queueNs: Infinity } },
    }));
    for (let i = 0; i < 20; i++) {
      many.send(...Array.from({ length: 200 }, (_, n) => ping(n)));
      many.send(...Array.from({ length: 200 }, (_, n) => ping(n)));
      many.advanceTo(many.rig.now + 5);
    }
    assert.equal(many.rig.replied, 8000);
  });

  test("a reply in fragments that finds no room is dropped as held_full, as a whole one is", async () => {
    const far = linkOf({ out: { delayNs: 10 * MS } });
    const large = icmpPacket({ data: pattern(2000), fragment: 0 });
    const narrow: RouterPath = {
      steps: [{ silent: true, blackHole: false, ttl: 64, icmp: { rate: 1, burst: 1 }, mpls: [], mtu: 1280 }],
    };
    const CASES: readonly (readonly [string, readonly Uint8Array[], RouterPath?])[] = [
      ["whole", [ping(2)]],
      ["in fragments", fragmentsOf(large, [0, 1000, 2008])],
      ["in one, to fragments", fragmentsOf(ping(2, { data: pattern(1400), fragment: 0 }), [0, 1000, 1408])],
      ["in fragments, to a whole request", [ping(2, { data: pattern(1400), fragment: 0 })], narrow],
      ["IPv6, in fragments", fragmentsOf6(icmpv6Packet({ data: pattern(2000) }), [0, 1000, 2008])],
      ["IPv6, in one, to fragments", fragmentsOf6(icmpv6Packet({ data: pattern(1100) }), [0, 1000, 1108])],
    ];
    for (const [name, packets, path] of CASES) {
      const linked = await Linked.create(far, { kept: 1, policy: { path } });
      linked.send(ping());
      for (const packet of packets) linked.send(packet);
      assert.deepEqual(linked.rig.dropped, { held_full: packets.length }, name);
      linked.end();
      assert.deepEqual([linked.rig.replied, linked.outputs.length], [1, 1], name);
    }
    const request6 = icmpv6Packet({ data: pattern(1400) });
    const learnt = await Linked.create(far, { kept: 1 });
    learnt.send(request6);
    learnt.advanceTo(1020);
    learnt.send(icmpv6Packet({
      type: 2, src: "2001:db8::1", identifier: 0, sequence: 1280, data: learnt.outputs[0].packet.slice(0, 1232),
    }));
    learnt.send(ping(), request6);
    assert.deepEqual(learnt.rig.dropped, { icmp_packet_too_big: 1, held_full: 1 });
    learnt.end();
    assert.deepEqual([learnt.rig.replied, learnt.outputs.length], [2, 2]);
    // If there is room for the first fragment, the reply has been sent.
    const linked = await Linked.create(far, { kept: 2 });
    linked.send(ping(), ...fragmentsOf(large, [0, 1000, 2008]));
    assert.deepEqual(linked.rig.dropped, {});
    linked.end();
    assert.deepEqual([linked.rig.replied, linked.outputs.length], [3, 2]);
  });

  test("segments of a connection do not wait in a queue for what has yet to come", async () => {
    const rate = { byteNs: 100, overhead: 0, queueNs: 100 * MS };
    const linked = await Linked.create(linkOf({ in: { delayNs: 300 * MS }, out: { rate } }));
    const from = { ...tcp, dstPort: 19, window: 65_535 };
    linked.send(encode({ ...from, seq: 1, flags: SYN }));
    linked.advanceTo(1301);
    const [synAck] = linked.outputs.splice(0);
    const ack = new DataView(synAck.packet.buffer, 24).getUint32(0) + 1;
    linked.send(encode({ ...from, seq: 2, ack, flags: ACK }));
    linked.advanceTo(1600);
    // Just before the connection sends, pings come.
    linked.send(...Array.from({ length: 20 }, (_, i) => ping(i)));
    linked.advanceTo(1610);
    const segments = linked.outputs.filter(({ packet }) => packet[9] === 6);
    assert.ok(segments.length >= 2, `${segments.length} segments`);
    assert.ok(segments.every(({ at }) => at < 1605));
  });

  for (const timestamps of [false, true]) {
    test(`jitter alone has no segment sent again, with${timestamps ? "" : "out"} timestamps`, async () => {
      const jitter = { delayNs: 25 * MS, jitterNs: 10 * MS };
      const linked = await Linked.create(linkOf({ in: jitter, out: jitter }));
      const { rig, outputs } = linked;
      const from = { ...tcp, dstPort: 19, window: 65_535 };
      let heard = 0;
      const send = (segment: { seq: number; ack?: number; flags: number }, more = {}) => {
        const options = timestamps ? { timestamps: { val: Math.floor(rig.now), ecr: heard } } : {};
        linked.send(encode({ ...from, ...segment, options: { ...options, ...more } }));
      };
      send({ seq: 1, flags: SYN }, { mss: 1460, sackPermitted: true });
      let next = 0;
      for (let bytes = 0; bytes < 4e6;) {
        linked.advanceTo(rig.clock.deadline / MS);
        for (const { packet } of outputs.splice(0)) {
          const { seq, flags, data, options } = decode(packet);
          heard = options.timestamps?.val ?? 0;
          if (flags & SYN) next = seq + 1;
          else assert.equal(seq, next);
          next = (next + data.length) >>> 0;
          bytes += data.length;
          send({ seq: 2, ack: next, flags: ACK });
        }
      }
    });
  }

  test("what a router says of a connection's segment is heeded when it has come", async () => {
    const six = { src: addr6(HOST6), dst: addr6(TARGET6) };
    for (const [from, about] of [
      [{}, (data: Uint8Array) => icmpPacket({ src: "192.0.2.1", type: 3, code: 4, id: 0, sequence: 576, data })],
      [six, (data: Uint8Array) => icmpv6Packet({ src: "2001:db8::1", type: 2, identifier: 0, sequence: 1280, data })],
    ] as const) {
      const linked = await Linked.create(linkOf({ in: { delayNs: 50 * MS } }));
      linked.send(encode({ ...tcp, ...from, dstPort: 7, seq: 1, flags: SYN }));
      linked.advanceTo(1100);
      linked.send(about(linked.outputs[0].packet));
      assert.deepEqual([linked.rig.dropped, linked.rig.linear.counters[Counter.kept]], [{}, 1]);
      linked.advanceTo(1160);
      assert.deepEqual(linked.rig.dropped, { icmp_packet_too_big: 1 });
      linked.end();
    }
  });

  test("of several segments in one, each is as long as it is, and not all together, to a hop", async () => {
    const hop = {
      ipv4: parseAddress("10.98.0.1"), silent: false, blackHole: false, ttl: 64, icmp: { rate: 1000, burst: 50 },
      mpls: [], mtu: 1400,
    };
    for (const [size, dropped] of [[1360, {}], [1361, { pkt_too_big: 1 }]] as const) {
      const { rig } = await Linked.create(undefined, { offload: OFFLOAD_CSUM, policy: { path: { steps: [hop] } } });
      const segments = encode({
        ...tcp, dstPort: 9, seq: 1, ack: 1, flags: ACK, window: 1000, data: new Uint8Array(4000),
      });
      segments[6] |= 0x40;
      setHeaderChecksum(segments);
      const at = rig.slots.take() + rig.linear.frameOffset;
      rig.bytes.set(segments, at);
      const header = new DataView(rig.bytes.buffer, at - SIZEOF_VNET_HEADER, SIZEOF_VNET_HEADER);
      // DATA_VALID and GSO_TCPV4, the headers' length, and the segments' size.
      [2 | 1 << 8, 40, size].forEach((value, i) => { header.setUint16(2 * i, value, true); });
      rig.slots.receive(0, at, segments.length);
      rig.call(1);
      assert.deepEqual(
        { ...rig.dropped, tcp_closed: undefined, tcp_reset: undefined },
        { ...dropped, tcp_closed: undefined, tcp_reset: undefined },
      );
    }
  });

  test("where the kernel could finish segments, those behind a link are whole, each of its own", async () => {
    for (const [link, most] of [[SLOW, 1500], [undefined, 65_535]] as const) {
      const linked = await Linked.create(link, { offload: OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 });
      const { rig } = linked;
      const headers: Uint8Array[] = [];
      const packets: Uint8Array[] = [];
      const call = (...all: Uint8Array[]) => {
        all.forEach((packet, i) => {
          const slot = rig.slots.take();
          rig.bytes.fill(0, slot, slot + rig.linear.slotSize);
          rig.bytes.set(packet, slot + rig.linear.frameOffset);
          rig.slots.receive(i, slot + rig.linear.frameOffset, packet.length);
        });
        const count = rig.call(all.length);
        for (let i = 0; i < count; i++) {
          const at = rig.slots.toSend(i);
          headers.push(rig.bytes.slice(at - 10, at));
          packets.push(rig.bytes.slice(at, at + rig.slots.toSendLength(i)));
          rig.slots.give(at);
        }
      };
      const advance = (ms: number) => {
        for (const end = rig.now + ms; rig.clock.deadline > 0 && rig.clock.deadline / MS <= end;) {
          rig.now = Math.max(rig.now, rig.clock.deadline / MS);
          call();
        }
      };
      const from = { ...tcp, dstPort: 19, window: 65_535 };
      call(encode({ ...from, seq: 1, flags: SYN, options: { mss: 1460 } }));
      advance(110);
      const ack = new DataView(packets[0].buffer, 24).getUint32(0) + 1;
      call(encode({ ...from, seq: 2, ack, flags: ACK }));
      advance(110);
      const data = packets.filter((packet) => packet[9] === 6 && packet.length > 100);
      assert.ok(data.length > 0);
      assert.equal(data.some((packet) => packet.length > 1500), most > 1500);
      if (!link) continue;
      assert.ok(headers.every((header) => header.every((byte) => byte === 0)), "nothing is left to do");
      for (const packet of packets) {
        const segment = packet.subarray(20);
        const pseudo = bytes(packet.subarray(12, 20), 0, 6, segment.length >> 8, segment.length & 255, segment);
        assert.equal(plainSum(pseudo), 0xffff);
      }
    }
  });
});
