// The judge of IPv6: header and addresses, extension headers, fragments. What a whole datagram carries is for
// ../transport/.

import { NOW, REASSEMBLIES } from "../../abi/control";
import { Counter, Drop, IcmpError, Protocol } from "../../abi/counters";
import { MIN_PATH_MTU6 } from "../../abi/paths";
import { FIRST_PREFIX, INVALID, NOBODY } from "../../abi/tables";
import { arrive, isBehindLink, keepEarly } from "../link/link";
import { answered } from "../memory";
import { finish } from "../offload";
import { owner as ownerOf, protocol, setArrival, setOwner, setProtocol } from "../packet";
import { roomBack } from "../path/route";
import { pathMtu } from "../pmtu";
import { owner6, table } from "../prefix";
import * as reassembly from "../reassembly";
import { error6 } from "../respond/error6";
import { transmit6 } from "../respond/fragment6";
import { transport } from "../transport/input";
import { DONE, drop, isDrop, isReply, reason } from "../verdict";
import * as extension from "../wire/extension";
import * as icmpv6 from "../wire/icmpv6";
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

export function ipv6Input(packet: usize, ip: usize, length: u32): i32 {
  if (length < ipv6.HEADER_LEN) return drop(Drop.ip_inhdr);
  // Bytes behind the payload are padding of a lower link.
  if (ipv6.HEADER_LEN + ipv6.payloadLen(ip) > length) return drop(Drop.pkt_too_small);

  const prefix = owner6(table(), ipv6.dstAddr(ip));
  if (prefix < FIRST_PREFIX) return prefix == INVALID ? drop(Drop.ip_invalid_dest) : drop(Drop.not_our_prefix);
  if (owner6(table(), ipv6.srcAddr(ip)) != NOBODY) return drop(Drop.martian_source);
  setOwner(packet, prefix);
  if (isBehindLink(packet)) {
    const lost = arrive(packet, ip, ipv6.HEADER_LEN + ipv6.payloadLen(ip));
    if (lost != DONE) return lost;
  }

  const verdict = chain(packet, ip, ip + ipv6.NEXT_HEADER_AT, ip + ipv6.HEADER_LEN, false);
  return isReply(verdict) ? reply(packet, ip, verdict) : verdict;
}

/**
 * Returns the verdict for a packet that has become a reply where it lies. The reply is sent in fragments if its
 * path has no room for all of it.
 */
function reply(packet: usize, ip: usize, len: u32): i32 {
  const mtu = min(pathMtu(ipv6.dstAddr(ip), len), roomBack(packet, ipv6.srcAddr(ip)));
  setProtocol(packet, protocolOf(packet, ip));
  if (len <= mtu) return len;
  const sent = transmit6(packet, ip, len, icmpv6.identity(ip + ipv6.HEADER_LEN), mtu);
  if (sent == DONE) answered(protocol(packet), ownerOf(packet), 1);
  return sent;
}

/** Returns what a reply is counted as. It has no extension headers. */
function protocolOf(packet: usize, ip: usize): Protocol {
  const own = protocol(packet);
  if (own) return own;
  return ipv6.nextHeader(ip) == ipv6.UDP ? Protocol.udp : Protocol.icmpv6;
}

/**
 * Judges the headers from `at` on, then the message. The field at `field` names the first of these headers. `fragment`
 * says that a fragment header came before them.
 */
function chain(packet: usize, ip: usize, field: usize, at: usize, fragment: bool): i32 {
  const end = ip + ipv6.HEADER_LEN + ipv6.payloadLen(ip);
  let number = <u32>load<u8>(field);
  for (let count = 0; extension.isExtension(number); count++) {
    // RFC 8200 §4: hop-by-hop options are only allowed right behind the IPv6 header.
    if (number == extension.HOP_BY_HOP && (fragment || field != ip + ipv6.NEXT_HEADER_AT)) {
      return problem(packet, ip, icmpv6.UNRECOGNIZED_NEXT_HEADER, field);
    }
    if (count == MAX_EXTENSIONS || at + extension.MIN_LEN > end) return drop(Drop.ipv6_bad_exthdr);
    const next = at + extension.len(at, number);
    if (next > end) return drop(Drop.ipv6_bad_exthdr);
    let verdict = DONE;
    switch (number) {
      case extension.HOP_BY_HOP:
      case extension.DESTINATION:
        verdict = options(packet, ip, at, next);
        break;
      case extension.ROUTING:
        // RFC 8200 §4.4, RFC 5095: pongd is no intermediate node for any type of route, only the end of it.
        if (extension.segmentsLeft(at)) {
          verdict = problem(packet, ip, icmpv6.ERRONEOUS_HEADER_FIELD, at + extension.ROUTING_TYPE_AT);
        }
        break;
      case extension.FRAGMENT:
        // Only one is allowed, as in Linux: otherwise reassembly could go on without end.
        if (fragment) verdict = problem(packet, ip, icmpv6.ERRONEOUS_HEADER_FIELD, at);
        // RFC 6946: a fragment that is the whole packet is judged by itself.
        else if (extension.fragmentOffset(at) || extension.moreFragments(at)) return part(packet, ip, at, end);
        fragment = true;
        break;
    }
    if (verdict != DONE) return verdict;
    field = at;
    number = extension.nextHeader(at);
    at = next;
  }
  return transport(packet, ip, number, field, at, <u32>(end - at));
}

