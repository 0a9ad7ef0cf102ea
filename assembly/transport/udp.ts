// UDP, RFC 768. Nobody listens at any port.

import { Drop } from "../../abi/counters";
import { Unreachable, UNREACHABLE_UDP_SHIFT } from "../../abi/tables";
import { holds, sumWide } from "../checksum";
import { verified } from "../offload";
import { answers, family } from "../packet";
import { portUnreachable } from "../respond/unreachable";
import { drop } from "../verdict";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/udp";

/** Tells the sender that nobody listens at the port (RFC 1122 §4.1.3.1, RFC 4443 §3.1). */
export function udp(packet: usize, ip: usize, datagram: usize, len: u32): i32 {
  const mode = answers(packet) >>> UNREACHABLE_UDP_SHIFT & 3;
  if (mode == Unreachable.off) return drop(Drop.unhandled_proto);
  const udpLen: u32 = len < wire.HEADER_LEN ? 0 : wire.len(datagram);
  if (udpLen < wire.HEADER_LEN || udpLen > len) return drop(Drop.pkt_too_small);
  const six = family(packet) == 6;
  if (!verified(packet) && !isIntact(six, ip, datagram, udpLen)) return drop(Drop.udp_csum);
  if (mode == Unreachable.on) portUnreachable(packet, ip);
  return drop(Drop.no_socket);
}

/** RFC 768: 0 means that the sender made no checksum. RFC 8200 §8.1: over IPv6 it is mandatory. */
function isIntact(six: bool, ip: usize, datagram: usize, len: u32): bool {
  return wire.checksum(datagram) ? holds(pseudoSum(six, ip, len) + sumWide(datagram, len)) : !six;
}

function pseudoSum(six: bool, ip: usize, len: u32): u64 {
  return six ? ipv6.pseudoSum(ip, ipv6.UDP, len) : ipv4.pseudoSum(ip, len);
}
