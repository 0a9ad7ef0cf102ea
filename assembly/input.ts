// The one place that judges a packet. Each step either drops it, under the first reason that fits, or leads on:
//
//  1. the IPv4 header: lengths, version, checksum            RFC 1122 §3.2.1.1, §3.2.1.2
//  2. the destination: one that pongd answers for            I1
//  3. the source: one that a reply may go to                 RFC 1122 §3.2.1.3, I3
//  4. the datagram: whole, without options, ICMP
//  5. the ICMP message: length, checksum, type               RFC 1122 §3.2.2
//  6. the responder                                          respond/
//
// The TTL is not looked at: a host must not drop a datagram for it (RFC 1122 §3.2.1.7).

import { Drop, IGNORE_ECHO, INVALID, NOBODY, PREFIX_REPLIES, Protocol, REPLIES } from "../src/abi";
import { sum, sumHeader } from "./checksum";
import { add } from "./memory";
import { owner } from "./prefix";
import { echo } from "./respond/echo";
import * as icmp from "./wire/icmp";
import * as ipv4 from "./wire/ipv4";

/**
 * Judges the packet of `length` bytes at `ip`. Returns the length of the reply that it left there, or, below zero,
 * a verdict that dropReason() reads.
 */
export function input(ip: usize, length: u32): i32 {
  if (length < ipv4.MIN_HEADER_LEN) return drop(Drop.ip_inhdr);
  if (ipv4.version(ip) != 4) return drop(ipv4.version(ip) == 6 ? Drop.unhandled_proto : Drop.ip_inhdr);
  const headerLen = ipv4.headerLen(ip);
  if (headerLen < ipv4.MIN_HEADER_LEN || headerLen > length) return drop(Drop.ip_inhdr);
  if (sumHeader(ip, headerLen) != 0xffff) return drop(Drop.ip_csum);
  // From here the packet ends where its header says: what follows is padding of a link below (RFC 791 §3.1).
  const totalLen = ipv4.totalLen(ip);
  if (totalLen > length) return drop(Drop.pkt_too_small);
  if (totalLen < headerLen) return drop(Drop.ip_inhdr);

  const prefix = owner(ipv4.dstAddr(ip));
  if (prefix < 0) return drop(prefix == INVALID ? Drop.ip_invalid_dest : Drop.not_our_prefix);
  if (owner(ipv4.srcAddr(ip)) != NOBODY) return drop(Drop.martian_source);

  if (ipv4.isFragment(ip)) return drop(Drop.ip_fragment);
  if (headerLen != ipv4.MIN_HEADER_LEN) return drop(Drop.ip_options);
  if (ipv4.protocol(ip) != ipv4.PROTOCOL_ICMP) return drop(Drop.unhandled_proto);

  const msg = ip + headerLen;
  const msgLen = totalLen - headerLen;
  if (msgLen < icmp.HEADER_LEN) return drop(Drop.pkt_too_small);
  if (sum(msg, msgLen) != 0xffff) return drop(Drop.icmp_csum);
  // RFC 1122 §3.2.2: an unknown type is silently discarded; RFC 6918 and RFC 6633: so are the deprecated ones.
  if (icmp.type(msg) != icmp.ECHO) return drop(Drop.unhandled_icmp_type);
  if (load<u32>(IGNORE_ECHO)) return drop(Drop.icmp_echo_ignored);

  echo(ip, msg);
  add(REPLIES + Protocol.icmp, 1);
  add(PREFIX_REPLIES + prefix, 1);
  return totalLen;
}

function drop(reason: Drop): i32 {
  return ~reason;
}

export function dropReason(verdict: i32): Drop {
  return ~verdict;
}
