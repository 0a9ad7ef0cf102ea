/**
 * Tests captures of every format and link type, whole, cut and mutated, through the engines, and what becomes of OUT.
 * SEED=… repeats the mutations.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync, closeSync, lstatSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync,
  symlinkSync, writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { NOW, WALL } from "../../abi/control.js";
import { SLOTS } from "../../abi/slots.js";
import { TICK_NS } from "../../abi/timers.js";
import { ENGINE_NAMES, type EngineName } from "../../src/engine/contract.js";
import { TABLE } from "../../src/bench/workload.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { DEFAULT_REASSEMBLY } from "../../src/prefix/policy.js";
import { EXIT, Failure } from "../../src/base/failure.js";
import { parseAddress, parsePrefix, serving } from "../../src/prefix/prefixes.js";
import type { Output } from "../../src/base/output.js";
import { Exchange, replay, type Replayed } from "../../src/replay/replay.js";
import { gunzip } from "../../src/pcap/gzip.js";
import { Damage, Source } from "../../src/pcap/source.js";
import { ReplyWriter } from "../../src/pcap/writer.js";
import { ARP, Blocks, FRAMES, pack, pcap, pcapng, readReplies, type Record } from "../support/captures.js";
import { read } from "../support/config.js";
import { CLI } from "../support/netns.js";
import { expectedReply, fragmentsOf, HOST, icmpPacket, pattern, PREFIX, udpPacket } from "../support/packets.js";
import { Random } from "../support/random.js";

const MUTATIONS = 2000;
const START = 1_700_000_000_123_456_000n;

/**
 * Makes a check for assert.rejects(): a Failure to read anything at all, not Damage of a capture that was read in part.
 */
function refused(message: RegExp, status: number = EXIT.RUNTIME): (error: unknown) => boolean {
  return (error) => error instanceof Failure && !(error instanceof Damage) && error.exitStatus === status
    && message.test(error.message);
}

/** Keeps in memory what is written. */
class Memory implements Output {
  readonly chunks: Uint8Array[] = [];
  committed = false;
  discarded = false;

  write(bytes: Uint8Array): Promise<void> {
    this.chunks.push(bytes);
    return Promise.resolve();
  }

  commit(): Promise<void> {
    this.committed = true;
    return Promise.resolve();
  }

