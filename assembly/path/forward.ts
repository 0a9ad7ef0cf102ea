// Forwarding: where a packet ends on its way, and what hops change of it (RFC 1812 §5.3.1, RFC 8200 §3).

import { Drop } from "../../abi/counters";
import { HOP_BLACK_HOLE, HOP_FLAGS, HOP_MTU, HOP_SAYS, HOP_SAYS6, HOP_TTL } from "../../abi/hops";
import { DONE, drop } from "../verdict";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import { backOf, holeFrom, hopAt, hopsOf } from "./route";

/** Returns the verdict for a packet that ends at the hop at a place from 0 on, or DONE if it goes on. */
export function endAt(hop: usize, place: u32, ip: usize, len: u32): i32 {
  const six = ipv4.version(ip) == 6;
  const flags = load<u32>(hop, HOP_FLAGS);
  const says = (flags & (six ? HOP_SAYS6 : HOP_SAYS)) != 0;
  if (ttlOf(ip) <= place + 1) return drop(says ? Drop.ttl_expired : Drop.hop_silent);
  if (len <= load<u32>(hop, HOP_MTU)) return DONE;
  if (flags & HOP_BLACK_HOLE) return drop(Drop.pmtu_black_hole);
  // RFC 1812 §5.2.6: what may be fragmented is, and comes together again at its destination.
  if (!six && !ipv4.forbidsFragments(ip)) return DONE;
  return drop(says ? Drop.pkt_too_big : Drop.hop_silent);
}

/**
 * Has a packet go back from the hop at a place of its route, or from behind all hops. Returns DONE, or the verdict if
 * it does not come. `room` is what comes from there.
 */
export function comeBack(way: usize, place: u32, ip: usize, len: u32, room: u32): i32 {
  if (len > holeFrom(way, place)) return drop(Drop.pmtu_black_hole);
  // Replies that can be made shorter have been.
  if (len > room) return drop(Drop.pkt_too_big);
  const isHop = place < hopsOf(way);
  // A hop has a TTL of its own.
  if (isHop) setTtl(ip, load<u32>(hopAt(way, place), HOP_TTL));
  const back = isHop ? place : backOf(way);
  if (ttlOf(ip) <= back) return drop(Drop.ttl_expired);
  forward(ip, back);
  return DONE;
}

/** Takes so many hops from the TTL of a packet that has enough of it. */
export function forward(ip: usize, hops: u32): void {
  setTtl(ip, ttlOf(ip) - hops);
}

function setTtl(ip: usize, ttl: u32): void {
  if (ipv4.version(ip) == 6) ipv6.setHopLimit(ip, ttl);
  else ipv4.setTtl(ip, ttl);
}

function ttlOf(ip: usize): u32 {
  return ipv4.version(ip) == 6 ? ipv6.hopLimit(ip) : ipv4.ttl(ip);
}
