// TLVs of STAMP: RFC 8972 §4 with its errata 8199 and 8339, and RFC 9503. They go back where they lie, each as long as
// it came, with flags that say what was understood.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   ├─┬─┬─┬─────────┬───────────────┬───────────────────────────────┤
//  0│U│M│I│         │     type      │      length of the value      │
//   ├─┴─┴─┴─────────┴───────────────┴───────────────────────────────┤
//  4│ value                                                         │
//
// A packet takes no more steps than it has words: a TLV has a header of four bytes, and so has one within another.

import { ERROR_ESTIMATE, FRAME_OFFSET, MODE, Mode } from "../../abi/control";
import { TLV_FLAGS, TlvFlag } from "../../abi/counters";
import { SESSION_DATA } from "../../abi/sessions";
import { SLOT_ALIGN, STAMPED_FOLLOW_UP, STAMPED_OPTIONS, STAMPED_SESSION } from "../../abi/slots";
import {
  DSCP_REFLECTED, LOCATION, STAMP_COS, STAMP_DSCP, STAMP_FLAGS, STAMP_RECEIVED, STAMP_SENT,
} from "../../abi/stamp";
import { load16 } from "../bytes";
import { isTag, setTag } from "../sha256";
import { add } from "../memory";
import { family, link } from "../packet";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/udp";
import { dscpOf } from "./reply";

const HEADER_LEN: u32 = 4;

// Flags.
const UNRECOGNIZED: u32 = 0x80;
const MALFORMED: u32 = 0x40;
const INTEGRITY_FAILED: u32 = 0x20;

// Types. Others are not understood: among them 11 (Micro-session ID), and 12 (Reflected Test Packet Control), which
// asks for more packets than one, and longer ones.
const EXTRA_PADDING: u32 = 1;
const LOCATION_TLV: u32 = 2;
const TIMESTAMP_INFORMATION: u32 = 3;
const CLASS_OF_SERVICE: u32 = 4;
const DIRECT_MEASUREMENT: u32 = 5;
const ACCESS_REPORT: u32 = 6;
const FOLLOW_UP_TELEMETRY: u32 = 7;
/** Understood in packets that are authenticated alone: in others there is no key. */
const HMAC: u32 = 8;
const DESTINATION_NODE_ADDRESS: u32 = 9;
const RETURN_PATH: u32 = 10;

// Types within a Location TLV: a question is 1, 4 or 7, and the others are answers.
const SOURCE_MAC: u32 = 1;
const SOURCE_EUI48: u32 = 2;
const SOURCE_EUI64: u32 = 3;
const DESTINATION_IP: u32 = 4;
const SOURCE_IP: u32 = 7;
const MAC_LEN: u32 = 8;
const IP_LEN: u32 = 16;

/** Type within a Return Path TLV (RFC 9503 §4.1.1). Others name third parties, or ways through a network. */
const CONTROL_CODE: u32 = 1;

/** RFC 8972 §4.3 has these numbers for what a clock follows, and how times are taken. */
const SYNCHRONIZED_BY_NTP: u32 = 1;
const FREE_RUNNING: u32 = 5;
export const TAKEN_BY_SOFTWARE: u32 = 2;
/** Bit of an error estimate: the clock is synchronized. */
const SYNCHRONIZED: u32 = 0x8000;

/** verify() returns it where there is no HMAC TLV, and need not be; and where the TLVs are not authentic. */
export const NO_HMAC: i32 = -1;
const NOT_AUTHENTIC: i32 = -2;
const HMAC_LEN: u32 = 16;

/** answer() returns it where the sender wants no reply. */
export const NO_REPLY: i32 = -1;
const NOT_ASKED: i32 = -1;

/**
 * §4.8: looks for the HMAC of the TLVs in a packet that is authentic. It covers the packet's sequence number and all
 * TLVs before it, and only padding may lie behind it. A single TLV of padding needs none. Returns the offset of the
 * HMAC's TLV, NO_HMAC, or NOT_AUTHENTIC.
 */
