// Runs: the array in a flight's page (flight.ts). A run is data that was sent together. Runs follow each other without
// a gap from SND_UNA to SND_NXT, so each begins where the one before it ends. The peer's SACK blocks decide how many
// there are, and when there is no room for more, runs are merged: what is known becomes coarser.
//
//  page  0 ┌───────────┬──────┬─────┬──────┬──────┐
//          │ fields.ts │ free │ run │ run… │ free │
//          └───────────┴──────┴─────┴──────┴──────┘
//  run   0 ┌─────┬─────────────┐
//          │ end │ sent, flags │
//          └─────┴─────────────┘

import { PAGE_SIZE, SND_UNA } from "../../abi/tcp";
import { after } from "./connection";
import { FIRST, HEADER_SIZE, LAST, LOST, SACKED } from "./fields";

export const RUN_END: usize = 0; // sequence number behind it
export const RUN_SENT: usize = 4; // µs of the clock, without their upper 3 bits, times 8; and the flags
export const RUN_SIZE: usize = 8;
export const RUNS: usize = (HEADER_SIZE + 63) & ~63;
/** Runs that only sending may take, so that it finds room whatever the peer's SACK blocks have done. */
export const RESERVE: usize = 8;

// Flags of a run. Lost data that is sent again is not lost any more.
export const IS_SACKED: u32 = 1;
export const IS_LOST: u32 = 2;
export const IS_AGAIN: u32 = 4;
const FLAGS: u32 = 7;

export function flagsOf(run: usize): u32 {
  return load<u32>(run, RUN_SENT) & FLAGS;
}

/** Returns when it was sent; such times are compared by after(). */
export function sentOf(run: usize): u32 {
  return load<u32>(run, RUN_SENT) & ~FLAGS;
}

/** Returns the µs since it was sent, at most 8 minutes. */
export function since(run: usize, now: u32): u32 {
  return (now << 3) - sentOf(run) >>> 3;
}

export function push(f: usize, end: u32, sent: u32): void {
  const run: usize = load<u32>(f, LAST);
  store<u32>(run, end, RUN_END);
  store<u32>(run, sent << 3, RUN_SENT);
  store<u32>(f, <u32>(run + RUN_SIZE), LAST);
}

/** Makes two runs of one, of which the first ends at `at`. There is room. */
export function split(f: usize, run: usize, at: u32): void {
  const last: usize = load<u32>(f, LAST);
  memory.copy(run + RUN_SIZE, run, last - run);
  store<u32>(run, at, RUN_END);
  store<u32>(f, <u32>(last + RUN_SIZE), LAST);
}

/** Makes one run of each two in a row that the peer holds, or that were sent at one time and fared alike. */
export function tidy(f: usize): void {
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
export function room(c: usize, f: usize, count: usize, reserve: usize, now: u32): bool {
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
  const end = load<u32>(<usize>load<u32>(f, LAST) - RUN_SIZE, RUN_END);
  const run: usize = f + RUNS;
  store<u32>(run, end, RUN_END);
  store<u32>(run, now << 3 | IS_LOST | IS_AGAIN, RUN_SENT);
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
    const sent = load<u32>(run, RUN_SENT);
    const alike = next < last && flagsOf(next) == flagsOf(run);
    if (alike) run = next;
    memory.copy(to, run, RUN_SIZE);
    if (alike && after(sent, load<u32>(to, RUN_SENT))) store<u32>(to, sent, RUN_SENT);
    to += RUN_SIZE;
  }
  store<u32>(f, <u32>to, LAST);
}

/** Forgets what the peer holds. */
export function forgetSacks(f: usize, now: u32): void {
  const last: usize = load<u32>(f, LAST);
  for (let run: usize = load<u32>(f, FIRST); run < last; run += RUN_SIZE) {
    if (flagsOf(run) & IS_SACKED) store<u32>(run, now << 3 | IS_AGAIN, RUN_SENT);
  }
  store<u32>(f, 0, SACKED);
}
