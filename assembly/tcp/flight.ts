// Data in flight: a page of a connection that says when each part of it was sent, and what has become of it. A run is
// data that was sent together. Runs follow each other without a gap from SND_UNA to SND_NXT, so each begins where the
// one before it ends. The peer's SACK blocks decide how many there are, and when there is no room for more, runs are
// merged: what is known becomes coarser.
//
//  page  0 ┌───────────┬──────┬─────┬──────┬──────┐
//          │ fields.ts │ free │ run │ run… │ free │
//          └───────────┴──────┴─────┴──────┴──────┘
//  run   0 ┌─────┬─────────────┐
//          │ end │ sent, flags │
//          └─────┴─────────────┘
//
// Where a connection has no page, because FLIGHT is 0, everything in flight was sent at SENT_AT, once.

import { FLIGHT, MSS, PAGE_SIZE, SENT_AT, SND_NXT, SND_UNA } from "../../abi/tcp";
import * as wire from "../wire/tcp";
import { after, before, has, LOSS, marked, PROBED, RECOVERY, TIMESTAMPS, unmark } from "./connection";
import {
  AGAIN_END, DELIVERED, DSACK_ROUND, ECHOED, FIRST, FORWARD, FORWARD_BEFORE, HAS_ECHO, HEADER_SIZE, LAST, LONGEST,
  LOST, MIN_RTT, NEWLY_LOST, PEAK, PEAK_END, POINT, RACK_END, RACK_RTT, RACK_SENT, REDUCED_UNTIL, REORDERED,
  REORDER_QUARTERS, ROUND_END, SACKED, SHORTEST,
} from "./fields";
import { givePage, takePage } from "./pages";
import { smoothed, stamp } from "./rtt";

const END: usize = 0; // sequence number behind it
const SENT: usize = 4; // µs of the clock, without their upper 3 bits, times 8; and the flags
const RUN_SIZE: usize = 8;
const RUNS: usize = (HEADER_SIZE + 63) & ~63;
/** Runs that only sending may take, so that it finds room whatever the peer's SACK blocks have done. */
const RESERVE: usize = 8;

// Flags of a run. Lost data that is sent again is not lost any more.
const IS_SACKED: u32 = 1;
const IS_LOST: u32 = 2;
const IS_AGAIN: u32 = 4;
const FLAGS: u32 = 7;

/**
 * Returns the connection's page, which it takes if there was none; 0 if there is none to be had. What is in flight ends
 * at `nxt`.
 */
export function open(c: usize, nxt: u32): usize {
  const had: usize = load<u32>(c, FLIGHT);
  if (had) return had;
  // Recovery that began without a page ends without one; see starved.ts.
  if (marked(c, RECOVERY | LOSS)) return 0;
  const f = takePage();
  if (!f) return 0;
  const una = load<u32>(c, SND_UNA);
  memory.fill(f, 0, HEADER_SIZE);
  store<u32>(c, <u32>f, FLIGHT);
  store<u32>(f, <u32>(f + RUNS), FIRST);
  store<u32>(f, <u32>(f + RUNS), LAST);
  store<u32>(f, una, AGAIN_END);
  store<u32>(f, una, FORWARD);
  store<u32>(f, una - 1, POINT);
  store<u32>(f, una - 1, REDUCED_UNTIL);
  store<u32>(f, una, DSACK_ROUND);
  store<u32>(f, 1, REORDER_QUARTERS);
  store<u32>(f, nxt - una, PEAK);
  store<u32>(f, nxt, PEAK_END);
  store<u32>(f, nxt, ROUND_END);
  if (nxt != una) push(f, nxt, load<u32>(c, SENT_AT));
  return f;
}

/** Returns the connection's page; 0 if it has none. */
export function pageOf(c: usize): usize {
  return load<u32>(c, FLIGHT);
}

/** Gives the page back, if there is one. */
export function close(c: usize): void {
  const f: usize = load<u32>(c, FLIGHT);
  if (!f) return;
  store<u32>(c, 0, FLIGHT);
  unmark(c, PROBED);
  givePage(f);
}

