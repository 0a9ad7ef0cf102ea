// Fields at the start of a flight's page (flight.ts): what a connection has to know only while it recovers, or sends
// much. Those not said to be otherwise are u32. Sequence numbers are ends: the first that does not belong to it.

/** Address of the first run, and the address behind the last. */
export const FIRST: usize = 0;
export const LAST: usize = FIRST + 4;
/** Bytes that the peer holds; where it does not understand SACK, bytes for which duplicate ACKs came. */
export const SACKED: usize = LAST + 4;
/** Bytes that are lost and have not been sent again. */
export const LOST: usize = SACKED + 4;
/** Sequence number behind everything that was ever sent again. */
export const AGAIN_END: usize = LOST + 4;

// The acknowledgement in hand.
/** Bytes that it says are delivered, and bytes that it shows to be lost. */
export const DELIVERED: usize = AGAIN_END + 4;
export const NEWLY_LOST: usize = DELIVERED + 4;
/** The longest and the shortest round-trip time of what was sent once, in µs; 0 for none. */
export const LONGEST: usize = NEWLY_LOST + 4;
export const SHORTEST: usize = LONGEST + 4;
/** Echoed timestamp, and whether there is one. */
export const ECHOED: usize = SHORTEST + 4;
export const HAS_ECHO: usize = ECHOED + 4;
/** FORWARD before it. */
export const FORWARD_BEFORE: usize = HAS_ECHO + 4;

// RACK (RFC 8985 §5.2).
/** When the latest data that has been delivered was sent, where it ends, and its round-trip time in µs, 0 for none. */
export const RACK_SENT: usize = FORWARD_BEFORE + 4;
export const RACK_END: usize = RACK_SENT + 4;
export const RACK_RTT: usize = RACK_END + 4;
/** Minimum round-trip time in µs, 0 for none, and when it was seen. */
export const MIN_RTT: usize = RACK_RTT + 4;
export const MIN_RTT_AT: usize = MIN_RTT + 4;
/** Sequence number behind everything that was delivered (RACK.fack). */
export const FORWARD: usize = MIN_RTT_AT + 4;
/** Whether data was delivered out of order. */
export const REORDERED: usize = FORWARD + 4;
/** The window in quarters of MIN_RTT, recoveries for which it stays so, and the end of the last round with D-SACK. */
export const REORDER_QUARTERS: usize = REORDERED + 4;
export const REORDER_KEPT: usize = REORDER_QUARTERS + 4;
export const DSACK_ROUND: usize = REORDER_KEPT + 4;
/** Whether RETRANSMIT_AT is the end of the reordering window. */
export const REORDER_TIMER: usize = DSACK_ROUND + 4;

// Recovery.
/** Sequence number at which it ends (RFC 6675: RecoveryPoint; RFC 6582: recover). */
export const POINT: usize = REORDER_TIMER + 4;
/** RFC 9937: prr_delivered, prr_out, RecoverFS. */
export const PRR_DELIVERED: usize = POINT + 4;
export const PRR_OUT: usize = PRR_DELIVERED + 4;
export const PRR_FLIGHT: usize = PRR_OUT + 4;
/** Sequence number up to which the window is not reduced again for ECN (RFC 3168 §6.1.2). */
export const REDUCED_UNTIL: usize = PRR_FLIGHT + 4;

// Undoing; see undo.ts.
/** An Undo: what could be undone. */
export const UNDO: usize = REDUCED_UNTIL + 4;
export const UNDO_CWND: usize = UNDO + 4;
export const UNDO_SSTHRESH: usize = UNDO_CWND + 4;
export const UNDO_W_MAX: usize = UNDO_SSTHRESH + 4;
/** Bytes sent again that no D-SACK has told of, and the range that they lie in. */
export const UNDO_BYTES: usize = UNDO_W_MAX + 4;
export const UNDO_FROM: usize = UNDO_BYTES + 4;
export const UNDO_END: usize = UNDO_FROM + 4;
/** Timestamp of the first of them, and whether the ACK that tells is still to come. */
export const UNDO_STAMP: usize = UNDO_END + 4;
export const UNDO_OPEN: usize = UNDO_STAMP + 4;

// Tail loss probe (RFC 8985 §7).
/** SND_NXT when it was sent, whether it was sent before, its timestamp, and whether it is still to be sent. */
export const PROBE_END: usize = UNDO_OPEN + 4;
export const PROBE_AGAIN: usize = PROBE_END + 4;
export const PROBE_STAMP: usize = PROBE_AGAIN + 4;
export const PROBE_DUE: usize = PROBE_STAMP + 4;

// Congestion control; see congestion.ts.
/** The most that was in flight in this window, and where the window ends. */
export const PEAK: usize = PROBE_DUE + 4;
export const PEAK_END: usize = PEAK + 4;
/** HyStart++ (RFC 9406 §4.2). */
export const ROUND_END: usize = PEAK_END + 4;
export const ROUND_RTT: usize = ROUND_END + 4;
export const ROUND_SAMPLES: usize = ROUND_RTT + 4;
export const LAST_ROUND_RTT: usize = ROUND_SAMPLES + 4;
export const BASELINE_RTT: usize = LAST_ROUND_RTT + 4;
export const CAUTIOUS_ROUNDS: usize = BASELINE_RTT + 4;
/** CUBIC (RFC 9438 §4.1.2): cwnd_prior; u64 ns: t_epoch, 0 for none, and the last ACK; f64: K in s, W_max, W_est. */
export const CWND_PRIOR: usize = CAUTIOUS_ROUNDS + 4;
export const EPOCH: usize = (CWND_PRIOR + 4 + 7) & ~7;
export const LAST_ACK: usize = EPOCH + 8;
export const K: usize = LAST_ACK + 8;
export const ORIGIN: usize = K + 8;
export const W_EST: usize = ORIGIN + 8;
export const HEADER_SIZE: usize = W_EST + 8;
