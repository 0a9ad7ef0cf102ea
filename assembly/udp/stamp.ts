// A STAMP reflector, RFC 8762: stateless or with sessions (sessions.ts). authentic.ts has packets that are
// authenticated, this file all others, and tlv.ts the TLVs of both (RFC 8972). A reply is as long as its request.
//
//        sender's packet        reply
//   0    sequence number        the same, or that of the session's reply
//   4    timestamp              T3, when it is sent
//  12    error estimate         that of both times
//  14    SSID                   the same
//  16    0                      T2, when the request came
//  24    0                      sender's sequence number
//  28    0                      sender's timestamp
//  36    0                      sender's error estimate, and 0
//  40    0                      sender's TTL, and 0
//  44    TLVs                   the same, answered
//
// T3 is the last thing that is known of a reply, and its checksum covers it. So both are made for a whole batch, once
// everything in it is judged.

import { BATCH_AT, ERROR_ESTIMATE, MTU, NOW, STAMPED_COUNT, WALL } from "../../abi/control";
import { Counter, Drop, Protocol, TURNAROUND, TURNAROUND_BUCKETS } from "../../abi/counters";
import { MIN_PATH_MTU6 } from "../../abi/paths";
import { SESSION_DATA } from "../../abi/sessions";
import {
  STAMPED, STAMPED_FOLLOW_UP, STAMPED_HMAC, STAMPED_OPTIONS, STAMPED_REPLY, STAMPED_SESSION, STAMPED_SIZE,
} from "../../abi/slots";
import {
  ANSWERS_SHORT, AUTHENTICATED, PTP, STAMP_FLAGS, STAMP_IDLE_MS, STAMP_LAST_SEQUENCE, STAMP_LAST_TIME,
  STAMP_RECEIVED, STAMP_SENT, STAMP_TTL, STATEFUL,
} from "../../abi/stamp";
import { LINKED } from "../../abi/tables";
import { SERVICE_BYTES } from "../../abi/tcp";
import { load16 } from "../bytes";
import { checksum, sumWide } from "../checksum";
import { add, addLarge, isInSlot } from "../memory";
import { answers, arrival, family, setProtocol, wall } from "../packet";
import { knownMtu } from "../pmtu";
import { drop } from "../verdict";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/udp";
import * as authentic from "./authentic";
import * as irtt from "./irtt/packet";
import { reply } from "./reply";
import * as sessions from "./sessions";
import * as tlv from "./tlv";

const BASE_LEN: u32 = 44;

const SEQUENCE: usize = 0;
const TIMESTAMP: usize = 4;
const ERROR: usize = 12;
const SSID: usize = 14;
const RECEIVED_AT: usize = 16;
const SENDER_SEQUENCE: usize = 24;
const SENDER_TIMESTAMP: usize = 28;
const SENDER_ERROR: usize = 36;
const SENDER_TTL: usize = 40;

const NS_PER_S: u64 = 1_000_000_000;
/** Seconds from the beginning of 1900, of NTP's first era, to that of 1970. */
const NTP_EPOCH: u64 = 2_208_988_800;
/** Bit of an error estimate (Z): the times are in PTP's format. */
const PTP_FORMAT: u32 = 0x4000;

/** Bytes of the shortest packet of TWAMP Light (RFC 5357 §4.1.2): sequence number, timestamp and error estimate. */
const MIN_LEN: u32 = 14;

/**
 * Answers a datagram of `len` bytes as the service's options say (../../abi/stamp.ts), or drops it: one that is too
 * short because the reply would be longer.
 */
export function reflect(packet: usize, ip: usize, datagram: usize, len: u32, service: usize): i32 {
  const options: usize = load<u32>(service, SERVICE_BYTES);
  const message = datagram + wire.HEADER_LEN;
  const flags: u32 = load<u8>(options, STAMP_FLAGS);
  const authenticated = (flags & AUTHENTICATED) != 0;
  const baseLen: u32 = authenticated ? authentic.BASE_LEN : BASE_LEN;
  if (len < wire.HEADER_LEN + baseLen) {
    // RFC 8762 §4.4: a packet that is not authentic is nothing to complete.
    if (authenticated) return drop(Drop.stamp_hmac);
    if (!(flags & ANSWERS_SHORT) || !lengthen(ip, datagram, len)) return drop(Drop.stamp_short);
    len = wire.HEADER_LEN + BASE_LEN;
  }
  // Before anything else in it is looked at.
  const pads: usize = authenticated ? authentic.padsOf(message, options) : 0;
  if (authenticated && !(pads && authentic.isAuthentic(message, pads))) return drop(Drop.stamp_hmac);
  // Another reflector may have any port.
  if (authenticated ? authentic.isReflected(message) : isReflected(message)) return drop(Drop.udp_loop);
  let session: usize = 0;
  if (flags & STATEFUL) {
    session = sessionOf(packet, ip, datagram, service, options);
    if (!session) return drop(Drop.stamp_sessions);
  }
  const entry = entryFor(ip, <u32>options);
  const dataLen = len - wire.HEADER_LEN;
  const hmac = authenticated ? tlv.verify(message, message + baseLen, dataLen - baseLen, pads) : tlv.NO_HMAC;
  store<u32>(entry, <u32>session, STAMPED_SESSION);
  store<u32>(entry, hmac >= 0 ? baseLen + hmac : 0, STAMPED_HMAC);
  const dscp = tlv.answer(packet, ip, datagram, baseLen, dataLen, entry, hmac);
  if (dscp == tlv.NO_REPLY) return drop(Drop.stamp_no_reply);
  fill(packet, message, flags, family(packet) == 6 ? ipv6.hopLimit(ip) : ipv4.ttl(ip));
  if (session) store<u32>(message, bswap<u32>(next(session)), SEQUENCE);
  setProtocol(packet, Protocol.stamp);
  const replyLen = reply(packet, ip, datagram, len, load<u8>(options, STAMP_TTL), dscp);
  later(packet, ip, replyLen, entry);
  return replyLen;
}

