/**
 * Looks at what an engine keeps of TCP, by abi/tcp.ts, and says what does not agree: lists, chains, pages, counters.
 */
import assert from "node:assert/strict";
import {
  ATTEMPT_FAILS, Closed, CLOSED as ENDS, Counter, DROPPED, MAX_DROPS, MAX_PROTOCOLS, MAX_UNOPENED, REPLIES,
} from "../../abi/counters.js";
import {
  CONNECTION_COUNT, CONNECTION_SIZE, CONNECTIONS, CONNECTIONS_FREE, CONNECTIONS_TOUCHED, FIRST_PAGE, FLIGHT, HALF_OPEN,
  HASH, HASH_MASK, MAX_CONNECTIONS, MAX_PAGES, MAX_WAITS, NEXT, OWNER, PAGE_BITS, PAGE_COUNT, PAGE_NEXT, PAGES,
  PAGES_FREE,
  PAGES_TOUCHED, PREFIX_CONNECTIONS, Service, SERVICE, SERVICE_KIND, SERVICE_SIZE, SERVICE_USERS, SERVICES,
  SOURCE_CONNECTIONS, MAX_SERVICES, State, STATE, TOUCHED_COUNT, WAIT_COUNT, WAIT_FIRST, WAIT_SIZE, WAITS,
} from "../../abi/tcp.js";
import {
  EVENT_ASKED, EVENT_ENDED, EVENT_LET_GO, EVENT_OPENED, LENT_COUNT, SEND_FIRST, STREAM_EVENTS, STREAM_SIZE, STREAMS,
  THREAD_COUNT, THREAD_SIZE, THREADS,
} from "../../abi/streams.js";
import { SOURCES } from "../../abi/limits.js";
import { FIRST_PREFIX, PREFIX_INDICES } from "../../abi/tables.js";
import { TIMER_SIZE, TIMERS } from "../../abi/timers.js";
import type { Rig } from "./engines.js";

// A byte of memory is a number to the compiler.
const CLOSED: number = State.CLOSED;
const SYN_RECEIVED: number = State.SYN_RECEIVED;
const TIME_WAIT: number = State.TIME_WAIT;
const STREAM: number = Service.stream;

/** How many there are. */
export interface TcpState {
  readonly connections: number;
  readonly halfOpen: number;
  readonly waits: number;
  readonly pages: number;
  readonly timers: number;
}

export function stateOf({ words }: Rig): TcpState {
  return {
    connections: words[CONNECTION_COUNT / 4], halfOpen: words[HALF_OPEN / 4], waits: words[WAIT_COUNT / 4],
    pages: words[PAGE_COUNT / 4], timers: words[TIMERS / 4],
  };
}

/** Returns the addresses of the control blocks in use. */
function connectionsOf({ words, bytes }: Rig): number[] {
  const blocks = Array.from(
    { length: words[CONNECTIONS_TOUCHED / 4] }, (_, i) => words[CONNECTIONS / 4] + CONNECTION_SIZE * i,
  );
  return blocks.filter((block) => bytes[block + STATE] !== CLOSED);
}

/** Returns the addresses of blocks of connections that are over, and that a service thread still has. */
function heldOf({ words, bytes }: Rig): number[] {
  if (words[STREAMS / 4] === 0) return [];
  const blocks = Array.from(
    { length: words[CONNECTIONS_TOUCHED / 4] }, (_, i) => words[CONNECTIONS / 4] + CONNECTION_SIZE * i,
  );
  return blocks.filter((block) => {
    const events = words[(recordOf(words, block) + STREAM_EVENTS) / 4];
    return bytes[block + STATE] === CLOSED && (events & (EVENT_ENDED | EVENT_LET_GO)) === EVENT_ENDED;
  });
}

