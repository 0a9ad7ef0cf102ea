// The judge of IPv6, in steps: header and addresses, extension headers, message. ../judge.ts has the verdicts.

import { OWNER, PACKET_SIZE, REASSEMBLIES } from "../../abi/control";
import { Drop, IcmpError, Protocol } from "../../abi/counters";
import { MIN_PATH_MTU6 } from "../../abi/paths";
import {
  ANSWER_ECHO, FIRST_PREFIX, INVALID, NOBODY, Unreachable, UNREACHABLE_OTHER_SHIFT, UNREACHABLE_UDP_SHIFT,
} from "../../abi/tables";
import { holds, sumWide } from "../checksum";
import { permits } from "../limit";
import { answered } from "../memory";
import { lower, pathMtu } from "../pmtu";
import { answers, owner6, setOwner, table } from "../prefix";
import * as reassembly from "../reassembly";
import { echo6 } from "../respond/echo6";
import { error6 } from "../respond/error6";
import { transmit6 } from "../respond/fragment6";
import * as extension from "../wire/extension";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as udp from "../wire/udp";

/** RFC 8504 §5.3 allows limits. RFC 8200 §4.1 has a use for seven headers. The other two limits are Linux's. */
const MAX_EXTENSIONS = 8;
const MAX_OPTIONS = 8;
const MAX_PADDING: u32 = 7;

/**
 * RFC 8200 §4.2: actions that an unknown option asks for. The larger values ask for an ICMP error, 3 only for
 * a packet to a unicast address.
 */
const SKIP: u32 = 0;
const DISCARD: u32 = 1;

export function ipv6Input(ip: usize, length: u32, now: f64): i32 {
  if (length < ipv6.HEADER_LEN) return ~Drop.ip_inhdr;
  // Bytes behind the payload are padding of a lower link.
  if (ipv6.HEADER_LEN + ipv6.payloadLen(ip) > length) return ~Drop.pkt_too_small;

  const prefix = owner6(table(), ipv6.dstAddr(ip));
  if (prefix < FIRST_PREFIX) return prefix == INVALID ? ~Drop.ip_invalid_dest : ~Drop.not_our_prefix;
  if (owner6(table(), ipv6.srcAddr(ip)) != NOBODY) return ~Drop.martian_source;
  setOwner(prefix);

  const verdict = chain(ip, ip + ipv6.NEXT_HEADER_AT, ip + ipv6.HEADER_LEN, false, now);
  return verdict > 0 ? reply(ip, verdict, prefix, now) : verdict;
}

/**
 * Returns the verdict for a packet that has become a reply where it lies. The reply is sent in fragments if its
 * path has no room for all of it.
 */
function reply(ip: usize, len: u32, prefix: i32, now: f64): i32 {
  const mtu = pathMtu(ipv6.dstAddr(ip), len, now);
  if (len > mtu && !transmit6(ip, len, icmpv6.identity(ip + ipv6.HEADER_LEN), mtu)) return ~Drop.nomem;
  answered(Protocol.icmpv6, prefix, 1);
  return len > mtu ? 0 : len;
}

/**
 * Judges the headers from `at` on, then the message. The field at `field` names the first of these headers. `fragment`
 * says that a fragment header came before them.
 */
