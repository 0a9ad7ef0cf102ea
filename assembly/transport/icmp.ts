// ICMP, RFC 792, and ICMPv6, RFC 4443. Both have a header of the same shape, and requests that are answered in place.

import { MTU } from "../../abi/control";
import { Drop } from "../../abi/counters";
import { MIN_PATH_MTU, MIN_PATH_MTU6 } from "../../abi/paths";
import { THREAD_COUNT, Unopened } from "../../abi/streams";
import { ANSWER_ECHO, ANSWER_PROBE, ANSWER_TCP, ANSWER_TIMESTAMP, ANSWER_UDP } from "../../abi/tables";
import { HARD_ERROR } from "../../abi/tcp";
import { holds, sumWide } from "../checksum";
import { permits } from "../limit";
import { keepEarly } from "../link/link";
import { finish } from "../offload";
import { answers, ttl } from "../packet";
import { lower } from "../pmtu";
import { echo6 } from "../respond/echo6";
import { probe, probe6 } from "../respond/probe";
import { timestamp } from "../respond/timestamp";
import { QUOTED_LEN, tell } from "../tcp/path";
import { DONE, drop, KEPT } from "../verdict";
import * as extension from "../wire/extension";
import * as icmp from "../wire/icmp";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as extended from "../wire/probe";

export function icmp4(packet: usize, ip: usize, msg: usize, msgLen: u32): i32 {
  if (msgLen < icmp.HEADER_LEN) return drop(Drop.pkt_too_small);
  // A reply's checksum follows from the request's, which must hold whoever says so.
  finish(packet, ip);
  if (!holds(sumWide(msg, msgLen))) return drop(Drop.icmp_csum);
  switch (icmp.type(msg)) {
    case icmp.ECHO:
      if (!(answers(packet) & ANSWER_ECHO)) return drop(Drop.icmp_echo_ignored);
      if (!permits(packet, ip)) return drop(Drop.rate_limited);
      // This repeats respond/echo.ts, which must have one caller only, so that it is inlined into the fast path's loop.
      ipv4.swapAddrs(ip);
      ipv4.setTtl(ip, ttl(packet));
      icmp.setEchoReply(msg);
      icmp.mendZeros(msg, msgLen);
      return ipv4.totalLen(ip);
    case icmp.TIMESTAMP:
      if (msgLen < icmp.TIMESTAMP_LEN) return drop(Drop.pkt_too_small);
      if (!(answers(packet) & ANSWER_TIMESTAMP)) return drop(Drop.icmp_timestamp_ignored);
      if (!permits(packet, ip)) return drop(Drop.rate_limited);
      return timestamp(packet, ip, msg);
    case extended.REQUEST:
      // RFC 8335 §8: it is off unless the prefix has interfaces.
      if (!(answers(packet) & ANSWER_PROBE)) return drop(Drop.unhandled_icmp_type);
      return probe(packet, ip, msg, msgLen);
    case icmp.DESTINATION_UNREACHABLE:
      // Other errors are about what is not sent here, or do not end a connection (RFC 9293, MUST-56; RFC 5927 §5).
      if (icmp.code(msg) != icmp.FRAGMENTATION_NEEDED) return unreachable(packet, ip, msg, msgLen);
      if (!(answers(packet) & ANSWER_TCP) && !load<u32>(THREAD_COUNT)) return drop(Drop.unhandled_icmp_type);
      return aboutSegment(packet, ip, msg, msgLen, max(icmp.nextHopMtu(msg), <u32>MIN_PATH_MTU));
    case icmp.TIME_EXCEEDED: case icmp.PARAMETER_PROBLEM: return unreachable(packet, ip, msg, msgLen);
    // RFC 1122 §3.2.2: unknown types are silently discarded. RFC 6918, RFC 6633: so are the deprecated ones.
    default:
      return drop(Drop.unhandled_icmp_type);
  }
}