/** RFC 8200 §4.2: returns DONE if the options up to `end` may be skipped. Padding is the only option known here. */
function options(packet: usize, ip: usize, header: usize, end: usize): i32 {
  let padding: u32 = 0;
  let others = 0;
  for (let at = header + extension.OPTIONS_AT; at < end;) {
    const type = extension.optionType(at);
    if (type != extension.PAD1 && at + 2 > end) return drop(Drop.ipv6_bad_exthdr);
    const len: u32 = type == extension.PAD1 ? 1 : 2 + extension.optionDataLen(at);
    if (at + len > end) return drop(Drop.ipv6_bad_exthdr);
    if (type == extension.PAD1 || type == extension.PADN) {
      padding += len;
      // RFC 4942 §2.1.9.5: padding serves to align, and consists of zeros.
      if (padding > MAX_PADDING || !isZero(at + 2, at + len)) return drop(Drop.ipv6_bad_exthdr);
    } else {
      padding = 0;
      const action = extension.action(type);
      if (++others > MAX_OPTIONS || action == DISCARD) return drop(Drop.ipv6_bad_exthdr);
      if (action != SKIP) return problem(packet, ip, icmpv6.UNRECOGNIZED_OPTION, at);
    }
    at += len;
  }
  return DONE;
}

function isZero(at: usize, end: usize): bool {
  for (; at < end; at++) if (load<u8>(at)) return false;
  return true;
}

/** Judges a fragment that is not its whole packet (RFC 8200 §4.5). */
function part(packet: usize, ip: usize, header: usize, end: usize): i32 {
  // The rest may come sooner, or not at all.
  const early = keepEarly(packet, ip);
  if (early != DONE) return early;
  const offset = extension.fragmentOffset(header);
  const at = header + extension.MIN_LEN;
  const len = <u32>(end - at);
  // RFC 7112 §5: the first fragment has to have the whole chain of headers.
  if (!offset && !isWhole(extension.behind(at, extension.nextHeader(header), end), end)) {
    return problem(packet, ip, icmpv6.INCOMPLETE_HEADER_CHAIN, ip);
  }
  if (extension.moreFragments(header) && len & 7) {
    return problem(packet, ip, icmpv6.ERRONEOUS_HEADER_FIELD, ip + ipv6.PAYLOAD_LEN_AT);
  }
  const unfragmentableLen = <u32>(header - ip) - ipv6.HEADER_LEN;
  if (unfragmentableLen + offset + len > ipv6.MAX_PAYLOAD_LEN) {
    return problem(packet, ip, icmpv6.ERRONEOUS_HEADER_FIELD, header + extension.FRAGMENT_OFFSET_AT);
  }
  if (!load<u32>(REASSEMBLIES)) return drop(Drop.ip_fragment);
  const headerLen = <u32>(at - ip);
  if (headerLen > reassembly.HEADER_ROOM) return drop(Drop.ipv6_bad_exthdr);

  finish(packet, ip);
  const identification = extension.identification(header);
  const buffer = reassembly.find(packet, ipv6.srcAddr(ip), 32, identification);
  const state = reassembly.insert(buffer, ip, at, len, offset, extension.moreFragments(header), ipv6.ecn(ip));
  if (state != reassembly.WHOLE) return state;
  whole(packet, buffer, identification);
  return DONE;
}

/** Judges a datagram that has become whole. Its verdict applies to all of its fragments, and they are counted here. */
function whole(packet: usize, buffer: usize, identification: u32): void {
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

  const verdict = chain(packet, ip, field + extension.MIN_LEN, payload, true);
  if (isDrop(verdict)) { reassembly.drop(buffer, reason(verdict)); return; }
  if (verdict == DONE) { reassembly.taken(buffer, takenAs(ip)); return; }
  // RFC 8200 §5: the way here had no room for more than the largest fragment, so the way back may not have it either.
  const came = max(<u32>MIN_PATH_MTU6, reassembly.largest(buffer));
  const mtu = min(min(pathMtu(ipv6.dstAddr(ip), verdict), came), roomBack(packet, ipv6.srcAddr(ip)));
  const sent = transmit6(packet, ip, verdict, identification, mtu);
  if (sent != DONE) { reassembly.drop(buffer, reason(sent)); return; }
  answered(protocolOf(packet, ip), ownerOf(packet), reassembly.packets(buffer));
  reassembly.release(buffer);
}

/** Returns how a datagram counts that was neither answered nor dropped. */
function takenAs(ip: usize): Counter {
  const end = ip + ipv6.HEADER_LEN + ipv6.payloadLen(ip);
  const message = extension.behind(ip + ipv6.HEADER_LEN, ipv6.nextHeader(ip), end);
  return <u32>(message >>> 32) == ipv6.UDP ? Counter.udpHandled : Counter.tcpReceived;
}

/** RFC 8200 §4.5: tells the sender that a datagram did not become whole. Its first fragment lies at `ip`. */
export function ipv6Expired(packet: usize, ip: usize): void {
  setOwner(packet, owner6(table(), ipv6.dstAddr(ip)));
  setArrival(packet, load<u64>(NOW));
  error6(packet, ip, IcmpError.time_exceeded, icmpv6.TIME_EXCEEDED, icmpv6.REASSEMBLY_TIME_EXCEEDED, 0);
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
function problem(packet: usize, ip: usize, code: u32, at: usize): i32 {
  error6(packet, ip, IcmpError.parameter_problem, icmpv6.PARAMETER_PROBLEM, code, <u32>(at - ip));
  return drop(Drop.ipv6_bad_exthdr);
}