/** Returns whether a service thread has opened a connection. */
function isAsked(words: Rig["words"], block: number): boolean {
  if (words[STREAMS / 4] === 0 || words[(words[(block + SERVICE) / 4] + SERVICE_KIND) / 4] < STREAM) return false;
  return (words[(recordOf(words, block) + STREAM_EVENTS) / 4] & EVENT_ASKED) !== 0;
}

/** Returns the address of a connection's record. */
function recordOf(words: Rig["words"], block: number): number {
  return words[STREAMS / 4] + STREAM_SIZE * (block - words[CONNECTIONS / 4]) / CONNECTION_SIZE;
}

/** Follows a list by its `next`. @throws AssertionError if it has more than `most` members */
function follow(first: number, next: (at: number) => number, most: number): number[] {
  const members: number[] = [];
  for (let at = first; at !== 0; at = next(at)) {
    members.push(at);
    assert.ok(members.length <= most, "a list ends");
  }
  return members;
}

/**
 * Compares everything with everything else, between two calls of the engine; `sums`: also what takes long to add up.
 * @throws AssertionError if something does not agree
 */
export function checkState(rig: Rig, sums = true): void {
  const { words, bytes, linear: { counters } } = rig;
  const word = (at: number) => words[at / 4];
  const used = connectionsOf(rig);
  assert.equal(word(TOUCHED_COUNT), 0, "no connection is left in TOUCHED");

  const touched = word(CONNECTIONS_TOUCHED);
  assert.ok(touched <= word(MAX_CONNECTIONS), "no more blocks than there are");
  const free = follow(word(CONNECTIONS_FREE), (at) => word(at + NEXT), touched);
  const held = heldOf(rig);
  assert.equal(free.length + used.length + held.length, touched, "each block is in use, held or free");
  for (const block of free) assert.equal(bytes[block + STATE], CLOSED, "a free block is CLOSED");
  assert.equal(word(CONNECTION_COUNT), used.length + held.length, "CONNECTION_COUNT");
  assert.equal(counters[Counter.tcpConnections], used.length + held.length, "the gauge of connections");
  const halfOpen = used.filter((block) => bytes[block + STATE] === SYN_RECEIVED).length;
  assert.equal(word(HALF_OPEN), halfOpen, "HALF_OPEN");
  assert.equal(counters[Counter.tcpHalfOpen], halfOpen, "the gauge of half-open connections");

  const waits = Array.from({ length: word(WAIT_COUNT) }, (_, i) => {
    return word(WAITS) + WAIT_SIZE * ((word(WAIT_FIRST) + i) % word(MAX_WAITS));
  });
  assert.equal(counters[Counter.tcpTimeWait], live(waits, bytes), "the gauge of TIME-WAIT records");
  checkChains(rig, used, waits);
  checkPages(rig, [...used, ...held]);

  const users = Array.from({ length: MAX_SERVICES }, () => 0);
  for (const block of [...used, ...held]) users[(word(block + SERVICE) - SERVICES) / SERVICE_SIZE]++;
  users.forEach((count, i) => {
    assert.equal(word(SERVICES + SERVICE_SIZE * i + SERVICE_USERS), count, `users of service ${i}`);
  });
  checkCounters(rig);
  const attempts = used.filter((block) => isAsked(words, block)
    && (words[(recordOf(words, block) + STREAM_EVENTS) / 4] & EVENT_OPENED) === 0);
  const fails = counters.subarray(ATTEMPT_FAILS, ATTEMPT_FAILS + MAX_UNOPENED).reduce((a, b) => a + b);
  assert.equal(
    counters[Counter.tcpActiveOpens], counters[Counter.tcpOpened] + fails + attempts.length,
    "each attempt has been established, has failed, or goes on",
  );
  if (!sums) return;
  // A loop, as this is most of what a check costs.
  const total = (at: number, length: number) => {
    let sum = 0;
    for (let i = at / 4; i < at / 4 + length; i++) sum += words[i];
    return sum;
  };
  const came = used.filter((block) => !isAsked(words, block));
  assert.equal(total(SOURCE_CONNECTIONS, SOURCES), came.length, "connections by source add up");
  // A connection whose prefix is gone belongs to nobody.
  const owned = used.filter((block) => word(block + OWNER) >= FIRST_PREFIX);
  assert.equal(total(PREFIX_CONNECTIONS, PREFIX_INDICES), owned.length, "connections by prefix add up");
}

