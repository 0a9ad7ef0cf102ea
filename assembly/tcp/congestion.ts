// Congestion control: slow start with HyStart++ (RFC 9406), then CUBIC (RFC 9438). Windows are bytes. A connection
// without a page (flight.ts) is young or has little to send: it has slow start, and Reno's growth behind it (RFC 5681).

import { NOW } from "../../abi/control";
import { BACKOFF, CWND, MSS, SND_NXT, SND_UNA, SSTHRESH, W_MAX } from "../../abi/tcp";
import { after, before, LOSS, marked } from "./connection";
import * as fields from "./fields";
import { segmentLen } from "./flight";
import { smoothed } from "./rtt";

/** RFC 6928 §2: ten segments, and about so many bytes at most. */
const INITIAL_SEGMENTS: u32 = 10;
const INITIAL_BYTES: u32 = 14_600;
/** A window never needs to be larger: no peer's is (RFC 7323 §2.3). */
const MAX_WINDOW: u32 = 1 << 30;
/** Slow start threshold before the first loss. */
export const NO_THRESHOLD: u32 = 0x7fff_ffff;
/** RFC 9406 §4.3, L for a sender that does not pace: full segments by which an ACK lets slow start grow, at most. */
const MAX_GROWTH: u32 = 8;

/** RFC 9438 §4.1: C in segments/s³, β, and α for windows below cwnd_prior. */
const C: f64 = 0.4;
const BETA_TENTHS: u32 = 7;
const BETA: f64 = <f64>BETA_TENTHS / 10;
const ALPHA: f64 = 3 * (1 - BETA) / (1 + BETA);

/** RFC 9406 §4.3, in µs. */
const MIN_RTT_THRESHOLD: u32 = 4_000;
const MAX_RTT_THRESHOLD: u32 = 16_000;
const SAMPLES: u32 = 8;
const CAUTIOUS_DIVISOR: u32 = 4;
const CAUTIOUS_ROUNDS: u32 = 5;

/** A connection begins. BACKOFF still has the number of SYN-ACKs that were sent again. */
export function begin(c: usize): void {
  // RFC 5681 §3.1: one segment if a SYN-ACK was lost; as in Linux, one may be.
  store<u32>(c, load<u8>(c, BACKOFF) > 1 ? load<u16>(c, MSS) : initialWindow(c), CWND);
  store<u32>(c, NO_THRESHOLD, SSTHRESH);
  store<u32>(c, 0, W_MAX);
}

/** RFC 6928 §2. */
export function initialWindow(c: usize): u32 {
  const mss: u32 = load<u16>(c, MSS);
  return min(INITIAL_SEGMENTS * mss, max(2 * mss, INITIAL_BYTES));
}

/** RFC 5681 §4.1: nothing has been sent for longer than a timeout, so nothing is known of the path any more. */
export function restart(c: usize): void {
  const cwnd = load<u32>(c, CWND);
  const least = initialWindow(c);
  if (cwnd <= least) return;
  // RFC 7661 §4.4.3: what the path once carried is remembered.
  store<u32>(c, max(load<u32>(c, SSTHRESH), cwnd - (cwnd >>> 2)), SSTHRESH);
  store<u32>(c, least, CWND);
}

/**
 * Grows by `acked` bytes that were delivered. `out` is the most that was in flight: a window that was not used does not
 * grow (RFC 7661).
 */
export function grow(c: usize, f: usize, acked: u32, out: u32): void {
  const cwnd = load<u32>(c, CWND);
  if (cwnd < load<u32>(c, SSTHRESH)) {
    if (2 * <u64>out > cwnd) slowStart(c, f, cwnd, acked);
    return;
  }
  const used = out + load<u16>(c, MSS) > cwnd;
  if (f) cubic(c, f, cwnd, acked, used);
  else if (used) set(c, cwnd + max<u64>(<u64>load<u16>(c, MSS) * acked / cwnd, 1));
}

function set(c: usize, window: u64): void {
  store<u32>(c, <u32>min(window, <u64>MAX_WINDOW), CWND);
}

// ---- slow start -----------------------------------------------------------------------------------------------------

function slowStart(c: usize, f: usize, cwnd: u32, acked: u32): void {
  const mss: u32 = load<u16>(c, MSS);
  // RFC 3465 §2.3: after a timeout an ACK may cover what arrived long ago.
  let growth = min(acked, marked(c, LOSS) ? mss : MAX_GROWTH * mss);
  if (f && load<u32>(f, fields.BASELINE_RTT)) growth /= CAUTIOUS_DIVISOR;
  set(c, min(<u64>cwnd + growth, <u64>load<u32>(c, SSTHRESH)));
}

/** HyStart++ (RFC 9406 §4.2): an ACK brings a round-trip time in µs, or 0. Only the first slow start has it. */
export function noteRound(c: usize, f: usize, rtt: u32): void {
  if (load<u32>(c, SSTHRESH) != NO_THRESHOLD) return;
  if (!before(load<u32>(c, SND_UNA), load<u32>(f, fields.ROUND_END))) nextRound(c, f);
  if (!rtt) return;
  const least = load<u32>(f, fields.ROUND_RTT);
  const now = least ? min(least, rtt) : rtt;
  store<u32>(f, now, fields.ROUND_RTT);
  const samples = load<u32>(f, fields.ROUND_SAMPLES) + 1;
  store<u32>(f, samples, fields.ROUND_SAMPLES);
  if (samples < SAMPLES) return;
  const baseline = load<u32>(f, fields.BASELINE_RTT);
  if (baseline) {
    // The delay has gone back: it was jitter.
    if (now < baseline) store<u32>(f, 0, fields.BASELINE_RTT);
    return;
  }
  const last = load<u32>(f, fields.LAST_ROUND_RTT);
  const threshold = max(MIN_RTT_THRESHOLD, min(last >>> 3, MAX_RTT_THRESHOLD));
  if (!last || now < last + threshold) return;
  store<u32>(f, now, fields.BASELINE_RTT);
  store<u32>(f, 0, fields.CAUTIOUS_ROUNDS);
}

