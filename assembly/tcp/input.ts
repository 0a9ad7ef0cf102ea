// Segments that belong to a connection, RFC 9293 §3.10.7.4 and RFC 5961, in the order that the RFC has: sequence
// number, RST, SYN, ACK, window, payload, FIN. What there is to send in return leaves when the batch is judged
// (output.ts).

import { Closed, Counter, Drop, Reset } from "../../abi/counters";
import { Unopened } from "../../abi/streams";
import {
  BACKOFF, CHALLENGED_AT, LAST_ACK_SENT, MAX_WND, PROBES, RCV_EDGE, RCV_NXT, SENT_AT, SND_NXT, SND_SCALE, SND_UNA,
  SND_WL1, SND_WND, State, TS_RECENT, TS_RECENT_AGE,
} from "../../abi/tcp";
import { add } from "../memory";
import { DONE, drop } from "../verdict";
import * as wire from "../wire/tcp";
import {
  ACK_NOW, after, before, ECHO_CONGESTION, ECN, endIn, FIN_SENT, has, heard, mark, marked, micros, PERSIST,
  seconds, setState, state, stopRetransmission, tick, ticksOf, TIMESTAMPS, unmark,
} from "./connection";
import { fail, give, settle } from "./end";
import { refuse, synAck } from "./listen";
import { synSent } from "./open";
import { isProbes, probeTaken, touch, unpersist } from "./output";
import { receive } from "./receive";
import * as recover from "./recover";
import * as segment from "./segment";
import * as services from "./services";
import { enter } from "./timewait";

/** RFC 7323 §5.5: timestamps of a connection that was idle for longer than this may have wrapped. */
const PAWS_S: u32 = 24 * 86_400;
/**
 * Microseconds for which FIN of the peer is waited for, once it has acknowledged this side's (Linux's tcp_fin_timeout).
 */
const FIN_WAIT_US: u32 = 60_000_000;

/** Judges the segment at `s` of the packet at `ip`, whose TCP header is at `tcp`. */
export function arrive(packet: usize, ip: usize, tcp: usize, c: usize, s: usize): i32 {
  if (state(c) == State.SYN_SENT) return synSent(packet, ip, tcp, c, s);
  if (state(c) == State.SYN_RECEIVED) cross(c, s);
  const bits = segment.flags(s);
  const verdict = acceptable(c, s);
  if (verdict == DONE || isKeepalive(c, s)) {
    heard(c);
    if (!marked(c, PERSIST)) store<u8>(c, 0, PROBES);
  }
  if (verdict != DONE) return verdict;

  if (bits & wire.RST) {
    // RFC 5961 §3.2: only an exact one resets, so that nobody can guess one.
    if (segment.seq(s) != load<u32>(c, RCV_NXT)) return challenge(c, Drop.tcp_invalid_sequence);
    if (state(c) != State.SYN_RECEIVED) give(c, Closed.reset_by_peer);
    else fail(c, Unopened.refused);
    return taken();
  }
  // RFC 5961 §4.2.
  if (bits & wire.SYN) return challenge(c, Drop.tcp_flags);
  if (!(bits & wire.ACK)) return drop(Drop.tcp_flags);
  if (state(c) == State.SYN_RECEIVED) {
    if (segment.ack(s) != load<u32>(c, SND_NXT)) return refuse(packet, ip, tcp, s, Reset.no_connection);
    establish(c, s);
  }
  if (!acknowledge(c, s)) return challenge(c, Drop.tcp_invalid_ack_sequence);
  if (state(c) == State.CLOSED) return taken();
  updateTimestamp(c, s);
  take(c, s);
  touch(c);
  return taken();
}

/**
 * After a simultaneous open, the peer's SYN-ACK has its SYN again, which is before what is expected, and the ACK that
 * is waited for (RFC 9293 §3.5, figure 8). Our own may be lost, so that the peer gets an ACK by itself.
 */
function cross(c: usize, s: usize): void {
  if ((segment.flags(s) & (wire.SYN | wire.ACK | wire.RST | wire.FIN)) != (wire.SYN | wire.ACK)) return;
  if (segment.seq(s) + 1 != load<u32>(c, RCV_NXT) || segment.ack(s) != load<u32>(c, SND_NXT)) return;
  if (!services.isAsked(c)) return;
  segment.dropSyn(s, load<u8>(c, SND_SCALE));
  mark(c, ACK_NOW);
}