  discard(): Promise<void> {
    this.discarded = !this.committed;
    return Promise.resolve();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

interface Outcome extends Replayed {
  readonly replies: Record[];
  readonly bytes: Buffer;
  readonly warnings: string[];
}

async function* chunked(bytes: Uint8Array, length = 4096): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield await Promise.resolve(bytes.subarray(at, at + length));
}

async function replayed(capture: Uint8Array, {
  engine = "js", chunk = 4096, ignoreEcho = false, ttl = 64,
}: { engine?: EngineName; chunk?: number; ignoreEcho?: boolean; ttl?: number } = {}): Promise<Outcome> {
  const output = new Memory();
  const warnings: string[] = [];
  const options = {
    serving: serving([parsePrefix(PREFIX)], { ttl, echo: !ignoreEcho }), hostAddresses: [parseAddress(HOST)], engine,
    reassembly: engine === "wasm" ? DEFAULT_REASSEMBLY : 0,
  };
  const result = await replay(chunked(capture, chunk), "in", output, options, (message) => warnings.push(message));
  assert.ok(output.committed);
  return { ...result, replies: readReplies(output.bytes), bytes: output.bytes, warnings };
}

/** Makes different requests, each in a microsecond of its own. */
function requests(count: number, stepNs = 400_000n): Record[] {
  return Array.from(
    { length: count },
    (_, i) => ({ ns: START + BigInt(i) * stepNs, frame: icmpPacket({ sequence: i, data: pattern(i % 7) }) }),
  );
}

function expected(records: readonly Record[], ttl = 64): Record[] {
  return records.map(({ ns, frame }) => ({ ns, frame: expectedReply(frame, ttl) }));
}

const FORMATS = [pcap, pcapng].flatMap((write) => [true, false].flatMap((littleEndian) => [true, false]
  .map((nanoseconds) => ({
    name: `${write.name}, ${littleEndian
      ? "little"
      : "big"}-endian, ${nanoseconds ? "nano" : "micro"}seconds`, write, options: {
      littleEndian, nanoseconds,
    },
  }))));

describe("formats", () => {
  for (const { name, write, options } of FORMATS) {
    test(`${name}: every link type is answered, each reply with its request's time`, async () => {
      const sent = requests(5, options.nanoseconds ? 400_001n : 400_000n);
      for (const { name: link, linkType, frame } of FRAMES) {
        const capture = write(
          sent.map((record) => ({ ns: record.ns, frame: frame(record.frame) })), { ...options, linkType },
        );
        const { replies, received, replied, dropped, skipped, damage } = await replayed(capture);
        assert.deepEqual(replies, expected(sent), link);
        assert.deepEqual(
          { received, replied, dropped, skipped, damage },
          { received: 5, replied: 5, dropped: {}, skipped: {}, damage: undefined },
        );
      }
    });
  }

  test("pcap of the versions before 2.4, and of the modified libpcap, whichever length comes first", async () => {
    const sent = requests(3);
    for (const littleEndian of [true, false]) {
      for (const options of [
        { minor: 2, swapped: true }, { minor: 3 }, { minor: 3, swapped: true }, { modified: true },
      ]) {
        for (const cut of [0, 5]) {
          const { replies, damage } = await replayed(pcap(sent, { littleEndian, ...options, cut }));
          assert.deepEqual([replies, damage], [expected(sent), undefined], JSON.stringify(options));
        }
      }
    }
  });

  test("pcap 2.4 never has the length on the wire first", async () => {
    const capture = pcap(requests(1), { swapped: true, cut: 5 });
    assert.match((await replayed(capture)).damage?.message ?? "", /it ends at byte \d+, within the packet at byte 24$/);
  });

  test("a capture without packets gives one without replies", async () => {
    for (const capture of [pcap([]), pcapng([]), new Blocks(true).section()]) {
      assert.deepEqual((await replayed(capture)).replies, []);
    }
  });

  test("pcapng: if_tsresol by tens and by twos, and if_tsoffset", async () => {
    const [{ frame }] = requests(1);
    for (const [resolution, offset, units, ns] of [
      [0, 0n, 1_700_000_000n, 1_700_000_000_000_000_000n],
      [3, 0n, 1_700_000_000_123n, 1_700_000_000_123_000_000n],
      [12, 0n, 1_700_000_123_456_789n, 1_700_000_123_456n],
      [0x80 | 10, 0n, 1024n * 5n + 512n, 5_500_000_000n],
      [0x80, 7n, 3n, 10_000_000_000n],
      [127, 0n, 0xffff_ffff_ffff_ffffn, 0n],
      [9, -1n, 1_000_000_007n, 7n],
      [9, 1n << 33n, 5n, (1n << 33n) * 1_000_000_000n + 5n],
    ] as const) {
      for (const littleEndian of [true, false]) {
        const blocks = new Blocks(littleEndian);
        const options = Buffer.concat(
          [blocks.option(9, Uint8Array.of(resolution)), blocks.option(14, pack(littleEndian, [offset, 8]))],
        );
        const { replies } = await replayed(
          Buffer.concat([blocks.section(), blocks.interface(101, options), blocks.packet(units, frame)]),
        );
        assert.deepEqual(replies, expected([{ ns, frame }]), `${resolution}`);
      }
    }
  });

  test("pcapng: sections of either byte order, each with interfaces of its own", async () => {
    const sent = requests(4);
    const ethernet = FRAMES.find(({ name }) => name === "Ethernet");
    const [little, big] = [new Blocks(true), new Blocks(false)];
    const micro = (i: number) => sent[i].ns / 1000n;
    const capture = Buffer.concat([
      big.section(), big.interface(101), big.packet(micro(0), sent[0].frame),
      little.section(), little.interface(147), little.interface(1), little.packet(
        micro(1), ethernet?.frame(sent[1].frame) ?? ARP, 1,
      ),
      big.section(), big.interface(228), big.packet(micro(2), sent[2].frame), big.packet(micro(3), sent[3].frame),
    ]);
    assert.deepEqual((await replayed(capture)).replies, expected(sent));
  });

  test("pcapng: the obsolete packet block is read, and one of no known type is skipped, "
    + "whatever its size", async () => {
    const [first, second] = requests(2);
    for (const littleEndian of [true, false]) {
      const blocks = new Blocks(littleEndian);
      const capture = Buffer.concat([
        blocks.block(0xbad), blocks.interface(101), blocks.obsoletePacket(first.ns / 1000n, first.frame), blocks
          .block(0x80000001, new Uint8Array(4_000_000)),
        blocks.block(5, new Uint8Array(13)), blocks.packet(second.ns / 1000n, second.frame),
      ]);
      assert.deepEqual((await replayed(Buffer.concat([blocks.section(), capture]))).replies, expected([first, second]));
    }
  });

  test("pcapng: a simple packet is of the first interface, cut by its snap length, and of the "
    + "time before it", async () => {
    const [first, second] = requests(2);
    for (const littleEndian of [true, false]) {
      const blocks = new Blocks(littleEndian);
      const long = icmpPacket({ data: pattern(400) });
      const capture = Buffer.concat([
        blocks.section(), blocks.interface(101, undefined, 100), blocks.interface(1),
        blocks.simplePacket(first.frame.length, first.frame),
        blocks.packet(second.ns / 1000n, second.frame),
        blocks.simplePacket(first.frame.length, first.frame),
        blocks.simplePacket(long.length, long.subarray(0, 100)),
      ]);
      const { replies, dropped } = await replayed(capture);
      assert.deepEqual(replies, expected([{ ...first, ns: 0n }, second, { ...first, ns: second.ns }]));
      assert.deepEqual(dropped, { pkt_too_small: 1 }, "the rest of it was not captured");
    }
  });

  test("the order of chunks' ends does not matter, nor which engine answers, nor how often: "
    + "the same bytes", async () => {
    const sent = [
      ...requests(40), { ns: START, frame: icmpPacket({ dst: "192.0.2.1" }) },
      { ns: START, frame: icmpPacket({ data: pattern(65507) }) },
    ];
    for (const write of [pcap, pcapng]) {
      const capture = write(sent);
      const { bytes } = await replayed(capture);
      for (const engine of ENGINE_NAMES) for (const chunk of [1, 7, 4096, 1 << 20]) {
        assert.deepEqual((await replayed(capture, { engine, chunk })).bytes, bytes);
      }
      assert.equal(readReplies(bytes).length, 41);
    }
  });

  test("a timestamp is the capture's time of day, of each millisecond its own", async () => {
    const midnight = BigInt(Date.UTC(2026, 10, 24)) * 1_000_000n;
    const times = [0n, 999_999n, 1_000_000n, 45_296_789_000_001n, 86_399_999_999_999n];
    const sent = times.map((time) => ({ ns: midnight + time, frame: icmpPacket({ type: 13, data: pattern(12) }) }));
    for (const engine of ENGINE_NAMES) {
      const { replies } = await replayed(pcap(sent, { nanoseconds: true }), { engine });
      assert.deepEqual(
        replies.map(({ frame }) => new DataView(frame.buffer).getUint32(36)), [0, 0, 1, 45_296_789, 86_399_999],
      );
    }
  });

  test("--ttl and --ignore-echo mean what they do in run", async () => {
    const sent = requests(3);
    assert.deepEqual((await replayed(pcap(sent), { ttl: 7 })).replies, expected(sent, 7));
    const { replies, dropped } = await replayed(pcap(sent), { ignoreEcho: true });
    assert.deepEqual([replies, dropped], [[], { icmp_echo_ignored: 3 }]);
  });
});

describe("what is not for the engine", () => {
  test("frames without IP, and those that end before it, are skipped and counted", async () => {
    const [{ ns, frame: packet }] = requests(1);
    const ends = [0, 13, 14, 17].map((length) => ({
      ns, frame: pack(false, new Uint8Array(12), [0x8100, 2], [42, 2], [0x0800, 2]).subarray(0, length),
    }));
    const { replies, skipped, received } = await replayed(
      pcap([{ ns, frame: ARP }, ...ends, { ns, frame: FRAMES[5].frame(packet) }], { linkType: 1 }),
    );
    assert.deepEqual([replies.length, skipped, received], [1, { "not IP": 5 }, 1]);
  });

  test("an empty packet, and one cut short, are the engine's to judge", async () => {
    const [{ ns, frame }] = requests(1);
    const { dropped, skipped } = await replayed(
      pcap([{ ns, frame: frame.subarray(0, 0) }, { ns, frame: frame.subarray(0, 27) }]),
    );
    assert.deepEqual([dropped, skipped], [{ ip_inhdr: 1, pkt_too_small: 1 }, {}]);
  });

  test("a packet longer than any of IP is skipped, the longest is answered", async () => {
    const longest = icmpPacket({ data: pattern(65507) });
    const { replies, skipped } = await replayed(
      pcap([{ ns: START, frame: pack(true, longest, [0, 1]) }, { ns: START, frame: longest }]),
    );
    assert.deepEqual(skipped, { "over 65535 bytes": 1 });
    assert.deepEqual(replies, expected([{ ns: START, frame: longest }]));
  });

  test("a link type that is not read is named once; the packets of other interfaces are answered", async () => {
    const [{ ns, frame }] = requests(1);
    const blocks = new Blocks(true);
    const packets = [0, 1, 0, 2].map((id) => blocks.packet(ns / 1000n, frame, id));
    const { replies, skipped, warnings } = await replayed(Buffer.concat(
      [blocks.section(), blocks.interface(147), blocks.interface(101), blocks.interface(148), ...packets],
    ));
    assert.deepEqual([replies.length, skipped], [1, { "unread link type": 3 }]);
    assert.deepEqual(
      warnings,
      [147, 148].map((linkType) => `in has packets of link type ${linkType}, which is not read; they are skipped`),
    );
  });

  test("of any number of such link types a few are named", async () => {
    const blocks = new Blocks(true);
    const many = Array.from({ length: 100 }, (_, id) => [blocks.interface(20000 + id), blocks.packet(1n, ARP, id)])
      .flat();
    const { skipped, warnings } = await replayed(
      Buffer.concat([blocks.section(), ...many, blocks.interface(1), blocks.packet(1n, ARP, 100)]),
    );
    assert.deepEqual([skipped, warnings.length], [{ "unread link type": 100, "not IP": 1 }, 8]);
  });

  test("a link type has the name that tcpdump gives it", async () => {
    for (const [linkType, name] of [
      [105, "802.11 (link type 105)"], [
        127, "802.11 plus radiotap header (link type 127)",
      ], [9, "PPP (link type 9)"], [147, "link type 147"],
    ] as const) {
      const blocks = new Blocks(true);
      const packets = [blocks.packet(1n, ARP), blocks.packet(1n, ARP, 1)];
      const capture = Buffer.concat([blocks.section(), blocks.interface(linkType), blocks.interface(1), ...packets]);
      assert.deepEqual(
        (await replayed(capture)).warnings, [`in has packets of ${name}, which is not read; they are skipped`],
      );
    }
  });

  test("where no packet is of a link type that is read, that is a failure, and a capture "
    + "without IP is none", async () => {
    const one = pcap([{ ns: START, frame: ARP }], { linkType: 105 });
    const none = /^nothing of in can be read: 1 packet, none of a link type that is read; capture Ethernet/;
    await assert.rejects(replayed(one), refused(none));
    await assert.rejects(
      replayed(pcapng(requests(2), { linkType: 147 })), refused(/^nothing of in can be read: 2 packets, none/),
    );
    assert.deepEqual((await replayed(pcap([{ ns: START, frame: ARP }], { linkType: 1 }))).skipped, { "not IP": 1 });
  });

  test("BSD loopback: the families of every BSD in either byte order, and no others", async () => {
    const [request] = requests(1);
    for (const linkType of [0, 108]) {
      for (const littleEndian of [true, false]) {
        const frame = (family: number) => ({ ns: request.ns, frame: pack(littleEndian, [family, 4], request.frame) });
        const short = { ns: request.ns, frame: Uint8Array.of(2, 0, 0) };
        const sent = [2, 24, 28, 30].map(frame);
        const { replies, skipped } = await replayed(
          pcap([...sent, ...[0, 1, 7, 23, 258, 0x1e000002].map(frame), short], { linkType }),
        );
        assert.deepEqual(replies, expected(sent.map(() => request)));
        assert.deepEqual(skipped, { "not IP": 7 });
      }
    }
  });
});

test("the engine is called with one packet at a time, at its time; the clock of timers never goes back", () => {
  const calls: [count: number, now: bigint, wall: bigint][] = [];
  const linear = LinearMemory.create({ mtu: 65535, reassembly: 0, table: TABLE });
  const { slots } = linear;
  const clocks = new BigUint64Array(linear.memory.buffer);
  const respond = (count: number) => {
    calls.push([count, clocks[NOW / 8], clocks[WALL / 8]]);
    slots.give(slots.received(0));
    return 0;
  };
  const exchange = new Exchange(linear, { respond }, new ReplyWriter(new Memory()));
  for (const ns of [5_000_000n, 5_000_000n, 5_999_999n, 6_000_000n, 5_000_000n, 0n]) exchange.respond(ARP, ns);
  assert.deepEqual(calls, [
    [1, 5_000_000n, 5_000_000n], [1, 5_000_000n, 5_000_000n], [1, 5_999_999n, 5_999_999n], [1, 6_000_000n, 6_000_000n],
    [1, 6_000_000n, 5_000_000n], [1, 6_000_000n, 0n],
  ]);
});

test("thousands of packets of one millisecond, and of one each: every slot comes back", async () => {
  for (const stepNs of [0n, 1_000_000n]) {
    const sent = requests(5 * SLOTS, stepNs);
    for (const engine of ENGINE_NAMES) {
      assert.deepEqual((await replayed(pcapng(sent, { nanoseconds: true }), { engine })).replies, expected(sent));
    }
  }
});

test("fragments by the capture's clock: answered when whole, an error at the moment when their time is over, and the "
  + "rest said to be held", async () => {
  const ms = 1_000_000n;
  const [first, last] = fragmentsOf(icmpPacket({ data: pattern(2000), fragment: 0 }), [0, 1480, 2008]);
  const [lost] = fragmentsOf(icmpPacket({ id: 1, data: pattern(2000), fragment: 0 }), [0, 1480, 2008]);
  const [late] = fragmentsOf(icmpPacket({ id: 2, data: pattern(2000), fragment: 0 }), [0, 1480, 2008]);
  const [at, request] = [1_700_000_000_000n * ms, icmpPacket()];
  const frames = [
    [0n, lost], [5_000n * ms, last], [5_000n * ms + 7n, first], [59_999n * ms, request], [70_000n * ms, request],
    [70_000n * ms, late],
  ] as const;
  const capture = pcapng(frames.map(([ns, frame]) => ({ ns: at + ns, frame })), { nanoseconds: true });
  const { replies, received, replied, dropped, held } = await replayed(capture, { engine: "wasm" });
  // Their time is over in a tick of the engine's timers.
  const tick = BigInt(TICK_NS);
  const over = (at + 60_000n * ms + tick - 1n) / tick * tick - at;
  assert.deepEqual(replies.map(({ ns, frame }) => [ns - at, frame[20], frame.length]), [
    [5_000n * ms + 7n, 0, 2028], [59_999n * ms, 0, 84], [over, 11, 576], [70_000n * ms, 0, 84],
  ]);
  assert.deepEqual(
    { received, replied, dropped, held }, { received: 6, replied: 4, dropped: { frag_reasm_timeout: 1 }, held: 1 },
  );
  assert.deepEqual((await replayed(capture, { engine: "js" })).dropped, { ip_fragment: 4 });
});

describe("gzip", () => {
  const random = new Random(1);
  const noise = Uint8Array.from({ length: 20000 }, () => random.next());
  // Noise does not compress: that packet is as long in gzip as without.
  const sent = [
    ...requests(50), { ns: START + 20_000_000n, frame: icmpPacket({ data: noise }) },
    { ns: START + 30_000_000n, frame: icmpPacket() },
  ];

  test("a compressed capture gives what it gives uncompressed, however its chunks come", async () => {
    for (const { name, write, options } of FORMATS) {
      const { bytes } = await replayed(write(sent, options));
      for (const chunk of [7, 4096, 1 << 20]) {
        assert.deepEqual((await replayed(gzipSync(write(sent, options)), { chunk })).bytes, bytes, name);
      }
    }
  });

  test("members one after another are one file, wherever a chunk ends, and zeros may follow", async () => {
    const capture = pcap(requests(3));
    const { bytes } = await replayed(capture);
    const members = Buffer.concat(
      [gzipSync(capture.subarray(0, 50)), gzipSync(new Uint8Array(0)), gzipSync(capture.subarray(50))],
    );
    for (let chunk = 1; chunk <= members.length; chunk++) {
      assert.deepEqual((await replayed(members, { chunk })).bytes, bytes);
    }
    for (const zeros of [1, 5000, 100_000]) {
      const { damage, bytes: same } = await replayed(Buffer.concat([members, new Uint8Array(zeros)]));
      assert.deepEqual([damage, same], [undefined, bytes]);
    }
  });

  test("cut at any byte, what came of it is answered, and the byte is named", async () => {
    const compressed = gzipSync(pcap(sent));
    for (let length = 1; length < compressed.length; length += 997) {
      const cut = compressed.subarray(0, length);
      if (length < 100) {
        const message = length < 2
          ? /it ends at byte 1, within its first/
          : /^in is damaged: it ends within its gzip data at byte \d+$/;
        await assert.rejects(replayed(cut), refused(message));
        continue;
      }
      const { damage, replies } = await replayed(cut, { chunk: 100 });
      assert.equal(damage?.message, `in is damaged: it ends within its gzip data at byte ${length}`);
      assert.deepEqual(replies, expected(sent.slice(0, replies.length)));
    }
    const { replies } = await replayed(compressed.subarray(0, -1));
    assert.deepEqual(replies, expected(sent));
  });

  test("where its data make no sense, what came before them is answered; bytes are those of the "
    + "decompressed capture", async () => {
    const compressed = gzipSync(pcap(sent));
    const changed = Uint8Array.from(compressed);
    changed[changed.length - 6] ^= 1;
    const { damage, replies } = await replayed(changed);
    assert.match(
      damage?.message ?? "",
      /^in is damaged: it has gzip data that cannot be decompressed \(incorrect data check\) at byte \d+$/,
    );
    assert.deepEqual(replies, expected(sent.slice(0, 50)));
    const uncompressed = pcap(sent);
    const { damage: within } = await replayed(gzipSync(uncompressed.subarray(0, 30)));
    assert.equal(within?.message, "in, decompressed, is damaged: it ends at byte 30, within the packet at byte 24");
    await assert.rejects(
      replayed(gzipSync(new Uint8Array(0))),
      refused(/^in, decompressed, is not a capture that can be read: it is empty$/),
    );
  });

  test("of what grows a thousandfold no more is held than a few megabytes", async () => {
    const blocks = new Blocks(true);
    const [request] = requests(1);
    const padding = Buffer.from(blocks.block(0xbad, new Uint8Array(1 << 20)));
    const paddings = Array.from({ length: 100 }, () => padding);
    const packet = blocks.packet(request.ns / 1000n, request.frame);
    const capture = gzipSync(Buffer.concat([blocks.section(), blocks.interface(101), ...paddings, packet]));
    const source = new Source(chunked(capture, 1 << 20), "in");
    const held = new Map<number, number>();
    for await (const chunk of gunzip(source)) held.set(source.offset, (held.get(source.offset) ?? 0) + chunk.length);
    assert.ok([...held.values()].every((length) => length <= 5 << 20), [...held.values()].join(" "));
    assert.equal(
      [...held.values()].reduce((sum, length) => sum + length), 100 * padding.length + 28 + 20 + packet.length,
    );
    assert.deepEqual((await replayed(capture)).replies, expected([request]));
  });
});

describe("time", () => {
  const ms = 1_000_000n;
  const at = 1_700_000_000_000n * ms;
  const port = (destinationPort: number) => udpPacket({ data: pattern(4), destinationPort });
  const times = ({ replies }: Outcome) => replies.map(({ ns }) => ns);

  test("within a millisecond, an error has its packet's time, and a reply to fragments that of "
    + "the last one", async () => {
    const [first, last] = fragmentsOf(icmpPacket({ data: pattern(2000), fragment: 0 }), [0, 1480, 2008]);
    const frames = [
      [100n, port(1)], [400n, icmpPacket()], [500n, first], [600n, port(2)], [700n, last], [800n, icmpPacket()],
      [801n, port(3)],
    ] as const;
    const outcome = await replayed(
      pcap(frames.map(([ns, frame]) => ({ ns: at + ns, frame })), { nanoseconds: true }), { engine: "wasm" },
    );
    assert.deepEqual(outcome.replies.map(({ ns, frame }) => [ns - at, frame[20], frame.length]), [
      [100n, 3, 60], [400n, 0, 84], [600n, 3, 60], [700n, 0, 2028], [800n, 0, 84], [801n, 3, 60],
    ]);
  });

  test("a packet at time 0 has its own time, whatever follows within the millisecond", async () => {
    for (const engine of ENGINE_NAMES) {
      const sent = requests(4).map(({ frame }, i) => ({ ns: 1000n * BigInt(i), frame }));
      assert.deepEqual((await replayed(pcap(sent), { engine })).replies, expected(sent));
    }
  });

  test("a time before 1970 or after 2554 is that of the packet before it, and one line says how "
    + "many there are", async () => {
    const frames = requests(5).map(({ frame }) => frame);
    for (const littleEndian of [true, false]) {
      const blocks = new Blocks(littleEndian);
      const offset = blocks.option(14, pack(littleEndian, [-100n, 8]));
      const capture = Buffer.concat([
        blocks.section(), blocks.interface(101, offset), blocks.interface(101),
        blocks.packet(99_999_999n, frames[0]), blocks.packet(at / 1000n, frames[1], 1), blocks.packet(5n, frames[2]),
        blocks.packet(0xffff_ffff_ffff_ffffn, frames[3], 1), blocks.packet(at / 1000n + 1n, frames[4], 1),
      ]);
      const outcome = await replayed(capture);
      assert.deepEqual(
        outcome.replies, expected([0n, at, at, at, at + 1000n].map((ns, i) => ({ ns, frame: frames[i] }))),
      );
      assert.deepEqual(
        outcome.warnings,
        ["in has 3 packets of a time before 1970 or after 2554; each is given the time of the packet before it"],
      );
      assert.equal(outcome.damage, undefined);
    }
  });

  test("the first and the last nanosecond that can be written are kept", async () => {
    const blocks = new Blocks(true);
    const nanoseconds = blocks.option(9, Uint8Array.of(9));
    const [{ frame }] = requests(1);
    const last = (1n << 64n) - 1n;
    const outcome = await replayed(Buffer.concat(
      [blocks.section(), blocks.interface(101, nanoseconds), blocks.packet(0n, frame), blocks.packet(last, frame)],
    ));
    assert.deepEqual([times(outcome), outcome.warnings], [[0n, last], []]);
  });

  test("where the capture's times go back, the replies' do not, and one line says for how many", async () => {
    const sent = [5n, 3n, 4n, 5n, 6n].map(
      (ns) => ({ ns: at + ns * ms, frame: icmpPacket({ type: 13, data: pattern(12) }) }),
    );
    for (const engine of ENGINE_NAMES) {
      const outcome = await replayed(pcap(sent), { engine });
      assert.deepEqual(times(outcome), [5n, 5n, 5n, 5n, 6n].map((ns) => at + ns * ms));
      assert.deepEqual(
        outcome.warnings, ["in has times that go back; 2 replies are given the time of the reply before them"],
      );
      // A timestamp reply still has the time of its own request in its message.
      const midnight = at / ms % 86_400_000n;
      assert.deepEqual(
        outcome.replies.map(({ frame }) => BigInt(new DataView(frame.buffer).getUint32(36)) - midnight),
        [5n, 3n, 4n, 5n, 6n],
      );
    }
  });
});

/** Returns where each record of a capture ends, by writing captures with fewer of them. The file's header counts. */
function ends(write: typeof pcap, records: readonly Record[], options: object): number[] {
  return [0, ...records.keys()].map((_, i) => write(records.slice(0, i), options).length);
}

describe("damage", () => {
  const sent = requests(3);

  for (const { name, write, options } of FORMATS) {
    test(`${name}: cut at every byte, what was whole is answered and the place is named`, async () => {
      const capture = write(sent, options);
      const fileHeaderLen = write === pcap ? 24 : 28;
      const whole = ends(write, sent, options);
      const blockEnds = new Set(write === pcap ? whole : [28, ...whole]);
      for (let length = 0; length <= capture.length; length++) {
        const cut = capture.subarray(0, length);
        if (length < fileHeaderLen) {
          await assert.rejects(replayed(cut), refused(/^in is not a capture that can be read: it /));
          continue;
        }
        const { replies, damage } = await replayed(cut, { chunk: 50 });
        assert.deepEqual(
          replies, expected(sent.slice(0, whole.slice(1).filter((end) => end <= length).length)), `${length} bytes`,
        );
        if (blockEnds.has(length)) assert.equal(damage, undefined);
        else {
          const start = Math.max(...[...blockEnds].filter((end) => end < length));
          assert.match(
            damage?.message ?? "",
            new RegExp(`^in is damaged: it ends at byte ${length}, within the (packet|block) at byte ${start}$`),
          );
        }
      }
    });
  }

  const [first] = requests(1);
  const field = (capture: Uint8Array, at: number, ...field: Parameters<typeof pack>) => {
    const changed = Uint8Array.from(capture);
    changed.set(pack(...field), at);
    return changed;
  };
  for (const littleEndian of [true, false]) {
    const blocks = new Blocks(littleEndian);
    const good = Buffer.concat([blocks.section(), blocks.interface(101), blocks.packet(first.ns / 1000n, first.frame)]);
    const packet = blocks.packet(first.ns / 1000n, first.frame);
    const tail = Buffer.concat([packet, blocks.interface(101), packet]);
    const u32 = (value: number) => [littleEndian, [value, 4]] as const;
    const hostile: [string, Uint8Array, RegExp][] = [
      ...[0, 4, 8, 11, 12, 13, 28, 30, packet.length + 1, packet.length + 2, 0xffffffff, 0xfffffffc, 0x80000000, 327684]
        .map((length): [string, Uint8Array, RegExp] =>
          [
            `a packet block of ${length} bytes`, field(packet, 4, ...u32(length)),
            new RegExp(`has a block of type 6 and ${length} bytes`),
          ]),
      ...[0, 11, 13, 0xffffffff].map((length): [string, Uint8Array, RegExp] =>
        [
          `an unknown block of ${length} bytes`, field(blocks.block(99), 4, ...u32(length)),
          new RegExp(`has a block of type 99 and ${length} bytes`),
        ]),
      [
        "an unknown block of nearly 4 GiB", field(blocks.block(99), 4, ...u32(0xfffffffc)),
        /ends at byte \d+, within the block/,
      ],
      [
        "a shorter block whose end lies in the packet", field(packet, 4, ...u32(packet.length - 4)),
        /says \d+ at its end/,
      ],
      [
        "another length at the end", field(packet, packet.length - 4, ...u32(packet.length + 4)),
        /of \d+ bytes that says \d+ at its end/,
      ],
      [
        "another length at the end of an unknown block", field(blocks.block(99), 8, ...u32(16)),
        /a block of 12 bytes that says 16 at its end/,
      ],
      [
        "a packet beyond its block", field(packet, 20, ...u32(packet.length - 31)),
        /has a packet of \d+ bytes in a block of/,
      ],
      ["a packet of 4 GiB", field(packet, 20, ...u32(0xffffffff)), /has a packet of 4294967295 bytes/],
      ["an interface that is not described", field(packet, 8, ...u32(1)), /has a packet of interface 1, which/],
      [
        "an interface with the highest number", field(packet, 8, ...u32(0xffffffff)),
        /has a packet of interface 4294967295, which/,
      ],
      [
        "a simple packet beyond its block", field(blocks.simplePacket(28, new Uint8Array(28)), 8, ...u32(29)),
        /has a packet of 29 bytes/,
      ],
      [
        "an option beyond its block", blocks.interface(101, pack(littleEndian, [2, 2], [5, 2], [0, 4])),
        /has an option of 5 bytes/,
      ],
      ["if_tsresol of 4 bytes", blocks.interface(101, blocks.option(9, new Uint8Array(4))), /if_tsresol of 4 bytes/],
      ["if_tsresol of 0 bytes", blocks.interface(101, blocks.option(9, new Uint8Array(0))), /if_tsresol of 0 bytes/],
      ["if_tsoffset of 4 bytes", blocks.interface(101, blocks.option(14, new Uint8Array(4))), /if_tsoffset of 4 bytes/],
      ["a section without its magic", field(blocks.section(), 8, ...u32(0)), /without its byte-order magic/],
      [
        "a section of version 2", field(blocks.section(), 12, littleEndian, [2, 2]),
        /pcapng version 2\.0, and 1\.0 is read/,
      ],
      [
        "a packet of a section without interfaces", Buffer.concat([blocks.section(), packet]),
        /has a packet of interface 0, which/,
      ],
      [
        "more interfaces than can be named", Buffer.concat(Array.from({ length: 65536 }, () => blocks.interface(101))),
        /more than 65536 interfaces/,
      ],
    ];
    for (const [name, bad, message] of hostile) {
      test(`pcapng, ${littleEndian ? "little" : "big"}-endian: ${name}`, async () => {
        const { replies, damage } = await replayed(Buffer.concat([good, bad, tail]));
        assert.match(damage?.message ?? "", message);
        const at = Number(/ at byte (\d+)$/.exec(damage?.message ?? "")?.[1]);
        assert.ok(at >= good.length && at < good.length + bad.length, damage?.message);
        assert.deepEqual(replies, expected([first]));
      });
    }

    test(`pcap, ${littleEndian ? "little" : "big"}-endian: packets of more bytes than any has`, async () => {
      const capture = pcap([first, first], { littleEndian });
      const second = 24 + (capture.length - 24) / 2;
      for (const length of [262145, 0x80000000, 0xffffffff]) {
        const { replies, damage } = await replayed(field(capture, second + 8, ...u32(length)));
        assert.equal(damage?.message, `in is damaged: it has a packet of ${length} bytes at byte ${second}`);
        assert.deepEqual(replies, expected([first]));
      }
    });
  }

  const unexpected = (message: string) => { throw new Error(message); };
  test("a read that fails: nothing at its start (usage), what came before it later on", async () => {
    const options = {
      serving: serving([parsePrefix(PREFIX)]), hostAddresses: [], engine: "js", reassembly: 0,
    } as const;
    async function* failing(...chunks: Uint8Array[]) {
      yield* chunks;
      throw await Promise.resolve(new Error("EIO"));
    }
    const output = new Memory();
    await assert.rejects(
      replay(failing(), "in", output, options, unexpected), refused(/^the capture cannot be read: EIO$/, EXIT.USAGE),
    );
    assert.ok(output.discarded);
    const { damage } = await replay(failing(pcap([])), "in", new Memory(), options, unexpected);
    assert.equal(damage?.message, "in could not be read beyond byte 24: EIO");
  });

  test("what is no capture is said to be none", async () => {
    for (const [bytes, message] of [
      [Buffer.from("GIF89a\x01\0, a picture and no capture at all"), /begins as neither pcap nor pcapng does/],
      [Buffer.alloc(0), /is empty/],
      [field(pcap([first]), 4, true, [1, 2]), /is pcap of version 1\.4, and 2\.2 to 2\.4 are read/],
      [field(pcapng([first]), 8, true, [0, 4]), /without its byte-order magic/],
      [field(pcapng([first]), 4, true, [24, 4]), /has a block of type 168627466 and 24 bytes/],
    ] as const) {
      await assert.rejects(replayed(bytes), refused(message));
    }
  });

  test("what is no capture that is read has its usual name, and a command that makes one of it", async () => {
    for (const [bytes, message] of [
      [
        gzipSync(gzipSync(pcap([first]))),
        /^in, decompressed, is not a capture [^:]+: it is compressed by gzip a second time; [^:]+: gzip -dc IN \| gzip -dc \| pongd/,
      ],
      [
        Buffer.from("28b52ffd24", "hex"),
        /is compressed by zstd; decompress it: zstd -dc IN \| pongd replay - OUT PREFIX$/,
      ],
      [Buffer.from("BZh91AY&SY"), /is compressed by bzip2; decompress it: bzip2 -dc IN \|/],
      [Buffer.from("fd377a585a000004", "hex"), /is compressed by xz; decompress it: xz -dc IN \|/],
      [Buffer.from("04224d186440a7", "hex"), /is compressed by lz4; decompress it: lz4 -dc IN \|/],
      [Buffer.from("504b03041400", "hex"), /is a zip archive; decompress it: unzip -p IN \|/],
      [
        Buffer.concat([Buffer.alloc(257, "a\0"), Buffer.from("ustar\0")]),
        /is a tar archive; decompress it: tar -xOf IN MEMBER \|/,
      ],
      [Buffer.from("snoop\0\0\0\0\0\0\x02"), /is a capture of Sun's snoop; convert it: editcap -F pcap IN OUT$/],
      [Buffer.from("GMBU\0\x02"), /is a capture of Microsoft Network Monitor 2; convert it: editcap/],
      [Buffer.from("0000000080b4656542000058ffff0048", "hex"), /begins as neither pcap nor pcapng does$/],
      [
        Buffer.from("0000000080b4656502000058ffff0048", "hex"),
        /looks like a capture of Endace \(ERF\); convert it: traceconvert erf:IN pcapfile:OUT/,
      ],
      [
        Buffer.from("13.0: 0(i) len=60:0010db1d0300->0010db1d0300/0800\n"),
        /is a capture of NetScreen's snoop; convert it: editcap/,
      ],
      [Buffer.from("\n<!DOCTYPE html>\n<html>"), /is an HTML page; download the file that the page is about$/],
      [Buffer.from("0000  45 00 00 54 00 01\n"), /is a hexdump, which is text; convert it: text2pcap IN OUT$/],
      [Buffer.from("12:00:00.1 IP 10.0.0.1\n\t0x0000:  4500 0054 0001\n"), /is a hexdump/],
      [
        Buffer.from("12:00:00.1 IP 10.0.0.1 > 10.0.0.2: ICMP echo request\n"),
        /is text; capture with tcpdump -w FILE, or tshark -w FILE$/,
      ],
    ] as const) {
      await assert.rejects(replayed(bytes), refused(message));
    }
  });

  const random = Random.fromEnvironment();
  test(`${MUTATIONS} mutated captures, seed ${random.seed}: replies to what is whole or a Failure, and `
    + "no other error", async () => {
    const frames = FRAMES.filter(({ linkType }) => linkType === 1)
      .map(({ frame }, i) => ({ ns: sent[i % 3].ns, frame: frame(sent[i % 3].frame) }));
    const captures = FORMATS.map(({ write, options }) => write(frames, { ...options, linkType: 1 }));
    const outcomes = { whole: 0, damaged: 0, refused: 0 };
    for (let i = 0; i < MUTATIONS; i++) {
      try {
        const { damage, replies, received, replied } = await replayed(
          mutated(random.pick(captures)), { chunk: 1 + random.below(400) },
        );
        assert.ok(replies.length === replied && replied <= received && received <= 100);
        assert.ok(damage === undefined || damage instanceof Damage);
        outcomes[damage ? "damaged" : "whole"]++;
      } catch (error) {
        if (!(error instanceof Failure) || error.exitStatus !== EXIT.RUNTIME) throw error;
        outcomes.refused++;
      }
    }
    for (const [outcome, count] of Object.entries(outcomes)) assert.ok(count > MUTATIONS / 50, `${outcome}: ${count}`);
  });

  /** Lengths and types that exist, that nearly exist, and that are far beyond. */
  const WORDS = [0, 1, 3, 4, 6, 12, 13, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffc, 262145];

  /** Returns a copy with bytes and words changed, and bytes taken out, put in and cut off. */
  function mutated(capture: Uint8Array): Uint8Array {
    let changed = Uint8Array.from(capture);
    for (let changes = 1 + random.below(3); changes > 0; changes--) {
      const at = random.below(Math.min(changed.length, random.oneIn(3) ? 64 : Infinity));
      switch (random.below(6)) {
        case 0: changed[at] ^= 1 << random.below(8); break;
        case 1: changed[at] = random.next(); break;
        case 2: changed.set(pack(random.oneIn(2), [random.pick(WORDS), 4]).subarray(0, changed.length - at), at); break;
        case 3: changed = Uint8Array.from(
          [...changed.subarray(0, at), ...changed.subarray(at + random.below(40))],
        ); break;
        case 4: changed = Uint8Array.from(
          [...changed.subarray(0, at), ...changed.subarray(random.below(changed.length))],
        ); break;
        case 5: if (random.oneIn(3)) changed = changed.slice(0, at); break;
      }
    }
    return changed;
  }
});

describe("chance", () => {
  const sent = requests(300).map(({ ns }, i) =>
    ({ ns, frame: icmpPacket({ sequence: i, ttl: i % 3 === 0 ? 2 : 64 }) }));
  const NETEM = "delay 9ms 4ms 25% loss 10% 20% duplicate 10% corrupt 5% reorder 20%";

  test("on links and where a path divides, the same seed gives the same bytes, and another one others", async () => {
    const replies = async (seed: number, more: string) => {
      const { options: { serving, kept } } = read(`seed: ${seed}\nprefixes: [{ prefix: ${PREFIX}, ${more} }]\n`);
      const output = new Memory();
      const options = {
        serving, hostAddresses: [parseAddress(HOST)], engine: "wasm" as const, reassembly: DEFAULT_REASSEMBLY, kept,
      };
      await replay(chunked(pcap(sent)), "in", output, options, (message) => { assert.fail(message); });
      return output.bytes;
    };
    for (const more of [
      `link: { netem: "${NETEM}", compat: netem }`,
      "path: [{ hop: 10.98.0.1 }, { any: [[{ hop: 10.98.0.2 }], [{ hop: 10.98.0.3 }]], hash: packet }]",
    ]) {
      const [first, again, other] = [await replies(1, more), await replies(1, more), await replies(2, more)];
      assert.ok(readReplies(first).length > 200);
      assert.ok(first.equals(again), more);
      assert.ok(!first.equals(other), more);
    }
  });

  test("--seed repeats what the command leaves to it", () => {
    const dir = mkdtempSync(join(tmpdir(), "pongd-test-"));
    after(() => { rmSync(dir, { recursive: true }); });
    const [input, output] = [join(dir, "in.pcap"), join(dir, "out.pcapng")];
    writeFileSync(input, pcap(sent));
    const replies = (...seed: string[]) => {
      const args = [input, output, PREFIX, "--host-address", HOST, "--link", `netem=${NETEM},compat=netem`, ...seed];
      const { status, stderr } = spawnSync(process.execPath, [CLI, "replay", ...args], { encoding: "utf8" });
      assert.deepEqual([status, stderr], [0, ""]);
      return readFileSync(output);
    };
    const first = replies("--seed", "1");
    const records = readReplies(first, "seed 1");
    assert.ok(records.length > 200);
    assert.ok(first.equals(replies("--seed", "1")));
    assert.notDeepEqual(readReplies(replies("--seed", "2"), "seed 2"), records);
    // Without a seed, it is the same one each time.
    const unseeded = replies();
    assert.ok(readReplies(unseeded, "seed 0").length > 200);
    assert.ok(unseeded.equals(replies()));
  });
});

describe("the command", () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-test-"));
  after(() => { rmSync(dir, { recursive: true }); });
  const [input, output] = [join(dir, "in.pcap"), join(dir, "out.pcapng")];
  const sent = requests(2);
  const foreign = { ns: START, frame: icmpPacket({ dst: "192.0.2.1" }) };
  const ethernet = [...sent, foreign].map(({ ns, frame }) => ({ ns, frame: FRAMES[5].frame(frame) }));
  const capture = pcap([...ethernet, { ns: START, frame: ARP }], { linkType: 1 });
  writeFileSync(input, capture);
  const pongd = (args: string[], stdin?: Uint8Array) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, "replay", ...args], { input: stdin });
    return { status, stdout, stderr: stderr.toString() };
  };
  const SUMMARY = "answered 2 of 3 packets; dropped 1 (not_our_prefix 1); skipped 1 (not IP 1)\n";

  test("file to file: status 0, one line, the replies", () => {
    const { status, stdout, stderr } = pongd([input, output, PREFIX]);
    assert.deepEqual([status, stdout.toString(), stderr], [0, SUMMARY, ""]);
    assert.deepEqual(readReplies(readFileSync(output)), expected(sent));
    assert.deepEqual(readdirSync(dir).sort(), ["in.pcap", "out.pcapng"]);
  });

  test("standard input to standard output: the same bytes, and the line on standard error", () => {
    for (const engine of ENGINE_NAMES) {
      const { status, stdout, stderr } = pongd(["-", "-", PREFIX, "--engine", engine], capture);
      assert.deepEqual([status, stderr], [0, SUMMARY]);
      assert.deepEqual(stdout, readFileSync(output));
    }
  });

  test("a damaged capture: what was whole, the line, what is wrong, status 1", () => {
    const cut = join(dir, "cut.pcap");
    writeFileSync(cut, capture.subarray(0, 24 + 16 + 14 + 28 + 5));
    const { status, stdout, stderr } = pongd([cut, output, PREFIX]);
    assert.deepEqual([status, stdout.toString()], [1, "answered 1 of 1 packets\n"]);
    assert.equal(stderr, `pongd: ${cut} is damaged: it ends at byte 87, within the packet at byte 82\n`);
    assert.deepEqual(readReplies(readFileSync(output)), expected(sent.slice(0, 1)));
    rmSync(cut);
  });

  test("no room for the replies: one line, status 1", () => {
    const full = openSync("/dev/full", "w");
    const { status, stderr } = spawnSync(
      process.execPath, [CLI, "replay", input, "-", PREFIX], { stdio: ["ignore", full, "pipe"], encoding: "utf8" },
    );
    closeSync(full);
    assert.deepEqual(
      [status, stderr], [1, "pongd: the output could not be written: ENOSPC: no space left on device, write\n"],
    );
  });

  test("OUT stays as it is, and alone, when nothing can be read or written", () => {
    writeFileSync(output, "precious");
    for (const [args, expected, message] of [
      [[join(dir, "none"), output, PREFIX], 2, /the capture cannot be read: ENOENT/],
      [[dir, output, PREFIX], 2, /the capture cannot be read: EISDIR/],
      [
        [output, output, PREFIX], 1,
        /out\.pcapng is not a capture that can be read: it is text; capture with tcpdump -w/,
      ],
      [[input, dir, PREFIX], 2, /cannot be written: EISDIR/],
      [[input, join(dir, "none", "out"), PREFIX], 2, /cannot be written: ENOENT/],
    ] as const) {
      const { status, stdout, stderr } = pongd([...args]);
      assert.match(stderr, message);
      assert.match(stderr, /^pongd: [^\n]+\n$/);
      assert.deepEqual([status, stdout.toString()], [expected, ""]);
      assert.deepEqual(
        [readFileSync(output, "utf8"), readdirSync(dir).sort()], ["precious", ["in.pcap", "out.pcapng"]],
      );
    }
  });

  test("OUT stays as it is, and alone, when no packet is of a link type that is read", () => {
    const wireless = join(dir, "wireless.pcap");
    writeFileSync(wireless, pcap(sent, { linkType: 105 }));
    const { status, stdout, stderr } = pongd([wireless, output, PREFIX]);
    rmSync(wireless);
    assert.deepEqual([status, stdout.toString()], [1, ""]);
    assert.match(
      stderr,
      /^pongd: .* has packets of 802\.11 \(link type 105\), [^\n]+\npongd: nothing of .* can be read: 2 packets, [^\n]+\n$/,
    );
    assert.deepEqual([readFileSync(output, "utf8"), readdirSync(dir).sort()], ["precious", ["in.pcap", "out.pcapng"]]);
  });

  /** Starts the command. `ended` is how it ends. */
  function start(...args: string[]) {
    const child = spawn(process.execPath, [CLI, "replay", ...args]);
    let stderr = "";
    child.stderr.on("data", (chunk) => { stderr += String(chunk); });
    const ended = once(child, "close").then(([status]) => ({ status: status as number | null, stderr }));
    return { child, ended };
  }

  /** Waits until the command has made the file that becomes OUT. It handles signals by then. */
  async function untilOpen(): Promise<void> {
    while (readdirSync(dir).every((name) => !name.startsWith(".pongd-"))) await new Promise(setImmediate);
  }

  test("replies are written when the pipe pauses", async () => {
    const { child, ended } = start("-", "-", PREFIX);
    const whole = readFileSync(input);
    let stdout = Buffer.alloc(0);
    child.stdout.on("data", (chunk: Buffer) => { stdout = Buffer.concat([stdout, chunk]); });
    const record = 16 + 14 + 28;
    for (let i = 0; i < 2; i++) {
      // The first bytes of the next packet must not hold this one's reply back.
      child.stdin.write(whole.subarray(i === 0 ? 0 : 24 + record + 10, 24 + (i + 1) * record + 10));
      while (stdout.length < 60 + (i + 1) * 60) await once(child.stdout, "data");
      assert.deepEqual(readReplies(stdout), expected(sent.slice(0, i + 1)));
    }
    child.stdin.end(whole.subarray(24 + 2 * record + 10));
    assert.deepEqual(await ended, { status: 0, stderr: SUMMARY });
  });

  test("a signal ends a pipe: OUT has the replies to all that came, a packet that is not whole is left "
    + "out, status 0", async () => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      writeFileSync(output, "old");
      const { child, ended } = start("-", output, PREFIX);
      child.stdin.write(capture.subarray(0, -5));
      await untilOpen();
      child.kill(signal);
      assert.deepEqual(await ended, { status: 0, stderr: "" });
      assert.deepEqual(readReplies(readFileSync(output)), expected(sent));
    }
  });

  test("what the other end of the pipe writes when the signal ends it, too, is read", async () => {
    const { child, ended } = start("-", output, PREFIX);
    child.stdin.write(capture.subarray(0, 30));
    await untilOpen();
    child.kill("SIGINT");
    child.stdin.end(capture.subarray(30));
    assert.deepEqual(await ended, { status: 0, stderr: "" });
    assert.deepEqual(readReplies(readFileSync(output)), expected(sent));
  });

  test("a pipe of which nothing came when a signal ends it, and that nobody writes into, leaves "
    + "OUT as it is", async () => {
    writeFileSync(output, "precious");
    const folder = mkdtempSync(join(tmpdir(), "pongd-test-"));
    const pipe = join(folder, "pipe");
    assert.equal(spawnSync("mkfifo", [pipe]).status, 0);
    for (const [name, path] of [["standard input", "-"], [pipe, pipe]]) {
      const { child, ended } = start(path, output, PREFIX);
      await untilOpen();
      child.kill("SIGTERM");
      assert.deepEqual(
        await ended, { status: 1, stderr: `pongd: nothing came from ${name} before it was interrupted\n` },
      );
      assert.equal(readFileSync(output, "utf8"), "precious");
    }
    rmSync(folder, { recursive: true });
  });

  describe("replies that are not read, and a signal", () => {
    const long = join(dir, "long.pcap");
    const many = requests(40_000);
    before(() => { writeFileSync(long, pcap(many)); });
    after(() => { rmSync(long); });

    test("a file is left where it is, which is said, and what was answered is kept, status 1", async () => {
      const { child, ended } = start(long, "-", PREFIX);
      await once(child.stdout, "readable");
      child.kill("SIGINT");
      const chunks: Uint8Array[] = [];
      for await (const chunk of child.stdout) chunks.push(chunk as Uint8Array);
      const { status, stderr } = await ended;
      const replies = readReplies(Buffer.concat(chunks));
      assert.ok(replies.length > 0 && replies.length < many.length);
      assert.deepEqual(replies, expected(many.slice(0, replies.length)));
      assert.equal(status, 1);
      assert.match(
        stderr, /^answered \d+ of \d+ packets\npongd: .*long\.pcap could not be read beyond byte \d+: interrupted\n$/,
      );
    });

    test("the command ends all the same", async () => {
      const { child, ended } = start(long, "-", PREFIX);
      await once(child.stdout, "readable");
      child.kill("SIGTERM");
      await once(child, "exit");
      child.stdout.destroy();
      assert.deepEqual(await ended, { status: 1, stderr: "pongd: interrupted before the replies were written\n" });
    });
  });

  test("OUT keeps its mode, and a link to it stays one; IN may be OUT; a pipe stays one", () => {
    const folder = join(dir, "linked");
    mkdirSync(folder);
    const [link, file] = [join(folder, "link"), join(folder, "file")];
    writeFileSync(file, capture);
    chmodSync(file, 0o600);
    symlinkSync("file", link);
    assert.equal(pongd([link, link, PREFIX]).status, 0);
    assert.ok(lstatSync(link).isSymbolicLink());
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(readReplies(readFileSync(file)), expected(sent));
    const pipe = join(folder, "pipe");
    const { stdout } = spawnSync("sh", [
      "-c", "mkfifo \"$0\" && { cat \"$0\" & } && \"$@\" >&2 && wait", pipe, process.execPath, CLI, "replay", input,
      pipe, PREFIX,
    ]);
    assert.deepEqual(readReplies(stdout), expected(sent));
    assert.ok(statSync(pipe).isFIFO());
  });

  test("whoever reads the replies may leave: the command ends without a word", async () => {
    const { child, ended } = start("-", "-", PREFIX);
    child.stdout.destroy();
    // There are more packets to come, but nobody to read their replies.
    child.stdin.write(capture);
    assert.deepEqual(await ended, { status: 0, stderr: "" });
  });
});
