// Steering: ends or begins a recovery as an ACK has shown it (evidence.ts, losses.ts), and sets the congestion window:
// by proportional rate reduction in recovery (RFC 9937), and by growth else (congestion.ts).

import { CWND, SND_NXT, SND_UNA, SSTHRESH } from "../../abi/tcp";
import { after, before, CWR_DUE, ECN, has, LOSS, mark, marked, RECOVERY, SACK, unmark } from "./connection";
import * as congestion from "./congestion";
import * as fields from "./fields";
import * as flight from "./flight";
import * as rack from "./rack";
import * as undo from "./undo";

/** Ends or begins a recovery, and sets the congestion window. */
export function steer(c: usize, f: usize, advance: u32, ece: bool): void {
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
export function reduceForEcn(c: usize, f: usize): void {
  congestion.reduce(c, f);
  store<u32>(c, load<u32>(c, SSTHRESH), CWND);
  mark(c, CWR_DUE);
  if (f) store<u32>(f, load<u32>(c, SND_NXT), fields.REDUCED_UNTIL);
}