/** Counts a segment that TCP has taken, which is its verdict. */
function taken(): i32 {
  add(Counter.tcpReceived, 1);
  return DONE;
}

// ---- what is acceptable ---------------------------------------------------------------------------------------------

/** Returns DONE if a segment is acceptable. Otherwise it is dropped, and the peer told what is expected. */
function acceptable(c: usize, s: usize): i32 {
  const bits = segment.flags(s);
  const next = load<u32>(c, RCV_NXT);
  if (has(c, TIMESTAMPS) && segment.hasOption(s, segment.HAS_TIMESTAMPS)) {
    // RFC 7323 §5.3 R1. A reset is judged by its sequence number alone (§5.2).
    const late = before(segment.tsval(s), load<u32>(c, TS_RECENT)) && seconds() - load<u32>(c, TS_RECENT_AGE) < PAWS_S;
    if (late && !(bits & wire.RST)) return challenge(c, Drop.tcp_rfc7323_paws);
  }
  const span = segment.span(s);
  const end = segment.seq(s) + span;
  if (before(end, next) || (span && end == next)) {
    // The peer has not got the SYN-ACK, or an acknowledgement. Data that came already is acknowledged again at once.
    if (bits & wire.RST) return drop(Drop.tcp_invalid_sequence);
    if (!span) return challenge(c, Drop.tcp_invalid_sequence);
    // Anybody can forge one, so that it is answered as seldom as one in the window (RFC 5961 §4.2, §7).
    if (bits & wire.SYN) return challenge(c, Drop.tcp_old_data);
    mark(c, ACK_NOW);
    touch(c);
    return drop(Drop.tcp_old_data);
  }
  // RFC 9293 §3.10.7.4, MUST-66: with a window of zero, what begins at its edge is looked at but for its data.
  if (after(segment.seq(s), load<u32>(c, RCV_EDGE))) {
    return bits & wire.RST ? drop(Drop.tcp_invalid_sequence) : challenge(c, Drop.tcp_overwindow);
  }
  return DONE;
}

/**
 * Returns whether a segment asks whether this side is there (RFC 9293 §3.8.4): it begins before what is expected, with
 * a byte or none. It is answered for its sequence number. Then nobody has to ask the peer (MUST-26).
 */
function isKeepalive(c: usize, s: usize): bool {
  return (segment.flags(s) & (wire.SYN | wire.FIN | wire.RST | wire.ACK)) == wire.ACK && segment.len(s) <= 1
    && segment.seq(s) + 1 == load<u32>(c, RCV_NXT);
}

/** RFC 7323 §4.3 (2): what is echoed is the timestamp of the segment that is acknowledged next. */
function updateTimestamp(c: usize, s: usize): void {
  if (!has(c, TIMESTAMPS) || !segment.hasOption(s, segment.HAS_TIMESTAMPS)) return;
  if (after(segment.seq(s), load<u32>(c, LAST_ACK_SENT))) return;
  store<u32>(c, segment.tsval(s), TS_RECENT);
  store<u32>(c, seconds(), TS_RECENT_AGE);
}

/**
 * Drops a segment, and tells the peer what is expected, at most twice a second for each connection (RFC 5961 §7; not by
 * a count for all, see CVE-2016-5696).
 */
function challenge(c: usize, why: Drop): i32 {
  const last = load<u32>(c, CHALLENGED_AT);
  if (last && tick() - last < ticksOf(1) >>> 1) return drop(why);
  store<u32>(c, tick() || 1, CHALLENGED_AT);
  if (state(c) == State.SYN_RECEIVED) {
    synAck(c);
    return drop(why);
  }
  mark(c, ACK_NOW);
  touch(c);
  return drop(why);
}

// ---- ACK ------------------------------------------------------------------------------------------------------------

/** The handshake is complete. */
function establish(c: usize, s: usize): void {
  settle(c);
  const again = load<u8>(c, BACKOFF) != 0;
  stopRetransmission(c);
  store<u32>(c, 0, CHALLENGED_AT);
  store<u32>(c, load<u32>(c, SND_NXT), SND_UNA);
  setWindow(c, s);
  recover.begin(c, again ? 0 : max(micros() - load<u32>(c, SENT_AT), 1));
  services.open(c);
}

