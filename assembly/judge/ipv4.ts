// The judge of IPv4: header and addresses, options, fragments. What a whole datagram carries is for ../transport/.

import { NOW, REASSEMBLIES } from "../../abi/control";
import { Counter, Drop, IcmpError, Protocol } from "../../abi/counters";
import { MIN_PATH_MTU } from "../../abi/paths";
import { FIRST_PREFIX, INVALID, NOBODY, PATHED } from "../../abi/tables";
import { holds, sumHeader } from "../checksum";
import { arrive, isBehindLink, keepEarly } from "../link/link";
import { answered } from "../memory";
import { finish } from "../offload";
import { answers, protocol, setArrival, setOwner, setProtocol } from "../packet";
import { roomBack } from "../path/route";
import { owner, table } from "../prefix";
import * as reassembly from "../reassembly";
import { error } from "../respond/error";
import { transmit } from "../respond/fragment";
import * as options from "../respond/options";
import { transport } from "../transport/input";
import { DONE, drop, isDrop, isReply, reason } from "../verdict";
import * as icmp from "../wire/icmp";
import * as ipv4 from "../wire/ipv4";

export function ipv4Input(packet: usize, ip: usize, length: u32): i32 {
  if (length < ipv4.MIN_HEADER_LEN) return drop(Drop.ip_inhdr);
  if (ipv4.version(ip) != 4) return drop(Drop.ip_inhdr);
  const headerLen = ipv4.headerLen(ip);
  if (headerLen < ipv4.MIN_HEADER_LEN || headerLen > length) return drop(Drop.ip_inhdr);
  if (!holds(sumHeader(ip, headerLen))) return drop(Drop.ip_csum);
  const totalLen = ipv4.totalLen(ip);
  if (totalLen > length) return drop(Drop.pkt_too_small);
  if (totalLen < headerLen) return drop(Drop.ip_inhdr);

  const prefix = owner(table(), ipv4.dstAddr(ip));
  if (prefix < FIRST_PREFIX) return prefix == INVALID ? drop(Drop.ip_invalid_dest) : drop(Drop.not_our_prefix);
  if (owner(table(), ipv4.srcAddr(ip)) != NOBODY) return drop(Drop.martian_source);
  setOwner(packet, prefix);
  if (isBehindLink(packet)) {
    const lost = arrive(packet, ip, totalLen);
    if (lost != DONE) return lost;
  }
  if (!ipv4.isPlain(ip) && !options.accept(packet, ip)) return drop(Drop.ip_options);
  if (ipv4.isFragment(ip)) return fragment(packet, ip, prefix);

  const verdict = datagram(packet, ip);
  if (!isReply(verdict)) return verdict;
  setProtocol(packet, protocolOf(packet, ip));
  // The path that the request came by may not have room for all of the reply, which may be fragmented.
  if (!(answers(packet) & PATHED) || <u32>verdict <= roomBack(packet, ipv4.srcAddr(ip))) return verdict;
  const sent = transmit(packet, ip, verdict);
  if (sent == DONE) answered(protocol(packet), prefix, 1);
  return sent;
}

/**
 * Adds a fragment to its datagram. When the datagram is whole, its verdict applies to all of its
 * fragments, and they are counted here.
 */
function fragment(packet: usize, ip: usize, prefix: i32): i32 {
  if (!load<u32>(REASSEMBLIES)) return drop(Drop.ip_fragment);
  // The rest may come sooner, or not at all.
  const early = keepEarly(packet, ip);
  if (early != DONE) return early;
  finish(packet, ip);
  const headerLen = ipv4.headerLen(ip);
  const buffer = reassembly.find(packet, ipv4.srcAddr(ip), 8, ipv4.protocol(ip) << 16 | ipv4.id(ip));
  const state = reassembly.insert(
    buffer, ip, ip + headerLen, ipv4.totalLen(ip) - headerLen, ipv4.fragmentOffset(ip), ipv4.moreFragments(ip),
    ipv4.ecn(ip),
  );
  if (state != reassembly.WHOLE) return state;

  const whole = reassembly.header(buffer);
  const totalLen = ipv4.headerLen(whole) + reassembly.payloadLen(buffer);
  if (totalLen > ipv4.MAX_LEN) { reassembly.drop(buffer, Drop.bad_frag); return DONE; }
  if (reassembly.congested(buffer)) ipv4.setCongested(whole);
  ipv4.setFragment(whole, totalLen, 0, false);
  const verdict = datagram(packet, whole);
  if (isDrop(verdict)) { reassembly.drop(buffer, reason(verdict)); return DONE; }
  if (verdict == DONE) { reassembly.taken(buffer, takenAs(whole)); return DONE; }
  const sent = transmit(packet, whole, verdict);
  if (sent != DONE) { reassembly.drop(buffer, reason(sent)); return DONE; }
  answered(protocolOf(packet, whole), prefix, reassembly.packets(buffer));
  reassembly.release(buffer);
  return DONE;
}

/** Returns what a reply is counted as. */
function protocolOf(packet: usize, ip: usize): Protocol {
  const own = protocol(packet);
  if (own) return own;
  return ipv4.protocol(ip) == ipv4.PROTOCOL_UDP ? Protocol.udp : Protocol.icmp;
}

/** Returns how a datagram counts that was neither answered nor dropped. */
function takenAs(ip: usize): Counter {
  return ipv4.protocol(ip) == ipv4.PROTOCOL_UDP ? Counter.udpHandled : Counter.tcpReceived;
}

/** RFC 1122 §3.3.2: tells the sender that a datagram did not become whole. Its first fragment lies at `ip`. */
export function ipv4Expired(packet: usize, ip: usize): void {
  setOwner(packet, owner(table(), ipv4.dstAddr(ip)));
  setArrival(packet, load<u64>(NOW));
  error(packet, ip, IcmpError.time_exceeded, icmp.TIME_EXCEEDED, icmp.REASSEMBLY_TIME_EXCEEDED, 0);
}

/** Judges a whole datagram whose header is valid. */
function datagram(packet: usize, ip: usize): i32 {
  const headerLen = ipv4.headerLen(ip);
  const payloadLen = ipv4.totalLen(ip) - headerLen;
  const verdict = transport(packet, ip, ipv4.protocol(ip), ip + ipv4.PROTOCOL_AT, ip + headerLen, payloadLen);
  if (!isReply(verdict)) return verdict;
  ipv4.clearReserved(ip);
  const replyLen = ipv4.isPlain(ip) ? verdict : options.reply(packet, ip, verdict);
  if (replyLen > MIN_PATH_MTU) {
    ipv4.setTtl(ip, ipv4.ttl(ip), ipv4.allowFragments(ip, icmp.identity(ip + ipv4.headerLen(ip))));
  }
  return replyLen;
}
