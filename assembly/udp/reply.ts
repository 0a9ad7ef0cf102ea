// A reply that goes back to where its request came from. It lies where that lay, and is as long.

import { checksum, sumWide } from "../checksum";
import { family } from "../packet";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/udp";

/**
 * Turns the headers of a datagram of `len` bytes around, and returns the reply's length. The ECN
 * codepoint does not go back: a reflected Congestion Experienced would tell of the wrong way. Bytes behind the datagram
 * do not go back. If the data is the same (RFC 862), the checksum still holds, or there is still none.
 */
export function reply(packet: usize, ip: usize, datagram: usize, len: u32, ttl: u32, dscp: u32): i32 {
  wire.swapPorts(datagram);
  return family(packet) == 6 ? reply6(ip, datagram, len, ttl, dscp) : reply4(ip, len, ttl, dscp);
}

/** Returns the DSCP of a packet. */
export function dscpOf(packet: usize, ip: usize): u32 {
  return family(packet) == 6 ? ipv6.dscp(ip) : ipv4.dscp(ip);
}

function reply4(ip: usize, len: u32, ttl: u32, dscp: u32): i32 {
  ipv4.swapAddrs(ip);
  const replyLen = ipv4.headerLen(ip) + len;
  if (replyLen != ipv4.totalLen(ip)) ipv4.setTotalLen(ip, replyLen);
  ipv4.setTtl(ip, ttl, ipv4.setDscp(ip, dscp));
  return replyLen;
}

/** The same over IPv6: see ../respond/echo6.ts. */
function reply6(ip: usize, datagram: usize, len: u32, ttl: u32, dscp: u32): i32 {
  if (datagram != ip + ipv6.HEADER_LEN) memory.copy(ip + ipv6.HEADER_LEN, datagram, len);
  ipv6.swapAddrs(ip);
  ipv6.setDscp(ip, dscp);
  ipv6.setPayload(ip, len, ipv6.UDP, ttl);
  return ipv6.HEADER_LEN + len;
}

/** Does what reply() does for data that has changed, and makes its checksum. */
export function replySummed(packet: usize, ip: usize, datagram: usize, len: u32, ttl: u32): i32 {
  const replyLen = reply(packet, ip, datagram, len, ttl, dscpOf(packet, ip));
  const six = family(packet) == 6;
  const answer = six ? ip + ipv6.HEADER_LEN : datagram;
  wire.clearChecksum(answer);
  const pseudo = six ? ipv6.pseudoSum(ip, ipv6.UDP, len) : ipv4.pseudoSum(ip, len);
  wire.setChecksum(answer, checksum(pseudo + sumWide(answer, len)));
  return replyLen;
}
