// Links: what packets go through on their way to a prefix (arrive), and on their way from it (leave). Everything that
// becomes of a packet on a way is decided when it comes to it (cross.ts).
//
// What has been delayed on the way in comes in the future. A reply that is made of the packet where it lies, and needs
// nothing but the packet, is made at once, as of that time (packet.ts, arrival), and goes through the way out from then
// on: so it is kept once. What needs to come in its time has itself kept for that, and is judged again (keepEarly). So
// is everything where the way out has a queue, slots or an order: what is sent meanwhile must not wait for the future.
// The error of a hop is made at once in any case, and kept for its way back then.

import { NOW } from "../../abi/control";
import { Counter, Drop, DROPPED, Protocol } from "../../abi/counters";
import { HOP_LINK, HopError } from "../../abi/hops";
import {
  CHANGED_MARKED, CHANGES, CROSSED, CROSSED_CORRUPTED, CROSSED_DUPLICATED, CROSSED_MARKED, HOP_TIMES,
} from "../../abi/links";
import { SLOT_ALIGN } from "../../abi/slots";
import { FIRST_PREFIX, LINKED, NOBODY } from "../../abi/tables";
import { WAY_DUPLICATE, WAY_FLAGS, WAY_IN_TIME } from "../../abi/ways";
import { flipBit, keep, keepArriving, keepReturning, mayKeep } from "../kept";
import { add, answered, free, queue, spare, take } from "../memory";
import { finish, wireLen } from "../offload";
import {
  answers, arrival, hasCrossed, isAhead, owner, protocol, route, setArrival, setCrossed, setRoute,
} from "../packet";
import { countError, hopError } from "../path/error";
import { comeBack, endAt, forward } from "../path/forward";
import { recordBack, recordThere } from "../path/record";
import {
  choose, copiesOf, destinationOf, endOf, hopAt, hopsOf, isInTime, pathOf, roomFrom, routeAt, sourceOf,
} from "../path/route";
import { answersOf, table } from "../prefix";
import { DONE, drop, KEPT, reason, SPOILT } from "../verdict";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import { Copy } from "./copy";
import { FULL, LOST } from "./cross";
import { bits, Draw } from "./draw";
import { IN, OUT, pass, wayOf } from "./way";

/** A packet does not come through: GONE + its reason. It comes through at any time before. */
const GONE: u64 = u64.MAX_VALUE - 1024;

/** Returns whether the packet has yet to go through the link of its destination. */
export function isBehindLink(packet: usize): bool {
  return (answers(packet) & LINKED) != 0 && !hasCrossed(packet);
}

/**
 * Has the packet of `len` bytes, which has come from outside, go through the ways in. Returns DONE if it comes through,
 * whenever that is, and otherwise its verdict.
 */
export function arrive(packet: usize, ip: usize, len: u32): i32 {
  setCrossed(packet);
  // A bit that changes, and a copy that is judged later, are of the packet as it is on the wire.
  finish(packet, ip);
  const prefix = owner(packet);
  const path = pathOf(prefix);
  if (path) setRoute(packet, choose(path, ip, len, false));
  const way = routeAt(path, route(packet));
  const end = endOf(way, destinationOf(ip), ipv4.version(ip) == 6);
  const at = travel(packet, way, end, 0, load<u64>(NOW), ip, len, Copy.none, 0);
  if (at >= GONE) return drop(<Drop>(at - GONE));
  const changes = load<u32>(CHANGES);
  setArrival(packet, at);
  if (way) pastHops(way, end, ip);
  change(ip, changes);
  if (isInTime(way) || load<u32>(wayOf(prefix, IN), WAY_FLAGS) & WAY_IN_TIME) {
    const early = keepUntil(packet, ip, len);
    if (early != DONE) return early;
  }
  return flipOf(changes) ? SPOILT : DONE;
}

/** Returns KEPT if the packet has yet to come, and has it judged again when it has; DONE if it is there. */
export function keepEarly(packet: usize, ip: usize): i32 {
  return keepUntil(packet, ip, lenOf(ip));
}

function keepUntil(packet: usize, ip: usize, len: u32): i32 {
  if (!isAhead(packet)) return DONE;
  if (!mayKeep()) return drop(Drop.held_full);
  keepArriving(ip, len, arrival(packet), route(packet));
  return KEPT;
}

/** Has the packet at `ip`, which has become a reply of `len` bytes, go through the ways out, and counts its verdict. */
export function leave(packet: usize, ip: usize, len: u32): void {
  send(owner(packet), routeOf(packet), arrival(packet), ip, len, owner(packet), protocol(packet));
}

/** Returns how many slots so many packets of a prefix take at most, with what the ways out make of them. */
export function slotsFor(prefix: i32, packets: u32): u32 {
  if (!isLinked(prefix)) return packets;
  const own: u32 = load<f64>(wayOf(prefix, OUT), WAY_DUPLICATE) ? 2 : 1;
  return packets * (own + copiesOf(pathOf(prefix)));
}

/**
 * Sends a packet in answer to the one with this context, in addition to a reply. Returns false if it had to be kept,
 * and there was no room. What the way out loses has been sent.
 */