/** Records whose state says that they still wait. */
function live(waits: readonly number[], bytes: Uint8Array): number {
  return waits.filter((record) => bytes[record - TIMER_SIZE + STATE] === TIME_WAIT).length;
}

function checkChains({ words, bytes }: Rig, used: readonly number[], waits: readonly number[]): void {
  const word = (at: number) => words[at / 4];
  const found = new Set<number>();
  const most = used.length + waits.length;
  if (word(MAX_CONNECTIONS) === 0) return;
  for (let i = 0; i <= word(HASH_MASK); i++) {
    for (const member of follow(word(word(HASH) + 4 * i), (at) => word(at + NEXT), most)) {
      assert.ok(!found.has(member), "one chain has it");
      found.add(member);
    }
  }
  const live = waits.map((record) => record - TIMER_SIZE)
    .filter((record) => bytes[record + STATE] === TIME_WAIT);
  for (const block of [...used, ...live]) assert.ok(found.has(block), "a chain has each connection");
  assert.equal(found.size, used.length + live.length, "chains have nothing else");
}

function checkPages({ words, linear: { counters } }: Rig, used: readonly number[]): void {
  const word = (at: number) => words[at / 4];
  const next = (page: number) => word(word(PAGE_NEXT) + 4 * (page - word(PAGES) >>> PAGE_BITS));
  const touched = word(PAGES_TOUCHED);
  assert.ok(touched <= word(MAX_PAGES), "no more pages than there are");
  const free = follow(word(PAGES_FREE), next, touched);
  const reached = used.flatMap((block) => [FIRST_PAGE, FLIGHT].flatMap((list) => {
    return follow(word(block + list), next, touched);
  }));
  if (word(STREAMS) > 0) {
    for (const block of used) reached.push(...follow(word(recordOf(words, block) + SEND_FIRST), next, touched));
  }
  const lent = Array.from({ length: word(THREAD_COUNT) }, (_, i) => word(THREADS + THREAD_SIZE * i + LENT_COUNT));
  const onLoan = lent.reduce((a, b) => a + b, 0);
  assert.equal(new Set([...free, ...reached]).size, free.length + reached.length, "each page is on one list");
  assert.equal(reached.length + onLoan, word(PAGE_COUNT), "PAGE_COUNT");
  assert.equal(counters[Counter.tcpPages], reached.length + onLoan, "the gauge of pages");
  assert.equal(free.length + reached.length + onLoan, touched, "each page is in use, on loan or free");
}

/** Asserts I5, and that each connection there was has ended once or is there. */
export function checkCounters({ linear: { counters } }: Rig): void {
  const sum = (from: number, count: number) => counters.subarray(from, from + count).reduce((a, b) => a + b);
  assert.equal(
    counters[Counter.packetsReceived],
    sum(REPLIES, MAX_PROTOCOLS) + sum(DROPPED, MAX_DROPS) + counters[Counter.held] + counters[Counter.kept]
    + counters[Counter.tcpReceived] + counters[Counter.udpHandled],
    "received = replied + dropped + held + kept + taken by TCP (I5)",
  );
}

/** Returns how connections ended so far, without what never happened. */
export function closedOf({ linear: { counters } }: Rig): Record<string, number> {
  const names = Object.keys(Closed).filter((key) => Number.isNaN(Number(key)));
  return Object.fromEntries(
    names.map((name, i) => [name, counters[ENDS + i]] as const).filter(([, count]) => count > 0),
  );
}
