// What is in flight, and what is lost of it.

import { Counter } from "../../abi/counters";
import { ACKED, BACKOFF, CWND, MSS, SENT_AT, SND_END, SND_NXT, SND_UNA } from "../../abi/tcp";
import { add } from "../memory";
import { after, FIN_SENT, has, micros, retransmitIn, stopRetransmission } from "./connection";
import * as rtt from "./rtt";
import * as segment from "./segment";
import * as stream from "./stream";
import { keeps } from "./services";

let lostOne: usize = 0;

export function begin(c: usize, us: u32): void {
  if (us) rtt.sample(c, us);
  store<u32>(c, 10 * <u32>load<u16>(c, MSS), CWND);
}

export function acknowledge(c: usize, s: usize, _windowChanged: bool): void {
  const ack = segment.ack(s);
  const una = load<u32>(c, SND_UNA);
  if (!after(ack, una)) return;
  const from = load<u64>(c, ACKED);
  const bytes = ack - una - (has(c, FIN_SENT) && ack == load<u32>(c, SND_END) + 1 ? 1 : 0);
  store<u64>(c, from + bytes, ACKED);
  store<u32>(c, ack, SND_UNA);
  add(Counter.tcpBytesSent, bytes);
  if (keeps(c)) stream.trim(c, from);
  if (!load<u8>(c, BACKOFF)) rtt.sample(c, max(micros() - load<u32>(c, SENT_AT), 1));
  store<u8>(c, 0, BACKOFF);
  store<u32>(c, load<u32>(c, CWND) + bytes, CWND);
  if (ack == load<u32>(c, SND_NXT)) stopRetransmission(c);
  else retransmitIn(c, rtt.timeout(c));
}

export function allowance(c: usize): u32 {
  const inFlight = load<u32>(c, SND_NXT) - load<u32>(c, SND_UNA);
  const cwnd = load<u32>(c, CWND);
  return cwnd > inFlight ? cwnd - inFlight : 0;
}

export function lost(c: usize, most: u32): u64 {
  if (lostOne != c) return 0;
  lostOne = 0;
  const una = load<u32>(c, SND_UNA);
  return <u64>una << 32 | min(load<u32>(c, SND_NXT) - una, most);
}

export function sent(c: usize, _seq: u32, _end: u32, _again: bool): void {
  store<u32>(c, micros(), SENT_AT);
  retransmitIn(c, rtt.timeout(c) << load<u8>(c, BACKOFF));
}

export function expired(c: usize): bool {
  const times = load<u8>(c, BACKOFF);
  if (times > 9) return false;
  store<u8>(c, times + 1, BACKOFF);
  lostOne = c;
  return true;
}

export function narrower(_c: usize): void {
}

export function end(c: usize): void {
  if (lostOne == c) lostOne = 0;
}