/** Returns the bytes in flight that have not left the path as far as is known (RFC 6675 §4: pipe). */
export function pipe(c: usize): u32 {
  const f: usize = load<u32>(c, FLIGHT);
  const out = load<u32>(c, SND_NXT) - load<u32>(c, SND_UNA);
  return f ? out - load<u32>(f, SACKED) - load<u32>(f, LOST) : out;
}

/** Returns the bytes of payload in a full segment, between its options and its end. */
export function segmentLen(c: usize): u32 {
  return max<u32>(load<u16>(c, MSS), 64) - (has(c, TIMESTAMPS) ? wire.TIMESTAMPS_LEN : 0);
}

/** Begins with an acknowledgement. */
export function begin(f: usize, echoed: u32, hasEcho: bool): void {
  store<u32>(f, 0, DELIVERED);
  store<u32>(f, 0, NEWLY_LOST);
  store<u32>(f, 0, LONGEST);
  store<u32>(f, 0, SHORTEST);
  store<u32>(f, echoed, ECHOED);
  store<u32>(f, hasEcho ? 1 : 0, HAS_ECHO);
  store<u32>(f, load<u32>(f, FORWARD), FORWARD_BEFORE);
}

/** Notes that the data up to `end` was sent now, for the first time. */
export function append(c: usize, f: usize, end: u32, now: u32): void {
  const last = <usize>load<u32>(f, LAST) - RUN_SIZE;
  // Data sent within a small part of the round-trip time is one run: a window has no more of them than fit.
  const together = smoothed(c) >>> 7;
  if (last >= <usize>load<u32>(f, FIRST) && !flagsOf(last) && since(last, now) <= together) {
    store<u32>(last, end, END);
  } else {
    room(c, f, 1, 0, now);
    push(f, end, now);
  }
}

/** Notes how much is in flight after something was sent, up to `nxt`. */
export function notePeak(c: usize, f: usize, nxt: u32): void {
  const una = load<u32>(c, SND_UNA);
  const out = nxt - una - load<u32>(f, SACKED) - load<u32>(f, LOST);
  if (out < load<u32>(f, PEAK) && before(una, load<u32>(f, PEAK_END))) return;
  store<u32>(f, out, PEAK);
  store<u32>(f, nxt, PEAK_END);
}

/** Returns the most that was in flight at a time in the last window. */
export function peak(f: usize): u32 {
  return load<u32>(f, PEAK);
}

/** Notes that [seq, end) was sent again now. */
export function appendAgain(c: usize, f: usize, seq: u32, end: u32, now: u32): void {
  room(c, f, 2, 0, now);
  let start = load<u32>(c, SND_UNA);
  for (let run: usize = load<u32>(f, FIRST); run < <usize>load<u32>(f, LAST) && before(start, end); run += RUN_SIZE) {
    const flags = flagsOf(run);
    if (after(load<u32>(run, END), seq) && !(flags & IS_SACKED)) {
      if (before(start, seq)) {
        split(f, run, seq);
        start = seq;
        continue;
      }
      if (after(load<u32>(run, END), end)) split(f, run, end);
      if (flags & IS_LOST) store<u32>(f, load<u32>(f, LOST) - (load<u32>(run, END) - start), LOST);
      store<u32>(run, now << 3 | IS_AGAIN, SENT);
    }
    start = load<u32>(run, END);
  }
  if (after(end, load<u32>(f, AGAIN_END))) store<u32>(f, end, AGAIN_END);
  tidy(f);
}

/** Takes what is acknowledged, up to `ack`, off the runs. SND_UNA has not moved yet. */
export function acknowledge(c: usize, f: usize, ack: u32, now: u32): void {
  let start = load<u32>(c, SND_UNA);
  let run: usize = load<u32>(f, FIRST);
  let again: u32 = 0;
  const last: usize = load<u32>(f, LAST);
  for (; run < last && before(start, ack); run += RUN_SIZE) {
    const end = load<u32>(run, END);
    again |= flagsOf(run) & IS_AGAIN;
    const to = after(end, ack) ? ack : end;
    if (flagsOf(run) & IS_SACKED) store<u32>(f, load<u32>(f, SACKED) - (to - start), SACKED);
    else deliver(f, run, start, to, now);
    start = to;
    if (to != end) break;
  }
  store<u32>(f, <u32>run, FIRST);
  // What lay behind a hole may have arrived long before the hole was filled.
  if (again) {
    store<u32>(f, 0, LONGEST);
    store<u32>(f, 0, SHORTEST);
  }
  // What lies behind must not seem to lie ahead when sequence numbers wrap.
  keepUp(f + AGAIN_END, ack);
  keepUp(f + REDUCED_UNTIL, ack - 1);
  keepUp(f + DSACK_ROUND, ack);
  keepUp(f + POINT, ack - 1);
}