export function emit(packet: usize, ip: usize, len: u32): bool {
  if (answers(packet) & LINKED) {
    return send(owner(packet), routeOf(packet), arrival(packet), ip, len, NOBODY, Protocol.icmp);
  }
  queue(ip, len);
  return true;
}

/** Sends a packet of a prefix, now. */
export function emitOf(prefix: i32, ip: usize, len: u32): void {
  if (!isLinked(prefix)) {
    queue(ip, len);
    return;
  }
  const path = pathOf(prefix);
  const way = path ? routeAt(path, choose(path, ip, len, true)) : 0;
  send(prefix, way, load<u64>(NOW), ip, len, NOBODY, Protocol.icmp);
}

function isLinked(prefix: i32): bool {
  return prefix >= FIRST_PREFIX && (answersOf(table(), prefix) & LINKED) != 0;
}

/** Returns the route that the packet came by, or 0. */
function routeOf(packet: usize): usize {
  return routeAt(pathOf(owner(packet)), route(packet));
}

// ---- on the way in --------------------------------------------------------------------------------------------------

/**
 * Has a packet of `len` bytes, which has changed by `changes`, come to the hop at a place of its route at `from`, and
 * go on to the one at `end`, or to the prefix behind all of them. Returns when it is there, with CHANGES; or that it is
 * gone.
 */
function travel(
  packet: usize, way: usize, end: u32, place: u32, from: u64, ip: usize, len: u32, copy: Copy, changes: u32,
): u64 {
  const hops = hopsOf(way);
  let at = from;
  for (; place <= end; place++) {
    const hop = place < hops ? hopAt(way, place) : 0;
    if (hasLink(hop)) {
      const came = at;
      at = pass(owner(packet), hop, IN, came, ip, len, copy);
      const crossed = load<u32>(CROSSED);
      const changed = changesOf(changes, crossed, len);
      if (crossed & CROSSED_DUPLICATED) copyIn(packet, way, end, place, came, ip, len, changes);
      if (at == LOST) return GONE + Drop.link_loss;
      if (at == FULL) return GONE + Drop.link_queue_full;
      changes = changed;
      if (copy == Copy.here) copy = Copy.before;
    }
    if (place < hops) store<u64>(<usize>HOP_TIMES + (<usize>place << 3), at);
    const verdict = place < end ? endAt(hop, place, ip, wireLen(packet, ip, len)) : DONE;
    if (verdict != DONE) {
      say(packet, way, place, at, ip, len, reason(verdict));
      return GONE + reason(verdict);
    }
  }
  store<u32>(CHANGES, changes);
  return at;
}

/** Has the hops before a place of its route change a packet as they forward it. */
function pastHops(way: usize, place: u32, ip: usize): void {
  forward(ip, place);
  recordThere(way, place, ip);
}

/** Has the hop at a place say that a packet ends there, for this reason. */
function say(packet: usize, way: usize, place: u32, at: u64, ip: usize, len: u32, why: Drop): void {
  if (why != Drop.ttl_expired && why != Drop.pkt_too_big) return;
  const kind = why == Drop.ttl_expired ? HopError.time_exceeded : HopError.packet_too_big;
  const hop = hopAt(way, place);
  const error = hopError(packet, hop, place, ip, len, kind);
  if (!error) return;
  if (at > load<u64>(NOW) && isInTime(way)) {
    if (!mayKeep()) { free(error); return; }
    keepReturning(error, lenOf(error), at, owner(packet), route(packet), place);
  } else if (!goBack(owner(packet), way, place, at, error, lenOf(error), NOBODY, Protocol.icmp)) {
    return;
  }
  countError(packet, hop, kind);
}

/** Has an error that a hop at a place of a route has made go back, now. A new table may have neither. */
export function goBackFrom(prefix: i32, route: u32, place: u32, ip: usize, len: u32): void {
  if (!isLinked(prefix)) {
    queue(ip, len);
    return;
  }
  const way = routeAt(pathOf(prefix), route);
  goBack(prefix, way, min(place, hopsOf(way)), load<u64>(NOW), ip, len, NOBODY, Protocol.icmp);
}

/** Has a copy of a packet go on from a place. It is judged when it comes, and has a verdict of its own. */
function copyIn(
  packet: usize, way: usize, end: u32, place: u32, from: u64, ip: usize, len: u32, changes: u32,
): void {
  const at = travel(packet, way, end, place, from, ip, len, Copy.here, changes);
  if (at >= GONE || !mayKeep() || !spare()) return;
  const changed = load<u32>(CHANGES);
  const copy = copyOf(ip, len);
  if (way) pastHops(way, end, copy);
  change(copy, changed);
  add(Counter.linkCopies, 1);
  keepArriving(copy, len, at, route(packet));
}

// ---- on the way out -------------------------------------------------------------------------------------------------

/**
 * Has a packet of a prefix go back by a route from `from` on. It counts as its reply, or as NOBODY's. Returns false if
 * there is no room to keep it.
 */
