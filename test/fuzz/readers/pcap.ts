/**
 * Fuzzes captures of both formats, compressed by gzip or not. Each gives packets, or a Failure that says at which byte
 * it ends; and it gives the same however its bytes come in chunks. No more of it is held than one item and one chunk.
 * Packets that are written read back as they were.
 */
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import type { Output } from "../../../src/base/output.js";
import { EXIT, Failure } from "../../../src/base/failure.js";
import { readCapture } from "../../../src/pcap/capture.js";
import type { CapturedPacket } from "../../../src/pcap/packet.js";
import { LINK_TYPES } from "../../../src/pcap/linktypes.js";
import { MAXIMUM_SNAPLEN, pcapFormat, readPcap } from "../../../src/pcap/pcap.js";
import { readPcapng, SECTION_HEADER } from "../../../src/pcap/pcapng.js";
import { Damage, Source } from "../../../src/pcap/source.js";
import { ReplyWriter } from "../../../src/pcap/writer.js";
import { Blocks, FRAMES, pcap as pcapOf, pcapng } from "../../support/captures.js";
import type { Reader } from "../guided.js";
import { checkLines } from "./refused.js";

const PACKET = Buffer.from("4500001c000100004001000a0a6300010a630101080000000001", "hex");
/** The most that a source may hold beside its chunk: the longest block that is read. */
const MAX_HELD = MAXIMUM_SNAPLEN + 65536;
const FILLER = new Uint8Array(65536).fill(0xff);
/** Fillers behind an input that is a multiple of 16 long: as many bytes as a lie about a length might ask for. */
const FILLERS = 8;

const GZIP_DAMAGE = "has gzip data that";

/** Packets that were read, and the reason why there were no more. */
interface Read {
  readonly packets: readonly CapturedPacket[];
  readonly failure: Failure | undefined;
}

const records = [
  { ns: 1_700_000_000_123_456_000n, frame: PACKET },
  { ns: 1_700_000_001_000_000_000n, frame: Buffer.concat([PACKET, Uint8Array.of(1, 2, 3)]) },
];
const blocks = new Blocks(true);
const big = new Blocks(false);

export const pcap: Reader = {
  covers: ["/build/src/replay/"],
  dictionary: [
    "a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1", "34cdb2a1", "02000200", "02000300", "1f8b0800", "0a0d0d0a",
    "1a2b3c4d", "4d3c2b1a", "02000400", "01000000", "02000000", "03000000", "06000000", "0900010006000000",
    "0900010089000000", "0e000800ffffffffffffffff",
    "0c0000000c000000", "14000000", "1c000000", "20000000", "00000400", "00000500", "81000800", "88a88100", "86dd6000",
    "65000000", "71000000", "14010000",
  ].map((hex) => Buffer.from(hex, "hex")),
  seeds: [
    pcapOf(records), pcapOf(records, { littleEndian: false, nanoseconds: true }),
    pcapng(records, { nanoseconds: true }), pcapng(records, { littleEndian: false }),
    ...FRAMES.filter(({ linkType }) => linkType !== 12 && linkType !== 14)
      .map(({ linkType, frame }) => pcapOf([{ ns: 1n, frame: frame(PACKET) }], { linkType })),
    pcapOf(records, { modified: true }), pcapOf(records, { minor: 2, swapped: true, cut: 3 }),
    pcapOf(records, { minor: 3, swapped: true, cut: 3 }),
    gzipSync(pcapOf(records)), Buffer.concat(
      [gzipSync(pcapOf(records).subarray(0, 30)), gzipSync(pcapOf(records).subarray(30), { level: 0 })],
    ),
    Buffer.concat([
      blocks.section(),
      blocks.interface(101, Buffer.concat([
        blocks.option(9, Uint8Array.of(0x8a)), blocks.option(14, new Uint8Array(8)),
        blocks.option(0, new Uint8Array(0)),
      ]), 20),
      blocks.simplePacket(28, PACKET), blocks.obsoletePacket(77n, PACKET), blocks
        .block(5, new Uint8Array(8)), big.section(), big.interface(1), big.packet(1n, PACKET),
    ]),
  ],
  async feed(input) {
    const whole = await readAll(readCapture(inChunks(input, input.length), "in"));
    if (whole.failure) check(whole.failure, input.length);
    const step = 1 + input.length % 37;
    const parts = await readAll(readCapture(inChunks(input, step), "in"));
    if (whole.failure?.message.includes(GZIP_DAMAGE)) checkSalvaged(parts, whole);
    else assert.deepEqual(parts, whole);
    for (const { bytes, linkType } of whole.packets) {
      assert.ok(bytes.length <= MAX_HELD);
      const packet = LINK_TYPES.get(linkType)?.(bytes);
      if (packet) assert.deepEqual(packet, bytes.subarray(bytes.length - packet.length));
    }
    await checkWritten(whole.packets);
    if (input.length % 16 === 0) await checkHeld(input);
  },
};