/** Takes in what a segment acknowledges. Returns false if that cannot be (RFC 5961 §5.2). */
function acknowledge(c: usize, s: usize): bool {
  const ack = segment.ack(s);
  if (isProbes(c, ack)) probeTaken(c);
  if (after(ack, load<u32>(c, SND_NXT)) || before(ack, load<u32>(c, SND_UNA) - load<u32>(c, MAX_WND))) return false;
  // RFC 9293 §3.10.7.4: a segment that is older than the one which the window is from does not change it. One that
  // acknowledges more does: the window counts from there on, and the one before would reach too far.
  const una = load<u32>(c, SND_UNA);
  const news = after(ack, una) || (ack == una && !before(segment.seq(s), load<u32>(c, SND_WL1)));
  const inFlight = load<u32>(c, SND_UNA) != load<u32>(c, SND_NXT);
  if (inFlight) recover.acknowledge(c, s, news && windowOf(c, s) != load<u32>(c, SND_WND));
  if (news) setWindow(c, s);
  if (marked(c, PERSIST) && (inFlight || load<u32>(c, SND_WND))) unpersist(c);
  if (has(c, FIN_SENT) && load<u32>(c, SND_UNA) == load<u32>(c, SND_NXT)) finAcknowledged(c);
  return true;
}

function windowOf(c: usize, s: usize): u32 {
  return segment.window(s) << load<u8>(c, SND_SCALE);
}

function setWindow(c: usize, s: usize): void {
  const window = windowOf(c, s);
  store<u32>(c, window, SND_WND);
  store<u32>(c, segment.seq(s), SND_WL1);
  if (window > load<u32>(c, MAX_WND)) store<u32>(c, window, MAX_WND);
}

/** The peer has got this side's FIN, and with it everything. */
function finAcknowledged(c: usize): void {
  switch (state(c)) {
    case State.FIN_WAIT_1:
      setState(c, State.FIN_WAIT_2);
      endIn(c, FIN_WAIT_US);
      return;
    case State.CLOSING:
      end(c);
      return;
    case State.LAST_ACK:
      give(c, Closed.closed);
      return;
    default:
  }
}

/** Both sides have closed, this one first: the connection goes over to TIME-WAIT. */
export function end(c: usize): void {
  give(c, Closed.closed);
  enter(c);
}

// ---- payload and FIN ------------------------------------------------------------------------------------------------

/** Takes the segment's payload and FIN, as far as they are new and within the window. */
export function take(c: usize, s: usize): void {
  if (has(c, ECN)) noteCongestion(c, s);
  if (!segment.span(s)) return;
  const next = load<u32>(c, RCV_NXT);
  if (isClosed(c)) {
    // Nothing comes behind the peer's FIN but the FIN again.
    mark(c, ACK_NOW);
    return;
  }
  if (before(segment.seq(s), next)) {
    mark(c, ACK_NOW);
    segment.skip(s, next - segment.seq(s));
  }
  const room = load<u32>(c, RCV_EDGE) - segment.seq(s);
  if (segment.len(s) > room) {
    mark(c, ACK_NOW);
    segment.cut(s, room);
  }
  if (!receive(c, s) || !(segment.flags(s) & wire.FIN)) return;
  // FIN has no data, so that it is taken however small the window is: nobody has to keep a connection for it.
  finish(c);
}

/** Returns whether the peer has closed its side. */
function isClosed(c: usize): bool {
  switch (state(c)) {
    case State.CLOSE_WAIT: case State.LAST_ACK: case State.CLOSING: case State.TIME_WAIT: return true;
    default: return false;
  }
}

/** The peer has closed its side. */
function finish(c: usize): void {
  store<u32>(c, load<u32>(c, RCV_NXT) + 1, RCV_NXT);
  mark(c, ACK_NOW);
  services.finish(c);
  switch (state(c)) {
    case State.ESTABLISHED:
      setState(c, State.CLOSE_WAIT);
      return;
    case State.FIN_WAIT_1:
      setState(c, State.CLOSING);
      return;
    default: // FIN-WAIT-2
      // Until the acknowledgement has been sent.
      setState(c, State.TIME_WAIT);
  }
}

/** RFC 3168 §6.1.3: a mark is echoed until the peer says that it has slowed down. */
function noteCongestion(c: usize, s: usize): void {
  if (segment.flags(s) & wire.CWR) unmark(c, ECHO_CONGESTION);
  if (segment.congested(s)) {
    mark(c, ECHO_CONGESTION);
    mark(c, ACK_NOW);
  }
}
