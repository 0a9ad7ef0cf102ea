// Timestamp: the request becomes the reply where it lies (RFC 792; RFC 1122 §3.2.2.8). As in Linux, the reply has the
// message's own 20 bytes and none that came behind them.

import { ttl, wall } from "../packet";
import * as icmp from "../wire/icmp";
import * as ipv4 from "../wire/ipv4";

const NS_PER_MS: u64 = 1_000_000;
const MS_PER_DAY: u64 = 86_400_000;

/** Returns the reply's length. */
export function timestamp(packet: usize, ip: usize, msg: usize): u32 {
  const length = ipv4.headerLen(ip) + icmp.TIMESTAMP_LEN;
  ipv4.swapAddrs(ip);
  ipv4.setTtl(ip, ttl(packet));
  ipv4.setTotalLen(ip, length);
  icmp.setTimestamps(msg, sinceMidnight(packet));
  return length;
}

/**
 * Returns the milliseconds since midnight UTC when the packet is judged. Unix time has no leap seconds, so each
 * midnight is a multiple of a day.
 */
export function sinceMidnight(packet: usize): u32 {
  return millisecondsOf(wall(packet));
}

/** Returns the milliseconds since midnight UTC at a time on the wall clock. */
export function millisecondsOf(wall: u64): u32 {
  return <u32>(wall / NS_PER_MS % MS_PER_DAY);
}
