// What a connection sends, once the packets of a batch have changed it or a timer has come: lost data again, new data,
// FIN, and an acknowledgement, which goes with the first segment or alone (RFC 9293, MUST-58, MUST-59).

import { Counter } from "../../abi/counters";
import { TOUCHED } from "../../abi/slots";
import {
  ACK_AT, ACKED, FLAGS, LAST_ACK_SENT, MAX_WND, MSS, OWNER, PROBES, RCV_NXT, RETRANSMIT_AT, SND_END, SND_NXT, SND_UNA,
  SND_WND, State, TOUCHED_COUNT, UNACKED,
} from "../../abi/tcp";
import { add, spare } from "../memory";
import { segmentRoom } from "../offload";
import { roomOf } from "../path/route";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/tcp";
import * as build from "./build";
import {
  ACK_NOW, CLOSING, CWR_DUE, ECHO_CONGESTION, endIn, FIN_SENT, has, IN_TOUCHED, isDue, mark, marked, PERSIST,
  retransmitIn, setFlag, setState, SIX, state, stopRetransmission, unmark,
} from "./connection";
import { end } from "./input";
import { syn } from "./open";
import { advertise, opens } from "./receive";
import * as recover from "./recover";
import * as rtt from "./rtt";
import * as services from "./services";
import { schedule, soon } from "./timer";

/** Microseconds in which a peer has to acknowledge FIN and what is before it. */
const FIN_US: u32 = 600_000_000;

/** Notes that a connection has to be asked what it has to send when all packets of the batch are judged. */
export function touch(c: usize): void {
  if (has(c, IN_TOUCHED)) return;
  setFlag(c, IN_TOUCHED);
  const count = load<u32>(TOUCHED_COUNT);
  store<u32>(TOUCHED + (count << 2), <u32>c);
  store<u32>(TOUCHED_COUNT, count + 1);
}

/** Has all connections send that this batch has changed. */
export function flush(): void {
  const count = load<u32>(TOUCHED_COUNT);
  store<u32>(TOUCHED_COUNT, 0);
  for (let i: u32 = 0; i < count; i++) {
    const c: usize = load<u32>(TOUCHED + (i << 2));
    // A connection may have ended meanwhile, and its block may have another one.
    if (!has(c, IN_TOUCHED)) continue;
    store<u8>(c, load<u8>(c, FLAGS) & ~<u8>IN_TOUCHED, FLAGS);
    output(c);
  }
}

/** Sends what there is to send, as far as there is room, and sets the timer. */
export function output(c: usize): void {
  if (state(c) == State.CLOSED) return;
  if (state(c) == State.SYN_SENT) {
    if (!load<u32>(c, RETRANSMIT_AT)) {
      if (!spare()) { soon(c); return; }
      syn(c);
    }
  } else if (state(c) != State.SYN_RECEIVED) {
    services.more(c);
    if (build.isBehindLink(c)) fit(c);
    if (!sendData(c)) { soon(c); return; }
    if (marked(c, ACK_NOW) || isDue(load<u32>(c, ACK_AT)) || opens(c)) {
      if (!spare()) { soon(c); return; }
      segment(c, load<u32>(c, SND_NXT), 0, wire.ACK, false);
    }
    if (state(c) == State.TIME_WAIT) { end(c); return; }
  }
  schedule(c);
}

/** Has segments be no longer than the path of the prefix has room for, which a reload may have changed. */
function fit(c: usize): void {
  const headers = wire.MIN_HEADER_LEN + (has(c, SIX) ? ipv6.HEADER_LEN : ipv4.MIN_HEADER_LEN);
  const mss = roomOf(load<i32>(c, OWNER)) - headers;
  if (mss >= <u32>load<u16>(c, MSS)) return;
  store<u16>(c, <u16>mss, MSS);
  recover.narrower(c);
}

/** Sends lost and new data and FIN. Returns false if there is more, for which there is no room now. */
function sendData(c: usize): bool {
  while (spare()) {
    const mss = <u32>load<u16>(c, MSS) - build.optionsLen(c);
    const room = build.isBehindLink(c) ? mss : segmentRoom(has(c, SIX), mss);
    const again = recover.lost(c, room);
    if (again) resend(c, <u32>(again >>> 32), <u32>again);
    else if (!sendNew(c, mss, room)) return true;
  }
  return !pending(c);
}

/** Returns whether something may be waiting to be sent. */
function pending(c: usize): bool {
  return load<u32>(c, SND_UNA) != load<u32>(c, SND_END) || (has(c, CLOSING) && !has(c, FIN_SENT));
}

/**
 * Sends new data, or FIN, or both: one segment, or several that the kernel cuts from one packet of up to `room` bytes.
 * Returns false if there is none, or it may not be sent now.
 */
