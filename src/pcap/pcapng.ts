/**
 * The format of Wireshark, draft-ietf-opsawg-pcapng: blocks of a type and a length, the length again at the end.
 *
 *   section header         byte order of what follows; interfaces are counted anew
 *   interface description  link type, and the unit and origin of its times
 *   packets                enhanced, simple, and the obsolete kind; all other blocks are skipped, their lengths checked
 */
import type { CapturedPacket } from "./packet.js";
import { MAXIMUM_SNAPLEN } from "./pcap.js";
import type { Source } from "./source.js";

/** The block type is a palindrome, so it is the same in both byte orders. */
export const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const PACKET = 2;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;

const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const OPT_ENDOFOPT = 0;
const IF_TSRESOL = 9;
const IF_TSOFFSET = 14;

/** Offset of a packet's data from its block's first byte. */
const SIMPLE_PACKET_DATA = 12;
const ENHANCED_PACKET_DATA = 28;
/** Bytes of the length at a block's end. */
const TRAILER_LEN = 4;

/** Minimum length of each block that is read: its fixed fields, and the parts that every block has. */
const MIN_LEN: Partial<Record<number, number>> = {
  [SECTION_HEADER]: 28,
  [INTERFACE_DESCRIPTION]: 20,
  [PACKET]: ENHANCED_PACKET_DATA + TRAILER_LEN,
  [SIMPLE_PACKET]: SIMPLE_PACKET_DATA + TRAILER_LEN,
  [ENHANCED_PACKET]: ENHANCED_PACKET_DATA + TRAILER_LEN,
};
/** Minimum length of any block: type, length, and either the byte-order magic or the length again. */
const BLOCK_LEN = 12;
/** Maximum length of a block that is read: the longest packet and 64 KiB of options. */
const MAX_LEN = MAXIMUM_SNAPLEN + 65536;
/**
 * Maximum number of interfaces in a section, since each is kept in memory. Packets of the
 * obsolete kind cannot name more.
 */
const MAX_INTERFACES = 65536;

interface Interface {
  readonly linkType: number;
  /** Maximum bytes of a packet that were captured; 0 for all. */
  readonly snapLen: number;
  /** Units of its timestamps in a second. */
  readonly perSecond: bigint;
  /** Seconds to add to its timestamps. */
  readonly offsetSeconds: bigint;
}

/** A whole block. */
interface Block {
  readonly type: number;
  readonly view: DataView;
  readonly littleEndian: boolean;
  /** Throws an error that says what is wrong with the block. */
  readonly fail: (what: string) => never;
}

/** @throws Failure; see readCapture. */
export async function* readPcapng(source: Source): AsyncGenerator<CapturedPacket> {
  let littleEndian = false;
  let interfaces: Interface[] = [];

  while (!await source.atEnd()) {
    const at = source.offset;
    const fail = (what: string): never => { throw source.fault(`has ${what}`, at); };
    const head = await source.peek(BLOCK_LEN, "the block");
    if (head.getUint32(0) === SECTION_HEADER) littleEndian = byteOrder(head, fail);
    const type = head.getUint32(0, littleEndian);
    const view = await takeBlock(source, type, head.getUint32(4, littleEndian), littleEndian, fail);
    const block = view && { type, view, littleEndian, fail };

    switch (block?.type) {
      case SECTION_HEADER:
        checkVersion(block);
        interfaces = [];
        break;
      case INTERFACE_DESCRIPTION:
        if (interfaces.length === MAX_INTERFACES) fail(`more than ${MAX_INTERFACES} interfaces`);
        interfaces.push(readInterface(block));
        break;
      case SIMPLE_PACKET:
        yield readSimplePacket(block, interfaces);
        break;
      case ENHANCED_PACKET:
      case PACKET:
        yield readEnhancedPacket(block, interfaces);
        break;
    }
  }
}

/** Returns whether the section that begins here is little-endian. */
function byteOrder(head: DataView, fail: Block["fail"]): boolean {
  if (head.getUint32(8, true) === BYTE_ORDER_MAGIC) return true;
  return head.getUint32(8) === BYTE_ORDER_MAGIC ? false : fail("a section header without its byte-order magic");
}

