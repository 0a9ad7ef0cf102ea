// Losses in flight: which runs (runs.ts) count as lost, and which of them is sent again first. A run may be lost by
// time (RFC 8985), by duplicate ACKs (RFC 6582) or by a timeout. It is not lost any more once it is sent again.

import { SND_UNA } from "../../abi/tcp";
import { after, before } from "./connection";
import { AGAIN_END, FIRST, LAST, LOST, NEWLY_LOST, RACK_END, RACK_RTT, RACK_SENT, SACKED } from "./fields";
import { sentAfter } from "./rack";
import {
  flagsOf, IS_AGAIN, IS_LOST, IS_SACKED, room, RUN_END, RUN_SENT, RUN_SIZE, sentOf, since, split,
} from "./runs";

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
    const end = load<u32>(run, RUN_END);
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
    const end = load<u32>(run, RUN_END);
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
  if (after(load<u32>(first, RUN_END), una + len)) split(f, first, una + len);
  lose(f, first, load<u32>(first, RUN_END) - una);
}

function lose(f: usize, run: usize, len: u32): void {
  store<u32>(run, load<u32>(run, RUN_SENT) | IS_LOST, RUN_SENT);
  store<u32>(f, load<u32>(f, LOST) + len, LOST);
  store<u32>(f, load<u32>(f, NEWLY_LOST) + len, NEWLY_LOST);
}

/** Takes back that anything is lost. */
export function findAll(f: usize): void {
  const last: usize = load<u32>(f, LAST);
  for (let run: usize = load<u32>(f, FIRST); run < last; run += RUN_SIZE) {
    store<u32>(run, load<u32>(run, RUN_SENT) & ~IS_LOST, RUN_SENT);
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
    const end = load<u32>(run, RUN_END);
    if (flagsOf(run) & IS_LOST) {
      // Runs that were sent at different times may be lost side by side.
      let to = end;
      for (run += RUN_SIZE; run < last && flagsOf(run) & IS_LOST; run += RUN_SIZE) to = load<u32>(run, RUN_END);
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