function sendNew(c: usize, mss: u32, room: u32): bool {
  if (has(c, FIN_SENT)) return false;
  const next = load<u32>(c, SND_NXT);
  const inFlight = next - load<u32>(c, SND_UNA);
  const data = load<u32>(c, SND_END) - next;
  const closing = has(c, CLOSING);
  if (!data && !closing) return false;

  const window = load<u32>(c, SND_WND);
  const usable = window > inFlight ? window - inFlight : 0;
  const allowed = data ? recover.allowance(c) : usable;
  let len = min(min(data, room), min(usable, allowed));
  // Only the last of several segments may be a short one.
  if (len > mss && len != data) len -= len % mss;
  const fin = closing && len == data && usable > len;
  // RFC 9293 §3.8.6.2.1: no small segments, unless they are all there is, or half of what the peer ever took. Whatever
  // is held back for the window's sake waits for the peer, or for the window probe's timer.
  const worth = len >= mss || (len && (len == data || len >= load<u32>(c, MAX_WND) >>> 1)) || fin;
  if (!worth) {
    if (!inFlight && usable < min(data + 1, mss)) persist(c);
    return false;
  }
  if (marked(c, PERSIST)) unpersist(c);
  let flags = wire.ACK;
  if (len && len == data) flags |= wire.PSH;
  if (fin) flags |= wire.FIN;
  if (len && marked(c, CWR_DUE)) {
    flags |= wire.CWR;
    unmark(c, CWR_DUE);
  }
  segment(c, next, len, flags, false);
  const end = next + len + (fin ? 1 : 0);
  store<u32>(c, end, SND_NXT);
  if (fin) closed(c);
  recover.sent(c, next, end, false);
  return true;
}

/** Sends `len` of the sequence space from `seq` on again. */
function resend(c: usize, seq: u32, len: u32): void {
  const end = seq + len;
  const fin = has(c, FIN_SENT) && end == load<u32>(c, SND_NXT);
  const bits = fin ? wire.FIN : end == load<u32>(c, SND_END) ? wire.PSH : 0;
  segment(c, seq, fin ? len - 1 : len, wire.ACK | bits, true);
  recover.sent(c, seq, end, true);
}

/** FIN has been sent. */
function closed(c: usize): void {
  setFlag(c, FIN_SENT);
  // A peer that keeps its window closed does not keep the connection for ever.
  endIn(c, FIN_US);
  setState(c, state(c) == State.ESTABLISHED ? State.FIN_WAIT_1 : State.LAST_ACK);
}

/** Sends a segment with `len` bytes of the stream. It acknowledges what has come. */
export function segment(c: usize, seq: u32, len: u32, flags: u32, again: bool): void {
  const ip = build.begin(c);
  const tcp = build.headerOf(c, ip);
  const headerLen = wire.MIN_HEADER_LEN + build.optionsLen(c);
  if (marked(c, ECHO_CONGESTION)) flags |= wire.ECE;
  wire.setHeader(tcp, build.portsOf(c), seq, load<u32>(c, RCV_NXT), headerLen, flags, advertise(c));
  build.writeOptions(c, tcp + wire.MIN_HEADER_LEN);
  if (len) services.fill(c, tcp + headerLen, load<u64>(c, ACKED) + (seq - load<u32>(c, SND_UNA)), len);
  if (again) add(Counter.tcpRetransmitted, 1);
  const mss = <u32>load<u16>(c, MSS) - (headerLen - wire.MIN_HEADER_LEN);
  build.finish(c, ip, headerLen, len, mss, len != 0 && !again);
  acknowledged(c);
}

/** All that has come has been acknowledged. */
function acknowledged(c: usize): void {
  unmark(c, ACK_NOW);
  store<u32>(c, 0, ACK_AT);
  store<u8>(c, 0, UNACKED);
  store<u32>(c, load<u32>(c, RCV_NXT), LAST_ACK_SENT);
}

// ---- a window that is closed (RFC 9293 §3.8.6.1) --------------------------------------------------------------------

/** The peer has no window for what there is to send: it is probed from time to time, as long as it answers. */
function persist(c: usize): void {
  if (marked(c, PERSIST)) return;
  mark(c, PERSIST);
  store<u8>(c, 0, PROBES);
  retransmitIn(c, rtt.timeout(c));
}

/** The peer has a window again, or has taken a probe. */
export function unpersist(c: usize): void {
  unmark(c, PERSIST);
  store<u8>(c, 0, PROBES);
  stopRetransmission(c);
}

/**
 * The window probe's time has come. What the window has room for is sent, however little that is (§3.8.6.2.1, the
 * override timeout). Into a window that is closed, the next byte is sent, so that the peer has to answer. It counts as
 * sent only if the peer takes it.
 */
export function probe(c: usize): void {
  const next = load<u32>(c, SND_NXT);
  const most = <u32>load<u16>(c, MSS) - build.optionsLen(c);
  const len = min(min(load<u32>(c, SND_WND), load<u32>(c, SND_END) - next), most);
  if (len) {
    // What the window leaves out here is less than a full segment.
    unpersist(c);
    segment(c, next, len, wire.ACK, false);
    store<u32>(c, next + len, SND_NXT);
    recover.sent(c, next, next + len, false);
    return;
  }
  if (next != load<u32>(c, SND_END)) segment(c, next, 1, wire.ACK, false);
  else segment(c, next, 0, wire.ACK | wire.FIN, false);
}

/** The peer has acknowledged a byte or FIN that was a probe: it counts as sent. */
export function probeTaken(c: usize): void {
  const next = load<u32>(c, SND_NXT);
  const fin = next == load<u32>(c, SND_END);
  store<u32>(c, next + 1, SND_NXT);
  if (fin) closed(c);
  recover.sent(c, next, next + 1, false);
}

/** Returns whether an acknowledgement is that of a probe. */
export function isProbes(c: usize, ack: u32): bool {
  const next = load<u32>(c, SND_NXT);
  return marked(c, PERSIST) && ack == next + 1 && load<u32>(c, SND_UNA) == next;
}
