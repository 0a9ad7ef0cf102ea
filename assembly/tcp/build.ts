// Builds segments. A segment has a slot of its own: link header, IP header, TCP header with options, payload. The
// caller has checked that there is a slot, and room in TO_SEND.

import { FRAME_OFFSET, NOW } from "../../abi/control";
import { Counter } from "../../abi/counters";
import { FIRST_PREFIX, LINKED } from "../../abi/tables";
import {
  ADDRESSES, LINK, LINK_LEN, MAX_RANGES, MSS, OWNER, PORTS, RANGES, TS_OFFSET, TS_RECENT, TTL,
} from "../../abi/tcp";
import { checksum, sumWide } from "../checksum";
import { emit, emitOf } from "../link/link";
import { add, take, takeReply } from "../memory";
import * as offload from "../offload";
import { answers, ttl } from "../packet";
import { answersOf, table } from "../prefix";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/tcp";
import { ECN, has, SACK, SIX, TIMESTAMPS } from "./connection";

/**
 * The smallest MSS that is believed (Linux's TCP_MIN_SND_MSS is 48). Timestamps and SACK blocks fit, and some payload.
 */
export const MIN_MSS: u32 = 88;

/** Bytes of the options of a SYN-ACK: MSS; SACK permitted and timestamps, each padded without the other; scale. */
const MSS_LEN: u32 = 4;
const SCALE_LEN: u32 = 4;
const SACK_PERMITTED_LEN: u32 = 4;

/** Returns the value of timestamps for now: milliseconds from an origin that nobody knows. */
export function timestamp(): u32 {
  return <u32>(load<u64>(NOW) / 1_000_000) + load<u32>(TS_OFFSET);
}

// ---- of a connection ------------------------------------------------------------------------------------------------

/** Begins a segment of a connection. Returns the address of its IP header. */
export function begin(c: usize): usize {
  const slot = take() + load<u32>(FRAME_OFFSET);
  const linkLen: usize = load<u8>(c, LINK_LEN);
  if (linkLen) memory.copy(slot, c + LINK, linkLen);
  return slot + linkLen;
}

/** Returns where the TCP header of a connection's segment lies. */
export function headerOf(c: usize, ip: usize): usize {
  return ip + (has(c, SIX) ? ipv6.HEADER_LEN : ipv4.MIN_HEADER_LEN);
}

/**
 * Returns the bytes of options of a segment that is no SYN-ACK: timestamps, and SACK blocks if something is missing.
 */
export function optionsLen(c: usize): u32 {
  const timestamps: u32 = has(c, TIMESTAMPS) ? wire.TIMESTAMPS_LEN : 0;
  const ranges = rangesToTell(c);
  return timestamps + (ranges ? 4 + 8 * ranges : 0);
}

/** Writes the options of which optionsLen() has told the length. */
export function writeOptions(c: usize, at: usize): void {
  if (has(c, TIMESTAMPS)) {
    writeTimestamps(at, timestamp(), load<u32>(c, TS_RECENT));
    at += wire.TIMESTAMPS_LEN;
  }
  const ranges = rangesToTell(c);
  if (!ranges) return;
  store<u32>(at, 2 + 8 * ranges << 24 | wire.OPTION_SACK << 16 | wire.OPTION_NOP << 8 | wire.OPTION_NOP);
  for (let i: u32 = 0; i < 2 * ranges; i++) store<u32>(at + 4 + (i << 2), bswap<u32>(load<u32>(c + RANGES + (i << 2))));
}

/** RFC 2018 §3: 40 bytes of options have room for four blocks, or three beside timestamps. */
function rangesToTell(c: usize): u32 {
  // Some payload has to fit, too.
  const mss: u32 = load<u16>(c, MSS);
  if (!has(c, SACK) || mss < MIN_MSS) return 0;
  const most: u32 = has(c, TIMESTAMPS) ? MAX_RANGES - 1 : MAX_RANGES;
  let ranges: u32 = 0;
  while (ranges < most && load<u32>(c + RANGES + (ranges << 3)) != load<u32>(c + RANGES + (ranges << 3), 4)) ranges++;
  return ranges;
}

/**
 * Completes a connection's segment, and queues it. Its TCP header of `headerLen` bytes is there, and `len` bytes of
 * payload behind it, which the kernel cuts if they are more than `mss`. `data` says that the payload is sent for the
 * first time.
 */
