// Tail loss probe (RFC 8985 §7): when ACKs stay away although there should have been some, one segment is sent so that
// the peer's answer tells what is lost, long before the retransmission timer would.

import { CWND, MSS, SND_END, SND_NXT, SND_UNA, SND_WND, SSTHRESH } from "../../abi/tcp";
import {
  after, before, CWR_DUE, ECN, FIN_SENT, has, LOSS, mark, marked, PROBED, RECOVERY, SACK, unmark,
} from "./connection";
import * as congestion from "./congestion";
import * as fields from "./fields";
import * as flight from "./flight";
import { smoothed, stamp, timeout, timeouts } from "./rtt";

/** In µs: for how long the ACK of a single segment may be delayed, and for how long it usually is (Linux: 40 ms). */
const MAX_ACK_DELAY: u32 = 200_000;
const USUAL_ACK_DELAY: u32 = 50_000;
/** In µs: what both hosts need besides the path's time. Linux has two jiffies. */
const SLACK: u32 = 2_000;

/** Returns whether a probe may be sent if no ACK comes (§7.2). */
export function allowed(c: usize): bool {
  if (!has(c, SACK) || marked(c, RECOVERY | LOSS | PROBED) || timeouts(c) || !smoothed(c)) return false;
  const f: usize = flight.pageOf(c);
  return !f || (load<u32>(f, fields.SACKED) | load<u32>(f, fields.LOST)) == 0;
}

/** Returns the µs after which a probe is sent, `out` bytes being in flight; no more than the timeout (§7.2). */
export function delay(c: usize, out: u32): u32 {
  const srtt = smoothed(c);
  const segments = (out + load<u16>(c, MSS) - 1) / load<u16>(c, MSS);
  let us = 2 * srtt + SLACK;
  if (segments <= 1) us += MAX_ACK_DELAY;
  // A receiver acknowledges every second segment at once (RFC 9293, SHLD-19), so the last of an odd number has to wait.
  else if (segments & 1) us = max(us, srtt + USUAL_ACK_DELAY);
  return min(us, timeout(c));
}

/** The time has come: has allowance() or lost() let one segment out (§7.3). */
export function fire(c: usize, f: usize): void {
  const nxt = load<u32>(c, SND_NXT);
  const room = after(load<u32>(c, SND_UNA) + load<u32>(c, SND_WND), nxt);
  const more = !has(c, FIN_SENT) && after(load<u32>(c, SND_END), nxt);
  mark(c, PROBED);
  store<u32>(f, nxt, fields.PROBE_END);
  store<u32>(f, more && room ? 0 : 1, fields.PROBE_AGAIN);
  store<u32>(f, stamp(0), fields.PROBE_STAMP);
  store<u32>(f, 1, fields.PROBE_DUE);
}

/** Returns whether a probe of new data is to be sent. */
export function isNew(f: usize): bool {
  return load<u32>(f, fields.PROBE_DUE) != 0 && load<u32>(f, fields.PROBE_AGAIN) == 0;
}

/** Returns the range to be sent again as a probe, as lost() in recover.ts does. */
export function range(c: usize, f: usize, most: u32): u64 {
  if (!load<u32>(f, fields.PROBE_DUE) || !load<u32>(f, fields.PROBE_AGAIN)) return 0;
  const nxt = load<u32>(c, SND_NXT);
  const len = min(nxt - load<u32>(c, SND_UNA), min(most, flight.segmentLen(c)));
  return <u64>(nxt - len) << 32 | len;
}

/** Something was sent, up to `end`. */
export function sent(f: usize, end: u32): void {
  if (!load<u32>(f, fields.PROBE_DUE)) return;
  store<u32>(f, 0, fields.PROBE_DUE);
  store<u32>(f, end, fields.PROBE_END);
}

/** Tells what a probe has shown when `ack` comes: if it has repaired a loss, that is congestion (§7.4). */
export function judge(c: usize, f: usize, ack: u32, advance: u32, dsack: bool): void {
  if (!marked(c, PROBED)) return;
  const end = load<u32>(f, fields.PROBE_END);
  if (before(ack, end)) return;
  const again = load<u32>(f, fields.PROBE_AGAIN) != 0;
  let repaired = false;
  if (again && !dsack) {
    const echoed = load<u32>(f, fields.ECHOED);
    if (load<u32>(f, fields.HAS_ECHO)) repaired = !before(echoed, load<u32>(f, fields.PROBE_STAMP));
    else if (after(ack, end)) repaired = true;
    else if (advance) return; // A D-SACK may follow.
  }
  store<u32>(f, 0, fields.PROBE_DUE);
  unmark(c, PROBED);
  if (!repaired || marked(c, RECOVERY | LOSS) || congestion.isReduced(c, f)) return;
  congestion.reduce(c, f);
  store<u32>(c, min(load<u32>(c, CWND), load<u32>(c, SSTHRESH)), CWND);
  store<u32>(f, load<u32>(c, SND_NXT), fields.REDUCED_UNTIL);
  if (has(c, ECN)) mark(c, CWR_DUE);
}
