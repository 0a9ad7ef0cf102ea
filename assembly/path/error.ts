// Errors of hops (RFC 1812 §4.3, RFC 4443 §3): about a packet whose TTL is over, or that is too long. They may say more
// in an extension (RFC 4884), which the host has written (src/engine/paths.ts).
//
//    ├──────────┬──────────┬──────────────────────────────────┬───────────┐
//    │ IP header│ICMP, with│ the packet, with zeros behind it │ extension │
//    │          │the length│ up to MIN_FIELD_LEN if short     │ structure │
//    ├──────────┴──────────┴──────────────────────────────────┴───────────┤

import { ERRORS, ERRORS6, IcmpError } from "../../abi/counters";
import {
  HOP_BUCKET, HOP_BURST, HOP_ERRORS, HOP_EXTENSION, HOP_EXTENSION6, HOP_IPV4, HOP_IPV6, HOP_MTU, HOP_RATE, HOP_STATE,
  HOP_TTL, HopError,
} from "../../abi/hops";
import { MIN_PATH_MTU } from "../../abi/paths";
import { add, takeReply } from "../memory";
import { family, owner, route } from "../packet";
import { mayError, maySpeakOf, maySpeakOf6 } from "../respond/permitted";
import * as icmp from "../wire/icmp";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import { recordThere } from "./record";
import { pathOf, roomOf, routeAt } from "./route";

/** RFC 1812 §4.3.2.3, RFC 4443 §2.4 c. */
const MAX_LEN: u32 = 576;
const MAX_LEN6: u32 = 1280;
/** RFC 4884 §4: the shortest field of the packet before an extension. */
const MIN_FIELD_LEN: u32 = 128;
/** RFC 1812 §4.3.2.5: the DSCP whose precedence is internetwork control, and the bits that come from the packet. */
const CONTROL_DSCP: u32 = 0x30;
const TOS_BITS: u32 = 0x07;

/**
 * Makes the error of a hop at a place, from 0 on, of the route of a packet of `len` bytes. Returns its address, or 0 if
 * none may be sent.
 */
export function hopError(packet: usize, hop: usize, place: u32, ip: usize, len: u32, error: HopError): usize {
  const six = family(packet) == 6;
  if (!(six ? maySpeakOf6(ip) : maySpeakOf(ip)) || isFrom(hop, ip, six)) return 0;
  if (!mayError(
    packet, ip, counterOf(packet, error) - ERRORS, <usize>load<u32>(hop, HOP_STATE) + HOP_BUCKET,
    load<f32>(hop, HOP_RATE), load<f32>(hop, HOP_BURST),
  )) return 0;
  return six ? error6(packet, hop, place, ip, len, error) : error4(packet, hop, place, ip, len, error);
}

/** Counts an error of a hop about a packet. */
export function countError(packet: usize, hop: usize, error: HopError): void {
  add(counterOf(packet, error), 1);
  const errors = <usize>load<u32>(hop, HOP_STATE) + HOP_ERRORS + (<usize>error << 3);
  store<f64>(errors, load<f64>(errors) + 1);
}

function counterOf(packet: usize, error: HopError): u32 {
  const kind = error == HopError.time_exceeded ? IcmpError.time_exceeded : IcmpError.packet_too_big;
  return (family(packet) == 6 ? ERRORS6 : ERRORS) + kind;
}

/** Returns whether a packet pretends to be from the hop. An error would go from its address to the same one. */
function isFrom(hop: usize, ip: usize, six: bool): bool {
  return six ? ipv6.isSame(hop + HOP_IPV6, ipv6.srcAddr(ip)) : load<u32>(hop, HOP_IPV4) == load<u32>(ipv4.srcAddr(ip));
}