export function finish(c: usize, ip: usize, headerLen: u32, len: u32, mss: u32, data: bool): void {
  const ttl: u32 = load<u8>(c, TTL);
  const addresses = c + ADDRESSES;
  const six = has(c, SIX);
  if (six) ipv6.setHeader(ip, headerLen + len, ipv6.TCP, ttl, addresses + 16, addresses);
  else ipv4.setHeader(ip, headerLen + len, ipv4.PROTOCOL_TCP, ttl, addresses + 4, addresses);
  // RFC 3168 §6.1.4, §6.1.5: only data is ECN-capable.
  if (data && has(c, ECN)) {
    if (six) ipv6.setEcnCapable(ip);
    else ipv4.setEcnCapable(ip);
  }
  seal(ip, six, headerLen, len, mss, isBehindLink(c));
  emitOf(load<i32>(c, OWNER), ip, (six ? ipv6.HEADER_LEN : ipv4.MIN_HEADER_LEN) + headerLen + len);
}

/**
 * Returns whether a connection's segments go through a link, where each has a fate of its own: then the kernel has
 * nothing left to do to them.
 */
export function isBehindLink(c: usize): bool {
  const owner = load<i32>(c, OWNER);
  return owner >= FIRST_PREFIX && (answersOf(table(), owner) & LINKED) != 0;
}

/** Returns both ports as they lie in a segment from here. */
export function portsOf(c: usize): u32 {
  return rotl<u32>(load<u32>(c, PORTS), 16);
}

// ---- in answer to a packet, without a connection --------------------------------------------------------------------

/** Begins a segment to the sender of a packet. Returns the address of its IP header. */
export function beginReply(packet: usize): usize {
  return takeReply(packet);
}

/** Completes the segment at `reply`, a header alone, to the sender of the packet at `ip`, and queues it. */
export function finishReply(packet: usize, ip: usize, reply: usize, six: bool, headerLen: u32): void {
  if (six) ipv6.setHeader(reply, headerLen, ipv6.TCP, ttl(packet), ipv6.dstAddr(ip), ipv6.srcAddr(ip));
  else ipv4.setHeader(reply, headerLen, ipv4.PROTOCOL_TCP, ttl(packet), ipv4.dstAddr(ip), ipv4.srcAddr(ip));
  seal(reply, six, headerLen, 0, 0, (answers(packet) & LINKED) != 0);
  emit(packet, reply, (six ? ipv6.HEADER_LEN : ipv4.MIN_HEADER_LEN) + headerLen);
}

// ---- options --------------------------------------------------------------------------------------------------------

/** Writes timestamps with two NOPs before them (RFC 7323, appendix A). */
export function writeTimestamps(at: usize, value: u32, echo: u32): void {
  store<u32>(at, wire.PADDED_TIMESTAMPS);
  store<u32>(at, bswap<u32>(value), 4);
  store<u32>(at, bswap<u32>(echo), 8);
}

/** Writes the options of a SYN-ACK. `scale` is the shift count, or -1 for none. Returns how many bytes they have. */
export function writeSynOptions(
  at: usize, mss: u32, sack: bool, timestamps: bool, value: u32, echo: u32, scale: i32,
): u32 {
  const from = at;
  store<u32>(at, <u32>bswap<u16>(<u16>mss) << 16 | MSS_LEN << 8 | wire.OPTION_MSS);
  at += MSS_LEN;
  if (timestamps) {
    writeTimestamps(at, value, echo);
    // In place of the NOPs.
    if (sack) store<u16>(at, 2 << 8 | wire.OPTION_SACK_PERMITTED);
    at += wire.TIMESTAMPS_LEN;
  } else if (sack) {
    store<u32>(at, 2 << 24 | wire.OPTION_SACK_PERMITTED << 16 | wire.OPTION_NOP << 8 | wire.OPTION_NOP);
    at += SACK_PERMITTED_LEN;
  }
  if (scale >= 0) {
    store<u32>(at, <u32>scale << 24 | 3 << 16 | wire.OPTION_SCALE << 8 | wire.OPTION_NOP);
    at += SCALE_LEN;
  }
  return <u32>(at - from);
}

/** Computes the checksum of a segment whose IP header is there, or leaves that to the kernel unless it is `linked`. */
function seal(ip: usize, six: bool, headerLen: u32, len: u32, mss: u32, linked: bool): void {
  const ipLen: u32 = six ? ipv6.HEADER_LEN : ipv4.MIN_HEADER_LEN;
  const tcp = ip + ipLen;
  const pseudo = six ? ipv6.pseudoSum(ip, ipv6.TCP, headerLen + len) : ipv4.pseudoSum(ip, headerLen + len);
  const reduced = (wire.flags(tcp) & wire.CWR) != 0;
  if (!linked && offload.partial(ip, ipLen, wire.CHECKSUM_AT, ipLen + headerLen, len > mss ? mss : 0, six, reduced)) {
    wire.setChecksum(tcp, checksum(pseudo) ^ 0xffff);
  } else {
    offload.plain(ip);
    wire.setChecksum(tcp, checksum(pseudo + sumWide(tcp, headerLen + len)));
  }
  add(Counter.tcpSent, 1);
}
