// Links: what packets go through on their way to a prefix (arrive), and on their way from it (leave). Everything that
// becomes of a packet on a way is decided when it comes to it (cross.ts).
//
// What has been delayed on the way in comes in the future. A reply that is made of the packet where it lies, and needs
// nothing but the packet, is made at once, as of that time (packet.ts, arrival), and goes through the way out from then
// on: so it is kept once. What needs to come in its time has itself kept for that, and is judged again (keepEarly). So
// is everything where the way out has a queue, slots or an order: what is sent meanwhile must not wait for the future.

import { NOW } from "../../abi/control";
import { Counter, Drop, DROPPED, Protocol } from "../../abi/counters";
import {
  CROSSED, CROSSED_CORRUPTED, CROSSED_DUPLICATED, CROSSED_MARKED, EFFECTS_AT, LINK_STATE_SIZE, LINK_STATES_AT,
  MAX_EFFECTS, PREFIX_EFFECTS_SIZE, WAY_STATE_SIZE,
} from "../../abi/links";
import { SLOT_ALIGN } from "../../abi/slots";
import { FIRST_PREFIX, LINKED, NOBODY, PREFIX_LINK } from "../../abi/tables";
import { MAX_LINKS, NO_STATE, WAY_DUPLICATE, WAY_FLAGS, WAY_IN_TIME, WAY_SIZE, WAY_STATE } from "../../abi/ways";
import { flipBit, keep, keepArriving, mayKeep } from "../kept";
import { add, answered, free, queue, spare, take } from "../memory";
import { finish } from "../offload";
import { answers, arrival, hasCrossed, isAhead, owner, protocol, setArrival, setCrossed } from "../packet";
import { answersOf, table } from "../prefix";
import { DONE, drop, KEPT, SPOILT } from "../verdict";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import { cross, FULL, LOST } from "./cross";
import { bits, Draw } from "./draw";

/** The ways of a link. */
const IN: u32 = 0;
const OUT: u32 = 1;

/** Returns whether the packet has yet to go through the link of its destination. */
export function isBehindLink(packet: usize): bool {
  return (answers(packet) & LINKED) != 0 && !hasCrossed(packet);
}

/**
 * Has the packet of `len` bytes, which has come from outside, go through the way in. Returns DONE if it comes through,
 * whenever that is, and otherwise its verdict.
 */
export function arrive(packet: usize, ip: usize, len: u32): i32 {
  setCrossed(packet);
  // A bit that changes, and a copy that is judged later, are of the packet as it is on the wire.
  finish(packet, ip);
  const at = pass(owner(packet), IN, load<u64>(NOW), ip, len, false);
  const crossed = load<u32>(CROSSED);
  const flip = flipOf(crossed, len);
  if (crossed & CROSSED_DUPLICATED) copyIn(owner(packet), ip, len);
  if (at == LOST) return drop(Drop.link_loss);
  if (at == FULL) return drop(Drop.link_queue_full);
  setArrival(packet, at);
  if (crossed & CROSSED_MARKED) mark(ip);
  if (flip) flipBit(ip, flip - 1);
  if (load<u32>(wayOf(owner(packet), IN), WAY_FLAGS) & WAY_IN_TIME) {
    const early = keepUntil(packet, ip, len);
    if (early != DONE) return early;
  }
  return flip ? SPOILT : DONE;
}

/** Returns KEPT if the packet has yet to come, and has it judged again when it has; DONE if it is there. */
export function keepEarly(packet: usize, ip: usize): i32 {
  return keepUntil(packet, ip, lenOf(ip));
}

function keepUntil(packet: usize, ip: usize, len: u32): i32 {
  if (!isAhead(packet)) return DONE;
  if (!mayKeep()) return drop(Drop.held_full);
  keepArriving(ip, len, arrival(packet));
  return KEPT;
}

/** Has the packet at `ip`, which has become a reply of `len` bytes, go through the way out, and counts its verdict. */
export function leave(packet: usize, ip: usize, len: u32): void {
  send(owner(packet), arrival(packet), ip, len, owner(packet), protocol(packet));
}

/** Returns how many slots so many packets of a prefix take at most, with what the way out makes of them. */
export function slotsFor(prefix: i32, packets: u32): u32 {
  const isLinked = prefix >= FIRST_PREFIX && (answersOf(table(), prefix) & LINKED) != 0;
  return isLinked && load<f64>(wayOf(prefix, OUT), WAY_DUPLICATE) ? 2 * packets : packets;
}

/** Sends a packet in answer to the one with this context, in addition to a reply. */
export function emit(packet: usize, ip: usize, len: u32): void {
  if (answers(packet) & LINKED) send(owner(packet), arrival(packet), ip, len, NOBODY, Protocol.icmp);
  else queue(ip, len);
}