function keepUp(field: usize, ack: u32): void {
  if (before(load<u32>(field), ack)) store<u32>(field, ack);
}

/** Marks what the peer holds of [first, end), which lies behind SND_UNA. */
export function sack(c: usize, f: usize, first: u32, end: u32, now: u32): void {
  if (!room(c, f, 2, RESERVE, now)) return;
  const held = load<u32>(f, SACKED);
  let start = load<u32>(c, SND_UNA);
  for (let run: usize = load<u32>(f, FIRST); run < <usize>load<u32>(f, LAST) && before(start, end); run += RUN_SIZE) {
    if (after(load<u32>(run, END), first) && !(flagsOf(run) & IS_SACKED)) {
      if (before(start, first)) {
        split(f, run, first);
        start = first;
        continue;
      }
      if (after(load<u32>(run, END), end)) split(f, run, end);
      deliver(f, run, start, load<u32>(run, END), now);
      store<u32>(run, IS_SACKED, SENT);
      store<u32>(f, load<u32>(f, SACKED) + (load<u32>(run, END) - start), SACKED);
    }
    start = load<u32>(run, END);
  }
  if (load<u32>(f, SACKED) != held) tidy(f);
}

/** Notes the delivery of [start, end) of a run (RFC 8985 §6.2, steps 1 to 3). */
function deliver(f: usize, run: usize, start: u32, end: u32, now: u32): void {
  const flags = flagsOf(run);
  const sent = sentOf(run);
  const rtt = max(since(run, now), 1);
  store<u32>(f, load<u32>(f, DELIVERED) + (end - start), DELIVERED);
  if (flags & IS_LOST) store<u32>(f, load<u32>(f, LOST) - (end - start), LOST);
  if (after(end, load<u32>(f, FORWARD))) store<u32>(f, end, FORWARD);
  if (flags & IS_AGAIN) {
    // It may be what was sent before that has arrived, which says nothing of the time since then.
    if (rtt < load<u32>(f, MIN_RTT)) return;
    if (load<u32>(f, HAS_ECHO) && before(load<u32>(f, ECHOED), stamp(since(run, now)))) return;
  } else {
    if (rtt > load<u32>(f, LONGEST)) store<u32>(f, rtt, LONGEST);
    if (load<u32>(f, SHORTEST) == 0 || rtt < load<u32>(f, SHORTEST)) store<u32>(f, rtt, SHORTEST);
    // Blocks of one ACK are in no order, so what was delivered before it counts.
    if (before(end, load<u32>(f, FORWARD_BEFORE))) store<u32>(f, 1, REORDERED);
  }
  if (load<u32>(f, RACK_RTT) && !sentAfter(sent, end, load<u32>(f, RACK_SENT), load<u32>(f, RACK_END))) return;
  store<u32>(f, sent, RACK_SENT);
  store<u32>(f, end, RACK_END);
  store<u32>(f, rtt, RACK_RTT);
}

/** RFC 8985 §6.1: RACK_sent_after. */
function sentAfter(sent: u32, end: u32, otherSent: u32, otherEnd: u32): bool {
  return after(sent, otherSent) || (sent == otherSent && after(end, otherEnd));
}

/**
 * Marks as lost what was sent before something that was delivered, so long ago that it would have been delivered too if
 * it was overtaken by no more than `window` µs. Returns the µs until more may be lost, 0 for never (RFC 8985 §6.2,
 * step 5).
 */