/** Cuts each chunk from a buffer of its own, so that whoever reads beyond a chunk does not find the next one. */
async function* inChunks(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield await Promise.resolve(bytes.slice(at, at + length));
}

async function readAll(captured: AsyncIterable<CapturedPacket>): Promise<Read> {
  const packets: CapturedPacket[] = [];
  try {
    for await (const packet of captured) packets.push({ ...packet, bytes: Uint8Array.from(packet.bytes) });
    return { packets, failure: undefined };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { packets, failure: error };
  }
}

/**
 * Compares packets from damaged gzip data. Where the chunks end decides how many come before the damage, but not which.
 */
function checkSalvaged(parts: Read, whole: Read): void {
  const common = Math.min(parts.packets.length, whole.packets.length);
  assert.deepEqual(parts.packets.slice(0, common), whole.packets.slice(0, common));
  assert.ok(parts.failure);
}

function check(failure: Failure, length: number): void {
  checkLines(failure.lines);
  const at = Number(/ at byte (\d+)$/.exec(failure.message)?.[1]);
  if (failure instanceof Damage) assert.ok(
    at > 0 && (at <= length || failure.message.startsWith("in, decompressed,")), failure.message,
  );
  else assert.equal(failure.exitStatus, EXIT.RUNTIME);
}

async function checkWritten(packets: readonly CapturedPacket[]): Promise<void> {
  const written: Uint8Array[] = [];
  const output: Output = {
    write: (bytes) => Promise.resolve(void written.push(bytes)), commit: () => Promise.resolve(),
    discard: () => Promise.resolve(),
  };
  const writer = new ReplyWriter(output);
  const expected: CapturedPacket[] = [];
  let lastNs = 0n;
  for (const { timestampNs = 0n, bytes } of packets) {
    const own = BigInt.asUintN(64, timestampNs);
    if (own > lastNs) lastNs = own;
    expected.push({ linkType: 101, timestampNs: lastNs, bytes });
    writer.add(own, bytes);
    await writer.flush();
  }
  await writer.finish();
  const again = await readAll(readCapture(inChunks(Buffer.concat(written), 4096), "out"));
  assert.equal(again.failure, undefined);
  assert.deepEqual(again.packets, expected);
}

/** Reads the input with much behind it, which a length in it may ask for. */
async function checkHeld(input: Uint8Array): Promise<void> {
  let read = 0;
  const chunks = async function* () {
    for (let i = -1; i < FILLERS; i++) {
      const chunk = i < 0 ? input : FILLER;
      read += chunk.length;
      yield await Promise.resolve(chunk);
      assert.ok(read - source.offset <= MAX_HELD + FILLER.length, `${read - source.offset} bytes are held`);
    }
  };
  const source = new Source(chunks(), "in");
  const format = input.length < 4 ? undefined : pcapFormat(new DataView(input.buffer, input.byteOffset).getUint32(0));
  if (format) await readAll(readPcap(source, format));
  else if (input.length >= 4 && new DataView(input.buffer, input.byteOffset).getUint32(0) === SECTION_HEADER) {
    await readAll(readPcapng(source));
  }
}
