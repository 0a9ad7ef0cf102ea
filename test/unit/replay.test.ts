/** Captures of every format and link type, whole, cut and mutated, through the engines; and what becomes of OUT. SEED=… repeats the mutations. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, closeSync, lstatSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { SLOTS } from "../../src/abi.js";
import { ENGINE_NAMES, type EngineName } from "../../src/engine/engine.js";
import { TABLE } from "../../src/bench/workload.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { DEFAULT_REASSEMBLY } from "../../src/engine/policy.js";
import { EXIT, Failure } from "../../src/failure.js";
import { parseAddress, parsePrefix, serving } from "../../src/prefixes.js";
import type { Output } from "../../src/output.js";
import { Batches, replay, type Replayed } from "../../src/replay/replay.js";
import { Damage } from "../../src/replay/source.js";
import { ReplyWriter } from "../../src/replay/writer.js";
import { ARP, Blocks, FRAMES, pack, pcap, pcapng, readReplies, type Record } from "../support/captures.js";
import { CLI } from "../support/netns.js";
import { expectedReply, fragmentsOf, HOST, icmpPacket, pattern, PREFIX } from "../support/packets.js";
import { Random } from "../support/random.js";

const MUTATIONS = 2000;
const START = 1_700_000_000_123_456_000n;

/** For assert.rejects(): a Failure that says nothing could be read. */
function usage(message: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof Failure && error.exitStatus === EXIT.USAGE && message.test(error.message);
}

/** What was written, in memory. */
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

async function replayed(capture: Uint8Array, { engine = "js", chunk = 4096, ignoreEcho = false, ttl = 64 }: { engine?: EngineName; chunk?: number; ignoreEcho?: boolean; ttl?: number } = {}): Promise<Outcome> {
  const output = new Memory();
  const warnings: string[] = [];
  const options = { serving: serving([parsePrefix(PREFIX)], { ttl, echo: !ignoreEcho }), hostAddresses: [parseAddress(HOST)], engine, reassembly: engine === "wasm" ? DEFAULT_REASSEMBLY : 0 };
  const result = await replay(chunked(capture, chunk), "in", output, options, (message) => warnings.push(message));
  assert.ok(output.committed);
  return { ...result, replies: readReplies(output.bytes), bytes: output.bytes, warnings };
}

/** Requests that differ, in microseconds that differ. */
function requests(count: number, stepNs = 400_000n): Record[] {
  return Array.from({ length: count }, (_, i) => ({ ns: START + BigInt(i) * stepNs, frame: icmpPacket({ sequence: i, data: pattern(i % 7) }) }));
}

function expected(records: readonly Record[], ttl = 64): Record[] {
  return records.map(({ ns, frame }) => ({ ns, frame: expectedReply(frame, ttl) }));
}

const FORMATS = [pcap, pcapng].flatMap((write) => [true, false].flatMap((littleEndian) => [true, false].map((nanoseconds) => ({
  name: `${write.name}, ${littleEndian ? "little" : "big"}-endian, ${nanoseconds ? "nano" : "micro"}seconds`, write, options: { littleEndian, nanoseconds },
}))));

