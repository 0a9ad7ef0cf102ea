/**
 * Segments of TCP over IPv4 and IPv6, for tests: written and read field by field from RFC 9293 §3.1, RFC 7323 and
 * RFC 2018, with nothing of assembly/. Checksums are computed as remainders: a sum in one's complement of 16 bits is
 * the number that the bytes write, modulo 65535.
 */
import assert from "node:assert/strict";

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;
export const URG = 32;
export const ECE = 64;
export const CWR = 128;

/** A letter for each flag, from the lowest bit on, as packetdrill and tcpdump write them. */
const LETTERS = "FSRP.UEW";
/** The order in which they are written. */
const ORDER = ["S", "F", "R", "P", "U", "E", "W", "."];

export interface TcpOptions {
  readonly mss?: number;
  readonly scale?: number;
  readonly sackPermitted?: boolean;
  readonly timestamps?: { readonly val: number; readonly ecr: number };
  /** First sequence number, and the one behind the last. */
  readonly sacks?: readonly (readonly [first: number, end: number])[];
}

export interface Segment {
  /** Addresses, 4 or 16 bytes. */
  readonly src: Uint8Array;
  readonly dst: Uint8Array;
  readonly srcPort: number;
  readonly dstPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  /** As in the header, not scaled. */
  readonly window: number;
  readonly urgent: number;
  readonly options: TcpOptions;
  readonly data: Uint8Array;
  /** Hop limit, in IPv6. */
  readonly ttl: number;
  /** Traffic class, in IPv6. */
  readonly tos: number;
}

/** What encode() does otherwise than is right. */
export interface Mistakes {
  /** Options as they lie in the header, in place of others; padded by the caller. */
  readonly rawOptions?: Uint8Array;
  /** Value of the field, in words. */
  readonly dataOffset?: number;
  /** Added to the right checksum. */
  readonly checksumError?: number;
  /** The 3 reserved bits and the one that was NS. */
  readonly reserved?: number;
  /** IPv4 options, padded by the caller. */
  readonly ipOptions?: Uint8Array;
}

export type Sent = Partial<Segment> & Pick<Segment, "src" | "dst" | "srcPort" | "dstPort">;

const NO_BYTES: Uint8Array = new Uint8Array(0);

/** Returns an IP packet with this segment. What is left out is 0 or empty; TTL is 64. */
export function encode(segment: Sent, mistakes: Mistakes = {}): Uint8Array {
  const { seq = 0, ack = 0, flags = 0, window = 0, urgent = 0, options = {}, data = NO_BYTES } = segment;
  const header = mistakes.rawOptions ?? optionBytes(options);
  const tcp = new Uint8Array(20 + header.length + data.length);
  const view = new DataView(tcp.buffer);
  view.setUint16(0, segment.srcPort);
  view.setUint16(2, segment.dstPort);
  view.setUint32(4, seq);
  view.setUint32(8, ack);
  tcp[12] = (mistakes.dataOffset ?? 5 + header.length / 4) << 4 | (mistakes.reserved ?? 0);
  tcp[13] = flags;
  view.setUint16(14, window);
  view.setUint16(18, urgent);
  tcp.set(header, 20);
  tcp.set(data, 20 + header.length);
  const right = (65535 - remainder(tcp, pseudoHeader(segment.src, segment.dst, tcp.length))) % 65535;
  view.setUint16(16, (right + (mistakes.checksumError ?? 0)) % 65535);
  return ipPacket(6, tcp, segment, mistakes.ipOptions);
}

