// Receiving: the payload of segments in order of the stream, whatever the order in which they came. What came too early
// is noted in RANGES, at most MAX_RANGES pieces, and its bytes are kept if the service has to look at them.

import { Counter } from "../../abi/counters";
import {
  ACK_AT, CAME, MAX_PAGES, MAX_RANGES, MSS, PAGE_COUNT, RANGES, RCV_EDGE, RCV_NXT, RCV_SCALE, UNACKED,
} from "../../abi/tcp";
import { add } from "../memory";
import * as wire from "../wire/tcp";
import { ACK_NOW, acknowledgeIn, after, before, mark } from "./connection";
import * as segment from "./segment";
import * as services from "./services";
import * as stream from "./stream";

const MAX_WINDOW: u32 = 65535;
/** Half of the least room that a service has when it is not full. */
const HALF_ROOM: u32 = 1 << 15;
/** Bytes behind what has come in order that are kept if they come early. */
const MOST_EARLY: u32 = 1 << 16;
/** Microseconds for which an acknowledgement may wait for more (RFC 9293, MUST-40: less than 0.5 s). */
const DELAY_US: u32 = 40_000;
/** Microseconds for which it may wait for the answer of a service thread. */
const PUSHED_US: u32 = 2_000;
const MAX_OPTIONS_LEN: u32 = wire.MAX_HEADER_LEN - wire.MIN_HEADER_LEN;
/** A segment of this length may be all that the way here has room for (RFC 9293, MUST-15). */
const SMALLEST_FULL: u32 = 536;

/**
 * Takes the payload of a segment that begins at RCV_NXT or behind it, and ends in the window. Returns whether all up to
 * its end has come now, so that a FIN behind it counts.
 */
export function receive(c: usize, s: usize): bool {
  const len = segment.len(s);
  const seq = segment.seq(s);
  if (seq != load<u32>(c, RCV_NXT)) {
    mark(c, ACK_NOW);
    if (len) early(c, seq, segment.data(s), len);
    return false;
  }
  if (!len) return true;
  const taken = take(c, segment.data(s), len);
  const gap = load<u32>(c, RANGES) != load<u32>(c, RANGES + 4);
  if (gap) join(c);
  delay(c, len, gap || taken != len, (segment.flags(s) & wire.PSH) != 0);
  return taken == len;
}

/**
 * Decides when to acknowledge (RFC 5681 §4.2): at once, or with every second full segment, or after a while. Behind
 * what is pushed nothing more comes for now, so that the peer may wait for its acknowledgement.
 */
function delay(c: usize, len: u32, now: bool, pushed: bool): void {
  const mss: u32 = load<u16>(c, MSS);
  // Segments may be shorter than this side's for the sake of options or of the way here. One may be several in one.
  const full = len >= min(mss - MAX_OPTIONS_LEN, SMALLEST_FULL) ? max((len + MAX_OPTIONS_LEN) / mss, 1) : 0;
  const count = min<u32>(load<u8>(c, UNACKED) + full, 255);
  store<u8>(c, <u8>count, UNACKED);
  if (now || count >= 2 || (pushed && !services.answersSoon(c))) mark(c, ACK_NOW);
  else if (pushed) acknowledgeIn(c, PUSHED_US);
  else if (!load<u32>(c, ACK_AT)) acknowledgeIn(c, DELAY_US);
}

/** Hands bytes in order to the service. Returns how many it has taken. */
function take(c: usize, data: usize, len: u32): u32 {
  const from = load<u64>(c, CAME);
  const taken = services.take(c, data, len);
  advance(c, taken);
  // What came early lies in pages that are counted from CAME on.
  if (!services.keeps(c)) stream.trim(c, from);
  return taken;
}

function advance(c: usize, len: u32): void {
  store<u64>(c, load<u64>(c, CAME) + len, CAME);
  store<u32>(c, load<u32>(c, RCV_NXT) + len, RCV_NXT);
  add(Counter.tcpBytesReceived, len);
}

// ---- out of order ---------------------------------------------------------------------------------------------------

