// Loss recovery: says what is sent, and sent again, when. An ACK goes through acknowledge() in these steps:
//
//  1. What it delivers is taken off the flight (flight.ts): its number, then its SACK blocks; D-SACKs are noted.
//  2. It is a sample of the round-trip time (rtt.ts).
//  3. It may show that a recovery, or a probe, was not needed (undo.ts, probe.ts).
//  4. What it shows to be lost is marked: by time (rack.ts), or without SACK by duplicates (RFC 6582).
//  5. A recovery ends or begins, and the congestion window follows: proportional rate reduction in recovery (RFC 9937),
//     growth else (congestion.ts).
//  6. The timer is set: for a probe, for the end of the reordering window, or for the timeout (RFC 6298 §5).
//
// Most connections never lose anything: what is in flight was sent at once, and its ACK takes acknowledgeAll(), which
// touches the control block alone. Where no page is to be had, starved.ts does what is needed most.

import { Counter } from "../../abi/counters";
import {
  ACKED, CWND, DUP_ACKS, FLIGHT, HEARD_AT, MSS, RETRANSMIT_AT, SENT_AT, SND_END, SND_NXT, SND_UNA, SND_WND, SSTHRESH,
} from "../../abi/tcp";
import { add } from "../memory";
import * as wire from "../wire/tcp";
import {
  after, before, CWR_DUE, ECN, FIN_SENT, has, LOSS, mark, marked, micros, PERSIST, PROBED, RECOVERY, retransmitIn, SACK,
  stopRetransmission, TAIL_PROBE, tick, ticksOf, TIMESTAMPS, unmark,
} from "./connection";
import * as congestion from "./congestion";
import * as fields from "./fields";
import * as flight from "./flight";
import * as probe from "./probe";
import * as rack from "./rack";
import * as rtt from "./rtt";
import * as segments from "./segment";
import { acknowledged } from "./services";
import * as starved from "./starved";
import * as undo from "./undo";

/** RFC 5681 §3.2: duplicate ACKs that show a loss. */
const DUP_THRESHOLD: u32 = 3;
/** In ms: an echoed timestamp that is older is no sample. */
const MAX_ECHO: u32 = 120_000;
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
  if (has(c, SACK)) dsack = takeBlocks(c, f, segment, now);
  else countDuplicates(c, f, advance, dup);
  takeSample(c, f, advance, now);
  if (advance) undo.noteAck(c, f, ack);
  probe.judge(c, f, ack, advance, dsack);
  let timeout: u32 = 0;
  if (has(c, SACK)) timeout = flight.detect(c, f, rack.reorderWindow(c, f), now);
  steer(c, f, advance, ece);
  const stale = load<u32>(f, fields.REORDER_TIMER) || (marked(c, TAIL_PROBE) && !probe.allowed(c));
  if (advance || timeout || stale) setTimer(c, f, timeout);
  if (load<u32>(c, SND_UNA) == load<u32>(c, SND_NXT)) flight.close(c);
}

/** Takes the SACK blocks (RFC 2018), of which the first may be a D-SACK (RFC 2883). Returns whether it is. */
function takeBlocks(c: usize, f: usize, segment: usize, now: u32): bool {
  const count = segments.sacks(segment);
  const una = load<u32>(c, SND_UNA);
  const nxt = load<u32>(c, SND_NXT);
  const ack = segments.ack(segment);
  let dsack = false;
  for (let i: u32 = 0; i < count; i++) {
    const first = segments.sackFirst(segment, i);
    const end = segments.sackEnd(segment, i);
    if (!after(end, first) || after(end, nxt)) continue;
    if (i == 0 && (before(first, ack) || (count > 1 && within(segment, 1, first, end)))) {
      dsack = true;
      // A duplicate made on the path tells nothing.
      if (!undo.covers(f, first, end)) continue;
      rack.widen(f, una, nxt);
      undo.noteDsack(c, f, first, end);
      continue;
    }
    if (before(first, una)) continue;
    flight.sack(c, f, first, end, now);
  }
  return dsack;
}

