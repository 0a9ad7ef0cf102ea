// ICMP errors, RFC 792; RFC 1122 §3.2.2. An error has a slot of its own, so the packet that it quotes stays as it came.

import { ERRORS, IcmpError } from "../../abi/counters";
import { MIN_PATH_MTU } from "../../abi/paths";
import { emit } from "../link/link";
import { add, takeReply } from "../memory";
import { finish } from "../offload";
import { owner, ttl } from "../packet";
import { controlDscp } from "../path/error";
import { isToHop, roomOf } from "../path/route";
import * as icmp from "../wire/icmp";
import * as ipv4 from "../wire/ipv4";
import { mayError, maySpeakOf } from "./permitted";

/** RFC 1812 §4.3.2.3: the maximum length of an error, which quotes as much of the packet as fits. */
const MAX_LEN: u32 = 576;

/**
 * Sends an error about a datagram, unless none may be sent about it or too many have been sent. The caller has checked
 * that both addresses are single hosts'. `parameter` has the 32 bits behind the checksum, big-endian.
 */
export function error(packet: usize, ip: usize, kind: IcmpError, type: u32, code: u32, parameter: u32): void {
  if (!maySpeakOf(ip) || !mayError(packet, ip, kind)) return;
  finish(packet, ip);
  const quoted = min(ipv4.totalLen(ip), min(MAX_LEN, roomOf(owner(packet))) - ipv4.MIN_HEADER_LEN - icmp.HEADER_LEN);
  const msgLen = icmp.HEADER_LEN + quoted;
  const reply = takeReply(packet);
  const msg = reply + ipv4.MIN_HEADER_LEN;
  memory.copy(msg + icmp.HEADER_LEN, ip, quoted);
  icmp.setError(msg, msgLen, type, code, parameter);
  ipv4.setHeader(reply, msgLen, ipv4.PROTOCOL_ICMP, ttl(packet), ipv4.dstAddr(ip), ipv4.srcAddr(ip));
  let change: u32 = isToHop(packet, ip) ? ipv4.setDscp(reply, controlDscp(ip)) : 0;
  // The checksum is a digest of the quoted packet, so it tells this error from others.
  if (ipv4.MIN_HEADER_LEN + msgLen > <u32>MIN_PATH_MTU) change += ipv4.allowFragments(reply, icmp.checksumOf(msg));
  if (change) ipv4.setTtl(reply, ttl(packet), change);
  if (emit(packet, reply, ipv4.MIN_HEADER_LEN + msgLen)) add(ERRORS + kind, 1);
}