/**
 * Returns the entry of STAMPED that is the next one's, for a reply whose service has these options, and which needs
 * nothing else yet.
 */
export function entryFor(ip: usize, options: u32): usize {
  const entry: usize = STAMPED + load<u32>(STAMPED_COUNT) * STAMPED_SIZE;
  store<u32>(entry, <u32>ip, STAMPED_REPLY);
  store<u32>(entry, options, STAMPED_OPTIONS);
  store<u32>(entry, 0, STAMPED_SESSION);
  store<u32>(entry, 0, STAMPED_FOLLOW_UP);
  store<u32>(entry, 0, STAMPED_HMAC);
  return entry;
}

/** Has a reply of `len` bytes completed when its batch leaves, as its entry says. */
export function later(packet: usize, ip: usize, len: u32, entry: usize): void {
  if (isInSlot(ip) && !(answers(packet) & LINKED) && leavesWhole(packet, ip, len)) {
    store<u32>(STAMPED_COUNT, load<u32>(STAMPED_COUNT) + 1);
  } else {
    // Fragments are made of it, or a link has it, at once.
    complete(entry, wall(packet), arrival(packet));
  }
}

/** Makes a packet its reply, but for what complete() adds. */
function fill(packet: usize, message: usize, flags: u32, ttl: u32): void {
  const error = bswap<u16>(<u16>(load<u32>(ERROR_ESTIMATE) | (flags & PTP ? PTP_FORMAT : 0)));
  const received = bswap<u64>(timeOf(wall(packet), flags));
  if (flags & AUTHENTICATED) {
    authentic.answer(message, received, error, ttl);
    return;
  }
  store<u32>(message, load<u32>(message, SEQUENCE), SENDER_SEQUENCE);
  store<u64>(message, load<u64>(message, TIMESTAMP), SENDER_TIMESTAMP);
  store<u32>(message, load<u16>(message, ERROR), SENDER_ERROR);
  store<u32>(message, ttl, SENDER_TTL);
  store<u16>(message, error, ERROR);
  store<u64>(message, received, RECEIVED_AT);
}

/**
 * Returns the session of a packet, which counts it; 0 if there is no room for another one. RFC 8972 §3: the SSID tells
 * a sender's sessions from each other.
 */
function sessionOf(packet: usize, ip: usize, datagram: usize, service: usize, options: usize): usize {
  const at = load<u8>(options, STAMP_FLAGS) & AUTHENTICATED ? authentic.SSID : SSID;
  const ssid = load16(datagram + wire.HEADER_LEN + at);
  let session = sessions.find(packet, ip, datagram, service, ssid);
  if (session) sessions.touch(session);
  else session = sessions.open(packet, ip, datagram, service, ssid, load<u32>(options, STAMP_IDLE_MS));
  if (!session) return 0;
  const data = session + SESSION_DATA;
  store<u32>(data, load<u32>(data, STAMP_RECEIVED) + 1, STAMP_RECEIVED);
  return session;
}

/** Takes the number of a session's next reply. */
function next(session: usize): u32 {
  const data = session + SESSION_DATA;
  const sequence = load<u32>(data, STAMP_SENT);
  store<u32>(data, sequence + 1, STAMP_SENT);
  return sequence;
}

/** Returns whether the path of a reply that was not reassembled has room for it (../judge/ipv6.ts). */
function leavesWhole(packet: usize, ip: usize, len: u32): bool {
  return family(packet) == 4 || len <= <u32>MIN_PATH_MTU6 || len <= knownMtu(ipv6.dstAddr(ip));
}

