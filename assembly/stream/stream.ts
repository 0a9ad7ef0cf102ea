// A stream: a connection whose bytes a service thread has. The thread is told what has come, and reads it where it lies
// (../tcp/stream.ts); it gives pages to be sent, and says what else it wants (orders.ts).

import { Closed } from "../../abi/counters";
import {
  EVENT_ASKED, EVENT_CLOSING, EVENT_ENDED, EVENT_FINISHED, EVENT_LET_GO, EVENT_OPENED, IN_NEWS, SEND_TOTAL,
  STREAM_ACKED, STREAM_CAME, STREAM_END, STREAM_EVENTS, STREAM_FIRST, STREAM_KEPT, STREAM_LISTS, STREAM_NUMBER,
  STREAM_REQUEST, STREAM_SERIAL, STREAM_SIZE, STREAM_TAKEN, STREAM_THREAD, STREAM_WISHES, TOLD, Unopened, WISH_ROOM,
  WISH_SHUT,
} from "../../abi/streams";
import { ACKED, CAME, END_AT, FIRST_PAGE, RANGES, Service, SERVICE_STATE } from "../../abi/tcp";
import { CLOSING, endIn, has, kind, setFlag } from "../tcp/connection";
import * as kept from "../tcp/stream";
import { beginSweep } from "../tcp/sweep";
import { recordOf } from "./record";
import * as sent from "./sent";
import { isEnding, lend, next, tell, threadAt } from "./thread";

/** Microseconds that a peer which has to speak first has for that; as long as Node.js waits for headers. */
const SILENT_US: u32 = 60_000_000;

/** A connection begins. A thread may still have news of the block's last one in its ring: IN_NEWS stays. */
export function begin(c: usize): void {
  memory.fill(recordOf(c) + IN_NEWS + 4, 0, STREAM_SIZE - IN_NEWS - 4);
}

/** A connection begins that a thread has asked for, and has from now on. */
export function ask(c: usize, thread: u32, request: u32): void {
  begin(c);
  const record = recordOf(c);
  store<u32>(record, thread, STREAM_THREAD);
  store<u32>(record, request, STREAM_REQUEST);
  store<u32>(STREAM_SERIAL, load<u32>(STREAM_SERIAL) + 1);
  store<u32>(record, load<u32>(STREAM_SERIAL) || 1, STREAM_NUMBER);
  happened(c, record, EVENT_ASKED);
}

/** Returns whether a thread has asked for the connection. */
export function isAsked(c: usize): bool {
  return (load<u32>(recordOf(c), STREAM_EVENTS) & EVENT_ASKED) != 0;
}

/** The handshake of a connection that a thread has asked for is complete. */
export function answered(c: usize): void {
  const record = recordOf(c);
  lend(load<u32>(record, STREAM_THREAD));
  happened(c, record, EVENT_OPENED);
}

/** The handshake is complete. */
export function open(c: usize): void {
  const record = recordOf(c);
  const thread = next();
  store<u32>(record, thread, STREAM_THREAD);
  // So that it can answer at once.
  lend(thread);
  atomic.store<u32>(record + STREAM_NUMBER, load<u32>(STREAM_SERIAL) || 1);
  if (kind(c) == Service.stream) happened(c, record, EVENT_OPENED);
  else endIn(c, SILENT_US);
}

/** Tells the thread what has changed of the connection, whose packets have been judged. */
export function announce(c: usize): void {
  const record = recordOf(c);
  atomic.store<u32>(record + STREAM_ACKED, <u32>load<u64>(c, ACKED));
  const came = <u32>load<u64>(c, CAME);
  const moved = came != load<u32>(record, STREAM_CAME);
  if (moved) {
    if (!load<u32>(record, STREAM_FIRST)) {
      store<u32>(record, load<u32>(c, FIRST_PAGE), STREAM_FIRST);
      store<u32>(record, load<u32>(record, STREAM_LISTS) + 1, STREAM_LISTS);
    }
    atomic.store<u32>(record + STREAM_CAME, came);
  }
  if (moved && !(load<u32>(record, STREAM_EVENTS) & EVENT_OPENED)) {
    store<u32>(c, 0, END_AT);
    happened(c, record, EVENT_OPENED);
  } else if (moved) {
    tell(c, record);
  }
}

/** More of what was sent has been acknowledged. */
export function acknowledged(c: usize, bytes: u32): void {
  const record = recordOf(c);
  sent.acknowledge(record, bytes);
  atomic.store<u32>(record + STREAM_ACKED, <u32>load<u64>(c, ACKED));
  if (atomic.load<u32>(record + STREAM_WISHES) & WISH_ROOM) tell(c, record);
}

/** The peer has closed. */
export function finish(c: usize): void {
  const record = recordOf(c);
  announce(c);
  // Whoever never sent a byte has no thread to close it.
  if (isKnown(record)) happened(c, record, EVENT_FINISHED);
  else setFlag(c, CLOSING);
}