function send(prefix: i32, way: usize, from: u64, ip: usize, len: u32, counted: i32, protocol: u32): bool {
  const place = endOf(way, sourceOf(ip), ipv4.version(ip) == 6);
  if (way) {
    const verdict = comeBack(way, place, ip, len, roomFrom(prefix, way, place));
    if (verdict != DONE) {
      giveUp(ip, counted, reason(verdict));
      return true;
    }
  }
  return goBack(prefix, way, place, from, ip, len, counted, protocol);
}

/** Has a packet go through the ways out, from a place of its route on. Returns false if there is no room to keep it. */
function goBack(
  prefix: i32, way: usize, place: u32, from: u64, ip: usize, len: u32, counted: i32, protocol: u32,
): bool {
  const at = travelBack(prefix, way, place, place, from, ip, len, Copy.none, 0);
  if (at >= GONE) {
    giveUp(ip, counted, <Drop>(at - GONE));
    return true;
  }
  if (way) recordBack(way, place, ip);
  return depart(ip, len, at, counted, protocol, load<u32>(CHANGES));
}

/** Does for the ways out what travel() does for those in. The packet itself comes from the place `start`. */
function travelBack(
  prefix: i32, way: usize, start: u32, place: u32, from: u64, ip: usize, len: u32, copy: Copy, changes: u32,
): u64 {
  const hops = hopsOf(way);
  let at = from;
  for (let left = place + 1; left > 0; left--) {
    const hop = left <= hops ? hopAt(way, left - 1) : 0;
    if (hasLink(hop)) {
      const came = at;
      at = pass(prefix, hop, OUT, came, ip, len, copy);
      const crossed = load<u32>(CROSSED);
      const changed = changesOf(changes, crossed, len);
      if (crossed & CROSSED_DUPLICATED) copyOut(prefix, way, start, left - 1, came, ip, len, changes);
      if (at == LOST) return GONE + Drop.link_loss_out;
      if (at == FULL) return GONE + Drop.link_queue_full;
      changes = changed;
      if (copy == Copy.here) copy = Copy.before;
    }
    if (left > 1) store<u64>(<usize>HOP_TIMES + (<usize>(left - 2) << 3), at);
  }
  store<u32>(CHANGES, changes);
  return at;
}

/** Sends or keeps a packet that leaves the ways out at `at`. Returns false if there is no room to keep it. */
function depart(ip: usize, len: u32, at: u64, counted: i32, protocol: u32, changes: u32): bool {
  if (changes & CHANGED_MARKED) mark(ip);
  const flip = flipOf(changes);
  if (at <= load<u64>(NOW) && !flip) {
    if (counted != NOBODY) answered(protocol, counted, 1);
    queue(ip, len);
  } else if (mayKeep()) {
    keep(ip, len, at, counted, protocol, flip);
  } else {
    giveUp(ip, counted, Drop.held_full);
    return false;
  }
  return true;
}

function giveUp(ip: usize, counted: i32, reason: Drop): void {
  free(ip);
  if (counted != NOBODY) add(DROPPED + reason, 1);
}

/** Has a copy of a packet go through the ways out, from a place on. */
function copyOut(
  prefix: i32, way: usize, start: u32, place: u32, from: u64, ip: usize, len: u32, changes: u32,
): void {
  const at = travelBack(prefix, way, start, place, from, ip, len, Copy.here, changes);
  if (at >= GONE || !spare()) return;
  const changed = load<u32>(CHANGES);
  const copy = copyOf(ip, len);
  if (way) recordBack(way, start, copy);
  depart(copy, len, at, NOBODY, Protocol.icmp, changed);
}

// ---- packets --------------------------------------------------------------------------------------------------------

/** Returns whether a link leads to a hop, or to the prefix if that is 0. */
function hasLink(hop: usize): bool {
  return !hop || load<u32>(hop, HOP_LINK) != 0;
}

/** Copies a packet, and what lies before it, into a slot of its own. */
function copyOf(ip: usize, len: u32): usize {
  const before = ip & (SLOT_ALIGN - 1);
  const slot = take();
  memory.copy(slot, ip - before, before + len);
  return slot + before;
}

/** Adds what a way has changed of a packet of `len` bytes. Of two bits that change, the last one does. */
function changesOf(changes: u32, crossed: u32, len: u32): u32 {
  if (crossed & CROSSED_MARKED) changes |= CHANGED_MARKED;
  if (crossed & CROSSED_CORRUPTED) changes = changes & CHANGED_MARKED | 1 + <u32>(bits(Draw.bit) % (<u64>len << 3));
  return changes;
}

/** Returns the number of the bit that changes, from 1 on, or 0. */
function flipOf(changes: u32): u32 {
  return changes & ~CHANGED_MARKED;
}

function change(ip: usize, changes: u32): void {
  if (changes & CHANGED_MARKED) mark(ip);
  const flip = flipOf(changes);
  if (flip) flipBit(ip, flip - 1);
}

function mark(ip: usize): void {
  if (ipv4.version(ip) == 6) ipv6.setCongested(ip);
  else ipv4.markCongested(ip);
}

function lenOf(ip: usize): u32 {
  return ipv4.version(ip) == 6 ? ipv6.HEADER_LEN + ipv6.payloadLen(ip) : ipv4.totalLen(ip);
}