/** RFC 8762 §4.6: fills a packet of TWAMP Light up with zeros. Returns false if it is none, or if there is no room. */
function lengthen(ip: usize, datagram: usize, len: u32): bool {
  const end = datagram + wire.HEADER_LEN + BASE_LEN;
  if (len < wire.HEADER_LEN + MIN_LEN || end - ip > <usize>load<u32>(MTU)) return false;
  memory.fill(datagram + len, 0, end - datagram - len);
  wire.setHeader(datagram, load<u32>(datagram), wire.HEADER_LEN + BASE_LEN);
  return true;
}

/**
 * Returns whether a packet is as a reflector makes it: with a time at which it came and a TTL, and zeros around that.
 * If it were answered, two reflectors might answer each other without end.
 */
function isReflected(message: usize): bool {
  const isZero = !load<u16>(message, SENDER_ERROR + 2) && !(load<u32>(message, SENDER_TTL) & 0xffffff00);
  return isZero && load<u64>(message, RECEIVED_AT) != 0 && load<u8>(message, SENDER_TTL) != 0;
}

/** Completes the replies of a batch, which are about to be sent. */
export function stamp(): void {
  const count = load<u32>(STAMPED_COUNT);
  let own: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const entry: usize = STAMPED + i * STAMPED_SIZE;
    complete(entry, load<u64>(WALL), load<u64>(NOW));
    if (!isIrtts(entry)) own++;
  }
  store<u32>(STAMPED_COUNT, 0);
  if (!own) return;
  // All have come with the batch.
  const ns = load<u64>(NOW) - load<u64>(BATCH_AT);
  const us = (ns + 999) / 1000;
  const bucket = us <= 1 ? 0 : min<u32>(64 - <u32>clz(us - 1), TURNAROUND_BUCKETS - 1);
  add(TURNAROUND + bucket, own);
  addLarge(Counter.turnaroundNs, <f64>ns * <f64>own);
}

/** Writes the time at which a reply leaves, on both clocks, what covers that, and the checksum. */
function complete(entry: usize, wall: u64, now: u64): void {
  const ip: usize = load<u32>(entry, STAMPED_REPLY);
  const six = ipv4.version(ip) == 6;
  const datagram = ip + (six ? ipv6.HEADER_LEN : ipv4.headerLen(ip));
  const message = datagram + wire.HEADER_LEN;
  const len = wire.len(datagram);
  if (isIrtts(entry)) {
    const word = load<u32>(entry, STAMPED_OPTIONS);
    irtt.complete(message, len - wire.HEADER_LEN, word, load<u32>(entry, STAMPED_HMAC), wall, now);
  } else {
    finish(message, entry, wall);
  }
  wire.clearChecksum(datagram);
  const pseudo = six ? ipv6.pseudoSum(ip, ipv6.UDP, len) : ipv4.pseudoSum(ip, len);
  wire.setChecksum(datagram, checksum(pseudo + sumWide(datagram, len)));
}

function isIrtts(entry: usize): bool {
  return (load<u32>(entry, STAMPED_OPTIONS) & 1) != 0;
}

/** Writes T3, and the HMACs over it. */
function finish(message: usize, entry: usize, wall: u64): void {
  const options: usize = load<u32>(entry, STAMPED_OPTIONS);
  const session: usize = load<u32>(entry, STAMPED_SESSION);
  const flags: u32 = load<u8>(options, STAMP_FLAGS);
  const timestamp = message + (flags & AUTHENTICATED ? authentic.TIMESTAMP : TIMESTAMP);
  store<u64>(timestamp, bswap<u64>(timeOf(wall, flags)));
  if (session) follow(session + SESSION_DATA, message, timestamp, load<u32>(entry, STAMPED_FOLLOW_UP));
  if (flags & AUTHENTICATED) authentic.sign(message, options, load<u32>(entry, STAMPED_HMAC));
}

/**
 * RFC 8972 §4.7: tells of the session's last reply in the one at `message` if that has room for it at `offset`, and
 * remembers this one in its place, which has its time at `timestamp`.
 */
function follow(data: usize, message: usize, timestamp: usize, offset: u32): void {
  if (offset && load<u64>(data, STAMP_LAST_TIME)) {
    const value = message + offset;
    store<u32>(value, load<u32>(data, STAMP_LAST_SEQUENCE));
    store<u64>(value, load<u64>(data, STAMP_LAST_TIME), 4);
    store<u32>(value, tlv.TAKEN_BY_SOFTWARE, 12);
  }
  store<u32>(data, load<u32>(message, SEQUENCE), STAMP_LAST_SEQUENCE);
  store<u64>(data, load<u64>(timestamp), STAMP_LAST_TIME);
}

/** Returns a time in the format of the options' flags: RFC 5905 §6, or that of PTP with its seconds cut off. */
function timeOf(wall: u64, flags: u32): u64 {
  const seconds = wall / NS_PER_S;
  const ns = wall % NS_PER_S;
  return flags & PTP ? seconds << 32 | ns : seconds + NTP_EPOCH << 32 | (ns << 32) / NS_PER_S;
}
