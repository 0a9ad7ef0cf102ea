// Loss recovery: says what is sent, and sent again, when. An ACK goes through acknowledge() in these steps:
//
//  1. What it delivers is taken off the flight (flight.ts): its number, then its SACK blocks (evidence.ts); D-SACKs are
//     noted.
//  2. It is a sample of the round-trip time (evidence.ts, rtt.ts).
//  3. It may show that a recovery, or a probe, was not needed (undo.ts, probe.ts).
//  4. What it shows to be lost is marked (losses.ts): by time (rack.ts), or without SACK by duplicates (RFC 6582).
//  5. A recovery ends or begins, and the congestion window follows (steer.ts).
//  6. The timer is set: for a probe, for the end of the reordering window, or for the timeout (RFC 6298 §5).
//
// Most connections never lose anything: what is in flight was sent at once, and its ACK takes acknowledgeAll(), which
// touches the control block alone. Where no page is to be had, starved.ts does what is needed most.

import { Counter } from "../../abi/counters";
import {
  ACKED, CWND, DUP_ACKS, FLIGHT, HEARD_AT, RETRANSMIT_AT, SENT_AT, SND_END, SND_NXT, SND_UNA, SND_WND,
} from "../../abi/tcp";
import { add } from "../memory";
import * as wire from "../wire/tcp";
import {
  after, CWR_DUE, ECN, FIN_SENT, has, LOSS, mark, marked, micros, PERSIST, PROBED, RECOVERY, retransmitIn, SACK,
  stopRetransmission, TAIL_PROBE, tick, ticksOf, TIMESTAMPS, unmark,
} from "./connection";
import * as congestion from "./congestion";
import * as evidence from "./evidence";
import * as fields from "./fields";
import * as flight from "./flight";
import * as losses from "./losses";
import * as probe from "./probe";
import * as rack from "./rack";
import * as rtt from "./rtt";
import { forgetSacks } from "./runs";
import * as segments from "./segment";
import { acknowledged } from "./services";
import * as starved from "./starved";
import { reduceForEcn, steer } from "./steer";
import * as undo from "./undo";

/** In s: a peer with a closed window that was heard since then is not given up. */
const SILENCE: u32 = 120;

/**
 * A connection is established. `us` is a sample of the round-trip time in µs, 0 for none. BACKOFF still says how often
 * the SYN-ACK was sent again.
 */
export function begin(c: usize, us: u32): void {
  congestion.begin(c);
  rtt.begin(c, rtt.timeouts(c) != 0);
  if (us) rtt.sample(c, us, 1);
  store<u8>(c, 0, DUP_ACKS);
  store<u32>(c, micros(), SENT_AT);
  store<u32>(c, 0, FLIGHT);
  unmark(c, RECOVERY | LOSS | TAIL_PROBE | PROBED | CWR_DUE);
  stopRetransmission(c);
}

/** The connection ends: gives back its page. */
export function end(c: usize): void {
  flight.close(c);
}

// ---- an ACK ---------------------------------------------------------------------------------------------------------

/**
 * An acceptable ACK has come, whose window has not been taken yet; `windowChanged` says whether it is another. Moves
 * SND_UNA and ACKED, and sets or stops the timer.
 */
export function acknowledge(c: usize, segment: usize, windowChanged: bool): void {
  const una = load<u32>(c, SND_UNA);
  const ack = segments.ack(segment);
  const advance = after(ack, una) ? ack - una : 0;
  const out = load<u32>(c, SND_NXT) - una;
  if (!out) return;
  const flags = segments.flags(segment);
  const ece = has(c, ECN) && (flags & wire.ECE) != 0;
  const dup = ack == una && !windowChanged && segments.span(segment) == 0;
  const sacks = has(c, SACK) && segments.sacks(segment) != 0;
  if (load<u32>(c, FLIGHT)) return acknowledgeRuns(c, segment, advance, dup, ece);
  if (!advance && !sacks && !dup && !ece) return;
  // A single ACK for all needs no page, however little it could say otherwise.
  if (advance == out || (!sacks && !dup && !ece) || !flight.open(c, load<u32>(c, SND_NXT))) {
    return acknowledgeAll(c, advance, out, dup || sacks, ece);
  }
  acknowledgeRuns(c, segment, advance, dup, ece);
}

/** An ACK for a connection without a page. */
function acknowledgeAll(c: usize, advance: u32, out: u32, dup: bool, ece: bool): void {
  if (advance) {
    // What was sent last was sent at SENT_AT. A window probe was sent earlier than it seems.
    if (advance == out && !marked(c, RECOVERY | LOSS | PERSIST)) rtt.sample(c, micros() - load<u32>(c, SENT_AT), 1);
    moveUna(c, advance);
  }
  if (ece && !marked(c, CWR_DUE | RECOVERY | LOSS)) reduceForEcn(c, 0);
  else if (advance || dup) starved.acknowledge(c, advance, out);
  if (advance) setTimer(c, 0, 0);
}