/** Returns whether [first, end) lies in a SACK block. */
function within(segment: usize, index: u32, first: u32, end: u32): bool {
  return !before(first, segments.sackFirst(segment, index)) && !after(end, segments.sackEnd(segment, index));
}

/**
 * Without SACK, each duplicate ACK stands for a segment that has arrived, and an ACK for the first one and as many of
 * those as it covers. In recovery it uncovers the next one that is missing (RFC 6582 §3.2).
 */
function countDuplicates(c: usize, f: usize, advance: u32, dup: bool): void {
  const mss = flight.segmentLen(c);
  const held = load<u32>(f, fields.SACKED);
  const una = load<u32>(c, SND_UNA);
  if (advance) {
    store<u8>(c, 0, DUP_ACKS);
    const counted = min(held, advance - min(advance, mss));
    const delivered = load<u32>(f, fields.DELIVERED);
    store<u32>(f, delivered - min(counted, delivered), fields.DELIVERED);
    store<u32>(f, before(una, load<u32>(f, fields.POINT)) ? held - counted : 0, fields.SACKED);
    if (marked(c, RECOVERY) && before(una, load<u32>(f, fields.POINT))) flight.loseFirst(c, f, mss, micros());
  } else if (dup && !marked(c, LOSS)) {
    store<u32>(f, held + mss, fields.SACKED);
    const dups: u32 = min<u32>(load<u8>(c, DUP_ACKS) + 1, 254);
    store<u8>(c, <u8>dups, DUP_ACKS);
    // RFC 6582 §3.2, step 1: duplicates of what was sent again in the last recovery begin no other one.
    const begins = dups == DUP_THRESHOLD && !marked(c, RECOVERY) && after(una, load<u32>(f, fields.POINT));
    if (begins) flight.loseFirst(c, f, mss, micros());
  }
  // Whatever a peer pretends, no more has arrived than was sent, and neither the first segment nor what is lost.
  const rest = load<u32>(c, SND_NXT) - una - load<u32>(f, fields.LOST);
  const bound = min(load<u32>(f, fields.SACKED), rest - min(rest, mss));
  if (!advance && bound > held) store<u32>(f, bound - held, fields.DELIVERED);
  store<u32>(f, bound, fields.SACKED);
}

/** Takes a sample of the round-trip time: of what was sent once (Karn), or by timestamps (RFC 7323 §4.1). */
function takeSample(c: usize, f: usize, advance: u32, now: u32): void {
  const longest = load<u32>(f, fields.LONGEST);
  const samples = flight.peak(f) / (2 * <u32>load<u16>(c, MSS)) + 1;
  if (longest) {
    rtt.sample(c, longest, samples);
    rack.noteRtt(f, load<u32>(f, fields.SHORTEST), now);
  } else if (advance && load<u32>(f, fields.HAS_ECHO)) {
    const ms = rtt.stamp(0) - load<u32>(f, fields.ECHOED);
    if (ms <= MAX_ECHO) rtt.sampleEcho(c, max(ms, 1) * 1000, samples);
  }
}

/** Ends or begins a recovery, and sets the congestion window. */
function steer(c: usize, f: usize, advance: u32, ece: bool): void {
  const over = marked(c, RECOVERY | LOSS) && !before(load<u32>(c, SND_UNA), load<u32>(f, fields.POINT));
  if (over) leave(c, f);
  if (load<u32>(f, fields.NEWLY_LOST) && !marked(c, RECOVERY | LOSS)) enter(c, f);
  const answered = after(load<u32>(c, SND_UNA), load<u32>(f, fields.REDUCED_UNTIL));
  if (ece && answered && !marked(c, RECOVERY | LOSS)) return reduceForEcn(c, f);
  const delivered = load<u32>(f, fields.DELIVERED);
  if (!delivered || over) return;
  if (marked(c, RECOVERY)) return reduceRate(c, f, delivered, advance);
  congestion.noteRound(c, f, load<u32>(f, fields.SHORTEST));
  // A window that was reduced stays as it is until the peer has answered to what was sent since.
  if (advance && (answered || marked(c, LOSS))) congestion.grow(c, f, delivered, flight.peak(f));
}

