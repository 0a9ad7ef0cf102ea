// Orders of the service threads: pages to be sent, and records to be looked at. Threads run what users wrote, so that
// whatever they say is checked: a thread can spoil its own streams and nothing else.

import { ATTEMPT_FAILS, Closed, Counter, Reset } from "../../abi/counters";
import { MAX_ORDERS } from "../../abi/slots";
import {
  CONNECT, IN_ORDERS, LET_GO, LOOK, ORDERED, ORDERS_AT, ORDERS_ENTRY, ORDERS_HEAD, ORDERS_MASK, ORDERS_TAIL, SEND_TOTAL,
  STREAM_READ, STREAM_THREAD, STREAM_WISHES, THREAD_COUNT, WISH_RESET,
} from "../../abi/streams";
import { PAGE_SIZE, SND_END, State } from "../../abi/tcp";
import { add } from "../memory";
import { CLOSING, has, state } from "../tcp/connection";
import { abort, releaseHeld } from "../tcp/end";
import { open } from "../tcp/open";
import { touch } from "../tcp/output";
import { givePage } from "../tcp/pages";
import { beginSweep } from "../tcp/sweep";
import { sendAnswers } from "../udp/datagrams";
import { connectionAt, recordOf } from "./record";
import * as sent from "./sent";
import * as stream from "./stream";
import { handBack, hasSeenEpoch, isGone, isLent, lend, serves, takeBack, threadAt } from "./thread";

/** Returns whether there may be orders. */
export function ordered(): bool {
  return load<u32>(ORDERED) != 0;
}

/** Carries out orders, MAX_ORDERS at most. The rest is for the next round. */
export function takeOrders(): void {
  atomic.store<u32>(ORDERED, 0);
  let left: u32 = MAX_ORDERS;
  const count = load<u32>(THREAD_COUNT);
  for (let i: u32 = 0; i < count; i++) {
    const thread = threadAt(i);
    if (isGone(thread)) {
      beginSweep();
      continue;
    }
    // What it has ordered, it ordered before a crash.
    if (!hasSeenEpoch(thread)) continue;
    const tail = atomic.load<u32>(thread + ORDERS_TAIL);
    let head = load<u32>(thread, ORDERS_HEAD);
    for (; head != tail && left; left--, head++) {
      const entry = <usize>load<u32>(thread, ORDERS_AT) + <usize>(head & load<u32>(thread, ORDERS_MASK)) * ORDERS_ENTRY;
      take(i, load<u32>(entry), load<u32>(entry, 4));
    }
    store<u32>(thread, head, ORDERS_HEAD);
    if (head != tail) atomic.store<u32>(ORDERED, 1);
    left = sendAnswers(thread, left);
    lend(i);
  }
}

function take(thread: u32, index: u32, what: u32): void {
  const c = connectionAt(index);
  const mine = c != 0 && isMine(c, thread);
  switch (what) {
    case LOOK:
      if (mine) look(c);
      return;
    case LET_GO:
      if (mine) letGo(c);
      return;
    case CONNECT:
      connect(thread, index & -PAGE_SIZE);
      return;
    default:
      send(thread, mine ? c : 0, what & -PAGE_SIZE, (what & (PAGE_SIZE - 1)) + 1);
  }
}

/** Returns whether a connection, or what is left of one, is a stream that this thread has. */
function isMine(c: usize, thread: u32): bool {
  const record = recordOf(c);
  return stream.isKnown(record) && load<u32>(record, STREAM_THREAD) == thread;
}

/** Appends a page to what is sent. If nothing more may be sent, it is only given back. */
function send(thread: u32, c: usize, page: usize, len: u32): void {
  if (!takeBack(thread, page)) return;
  if (!c || state(c) == State.CLOSED || has(c, CLOSING)) {
    givePage(page);
    return;
  }
  const record = recordOf(c);
  sent.append(record, page, len);
  store<u32>(record, load<u32>(record, SEND_TOTAL) + len, SEND_TOTAL);
  store<u32>(c, load<u32>(c, SND_END) + len, SND_END);
  stream.shut(c, record);
  touch(c);
}

/**
 * Opens the connection that a page describes, which the packet loop then keeps. Otherwise the page goes back at once
 * with the reason, so that no request ever waits in one. A thread that asks twice by the same page spoils its own ring.
 */
function connect(thread: u32, page: usize): void {
  // One that is gone would never hear of the connection, and the sweep may have passed the block already.
  if (!isLent(thread, page) || !serves(thread)) return;
  add(Counter.tcpActiveOpens, 1);
  const why = open(thread, page);
  if (why) {
    add(ATTEMPT_FAILS + why, 1);
    handBack(thread, page, why);
  } else {
    takeBack(thread, page);
    givePage(page);
  }
}

/** Looks at what the thread wants of a stream. */
function look(c: usize): void {
  const record = recordOf(c);
  atomic.store<u32>(record + IN_ORDERS, 0);
  stream.take(c, record, atomic.load<u32>(record + STREAM_READ));
  if (state(c) == State.CLOSED) return;
  if (atomic.load<u32>(record + STREAM_WISHES) & WISH_RESET) {
    abort(c, Reset.ended, Closed.reset);
    return;
  }
  stream.shut(c, record);
  touch(c);
}

/** The thread lets go of a stream, which may be over. If not, what is to be sent goes out without it. */
function letGo(c: usize): void {
  look(c);
  stream.letGo(recordOf(c));
  if (state(c) == State.CLOSED) releaseHeld(c);
  // A reset tells the peer that not all of its data was read (RFC 2525 §2.17), or that there is no end of this side's.
  else if (stream.unread(c) || !has(c, CLOSING) || !stream.isOpen(c)) abort(c, Reset.ended, Closed.reset);
}