export function icmp6(packet: usize, ip: usize, msg: usize, msgLen: u32): i32 {
  if (msgLen < icmpv6.HEADER_LEN) return drop(Drop.pkt_too_small);
  finish(packet, ip);
  if (!holds(ipv6.pseudoSum(ip, ipv6.ICMPV6, msgLen) + sumWide(msg, msgLen))) return drop(Drop.icmp_csum);
  switch (icmpv6.type(msg)) {
    case icmpv6.ECHO_REQUEST:
      if (!(answers(packet) & ANSWER_ECHO)) return drop(Drop.icmp_echo_ignored);
      if (!permits(packet, ip)) return drop(Drop.rate_limited);
      return echo6(packet, ip, msg, msgLen);
    case extended.REQUEST6:
      if (!(answers(packet) & ANSWER_PROBE)) return drop(Drop.unhandled_icmp_type);
      return probe6(packet, ip, msg, msgLen);
    case icmpv6.PACKET_TOO_BIG:
      return packetTooBig(packet, ip, msg, msgLen);
    case icmpv6.DESTINATION_UNREACHABLE: case icmpv6.TIME_EXCEEDED: case icmpv6.PARAMETER_PROBLEM:
      return unreachable6(packet, ip, msg, msgLen);
    // RFC 4443 §2.4 a, b: all other types are silently discarded.
    default:
      return drop(Drop.unhandled_icmp_type);
  }
}

/** Judges an error that only connections heed that were asked for and are not established. */
function unreachable(packet: usize, ip: usize, msg: usize, msgLen: u32): i32 {
  const verdict = load<u32>(THREAD_COUNT) ? aboutSegment(packet, ip, msg, msgLen, meaning(msg)) : DONE;
  return verdict == KEPT || verdict == drop(Drop.held_full) ? verdict : drop(Drop.unhandled_icmp_type);
}

/** RFC 9293 §3.9.2.2: says what an error means for a connection, as LETTER_MTU has it. */
function meaning(msg: usize): u32 {
  if (icmp.type(msg) != icmp.DESTINATION_UNREACHABLE) return Unopened.host_unreachable;
  switch (icmp.code(msg)) {
    // SHLD-26. Nobody else than the host itself says so.
    case icmp.PROTOCOL_UNREACHABLE: case icmp.PORT_UNREACHABLE: return Unopened.refused | HARD_ERROR;
    // These will not change soon either. MUST-56 does not name them.
    case icmp.NET_PROHIBITED: return Unopened.net_unreachable | HARD_ERROR;
    case icmp.HOST_PROHIBITED: case icmp.PROHIBITED: return Unopened.host_unreachable | HARD_ERROR;
    case icmp.NET_UNREACHABLE: case icmp.NET_UNKNOWN: case icmp.NET_UNREACHABLE_FOR_TOS:
      return Unopened.net_unreachable;
    default: return Unopened.host_unreachable;
  }
}

function unreachable6(packet: usize, ip: usize, msg: usize, msgLen: u32): i32 {
  const enough = msgLen >= icmpv6.HEADER_LEN + ipv6.HEADER_LEN + QUOTED_LEN;
  if (!load<u32>(THREAD_COUNT) || !enough) return drop(Drop.unhandled_icmp_type);
  const sent = msg + icmpv6.HEADER_LEN;
  const own = ipv4.version(sent) == 6 && ipv6.isSame(ipv6.srcAddr(sent), ipv6.dstAddr(ip));
  if (own && ipv6.nextHeader(sent) == ipv6.TCP) {
    const early = keepEarly(packet, ip);
    if (early != DONE) return early;
    tell(sent, sent + ipv6.HEADER_LEN, true, meaning6(msg));
  }
  return drop(Drop.unhandled_icmp_type);
}

function meaning6(msg: usize): u32 {
  if (icmpv6.type(msg) != icmpv6.DESTINATION_UNREACHABLE) return Unopened.host_unreachable;
  switch (icmpv6.code(msg)) {
    case icmpv6.PORT_UNREACHABLE: return Unopened.refused | HARD_ERROR;
    case icmpv6.PROHIBITED: case icmpv6.POLICY_FAILED: case icmpv6.ROUTE_REJECTED:
      return Unopened.host_unreachable | HARD_ERROR;
    case icmpv6.NO_ROUTE: return Unopened.net_unreachable;
    default: return Unopened.host_unreachable;
  }
}

