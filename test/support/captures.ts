/** Builds captures for tests field by field, from the formats' drafts, and reads the pcapng of replies strictly. */
import assert from "node:assert/strict";

export interface Record {
  readonly ns: bigint;
  readonly frame: Uint8Array;
}

/** A number of 1, 2, 4 or 8 bytes in the capture's byte order, or bytes as they are. */
type Field = readonly [value: number | bigint, bytes: 1 | 2 | 4 | 8] | Uint8Array;

export function pack(littleEndian: boolean, ...fields: Field[]): Uint8Array {
  return Buffer.concat(fields.map((field) => {
    if (field instanceof Uint8Array) return field;
    const [value, length] = field;
    const bytes = Uint8Array.from({ length }, (_, i) => Number(BigInt(value) >> BigInt(8 * i) & 0xffn));
    return littleEndian ? bytes : bytes.reverse();
  }));
}

export interface PcapOptions {
  littleEndian?: boolean;
  nanoseconds?: boolean;
  linkType?: number;
}

/** Options that only pcap has. */
export interface OldPcapOptions {
  /** The minor version; the major one is 2. */
  minor?: number;
  /** True if the length on the wire comes before the captured length. */
  swapped?: boolean;
  /** True for Kuznetsov's format, whose records have eight bytes more. */
  modified?: boolean;
  /** Bytes by which each packet was longer than what the capture has of it. */
  cut?: number;
}

export function pcap(records: readonly Record[], options: PcapOptions & OldPcapOptions = {}): Uint8Array {
  const {
    littleEndian = true, nanoseconds = false, linkType = 101, minor = 4, swapped = false, modified = false, cut = 0,
  } = options;
  const magic = modified ? 0xa1b2cd34 : nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4;
  return Buffer.concat([
    pack(littleEndian, [magic, 4], [2, 2], [minor, 2], [0, 4], [0, 4], [262144, 4], [linkType, 4]),
    ...records.map(({ ns, frame }) => {
      const fraction = ns % 1_000_000_000n / (nanoseconds ? 1n : 1000n);
      const lengths = [frame.length, frame.length + cut];
      if (swapped) lengths.reverse();
      const more = modified ? pack(littleEndian, [2, 4], [0x0800, 2], [0, 1], [0, 1]) : new Uint8Array(0);
      return pack(littleEndian, [ns / 1_000_000_000n, 4], [fraction, 4], [lengths[0], 4], [lengths[1], 4], more, frame);
    }),
  ]);
}

/** Builds the blocks of a pcapng section. */
export class Blocks {
  constructor(readonly littleEndian: boolean) {}

  block(type: number, ...fields: Field[]): Uint8Array {
    const body = pack(this.littleEndian, ...fields);
    const length = 12 + Math.ceil(body.length / 4) * 4;
    return pack(
      this.littleEndian, [type, 4], [length, 4], body, new Uint8Array(length - 12 - body.length), [length, 4],
    );
  }

  section(): Uint8Array {
    return this.block(0x0a0d0d0a, [0x1a2b3c4d, 4], [1, 2], [0, 2], [-1n, 8]);
  }

  interface(linkType: number, options: Uint8Array = new Uint8Array(0), snapLen = 0): Uint8Array {
    return this.block(1, [linkType, 2], [0, 2], [snapLen, 4], options);
  }

  option(code: number, value: Uint8Array): Uint8Array {
    return pack(this.littleEndian, [code, 2], [value.length, 2], value, new Uint8Array(-value.length & 3));
  }

  /** Builds an Enhanced Packet Block; `units` is the time in the unit of its interface. */
  packet(units: bigint, frame: Uint8Array, id = 0): Uint8Array {
    return this.block(
      6, [id, 4], [units >> 32n, 4], [units & 0xffffffffn, 4], [frame.length, 4], [frame.length, 4], frame,
    );
  }

  obsoletePacket(units: bigint, frame: Uint8Array, id = 0): Uint8Array {
    return this.block(
      2, [id, 2], [0xffff, 2], [units >> 32n, 4], [units & 0xffffffffn, 4], [frame.length, 4], [frame.length, 4], frame,
    );
  }

  simplePacket(originalLen: number, frame: Uint8Array): Uint8Array {
    return this.block(3, [originalLen, 4], frame);
  }
}

/**
 * Builds one section with one interface. Times are in microseconds
 * or, by an if_tsresol among other options, in nanoseconds.
 */
export function pcapng(
  records: readonly Record[], { littleEndian = true, nanoseconds = false, linkType = 101 }: PcapOptions = {},
): Uint8Array {
  const blocks = new Blocks(littleEndian);
  const options = [
    blocks.option(2, Buffer.from("eth0 ")), blocks.option(9, Uint8Array.of(9)), blocks.option(0, new Uint8Array(0)),
  ];
  return Buffer.concat([
    blocks.section(),
    blocks.interface(linkType, nanoseconds ? Buffer.concat(options) : undefined),
    ...records.map(({ ns, frame }) => blocks.packet(nanoseconds ? ns : ns / 1000n, frame)),
  ]);
}

