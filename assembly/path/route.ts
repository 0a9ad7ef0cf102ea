// Routes: which hops a packet to a prefix, or from it, goes by. Without a path there are none.
//
// A path's forks are passed one after another. The number of a route is the sum of each branch times its fork's stride.

import {
  FORK_BRANCHES, FORK_BY, FORK_SIZE, FORK_STATE, FORK_STRIDE, ForkBy, HOP_BLACK_HOLE, HOP_FLAGS, HOP_IPV4, HOP_IPV6,
  HOP_MTU, HOP_SAYS, HOP_SAYS6, PATH_COPIES, PATH_FORKS, PATH_FORKS_AT, PATH_MTU, PATH_ROUTES, PATH_ROUTES_AT,
  PATH_SEED, ROUTE_BACK, ROUTE_FLAGS, ROUTE_HOLE, ROUTE_HOPS, ROUTE_HOPS_AT, ROUTE_IN_TIME, ROUTE_SIZE,
} from "../../abi/hops";
import { MTU } from "../../abi/control";
import { FIRST_PREFIX, PATHED, PREFIX_PATH } from "../../abi/tables";
import { GOLDEN, mix64 } from "../link/draw";
import { family, owner, route } from "../packet";
import { answersOf, table } from "../prefix";
import * as extension from "../wire/extension";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";

/** Returns the path of a prefix, or 0. */
export function pathOf(prefix: i32): usize {
  if (prefix < FIRST_PREFIX || !(answersOf(table(), prefix) & PATHED)) return 0;
  return load<u32>(table() + (<usize>(prefix - FIRST_PREFIX) << 2), PREFIX_PATH);
}

/**
 * Returns the number of the route of a packet of `len` bytes, or 0 where there are no forks. If `back`, it goes
 * to where packets of its flow come from, and takes their route.
 */
export function choose(path: usize, ip: usize, len: u32, back: bool): u32 {
  let route: u32 = 0;
  const forks = load<u32>(path, PATH_FORKS);
  let fork: usize = load<u32>(path, PATH_FORKS_AT);
  for (let i: u32 = 0; i < forks; i++, fork += FORK_SIZE) {
    const seed = load<u64>(path, PATH_SEED) + (<u64>i + 1) * GOLDEN;
    let key: u64;
    switch (load<u32>(fork, FORK_BY)) {
      case ForkBy.packet: key = numberOf(load<u32>(fork, FORK_STATE)); break;
      case ForkBy.destination: key = addressKey(back ? sourceOf(ip) : destinationOf(ip), ipv4.version(ip) == 6); break;
      default: key = flowKey(ip, len, back);
    }
    route += <u32>(mix64(seed ^ key) % load<u32>(fork, FORK_BRANCHES)) * load<u32>(fork, FORK_STRIDE);
  }
  return route;
}

/** Counts a packet, and returns its number. */
function numberOf(state: usize): u64 {
  const number = load<u64>(state) + 1;
  store<u64>(state, number);
  return mix64(number * GOLDEN);
}

/** Returns what packets of a flow have in common: addresses, protocol, flow label, and 4 octets behind the header. */
function flowKey(ip: usize, len: u32, back: bool): u64 {
  const six = ipv4.version(ip) == 6;
  const from = back ? destinationOf(ip) : sourceOf(ip);
  const to = back ? sourceOf(ip) : destinationOf(ip);
  const key = mix64(addressKey(from, six)) ^ addressKey(to, six);
  const protocol = six ? ipv6.nextHeader(ip) : ipv4.protocol(ip);
  const label = six ? ipv6.flowLabel(ip) : 0;
  return mix64(mix64(key ^ <u64>label << 32 ^ protocol) ^ <u64>portsOf(ip, len, six, back));
}

function portsOf(ip: usize, len: u32, six: bool, back: bool): u32 {
  // All fragments of a datagram take one route, and only the first has ports.
  if (six ? extension.isExtension(ipv6.nextHeader(ip)) : ipv4.isFragment(ip)) return 0;
  const headerLen = six ? ipv6.HEADER_LEN : ipv4.headerLen(ip);
  if (headerLen + 4 > len) return 0;
  const ports = load<u32>(ip + headerLen);
  return back ? rotl<u32>(ports, 16) : ports;
}

function addressKey(addr: usize, six: bool): u64 {
  return six ? mix64(load<u64>(addr)) ^ load<u64>(addr, 8) : <u64>load<u32>(addr);
}