/**
 * Judges an error about a segment; `mtu` is what is told of it. RFC 1191 §4: the segment was too big for a link on its
 * way. No other packets from here forbid fragments. The connection hears of it only once it has come through a link.
 */
function aboutSegment(packet: usize, ip: usize, msg: usize, msgLen: u32, mtu: u32): i32 {
  if (msgLen < icmp.HEADER_LEN + ipv4.MIN_HEADER_LEN + QUOTED_LEN) return drop(Drop.pkt_too_small);
  const sent = msg + icmp.HEADER_LEN;
  const headerLen = ipv4.headerLen(sent);
  if (ipv4.version(sent) != 4 || ipv4.protocol(sent) != ipv4.PROTOCOL_TCP || headerLen < ipv4.MIN_HEADER_LEN
    || msgLen < icmp.HEADER_LEN + headerLen + QUOTED_LEN) return drop(Drop.icmp_unrelated);
  if (load<u32>(ipv4.srcAddr(sent)) != load<u32>(ipv4.dstAddr(ip))) return drop(Drop.icmp_unrelated);
  const early = keepEarly(packet, ip);
  if (early != DONE) return early;
  return drop(tell(sent, sent + headerLen, false, mtu) ? Drop.icmp_packet_too_big : Drop.icmp_unrelated);
}

/** RFC 8201 §4: a reply was too big for a link on its way, which takes no more than the message says. */
function packetTooBig(packet: usize, ip: usize, msg: usize, msgLen: u32): i32 {
  if (msgLen < icmpv6.HEADER_LEN + ipv6.HEADER_LEN + extension.MIN_LEN + 1) return drop(Drop.pkt_too_small);
  const sent = msg + icmpv6.HEADER_LEN;
  const sentLen = ipv6.HEADER_LEN + ipv6.payloadLen(sent);
  const mtu = icmpv6.parameter(msg);
  const own = ipv4.version(sent) == 6 && ipv6.isSame(ipv6.srcAddr(sent), ipv6.dstAddr(ip));
  if (own && ipv6.nextHeader(sent) == ipv6.TCP) {
    const early = keepEarly(packet, ip);
    if (early != DONE) return early;
    // RFC 8201 §4: no path can have a smaller MTU.
    const known = mtu >= <u32>MIN_PATH_MTU6 && tell(sent, sent + ipv6.HEADER_LEN, true, mtu);
    return drop(known ? Drop.icmp_packet_too_big : Drop.icmp_unrelated);
  }
  if (!own || sentLen <= mtu || sentLen > load<u32>(MTU) || !isReply(packet, sent)) return drop(Drop.icmp_unrelated);
  return drop(lower(ipv6.dstAddr(sent), mtu) ? Drop.icmp_packet_too_big : Drop.icmp_unrelated);
}

/**
 * Returns whether a quoted packet is one that the destination of the packet in hand sends: an echo reply, or a datagram
 * if it has services of UDP, or a reply of PROBE's if it has interfaces, or a fragment of one.
 */
function isReply(packet: usize, ip: usize): bool {
  if (ipv4.version(ip) != 6) return false;
  const payload = ip + ipv6.HEADER_LEN;
  const isFragment = ipv6.nextHeader(ip) == extension.FRAGMENT;
  if ((isFragment ? extension.nextHeader(payload) : ipv6.nextHeader(ip)) == ipv6.UDP) {
    return (answers(packet) & ANSWER_UDP) != 0;
  }
  if (ipv6.nextHeader(ip) == ipv6.ICMPV6) return isReplyType(packet, icmpv6.type(payload));
  if (ipv6.nextHeader(ip) != extension.FRAGMENT || extension.nextHeader(payload) != ipv6.ICMPV6) return false;
  return extension.fragmentOffset(payload) != 0 || isReplyType(packet, icmpv6.type(payload + extension.MIN_LEN));
}

function isReplyType(packet: usize, type: u32): bool {
  return type == icmpv6.ECHO_REPLY || (type == extended.REPLY6 && (answers(packet) & ANSWER_PROBE) != 0);
}
