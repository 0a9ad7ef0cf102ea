// Services of UDP ports. An answer may be answered in turn, and nothing that goes to and fro between two services has a
// TTL of which it would die. So no answer goes to a port where there may be a service, and each source has a limit.

import { Drop, SERVED } from "../../abi/counters";
import { ANY_SOURCE, STAMP_FLAGS } from "../../abi/stamp";
import { LIMIT_SOURCE } from "../../abi/tables";
import { Service, SERVICE_BYTES, SERVICE_SIZE, SERVICES } from "../../abi/tcp";
import { permitsWithin } from "../limit";
import { keepEarly } from "../link/link";
import { add } from "../memory";
import { answers, ttl } from "../packet";
import { kindOf, serviceIn } from "../ports";
import { DONE, drop, isReply } from "../verdict";
import * as wire from "../wire/udp";
import { hand } from "./datagrams";
import { answerIrtt } from "./irtt";
import { dscpOf, reply } from "./reply";
import { reflectSbfd } from "./sbfd";
import { reflect } from "./stamp";

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
  if (isThreads) {
    const early = keepEarly(packet, ip);
    if (early != DONE) return early;
  }
  if (!takesAny(service, kind) && mayAnswer(list, wire.srcPort(datagram))) return drop(Drop.udp_loop);
  if (!permitsWithin(packet, ip, answers(packet) | LIMIT_SOURCE)) return drop(Drop.rate_limited);
  if (isThreads) {
    const verdict = hand(packet, ip, datagram, len, service);
    if (verdict == DONE) count(service);
    return verdict;
  }
  const verdict = answer(packet, ip, datagram, len, service);
  if (isReply(verdict)) count(service);
  return verdict;
}

function answer(packet: usize, ip: usize, datagram: usize, len: u32, service: usize): i32 {
  switch (kindOf(service)) {
    case Service.stamp: return reflect(packet, ip, datagram, len, service);
    case Service.irtt: return answerIrtt(packet, ip, datagram, len, service);
    case Service.sbfd: return reflectSbfd(packet, ip, datagram, len, service);
    default: return reply(packet, ip, datagram, len, ttl(packet), dscpOf(packet, ip));
  }
}

/**
 * Returns whether at a port there may be somebody who answers whatever comes: a service with a well-known port (CERT
 * VU#417980), or one that this prefix has at the port, as the other end may have, too.
 */
function mayAnswer(list: usize, port: u32): bool {
  if (port < FIRST_UNPRIVILEGED) return true;
  switch (port) {
    // SSDP, IRTT, STUN, WS-Discovery, mDNS, S-BFD, memcached.
    case 1900: case 2112: case 3478: case 3702: case 5353: case 7784: case 11211: return true;
  }
  const service = serviceIn(list, port);
  return service != 0 && kindOf(service) != Service.silent && kindOf(service) != Service.discard;
}

/** Returns whether a service wants to hear from any port. */
function takesAny(service: usize, kind: Service): bool {
  const bytes: usize = load<u32>(service, SERVICE_BYTES);
  if (kind == Service.datagram) return load<u8>(bytes + ID_LEN) != 0;
  return kind == Service.stamp && (load<u8>(bytes, STAMP_FLAGS) & ANY_SOURCE) != 0;
}

function count(service: usize): void {
  add(SERVED + <u32>(service - SERVICES) / SERVICE_SIZE, 1);
}