function leave(c: usize, f: usize): void {
  // At the end of recovery the window is what the reduction aimed at (RFC 9937 §5). If little is in flight, that would
  // be a burst: slow start leads there (RFC 6582 §3.2, step 3).
  const most = flight.pipe(c) + congestion.initialWindow(c);
  if (marked(c, RECOVERY)) store<u32>(c, min(load<u32>(c, SSTHRESH), most), CWND);
  unmark(c, RECOVERY | LOSS);
  rack.recovered(f);
  if (!has(c, SACK)) store<u32>(f, 0, fields.SACKED);
}

/** Recovery begins (RFC 5681 §3.2, RFC 6675 §5). */
function enter(c: usize, f: usize): void {
  const nxt = load<u32>(c, SND_NXT);
  if (!congestion.isReduced(c, f)) {
    undo.begin(c, f);
    congestion.reduce(c, f);
    if (has(c, ECN)) mark(c, CWR_DUE);
  } else {
    // The window is that of before, and so is the threshold.
    undo.forget(f);
  }
  mark(c, RECOVERY);
  store<u32>(f, nxt, fields.POINT);
  store<u32>(f, nxt, fields.REDUCED_UNTIL);
  store<u32>(f, 0, fields.PRR_DELIVERED);
  store<u32>(f, 0, fields.PRR_OUT);
  const held = load<u32>(f, fields.SACKED);
  store<u32>(f, nxt - load<u32>(c, SND_UNA) - held + load<u32>(f, fields.DELIVERED), fields.PRR_FLIGHT);
  // What is lost may be sent again at once, if no ACK brought it about.
  store<u32>(c, flight.pipe(c) + flight.segmentLen(c), CWND);
}

/** Proportional rate reduction (RFC 9937 §5). */
function reduceRate(c: usize, f: usize, delivered: u32, advance: u32): void {
  const mss = <i64>flight.segmentLen(c);
  const pipe = <i64>flight.pipe(c);
  const threshold = <i64>load<u32>(c, SSTHRESH);
  const all = <i64>load<u32>(f, fields.PRR_DELIVERED) + delivered;
  const out = <i64>load<u32>(f, fields.PRR_OUT);
  store<u32>(f, <u32>all, fields.PRR_DELIVERED);
  let count: i64;
  if (pipe > threshold) {
    const before = max<i64>(load<u32>(f, fields.PRR_FLIGHT), 1);
    count = (all * threshold + before - 1) / before - out;
  } else {
    count = max(all - out, <i64>delivered);
    if (advance && !load<u32>(f, fields.NEWLY_LOST)) count += mss;
    count = min(threshold - pipe, count);
  }
  // The first is sent again at once, and with nothing in flight no ACK would come.
  if (out == 0 || pipe == 0) count = max(count, mss);
  store<u32>(c, <u32>(pipe + max<i64>(count, 0)), CWND);
}

/** RFC 3168 §6.1.2: the peer tells of congestion; RFC 9438 §4.6. */
function reduceForEcn(c: usize, f: usize): void {
  congestion.reduce(c, f);
  store<u32>(c, load<u32>(c, SSTHRESH), CWND);
  mark(c, CWR_DUE);
  if (f) store<u32>(f, load<u32>(c, SND_NXT), fields.REDUCED_UNTIL);
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
  const first = flight.firstLost(c, f);
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
  if (f) flight.loseAll(c, f, 0, flight.segmentLen(c), micros());
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
    const timeout = flight.detect(c, f, rack.reorderWindow(c, f), micros());
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
    if (!has(c, SACK) || flight.reneged(f)) flight.forgetSacks(f, micros());
    // What was sent a moment ago may well arrive.
    const rackRtt = load<u32>(f, fields.RACK_RTT);
    flight.loseAll(c, f, rackRtt ? rackRtt + rack.reorderWindow(c, f) : 0, 0, micros());
    store<u32>(c, flight.pipe(c) + flight.segmentLen(c), CWND);
  }
  rtt.backOff(c);
  retransmitIn(c, rtt.timeout(c));
}
