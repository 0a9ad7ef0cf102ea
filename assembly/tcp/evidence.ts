// Evidence: what an ACK shows of data in flight (flight.ts): what has arrived, what came twice, and how long the round
// trip took. Without SACK, duplicate ACKs stand for the blocks, and show a loss as well.

import { DUP_ACKS, MSS, SND_NXT, SND_UNA } from "../../abi/tcp";
import { after, before, LOSS, marked, micros, RECOVERY } from "./connection";
import * as fields from "./fields";
import * as flight from "./flight";
import * as losses from "./losses";
import * as rack from "./rack";
import * as rtt from "./rtt";
import * as segments from "./segment";
import * as undo from "./undo";

/** RFC 5681 §3.2: duplicate ACKs that show a loss. */
const DUP_THRESHOLD: u32 = 3;
/** In ms: an echoed timestamp that is older is no sample. */
const MAX_ECHO: u32 = 120_000;

/** Takes the SACK blocks (RFC 2018), of which the first may be a D-SACK (RFC 2883). Returns whether it is. */
export function takeBlocks(c: usize, f: usize, segment: usize, now: u32): bool {
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
export function countDuplicates(c: usize, f: usize, advance: u32, dup: bool): void {
  const mss = flight.segmentLen(c);
  const held = load<u32>(f, fields.SACKED);
  const una = load<u32>(c, SND_UNA);
  if (advance) {
    store<u8>(c, 0, DUP_ACKS);
    const counted = min(held, advance - min(advance, mss));
    const delivered = load<u32>(f, fields.DELIVERED);
    store<u32>(f, delivered - min(counted, delivered), fields.DELIVERED);
    store<u32>(f, before(una, load<u32>(f, fields.POINT)) ? held - counted : 0, fields.SACKED);
    if (marked(c, RECOVERY) && before(una, load<u32>(f, fields.POINT))) losses.loseFirst(c, f, mss, micros());
  } else if (dup && !marked(c, LOSS)) {
    store<u32>(f, held + mss, fields.SACKED);
    const dups: u32 = min<u32>(load<u8>(c, DUP_ACKS) + 1, 254);
    store<u8>(c, <u8>dups, DUP_ACKS);
    // RFC 6582 §3.2, step 1: duplicates of what was sent again in the last recovery begin no other one.
    const begins = dups == DUP_THRESHOLD && !marked(c, RECOVERY) && after(una, load<u32>(f, fields.POINT));
    if (begins) losses.loseFirst(c, f, mss, micros());
  }
  // Whatever a peer pretends, no more has arrived than was sent, and neither the first segment nor what is lost.
  const rest = load<u32>(c, SND_NXT) - una - load<u32>(f, fields.LOST);
  const bound = min(load<u32>(f, fields.SACKED), rest - min(rest, mss));
  if (!advance && bound > held) store<u32>(f, bound - held, fields.DELIVERED);
  store<u32>(f, bound, fields.SACKED);
}

/** Takes a sample of the round-trip time: of what was sent once (Karn), or by timestamps (RFC 7323 §4.1). */
export function takeSample(c: usize, f: usize, advance: u32, now: u32): void {
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
