// The one place that judges a packet, and the one place that counts it:
//
//  1. header     lengths, version, checksum                         RFC 1122 §3.2.1.1, §3.2.1.2
//  2. datagram   to an address that pongd answers for (I1), from
//                one that a reply may go to (I3), whole, plain      RFC 1122 §3.2.1.3
//  3. message    protocol, length, checksum, type; the responder    RFC 1122 §3.2.2
//  4. either a reply to send, where the request lay, or a reason to drop and a free slot
//
// The TTL is not looked at: a host must not drop a datagram for it (RFC 1122 §3.2.1.7).
// A step returns something of use, 0 or above, or ~reason. Steps are functions of a size that the compiler still inlines
// into the loop, so that it is one function, without a call in it.

import { BATCH_SIZES, Counter, Drop, DROPPED, IGNORE_ECHO, INVALID, NOBODY, PREFIX_REPLIES, Protocol, REPLIES } from "../src/abi";
import { sum, sumHeader } from "./checksum";
import { add, free, receivedLength, receivedSlot, send } from "./memory";
import { owner } from "./prefix";
import { echo } from "./respond/echo";
import * as icmp from "./wire/icmp";
import * as ipv4 from "./wire/ipv4";

/** Judges the first `count` packets of RECEIVED, 1 to BATCH; returns how many descriptors of TO_SEND it filled. */
export function input(count: u32): u32 {
  let replies: u32 = 0;
  let bytes: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const ip = receivedSlot(i);
    const length = receivedLength(i);
    bytes += length;

    const totalLen = header(ip, length);
    const prefix = totalLen < 0 ? totalLen : datagram(ip);
    const protocol = prefix < 0 ? prefix : message(ip, totalLen);
    if (protocol < 0) {
      add(DROPPED + ~protocol, 1);
      free(ip);
    } else {
      add(REPLIES + protocol, 1);
      add(PREFIX_REPLIES + prefix, 1);
      send(replies++, ip, totalLen);
    }
  }
  add(Counter.packetsReceived, count);
  add(Counter.bytesReceived, bytes);
  add(BATCH_SIZES + 32 - clz(count - 1), 1);
  return replies;
}

/** The packet's length by its own account: what follows is padding of a link below (RFC 791 §3.1). */
function header(ip: usize, length: u32): i32 {
  if (length < ipv4.MIN_HEADER_LEN) return ~Drop.ip_inhdr;
  if (ipv4.version(ip) != 4) return ipv4.version(ip) == 6 ? ~Drop.unhandled_proto : ~Drop.ip_inhdr;
  const headerLen = ipv4.headerLen(ip);
  if (headerLen < ipv4.MIN_HEADER_LEN || headerLen > length) return ~Drop.ip_inhdr;
  if (sumHeader(ip, headerLen) != 0xffff) return ~Drop.ip_csum;
  const totalLen = ipv4.totalLen(ip);
  if (totalLen > length) return ~Drop.pkt_too_small;
  if (totalLen < headerLen) return ~Drop.ip_inhdr;
  return totalLen;
}

/** The prefix of its destination. */
function datagram(ip: usize): i32 {
  const prefix = owner(ipv4.dstAddr(ip));
  if (prefix < 0) return prefix == INVALID ? ~Drop.ip_invalid_dest : ~Drop.not_our_prefix;
  if (owner(ipv4.srcAddr(ip)) != NOBODY) return ~Drop.martian_source;
  if (ipv4.isFragment(ip)) return ~Drop.ip_fragment;
  if (ipv4.headerLen(ip) != ipv4.MIN_HEADER_LEN) return ~Drop.ip_options;
  return prefix;
}

/** The protocol of the reply that it was turned into. */
function message(ip: usize, totalLen: u32): i32 {
  if (ipv4.protocol(ip) != ipv4.PROTOCOL_ICMP) return ~Drop.unhandled_proto;
  const msg = ip + ipv4.MIN_HEADER_LEN;
  const msgLen = totalLen - ipv4.MIN_HEADER_LEN;
  if (msgLen < icmp.HEADER_LEN) return ~Drop.pkt_too_small;
  if (sum(msg, msgLen) != 0xffff) return ~Drop.icmp_csum;
  // RFC 1122 §3.2.2: an unknown type is silently discarded; RFC 6918, RFC 6633: so are the deprecated ones.
  if (icmp.type(msg) != icmp.ECHO) return ~Drop.unhandled_icmp_type;
  if (load<u32>(IGNORE_ECHO)) return ~Drop.icmp_echo_ignored;
  echo(ip, msg);
  return Protocol.icmp;
}
