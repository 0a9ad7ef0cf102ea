// Data in flight: a page of a connection that says when each part of it was sent, and what has become of it. Each part
// is a run (runs.ts). This file notes what is sent, and what the peer acknowledges or holds; losses.ts tells what is
// lost.
//
// Where a connection has no page, because FLIGHT is 0, everything in flight was sent at SENT_AT, once.

import { FLIGHT, MSS, SENT_AT, SND_NXT, SND_UNA } from "../../abi/tcp";
import * as wire from "../wire/tcp";
import { after, before, has, LOSS, marked, PROBED, RECOVERY, TIMESTAMPS, unmark } from "./connection";
import {
  AGAIN_END, DELIVERED, DSACK_ROUND, ECHOED, FIRST, FORWARD, FORWARD_BEFORE, HAS_ECHO, HEADER_SIZE, LAST, LONGEST,
  LOST, MIN_RTT, NEWLY_LOST, PEAK, PEAK_END, POINT, RACK_END, RACK_RTT, RACK_SENT, REDUCED_UNTIL, REORDERED,
  REORDER_QUARTERS, ROUND_END, SACKED, SHORTEST,
} from "./fields";
import { givePage, takePage } from "./pages";
import { sentAfter } from "./rack";
import { smoothed, stamp } from "./rtt";
import {
  flagsOf, IS_AGAIN, IS_LOST, IS_SACKED, push, RESERVE, room, RUN_END, RUN_SENT, RUN_SIZE, RUNS, sentOf, since, split,
  tidy,
} from "./runs";

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
    store<u32>(last, end, RUN_END);
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
    if (after(load<u32>(run, RUN_END), seq) && !(flags & IS_SACKED)) {
      if (before(start, seq)) {
        split(f, run, seq);
        start = seq;
        continue;
      }
      if (after(load<u32>(run, RUN_END), end)) split(f, run, end);
      if (flags & IS_LOST) store<u32>(f, load<u32>(f, LOST) - (load<u32>(run, RUN_END) - start), LOST);
      store<u32>(run, now << 3 | IS_AGAIN, RUN_SENT);
    }
    start = load<u32>(run, RUN_END);
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
    const end = load<u32>(run, RUN_END);
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
    if (after(load<u32>(run, RUN_END), first) && !(flagsOf(run) & IS_SACKED)) {
      if (before(start, first)) {
        split(f, run, first);
        start = first;
        continue;
      }
      if (after(load<u32>(run, RUN_END), end)) split(f, run, end);
      deliver(f, run, start, load<u32>(run, RUN_END), now);
      store<u32>(run, IS_SACKED, RUN_SENT);
      store<u32>(f, load<u32>(f, SACKED) + (load<u32>(run, RUN_END) - start), SACKED);
    }
    start = load<u32>(run, RUN_END);
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