function chain(ip: usize, field: usize, at: usize, fragment: bool, now: f64): i32 {
  const end = ip + ipv6.HEADER_LEN + ipv6.payloadLen(ip);
  let number = <u32>load<u8>(field);
  for (let count = 0; extension.isExtension(number); count++) {
    // RFC 8200 §4: hop-by-hop options are only allowed right behind the IPv6 header.
    if (number == extension.HOP_BY_HOP && (fragment || field != ip + ipv6.NEXT_HEADER_AT)) {
      return problem(ip, icmpv6.UNRECOGNIZED_NEXT_HEADER, field, now);
    }
    if (count == MAX_EXTENSIONS || at + extension.MIN_LEN > end) return ~Drop.ipv6_bad_exthdr;
    const next = at + extension.len(at, number);
    if (next > end) return ~Drop.ipv6_bad_exthdr;
    let verdict = 0;
    switch (number) {
      case extension.HOP_BY_HOP:
      case extension.DESTINATION:
        verdict = options(ip, at, next, now);
        break;
      case extension.ROUTING:
        // RFC 8200 §4.4, RFC 5095: pongd is no intermediate node for any type of route, only the end of it.
        if (extension.segmentsLeft(at)) {
          verdict = problem(ip, icmpv6.ERRONEOUS_HEADER_FIELD, at + extension.ROUTING_TYPE_AT, now);
        }
        break;
      case extension.FRAGMENT:
        // Only one is allowed, as in Linux: otherwise reassembly could go on without end.
        if (fragment) verdict = problem(ip, icmpv6.ERRONEOUS_HEADER_FIELD, at, now);
        // RFC 6946: a fragment that is the whole packet is judged by itself.
        else if (extension.fragmentOffset(at) || extension.moreFragments(at)) return part(ip, at, end, now);
        fragment = true;
        break;
    }
    if (verdict) return verdict;
    field = at;
    number = extension.nextHeader(at);
    at = next;
  }
  const msgLen = <u32>(end - at);
  switch (number) {
    case ipv6.ICMPV6: return message(ip, at, msgLen, now);
    case ipv6.UDP: return port(ip, at, msgLen, now);
    // RFC 9293 §3.10.7.1 asks for a reset, which pongd does not send yet: a closed port keeps silent.
    case ipv6.TCP: return ~Drop.no_socket;
    default: return noProtocol(ip, number, field, now);
  }
}

/** RFC 8200 §4.2: returns 0 if the options up to `end` may be skipped. Padding is the only option known here. */
function options(ip: usize, header: usize, end: usize, now: f64): i32 {
  let padding: u32 = 0;
  let others = 0;
  for (let at = header + extension.OPTIONS_AT; at < end;) {
    const type = extension.optionType(at);
    if (type != extension.PAD1 && at + 2 > end) return ~Drop.ipv6_bad_exthdr;
    const len: u32 = type == extension.PAD1 ? 1 : 2 + extension.optionDataLen(at);
    if (at + len > end) return ~Drop.ipv6_bad_exthdr;
    if (type == extension.PAD1 || type == extension.PADN) {
      padding += len;
      // RFC 4942 §2.1.9.5: padding serves to align, and consists of zeros.
      if (padding > MAX_PADDING || !isZero(at + 2, at + len)) return ~Drop.ipv6_bad_exthdr;
    } else {
      padding = 0;
      const action = extension.action(type);
      if (++others > MAX_OPTIONS || action == DISCARD) return ~Drop.ipv6_bad_exthdr;
      if (action != SKIP) return problem(ip, icmpv6.UNRECOGNIZED_OPTION, at, now);
    }
    at += len;
  }
  return 0;
}

function isZero(at: usize, end: usize): bool {
  for (; at < end; at++) if (load<u8>(at)) return false;
  return true;
}

/** Judges a fragment that is not its whole packet (RFC 8200 §4.5). */
function part(ip: usize, header: usize, end: usize, now: f64): i32 {
  const offset = extension.fragmentOffset(header);
  const at = header + extension.MIN_LEN;
  const len = <u32>(end - at);
  // RFC 7112 §5: the first fragment has to have the whole chain of headers.
  if (!offset && !isWhole(extension.behind(at, extension.nextHeader(header), end), end)) {
    return problem(ip, icmpv6.INCOMPLETE_HEADER_CHAIN, ip, now);
  }
  if (extension.moreFragments(header) && len & 7) {
    return problem(ip, icmpv6.ERRONEOUS_HEADER_FIELD, ip + ipv6.PAYLOAD_LEN_AT, now);
  }
  const unfragmentableLen = <u32>(header - ip) - ipv6.HEADER_LEN;
  if (unfragmentableLen + offset + len > ipv6.MAX_PAYLOAD_LEN) {
    return problem(ip, icmpv6.ERRONEOUS_HEADER_FIELD, header + extension.FRAGMENT_OFFSET_AT, now);
  }
  if (!load<u32>(REASSEMBLIES)) return ~Drop.ip_fragment;
  const headerLen = <u32>(at - ip);
  if (headerLen > reassembly.HEADER_ROOM) return ~Drop.ipv6_bad_exthdr;

  const identification = extension.identification(header);
  const buffer = reassembly.find(ipv6.srcAddr(ip), 32, identification, now);
  const state = reassembly.insert(buffer, ip, at, len, offset, extension.moreFragments(header), ipv6.ecn(ip));
  if (state <= 0) return state;
  whole(buffer, identification, now);
  return 0;
}

