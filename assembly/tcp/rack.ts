// RACK (RFC 8985 §6): what is lost is told by time. Data that was sent before some that has been delivered is lost once
// it is later than the reordering window allows.

import { MSS } from "../../abi/tcp";
import { marked, RECOVERY, LOSS, after } from "./connection";
import * as fields from "./fields";
import { smoothed } from "./rtt";

/** In µs: a window shorter than this would depend on the clock and on how packets are batched. */
const MIN_WINDOW: u32 = 1000;
/** RFC 8985 §6.2, step 4: recoveries for which a window that D-SACKs made longer stays. */
const KEPT: u32 = 16;
const MAX_QUARTERS: u32 = 64;
/** In µs: for how long a minimum holds, as in Linux (tcp_min_rtt_wlen). */
const MIN_RTT_LIFE: u32 = 300_000_000;

/** RFC 8985 §6.1: RACK_sent_after. */
export function sentAfter(sent: u32, end: u32, otherSent: u32, otherEnd: u32): bool {
  return after(sent, otherSent) || (sent == otherSent && after(end, otherEnd));
}

/** Notes a round-trip time in µs. */
export function noteRtt(f: usize, us: u32, now: u32): void {
  const minimum = load<u32>(f, fields.MIN_RTT);
  if (minimum && us > minimum && now - load<u32>(f, fields.MIN_RTT_AT) < MIN_RTT_LIFE) return;
  store<u32>(f, us, fields.MIN_RTT);
  store<u32>(f, now, fields.MIN_RTT_AT);
}

/** Returns the reordering window in µs (RFC 8985 §6.2, step 4). */
export function reorderWindow(c: usize, f: usize): u32 {
  if (!load<u32>(f, fields.REORDERED)) {
    // Where nothing was reordered so far, three duplicate ACKs are enough (RFC 5681 §3.2, RFC 6675 §2: DupThresh).
    if (marked(c, RECOVERY | LOSS) || load<u32>(f, fields.SACKED) > 2 * <u32>load<u16>(c, MSS)) return 0;
  }
  const srtt = smoothed(c);
  const quarter = (load<u32>(f, fields.MIN_RTT) || srtt) >>> 2;
  const wide = <u64>quarter * load<u32>(f, fields.REORDER_QUARTERS);
  return <u32>min(max(wide, <u64>MIN_WINDOW), <u64>srtt);
}

/** A D-SACK tells of a retransmission that was not needed: the window becomes wider, once a round trip. */
export function widen(f: usize, una: u32, nxt: u32): void {
  store<u32>(f, KEPT, fields.REORDER_KEPT);
  store<u32>(f, 1, fields.REORDERED);
  if (after(load<u32>(f, fields.DSACK_ROUND), una)) return;
  store<u32>(f, nxt, fields.DSACK_ROUND);
  store<u32>(f, min(load<u32>(f, fields.REORDER_QUARTERS) + 1, MAX_QUARTERS), fields.REORDER_QUARTERS);
}

/** A recovery has ended. */
export function recovered(f: usize): void {
  const kept = load<u32>(f, fields.REORDER_KEPT);
  if (kept) store<u32>(f, kept - 1, fields.REORDER_KEPT);
  if (kept <= 1) store<u32>(f, 1, fields.REORDER_QUARTERS);
}