/** Sends a packet of a prefix, now. */
export function emitOf(prefix: i32, ip: usize, len: u32): void {
  const isLinked = prefix >= FIRST_PREFIX && (answersOf(table(), prefix) & LINKED) != 0;
  if (isLinked) send(prefix, load<u64>(NOW), ip, len, NOBODY, Protocol.icmp);
  else queue(ip, len);
}

/** Has a packet that leaves at `from` go through the way out of a prefix. It counts as its reply, or as NOBODY's. */
function send(prefix: i32, from: u64, ip: usize, len: u32, counted: i32, protocol: u32): void {
  const at = pass(prefix, OUT, from, ip, len, false);
  const crossed = load<u32>(CROSSED);
  const flip = flipOf(crossed, len);
  if (crossed & CROSSED_DUPLICATED) copyOut(prefix, from, ip, len);
  if (at == LOST) giveUp(ip, counted, Drop.link_loss_out);
  else if (at == FULL) giveUp(ip, counted, Drop.link_queue_full);
  else depart(ip, len, at, counted, protocol, crossed, flip);
}

/** Sends or keeps a packet that leaves the way out at `at`. */
function depart(ip: usize, len: u32, at: u64, counted: i32, protocol: u32, crossed: u32, flip: u32): void {
  if (crossed & CROSSED_MARKED) mark(ip);
  if (at <= load<u64>(NOW) && !flip) {
    if (counted != NOBODY) answered(protocol, counted, 1);
    queue(ip, len);
  } else if (mayKeep()) {
    keep(ip, len, at, counted, protocol, flip);
  } else {
    giveUp(ip, counted, Drop.held_full);
  }
}

function giveUp(ip: usize, counted: i32, reason: Drop): void {
  free(ip);
  if (counted != NOBODY) add(DROPPED + reason, 1);
}

/** Has a copy of a packet go through the way in. It is judged when it comes, and has a verdict of its own. */
function copyIn(prefix: i32, ip: usize, len: u32): void {
  const at = pass(prefix, IN, load<u64>(NOW), ip, len, true);
  if (at == LOST || at == FULL || !mayKeep() || !spare()) return;
  const crossed = load<u32>(CROSSED);
  const flip = flipOf(crossed, len);
  const copy = copyOf(ip, len);
  if (crossed & CROSSED_MARKED) mark(copy);
  if (flip) flipBit(copy, flip - 1);
  add(Counter.linkCopies, 1);
  keepArriving(copy, len, at);
}

/** Has a copy of a packet go through the way out. */
function copyOut(prefix: i32, from: u64, ip: usize, len: u32): void {
  const at = pass(prefix, OUT, from, ip, len, true);
  if (at == LOST || at == FULL || !spare()) return;
  const crossed = load<u32>(CROSSED);
  depart(copyOf(ip, len), len, at, NOBODY, Protocol.icmp, crossed, flipOf(crossed, len));
}

/** Copies a packet, and what lies before it, into a slot of its own. */
function copyOf(ip: usize, len: u32): usize {
  const before = ip & (SLOT_ALIGN - 1);
  const slot = take();
  memory.copy(slot, ip - before, before + len);
  return slot + before;
}

/** Has a packet of `len` bytes go through a way of a prefix's link from `from` on, as cross() does. */
function pass(prefix: i32, direction: u32, from: u64, ip: usize, len: u32, copy: bool): u64 {
  const index = <u32>(prefix - FIRST_PREFIX);
  const way = wayOf(prefix, direction);
  const named = load<u32>(way, WAY_STATE);
  const place = named == NO_STATE ? MAX_LINKS + index : named;
  const state = load<u32>(LINK_STATES_AT) + place * LINK_STATE_SIZE + direction * WAY_STATE_SIZE;
  const effects = load<u32>(EFFECTS_AT) + index * PREFIX_EFFECTS_SIZE + direction * (MAX_EFFECTS << 3);
  return cross(way, state, from, len, isEcnCapable(ip), copy, effects);
}

function wayOf(prefix: i32, direction: u32): usize {
  return <usize>load<u32>(table() + (<usize>(prefix - FIRST_PREFIX) << 2), PREFIX_LINK) + direction * WAY_SIZE;
}

/** Returns the number of the bit that changes, from 1 on, or 0. */
function flipOf(crossed: u32, len: u32): u32 {
  return crossed & CROSSED_CORRUPTED ? 1 + <u32>(bits(Draw.bit) % (<u64>len << 3)) : 0;
}

/** RFC 3168 §5: returns whether the packet can be marked, or has been. */
function isEcnCapable(ip: usize): bool {
  return (ipv4.version(ip) == 6 ? ipv6.ecn(ip) : ipv4.ecn(ip)) != 0;
}

function mark(ip: usize): void {
  if (ipv4.version(ip) == 6) ipv6.setCongested(ip);
  else ipv4.markCongested(ip);
}

function lenOf(ip: usize): u32 {
  return ipv4.version(ip) == 6 ? ipv6.HEADER_LEN + ipv6.payloadLen(ip) : ipv4.totalLen(ip);
}