/** Returns an IP packet around a payload. */
export function ipPacket(
  protocol: number, payload: Uint8Array,
  { src, dst, ttl = 64, tos = 0 }: Pick<Sent, "src" | "dst" | "ttl" | "tos">, ipOptions = NO_BYTES,
): Uint8Array {
  const headerLen = src.length === 4 ? 20 + ipOptions.length : 40;
  const packet = new Uint8Array(headerLen + payload.length);
  const view = new DataView(packet.buffer);
  packet.set(payload, headerLen);
  if (src.length === 4) {
    packet[0] = 0x40 | headerLen / 4;
    packet[1] = tos;
    view.setUint16(2, packet.length);
    // Don't fragment.
    packet[6] = 0x40;
    packet[8] = ttl;
    packet[9] = protocol;
    packet.set(src, 12);
    packet.set(dst, 16);
    packet.set(ipOptions, 20);
    view.setUint16(10, (65535 - remainder(packet.subarray(0, headerLen))) % 65535);
  } else {
    view.setUint32(0, 6 * 2 ** 28 + tos * 2 ** 20);
    view.setUint16(4, payload.length);
    packet[6] = protocol;
    packet[7] = ttl;
    packet.set(src, 8);
    packet.set(dst, 24);
  }
  return packet;
}

/** Returns whether a packet has TCP behind an IP header without extension headers. */
export function isTcp(packet: Uint8Array): boolean {
  return packet[0] >> 4 === 4 ? packet[9] === 6 : packet[6] === 6;
}

/**
 * Reads a packet that a correct sender may have sent. @throws AssertionError where a length, a checksum, an option or a
 * field that has to be 0 is wrong
 */
export function decode(packet: Uint8Array): Segment {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const four = packet[0] >> 4 === 4;
  assert.ok(isTcp(packet), "it is TCP");
  const at = four ? (packet[0] & 15) * 4 : 40;
  if (four) {
    assert.equal(view.getUint16(2), packet.length, "total length");
    assert.equal(remainder(packet.subarray(0, at)), 0, "header checksum");
  } else {
    assert.equal(view.getUint16(4), packet.length - 40, "payload length");
  }
  const [src, dst] = four ? [packet.slice(12, 16), packet.slice(16, 20)] : [packet.slice(8, 24), packet.slice(24, 40)];
  const tcp = packet.subarray(at);
  assert.equal(remainder(tcp, pseudoHeader(src, dst, tcp.length)), 0, "TCP checksum");
  const headerLen = (tcp[12] >> 4) * 4;
  assert.ok(headerLen >= 20 && headerLen <= tcp.length, `data offset of ${headerLen} bytes in ${tcp.length}`);
  assert.equal(tcp[12] & 15, 0, "reserved bits are 0");
  const flags = tcp[13];
  if (!(flags & ACK)) assert.equal(view.getUint32(at + 8), 0, "without ACK the field is 0");
  if (!(flags & URG)) assert.equal(view.getUint16(at + 18), 0, "without URG the pointer is 0");
  return {
    src, dst, srcPort: view.getUint16(at), dstPort: view.getUint16(at + 2), seq: view.getUint32(at + 4),
    ack: view.getUint32(at + 8), flags, window: view.getUint16(at + 14), urgent: view.getUint16(at + 18),
    options: readOptions(tcp.subarray(20, headerLen)), data: tcp.slice(headerLen),
    ttl: four ? packet[8] : packet[7], tos: four ? packet[1] : view.getUint16(0) >> 4 & 0xff,
  };
}

/** Returns whether lengths and checksums of IP and TCP are right. */
export function isIntact(packet: Uint8Array): boolean {
  const four = packet[0] >> 4 === 4;
  const at = four ? (packet[0] & 15) * 4 : 40;
  const length = four ? packet[2] * 256 + packet[3] : 40 + packet[4] * 256 + packet[5];
  if (length !== packet.length || length < at + 20) return false;
  const [src, dst] = four
    ? [packet.subarray(12, 16), packet.subarray(16, 20)]
    : [packet.subarray(8, 24), packet.subarray(24, 40)];
  return (!four || remainder(packet.subarray(0, at)) === 0)
    && remainder(packet.subarray(at), pseudoHeader(src, dst, packet.length - at)) === 0;
}