export function verify(message: usize, tlvs: usize, len: u32, pads: usize): i32 {
  let hmac = NO_HMAC;
  let count = 0;
  let onlyPadding = true;
  for (let at: u32 = 0; len - at >= HEADER_LEN;) {
    const tlv = tlvs + at;
    if (!load<u32>(tlv)) break;
    const type: u32 = load<u8>(tlv, 1);
    const valueLen = load16(tlv + 2);
    const fits = valueLen <= len - at - HEADER_LEN;
    if (type == HMAC) {
      if (hmac >= 0 || !fits || valueLen != HMAC_LEN) return NOT_AUTHENTIC;
      hmac = at;
    } else if (type != EXTRA_PADDING) {
      if (hmac >= 0) return NOT_AUTHENTIC;
      onlyPadding = false;
    }
    if (!fits) {
      // It may hide others.
      onlyPadding = false;
      break;
    }
    count++;
    at += HEADER_LEN + valueLen;
  }
  if (hmac < 0) return onlyPadding && count <= 1 ? NO_HMAC : NOT_AUTHENTIC;
  coverSequence(message, tlvs);
  return isTag(tlvs + hmac + HEADER_LEN, pads, tlvs - 4, 4 + hmac) ? hmac : NOT_AUTHENTIC;
}

/** Writes the HMAC of a reply's TLVs, once they and the sequence number are the reply's. */
export function sign(message: usize, tlvs: usize, hmac: u32, pads: usize): void {
  coverSequence(message, tlvs);
  setTag(tlvs + hmac + HEADER_LEN, pads, tlvs - 4, 4 + hmac);
}

/**
 * Puts the sequence number before the TLVs, where the HMAC of the packet ends. The request's has been verified, and the
 * reply's follows.
 */
function coverSequence(message: usize, tlvs: usize): void {
  store<u32>(tlvs - 4, load<u32>(message));
}

/**
 * Answers the TLVs of a datagram with `len` bytes of data, which begin at offset `at` of that. Its headers are still
 * those of the request. `entry` is the reply's in STAMPED (../../abi/slots.ts), `hmac` what verify() has returned.
 * Returns the DSCP that the reply is to have, or NO_REPLY.
 */
export function answer(packet: usize, ip: usize, datagram: usize, at: u32, len: u32, entry: usize, hmac: i32): i32 {
  const options: usize = load<u32>(entry, STAMPED_OPTIONS);
  const session: usize = load<u32>(entry, STAMPED_SESSION);
  const received = dscpOf(packet, ip);
  if (hmac == NOT_AUTHENTIC) {
    refuse(datagram + wire.HEADER_LEN + at, len - at);
    return ownDscp(received, options);
  }
  let dscp = NOT_ASKED;
  let paths = 0;
  while (len - at >= HEADER_LEN) {
    const tlv = datagram + wire.HEADER_LEN + at;
    // Zeros to the end are a TWAMP Light sender's padding, and stay as they are.
    if (!load<u32>(tlv)) break;
    const type: u32 = load<u8>(tlv, 1);
    const value = tlv + HEADER_LEN;
    const valueLen = load16(tlv + 2);
    const room = len - at - HEADER_LEN;
    // §4: nothing behind a malformed TLV is looked at.
    if (valueLen > room || !fits(type, valueLen)) {
      // §4.7, erratum 8339.
      if (type == FOLLOW_UP_TELEMETRY) memory.fill(value, 0, min(<u32>12, min(valueLen, room)));
      mark(tlv, MALFORMED | (isKnown(type) ? 0 : UNRECOGNIZED));
      break;
    }
    let flags: u32 = 0;
    switch (type) {
      case EXTRA_PADDING: break;
      case LOCATION_TLV: locate(packet, ip, datagram, value, valueLen, options); break;
      case TIMESTAMP_INFORMATION: describeClock(value); break;
      case CLASS_OF_SERVICE:
        dscp = serveClass(value, received, ecn(packet, ip), load<u64>(options, STAMP_COS), dscp);
        break;
      case ACCESS_REPORT: if (!isAccess(value)) flags = UNRECOGNIZED; break;
      case DIRECT_MEASUREMENT:
        // Without a session there is nothing that it could count.
        if (session) tellCounts(value, session + SESSION_DATA);
        else flags = UNRECOGNIZED;
        break;
      case FOLLOW_UP_TELEMETRY:
        // What is known of the session's last reply follows when this one is completed.
        memory.fill(value, 0, valueLen);
        if (session) store<u32>(entry, at + HEADER_LEN, STAMPED_FOLLOW_UP);
        break;
      case HMAC: if (hmac < 0) flags = UNRECOGNIZED; break;
      case DESTINATION_NODE_ADDRESS: if (!isDestination(packet, ip, value, valueLen)) flags = UNRECOGNIZED; break;
      case RETURN_PATH: {
        // RFC 9503 §4: only the first one counts.
        const code = paths++ ? NOT_ASKED : controlCode(value, valueLen);
        if (!code) return NO_REPLY;
        if (code == NOT_ASKED) flags = UNRECOGNIZED;
        break;
      }
      default: flags = UNRECOGNIZED;
    }
    mark(tlv, flags);
    at += HEADER_LEN + valueLen;
  }
  return dscp == NOT_ASKED ? ownDscp(received, options) : dscp;
}

