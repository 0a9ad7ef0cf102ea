/** The classic format of tcpdump, draft-ietf-opsawg-pcap: a file header, and a record a packet, in the byte order of the writer. */
import type { CapturedPacket } from "./capture.js";
import type { Source } from "./source.js";

const FILE_HEADER_LEN = 24;
const RECORD_HEADER_LEN = 16;
/** No packet is longer: libpcap's MAXIMUM_SNAPLEN. */
export const MAXIMUM_SNAPLEN = 262144;

interface PcapFormat {
  readonly littleEndian: boolean;
  /** Of a record's fraction of a second. */
  readonly unitNs: bigint;
}

/** What a file's first four bytes, as a big-endian number, say of it; undefined when it is no pcap file. */
export function pcapFormat(magic: number): PcapFormat | undefined {
  switch (magic) {
    case 0xa1b2c3d4: return { littleEndian: false, unitNs: 1000n };
    case 0xd4c3b2a1: return { littleEndian: true, unitNs: 1000n };
    case 0xa1b23c4d: return { littleEndian: false, unitNs: 1n };
    case 0x4d3cb2a1: return { littleEndian: true, unitNs: 1n };
    default: return undefined;
  }
}

/** @throws Failure; see readCapture. */
export async function* readPcap(source: Source, { littleEndian, unitNs }: PcapFormat): AsyncGenerator<CapturedPacket> {
  const header = await source.take(FILE_HEADER_LEN, "the file header");
  const version = `${header.getUint16(4, littleEndian)}.${header.getUint16(6, littleEndian)}`;
  if (version !== "2.4") throw source.fault(`is pcap of version ${version}, and 2.4 is read`, 0);
  // The upper half says whether frames end in a checksum, which is beyond what an IP header says of its packet's length.
  const linkType = header.getUint32(20, littleEndian) & 0xffff;

  while (!await source.atEnd()) {
    const at = source.offset;
    const capturedLen = (await source.peek(RECORD_HEADER_LEN, "the packet")).getUint32(8, littleEndian);
    if (capturedLen > MAXIMUM_SNAPLEN) throw source.fault(`has a packet of ${capturedLen} bytes`, at);
    const record = await source.take(RECORD_HEADER_LEN + capturedLen, "the packet");
    const timestampNs = BigInt(record.getUint32(0, littleEndian)) * 1_000_000_000n + BigInt(record.getUint32(4, littleEndian)) * unitNs;
    yield { linkType, timestampNs, bytes: new Uint8Array(record.buffer, record.byteOffset + RECORD_HEADER_LEN, capturedLen) };
  }
}