/** Takes a block after checking its lengths; returns undefined for one of a type that is not read. */
async function takeBlock(
  source: Source, type: number, length: number, littleEndian: boolean, fail: Block["fail"],
): Promise<DataView | undefined> {
  const at = source.offset;
  const least = MIN_LEN[type];
  if (length < (least ?? BLOCK_LEN) || length % 4 !== 0 || (least !== undefined && length > MAX_LEN)) {
    fail(`a block of type ${type} and ${length} bytes`);
  }
  if (least === undefined) await source.skip(length - TRAILER_LEN, "the block");
  const rest = await source.take(least === undefined ? TRAILER_LEN : length, "the block", at);
  const trailer = rest.getUint32(rest.byteLength - TRAILER_LEN, littleEndian);
  if (trailer !== length) fail(`a block of ${length} bytes that says ${trailer} at its end`);
  return least === undefined ? undefined : rest;
}

function checkVersion({ view, littleEndian, fail }: Block): void {
  const major = view.getUint16(12, littleEndian);
  if (major !== 1) fail(`a section of pcapng version ${major}.${view.getUint16(14, littleEndian)}, and 1.0 is read,`);
}

function readInterface(block: Block): Interface {
  const { view, littleEndian, fail } = block;
  let perSecond = 1_000_000n;
  let offsetSeconds = 0n;
  for (const [code, value] of options(block, 16)) {
    if (code === IF_TSRESOL) {
      if (value.byteLength !== 1) fail(`if_tsresol of ${value.byteLength} bytes`);
      const resolution = value.getUint8(0);
      perSecond = (resolution & 0x80 ? 2n : 10n) ** BigInt(resolution & 0x7f);
    } else if (code === IF_TSOFFSET) {
      if (value.byteLength !== 8) fail(`if_tsoffset of ${value.byteLength} bytes`);
      offsetSeconds = value.getBigInt64(0, littleEndian);
    }
  }
  return {
    linkType: view.getUint16(8, littleEndian), snapLen: view.getUint32(12, littleEndian), perSecond, offsetSeconds,
  };
}

/** Yields the options from `start` on, by code. */
function* options({ view, littleEndian, fail }: Block, start: number): Generator<[code: number, value: DataView]> {
  const end = view.byteLength - TRAILER_LEN;
  for (let at = start; at < end;) {
    const code = view.getUint16(at, littleEndian);
    if (code === OPT_ENDOFOPT) return;
    const length = view.getUint16(at + 2, littleEndian);
    const next = at + 4 + Math.ceil(length / 4) * 4;
    if (next > end) fail(`an option of ${length} bytes`);
    yield [code, new DataView(view.buffer, view.byteOffset + at + 4, length)];
    at = next;
  }
}

/**
 * Reads either packet block. The obsolete Packet Block has the fields of the Enhanced one, but
 * its interface has 16 bits.
 */
function readEnhancedPacket(block: Block, interfaces: readonly Interface[]): CapturedPacket {
  const { type, view, littleEndian } = block;
  const { linkType, perSecond, offsetSeconds } = interfaceOf(
    block, interfaces, type === PACKET ? view.getUint16(8, littleEndian) : view.getUint32(8, littleEndian),
  );
  const units = BigInt(view.getUint32(12, littleEndian)) << 32n | BigInt(view.getUint32(16, littleEndian));
  const timestampNs = units * 1_000_000_000n / perSecond + offsetSeconds * 1_000_000_000n;
  return { linkType, timestampNs, bytes: data(block, ENHANCED_PACKET_DATA, view.getUint32(20, littleEndian)) };
}

/**
 * Reads a Simple Packet Block. It has no time and belongs to the first interface. Its length is that of the whole
 * packet, which may be longer than the captured part.
 */
function readSimplePacket(block: Block, interfaces: readonly Interface[]): CapturedPacket {
  const { linkType, snapLen } = interfaceOf(block, interfaces, 0);
  const originalLen = block.view.getUint32(8, block.littleEndian);
  const bytes = data(block, SIMPLE_PACKET_DATA, snapLen === 0 ? originalLen : Math.min(originalLen, snapLen));
  return { linkType, timestampNs: undefined, bytes };
}

function interfaceOf({ fail }: Block, interfaces: readonly Interface[], id: number): Interface {
  return interfaces.at(id) ?? fail(`a packet of interface ${id}, which is not described`);
}

function data({ view, fail }: Block, start: number, length: number): Uint8Array {
  if (length > view.byteLength - start - TRAILER_LEN) {
    fail(`a packet of ${length} bytes in a block of ${view.byteLength}`);
  }
  return new Uint8Array(view.buffer, view.byteOffset + start, length);
}
