// The judge of IPv4, in steps: header and addresses, then what the datagram carries. ../judge.ts has the verdicts.

import { REASSEMBLIES } from "../../abi/control";
import { Drop, IcmpError, Protocol } from "../../abi/counters";
import { MIN_PATH_MTU } from "../../abi/paths";
import {
  ANSWER_ECHO, ANSWER_TIMESTAMP, FIRST_PREFIX, INVALID, NOBODY, Unreachable, UNREACHABLE_OTHER_SHIFT,
  UNREACHABLE_UDP_SHIFT,
} from "../../abi/tables";
import { holds, sumHeader, sumWide } from "../checksum";
import { permits } from "../limit";
import { answered } from "../memory";
import { answers, owner, setOwner, table, ttl } from "../prefix";
import * as reassembly from "../reassembly";
import { error } from "../respond/error";
import { transmit } from "../respond/fragment";
import * as options from "../respond/options";
import { timestamp } from "../respond/timestamp";
import * as icmp from "../wire/icmp";
import * as ipv4 from "../wire/ipv4";
import * as udp from "../wire/udp";

export function ipv4Input(ip: usize, length: u32, now: f64): i32 {
  if (length < ipv4.MIN_HEADER_LEN) return ~Drop.ip_inhdr;
  if (ipv4.version(ip) != 4) return ~Drop.ip_inhdr;
  const headerLen = ipv4.headerLen(ip);
  if (headerLen < ipv4.MIN_HEADER_LEN || headerLen > length) return ~Drop.ip_inhdr;
  if (!holds(sumHeader(ip, headerLen))) return ~Drop.ip_csum;
  const totalLen = ipv4.totalLen(ip);
  if (totalLen > length) return ~Drop.pkt_too_small;
  if (totalLen < headerLen) return ~Drop.ip_inhdr;

  const prefix = owner(table(), ipv4.dstAddr(ip));
  if (prefix < FIRST_PREFIX) return prefix == INVALID ? ~Drop.ip_invalid_dest : ~Drop.not_our_prefix;
  if (owner(table(), ipv4.srcAddr(ip)) != NOBODY) return ~Drop.martian_source;
  setOwner(prefix);
  if (!ipv4.isPlain(ip) && !options.accept(ip, now)) return ~Drop.ip_options;
  if (ipv4.isFragment(ip)) return fragment(ip, prefix, now);

  const verdict = datagram(ip, now);
  if (verdict > 0) answered(Protocol.icmp, prefix, 1);
  return verdict;
}

/**
 * Adds a fragment to its datagram. When the datagram is whole, its verdict applies to all of its
 * fragments, and they are counted here.
 */
function fragment(ip: usize, prefix: i32, now: f64): i32 {
  if (!load<u32>(REASSEMBLIES)) return ~Drop.ip_fragment;
  const headerLen = ipv4.headerLen(ip);
  const buffer = reassembly.find(ipv4.srcAddr(ip), 8, ipv4.protocol(ip) << 16 | ipv4.id(ip), now);
  const state = reassembly.insert(
    buffer, ip, ip + headerLen, ipv4.totalLen(ip) - headerLen, ipv4.fragmentOffset(ip), ipv4.moreFragments(ip),
    ipv4.ecn(ip),
  );
  if (state <= 0) return state;

  const whole = reassembly.header(buffer);
  const totalLen = ipv4.headerLen(whole) + reassembly.payloadLen(buffer);
  if (totalLen > ipv4.MAX_LEN) { reassembly.drop(buffer, Drop.bad_frag); return 0; }
  if (reassembly.congested(buffer)) ipv4.setCongested(whole);
  ipv4.setFragment(whole, totalLen, 0, false);
  const verdict = datagram(whole, now);
  if (verdict < 0) { reassembly.drop(buffer, ~verdict); return 0; }
  if (!transmit(whole, verdict)) { reassembly.drop(buffer, Drop.nomem); return 0; }
  answered(Protocol.icmp, prefix, reassembly.packets(buffer));
  reassembly.release(buffer);
  return 0;
}

/** RFC 1122 §3.3.2: tells the sender that a datagram did not become whole. Its first fragment lies at `ip`. */
export function ipv4Expired(ip: usize, now: f64): void {
  setOwner(owner(table(), ipv4.dstAddr(ip)));
  error(ip, IcmpError.time_exceeded, icmp.TIME_EXCEEDED, icmp.REASSEMBLY_TIME_EXCEEDED, 0, now);
}