/** Notes bytes that came too early, and keeps them if need be. */
function early(c: usize, seq: u32, data: usize, len: u32): void {
  let first = seq;
  let end = seq + len;
  // The place where the range is to be, if there is one: that of the first range which it touches, or else the last.
  let count: u32 = 0;
  for (let i: u32 = 0; i < <u32>MAX_RANGES; i++) if (firstOf(c, i) != endOf(c, i)) count++;
  let touched: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    if (!after(first, endOf(c, i)) && !before(end, firstOf(c, i))) touched++;
  }
  // One piece too many is not taken: the peer sends it again.
  if (!touched && count == MAX_RANGES) return;
  if (services.looks(c)) {
    // Pages for what may never be joined are few, and none when they are scarce: the peer sends it again.
    const ahead = end - load<u32>(c, RCV_NXT);
    if (ahead > MOST_EARLY || load<u32>(PAGE_COUNT) >= load<u32>(MAX_PAGES) >>> 1) return;
    const position = load<u64>(c, CAME) + (seq - load<u32>(c, RCV_NXT));
    if (!stream.keep(c, position, data, len)) return;
  }
  // RFC 2018 §4: the range with the latest segment comes first. Those that it touches become part of it.
  for (let i: u32 = 0; i < count;) {
    if (after(first, endOf(c, i)) || before(end, firstOf(c, i))) { i++; continue; }
    if (before(firstOf(c, i), first)) first = firstOf(c, i);
    if (after(endOf(c, i), end)) end = endOf(c, i);
    removeRange(c, i);
    count--;
  }
  memory.copy(c + RANGES + 8, c + RANGES, 8 * (MAX_RANGES - 1));
  store<u32>(c, first, RANGES);
  store<u32>(c, end, RANGES + 4);
}

/** What is missing has come up to RCV_NXT: hands on what joins it. */
function join(c: usize): void {
  for (let i: u32 = 0; i < <u32>MAX_RANGES && firstOf(c, i) != endOf(c, i);) {
    const next = load<u32>(c, RCV_NXT);
    if (after(firstOf(c, i), next)) { i++; continue; }
    const end = endOf(c, i);
    removeRange(c, i);
    if (after(end, next)) handOn(c, end - next);
  }
}

/** Hands on bytes that came early. If the service does not take them all, whatever came early is forgotten. */
function handOn(c: usize, len: u32): void {
  const end = load<u32>(c, RCV_NXT) + len;
  if (!services.looks(c)) {
    take(c, 0, len);
    return;
  }
  if (services.keeps(c)) {
    services.kept(c, len);
    advance(c, len);
    return;
  }
  while (load<u32>(c, RCV_NXT) != end) {
    const from = load<u64>(c, CAME);
    const piece = stream.piece(c, from);
    const count = min(<u32>(piece >>> 32), end - load<u32>(c, RCV_NXT));
    if (take(c, <usize><u32>piece, count) != count) {
      forget(c);
      return;
    }
  }
  if (load<u32>(c, RANGES) == load<u32>(c, RANGES + 4)) stream.drop(c);
}

/** Forgets all that came early: the peer sends it again (RFC 2018 §8). */
function forget(c: usize): void {
  memory.fill(c + RANGES, 0, 8 * MAX_RANGES);
  if (!services.keeps(c)) stream.drop(c);
}

function removeRange(c: usize, index: u32): void {
  const at: usize = c + RANGES + (index << 3);
  memory.copy(at, at + 8, (MAX_RANGES - 1 - index) << 3);
  store<u64>(c, 0, RANGES + 8 * (MAX_RANGES - 1));
}

function firstOf(c: usize, index: u32): u32 {
  return load<u32>(c + RANGES + (index << 3));
}

function endOf(c: usize, index: u32): u32 {
  return load<u32>(c + RANGES + (index << 3), 4);
}

// ---- the window -----------------------------------------------------------------------------------------------------

/** Returns the window field of a segment that is sent now. The edge never moves to the left (RFC 9293, SHLD-14). */
export function advertise(c: usize): u32 {
  const next = load<u32>(c, RCV_NXT);
  const room = services.room(c);
  // RFC 9293 §3.8.6.2.2, MUST-39: the edge moves by a full segment or half of the room, at least. Where hardly any room
  // is left, half of that would be a silly window.
  const more = gain(c, room);
  const least = min(<u32>load<u16>(c, MSS), max(room >>> 1, HALF_ROOM));
  let edge = more && more >= least ? next + room : load<u32>(c, RCV_EDGE);
  // FIN of the peer may lie behind the edge.
  if (before(edge, next)) edge = next;
  const scale = load<u8>(c, RCV_SCALE);
  // Rounded up, so that the edge stays where it is.
  const field = min(edge - next + (1 << scale) - 1 >>> scale, MAX_WINDOW);
  store<u32>(c, next + (field << scale), RCV_EDGE);
  return field;
}

/** Returns whether the peer has hardly any window left, and would have enough now: then it is told by itself. */
export function opens(c: usize): bool {
  const room = services.room(c);
  const enough = min<u32>(2 * <u32>load<u16>(c, MSS), max(room >>> 1, HALF_ROOM));
  return load<u32>(c, RCV_EDGE) - load<u32>(c, RCV_NXT) < enough && gain(c, room) >= enough;
}

/** Returns by how much the window's edge could move to the right. */
function gain(c: usize, room: u32): u32 {
  const edge = load<u32>(c, RCV_NXT) + room;
  return after(edge, load<u32>(c, RCV_EDGE)) ? edge - load<u32>(c, RCV_EDGE) : 0;
}
