// Services of UDP ports. An answer may be answered in turn, and nothing that goes to and fro between two services has a
// TTL of which it would die. So no answer goes to a port where there may be a service, and each source has a limit.

import { Drop, SERVED } from "../../abi/counters";
import { LIMIT_SOURCE } from "../../abi/tables";
import { Service, SERVICE_BYTES, SERVICE_SIZE, SERVICES } from "../../abi/tcp";
import { permitsWithin } from "../limit";
import { add } from "../memory";
import { answers, family, ttl } from "../packet";
import { kindOf, serviceIn } from "../ports";
import { DONE, drop } from "../verdict";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/udp";
import { hand } from "./datagrams";

/** Ports below are not those of clients. */
const FIRST_UNPRIVILEGED: u32 = 1024;
/** Bytes of a service's id. */
const ID_LEN: usize = 8;

/**
 * Judges a datagram of `len` bytes, which is intact, at a port that has this service. `list` are the ports of its
 * destination.
 */
export function serve(packet: usize, ip: usize, datagram: usize, len: u32, list: usize, service: usize): i32 {
  const kind = kindOf(service);
  if (kind == Service.silent) return drop(Drop.no_socket);
  if (kind == Service.discard) {
    count(service);
    return drop(Drop.udp_discard);
  }
  const isThreads = kind == Service.datagram;
  if (!(isThreads && takesAny(service)) && mayAnswer(list, wire.srcPort(datagram))) return drop(Drop.udp_loop);
  if (!permitsWithin(packet, ip, answers(packet) | LIMIT_SOURCE)) return drop(Drop.rate_limited);
  if (isThreads) {
    const verdict = hand(packet, ip, datagram, len, service);
    if (verdict == DONE) count(service);
    return verdict;
  }
  count(service);
  return family(packet) == 6 ? echo6(packet, ip, datagram, len) : echo4(packet, ip, datagram, len);
}

/**
 * Returns whether at a port there may be somebody who answers whatever comes: a service with a well-known port (CERT
 * VU#417980), or one that this prefix has at the port, as the other end may have, too.
 */
function mayAnswer(list: usize, port: u32): bool {
  if (port < FIRST_UNPRIVILEGED) return true;
  switch (port) {
    // SSDP, TWAMP's sender, STUN, WS-Discovery, mDNS, S-BFD, memcached.
    case 1900: case 2112: case 3478: case 3702: case 5353: case 7784: case 11211: return true;
  }
  const service = serviceIn(list, port);
  return service != 0 && kindOf(service) != Service.silent && kindOf(service) != Service.discard;
}

/** Returns whether a service of a thread's wants to hear from any port. */
function takesAny(service: usize): bool {
  return load<u8>(<usize>load<u32>(service, SERVICE_BYTES) + ID_LEN) != 0;
}

function count(service: usize): void {
  add(SERVED + <u32>(service - SERVICES) / SERVICE_SIZE, 1);
}

/**
 * RFC 862: the datagram becomes the answer where it lies. Its checksum still holds, or there is still none. The DSCP
 * goes back; the ECN codepoint does not, since a reflected Congestion Experienced would tell of the wrong way. Bytes
 * behind the datagram do not go back.
 */
function echo4(packet: usize, ip: usize, datagram: usize, len: u32): i32 {
  wire.swapPorts(datagram);
  ipv4.swapAddrs(ip);
  const replyLen = ipv4.headerLen(ip) + len;
  if (replyLen != ipv4.totalLen(ip)) ipv4.setTotalLen(ip, replyLen);
  ipv4.setTtl(ip, ttl(packet), ipv4.clearEcn(ip));
  return replyLen;
}

/** The same over IPv6: see ../respond/echo6.ts. */
function echo6(packet: usize, ip: usize, datagram: usize, len: u32): i32 {
  wire.swapPorts(datagram);
  if (datagram != ip + ipv6.HEADER_LEN) memory.copy(ip + ipv6.HEADER_LEN, datagram, len);
  ipv6.swapAddrs(ip);
  ipv6.clearEcn(ip);
  ipv6.setPayload(ip, len, ipv6.UDP, ttl(packet));
  return ipv6.HEADER_LEN + len;
}