/** Notes that `advance` more is acknowledged. */
function moveUna(c: usize, advance: u32): void {
  const una = load<u32>(c, SND_UNA) + advance;
  const bytes = advance - (has(c, FIN_SENT) && after(una, load<u32>(c, SND_END)) ? 1 : 0);
  const from = load<u64>(c, ACKED);
  store<u32>(c, una, SND_UNA);
  store<u64>(c, from + bytes, ACKED);
  add(Counter.tcpBytesSent, bytes);
  acknowledged(c, from);
  rtt.progress(c);
}

/** An ACK for a connection with a page. */
function acknowledgeRuns(c: usize, segment: usize, advance: u32, dup: bool, ece: bool): void {
  const f: usize = load<u32>(c, FLIGHT);
  const now = micros();
  const ack = segments.ack(segment);
  flight.begin(f, segments.tsecr(segment), has(c, TIMESTAMPS) && segments.hasOption(segment, segments.HAS_TIMESTAMPS));
  if (advance) {
    flight.acknowledge(c, f, ack, now);
    moveUna(c, advance);
  }
  let dsack: bool = false;
  if (has(c, SACK)) dsack = evidence.takeBlocks(c, f, segment, now);
  else evidence.countDuplicates(c, f, advance, dup);
  evidence.takeSample(c, f, advance, now);
  if (advance) undo.noteAck(c, f, ack);
  probe.judge(c, f, ack, advance, dsack);
  let timeout: u32 = 0;
  if (has(c, SACK)) timeout = losses.detect(c, f, rack.reorderWindow(c, f), now);
  steer(c, f, advance, ece);
  const stale = load<u32>(f, fields.REORDER_TIMER) || (marked(c, TAIL_PROBE) && !probe.allowed(c));
  if (advance || timeout || stale) setTimer(c, f, timeout);
  if (load<u32>(c, SND_UNA) == load<u32>(c, SND_NXT)) flight.close(c);
}

// ---- sending --------------------------------------------------------------------------------------------------------

/** Returns how many bytes of new data congestion control lets out now. The peer's window may allow fewer. */
export function allowance(c: usize): u32 {
  const out = load<u32>(c, SND_NXT) - load<u32>(c, SND_UNA);
  if (!out && micros() - load<u32>(c, SENT_AT) > rtt.timeout(c)) congestion.restart(c);
  const f: usize = load<u32>(c, FLIGHT);
  const mss = flight.segmentLen(c);
  if (f && probe.isNew(f)) return mss;
  // What is lost goes first.
  if (f && load<u32>(f, fields.LOST)) return 0;
  const window = load<u32>(c, CWND) + (f ? 0 : starved.limitedTransmit(c));
  const pipe = flight.pipe(c);
  if (window <= pipe) return 0;
  const room = window - pipe;
  // No small segment only because the window ends within it.
  if (room >= load<u32>(c, SND_END) - load<u32>(c, SND_NXT)) return room;
  return room < mss ? pipe ? 0 : room : room - room % mss;
}

/**
 * Returns the range to be sent again now: its sequence number in the upper half, its bytes, `most` at most, in the
 * lower; 0 for none. FIN counts as a byte.
 */
export function lost(c: usize, most: u32): u64 {
  if (load<u32>(c, SND_UNA) == load<u32>(c, SND_NXT)) return 0;
  const f: usize = load<u32>(c, FLIGHT);
  if (!f) return starved.lost(c, most);
  const first = losses.firstLost(c, f);
  if (!first) return probe.range(c, f, most);
  const mss = flight.segmentLen(c);
  const pipe = flight.pipe(c);
  const window = load<u32>(c, CWND);
  const room = window - min(window, pipe);
  let len = min(<u32>first, most);
  if (room < min(len, mss)) return 0;
  if (len > room) len = max(room - room % mss, min(len, mss));
  return first & ~0xffff_ffff | len;
}

/** [seq, end) was sent now, for the first time or `again`. FIN counts as a byte. Sets the timer. */
export function sent(c: usize, seq: u32, end: u32, again: bool): void {
  const now = micros();
  const una = load<u32>(c, SND_UNA);
  const nxt = load<u32>(c, SND_NXT);
  // What follows soon is part of the first burst. SND_NXT may have moved already, or not.
  const sameBurst = !again && seq != una && now - load<u32>(c, SENT_AT) <= rtt.smoothed(c) >>> 7;
  let f: usize = load<u32>(c, FLIGHT);
  if (again || (!f && seq != una && !sameBurst)) f = flight.open(c, again ? nxt : seq);
  if (!f && again) {
    starved.sentAgain(c);
  } else if (f && again) {
    flight.appendAgain(c, f, seq, end, now);
    undo.noteAgain(f, seq, end);
  } else if (f) {
    flight.append(c, f, end, now);
  }
  const last = after(end, nxt) ? end : nxt;
  if (f) {
    flight.notePeak(c, f, last);
    probe.sent(f, last);
    if (marked(c, RECOVERY)) store<u32>(f, load<u32>(f, fields.PRR_OUT) + (end - seq), fields.PRR_OUT);
  }
  if (f || !sameBurst) store<u32>(c, now, SENT_AT);
  if (marked(c, PERSIST)) return;
  // RFC 6298 §5.1; and what is sent again first, or a probe for what is new, has its whole time.
  if (!load<u32>(c, RETRANSMIT_AT) || (again && seq == una) || marked(c, TAIL_PROBE)) startTimer(c, last - una);
}

