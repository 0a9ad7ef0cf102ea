// Options of the IPv4 header (RFC 791 §3.1, RFC 1122 §3.2.1.8), treated as Linux does. They are judged when a datagram
// comes, whatever it carries, and updated when a reply goes. In between they stay as they came, because an error quotes
// them so. docs/develop/conformance.md says where pongd differs from Linux.
//
//  accept  a malformed option → Parameter Problem; a source route is dropped, or accepted if it is at its end
//  reply   Record Route and Timestamp with this host in them, and the source route reversed; all others are left out
//
// A Record Route and a Timestamp that asks for it get two entries: one as the destination of the request, one as the
// origin of the reply (RFC 1122 §3.2.1.8 (e), §3.2.2.6).

import { REPLY_OPTIONS } from "../../abi/control";
import { Drop, IcmpError } from "../../abi/counters";
import { FIRST_PREFIX, NOBODY, SOURCE_ROUTE, SourceRoute } from "../../abi/tables";
import { owner, table } from "../prefix";
import { drop } from "../verdict";
import * as icmp from "../wire/icmp";
import * as ipv4 from "../wire/ipv4";
import * as options from "../wire/options";
import { error } from "./error";
import { ADDRESS_LEN, isCounted, malformed, TIME_LEN } from "./malformed";
import { sinceMidnight } from "./timestamp";

/** Entries of this host in an option that has room for them. */
const TIMES: u32 = 2;

/** Returns whether the datagram is to be judged further. The caller has judged its addresses. */
export function accept(packet: usize, ip: usize): bool {
  let fault = malformed(ip);
  if (!fault) {
    const route = options.find(ip, options.LOOSE_SOURCE_ROUTE);
    if (!route) return true;
    // RFC 7126 §4.3, §4.4: whoever may choose a reply's way can use it against others.
    if (load<u32>(table(), SOURCE_ROUTE) != SourceRoute.reverse) return false;
    const room = options.room(route);
    if (!room) return true;
    // RFC 1122 §3.3.5: pongd does not forward the datagram to its next hop.
    if (room >= ADDRESS_LEN) return false;
    fault = route + 2;
  }
  // RFC 1122 §3.2.2.5: the pointer is the parameter's first byte.
  error(packet, ip, IcmpError.parameter_problem, icmp.PARAMETER_PROBLEM, 0, <u32>(fault - ip) << 24);
  return false;
}

/**
 * Updates the header's options in a reply of `length` bytes that is otherwise complete. Returns the verdict: its
 * new length, or a reason to drop it.
 */
export function reply(packet: usize, ip: usize, length: u32): i32 {
  const host = ipv4.srcAddr(ip);
  let end: usize = REPLY_OPTIONS;
  const record = options.find(ip, options.RECORD_ROUTE);
  if (record) {
    if (!recordRoute(record, host)) return drop(Drop.ip_options);
    end = append(end, record);
  }
  const timestamp = options.find(ip, options.TIMESTAMP);
  if (timestamp) {
    if (!stamp(timestamp, host, sinceMidnight(packet))) return drop(Drop.ip_options);
    end = append(end, timestamp);
  }
  const route = options.find(ip, options.LOOSE_SOURCE_ROUTE);
  if (route) {
    end = reverse(end, route, ip);
    // I3 once more (input.ts), since the destination has changed.
    if (owner(table(), ipv4.dstAddr(ip)) != NOBODY) return drop(Drop.ip_options);
  }
  while (end & 3) store<u8>(end++, options.END);

  const from = ipv4.headerLen(ip);
  const optionsLen = <u32>end - REPLY_OPTIONS;
  const headerLen = ipv4.MIN_HEADER_LEN + optionsLen;
  memory.copy(ip + headerLen, ip + from, length - from);
  memory.copy(ip + ipv4.MIN_HEADER_LEN, REPLY_OPTIONS, optionsLen);
  ipv4.setLens(ip, headerLen, length - from + headerLen);
  return length - from + headerLen;
}

/** Copies the option to `end`, and returns its end there. */
function append(end: usize, option: usize): usize {
  memory.copy(end, option, options.len(option));
  return end + options.len(option);
}

/**
 * Adds this host to a Record Route. Returns false if there is room after the first entry but not enough for the second,
 * which is an error (RFC 791 §3.1).
 */
function recordRoute(option: usize, host: usize): bool {
  for (let i: u32 = 0; i < TIMES && options.room(option); i++) {
    if (options.room(option) < ADDRESS_LEN) return false;
    store<u32>(options.next(option), load<u32>(host));
    options.setPointer(option, options.pointer(option) + ADDRESS_LEN);
  }
  return true;
}

/** Adds this host to a Timestamp, with `ms` since midnight UTC. Returns false as recordRoute() does. */
function stamp(option: usize, host: usize, ms: u32): bool {
  const flag = options.flag(option);
  const slotLen = options.timestampSlotLen(option);
  if (isCounted(option)) options.setOverflow(option, options.overflow(option) + 1);
  if (flag != options.TIMESTAMPS && slotLen == TIME_LEN) return true;
  for (let i: u32 = 0; i < TIMES && options.room(option); i++) {
    const slot = options.next(option);
    const room = options.room(option);
    if (room < TIME_LEN) return false;
    // The next slot belongs to another host.
    if (flag == options.PRESPECIFIED && (room < slotLen || owner(table(), slot) < FIRST_PREFIX)) return true;
    if (room < slotLen) return false;
    if (flag == options.ADDRESSES_AND_TIMESTAMPS) store<u32>(slot, load<u32>(host));
    store<u32>(slot + slotLen - TIME_LEN, bswap<u32>(ms));
    options.setPointer(option, options.pointer(option) + slotLen);
  }
  return true;
}

/**
 * RFC 1122 §3.2.1.8 (c): writes the reverse of the route by which a request came to `to`. The last hop becomes the
 * reply's destination, and the requester ends the route. Returns the option's end, which is `to` itself if no hop is
 * left between the two.
 */
function reverse(to: usize, route: usize, ip: usize): usize {
  const requester = load<u32>(ipv4.dstAddr(ip));
  const last = route + options.len(route) - ADDRESS_LEN;
  let hops = (options.len(route) - options.ROUTE_HEADER_LEN) / ADDRESS_LEN;
  // Some routes wrongly record the requester itself as the first hop, which is left out.
  if (hops && load<u32>(last - (hops - 1) * ADDRESS_LEN) == requester) hops--;
  if (!hops) return to;
  ipv4.setDstAddr(ip, load<u32>(last));
  options.setHeader(
    to, options.type(route), options.ROUTE_HEADER_LEN + hops * ADDRESS_LEN, options.ROUTE_HEADER_LEN + 1,
  );
  let slot = to + options.ROUTE_HEADER_LEN;
  for (let i: u32 = 1; i < hops; i++, slot += ADDRESS_LEN) store<u32>(slot, load<u32>(last - i * ADDRESS_LEN));
  store<u32>(slot, requester);
  return slot + ADDRESS_LEN;
}