export function sourceOf(ip: usize): usize {
  return ipv4.version(ip) == 6 ? ipv6.srcAddr(ip) : ipv4.srcAddr(ip);
}

export function destinationOf(ip: usize): usize {
  return ipv4.version(ip) == 6 ? ipv6.dstAddr(ip) : ipv4.dstAddr(ip);
}

// ---- a route, which is 0 without a path -----------------------------------------------------------------------------

/** Returns the route of that number. A number may come from an earlier table. */
export function routeAt(path: usize, number: u32): usize {
  if (!path) return 0;
  const routes = load<u32>(path, PATH_ROUTES);
  return <usize>load<u32>(path, PATH_ROUTES_AT) + (number < routes ? <usize>number : 0) * ROUTE_SIZE;
}

export function hopsOf(route: usize): u32 {
  return route ? load<u32>(route, ROUTE_HOPS) : 0;
}

/** Returns the hop at a place from 0 on. */
export function hopAt(route: usize, place: u32): usize {
  return load<u32>(<usize>load<u32>(route, ROUTE_HOPS_AT) + (place << 2));
}

/**
 * Returns the place of the hop whose address is at `addr`, or the number of hops: a packet to or from a hop goes no
 * further than it.
 */
export function endOf(route: usize, addr: usize, six: bool): u32 {
  const hops = hopsOf(route);
  const says = six ? HOP_SAYS6 : HOP_SAYS;
  for (let place: u32 = 0; place < hops; place++) {
    const hop = hopAt(route, place);
    if (!(load<u32>(hop, HOP_FLAGS) & says)) continue;
    if (six ? ipv6.isSame(hop + HOP_IPV6, addr) : load<u32>(hop, HOP_IPV4) == load<u32>(addr)) return place;
  }
  return hops;
}

/** Returns the number of hops of the way back. */
export function backOf(route: usize): u32 {
  return route ? load<u32>(route, ROUTE_BACK) : 0;
}

/** Returns the longest packet to or from a prefix that comes through, but for black holes, at most the device's MTU. */
export function roomOf(prefix: i32): u32 {
  const path = pathOf(prefix);
  return path ? min(load<u32>(MTU), load<u32>(path, PATH_MTU)) : load<u32>(MTU);
}

/** Returns the longest packet that comes back from a place of a prefix's route, but for black holes. */
export function roomFrom(prefix: i32, way: usize, place: u32): u32 {
  return place < hopsOf(way) ? min(load<u32>(MTU), shortest(way, place, false)) : roomOf(prefix);
}

/** Returns the longest packet from `addr` that comes back by the route of the one that it answers. */
export function roomBack(packet: usize, addr: usize): u32 {
  const path = pathOf(owner(packet));
  if (!path) return load<u32>(MTU);
  const way = routeAt(path, route(packet));
  return roomFrom(owner(packet), way, endOf(way, addr, family(packet) == 6));
}

/** Returns the longest packet that all hops before a place forward: those that are black holes, or all others. */
function shortest(way: usize, place: u32, holes: bool): u32 {
  let room: u32 = u32.MAX_VALUE;
  for (let i: u32 = 0; i < place; i++) {
    const hop = hopAt(way, i);
    if (((load<u32>(hop, HOP_FLAGS) & HOP_BLACK_HOLE) != 0) == holes) room = min(room, load<u32>(hop, HOP_MTU));
  }
  return room;
}

/** Returns whether the address that a packet goes to is one of the hops of its route. */
export function isToHop(packet: usize, ip: usize): bool {
  const path = pathOf(owner(packet));
  if (!path) return false;
  const way = routeAt(path, route(packet));
  return endOf(way, destinationOf(ip), family(packet) == 6) < hopsOf(way);
}

/** Returns how many copies of a packet the hops' links may make on the way back. */
export function copiesOf(path: usize): u32 {
  return path ? load<u32>(path, PATH_COPIES) : 0;
}

/** Returns the longest packet that no black hole takes on its way from a place of a route. */
export function holeFrom(way: usize, place: u32): u32 {
  return place < hopsOf(way) ? shortest(way, place, true) : load<u32>(way, ROUTE_HOLE);
}

export function isInTime(route: usize): bool {
  return route != 0 && (load<u32>(route, ROUTE_FLAGS) & ROUTE_IN_TIME) != 0;
}
