// The fast path: it turns plain IPv4 echo requests into replies in one loop without a call, so that
// everything stays in registers.
//
//  1. header     20 bytes, version, checksum, total length          RFC 1122 §3.2.1.1, §3.2.1.2
//  2. datagram   whole; to an address that pongd answers for (I1),
//                from one that a reply may go to (I3)               RFC 1122 §3.2.1.3
//  3. message    an echo request whose checksum holds               RFC 1122 §3.2.2.6
//  4. the reply, where the request lay
//
// The fast path never says no. Whatever is not quite such a packet goes to the slow path (judge.ts), which
// looks at it anew and has a reason for everything. The TTL is not looked at: a host must not drop a
// datagram for it (RFC 1122 §3.2.1.7).

import { Counter, Protocol } from "../abi/counters";
import { ANSWER_ECHO, FIRST_PREFIX, LIMIT_PREFIX, LIMIT_SOURCE, LINKED, NOBODY } from "../abi/tables";
import { holds, sum, sum20 } from "./checksum";
import { judge } from "./judge";
import { add, answered, receive, receivedLength, receivedSlot, send } from "./memory";
import { allFinished } from "./offload";
import { answersOf, owner, table } from "./prefix";
import { echo } from "./respond/echo";
import { ordered } from "./stream/orders";
import { due } from "./timers";
import * as icmp from "./wire/icmp";
import * as ipv4 from "./wire/ipv4";

/** Bits of an answers word. If only ANSWER_ECHO of them is set, an address answers echo without a limit or link. */
const PLAINLY: u32 = ANSWER_ECHO | LIMIT_PREFIX | LIMIT_SOURCE | LINKED;
const MIN_LEN: u32 = ipv4.MIN_HEADER_LEN + icmp.HEADER_LEN;

/**
 * Judges the first `count` packets of RECEIVED. TO_SEND has `replies` packets already, and new replies are added behind
 * them. Returns how many there are then.
 */
export function input(count: u32, replies: u32): u32 {
  const addresses = table();
  // A packet that the kernel has not finished is for the slow path, with all that came beside it: others pay nothing.
  if (!allFinished(count)) return unfinished(count, replies);
  let rest: u32 = 0;
  let bytes: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const ip = receivedSlot(i);
    const length = receivedLength(i);
    bytes += length;

    if (length < MIN_LEN || !ipv4.isPlain(ip)) { receive(rest++, ip, length); continue; }
    if (!holds(sum20(ip))) { receive(rest++, ip, length); continue; }
    // The packet's length by its own account: bytes behind it are padding of a lower link (RFC 791 §3.1).
    const totalLen = ipv4.totalLen(ip);
    if (totalLen > length) { receive(rest++, ip, length); continue; }
    if (totalLen < MIN_LEN) { receive(rest++, ip, length); continue; }

    const prefix = owner(addresses, ipv4.dstAddr(ip));
    if (prefix < FIRST_PREFIX) { receive(rest++, ip, length); continue; }
    if (owner(addresses, ipv4.srcAddr(ip)) != NOBODY) { receive(rest++, ip, length); continue; }
    const odd = ipv4.isFragmentOrReserved(ip);
    if (odd || ipv4.protocol(ip) != ipv4.PROTOCOL_ICMP) { receive(rest++, ip, length); continue; }

    const answers = answersOf(addresses, prefix);
    if ((answers & PLAINLY) != ANSWER_ECHO) { receive(rest++, ip, length); continue; }
    const msg = ip + ipv4.MIN_HEADER_LEN;
    if (!holds(sum(msg, totalLen - ipv4.MIN_HEADER_LEN))) { receive(rest++, ip, length); continue; }
    if (icmp.type(msg) != icmp.ECHO || icmp.turnsZero(msg)) { receive(rest++, ip, length); continue; }
    echo(ip, msg, totalLen, answers & 0xff);
    answered(Protocol.icmp, prefix, 1);
    send(replies++, ip, totalLen);
  }
  add(Counter.bytesReceived, bytes);
  return rest || due() || ordered() ? judge(rest, replies) : replies;
}

function unfinished(count: u32, replies: u32): u32 {
  let bytes: u32 = 0;
  for (let i: u32 = 0; i < count; i++) bytes += receivedLength(i);
  add(Counter.bytesReceived, bytes);
  return judge(count, replies);
}
