// Service threads as the packet loop sees them: what they are told, and the pages that they have on loan. The other end
// of the rings is src/net/port.ts.

import { CONNECTIONS_TOUCHED, MAX_PAGES, PAGE_BITS, PAGE_COUNT, PAGES, PAGES_TOUCHED } from "../../abi/tcp";
import {
  EPOCH_SEEN, EVENT_LET_GO, IN_NEWS, LENT_AT, LENT_COUNT, LENT_ENTRY, LENT_TAIL, MAX_LENT, NEWS_AT, NEWS_ENTRY,
  NEWS_FOR, NEWS_HEAD, NEWS_MASK, NEWS_TAIL, ON_LOAN, STARVED, STREAM_EPOCH, STREAM_EVENTS, STREAM_SERIAL, STREAM_SIZE,
  STREAM_THREAD, STREAMS, TAKEN, THREAD_COUNT, THREAD_SIZE, THREAD_STATE, ThreadState, THREADS, TOLD, Unopened,
} from "../../abi/streams";
import { givePage, nextPage, setNextPage, takePage } from "../tcp/pages";
import { indexOf } from "./record";

/** Streams that a thread was told of and has not made its own: Linux's SOMAXCONN. */
const BACKLOG: u32 = 4096;
/** Pages that are lent in a round. */
const LENT_AT_ONCE: u32 = 64;

export function threadAt(index: u32): usize {
  return <usize>THREADS + <usize>index * THREAD_SIZE;
}

/** Returns the thread that the next stream goes to: each in turn, but for those that take none now. */
export function next(): u32 {
  const count = load<u32>(THREAD_COUNT);
  let index: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const serial = load<u32>(STREAM_SERIAL) + 1;
    store<u32>(STREAM_SERIAL, serial);
    index = serial % count;
    if (takes(threadAt(index))) break;
  }
  return index;
}

/** Returns whether any thread takes a stream now. */
export function anyTakes(): bool {
  for (let i: u32 = 0; i < load<u32>(THREAD_COUNT); i++) if (takes(threadAt(i))) return true;
  return false;
}

/** Returns whether a thread serves. */
export function serves(index: u32): bool {
  return atomic.load<u32>(threadAt(index) + THREAD_STATE) == <u32>ThreadState.serving;
}

function takes(thread: usize): bool {
  return atomic.load<u32>(thread + THREAD_STATE) == <u32>ThreadState.serving && hasSeenEpoch(thread)
    && load<u32>(thread, TOLD) - atomic.load<u32>(thread + TAKEN) < BACKLOG;
}

/** Returns whether a thread knows that the packet loop has crashed, if it has. */
export function hasSeenEpoch(thread: usize): bool {
  return atomic.load<u32>(thread + EPOCH_SEEN) == load<u32>(STREAM_EPOCH);
}

/** Has its thread look at the record of the connection `c`, unless it has let go of the stream. */
export function tell(c: usize, record: usize): void {
  if (load<u32>(record, STREAM_EVENTS) & EVENT_LET_GO) return;
  const index = load<u32>(record, STREAM_THREAD);
  if (atomic.or<u32>(record + IN_NEWS, 1 << index) & 1 << index) return;
  const thread = threadAt(index);
  const tail = load<u32>(thread, NEWS_TAIL);
  const entry = <usize>load<u32>(thread, NEWS_AT) + <usize>(tail & load<u32>(thread, NEWS_MASK)) * NEWS_ENTRY;
  store<u32>(entry, indexOf(c));
  atomic.store<u32>(thread + NEWS_TAIL, tail + 1);
  store<u32>(NEWS_FOR, load<u32>(NEWS_FOR) | 1 << index);
}

