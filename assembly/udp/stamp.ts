// A STAMP reflector, RFC 8762: stateless. authentic.ts has packets that are authenticated, and this file all others.
// TLVs (RFC 8972) go back as they came, with flags that say which were understood. A reply is as long as its request.
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
//  44    TLVs                   the same, with flags
//
// T3 is the last thing that is known of a reply, and its checksum covers it. So both are made for a whole batch, once
// everything in it is judged.

import { ERROR_ESTIMATE, STAMPED_COUNT, WALL } from "../../abi/control";
import { Drop } from "../../abi/counters";
import { STAMPED, STAMPED_SIZE } from "../../abi/slots";
import { AUTHENTICATED, STAMP_FLAGS, STAMP_TTL } from "../../abi/stamp";
import { load16 } from "../bytes";
import { checksum, sumWide } from "../checksum";
import { isInSlot } from "../memory";
import { family } from "../packet";
import { drop } from "../verdict";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/udp";
import { answer, AUTHENTICATED_LEN, AUTHENTICATED_TIMESTAMP, authenticate, isAuthentic } from "./authentic";
import { completeIrtt } from "./irtt";
import { reply } from "./reply";

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

/** Flags of a TLV, RFC 8972 §4. */
const UNRECOGNIZED: u32 = 0x80;
const MALFORMED: u32 = 0x40;
const EXTRA_PADDING: u32 = 1;
const TLV_HEADER_LEN: u32 = 4;

/**
 * Answers a datagram of `len` bytes, or drops one that is too short: no reply is longer than its request. The options
 * are as in ../../abi/stamp.ts.
 */
export function reflect(packet: usize, ip: usize, datagram: usize, len: u32, options: usize): i32 {
  const authenticated = isAuthenticated(options);
  const baseLen: u32 = authenticated ? AUTHENTICATED_LEN : BASE_LEN;
  const message = datagram + wire.HEADER_LEN;
  const isLong = len >= wire.HEADER_LEN + baseLen;
  // RFC 8762 §4.4: before anything else is looked at.
  if (authenticated && !(isLong && isAuthentic(message, options))) return drop(Drop.stamp_hmac);
  if (!isLong) return drop(Drop.stamp_short);
  const ttl: u32 = family(packet) == 6 ? ipv6.hopLimit(ip) : ipv4.ttl(ip);
  const error = bswap<u16>(<u16>load<u32>(ERROR_ESTIMATE));
  const received = bswap<u64>(ntp());
  if (authenticated) {
    answer(message, received, error, ttl);
  } else {
    store<u32>(message, load<u32>(message, SEQUENCE), SENDER_SEQUENCE);
    store<u64>(message, load<u64>(message, TIMESTAMP), SENDER_TIMESTAMP);
    store<u32>(message, load<u16>(message, ERROR), SENDER_ERROR);
    store<u32>(message, ttl, SENDER_TTL);
    store<u16>(message, error, ERROR);
    store<u64>(message, received, RECEIVED_AT);
  }
  flag(message + baseLen, len - wire.HEADER_LEN - baseLen);
  const replyLen = reply(packet, ip, datagram, len, load<u8>(options, STAMP_TTL));
  later(ip, <u32>options);
  return replyLen;
}

/** Has a reply completed when its batch leaves. `word` says by whom, as STAMPED has it. */
export function later(ip: usize, word: u32): void {
  if (isInSlot(ip)) {
    const count = load<u32>(STAMPED_COUNT);
    const stamped = STAMPED + count * STAMPED_SIZE;
    store<u32>(stamped, <u32>ip);
    store<u32>(stamped, word, 4);
    store<u32>(STAMPED_COUNT, count + 1);
  } else {
    // It was reassembled, and fragments are made of it at once.
    complete(ip, word);
  }
}

function isAuthenticated(options: usize): bool {
  return (load<u8>(options, STAMP_FLAGS) & AUTHENTICATED) != 0;
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
  } else if (isAuthenticated(options)) {
    store<u64>(message + AUTHENTICATED_TIMESTAMP, bswap<u64>(ntp()));
    authenticate(message, options);
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

/**
 * Overwrites the flags of TLVs. Padding is the only one that is understood. Zeros to the end are a TWAMP Light sender's
 * padding, and stay as they are.
 */
function flag(tlvs: usize, len: u32): void {
  for (let at: u32 = 0; len - at >= TLV_HEADER_LEN;) {
    const tlv = tlvs + at;
    if (!load<u32>(tlv)) return;
    const whole = TLV_HEADER_LEN + load16(tlv + 2);
    const fits = whole <= len - at;
    const type: u32 = load<u8>(tlv, 1);
    store<u8>(tlv, <u8>((type == EXTRA_PADDING ? 0 : UNRECOGNIZED) | (fits ? 0 : MALFORMED)));
    if (!fits) return;
    at += whole;
  }
}
