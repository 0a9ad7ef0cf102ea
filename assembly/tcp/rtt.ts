// Round-trip time and the retransmission timeout (RFC 6298). Times are microseconds.

import { NOW } from "../../abi/control";
import {
  BACKOFF, INITIAL_RTO_US, MAX_RTO_US, MIN_VARIANCE_US, RTTVAR, SRTT, TS_OFFSET,
} from "../../abi/tcp";

/** RFC 6298 §5.7: the timeout once data is sent, if that of a SYN-ACK expired. */
const RTO_AFTER_SYN: u32 = 3_000_000;
/**
 * RFC 9293 §3.8.3: R2, in µs; and so many retransmissions at least. There needs to be no maximum: as the timeout is
 * 200 ms at first or more, and doubles, R2 has passed when it expires for the tenth time.
 */
const MIN_TIMEOUTS: u32 = 8;
const PATIENCE: u64 = 100_000_000;

// BACKOFF has two halves. The lower four bits count expirations in a row, and progress clears them. The upper four bits
// say how often the timeout has doubled, which a sample clears (Karn's algorithm, RFC 6298 §5).

/** Forgets all samples. `late` says that the timeout of a SYN-ACK expired. */
export function begin(c: usize, late: bool): void {
  store<u32>(c, 0, SRTT);
  store<u32>(c, late ? RTO_AFTER_SYN : 0, RTTVAR);
  store<u8>(c, 0, BACKOFF);
}

/** Takes a sample, one of `samples` that are expected of this flight (RFC 7323, appendix G). */
export function sample(c: usize, us: u32, samples: u32): void {
  const rtt = min(max(us, 1), MAX_RTO_US);
  const srtt = load<u32>(c, SRTT);
  store<u8>(c, 0, BACKOFF);
  if (!srtt) {
    store<u32>(c, rtt << 3, SRTT);
    store<u32>(c, rtt << 1, RTTVAR);
    return;
  }
  const error = <i32>(rtt - (srtt >>> 3));
  const variance = load<u32>(c, RTTVAR);
  store<u32>(c, variance + (<i32>(abs(error) - (variance >>> 2)) / <i32>samples), RTTVAR);
  store<u32>(c, max(srtt + error / <i32>samples, 8), SRTT);
}

/**
 * Takes a sample that a timestamp gives for what was sent again. If the ACK of what was sent first was lost, it has our
 * own timeouts in it, which must not make each other longer.
 */
export function sampleEcho(c: usize, us: u32, samples: u32): void {
  const most = max<u32>(INITIAL_RTO_US, smoothed(c) << 1);
  const backoff = load<u8>(c, BACKOFF);
  sample(c, min(us, most), samples);
  if (us > most) store<u8>(c, backoff, BACKOFF);
}

/** Returns the smoothed round-trip time; 0 before the first sample. */
export function smoothed(c: usize): u32 {
  return load<u32>(c, SRTT) >>> 3;
}

/** Returns the retransmission timeout, with its backoff. */
export function timeout(c: usize): u32 {
  return doubled(c, load<u8>(c, BACKOFF) >>> 4);
}

function doubled(c: usize, times: u32): u32 {
  const srtt = load<u32>(c, SRTT);
  const variance = load<u32>(c, RTTVAR);
  const base = srtt ? (srtt >>> 3) + max(variance, MIN_VARIANCE_US) : variance || INITIAL_RTO_US;
  // RFC 6298 §2, G: a millisecond is fine enough.
  return <u32>min(<u64>(base / 1000 * 1000) << times, <u64>MAX_RTO_US);
}

/** Counts an expiration of the retransmission timer, which doubles the timeout. */
export function backOff(c: usize): void {
  const backoff: u32 = load<u8>(c, BACKOFF);
  const times = min((backoff >>> 4) + 1, 15);
  store<u8>(c, <u8>(times << 4 | min((backoff & 15) + 1, 15)), BACKOFF);
}

/**
 * Notes that something new was acknowledged. The path works, so the timeout does not stay longer than where nothing is
 * known: with much loss there would be no sample for a long time.
 */
export function progress(c: usize): void {
  let times: u32 = load<u8>(c, BACKOFF) >>> 4;
  while (times && doubled(c, times) > RTO_AFTER_SYN) times--;
  store<u8>(c, <u8>(times << 4), BACKOFF);
}

/** Returns how often the retransmission timer has expired since something was last acknowledged. */
export function timeouts(c: usize): u32 {
  return load<u8>(c, BACKOFF) & 15;
}

/** Returns whether R2 is reached: things were sent again for so long that the peer must be gone. */
export function hopeless(c: usize): bool {
  const count = timeouts(c);
  if (count < MIN_TIMEOUTS) return false;
  const times: u32 = load<u8>(c, BACKOFF) >>> 4;
  let waited: u64 = 0;
  for (let i: u32 = times - min(count, times); i < times; i++) waited += doubled(c, i);
  return waited >= PATIENCE;
}

/** Returns the clock of timestamps, in milliseconds, as it was `us` microseconds ago (RFC 7323 §5.4). */
export function stamp(us: u32): u32 {
  return <u32>((load<u64>(NOW) - <u64>us * 1000) / 1_000_000) + load<u32>(TS_OFFSET);
}
