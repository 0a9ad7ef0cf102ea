// Timestamp: the request becomes the reply where it lies (RFC 792; RFC 1122 §3.2.2.8). As in Linux, the reply has the
// message's own 20 bytes and none that came behind them.

import { ttl } from "../prefix";
import * as icmp from "../wire/icmp";
import * as ipv4 from "../wire/ipv4";

const MS_PER_DAY: i64 = 86_400_000;

/** Returns the reply's length. */
export function timestamp(ip: usize, msg: usize, now: f64): u32 {
  const length = ipv4.headerLen(ip) + icmp.TIMESTAMP_LEN;
  ipv4.swapAddrs(ip);
  ipv4.setTtl(ip, ttl());
  ipv4.setTotalLen(ip, length);
  icmp.setTimestamps(msg, sinceMidnight(now));
  return length;
}

/**
 * Returns the milliseconds since midnight UTC. `now` is Unix time in milliseconds. Its days have no leap seconds, so
 * each midnight is a multiple of a day.
 */
export function sinceMidnight(now: f64): u32 {
  return <u32>(<i64>now % MS_PER_DAY);
}
