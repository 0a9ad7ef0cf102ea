// The sweep: looks through all connections, some at a time, when there is another table, connections are to end, or a
// service thread has ended.
//
// A connection whose local address has another prefix now goes on as that one's, with the service that it has. If
// the address is nobody's any more, or if pongd is about to stop, the connection is closed: FIN goes out behind what
// there is to send, and what is not over after a while is reset.

import { Closed, Reset } from "../../abi/counters";
import { Unopened } from "../../abi/streams";
import { ANSWER_TCP, FIRST_PREFIX, NOBODY } from "../../abi/tables";
import {
  ADDRESSES, CONNECTION_SIZE, CONNECTIONS, CONNECTIONS_TOUCHED, DRAIN, Drain, OWNER, State, SWEEP_TIMER, SWEPT,
  SWEPT_FOR,
} from "../../abi/tcp";
import { NOW } from "../../abi/control";
import { TICK_NS, Timer } from "../../abi/timers";
import { spare } from "../memory";
import { answersOf, owner, owner6, table } from "../prefix";
import { endThreads } from "../stream/thread";
import * as timers from "../timers";
import { endIn, has, SIX, state } from "./connection";
import { abort, fail, own } from "./end";
import { output } from "./output";
import * as services from "./services";

/** Connections that a round looks at. */
const AT_ONCE: u32 = 1024;
/** Microseconds that a connection has to end whose address is nobody's any more. */
const GONE_US: u32 = 5_000_000;

/** Begins to look through all connections, from the next round on. */
export function beginSweep(): void {
  store<u32>(SWEPT_FOR, load<u32>(DRAIN));
  store<u32>(SWEPT, 0);
  if (!load<u32>(CONNECTIONS_TOUCHED)) endThreads();
  else if (!timers.isSet(SWEEP_TIMER)) again();
}

/** Looks at the next connections, as far as there is room for what they send. */
export function sweep(): void {
  const touched = load<u32>(CONNECTIONS_TOUCHED);
  let at = load<u32>(SWEPT);
  for (let count: u32 = 0; count < AT_ONCE && at < touched && spare(); count++) {
    const c = <usize>load<u32>(CONNECTIONS) + <usize>at * CONNECTION_SIZE;
    at++;
    if (services.isOrphan(c)) services.reset(c);
    else if (state(c) != State.CLOSED) look(c);
  }
  store<u32>(SWEPT, at);
  if (at < touched) again();
  else endThreads();
}

function again(): void {
  timers.set(SWEEP_TIMER, Timer.sweep, load<u64>(NOW) + TICK_NS);
}

function look(c: usize): void {
  const drain = load<u32>(SWEPT_FOR);
  if (drain == Drain.reset) { abort(c, Reset.ended, Closed.reset); return; }
  const six = has(c, SIX);
  const now = six ? owner6(table(), c + ADDRESSES + 16) : owner(table(), c + ADDRESSES + 4);
  // What was opened from here needs no port that answers.
  const served = now >= FIRST_PREFIX && (services.isAsked(c) || (answersOf(table(), now) & ANSWER_TCP) != 0);
  if (now != load<i32>(c, OWNER)) own(c, served ? now : NOBODY);
  if (served && drain == Drain.none) return;
  if (state(c) == State.SYN_RECEIVED || state(c) == State.SYN_SENT) { fail(c, Unopened.ended); return; }
  services.close(c);
  if (!served) endIn(c, GONE_US);
  output(c);
}
