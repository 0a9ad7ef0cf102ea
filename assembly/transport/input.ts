// Transport: what a whole datagram carries, whichever family brought it. The family's judge has checked its header and
// addresses, and found where the payload begins.

import { Drop } from "../../abi/counters";
import { Unreachable, UNREACHABLE_OTHER_SHIFT } from "../../abi/tables";
import { isSegments } from "../offload";
import { answers, family } from "../packet";
import { protocolUnreachable } from "../respond/unreachable";
import { drop } from "../verdict";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import { icmp4, icmp6 } from "./icmp";
import { tcp } from "./tcp";
import { udp } from "./udp";

/**
 * Judges the `len` bytes at `payload` of the datagram at `ip`. The field at `field` has the number of their protocol,
 * which is `protocol`.
 */
export function transport(packet: usize, ip: usize, protocol: u32, field: usize, payload: usize, len: u32): i32 {
  const six = family(packet) == 6;
  // The kernel has not been told that pongd takes others so (TUNSETOFFLOAD).
  if (isSegments(packet) && protocol != ipv4.PROTOCOL_TCP) return drop(Drop.skb_gso_seg);
  if (protocol == ipv4.PROTOCOL_ICMP && !six) return icmp4(packet, ip, payload, len);
  if (protocol == ipv6.ICMPV6 && six) return icmp6(packet, ip, payload, len);
  if (protocol == ipv4.PROTOCOL_UDP) return udp(packet, ip, payload, len);
  if (protocol == ipv4.PROTOCOL_TCP) return tcp(packet, ip, payload, len);
  return unknown(packet, ip, protocol, field);
}

/** Tells the sender that nobody here speaks the protocol (RFC 1122 §3.2.2.1; RFC 8200 §4, §4.7). */
function unknown(packet: usize, ip: usize, protocol: u32, field: usize): i32 {
  const mode = answers(packet) >>> UNREACHABLE_OTHER_SHIFT & 3;
  if (mode == Unreachable.off) return drop(Drop.unhandled_proto);
  const none = family(packet) == 6 && protocol == ipv6.NO_NEXT_HEADER;
  if (mode == Unreachable.on && !none) protocolUnreachable(packet, ip, field);
  return drop(Drop.ip_noproto);
}