/** Returns the replies that `pongd replay` wrote. @throws AssertionError for a byte that is not as it should be. */
export function readReplies(bytes: Uint8Array, comment?: string): Record[] {
  const header = Buffer.concat([
    sectionHeader(comment),
    Buffer.from("0100000020000000650000000000000009000100090000000000000020000000", "hex"),
  ]);
  const file = Buffer.from(bytes);
  assert.deepEqual(
    file.subarray(0, header.length), header, "section header, interface description: raw IP, nanoseconds",
  );
  const records: Record[] = [];
  for (let at = header.length; at < file.length;) {
    const length = file.readUInt32LE(at + 4);
    const packetLen = file.readUInt32LE(at + 20);
    assert.deepEqual([file.readUInt32LE(at), file.readUInt32LE(at + 8), file.readUInt32LE(at + 24)], [6, 0, packetLen]);
    assert.equal(length, 32 + Math.ceil(packetLen / 4) * 4);
    assert.equal(file.readUInt32LE(at + length - 4), length);
    assert.ok(file.subarray(at + 28 + packetLen, at + length - 4).every((byte) => byte === 0), "padding");
    records.push({
      ns: BigInt(file.readUInt32LE(at + 12)) << 32n | BigInt(file.readUInt32LE(at + 16)),
      frame: new Uint8Array(file.subarray(at + 28, at + 28 + packetLen)),
    });
    at += length;
  }
  return records;
}

/** Returns a section header, with a comment of 5 to 8 characters or without. */
function sectionHeader(comment?: string): Buffer {
  const fixed = "4d3c2b1a01000000ffffffffffffffff";
  if (comment === undefined) return Buffer.from(`0a0d0d0a1c000000${fixed}1c000000`, "hex");
  const padded = Buffer.from(comment.padEnd(8, "\0")).toString("hex");
  return Buffer.from(`0a0d0d0a2c000000${fixed}01000${comment.length}00${padded}000000002c000000`, "hex");
}

const ADDRESSES = Buffer.from("0200000000010200000000ff", "hex");

/** Ways to put an IP packet into a frame, one for each link type. */
export const FRAMES: readonly {
  readonly name: string;
  readonly linkType: number;
  readonly frame: (packet: Uint8Array) => Uint8Array;
}[] = [
  ...[["raw", 101], ["IPv4", 228], ["IPv6", 229], ["DLT_RAW", 12], ["OpenBSD's DLT_RAW", 14]].map(
    ([name, linkType]) => ({ name: String(name), linkType: Number(linkType), frame: (packet: Uint8Array) => packet }),
  ),
  { name: "Ethernet", linkType: 1, frame: (packet) => pack(false, ADDRESSES, [0x0800, 2], packet) },
  {
    name: "Ethernet, padded, with a checksum", linkType: 1,
    frame: (packet) => pack(false, ADDRESSES, [0x0800, 2], packet, new Uint8Array(18).fill(0xa5)),
  },
  { name: "802.1Q", linkType: 1, frame: (packet) => pack(false, ADDRESSES, [0x8100, 2], [42, 2], [0x0800, 2], packet) },
  {
    name: "802.1Q in 802.1ad", linkType: 1,
    frame: (packet) => pack(false, ADDRESSES, [0x88a8, 2], [7, 2], [0x8100, 2], [42, 2], [0x0800, 2], packet),
  },
  {
    name: "Linux cooked", linkType: 113,
    frame: (packet) => pack(false, [0, 2], [1, 2], [6, 2], ADDRESSES.subarray(0, 8), [0x0800, 2], packet),
  },
  { name: "Linux cooked v2", linkType: 276, frame: (packet) => pack(
    false, [0x0800, 2], [0, 2], [3, 4], [1, 2], [0, 1], [6, 1], ADDRESSES.subarray(0, 8), packet,
  ) },
  { name: "BSD loopback, little-endian", linkType: 0, frame: (packet) => pack(true, [2, 4], packet) },
  { name: "BSD loopback, big-endian", linkType: 0, frame: (packet) => pack(false, [2, 4], packet) },
  { name: "OpenBSD loopback", linkType: 108, frame: (packet) => pack(false, [2, 4], packet) },
  { name: "802.1Q in Linux cooked v2", linkType: 276, frame: (packet) => pack(
    false, [0x8100, 2], [0, 2], [3, 4], [1, 2], [0, 1], [6, 1], ADDRESSES.subarray(0, 8), [42, 2], [0x0800, 2], packet,
  ) },
];

/** A frame that carries no IP. */
export const ARP = pack(false, ADDRESSES, [0x0806, 2], new Uint8Array(28));