export function detect(c: usize, f: usize, window: u32, now: u32): u32 {
  const rtt = load<u32>(f, RACK_RTT);
  const una = load<u32>(c, SND_UNA);
  if (!rtt || (!load<u32>(f, SACKED) && !before(una, load<u32>(f, AGAIN_END)))) return 0;
  const rackSent = load<u32>(f, RACK_SENT);
  const rackEnd = load<u32>(f, RACK_END);
  const last: usize = load<u32>(f, LAST);
  let start = una;
  let timeout: i32 = 0;
  for (let run: usize = load<u32>(f, FIRST); run < last; run += RUN_SIZE) {
    const end = load<u32>(run, END);
    const sent = sentOf(run);
    const flags = flagsOf(run);
    // What is sent again and new data may go at one time on the clock, in whatever order.
    const later = flags & IS_AGAIN ? after(rackSent, sent) : sentAfter(rackSent, rackEnd, sent, end);
    if (!(flags & (IS_SACKED | IS_LOST)) && later) {
      const left = <i32>(rtt + window - since(run, now));
      if (left <= 0) lose(f, run, end - start);
      else timeout = max(timeout, left);
    }
    start = end;
  }
  return timeout;
}

/**
 * Marks as lost what is in flight, except what the peer holds: what was sent at least `age` µs ago, or comes first,
 * and with `longer`, only runs of more bytes than that.
 */
export function loseAll(c: usize, f: usize, age: u32, longer: u32, now: u32): void {
  const last: usize = load<u32>(f, LAST);
  const first: usize = load<u32>(f, FIRST);
  let start = load<u32>(c, SND_UNA);
  for (let run = first; run < last; run += RUN_SIZE) {
    const end = load<u32>(run, END);
    const old = since(run, now) >= age || (!longer && run == first);
    if (!(flagsOf(run) & (IS_SACKED | IS_LOST)) && old && end - start > longer) lose(f, run, end - start);
    start = end;
  }
}

/** Marks the first `len` bytes in flight as lost, unless they are. */
export function loseFirst(c: usize, f: usize, len: u32, now: u32): void {
  room(c, f, 1, 0, now);
  const first: usize = load<u32>(f, FIRST);
  if (first == <usize>load<u32>(f, LAST) || flagsOf(first) & (IS_SACKED | IS_LOST)) return;
  const una = load<u32>(c, SND_UNA);
  if (after(load<u32>(first, END), una + len)) split(f, first, una + len);
  lose(f, first, load<u32>(first, END) - una);
}

function lose(f: usize, run: usize, len: u32): void {
  store<u32>(run, load<u32>(run, SENT) | IS_LOST, SENT);
  store<u32>(f, load<u32>(f, LOST) + len, LOST);
  store<u32>(f, load<u32>(f, NEWLY_LOST) + len, NEWLY_LOST);
}

/** Takes back that anything is lost. */
export function findAll(f: usize): void {
  const last: usize = load<u32>(f, LAST);
  for (let run: usize = load<u32>(f, FIRST); run < last; run += RUN_SIZE) {
    store<u32>(run, load<u32>(run, SENT) & ~IS_LOST, SENT);
  }
  store<u32>(f, 0, LOST);
  store<u32>(f, 0, NEWLY_LOST);
}

/** Returns the first lost range: its sequence number in the upper half, its bytes in the lower; 0 for none. */
export function firstLost(c: usize, f: usize): u64 {
  if (!load<u32>(f, LOST)) return 0;
  const last: usize = load<u32>(f, LAST);
  let start = load<u32>(c, SND_UNA);
  for (let run: usize = load<u32>(f, FIRST); run < last; run += RUN_SIZE) {
    const end = load<u32>(run, END);
    if (flagsOf(run) & IS_LOST) {
      // Runs that were sent at different times may be lost side by side.
      let to = end;
      for (run += RUN_SIZE; run < last && flagsOf(run) & IS_LOST; run += RUN_SIZE) to = load<u32>(run, END);
      return <u64>start << 32 | (to - start);
    }
    start = end;
  }
  return 0;
}

/** Returns whether the peer has dropped what it held (RFC 2018 §8): it would have acknowledged what comes first. */
export function reneged(f: usize): bool {
  const first: usize = load<u32>(f, FIRST);
  return first < <usize>load<u32>(f, LAST) && (flagsOf(first) & IS_SACKED) != 0;
}

/** Forgets what the peer holds. */
export function forgetSacks(f: usize, now: u32): void {
  const last: usize = load<u32>(f, LAST);
  for (let run: usize = load<u32>(f, FIRST); run < last; run += RUN_SIZE) {
    if (flagsOf(run) & IS_SACKED) store<u32>(run, now << 3 | IS_AGAIN, SENT);
  }
  store<u32>(f, 0, SACKED);
}

