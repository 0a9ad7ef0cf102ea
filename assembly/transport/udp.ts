// UDP, RFC 768. A port may have a service (../udp/services.ts). At all others nobody listens.

import { Drop } from "../../abi/counters";
import {
  ANSWER_UDP, FIRST_PREFIX, PREFIX_UDP, Unreachable, UNREACHABLE_UDP_SHIFT,
} from "../../abi/tables";
import { holds, sumWide } from "../checksum";
import { finish, verified } from "../offload";
import { answers, family, owner } from "../packet";
import { serviceIn } from "../ports";
import { table } from "../prefix";
import { portUnreachable } from "../respond/unreachable";
import { serve } from "../udp/services";
import { drop } from "../verdict";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/udp";

/**
 * Hands a datagram to the service of its port. If there is none, tells the sender (RFC 1122 §4.1.3.1, RFC 4443 §3.1).
 */
export function udp(packet: usize, ip: usize, datagram: usize, len: u32): i32 {
  const known = answers(packet);
  const mode = known >>> UNREACHABLE_UDP_SHIFT & 3;
  let list: usize = 0;
  let service: usize = 0;
  if (known & ANSWER_UDP) {
    list = load<u32>(table() + (<usize>(owner(packet) - FIRST_PREFIX) << 2), PREFIX_UDP);
    if (len >= wire.HEADER_LEN) service = serviceIn(list, wire.dstPort(datagram));
  }
  if (!service && mode == Unreachable.off) return drop(Drop.unhandled_proto);
  const udpLen: u32 = len < wire.HEADER_LEN ? 0 : wire.len(datagram);
  if (udpLen < wire.HEADER_LEN || udpLen > len) return drop(Drop.pkt_too_small);
  const six = family(packet) == 6;
  // As with an echo, the checksum of a reply follows from the request's, which must hold whoever says so.
  if (service) finish(packet, ip);
  if (!verified(packet) && !isIntact(six, ip, datagram, udpLen)) return drop(Drop.udp_csum);
  if (service) return serve(packet, ip, datagram, udpLen, list, service);
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