/** Lends a thread pages, up to MAX_LENT, or few where pages are scarce. */
export function lend(index: u32): void {
  const thread = threadAt(index);
  store<u32>(STARVED, load<u32>(STARVED) & ~(1 << index));
  if (!serves(index) || !hasSeenEpoch(thread)) return;
  const scarce = load<u32>(PAGE_COUNT) >= load<u32>(MAX_PAGES) >>> 1;
  const most = max<u32>(min<u32>(MAX_LENT, load<u32>(MAX_PAGES) >>> (scarce ? 6 : 3)), 1);
  let lent = load<u32>(thread, LENT_COUNT);
  // Only when a good part is gone, so that the thread is not told again and again.
  if (lent > most >>> 1) return;
  let tail = load<u32>(thread, LENT_TAIL);
  for (let i: u32 = 0; i < LENT_AT_ONCE && lent < most; i++) {
    const page = takePage();
    if (!page) break;
    setNextPage(page, ON_LOAN + index);
    store<u32>(<usize>load<u32>(thread, LENT_AT) + <usize>(tail & (MAX_LENT - 1)) * LENT_ENTRY, <u32>page);
    tail++;
    lent++;
  }
  // Streams that wait for a page order nothing more.
  if (!lent) store<u32>(STARVED, load<u32>(STARVED) | 1 << index);
  if (tail == load<u32>(thread, LENT_TAIL)) return;
  store<u32>(thread, lent, LENT_COUNT);
  atomic.store<u32>(thread + LENT_TAIL, tail);
  store<u32>(NEWS_FOR, load<u32>(NEWS_FOR) | 1 << index);
}

/** Lends pages that have become free to the threads that there were none for. */
export function lendAgain(): void {
  if (load<u32>(PAGE_COUNT) == load<u32>(MAX_PAGES)) return;
  const starved = load<u32>(STARVED);
  for (let i: u32 = 0; starved >>> i; i++) if (starved >>> i & 1) lend(i);
}

/** Returns whether the thread has a page on loan, as it says: nothing that it says is believed. */
export function isLent(index: u32, page: usize): bool {
  const pages: usize = load<u32>(PAGES);
  if (page < pages || page - pages >>> PAGE_BITS >= load<u32>(PAGES_TOUCHED)) return false;
  return nextPage(page) == <usize>(ON_LOAN + index);
}

/** Gives a page that the thread has on loan back to it, since the request in it is refused. */
export function handBack(index: u32, page: usize, why: Unopened): void {
  const thread = threadAt(index);
  const tail = load<u32>(thread, LENT_TAIL);
  store<u32>(<usize>load<u32>(thread, LENT_AT) + <usize>(tail & (MAX_LENT - 1)) * LENT_ENTRY, <u32>page + <u32>why);
  atomic.store<u32>(thread + LENT_TAIL, tail + 1);
  store<u32>(NEWS_FOR, load<u32>(NEWS_FOR) | 1 << index);
}

/** Takes back a page that the thread says it has on loan. Returns whether it had. */
export function takeBack(index: u32, page: usize): bool {
  if (!isLent(index, page)) return false;
  setNextPage(page, 0);
  const thread = threadAt(index);
  store<u32>(thread, load<u32>(thread, LENT_COUNT) - 1, LENT_COUNT);
  return true;
}

/** Returns whether a thread has ended, once: its streams have to be reset then. */
export function isGone(thread: usize): bool {
  return atomic.cmpxchg<u32>(thread + THREAD_STATE, ThreadState.gone, ThreadState.ending) == <u32>ThreadState.gone;
}

export function isEnding(index: u32): bool {
  return atomic.load<u32>(threadAt(index) + THREAD_STATE) == <u32>ThreadState.ending;
}

/** All streams of the threads that have ended are reset: takes back what they had on loan. */
export function endThreads(): void {
  const count = load<u32>(THREAD_COUNT);
  for (let i: u32 = 0; i < count; i++) {
    if (!isEnding(i)) continue;
    takeAllBack(i);
    forgetNews(i);
    const thread = threadAt(i);
    memory.fill(thread + NEWS_TAIL, 0, TOLD + 4 - NEWS_TAIL);
    memory.fill(thread + NEWS_HEAD, 0, TAKEN + 4 - NEWS_HEAD);
    atomic.store<u32>(thread + EPOCH_SEEN, load<u32>(STREAM_EPOCH));
    atomic.store<u32>(thread + THREAD_STATE, ThreadState.ended);
  }
}

/** Nothing is in the thread's NEWS any more. */
function forgetNews(index: u32): void {
  const touched = load<u32>(CONNECTIONS_TOUCHED);
  for (let i: u32 = 0; i < touched; i++) {
    atomic.and<u32>(<usize>load<u32>(STREAMS) + <usize>i * STREAM_SIZE + IN_NEWS, ~(1 << index));
  }
}

function takeAllBack(index: u32): void {
  const touched = load<u32>(PAGES_TOUCHED);
  for (let i: u32 = 0; i < touched; i++) {
    const page: usize = <usize>load<u32>(PAGES) + (<usize>i << PAGE_BITS);
    if (takeBack(index, page)) givePage(page);
  }
}
