// The one place that judges a packet, and the one place that counts it:
//
//  1. header     lengths, version, checksum                         RFC 1122 §3.2.1.1, §3.2.1.2
//  2. datagram   to an address that pongd answers for (I1), from
//                one that a reply may go to (I3), whole, plain      RFC 1122 §3.2.1.3
//  3. message    protocol, length, checksum, type                   RFC 1122 §3.2.2
//  4. the reply, where the request lay
//
// Every way out of a step before the last is a drop: a reason counted, a slot free. The TTL is not looked at: a host must not
// drop a datagram for it (RFC 1122 §3.2.1.7). All of it is one loop, without a call in it: what a step hands to the next
// stays in registers, which a function's single result would not.

import { BATCH_SIZES, Counter, Drop, DROPPED, FIRST_PREFIX, IGNORE_ECHO, INVALID, NOBODY, PREFIX_REPLIES, Protocol, REPLIES } from "../src/abi";
import { holds, sum, sumHeader } from "./checksum";
import { add, free, receivedLength, receivedSlot, send } from "./memory";
import { owner } from "./prefix";
import { echo } from "./respond/echo";
import { timestamp } from "./respond/timestamp";
import * as icmp from "./wire/icmp";
import * as ipv4 from "./wire/ipv4";

/**
 * Judges the first `count` packets of RECEIVED, 1 to BATCH, at `now`, Unix time in milliseconds; returns how many descriptors of
 * TO_SEND it filled.
 */
export function input(count: u32, now: f64): u32 {
  let replies: u32 = 0;
  let bytes: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const ip = receivedSlot(i);
    const length = receivedLength(i);
    bytes += length;

    if (length < ipv4.MIN_HEADER_LEN) { drop(ip, Drop.ip_inhdr); continue; }
    const headerLen = ipv4.headerLen(ip);
    if (!ipv4.isPlain(ip)) {
      if (ipv4.version(ip) != 4) { drop(ip, ipv4.version(ip) == 6 ? Drop.unhandled_proto : Drop.ip_inhdr); continue; }
      if (headerLen < ipv4.MIN_HEADER_LEN || headerLen > length) { drop(ip, Drop.ip_inhdr); continue; }
    }
    if (!holds(sumHeader(ip, headerLen))) { drop(ip, Drop.ip_csum); continue; }
    // The packet's length by its own account: what follows is padding of a link below (RFC 791 §3.1).
    const totalLen = ipv4.totalLen(ip);
    if (totalLen > length) { drop(ip, Drop.pkt_too_small); continue; }
    if (totalLen < headerLen) { drop(ip, Drop.ip_inhdr); continue; }

    const prefix = owner(ipv4.dstAddr(ip));
    if (prefix < FIRST_PREFIX) { drop(ip, prefix == INVALID ? Drop.ip_invalid_dest : Drop.not_our_prefix); continue; }
    if (owner(ipv4.srcAddr(ip)) != NOBODY) { drop(ip, Drop.martian_source); continue; }
    if (ipv4.isFragment(ip)) { drop(ip, Drop.ip_fragment); continue; }
    if (!ipv4.isPlain(ip)) { drop(ip, Drop.ip_options); continue; }

    if (ipv4.protocol(ip) != ipv4.PROTOCOL_ICMP) { drop(ip, Drop.unhandled_proto); continue; }
    const msg = ip + ipv4.MIN_HEADER_LEN;
    const msgLen = totalLen - ipv4.MIN_HEADER_LEN;
    if (msgLen < icmp.HEADER_LEN) { drop(ip, Drop.pkt_too_small); continue; }
    if (!holds(sum(msg, msgLen))) { drop(ip, Drop.icmp_csum); continue; }
    // RFC 1122 §3.2.2: an unknown type is silently discarded; RFC 6918, RFC 6633: so are the deprecated ones.
    if (icmp.type(msg) != icmp.ECHO) {
      if (icmp.type(msg) != icmp.TIMESTAMP) { drop(ip, Drop.unhandled_icmp_type); continue; }
      if (msgLen < icmp.TIMESTAMP_LEN) { drop(ip, Drop.pkt_too_small); continue; }
      reply(replies++, ip, timestamp(ip, msg, now), prefix);
      continue;
    }
    if (load<u32>(IGNORE_ECHO)) { drop(ip, Drop.icmp_echo_ignored); continue; }
    echo(ip, msg);
    reply(replies++, ip, totalLen, prefix);
  }
  add(Counter.packetsReceived, count);
  add(Counter.bytesReceived, bytes);
  add(BATCH_SIZES + 32 - clz(count - 1), 1);
  return replies;
}

function reply(index: u32, ip: usize, length: u32, prefix: i32): void {
  add(REPLIES + Protocol.icmp, 1);
  add(PREFIX_REPLIES - FIRST_PREFIX + prefix, 1);
  send(index, ip, length);
}

function drop(ip: usize, reason: u32): void {
  add(DROPPED + reason, 1);
  free(ip);
}