/** Returns what a segment takes of the sequence space. */
export function spanOf({ data, flags }: Pick<Segment, "data" | "flags">): number {
  return data.length + (flags & SYN ? 1 : 0) + (flags & FIN ? 1 : 0);
}

export function flagsText(flags: number): string {
  return ORDER.filter((letter) => flags & 1 << LETTERS.indexOf(letter)).join("") || "-";
}

export function flagsOf(text: string): number {
  return text === "-" ? 0 : text.split("").reduce((flags, letter) => flags | 1 << LETTERS.indexOf(letter), 0);
}

/** Returns a number of 32 bits, or of 16, in network order. */
function big(value: number, bytes = 4): number[] {
  return bytes === 4 ? [value >>> 24, value >>> 16 & 255, value >>> 8 & 255, value & 255] : [value >> 8, value & 255];
}

/** Returns options with NOPs before them where RFC 7323, appendix A, has some, so that all is aligned. */
export function optionBytes({ mss, scale, sackPermitted, timestamps, sacks = [] }: TcpOptions): Uint8Array {
  return Uint8Array.from([
    ...mss === undefined ? [] : [2, 4, ...big(mss, 2)],
    ...sackPermitted ? [1, 1, 4, 2] : [],
    ...timestamps ? [1, 1, 8, 10, ...big(timestamps.val), ...big(timestamps.ecr)] : [],
    ...scale === undefined ? [] : [1, 3, 3, scale],
    ...sacks.length === 0
      ? []
      : [1, 1, 5, 2 + 8 * sacks.length, ...sacks.flatMap((block) => block.flatMap((number) => big(number)))],
  ]);
}

function readOptions(bytes: Uint8Array): TcpOptions {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const options: { -readonly [Key in keyof TcpOptions]: TcpOptions[Key] } = {};
  const set = <Key extends keyof TcpOptions>(key: Key, value: TcpOptions[Key]) => {
    assert.equal(options[key], undefined, `${key} comes once`);
    options[key] = value;
  };
  for (let at = 0; at < bytes.length;) {
    const kind = bytes[at];
    if (kind === 0) {
      assert.ok(bytes.subarray(at).every((byte) => byte === 0), "zeros pad the header (MUST-69)");
      break;
    }
    if (kind === 1) {
      at++;
      continue;
    }
    const len = bytes[at + 1];
    assert.ok(len >= 2 && at + len <= bytes.length, `option ${kind} of ${len} bytes`);
    switch (kind) {
      case 2:
        assert.equal(len, 4);
        set("mss", view.getUint16(at + 2));
        break;
      case 3:
        assert.equal(len, 3);
        set("scale", bytes[at + 2]);
        break;
      case 4:
        assert.equal(len, 2);
        set("sackPermitted", true);
        break;
      case 5:
        assert.ok(len > 2 && (len - 2) % 8 === 0, "whole blocks");
        set("sacks", Array.from({ length: (len - 2) / 8 }, (_, i) => {
          return [view.getUint32(at + 2 + 8 * i), view.getUint32(at + 6 + 8 * i)] as const;
        }));
        break;
      case 8:
        assert.equal(len, 10);
        set("timestamps", { val: view.getUint32(at + 2), ecr: view.getUint32(at + 6) });
        break;
      default: assert.fail(`an option of kind ${kind}`);
    }
    at += len;
  }
  return options;
}

function pseudoHeader(src: Uint8Array, dst: Uint8Array, length: number): number {
  return remainder(dst, remainder(src, 6 + length));
}

/** Returns the remainder modulo 65535 of the number that the bytes write behind one with the remainder `before`. */
export function remainder(bytes: Uint8Array, before = 0): number {
  let rest = before;
  const even = bytes.length & ~1;
  for (let i = 0; i < even; i += 2) rest += bytes[i] * 256 + bytes[i + 1];
  if (even < bytes.length) rest += bytes[even] * 256;
  return rest % 65535;
}