/** The connection is to end soon. */
export function close(c: usize): void {
  const record = recordOf(c);
  if (isKnown(record)) happened(c, record, EVENT_CLOSING);
  else setFlag(c, CLOSING);
}

/** The connection is over. Returns whether its block has to stay, since the thread has the stream. */
export function ended(c: usize, how: Closed): bool {
  const record = recordOf(c);
  sent.drop(record);
  if (!isKnown(record)) return false;
  announce(c);
  const why: u32 = load<u32>(record, STREAM_EVENTS) & EVENT_ASKED ? unopened(c) : 0;
  happened(c, record, EVENT_ENDED | <u32>how << 16 | why << 24);
  return true;
}

/** Returns whether a thread has the stream. */
export function isKnown(record: usize): bool {
  const events = load<u32>(record, STREAM_EVENTS);
  return (events & (EVENT_OPENED | EVENT_ASKED)) != 0 && !(events & EVENT_LET_GO);
}

/** Returns whether the handshake of a stream that a thread has is complete. */
export function isOpen(c: usize): bool {
  return (load<u32>(recordOf(c), STREAM_EVENTS) & EVENT_OPENED) != 0;
}

/** Returns why a connection that a thread has asked for was not established; Unopened.not if it was. */
export function unopened(c: usize): Unopened {
  const events = load<u32>(recordOf(c), STREAM_EVENTS);
  if (events & EVENT_OPENED) return Unopened.not;
  if (events & EVENT_LET_GO) return Unopened.given_up;
  return <Unopened>load<u32>(c, SERVICE_STATE) || Unopened.ended;
}

/** Returns whether the thread that has the stream has ended. */
export function isOrphan(c: usize): bool {
  const record = recordOf(c);
  return isKnown(record) && isEnding(load<u32>(record, STREAM_THREAD));
}

/** Returns whether nobody reads what comes. If nobody does any more, the connection ends at once, as Linux has it. */
export function isOver(c: usize): bool {
  const events = load<u32>(recordOf(c), STREAM_EVENTS);
  if (events & EVENT_LET_GO) endIn(c, 0);
  else if (events & EVENT_OPENED || !has(c, CLOSING)) return false;
  return true;
}

/** Returns how many bytes have come that the thread has not read. */
export function unread(c: usize): u32 {
  return <u32>load<u64>(c, CAME) - load<u32>(recordOf(c), STREAM_TAKEN);
}

/** Returns the position from which on bytes that came are kept. */
export function keptFrom(c: usize): u64 {
  return load<u64>(recordOf(c), STREAM_KEPT);
}

/** The thread says that it has read up to the position `read`. Nothing that it says is believed. */
export function take(c: usize, record: usize, read: u32): void {
  const came = load<u64>(c, CAME);
  const taken = load<u32>(record, STREAM_TAKEN);
  if (read == taken || read - taken > load<u32>(record, STREAM_CAME) - taken) return;
  store<u32>(record, read, STREAM_TAKEN);
  const from = load<u64>(record, STREAM_KEPT);
  const position = came - (<u32>came - read);
  const early = load<u32>(c, RANGES) != load<u32>(c, RANGES + 4);
  if (position == came && !early) {
    // Nobody looks at these pages any more: the next bytes begin a new list.
    store<u64>(record, came, STREAM_KEPT);
    store<u32>(record, 0, STREAM_FIRST);
    kept.drop(c);
    return;
  }
  // The thread finds the next page by the one whose last byte it has read.
  if (position - 1 <= from) return;
  store<u64>(record, position - 1, STREAM_KEPT);
  kept.trim(c, from);
}

/** The thread has let go of the stream. */
export function letGo(record: usize): void {
  store<u32>(record, load<u32>(record, STREAM_EVENTS) | EVENT_LET_GO, STREAM_EVENTS);
}

/** FIN goes out behind what the thread has sent, if it wants that and all of it is here. */
export function shut(c: usize, record: usize): void {
  if (!(atomic.load<u32>(record + STREAM_WISHES) & WISH_SHUT)) return;
  if (load<u32>(record, SEND_TOTAL) == load<u32>(record, STREAM_END)) setFlag(c, CLOSING);
}

function happened(c: usize, record: usize, event: u32): void {
  const events = load<u32>(record, STREAM_EVENTS);
  // Of what it has asked for, a thread need not make itself aware.
  if (event & EVENT_OPENED && !(events & EVENT_ASKED)) {
    const thread = threadAt(load<u32>(record, STREAM_THREAD));
    store<u32>(thread, load<u32>(thread, TOLD) + 1, TOLD);
    // The sweep that ends the thread may have passed the block.
    if (isEnding(load<u32>(record, STREAM_THREAD))) beginSweep();
  }
  atomic.store<u32>(record + STREAM_EVENTS, events | event);
  tell(c, record);
}
