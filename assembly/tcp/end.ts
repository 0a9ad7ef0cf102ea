// The end of a connection: by both sides' FIN, by a reset, or by giving up.

import { ATTEMPT_FAILS, CLOSED, Closed, Counter, Reset, RESETS } from "../../abi/counters";
import { Unopened } from "../../abi/streams";
import { FIRST_PREFIX, NOBODY } from "../../abi/tables";
import {
  ADDRESSES, HALF_OPEN, OWNER, PREFIX_CONNECTIONS, SERVICE, SERVICE_STATE, SND_NXT, SOURCE_CONNECTIONS, State,
} from "../../abi/tcp";
import { add, spare } from "../memory";
import * as timers from "../timers";
import * as wire from "../wire/tcp";
import { has, setState, SIX, state } from "./connection";
import { segment } from "./output";
import * as recover from "./recover";
import * as services from "./services";
import { sourceOf } from "./source";
import * as stream from "./stream";
import { release, remove } from "./table";

/** Resets a connection. Where there is no room for the segment, what the peer sends next is reset. */
export function abort(c: usize, reason: Reset, how: Closed): void {
  // RFC 9293 §3.10.5: the peer knows of nothing.
  if (state(c) == State.SYN_SENT) { fail(c, Unopened.ended); return; }
  if (spare()) {
    segment(c, load<u32>(c, SND_NXT), 0, wire.RST | wire.ACK, false);
    add(RESETS + reason, 1);
  }
  give(c, how);
}

/** Ends a connection that was asked for and is not established. */
export function fail(c: usize, why: Unopened): void {
  store<u32>(c, why, SERVICE_STATE);
  give(c, Closed.half_open);
}

/** Ends a connection, and gives back all that it has. */
export function give(c: usize, how: Closed): void {
  add(CLOSED + how, 1);
  settle(c);
  remove(c);
  timers.end(c);
  recover.end(c);
  // The limit of a source is about what comes from outside.
  if (!services.isAsked(c)) count(SOURCE_CONNECTIONS + (sourceOf(c + ADDRESSES, has(c, SIX)) << 2), -1);
  else if (services.unopened(c)) add(ATTEMPT_FAILS + services.unopened(c), 1);
  own(c, NOBODY);
  setState(c, State.CLOSED);
  // A service thread may still read what has come.
  if (!services.ended(c, how)) releaseHeld(c);
}

/** Gives back what is left of a connection that is over: its pages, its block, and its use of the service. */
export function releaseHeld(c: usize): void {
  stream.drop(c);
  services.use(load<u32>(c, SERVICE), -1);
  release(c);
}

/** Gives the connection another owner: a prefix, or NOBODY. */
export function own(c: usize, owner: i32): void {
  const last = load<i32>(c, OWNER);
  if (last >= FIRST_PREFIX) count(PREFIX_CONNECTIONS + (<u32>(last - FIRST_PREFIX) << 2), -1);
  if (owner >= FIRST_PREFIX) count(PREFIX_CONNECTIONS + (<u32>(owner - FIRST_PREFIX) << 2), 1);
  store<i32>(c, owner, OWNER);
}

/** The connection is not half-open any more, if it was. */
export function settle(c: usize): void {
  if (state(c) != State.SYN_RECEIVED) return;
  setState(c, State.ESTABLISHED);
  count(HALF_OPEN, -1);
  add(Counter.tcpHalfOpen, -1);
}

/** Adds to a word that counts. */
export function count(word: usize, change: i32): void {
  store<u32>(word, load<u32>(word) + change);
}
