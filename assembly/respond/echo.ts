// Echo: the request becomes the reply where it lies (RFC 792; RFC 1122 §3.2.2.6; RFC 1812 §4.3.3.6). Identification,
// don't-fragment flag, type of service, code and data go back as they came. Returning the first two together keeps the
// identification as unique per source, destination and protocol as it was in the request (RFC 6864). A reply that may
// be too long for the way back is sent without don't-fragment: wire/ipv4.ts, allowFragments.

import { MIN_PATH_MTU } from "../../abi/paths";
import * as icmp from "../wire/icmp";
import * as ipv4 from "../wire/ipv4";

export function echo(ip: usize, msg: usize, totalLen: u32, ttl: u32): void {
  ipv4.swapAddrs(ip);
  ipv4.setTtl(ip, ttl, totalLen > <u32>MIN_PATH_MTU ? ipv4.allowFragments(ip, icmp.identity(msg)) : 0);
  icmp.setEchoReply(msg);
}
