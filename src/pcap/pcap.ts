/**
 * The classic format of tcpdump, draft-ietf-opsawg-pcap: a file header and one record for each packet, in the byte
 * order of the writer.
 */
import type { CapturedPacket } from "./packet.js";
import type { Source } from "./source.js";

const FILE_HEADER_LEN = 24;
const RECORD_HEADER_LEN = 16;
/** Maximum bytes of a packet: libpcap's MAXIMUM_SNAPLEN. */
export const MAXIMUM_SNAPLEN = 262144;

interface PcapFormat {
  readonly littleEndian: boolean;
  /** Unit of the fraction of a second in a record. */
  readonly unitNs: bigint;
  readonly recordHeaderLen: number;
}

/**
 * Returns the format that a file's first four bytes, as a big-endian number, stand for;
 * undefined if it is no pcap file.
 */
export function pcapFormat(magic: number): PcapFormat | undefined {
  switch (magic) {
    case 0xa1b2c3d4: return { littleEndian: false, unitNs: 1000n, recordHeaderLen: RECORD_HEADER_LEN };
    case 0xd4c3b2a1: return { littleEndian: true, unitNs: 1000n, recordHeaderLen: RECORD_HEADER_LEN };
    case 0xa1b23c4d: return { littleEndian: false, unitNs: 1n, recordHeaderLen: RECORD_HEADER_LEN };
    case 0x4d3cb2a1: return { littleEndian: true, unitNs: 1n, recordHeaderLen: RECORD_HEADER_LEN };
    // Alexey Kuznetsov's "modified" libpcap: an interface's index, a protocol and a packet type follow the lengths.
    case 0xa1b2cd34: return { littleEndian: false, unitNs: 1000n, recordHeaderLen: RECORD_HEADER_LEN + 8 };
    case 0x34cdb2a1: return { littleEndian: true, unitNs: 1000n, recordHeaderLen: RECORD_HEADER_LEN + 8 };
    default: return undefined;
  }
}

/** @throws Failure; see readCapture. */
export async function* readPcap(source: Source, format: PcapFormat): AsyncGenerator<CapturedPacket> {
  const { littleEndian, unitNs, recordHeaderLen } = format;
  const header = await source.take(FILE_HEADER_LEN, "the file header");
  const [major, minor] = [header.getUint16(4, littleEndian), header.getUint16(6, littleEndian)];
  if (major !== 2 || minor < 2 || minor > 4) {
    throw source.fault(`is pcap of version ${major}.${minor}, and 2.2 to 2.4 are read`, 0);
  }
  // The upper half says whether frames end in a checksum. It does not matter, since a packet's
  // IP header has its length.
  const linkType = header.getUint32(20, littleEndian) & 0xffff;

  while (!await source.atEnd()) {
    const at = source.offset;
    const capturedLen = capturedLenOf(await source.peek(recordHeaderLen, "the packet"), littleEndian, minor);
    if (capturedLen > MAXIMUM_SNAPLEN) throw source.fault(`has a packet of ${capturedLen} bytes`, at);
    const record = await source.take(recordHeaderLen + capturedLen, "the packet");
    const seconds = BigInt(record.getUint32(0, littleEndian));
    const timestampNs = seconds * 1_000_000_000n + BigInt(record.getUint32(4, littleEndian)) * unitNs;
    const bytes = new Uint8Array(record.buffer, record.byteOffset + recordHeaderLen, capturedLen);
    yield { linkType, timestampNs, bytes };
  }
}

/** Follows libpcap: version 2.3 swapped the two lengths, and some files that say 2.3 have them in the old order. */
function capturedLenOf(record: DataView, littleEndian: boolean, minor: number): number {
  const [first, second] = [record.getUint32(8, littleEndian), record.getUint32(12, littleEndian)];
  return minor === 2 || (minor === 3 && first > second) ? second : first;
}
