// A STAMP reflector, RFC 8762: stateless. authentic.ts has packets that are authenticated, this file all others, and
// tlv.ts the TLVs of both (RFC 8972). A reply is as long as its request.
//
//        sender's packet        reply
//   0    sequence number        the same
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

import { ERROR_ESTIMATE, MTU, STAMPED_COUNT, WALL } from "../../abi/control";
import { Drop } from "../../abi/counters";
import { MIN_PATH_MTU6 } from "../../abi/paths";
import { STAMPED, STAMPED_SIZE } from "../../abi/slots";
import { ANSWERS_SHORT, ANY_SOURCE, AUTHENTICATED, STAMP_FLAGS, STAMP_TTL } from "../../abi/stamp";
import { checksum, sumWide } from "../checksum";
import { isInSlot } from "../memory";
import { family } from "../packet";
import { knownMtu } from "../pmtu";
import { drop } from "../verdict";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/udp";
import * as authentic from "./authentic";
import { completeIrtt } from "./irtt";
import { reply } from "./reply";
import * as tlv from "./tlv";

const BASE_LEN: u32 = 44;

const SEQUENCE: usize = 0;
const TIMESTAMP: usize = 4;
const ERROR: usize = 12;
const RECEIVED_AT: usize = 16;
const SENDER_SEQUENCE: usize = 24;
const SENDER_TIMESTAMP: usize = 28;
const SENDER_ERROR: usize = 36;
const SENDER_TTL: usize = 40;

const NS_PER_S: u64 = 1_000_000_000;
/** Seconds from the beginning of 1900, of NTP's first era, to that of 1970. */
const NTP_EPOCH: u64 = 2_208_988_800;

/** Bytes of the shortest packet of TWAMP Light (RFC 5357 §4.1.2): sequence number, timestamp and error estimate. */
const MIN_LEN: u32 = 14;

/**
 * Answers a datagram of `len` bytes with the options at `options` (../../abi/stamp.ts), or drops it: one that is too
 * short because the reply would be longer.
 */
export function reflect(packet: usize, ip: usize, datagram: usize, len: u32, options: usize): i32 {
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
  if (flags & ANY_SOURCE && (authenticated ? authentic.isReflected(message) : isReflected(message))) {
    return drop(Drop.udp_loop);
  }
  const tlvs = message + baseLen;
  const tlvsLen = len - wire.HEADER_LEN - baseLen;
  const hmac = authenticated ? tlv.verify(message, tlvs, tlvsLen, pads) : tlv.NO_HMAC;
  const dscp = tlv.answer(packet, ip, datagram, tlvs, tlvsLen, options, hmac);
  if (dscp == tlv.NO_REPLY) return drop(Drop.stamp_no_reply);
  const ttl: u32 = family(packet) == 6 ? ipv6.hopLimit(ip) : ipv4.ttl(ip);
  const error = bswap<u16>(<u16>load<u32>(ERROR_ESTIMATE));
  const received = bswap<u64>(ntp());
  if (authenticated) {
    authentic.answer(message, received, error, ttl);
    if (hmac >= 0) tlv.sign(message, tlvs, hmac, pads);
  } else {
    store<u32>(message, load<u32>(message, SEQUENCE), SENDER_SEQUENCE);
    store<u64>(message, load<u64>(message, TIMESTAMP), SENDER_TIMESTAMP);
    store<u32>(message, load<u16>(message, ERROR), SENDER_ERROR);
    store<u32>(message, ttl, SENDER_TTL);
    store<u16>(message, error, ERROR);
    store<u64>(message, received, RECEIVED_AT);
  }
  const replyLen = reply(packet, ip, datagram, len, load<u8>(options, STAMP_TTL), dscp);
  later(packet, ip, replyLen, <u32>options);
  return replyLen;
}

/** Has a reply of `len` bytes completed when its batch leaves. `word` says by whom, as STAMPED has it. */
export function later(packet: usize, ip: usize, len: u32, word: u32): void {
  if (isInSlot(ip) && leavesWhole(packet, ip, len)) {
    const count = load<u32>(STAMPED_COUNT);
    const stamped = STAMPED + count * STAMPED_SIZE;
    store<u32>(stamped, <u32>ip);
    store<u32>(stamped, word, 4);
    store<u32>(STAMPED_COUNT, count + 1);
  } else {
    // Fragments are made of it at once.
    complete(ip, word);
  }
}

/** Returns whether the path of a reply that was not reassembled has room for it (../judge/ipv6.ts). */
function leavesWhole(packet: usize, ip: usize, len: u32): bool {
  return family(packet) == 4 || len <= <u32>MIN_PATH_MTU6 || len <= knownMtu(ipv6.dstAddr(ip));
}

/** RFC 8762 §4.6: fills a packet of TWAMP Light up with zeros. Returns false if it is none, or if there is no room. */
function lengthen(ip: usize, datagram: usize, len: u32): bool {
  const end = datagram + wire.HEADER_LEN + BASE_LEN;
  if (len < wire.HEADER_LEN + MIN_LEN || <u32 > (end - ip) > load<u32>(MTU)) return false;
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
  for (let i: u32 = 0; i < count; i++) {
    const stamped = STAMPED + i * STAMPED_SIZE;
    complete(load<u32>(stamped), load<u32>(stamped, 4));
  }
  store<u32>(STAMPED_COUNT, 0);
}

/** Writes the time at which a reply leaves, what covers that, and the checksum. */
function complete(ip: usize, word: u32): void {
  const six = ipv4.version(ip) == 6;
  const datagram = ip + (six ? ipv6.HEADER_LEN : ipv4.headerLen(ip));
  const message = datagram + wire.HEADER_LEN;
  const len = wire.len(datagram);
  const options: usize = word;
  if (word & 1) {
    completeIrtt(message, word);
  } else if (load<u8>(options, STAMP_FLAGS) & AUTHENTICATED) {
    authentic.complete(message, bswap<u64>(ntp()), options);
  } else {
    store<u64>(message, bswap<u64>(ntp()), TIMESTAMP);
  }
  wire.clearChecksum(datagram);
  const pseudo = six ? ipv6.pseudoSum(ip, ipv6.UDP, len) : ipv4.pseudoSum(ip, len);
  wire.setChecksum(datagram, checksum(pseudo + sumWide(datagram, len)));
}

/** Returns the time in NTP's format, RFC 5905 §6: seconds, and a fraction of 32 bits. */
function ntp(): u64 {
  const wall = load<u64>(WALL);
  return wall / NS_PER_S + NTP_EPOCH << 32 | (wall % NS_PER_S << 32) / NS_PER_S;
}