/** Judges a datagram that has become whole. Its verdict applies to all of its fragments, and they are counted here. */
function whole(buffer: usize, identification: u32, now: f64): void {
  // Removes the fragment header, which is the last one before the payload, by moving up the headers before it.
  const first = reassembly.header(buffer);
  const payload = reassembly.payload(buffer);
  const header = payload - extension.MIN_LEN;
  const payloadLen = <u32>(header - first) - ipv6.HEADER_LEN + reassembly.payloadLen(buffer);
  if (payloadLen > ipv6.MAX_PAYLOAD_LEN) { reassembly.drop(buffer, Drop.bad_frag); return; }
  const field = extension.fragmentField(first + ipv6.NEXT_HEADER_AT, first + ipv6.HEADER_LEN);
  store<u8>(field, <u8>extension.nextHeader(header));
  const ip = first + extension.MIN_LEN;
  memory.copy(ip, first, header - first);
  ipv6.setPayloadLen(ip, payloadLen);
  if (reassembly.congested(buffer)) ipv6.setCongested(ip);

  const verdict = chain(ip, field + extension.MIN_LEN, payload, true, now);
  if (verdict < 0) { reassembly.drop(buffer, ~verdict); return; }
  // RFC 8200 §5: the way here had no room for more than the largest fragment, so the way back may not have it either.
  const mtu = min(pathMtu(ipv6.dstAddr(ip), verdict, now), max(<u32>MIN_PATH_MTU6, reassembly.largest(buffer)));
  if (!transmit6(ip, verdict, identification, mtu)) { reassembly.drop(buffer, Drop.nomem); return; }
  answered(Protocol.icmpv6, load<u32>(OWNER), reassembly.packets(buffer));
  reassembly.release(buffer);
}

/** RFC 8200 §4.5: tells the sender that a datagram did not become whole. Its first fragment lies at `ip`. */
export function ipv6Expired(ip: usize, now: f64): void {
  setOwner(owner6(table(), ipv6.dstAddr(ip)));
  error6(ip, IcmpError.time_exceeded, icmpv6.TIME_EXCEEDED, icmpv6.REASSEMBLY_TIME_EXCEEDED, 0, now);
}

/** Returns whether the header of the message that extension.behind() found is all there. */
function isWhole(found: u64, end: usize): bool {
  const msg = <usize><u32>found;
  switch (<u32>(found >>> 32)) {
    case ipv6.ICMPV6: return msg + icmpv6.HEADER_LEN <= end;
    case ipv6.UDP: return msg + udp.HEADER_LEN <= end;
    case ipv6.TCP: return msg + ipv6.TCP_HEADER_LEN <= end;
    default: return msg < end;
  }
}

/** Drops a packet with a malformed chain of headers, and tells the sender that the error is at `at`. */
function problem(ip: usize, code: u32, at: usize, now: f64): i32 {
  error6(ip, IcmpError.parameter_problem, icmpv6.PARAMETER_PROBLEM, code, <u32>(at - ip), now);
  return ~Drop.ipv6_bad_exthdr;
}

