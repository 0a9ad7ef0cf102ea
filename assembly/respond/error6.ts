// ICMPv6 errors, RFC 4443 §2.4. As in error.ts, an error has a slot of its own.

import { ERRORS, ERRORS6, IcmpError } from "../../abi/counters";
import { emit } from "../link/link";
import { add, takeReply } from "../memory";
import { finish } from "../offload";
import { owner, ttl } from "../packet";
import { roomOf } from "../path/route";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv6 from "../wire/ipv6";
import { mayError, maySpeakOf6 } from "./permitted";

/** §2.4 c: the maximum length of an error, the smallest MTU of IPv6. An error quotes as much of the packet as fits. */
const MAX_LEN: u32 = 1280;

/**
 * Sends an error about a packet, unless none may be sent about it or too many have been sent. The caller has checked
 * that the packet is as long as its header says, and that both addresses are single hosts'. `parameter` has the 32 bits
 * behind the checksum.
 */
export function error6(packet: usize, ip: usize, kind: IcmpError, type: u32, code: u32, parameter: u32): void {
  if (!maySpeakOf6(ip) || !mayError(packet, ip, ERRORS6 - ERRORS + kind)) return;
  finish(packet, ip);
  const quoted = min(
    ipv6.HEADER_LEN + ipv6.payloadLen(ip), min(MAX_LEN, roomOf(owner(packet))) - ipv6.HEADER_LEN - icmpv6.HEADER_LEN,
  );
  const msgLen = icmpv6.HEADER_LEN + quoted;
  const reply = takeReply(packet);
  const msg = reply + ipv6.HEADER_LEN;
  memory.copy(msg + icmpv6.HEADER_LEN, ip, quoted);
  ipv6.setHeader(reply, msgLen, ipv6.ICMPV6, ttl(packet), ipv6.dstAddr(ip), ipv6.srcAddr(ip));
  icmpv6.setError(msg, msgLen, type, code, parameter, ipv6.pseudoSum(reply, ipv6.ICMPV6, msgLen));
  if (emit(packet, reply, ipv6.HEADER_LEN + msgLen)) add(ERRORS6 + kind, 1);
}
