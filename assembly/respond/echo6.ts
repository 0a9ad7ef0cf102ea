// ICMPv6 echo: the request becomes the reply where it lies (RFC 4443 §4.2). Traffic class and flow label go back as
// they came. Both directions of a flow then have one label, as uniform and as hard to guess as the sender made it
// (RFC 6437 §3). Extension headers do not go back: the message moves up to the IPv6 header.

import { ttl } from "../packet";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv6 from "../wire/ipv6";

/** Returns the reply's length. */
export function echo6(packet: usize, ip: usize, msg: usize, msgLen: u32): u32 {
  icmpv6.setEchoReply(msg);
  if (msg != ip + ipv6.HEADER_LEN) memory.copy(ip + ipv6.HEADER_LEN, msg, msgLen);
  ipv6.swapAddrs(ip);
  ipv6.setPayload(ip, msgLen, ipv6.ICMPV6, ttl(packet));
  return ipv6.HEADER_LEN + msgLen;
}