describe("formats", () => {
  for (const { name, write, options } of FORMATS) {
    test(`${name}: every link type is answered, each reply with its request's time`, async () => {
      const sent = requests(5, options.nanoseconds ? 400_001n : 400_000n);
      for (const { name: link, linkType, frame } of FRAMES) {
        const capture = write(sent.map((record) => ({ ns: record.ns, frame: frame(record.frame) })), { ...options, linkType });
        const { replies, received, replied, dropped, skipped, damage } = await replayed(capture);
        assert.deepEqual(replies, expected(sent), link);
        assert.deepEqual({ received, replied, dropped, skipped, damage }, { received: 5, replied: 5, dropped: {}, skipped: {}, damage: undefined });
      }
    });
  }

  test("a capture without packets gives one without replies", async () => {
    for (const capture of [pcap([]), pcapng([]), new Blocks(true).section()]) assert.deepEqual((await replayed(capture)).replies, []);
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
        const options = Buffer.concat([blocks.option(9, Uint8Array.of(resolution)), blocks.option(14, pack(littleEndian, [offset, 8]))]);
        const { replies } = await replayed(Buffer.concat([blocks.section(), blocks.interface(101, options), blocks.packet(units, frame)]));
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
      little.section(), little.interface(147), little.interface(1), little.packet(micro(1), ethernet?.frame(sent[1].frame) ?? ARP, 1),
      big.section(), big.interface(228), big.packet(micro(2), sent[2].frame), big.packet(micro(3), sent[3].frame),
    ]);
    assert.deepEqual((await replayed(capture)).replies, expected(sent));
  });

  test("pcapng: the obsolete packet block is read, and one of no known type is skipped, whatever its size", async () => {
    const [first, second] = requests(2);
    for (const littleEndian of [true, false]) {
      const blocks = new Blocks(littleEndian);
      const capture = Buffer.concat([
        blocks.block(0xbad), blocks.interface(101), blocks.obsoletePacket(first.ns / 1000n, first.frame), blocks.block(0x80000001, new Uint8Array(4_000_000)),
        blocks.block(5, new Uint8Array(13)), blocks.packet(second.ns / 1000n, second.frame),
      ]);
      assert.deepEqual((await replayed(Buffer.concat([blocks.section(), capture]))).replies, expected([first, second]));
    }
  });

  test("pcapng: a simple packet is of the first interface, cut by its snap length, and of the time before it", async () => {
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

  test("the order of chunks' ends does not matter, nor which engine answers, nor how often: the same bytes", async () => {
    const sent = [...requests(40), { ns: START, frame: icmpPacket({ dst: "192.0.2.1" }) }, { ns: START, frame: icmpPacket({ data: pattern(65507) }) }];
    for (const write of [pcap, pcapng]) {
      const capture = write(sent);
      const { bytes } = await replayed(capture);
      for (const engine of ENGINE_NAMES) for (const chunk of [1, 7, 4096, 1 << 20]) assert.deepEqual((await replayed(capture, { engine, chunk })).bytes, bytes);
      assert.equal(readReplies(bytes).length, 41);
    }
  });

  test("a timestamp is the capture's time of day, of each millisecond its own", async () => {
    const midnight = BigInt(Date.UTC(2026, 10, 24)) * 1_000_000n;
    const times = [0n, 999_999n, 1_000_000n, 45_296_789_000_001n, 86_399_999_999_999n];
    const sent = times.map((time) => ({ ns: midnight + time, frame: icmpPacket({ type: 13, data: pattern(12) }) }));
    for (const engine of ENGINE_NAMES) {
      const { replies } = await replayed(pcap(sent, { nanoseconds: true }), { engine });
      assert.deepEqual(replies.map(({ frame }) => new DataView(frame.buffer).getUint32(36)), [0, 0, 1, 45_296_789, 86_399_999]);
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
    const ends = [0, 13, 14, 17].map((length) => ({ ns, frame: pack(false, new Uint8Array(12), [0x8100, 2], [42, 2], [0x0800, 2]).subarray(0, length) }));
    const { replies, skipped, received } = await replayed(pcap([{ ns, frame: ARP }, ...ends, { ns, frame: FRAMES[5].frame(packet) }], { linkType: 1 }));
    assert.deepEqual([replies.length, skipped, received], [1, { "not IP": 5 }, 1]);
  });

  test("an empty packet, and one cut short, are the engine's to judge", async () => {
    const [{ ns, frame }] = requests(1);
    const { dropped, skipped } = await replayed(pcap([{ ns, frame: frame.subarray(0, 0) }, { ns, frame: frame.subarray(0, 27) }]));
    assert.deepEqual([dropped, skipped], [{ ip_inhdr: 1, pkt_too_small: 1 }, {}]);
  });

  test("a packet longer than any of IP is skipped, the longest is answered", async () => {
    const longest = icmpPacket({ data: pattern(65507) });
    const { replies, skipped } = await replayed(pcap([{ ns: START, frame: pack(true, longest, [0, 1]) }, { ns: START, frame: longest }]));
    assert.deepEqual(skipped, { "over 65535 bytes": 1 });
    assert.deepEqual(replies, expected([{ ns: START, frame: longest }]));
  });

  test("a link type that is not read is named once; the packets of other interfaces are answered", async () => {
    const [{ ns, frame }] = requests(1);
    const blocks = new Blocks(true);
    const packets = [0, 1, 0, 2].map((id) => blocks.packet(ns / 1000n, frame, id));
    const { replies, skipped, warnings } = await replayed(Buffer.concat([blocks.section(), blocks.interface(147), blocks.interface(101), blocks.interface(148), ...packets]));
    assert.deepEqual([replies.length, skipped], [1, { "unread link type": 3 }]);
    assert.deepEqual(warnings, [147, 148].map((linkType) => `in has packets of link type ${linkType}, which is not read; they are skipped`));
    assert.deepEqual((await replayed(pcap([{ ns, frame }], { linkType: 147 }))).skipped, { "unread link type": 1 });
  });

  test("of any number of such link types a few are named", async () => {
    const blocks = new Blocks(true);
    const many = Array.from({ length: 100 }, (_, id) => [blocks.interface(20000 + id), blocks.packet(1n, ARP, id)]).flat();
    const { skipped, warnings } = await replayed(Buffer.concat([blocks.section(), ...many]));
    assert.deepEqual([skipped, warnings.length], [{ "unread link type": 100 }, 8]);
  });
});

test("a batch ends when it is full and when the capture's millisecond changes, back or forth", async () => {
  const batches: [count: number, now: number][] = [];
  const linear = LinearMemory.create({ mtu: 65535, reassembly: 0, table: TABLE });
  const respond = (count: number, now: number) => {
    batches.push([count, now]);
    return 0;
  };
  const gather = new Batches(linear, { respond }, new ReplyWriter(new Memory()));
  const times = [...Array.from({ length: 300 }, () => 5_000_000n), 5_999_999n, 6_000_000n, 6_000_001n, 5_000_000n, 0n];
  for (const ns of times) await gather.add(ARP, ns);
  await gather.respond();
  await gather.respond();
  assert.deepEqual(batches, [[256, 5], [45, 5], [2, 6], [1, 5], [1, 0]]);
});

test("thousands of packets of one millisecond, and of one each: every slot comes back", async () => {
  for (const stepNs of [0n, 1_000_000n]) {
    const sent = requests(5 * SLOTS, stepNs);
    for (const engine of ENGINE_NAMES) assert.deepEqual((await replayed(pcapng(sent, { nanoseconds: true }), { engine })).replies, expected(sent));
  }
});

test("fragments by the capture's clock: answered when whole, an error at the moment when their time is over, and the rest said to be held", async () => {
  const ms = 1_000_000n;
  const [first, last] = fragmentsOf(icmpPacket({ data: pattern(2000), fragment: 0 }), [0, 1480, 2008]);
  const [lost] = fragmentsOf(icmpPacket({ id: 1, data: pattern(2000), fragment: 0 }), [0, 1480, 2008]);
  const [late] = fragmentsOf(icmpPacket({ id: 2, data: pattern(2000), fragment: 0 }), [0, 1480, 2008]);
  const [at, request] = [1_700_000_000_000n * ms, icmpPacket()];
  const frames = [[0n, lost], [5_000n * ms, last], [5_000n * ms + 7n, first], [59_999n * ms, request], [70_000n * ms, request], [70_000n * ms, late]] as const;
  const capture = pcapng(frames.map(([ns, frame]) => ({ ns: at + ns, frame })), { nanoseconds: true });
  const { replies, received, replied, dropped, held } = await replayed(capture, { engine: "wasm" });
  assert.deepEqual(replies.map(({ ns, frame }) => [(ns - at) / ms, frame[20], frame.length]), [[5_000n, 0, 2028], [59_999n, 0, 84], [60_000n, 11, 576], [70_000n, 0, 84]]);
  assert.deepEqual({ received, replied, dropped, held }, { received: 6, replied: 4, dropped: { frag_reasm_timeout: 1 }, held: 1 });
  assert.deepEqual((await replayed(capture, { engine: "js" })).dropped, { ip_fragment: 4 });
});

/** Where each record of a capture ends, its headers included, by writing fewer of them. */
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
          await assert.rejects(replayed(cut), usage(/^in is not a capture that can be read: it /));
          continue;
        }
        const { replies, damage } = await replayed(cut, { chunk: 50 });
        assert.deepEqual(replies, expected(sent.slice(0, whole.slice(1).filter((end) => end <= length).length)), `${length} bytes`);
        if (blockEnds.has(length)) assert.equal(damage, undefined);
        else {
          const start = Math.max(...[...blockEnds].filter((end) => end < length));
          assert.match(damage?.message ?? "", new RegExp(`^in is damaged: it ends at byte ${length}, within the (packet|block) at byte ${start}$`));
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
      ...[0, 4, 8, 11, 12, 13, 28, 30, packet.length + 1, packet.length + 2, 0xffffffff, 0xfffffffc, 0x80000000, 327684].map((length): [string, Uint8Array, RegExp] =>
        [`a packet block of ${length} bytes`, field(packet, 4, ...u32(length)), new RegExp(`has a block of type 6 and ${length} bytes`)]),
      ...[0, 11, 13, 0xffffffff].map((length): [string, Uint8Array, RegExp] =>
        [`an unknown block of ${length} bytes`, field(blocks.block(99), 4, ...u32(length)), new RegExp(`has a block of type 99 and ${length} bytes`)]),
      ["an unknown block of nearly 4 GiB", field(blocks.block(99), 4, ...u32(0xfffffffc)), /ends at byte \d+, within the block/],
      ["a shorter block whose end lies in the packet", field(packet, 4, ...u32(packet.length - 4)), /says \d+ at its end/],
      ["another length at the end", field(packet, packet.length - 4, ...u32(packet.length + 4)), /of \d+ bytes that says \d+ at its end/],
      ["another length at the end of an unknown block", field(blocks.block(99), 8, ...u32(16)), /a block of 12 bytes that says 16 at its end/],
      ["a packet beyond its block", field(packet, 20, ...u32(packet.length - 31)), /has a packet of \d+ bytes in a block of/],
      ["a packet of 4 GiB", field(packet, 20, ...u32(0xffffffff)), /has a packet of 4294967295 bytes/],
      ["an interface that is not described", field(packet, 8, ...u32(1)), /has a packet of interface 1, which/],
      ["an interface with the highest number", field(packet, 8, ...u32(0xffffffff)), /has a packet of interface 4294967295, which/],
      ["a simple packet beyond its block", field(blocks.simplePacket(28, new Uint8Array(28)), 8, ...u32(29)), /has a packet of 29 bytes/],
      ["an option beyond its block", blocks.interface(101, pack(littleEndian, [2, 2], [5, 2], [0, 4])), /has an option of 5 bytes/],
      ["if_tsresol of 4 bytes", blocks.interface(101, blocks.option(9, new Uint8Array(4))), /if_tsresol of 4 bytes/],
      ["if_tsresol of 0 bytes", blocks.interface(101, blocks.option(9, new Uint8Array(0))), /if_tsresol of 0 bytes/],
      ["if_tsoffset of 4 bytes", blocks.interface(101, blocks.option(14, new Uint8Array(4))), /if_tsoffset of 4 bytes/],
      ["a section without its magic", field(blocks.section(), 8, ...u32(0)), /without its byte-order magic/],
      ["a section of version 2", field(blocks.section(), 12, littleEndian, [2, 2]), /pcapng version 2\.0, and 1\.0 is read/],
      ["a time that nanoseconds do not hold", blocks.packet(0xffff_ffff_ffff_ffffn, first.frame), /a time beyond/],
      ["a packet of a section without interfaces", Buffer.concat([blocks.section(), packet]), /has a packet of interface 0, which/],
      ["more interfaces than can be named", Buffer.concat(Array.from({ length: 65536 }, () => blocks.interface(101))), /more than 65536 interfaces/],
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
    const options = { serving: serving([parsePrefix(PREFIX)]), hostAddresses: [], engine: "js", reassembly: 0 } as const;
    async function* failing(...chunks: Uint8Array[]) {
      yield* chunks;
      throw await Promise.resolve(new Error("EIO"));
    }
    const output = new Memory();
    await assert.rejects(replay(failing(), "in", output, options, unexpected), usage(/^the capture cannot be read: EIO$/));
    assert.ok(output.discarded);
    const { damage } = await replay(failing(pcap([])), "in", new Memory(), options, unexpected);
    assert.equal(damage?.message, "in cannot be read on at byte 24: EIO");
  });

  test("what is no capture is said to be none", async () => {
    for (const [bytes, message] of [
      [Buffer.from("GIF89a, a picture and no capture at all"), /begins as neither pcap nor pcapng does/],
      [Buffer.alloc(0), /is empty/],
      [field(pcap([first]), 4, true, [1, 2]), /is pcap of version 1\.4, and 2\.4 is read/],
      [field(pcapng([first]), 8, true, [0, 4]), /without its byte-order magic/],
      [field(pcapng([first]), 4, true, [24, 4]), /has a block of type 168627466 and 24 bytes/],
    ] as const) {
      await assert.rejects(replayed(bytes), usage(message));
    }
  });

  const random = Random.fromEnvironment();
  test(`${MUTATIONS} mutated captures, seed ${random.seed}: replies to what is whole or a Failure, and no other error`, async () => {
    const frames = FRAMES.filter(({ linkType }) => linkType === 1).map(({ frame }, i) => ({ ns: sent[i % 3].ns, frame: frame(sent[i % 3].frame) }));
    const captures = FORMATS.map(({ write, options }) => write(frames, { ...options, linkType: 1 }));
    const outcomes = { whole: 0, damaged: 0, refused: 0 };
    for (let i = 0; i < MUTATIONS; i++) {
      try {
        const { damage, replies, received, replied } = await replayed(mutated(random.pick(captures)), { chunk: 1 + random.below(400) });
        assert.ok(replies.length === replied && replied <= received && received <= 100);
        assert.ok(damage === undefined || damage instanceof Damage);
        outcomes[damage ? "damaged" : "whole"]++;
      } catch (error) {
        if (!(error instanceof Failure) || error.exitStatus !== EXIT.USAGE) throw error;
        outcomes.refused++;
      }
    }
    for (const [outcome, count] of Object.entries(outcomes)) assert.ok(count > MUTATIONS / 50, `${outcome}: ${count}`);
  });

  /** Lengths and types that are there, nearly there, or beyond all. */
  const WORDS = [0, 1, 3, 4, 6, 12, 13, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffc, 262145];

  /** Bytes and words changed, bytes taken out, put in and cut off. */
  function mutated(capture: Uint8Array): Uint8Array {
    let changed = Uint8Array.from(capture);
    for (let changes = 1 + random.below(3); changes > 0; changes--) {
      const at = random.below(Math.min(changed.length, random.oneIn(3) ? 64 : Infinity));
      switch (random.below(6)) {
        case 0: changed[at] ^= 1 << random.below(8); break;
        case 1: changed[at] = random.next(); break;
        case 2: changed.set(pack(random.oneIn(2), [random.pick(WORDS), 4]).subarray(0, changed.length - at), at); break;
        case 3: changed = Uint8Array.from([...changed.subarray(0, at), ...changed.subarray(at + random.below(40))]); break;
        case 4: changed = Uint8Array.from([...changed.subarray(0, at), ...changed.subarray(random.below(changed.length))]); break;
        case 5: if (random.oneIn(3)) changed = changed.slice(0, at); break;
      }
    }
    return changed;
  }
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
    const { status, stderr } = spawnSync(process.execPath, [CLI, "replay", input, "-", PREFIX], { stdio: ["ignore", full, "pipe"], encoding: "utf8" });
    closeSync(full);
    assert.deepEqual([status, stderr], [1, "pongd: the output could not be written: ENOSPC: no space left on device, write\n"]);
  });

  test("OUT stays as it is, and alone, when nothing can be read or written", () => {
    writeFileSync(output, "precious");
    for (const [args, expected, message] of [
      [[join(dir, "none"), output, PREFIX], 2, /the capture cannot be read: ENOENT/],
      [[dir, output, PREFIX], 2, /the capture cannot be read: EISDIR/],
      [[output, output, PREFIX], 2, /out\.pcapng is not a capture that can be read: it begins as neither/],
      [[input, dir, PREFIX], 2, /cannot be written: EISDIR/],
      [[input, join(dir, "none", "out"), PREFIX], 2, /cannot be written: ENOENT/],
    ] as const) {
      const { status, stdout, stderr } = pongd([...args]);
      assert.match(stderr, message);
      assert.match(stderr, /^pongd: [^\n]+\n$/);
      assert.deepEqual([status, stdout.toString()], [expected, ""]);
      assert.deepEqual([readFileSync(output, "utf8"), readdirSync(dir).sort()], ["precious", ["in.pcap", "out.pcapng"]]);
    }
  });

  test("OUT stays as it is, and alone, when a signal ends it", async () => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const child = spawn(process.execPath, [CLI, "replay", "-", output, PREFIX]);
      let stderr = "";
      child.stderr.on("data", (chunk) => { stderr += String(chunk); });
      child.stdin.write(capture);
      while (readdirSync(dir).length === 2) await new Promise(setImmediate);
      child.kill(signal);
      assert.deepEqual(await once(child, "close"), [1, null]);
      assert.equal(stderr, "pongd: interrupted before the capture's end\n");
      assert.deepEqual([readFileSync(output, "utf8"), readdirSync(dir).sort()], ["precious", ["in.pcap", "out.pcapng"]]);
    }
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
    const { stdout } = spawnSync("sh", ["-c", "mkfifo \"$0\" && { cat \"$0\" & } && \"$@\" >&2 && wait", pipe, process.execPath, CLI, "replay", input, pipe, PREFIX]);
    assert.deepEqual(readReplies(stdout), expected(sent));
    assert.ok(statSync(pipe).isFIFO());
  });

  test("whoever reads the replies may leave: one line, status 1", async () => {
    const child = spawn(process.execPath, [CLI, "replay", "-", "-", PREFIX]);
    let stderr = "";
    child.stderr.on("data", (chunk) => { stderr += String(chunk); });
    child.stdout.destroy();
    child.stdin.end(capture);
    assert.deepEqual(await once(child, "close"), [1, null]);
    assert.equal(stderr, "pongd: the output could not be written: write EPIPE\n");
  });
});