function flagsOf(run: usize): u32 {
  return load<u32>(run, SENT) & FLAGS;
}

/** Returns when it was sent; such times are compared by after(). */
function sentOf(run: usize): u32 {
  return load<u32>(run, SENT) & ~FLAGS;
}

/** Returns the µs since it was sent, at most 8 minutes. */
function since(run: usize, now: u32): u32 {
  return (now << 3) - sentOf(run) >>> 3;
}

// ---- the array ------------------------------------------------------------------------------------------------------

function push(f: usize, end: u32, sent: u32): void {
  const run: usize = load<u32>(f, LAST);
  store<u32>(run, end, END);
  store<u32>(run, sent << 3, SENT);
  store<u32>(f, <u32>(run + RUN_SIZE), LAST);
}

/** Makes two runs of one, of which the first ends at `at`. There is room. */
function split(f: usize, run: usize, at: u32): void {
  const last: usize = load<u32>(f, LAST);
  memory.copy(run + RUN_SIZE, run, last - run);
  store<u32>(run, at, END);
  store<u32>(f, <u32>(last + RUN_SIZE), LAST);
}

/** Makes one run of each two in a row that the peer holds, or that were sent at one time and fared alike. */
function tidy(f: usize): void {
  const last: usize = load<u32>(f, LAST);
  let to: usize = load<u32>(f, FIRST);
  if (to == last) return;
  for (let run = to + RUN_SIZE; run < last; run += RUN_SIZE) {
    const flags = flagsOf(run);
    const alike = flags == flagsOf(to) && (flags & IS_SACKED || sentOf(run) == sentOf(to));
    if (!alike) to += RUN_SIZE;
    if (to != run) memory.copy(to, run, RUN_SIZE);
  }
  store<u32>(f, <u32>(to + RUN_SIZE), LAST);
}

/**
 * Makes room for `count` more runs besides `reserve`. Without a reserve there is room afterwards, whatever it costs:
 * at last everything counts as lost. Returns whether there is.
 */
function room(c: usize, f: usize, count: usize, reserve: usize, now: u32): bool {
  const need = (count + reserve) * RUN_SIZE;
  if (fits(f, need)) return true;
  toFront(f);
  if (fits(f, need)) return true;
  halve(f);
  if (fits(f, need)) return true;
  if (reserve) return false;
  forgetSacks(f, now);
  halve(f);
  if (fits(f, need)) return true;
  const end = load<u32>(<usize>load<u32>(f, LAST) - RUN_SIZE, END);
  const run: usize = f + RUNS;
  store<u32>(run, end, END);
  store<u32>(run, now << 3 | IS_LOST | IS_AGAIN, SENT);
  store<u32>(f, <u32>(run + RUN_SIZE), LAST);
  store<u32>(f, end - load<u32>(c, SND_UNA), LOST);
  return true;
}

function fits(f: usize, need: usize): bool {
  return <usize>load<u32>(f, LAST) + need <= f + PAGE_SIZE;
}

function toFront(f: usize): void {
  const first: usize = load<u32>(f, FIRST);
  const size = <usize>load<u32>(f, LAST) - first;
  if (first == f + RUNS) return;
  memory.copy(f + RUNS, first, size);
  store<u32>(f, <u32>(f + RUNS), FIRST);
  store<u32>(f, <u32>(f + RUNS + size), LAST);
}

/** Makes one run of every two in a row that fared alike. They count as sent when the later one was. */
function halve(f: usize): void {
  const last: usize = load<u32>(f, LAST);
  let to: usize = load<u32>(f, FIRST);
  for (let run = to; run < last; run += RUN_SIZE) {
    const next = run + RUN_SIZE;
    const sent = load<u32>(run, SENT);
    const alike = next < last && flagsOf(next) == flagsOf(run);
    if (alike) run = next;
    memory.copy(to, run, RUN_SIZE);
    if (alike && after(sent, load<u32>(to, SENT))) store<u32>(to, sent, SENT);
    to += RUN_SIZE;
  }
  store<u32>(f, <u32>to, LAST);
}