/** Returns the DSCP of a reply whose sender does not ask for one. */
function ownDscp(received: u32, options: usize): i32 {
  const own: u32 = load<u8>(options, STAMP_DSCP);
  return own == DSCP_REFLECTED ? received : own;
}

/** §4.8: TLVs that are not authentic go back as they are, but for their flags. */
function refuse(tlvs: usize, len: u32): void {
  for (let at: u32 = 0; len - at >= HEADER_LEN;) {
    const tlv = tlvs + at;
    if (!load<u32>(tlv)) return;
    const valueLen = load16(tlv + 2);
    mark(tlv, INTEGRITY_FAILED);
    if (valueLen > len - at - HEADER_LEN) return;
    at += HEADER_LEN + valueLen;
  }
}

/** Overwrites the flags of a TLV, or of one within another: the sender's mean nothing. */
function mark(tlv: usize, flags: u32): void {
  store<u8>(tlv, <u8>flags);
  if (flags & UNRECOGNIZED) add(TLV_FLAGS + TlvFlag.unrecognized, 1);
  if (flags & MALFORMED) add(TLV_FLAGS + TlvFlag.malformed, 1);
  if (flags & INTEGRITY_FAILED) add(TLV_FLAGS + TlvFlag.integrity, 1);
}

function isKnown(type: u32): bool {
  return (type >= EXTRA_PADDING && type <= FOLLOW_UP_TELEMETRY) || type == DESTINATION_NODE_ADDRESS
    || type == RETURN_PATH;
}

/** Returns whether a TLV of this type may be so long. */
function fits(type: u32, valueLen: u32): bool {
  switch (type) {
    case LOCATION_TLV: return valueLen >= 4;
    case TIMESTAMP_INFORMATION:
    case CLASS_OF_SERVICE:
    case ACCESS_REPORT: return valueLen == 4;
    case DIRECT_MEASUREMENT: return valueLen == 12;
    case FOLLOW_UP_TELEMETRY: return valueLen == 16;
    case DESTINATION_NODE_ADDRESS: return valueLen == 4 || valueLen == 16;
    default: return true;
  }
}

/**
 * §4.2: says from which port to which the request went, and answers what is asked within. If the options say that the
 * sender is not to know, the answers are zeros.
 */
function locate(packet: usize, ip: usize, datagram: usize, value: usize, len: u32, options: usize): void {
  const isTold = (load<u8>(options, STAMP_FLAGS) & LOCATION) != 0;
  store<u32>(value, isTold ? rotl<u32>(load<u32>(datagram), 16) : 0);
  const six = family(packet) == 6;
  for (let at: u32 = 4; len - at >= HEADER_LEN;) {
    const tlv = value + at;
    const type: u32 = load<u8>(tlv, 1);
    const valueLen = load16(tlv + 2);
    const isQuestion = type == SOURCE_MAC || type == DESTINATION_IP || type == SOURCE_IP;
    if (valueLen > len - at - HEADER_LEN || (isQuestion && valueLen != (type == SOURCE_MAC ? MAC_LEN : IP_LEN))) {
      mark(tlv, MALFORMED | (isQuestion ? 0 : UNRECOGNIZED));
      return;
    }
    mark(tlv, isQuestion ? 0 : UNRECOGNIZED);
    if (type == SOURCE_MAC) {
      tellMac(packet, tlv, isTold);
    } else if (isQuestion) {
      // The answer for IPv4 is the next type, and that for IPv6 the one behind it.
      store<u8>(tlv, <u8>(type + (six ? 2 : 1)), 1);
      memory.fill(tlv + HEADER_LEN, 0, IP_LEN);
      if (isTold) tellAddress(ip, tlv + HEADER_LEN, six, type == SOURCE_IP);
    }
    at += HEADER_LEN + valueLen;
  }
}

