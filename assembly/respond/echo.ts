// Echo: the request becomes the reply where it lies (RFC 792; RFC 1122 §3.2.2.6; RFC 1812 §4.3.3.6).
// Type of service, code and data go back as they came. Don't-fragment does not: a reply has to get through a way back that is
// narrower than the way here. What becomes of the identification: ipv4.ts, setReply.

import { MIN_PATH_MTU } from "../../src/abi";
import * as icmp from "../wire/icmp";
import * as ipv4 from "../wire/ipv4";

export function echo(ip: usize, msg: usize, totalLen: u32, ttl: u32): void {
  ipv4.swapAddrs(ip);
  ipv4.setTtl(ip, ttl, totalLen > <u32>MIN_PATH_MTU ? ipv4.allowFragments(ip, icmp.identity(msg)) : 0);
  icmp.setEchoReply(msg);
}
