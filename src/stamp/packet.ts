/** STAMP's packets as a sender has them (RFC 8762 §4.2 and §4.3, RFC 8972 §3 and §4.1). */
import { createHmac, timingSafeEqual } from "node:crypto";

/** Octets of a packet without TLVs, and of one that is authenticated. */
export const BASE_LEN = 44;
export const AUTHENTICATED_LEN = 112;
/** Octets of a TLV's header. */
export const TLV_HEADER_LEN = 4;
const EXTRA_PADDING = 1;
/** Octets that an HMAC covers, and its own. */
const COVERED = 96;
const TAG_LEN = 16;

const NS_PER_S = 1_000_000_000n;
/** Seconds from the beginning of 1900, of NTP's first era, to that of 1970. */
const NTP_EPOCH = 2_208_988_800n;

/** Bits of an error estimate, RFC 8762 §4.2.1. */
const SYNCHRONIZED = 0x8000;
const PTP = 0x4000;

export interface Request {
  readonly sequence: number;
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  /** Error estimate of that, as it is sent. */
  readonly error: number;
  readonly ssid: number;
  /** Octets of the packet: those of one without TLVs, or at least TLV_HEADER_LEN more. */
  readonly size: number;
  readonly key: Uint8Array | undefined;
}

/** What may be wrong with a packet that seems to be a reply. */
export const FAULTS = ["length", "hmac", "sequence", "timestamp", "times", "address"] as const;
export type Fault = typeof FAULTS[number];

export interface Reply {
  /** The sequence number of the request, and that of the reply. */
  readonly sequence: number;
  readonly reflected: number;
  /** The time of the request, as it was sent. */
  readonly sent: bigint;
  /** When the request came, and when the reply left: nanoseconds since 1970 by the reflector's clock. */
  readonly received: bigint;
  readonly left: bigint;
  readonly clock: ClockError;
}

/** How far a clock may be off, as it says itself. */
export interface ClockError {
  readonly synchronized: boolean;
  readonly ms: number;
}

/** Where fields lie that the two kinds of packets have at different places. */
interface Layout {
  readonly len: number;
  readonly time: number;
  readonly error: number;
  readonly received: number;
  readonly senderSequence: number;
  readonly senderTime: number;
}

const PLAIN: Layout = { len: BASE_LEN, time: 4, error: 12, received: 16, senderSequence: 24, senderTime: 28 };
const AUTHENTICATED: Layout = {
  len: AUTHENTICATED_LEN, time: 16, error: 24, received: 32, senderSequence: 48, senderTime: 64,
};

/** Returns a request. What it has more than a packet without TLVs is Extra Padding. */
export function requestOf({ sequence, time, error, ssid, size, key }: Request): Buffer {
  const at = key ? AUTHENTICATED : PLAIN;
  const packet = Buffer.alloc(size);
  packet.writeUInt32BE(sequence);
  packet.writeBigUInt64BE(ntpOf(time), at.time);
  packet.writeUInt16BE(error, at.error);
  packet.writeUInt16BE(ssid, at.error + 2);
  if (key) tagOf(packet, key).copy(packet, COVERED);
  if (size > at.len) {
    packet[at.len + 1] = EXTRA_PADDING;
    packet.writeUInt16BE(size - at.len - TLV_HEADER_LEN, at.len + 2);
  }
  return packet;
}

/**
 * Reads a reply, or says what is wrong with it by itself: it is not as long as a request, `size` octets, or not
 * authentic, or left before it came. `now`: about when it came, in nanoseconds since 1970.
 */
export function replyOf(packet: Buffer, size: number, key: Uint8Array | undefined, now: bigint): Reply | Fault {
  const at = key ? AUTHENTICATED : PLAIN;
  if (packet.length !== size) return "length";
  if (key && !timingSafeEqual(tagOf(packet, key), packet.subarray(COVERED, COVERED + TAG_LEN))) return "hmac";
  const error = packet.readUInt16BE(at.error);
  const timeAt = (offset: number) => {
    const time = packet.readBigUInt64BE(offset);
    return (error & PTP) === 0 ? fromNtp(time, now) : fromPtp(time, now);
  };
  const [received, left] = [timeAt(at.received), timeAt(at.time)];
  if (left < received) return "times";
  return {
    sequence: packet.readUInt32BE(at.senderSequence), reflected: packet.readUInt32BE(0),
    sent: packet.readBigUInt64BE(at.senderTime), received, left, clock: clockErrorOf(error),
  };
}

/** Returns what an error estimate says, RFC 4656 §4.1.2. */
export function clockErrorOf(estimate: number): ClockError {
  return {
    synchronized: (estimate & SYNCHRONIZED) !== 0,
    ms: 1000 * (estimate & 0xff) * 2 ** ((estimate >> 8 & 0x3f) - 32),
  };
}

function tagOf(packet: Buffer, key: Uint8Array): Buffer {
  return createHmac("sha256", key).update(packet.subarray(0, COVERED)).digest().subarray(0, TAG_LEN);
}

/** RFC 5905 §6: seconds since 1900, modulo 2^32, and a fraction of 32 bits. */
export function ntpOf(ns: bigint): bigint {
  return BigInt.asUintN(32, ns / NS_PER_S + NTP_EPOCH) << 32n | (ns % NS_PER_S << 32n) / NS_PER_S;
}

/** Returns nanoseconds since 1970, in the era in which they are nearest to `now`. A fraction is rounded up to them. */
function fromNtp(time: bigint, now: bigint): bigint {
  const ns = ((time & 0xffff_ffffn) * NS_PER_S + 0xffff_ffffn) >> 32n;
  return nearest((time >> 32n) - NTP_EPOCH, now) * NS_PER_S + ns;
}

/** IEEE 1588-2008 §5.3.3, truncated: seconds since 1970, modulo 2^32, and nanoseconds. */
function fromPtp(time: bigint, now: bigint): bigint {
  return nearest(time >> 32n, now) * NS_PER_S + (time & 0xffff_ffffn);
}

/** Returns the number of seconds that equals `seconds` modulo 2^32 and is the nearest to a time in nanoseconds. */
function nearest(seconds: bigint, now: bigint): bigint {
  const from = now / NS_PER_S;
  return from + BigInt.asIntN(32, seconds - from);
}