/** The path carries only smaller segments, and MSS says so: larger ones are lost, which is no congestion (RFC 8201). */
export function narrower(c: usize): void {
  const una = load<u32>(c, SND_UNA);
  const nxt = load<u32>(c, SND_NXT);
  if (nxt == una) return;
  const f = flight.open(c, nxt);
  if (f) losses.loseAll(c, f, 0, flight.segmentLen(c), micros());
  else starved.sendAgain(c);
}

// ---- the timer ------------------------------------------------------------------------------------------------------

/** Sets the timer after an ACK. `timeout` µs are left of the reordering window, 0 if nothing waits for its end. */
function setTimer(c: usize, f: usize, timeout: u32): void {
  const out = load<u32>(c, SND_NXT) - load<u32>(c, SND_UNA);
  if (f) store<u32>(f, 0, fields.REORDER_TIMER);
  if (marked(c, PERSIST)) return;
  if (!out) {
    unmark(c, TAIL_PROBE);
    stopRetransmission(c);
  } else if (timeout && timeout < rtt.timeout(c)) {
    unmark(c, TAIL_PROBE);
    store<u32>(f, 1, fields.REORDER_TIMER);
    retransmitIn(c, timeout);
  } else {
    startTimer(c, out);
  }
}

/** Starts the timer anew, `out` bytes being in flight. */
function startTimer(c: usize, out: u32): void {
  if (probe.allowed(c)) {
    mark(c, TAIL_PROBE);
    retransmitIn(c, probe.delay(c, out));
  } else {
    unmark(c, TAIL_PROBE);
    retransmitIn(c, rtt.timeout(c));
  }
}

/** RETRANSMIT_AT has come. Returns whether there is hope: if not, the peer is gone. */
export function expired(c: usize): bool {
  const nxt = load<u32>(c, SND_NXT);
  if (nxt == load<u32>(c, SND_UNA)) {
    stopRetransmission(c);
    return true;
  }
  const f: usize = load<u32>(c, FLIGHT);
  if (marked(c, TAIL_PROBE)) {
    const probed = flight.open(c, nxt);
    if (probed && probe.allowed(c)) probe.fire(c, probed);
    unmark(c, TAIL_PROBE);
    retransmitIn(c, rtt.timeout(c));
    return true;
  }
  if (f && load<u32>(f, fields.REORDER_TIMER)) {
    flight.begin(f, 0, false);
    const timeout = losses.detect(c, f, rack.reorderWindow(c, f), micros());
    steer(c, f, 0, false);
    setTimer(c, f, timeout);
    return true;
  }
  if (rtt.hopeless(c) && !isShut(c)) return false;
  timeOut(c);
  return true;
}

/** Returns whether the peer has closed its window over what is in flight, and is there (RFC 9293, SHLD-17). */
function isShut(c: usize): bool {
  return load<u32>(c, SND_WND) == 0 && tick() - load<u32>(c, HEARD_AT) < ticksOf(SILENCE);
}

/** RFC 6298 §5.4 to §5.6; RFC 5681 §3.1; RFC 8985 §6.3. */
function timeOut(c: usize): void {
  const nxt = load<u32>(c, SND_NXT);
  const f = flight.open(c, nxt);
  store<u8>(c, f ? 0 : load<u8>(c, DUP_ACKS), DUP_ACKS);
  if (!f) {
    starved.expire(c);
  } else {
    // The threshold is kept while the same data is sent again and again, or was reduced for it already.
    const goesOn = marked(c, RECOVERY) || (marked(c, LOSS) && rtt.timeouts(c) != 0);
    if (goesOn) {
      undo.renew(f);
    } else {
      undo.begin(c, f);
      congestion.reduce(c, f);
    }
    congestion.forgetMax(c);
    if (has(c, ECN)) mark(c, CWR_DUE);
    unmark(c, RECOVERY | PROBED);
    mark(c, LOSS);
    store<u32>(f, nxt, fields.POINT);
    store<u32>(f, nxt, fields.REDUCED_UNTIL);
    store<u32>(f, 0, fields.PROBE_DUE);
    if (!has(c, SACK) || losses.reneged(f)) forgetSacks(f, micros());
    // What was sent a moment ago may well arrive.
    const rackRtt = load<u32>(f, fields.RACK_RTT);
    losses.loseAll(c, f, rackRtt ? rackRtt + rack.reorderWindow(c, f) : 0, 0, micros());
    store<u32>(c, flight.pipe(c) + flight.segmentLen(c), CWND);
  }
  rtt.backOff(c);
  retransmitIn(c, rtt.timeout(c));
}