/** Judges a whole datagram whose header is valid. */
function datagram(ip: usize, now: f64): i32 {
  const verdict = content(ip, now);
  if (verdict < 0) return verdict;
  ipv4.clearReserved(ip);
  const replyLen = ipv4.isPlain(ip) ? verdict : options.reply(ip, verdict, now);
  if (replyLen > MIN_PATH_MTU) ipv4.setTtl(ip, ttl(), ipv4.allowFragments(ip, icmp.identity(ip + ipv4.headerLen(ip))));
  return replyLen;
}

function content(ip: usize, now: f64): i32 {
  const payload = ip + ipv4.headerLen(ip);
  const payloadLen = ipv4.totalLen(ip) - ipv4.headerLen(ip);
  switch (ipv4.protocol(ip)) {
    case ipv4.PROTOCOL_ICMP: return message(ip, payload, payloadLen, now);
    case ipv4.PROTOCOL_UDP: return port(ip, payload, payloadLen, now);
    // RFC 9293 §3.10.7.1 asks for a reset, which pongd does not send yet: a closed port keeps silent.
    case ipv4.PROTOCOL_TCP: return ~Drop.no_socket;
    default: return noProtocol(ip, now);
  }
}

function message(ip: usize, msg: usize, msgLen: u32, now: f64): i32 {
  if (msgLen < icmp.HEADER_LEN) return ~Drop.pkt_too_small;
  if (!holds(sumWide(msg, msgLen))) return ~Drop.icmp_csum;
  switch (icmp.type(msg)) {
    case icmp.ECHO:
      if (!(answers() & ANSWER_ECHO)) return ~Drop.icmp_echo_ignored;
      if (!permits(ip, now)) return ~Drop.rate_limited;
      // This repeats respond/echo.ts, which must have one caller only, so that it is inlined into the fast path's loop.
      ipv4.swapAddrs(ip);
      ipv4.setTtl(ip, ttl());
      icmp.setEchoReply(msg);
      icmp.mendZeros(msg, msgLen);
      return ipv4.totalLen(ip);
    case icmp.TIMESTAMP:
      if (msgLen < icmp.TIMESTAMP_LEN) return ~Drop.pkt_too_small;
      if (!(answers() & ANSWER_TIMESTAMP)) return ~Drop.icmp_timestamp_ignored;
      if (!permits(ip, now)) return ~Drop.rate_limited;
      return timestamp(ip, msg, now);
    // RFC 1122 §3.2.2: unknown types are silently discarded. RFC 6918, RFC 6633: so are the deprecated ones.
    default:
      return ~Drop.unhandled_icmp_type;
  }
}

/** RFC 1122 §4.1.3.1: tells the sender that nobody listens at the port, since nobody listens at any. */
function port(ip: usize, datagram: usize, len: u32, now: f64): i32 {
  const mode = answers() >>> UNREACHABLE_UDP_SHIFT & 3;
  if (mode == Unreachable.off) return ~Drop.unhandled_proto;
  const udpLen: u32 = len < udp.HEADER_LEN ? 0 : udp.len(datagram);
  if (udpLen < udp.HEADER_LEN || udpLen > len) return ~Drop.pkt_too_small;
  // RFC 768: 0 means that the sender made no checksum.
  if (udp.checksum(datagram) && !holds(ipv4.pseudoSum(ip, udpLen) + sumWide(datagram, udpLen))) return ~Drop.udp_csum;
  if (mode == Unreachable.on) {
    error(ip, IcmpError.port_unreachable, icmp.DESTINATION_UNREACHABLE, icmp.PORT_UNREACHABLE, 0, now);
  }
  return ~Drop.no_socket;
}

/** RFC 1122 §3.2.2.1: tells the sender that nobody here speaks the protocol. */
function noProtocol(ip: usize, now: f64): i32 {
  const mode = answers() >>> UNREACHABLE_OTHER_SHIFT & 3;
  if (mode == Unreachable.off) return ~Drop.unhandled_proto;
  if (mode == Unreachable.on) {
    error(ip, IcmpError.protocol_unreachable, icmp.DESTINATION_UNREACHABLE, icmp.PROTOCOL_UNREACHABLE, 0, now);
  }
  return ~Drop.ip_noproto;
}