function message(ip: usize, msg: usize, msgLen: u32, now: f64): i32 {
  if (msgLen < icmpv6.HEADER_LEN) return ~Drop.pkt_too_small;
  if (!holds(ipv6.pseudoSum(ip, ipv6.ICMPV6, msgLen) + sumWide(msg, msgLen))) return ~Drop.icmp_csum;
  if (icmpv6.type(msg) == icmpv6.PACKET_TOO_BIG) return packetTooBig(ip, msg, msgLen, now);
  // RFC 4443 §2.4 a, b: all other types are silently discarded.
  if (icmpv6.type(msg) != icmpv6.ECHO_REQUEST) return ~Drop.unhandled_icmp_type;
  if (!(answers() & ANSWER_ECHO)) return ~Drop.icmp_echo_ignored;
  if (!permits(ip, now)) return ~Drop.rate_limited;
  return echo6(ip, msg, msgLen);
}

/** RFC 8201 §4: a reply was too big for a link on its way, which takes no more than the message says. */
function packetTooBig(ip: usize, msg: usize, msgLen: u32, now: f64): i32 {
  if (msgLen < icmpv6.HEADER_LEN + ipv6.HEADER_LEN + extension.MIN_LEN + 1) return ~Drop.pkt_too_small;
  const sent = msg + icmpv6.HEADER_LEN;
  const sentLen = ipv6.HEADER_LEN + ipv6.payloadLen(sent);
  const mtu = icmpv6.parameter(msg);
  if (sentLen <= mtu || sentLen > load<u32>(PACKET_SIZE) || !isReply(sent)
    || !ipv6.isSame(ipv6.srcAddr(sent), ipv6.dstAddr(ip))) return ~Drop.icmp_unrelated;
  return lower(ipv6.dstAddr(sent), mtu, now) ? ~Drop.icmp_packet_too_big : ~Drop.icmp_unrelated;
}

/** Returns whether a quoted packet is one that pongd sends: an echo reply, or a fragment of one. */
function isReply(ip: usize): bool {
  if (ipv4.version(ip) != 6) return false;
  const payload = ip + ipv6.HEADER_LEN;
  if (ipv6.nextHeader(ip) == ipv6.ICMPV6) return icmpv6.type(payload) == icmpv6.ECHO_REPLY;
  if (ipv6.nextHeader(ip) != extension.FRAGMENT || extension.nextHeader(payload) != ipv6.ICMPV6) return false;
  return extension.fragmentOffset(payload) != 0 || icmpv6.type(payload + extension.MIN_LEN) == icmpv6.ECHO_REPLY;
}

/** RFC 4443 §3.1: tells the sender that nobody listens at the port, since nobody listens at any. */
function port(ip: usize, datagram: usize, len: u32, now: f64): i32 {
  const mode = answers() >>> UNREACHABLE_UDP_SHIFT & 3;
  if (mode == Unreachable.off) return ~Drop.unhandled_proto;
  const udpLen: u32 = len < udp.HEADER_LEN ? 0 : udp.len(datagram);
  if (udpLen < udp.HEADER_LEN || udpLen > len) return ~Drop.pkt_too_small;
  // RFC 8200 §8.1: the checksum is mandatory.
  if (!udp.checksum(datagram) || !holds(ipv6.pseudoSum(ip, ipv6.UDP, udpLen) + sumWide(datagram, udpLen))) {
    return ~Drop.udp_csum;
  }
  if (mode == Unreachable.on) {
    error6(ip, IcmpError.port_unreachable, icmpv6.DESTINATION_UNREACHABLE, icmpv6.PORT_UNREACHABLE, 0, now);
  }
  return ~Drop.no_socket;
}

/** Handles an unknown next header, or none at all (RFC 8200 §4, §4.7). */
function noProtocol(ip: usize, number: u32, field: usize, now: f64): i32 {
  const mode = answers() >>> UNREACHABLE_OTHER_SHIFT & 3;
  if (mode == Unreachable.off) return ~Drop.unhandled_proto;
  if (mode == Unreachable.on && number != ipv6.NO_NEXT_HEADER) {
    error6(
      ip,
      IcmpError.parameter_problem,
      icmpv6.PARAMETER_PROBLEM,
      icmpv6.UNRECOGNIZED_NEXT_HEADER,
      <u32>(field - ip),
      now,
    );
  }
  return ~Drop.ip_noproto;
}
