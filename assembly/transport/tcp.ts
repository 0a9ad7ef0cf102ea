// TCP, RFC 9293: finds the connection of a segment, or has one begun.

import { Drop } from "../../abi/counters";
import { THREAD_COUNT } from "../../abi/streams";
import { ANSWER_TCP } from "../../abi/tables";
import { SEGMENT } from "../../abi/tcp";
import { holds, sumWide } from "../checksum";
import { keepEarly } from "../link/link";
import { verified } from "../offload";
import { answers, family } from "../packet";
import { arrive } from "../tcp/input";
import { listen } from "../tcp/listen";
import { parse } from "../tcp/segment";
import { find } from "../tcp/table";
import { isRecord, wait } from "../tcp/timewait";
import { DONE, drop } from "../verdict";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/tcp";

/** RFC 3168 §5: Congestion Experienced. */
const CONGESTED: u32 = 3;

/** Judges the segment of `len` bytes at `tcp`. */
export function tcp(packet: usize, ip: usize, tcp: usize, len: u32): i32 {
  const listens = (answers(packet) & ANSWER_TCP) != 0;
  // A connection that was opened from here needs no port that answers.
  if (!listens && !load<u32>(THREAD_COUNT)) return drop(Drop.no_socket);
  // A connection has one time for all that it does.
  const early = keepEarly(packet, ip);
  if (early != DONE) return early;
  if (len < wire.MIN_HEADER_LEN) return drop(Drop.pkt_too_small);
  const headerLen = wire.headerLen(tcp);
  if (headerLen < wire.MIN_HEADER_LEN || headerLen > len) return drop(Drop.pkt_too_small);
  const six = family(packet) == 6;
  if (!verified(packet)) {
    const pseudo = six ? ipv6.pseudoSum(ip, ipv6.TCP, len) : ipv4.pseudoSum(ip, len);
    if (!holds(pseudo + sumWide(tcp, len))) return drop(Drop.tcp_csum);
  }

  parse(SEGMENT, tcp, len, (six ? ipv6.ecn(ip) : ipv4.ecn(ip)) == CONGESTED);
  const c = find(six ? ipv6.srcAddr(ip) : ipv4.srcAddr(ip), six, wire.ports(tcp));
  if (!c) return listens ? listen(packet, ip, tcp, SEGMENT) : drop(Drop.no_socket);
  if (isRecord(c)) return wait(packet, ip, tcp, SEGMENT, c);
  return arrive(packet, ip, tcp, c, SEGMENT);
}