function error4(packet: usize, hop: usize, place: u32, ip: usize, len: u32, error: HopError): usize {
  const room = min(MAX_LEN, roomOf(owner(packet))) - ipv4.MIN_HEADER_LEN - icmp.HEADER_LEN;
  const reply = takeReply(packet);
  const msg = reply + ipv4.MIN_HEADER_LEN;
  const quote = msg + icmp.HEADER_LEN;
  const field = quoteIn(quote, ip, len, room, hop + HOP_EXTENSION, 4);
  const extended = <u32>field & 0xffff;
  if (ipv4.headerLen(ip) <= <u32>(field >>> 16)) {
    recordThere(routeAt(pathOf(owner(packet)), route(packet)), place, quote);
  }
  ipv4.setTtl(quote, ipv4.ttl(ip) - place);
  const msgLen = icmp.HEADER_LEN + <u32>(field >>> 16);
  const length = extended << 14;
  if (error == HopError.time_exceeded) icmp.setError(msg, msgLen, icmp.TIME_EXCEEDED, icmp.TTL_EXCEEDED, length);
  else icmp.setError(
    msg, msgLen, icmp.DESTINATION_UNREACHABLE, icmp.FRAGMENTATION_NEEDED, length | load<u32>(hop, HOP_MTU),
  );
  const ttl = ttlOf(hop, place);
  ipv4.setHeader(reply, msgLen, ipv4.PROTOCOL_ICMP, ttl, hop + HOP_IPV4, ipv4.srcAddr(ip));
  let change = ipv4.setDscp(reply, controlDscp(ip));
  if (ipv4.MIN_HEADER_LEN + msgLen > <u32>MIN_PATH_MTU) change += ipv4.allowFragments(reply, icmp.checksumOf(msg));
  ipv4.setTtl(reply, ttl, change);
  return reply;
}

function error6(packet: usize, hop: usize, place: u32, ip: usize, len: u32, error: HopError): usize {
  const room = min(MAX_LEN6, roomOf(owner(packet))) - ipv6.HEADER_LEN - icmpv6.HEADER_LEN;
  const reply = takeReply(packet);
  const msg = reply + ipv6.HEADER_LEN;
  const quote = msg + icmpv6.HEADER_LEN;
  // RFC 4884 §4: a Packet Too Big has no extension.
  const extension = error == HopError.time_exceeded ? hop + HOP_EXTENSION6 : 0;
  const field = quoteIn(quote, ip, len, room, extension, 8);
  const extended = <u32>field & 0xffff;
  ipv6.setHopLimit(quote, ipv6.hopLimit(ip) - place);
  const msgLen = icmpv6.HEADER_LEN + <u32>(field >>> 16);
  ipv6.setHeader(reply, msgLen, ipv6.ICMPV6, ttlOf(hop, place), hop + HOP_IPV6, ipv6.srcAddr(ip));
  const pseudo = ipv6.pseudoSum(reply, ipv6.ICMPV6, msgLen);
  if (error == HopError.time_exceeded) {
    icmpv6.setError(msg, msgLen, icmpv6.TIME_EXCEEDED, icmpv6.HOP_LIMIT_EXCEEDED, extended << 21, pseudo);
  } else {
    icmpv6.setError(msg, msgLen, icmpv6.PACKET_TOO_BIG, 0, load<u32>(hop, HOP_MTU), pseudo);
  }
  return reply;
}

/** Returns the DSCP of a router's error about a packet. */
export function controlDscp(ip: usize): u32 {
  return CONTROL_DSCP | ipv4.dscp(ip) & TOS_BITS;
}

/** The hops before it take from its TTL, as they do from the packet's. */
function ttlOf(hop: usize, place: u32): u32 {
  const ttl = load<u32>(hop, HOP_TTL);
  return ttl > place + 1 ? ttl - place : 1;
}

/**
 * Quotes a packet, with the extension that {address, bytes} at `extension` says, in at most `room` bytes. Returns the
 * bytes that this took << 16, and those of the packet's field if there is an extension, a multiple of `unit`.
 */
function quoteIn(quote: usize, ip: usize, len: u32, room: u32, extension: usize, unit: u32): u64 {
  const extensionLen: u32 = extension ? load<u32>(extension, 4) : 0;
  if (!extensionLen || room < MIN_FIELD_LEN + extensionLen) {
    const quoted = min(len, room);
    memory.copy(quote, ip, quoted);
    return <u64>quoted << 16;
  }
  const quoted = min(len, room - extensionLen & ~(unit - 1));
  const field = max(MIN_FIELD_LEN, quoted + unit - 1 & ~(unit - 1));
  memory.copy(quote, ip, quoted);
  memory.fill(quote + quoted, 0, field - quoted);
  memory.copy(quote + field, load<u32>(extension), extensionLen);
  return <u64>(field + extensionLen) << 16 | field;
}
