// Undoing: a recovery that turns out not to have been needed, because data was late and not lost, gives back what it
// cost. The peer tells so by D-SACK (RFC 3708), when all that was sent again had arrived already, or by timestamps
// (Eifel, RFC 3522), when the first ACK for something that was sent again echoes what was sent before.

import { CWND, SND_UNA, SSTHRESH, W_MAX } from "../../abi/tcp";
import { after, before, has, LOSS, RECOVERY, SACK, unmark } from "./connection";
import * as fields from "./fields";
import * as losses from "./losses";
import { stamp } from "./rtt";

// Values of UNDO_OPEN.
const NOTHING_SENT: u32 = 0;
const SENT: u32 = 1;
const ANSWERED: u32 = 2;

/** A recovery begins, and the window has not been reduced yet. */
export function begin(c: usize, f: usize): void {
  store<u32>(f, 1, fields.UNDO);
  store<u32>(f, load<u32>(c, CWND), fields.UNDO_CWND);
  store<u32>(f, load<u32>(c, SSTHRESH), fields.UNDO_SSTHRESH);
  store<u32>(f, load<u32>(c, W_MAX), fields.UNDO_W_MAX);
  store<u32>(f, 0, fields.UNDO_BYTES);
  renew(f);
}

/** The timeout has expired within a recovery: the ACK for what is sent again now tells anew. */
export function renew(f: usize): void {
  store<u32>(f, NOTHING_SENT, fields.UNDO_OPEN);
}

/** Nothing that was done so far is undone any more. */
export function forget(f: usize): void {
  store<u32>(f, 0, fields.UNDO);
}

/** [seq, end) has been sent again. */
export function noteAgain(f: usize, seq: u32, end: u32): void {
  if (!load<u32>(f, fields.UNDO)) return;
  const bytes = load<u32>(f, fields.UNDO_BYTES);
  store<u32>(f, bytes + (end - seq), fields.UNDO_BYTES);
  if (!bytes || before(seq, load<u32>(f, fields.UNDO_FROM))) store<u32>(f, seq, fields.UNDO_FROM);
  if (!bytes || after(end, load<u32>(f, fields.UNDO_END))) store<u32>(f, end, fields.UNDO_END);
  if (load<u32>(f, fields.UNDO_OPEN) != NOTHING_SENT) return;
  store<u32>(f, stamp(0), fields.UNDO_STAMP);
  store<u32>(f, SENT, fields.UNDO_OPEN);
}

/** Returns whether [first, end) lies within what was sent again in the last recovery. */
export function covers(f: usize, first: u32, end: u32): bool {
  if (!load<u32>(f, fields.UNDO) || !load<u32>(f, fields.UNDO_BYTES)) return false;
  return !before(first, load<u32>(f, fields.UNDO_FROM)) && !after(end, load<u32>(f, fields.UNDO_END));
}

/** The peer says that it got [first, end) twice, which covers() says was sent again. Undoes, if that was all. */
export function noteDsack(c: usize, f: usize, first: u32, end: u32): void {
  const bytes = load<u32>(f, fields.UNDO_BYTES);
  const left = bytes - min(bytes, end - first);
  store<u32>(f, left, fields.UNDO_BYTES);
  if (!left) undo(c, f);
}

/** Everything before `ack` is acknowledged. Undoes, if the timestamp says that it was not for what was sent again. */
export function noteAck(c: usize, f: usize, ack: u32): void {
  if (!load<u32>(f, fields.UNDO)) return;
  // Sequence numbers that are so far behind would soon seem to lie ahead.
  if (load<u32>(f, fields.UNDO_BYTES) && ack - load<u32>(f, fields.UNDO_FROM) > 1 << 30) return forget(f);
  if (load<u32>(f, fields.UNDO_OPEN) != SENT || !after(ack, load<u32>(f, fields.UNDO_FROM))) return;
  store<u32>(f, ANSWERED, fields.UNDO_OPEN);
  if (load<u32>(f, fields.HAS_ECHO) && before(load<u32>(f, fields.ECHOED), load<u32>(f, fields.UNDO_STAMP))) undo(c, f);
}

function undo(c: usize, f: usize): void {
  forget(f);
  store<u32>(c, max(load<u32>(c, CWND), load<u32>(f, fields.UNDO_CWND)), CWND);
  store<u32>(c, max(load<u32>(c, SSTHRESH), load<u32>(f, fields.UNDO_SSTHRESH)), SSTHRESH);
  store<u32>(c, load<u32>(f, fields.UNDO_W_MAX), W_MAX);
  store<u64>(f, 0, fields.EPOCH);
  store<u32>(f, load<u32>(c, SND_UNA) - 1, fields.REDUCED_UNTIL);
  losses.findAll(f);
  unmark(c, RECOVERY | LOSS);
  if (has(c, SACK)) store<u32>(f, 1, fields.REORDERED);
  else store<u32>(f, 0, fields.SACKED);
}
