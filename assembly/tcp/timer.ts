// A connection's timer. The block has several deadlines, and one timer on the wheel, which is set no later than the
// first of them. When a deadline moves back, the timer stays where it is: it then comes too early, and is set anew. So
// a segment hardly ever moves a timer.

import { NOW, UNREAD } from "../../abi/control";
import { Closed, Reset } from "../../abi/counters";
import { Unopened } from "../../abi/streams";
import {
  ACK_AT, BACKOFF, END_AT, HEARD_AT, KEEPALIVE_INTERVAL_S, KEEPALIVE_S, PROBES, RETRANSMIT_AT, SERVICE_STATE, SND_NXT,
  SND_UNA, State,
} from "../../abi/tcp";
import { TICK_BITS, Timer } from "../../abi/timers";
import { spare } from "../memory";
import * as timers from "../timers";
import * as wire from "../wire/tcp";
import {
  CLOSING, has, isDue, marked, PERSIST, retransmitIn, state, stopRetransmission, tick, ticksOf,
} from "./connection";
import { abort, fail, give } from "./end";
import { synAck } from "./listen";
import { syn } from "./open";
import { output, probe, segment } from "./output";
import * as recover from "./recover";
import * as rtt from "./rtt";
import * as services from "./services";

/** Probes without an answer after which the peer is given up. */
const KEEPALIVE_PROBES: u32 = 9;
/** Times that a SYN-ACK is sent again, after 1, 2, 4, 8 and 16 s. */
const SYN_ACK_RETRIES: u32 = 5;
/** The same for a SYN, and for a SYN-ACK after a simultaneous open: 255 s in all (RFC 9293, MUST-23: three minutes). */
const SYN_RETRIES: u32 = 7;
const MAX_PROBE_US: u32 = 60_000_000;
/** Seconds without any answer after which a peer whose window is closed is given up. */
const PERSIST_S: u32 = 600;
/** Window probes in a row, ten minutes at least, after which a service that has closed waits no longer for a window. */
const MAX_PROBES: u32 = 16;

/** Sets the timer, if it is not set early enough already. */
export function schedule(c: usize): void {
  let at = load<u32>(c, HEARD_AT) + patience(c);
  at = earlier(at, load<u32>(c, RETRANSMIT_AT));
  at = earlier(at, load<u32>(c, ACK_AT));
  at = earlier(at, load<u32>(c, END_AT));
  setBy(c, <u64>max(<i32>(at - tick()), 1));
}

/** Has the connection asked again what it has to send, with the next tick, when there may be room. */
export function soon(c: usize): void {
  setBy(c, 1);
}

/**
 * Sets the timer `ticks` from now, at least one, if it is not set for an earlier time. A timer that came again within
 * the tick would be found due again and again.
 */
function setBy(c: usize, ticks: u64): void {
  const due = (load<u64>(NOW) >>> TICK_BITS) + ticks << TICK_BITS;
  if (timers.isSet(c)) {
    if (timers.dueAt(c) <= due) return;
    timers.end(c);
  }
  timers.set(c, Timer.connection, due);
}

/** Returns how many ticks after the peer was last heard it is asked whether it is there. */
function patience(c: usize): u32 {
  // The tick in which it was heard had begun before.
  return ticksOf(KEEPALIVE_S + KEEPALIVE_INTERVAL_S * load<u8>(c, PROBES)) + 1;
}

function earlier(at: u32, other: u32): u32 {
  return other && <i32>(other - at) < 0 ? other : at;
}

/** The timer has come: does what is due. */
export function fire(c: usize): void {
  if (isDue(load<u32>(c, END_AT))) { abort(c, Reset.ended, Closed.reset); return; }
  if (isDue(load<u32>(c, RETRANSMIT_AT))) {
    // A worker that has slept past this time has an acknowledgement yet to read that came in time.
    if (load<u32>(UNREAD)) { soon(c); return; }
    if (!retransmit(c)) return;
  }
  const idle = tick() - load<u32>(c, HEARD_AT);
  const probes: u32 = load<u8>(c, PROBES);
  if (!marked(c, PERSIST) && idle >= patience(c)) {
    if (probes >= KEEPALIVE_PROBES) { abort(c, Reset.timed_out, Closed.timed_out); return; }
    // Something is in flight, and its timeout has been put off for as long as that.
    if (load<u32>(c, SND_UNA) != load<u32>(c, SND_NXT)) { abort(c, Reset.timed_out, Closed.timed_out); return; }
    // RFC 9293 §3.8.4, SHLD-12: a segment without data, before what is expected, has to be answered.
    if (spare()) {
      store<u8>(c, <u8>(probes + 1), PROBES);
      segment(c, load<u32>(c, SND_NXT) - 1, 0, wire.ACK, false);
    }
  }
  output(c);
}

/** RETRANSMIT_AT has come. Returns false if the connection has ended with it. */
function retransmit(c: usize): bool {
  stopRetransmission(c);
  if (state(c) == State.SYN_RECEIVED || state(c) == State.SYN_SENT) return retransmitSyn(c);
  if (marked(c, PERSIST)) return retransmitProbe(c);
  if (recover.expired(c)) return true;
  abort(c, Reset.timed_out, Closed.timed_out);
  return false;
}

function retransmitSyn(c: usize): bool {
  const times: u32 = load<u8>(c, BACKOFF);
  const asked = services.isAsked(c);
  if (times == (asked ? SYN_RETRIES : SYN_ACK_RETRIES)) {
    // A soft error tells most about the peer's silence (RFC 5461 §3).
    if (asked) fail(c, <Unopened>load<u32>(c, SERVICE_STATE) || Unopened.timed_out);
    else give(c, Closed.half_open);
    return false;
  }
  store<u8>(c, <u8>(times + 1), BACKOFF);
  if (state(c) == State.SYN_SENT) syn(c);
  else synAck(c);
  return true;
}

/**
 * RFC 9293, SHLD-30: the time between window probes doubles. A peer that answers them is kept (MUST-37), but not once
 * nobody here has more to say to it (RFC 6429; Linux does so with sockets that are orphans, tcp_probe_timer).
 */
function retransmitProbe(c: usize): bool {
  const times: u32 = load<u8>(c, PROBES);
  if (tick() - load<u32>(c, HEARD_AT) > ticksOf(PERSIST_S) || (has(c, CLOSING) && times == MAX_PROBES)) {
    abort(c, Reset.timed_out, Closed.timed_out);
    return false;
  }
  if (spare()) probe(c);
  if (!marked(c, PERSIST)) return true;
  store<u8>(c, <u8>min(times + 1, MAX_PROBES), PROBES);
  retransmitIn(c, <u32>min<u64>(<u64>rtt.timeout(c) << min(times + 1, MAX_PROBES), MAX_PROBE_US));
  return true;
}