function nextRound(c: usize, f: usize): void {
  store<u32>(f, load<u32>(c, SND_NXT), fields.ROUND_END);
  store<u32>(f, load<u32>(f, fields.ROUND_RTT), fields.LAST_ROUND_RTT);
  store<u32>(f, 0, fields.ROUND_RTT);
  store<u32>(f, 0, fields.ROUND_SAMPLES);
  if (!load<u32>(f, fields.BASELINE_RTT)) return;
  const rounds = load<u32>(f, fields.CAUTIOUS_ROUNDS) + 1;
  store<u32>(f, rounds, fields.CAUTIOUS_ROUNDS);
  if (rounds < CAUTIOUS_ROUNDS) return;
  store<u32>(f, 0, fields.BASELINE_RTT);
  store<u32>(c, load<u32>(c, CWND), SSTHRESH);
}

// ---- congestion avoidance -------------------------------------------------------------------------------------------

function cubic(c: usize, f: usize, window: u32, acked: u32, used: bool): void {
  const now = load<u64>(NOW);
  const mss = <f64>load<u16>(c, MSS);
  const cwnd = <f64>window;
  if (!load<u64>(f, fields.EPOCH)) beginEpoch(c, f, cwnd, mss, now);
  // RFC 9438 §5.8: time in which the window was not used does not count.
  if (!used) store<u64>(f, load<u64>(f, fields.EPOCH) + (now - load<u64>(f, fields.LAST_ACK)), fields.EPOCH);
  store<u64>(f, now, fields.LAST_ACK);
  if (!used) return;
  const t = <f64>(now - load<u64>(f, fields.EPOCH)) / 1e9;
  const share = <f64>acked / cwnd;
  const estimate = load<f64>(f, fields.W_EST);
  const reno = estimate + (estimate < <f64>load<u32>(f, fields.CWND_PRIOR) ? ALPHA : 1) * mss * share;
  store<f64>(f, reno, fields.W_EST);
  if (wCubic(f, t, mss) < reno) {
    set(c, <u64>max(cwnd, min(reno, <f64>MAX_WINDOW)));
    return;
  }
  const ahead = wCubic(f, t + <f64>smoothed(c) / 1e6, mss);
  const target = min(max(ahead, cwnd), 1.5 * cwnd);
  set(c, <u64>(cwnd + (target - cwnd) * min<f64>(share, 1)));
}

/** RFC 9438 §4.2: W_cubic(t), in bytes. */
function wCubic(f: usize, t: f64, mss: f64): f64 {
  const d = t - load<f64>(f, fields.K);
  return C * mss * d * d * d + load<f64>(f, fields.ORIGIN);
}

function beginEpoch(c: usize, f: usize, cwnd: f64, mss: f64, now: u64): void {
  const origin = max(<f64>load<u32>(c, W_MAX), cwnd);
  store<u64>(f, now, fields.EPOCH);
  store<u64>(f, now, fields.LAST_ACK);
  store<f64>(f, origin, fields.ORIGIN);
  store<f64>(f, Math.cbrt((origin - cwnd) / mss / C), fields.K);
  store<f64>(f, cwnd, fields.W_EST);
  if (!load<u32>(f, fields.CWND_PRIOR)) store<u32>(f, <u32>origin, fields.CWND_PRIOR);
}

/**
 * Something was lost or marked: sets the threshold (RFC 9438 §4.6), and the window behind which growth is slow. Only
 * whole segments of the window count, as in Linux: with the rest, a small window would take more than its share of a
 * path beside Linux's senders.
 */
export function reduce(c: usize, f: usize): void {
  const cwnd = load<u32>(c, CWND);
  // RFC 9438 §4.7, fast convergence: a window that comes to less than the last time leaves room for others.
  store<u32>(c, cwnd < load<u32>(c, W_MAX) ? <u32>(<f64>cwnd * (1 + BETA) / 2) : cwnd, W_MAX);
  const len = segmentLen(c);
  store<u32>(c, len * max<u32>(cwnd / len * BETA_TENTHS / 10, 2), SSTHRESH);
  if (!f) return;
  store<u64>(f, 0, fields.EPOCH);
  store<u32>(f, cwnd, fields.CWND_PRIOR);
  store<u32>(f, 0, fields.BASELINE_RTT);
}

/** The timeout has expired: RFC 9438 §4.8, growth begins where slow start ends. */
export function forgetMax(c: usize): void {
  store<u32>(c, 0, W_MAX);
}

/** Returns whether the window was reduced for what is in flight, so that it is not reduced again. */
export function isReduced(c: usize, f: usize): bool {
  return after(load<u32>(f, fields.REDUCED_UNTIL), load<u32>(c, SND_UNA));
}
