// Recovery of a connection for which there is no page (flight.ts): NewReno (RFC 6582) that sends one segment again at a
// time, the one at SND_UNA. While RECOVERY or LOSS is marked, W_MAX is the sequence number at which it ends. DUP_ACKS
// says whether that segment is due.

import { CWND, DUP_ACKS, SND_NXT, SND_UNA, SSTHRESH, W_MAX } from "../../abi/tcp";
import { before, LOSS, mark, marked, RECOVERY, unmark } from "./connection";
import * as congestion from "./congestion";
import { segmentLen } from "./flight";

/** RFC 5681 §3.2. */
const THRESHOLD: u32 = 3;
/** DUP_ACKS while the segment at SND_UNA is to be sent again. */
const DUE: u32 = 255;

/** SND_UNA has moved by `acked` bytes of `out`; 0 for a duplicate ACK. */
export function acknowledge(c: usize, acked: u32, out: u32): void {
  if (marked(c, RECOVERY | LOSS)) {
    if (!acked) return;
    if (before(load<u32>(c, SND_UNA), load<u32>(c, W_MAX))) {
      setDups(c, DUE);
    } else {
      if (marked(c, RECOVERY)) store<u32>(c, load<u32>(c, SSTHRESH), CWND);
      unmark(c, RECOVERY | LOSS);
      congestion.forgetMax(c);
      setDups(c, 0);
    }
    if (marked(c, LOSS)) congestion.grow(c, 0, acked, out);
    return;
  }
  if (acked) {
    setDups(c, 0);
    congestion.grow(c, 0, acked, out);
    return;
  }
  const dups: u32 = load<u8>(c, DUP_ACKS) + 1;
  setDups(c, min(dups, THRESHOLD));
  if (dups < THRESHOLD) return;
  begin(c, RECOVERY);
  store<u32>(c, load<u32>(c, SSTHRESH), CWND);
}

/** The retransmission timer has expired. */
export function expire(c: usize): void {
  if (marked(c, RECOVERY | LOSS)) setDups(c, DUE);
  else begin(c, LOSS);
  unmark(c, RECOVERY);
  mark(c, LOSS);
  store<u32>(c, segmentLen(c), CWND);
}

function begin(c: usize, how: u32): void {
  congestion.reduce(c, 0);
  mark(c, how);
  store<u32>(c, load<u32>(c, SND_NXT), W_MAX);
  setDups(c, DUE);
}

/** Returns the bytes that limited transmit lets out besides the window (RFC 3042 §2). */
export function limitedTransmit(c: usize): u32 {
  return marked(c, RECOVERY | LOSS) ? 0 : min<u32>(load<u8>(c, DUP_ACKS), THRESHOLD - 1) * segmentLen(c);
}

/** Returns the range to be sent again as lost() in recover.ts does. */
export function lost(c: usize, most: u32): u64 {
  if (load<u8>(c, DUP_ACKS) != DUE) return 0;
  const una = load<u32>(c, SND_UNA);
  return <u64>una << 32 | min(load<u32>(c, SND_NXT) - una, min(most, segmentLen(c)));
}

/** Has the segment at SND_UNA sent again. */
export function sendAgain(c: usize): void {
  setDups(c, DUE);
}

/** It was sent again. */
export function sentAgain(c: usize): void {
  setDups(c, 0);
}

function setDups(c: usize, value: u32): void {
  store<u8>(c, <u8>value, DUP_ACKS);
}