/** §4.2.2: a packet that came without a MAC address is told an EUI-64 of zeros. */
function tellMac(packet: usize, tlv: usize, isTold: bool): void {
  const isKnown = isTold && load<u32>(MODE) == Mode.tap;
  store<u8>(tlv, <u8>(isKnown ? SOURCE_EUI48 : SOURCE_EUI64), 1);
  store<u64>(tlv, 0, HEADER_LEN);
  if (!isKnown) return;
  // The link header before the packet is that of the reply.
  const behind = link(packet);
  const headerLen = (<u32>behind & (SLOT_ALIGN - 1)) - load<u32>(FRAME_OFFSET);
  ethernet.store48(tlv + HEADER_LEN, ethernet.load48(ethernet.dstMac(behind - headerLen)));
}

function tellAddress(ip: usize, to: usize, six: bool, source: bool): void {
  if (six) memory.copy(to, source ? ipv6.srcAddr(ip) : ipv6.dstAddr(ip), 16);
  else store<u32>(to, load<u32>(source ? ipv4.srcAddr(ip) : ipv4.dstAddr(ip)));
}

/** §4.3: says how the times T2 and T3 came about. */
function describeClock(value: usize): void {
  const source = load<u32>(ERROR_ESTIMATE) & SYNCHRONIZED ? SYNCHRONIZED_BY_NTP : FREE_RUNNING;
  store<u32>(value, (source | TAKEN_BY_SOFTWARE << 8) * 0x10001);
}

/**
 * §4.4, erratum 8199: tells the DSCP and the ECN codepoint with which the request came. Returns the DSCP of the reply:
 * what the sender asks for if it is one of `permitted`, or else that of the request. If a TLV before this one has
 * asked, it is `dscp`. A reply with another DSCP than was asked for has RP.
 *
 *  │ DSCP1, 6 │ DSCP2, 6 │ ECN, 2 │ RP, 2 │ reserved, 16 │
 */
function serveClass(value: usize, received: u32, ecn: u32, permitted: u64, dscp: i32): i32 {
  const wanted = <u32>load<u8>(value) >>> 2;
  if (dscp == NOT_ASKED) dscp = permitted >>> wanted & 1 ? wanted : received;
  const refused: u32 = permitted >>> wanted & 1 && wanted == dscp ? 0 : 1;
  store<u32>(value, bswap<u32>(wanted << 26 | received << 20 | ecn << 18 | refused << 16));
  return dscp;
}

function ecn(packet: usize, ip: usize): u32 {
  return family(packet) == 6 ? ipv6.ecn(ip) : ipv4.ecn(ip);
}

/** §4.5: tells how many packets have come, and how many replies have left with this one. */
function tellCounts(value: usize, data: usize): void {
  store<u32>(value, bswap<u32>(load<u32>(data, STAMP_RECEIVED)), 4);
  store<u32>(value, bswap<u32>(load<u32>(data, STAMP_SENT) + 1), 8);
}

/** §4.6: returns whether it is about an access network of a kind that there is: of 3GPP, or another one. */
function isAccess(value: usize): bool {
  const id = <u32>load<u8>(value) >>> 4;
  return id == 1 || id == 2;
}

/** RFC 9503 §3: returns whether this is the address to which the request went. The reply comes from there. */
function isDestination(packet: usize, ip: usize, value: usize, len: u32): bool {
  if (family(packet) == 6) return len == 16 && ipv6.isSame(value, ipv6.dstAddr(ip));
  return len == 4 && load<u32>(value) == load<u32>(ipv4.dstAddr(ip));
}

/**
 * RFC 9503 §4.1.1: returns the code of a Return Path TLV: 0 for no reply, 1 for one by the link on which the request
 * came; or NOT_ASKED if it has none, or is malformed before it. Nothing else within it is understood: a reply goes to
 * where its request came from, and nowhere else.
 */
function controlCode(value: usize, len: u32): i32 {
  let code = NOT_ASKED;
  for (let at: u32 = 0; len - at >= HEADER_LEN;) {
    const tlv = value + at;
    const isCode = load<u8>(tlv, 1) == CONTROL_CODE;
    const valueLen = load16(tlv + 2);
    if (valueLen > len - at - HEADER_LEN || (isCode && valueLen != 4)) {
      mark(tlv, MALFORMED | (isCode ? 0 : UNRECOGNIZED));
      break;
    }
    const isFirst = isCode && code == NOT_ASKED;
    // The other bits are reserved.
    if (isFirst) code = load<u8>(tlv, HEADER_LEN + 3) & 1;
    mark(tlv, isFirst ? 0 : UNRECOGNIZED);
    at += HEADER_LEN + valueLen;
  }
  return code;
}
