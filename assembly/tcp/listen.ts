// A segment that belongs to no connection (RFC 9293 §3.10.7.1, §3.10.7.2): it begins one, or it is refused, or it is
// left unanswered, as the port's service has it. Under a flood of SYNs, connections begin with the answer to a cookie.

import { FRAME_OFFSET, MTU, NOW } from "../../abi/control";
import { Cookie, COOKIES, Counter, Drop, Reset, RESETS } from "../../abi/counters";
import { SLOT_ALIGN } from "../../abi/slots";
import { ANSWER_ERRORS, FIRST_PREFIX, PREFIX_TCP, PREFIX_TCP_SIZE } from "../../abi/tables";
import {
  ADDRESSES, BACKOFF, CONNECTION_COUNT, DRAIN, HALF_OPEN, ISN_KEY, LAST_ACK_SENT, LINK, LINK_LEN, MAX_BY_SOURCE,
  MAX_CONNECTIONS, MAX_WND, MSS, PORTS, PREFIX_CONNECTIONS, RCV_EDGE, RCV_NXT, RCV_SCALE, RETRANSMIT_AT, SENT_AT,
  Service, SERVICE, SND_END, SND_NXT, SND_SCALE, SND_UNA, SND_WND, SOURCE_CONNECTIONS, State, TS_RECENT,
  TS_RECENT_AGE, TTL,
} from "../../abi/tcp";
import { permits } from "../limit";
import { add, spare } from "../memory";
import { answers, family, link, owner, ttl } from "../packet";
import { kindOf } from "../ports";
import { table } from "../prefix";
import { siphash } from "../siphash";
import { DONE, drop } from "../verdict";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/tcp";
import * as build from "./build";
import {
  ECN, has, heard, micros, retransmitIn, SACK, SCALED, seconds, setFlag, setState, SIX, TIMESTAMPS,
} from "./connection";
import * as cookie from "./cookie";
import { count, own } from "./end";
import * as path from "./path";
import * as segment from "./segment";
import * as services from "./services";
import { arrive } from "./input";
import { sourceOf } from "./source";
import { allocate, insert } from "./table";
import { schedule } from "./timer";

/** Half-open connections from which on SYNs are answered by cookies. */
const MAX_HALF_OPEN: u32 = 2048;
/** The shift count of windows here. */
export const SCALE: u32 = 7;
/** The window of a SYN-ACK, which is never scaled. */
const SYN_WINDOW: u32 = 65535;
const SYN_ACK_US: u32 = 1_000_000;
/** RFC 9293 §3.7.1, MUST-15. */
const DEFAULT_MSS: u32 = 536;
const DEFAULT_MSS6: u32 = 1220;

/** Judges a segment that belongs to no connection. */
export function listen(packet: usize, ip: usize, tcp: usize, s: usize): i32 {
  const service = services.serviceAt(owner(packet), wire.dstPort(tcp));
  const kind = kindOf(service);
  const bits = segment.flags(s);
  // No answer to a reset, ever.
  if (kind == Service.silent || bits & wire.RST) return drop(Drop.no_socket);
  if (kind == Service.refuse || load<u32>(DRAIN)) return refuse(packet, ip, tcp, s, Reset.closed_port);
  if (bits & wire.ACK) {
    if (!(bits & wire.SYN)) {
      const c = fromCookie(packet, ip, tcp, s, service);
      if (c) return arrive(packet, ip, tcp, c, s);
      // A tail loss probe (RFC 8985 §7.3) comes before the data that has the answer to a cookie, where that was lost. A
      // reset would end the connection that its peer has; left unanswered, the peer sends from the beginning again.
      if (cookie.areAbout() && segment.span(s)) return drop(Drop.no_socket);
    }
    return refuse(packet, ip, tcp, s, Reset.no_connection);
  }
  if ((bits & (wire.SYN | wire.FIN)) != wire.SYN) return drop(Drop.tcp_flags);
  const six = family(packet) == 6;
  return accept(packet, ip, tcp, s, service, isn(addressesOf(ip, six), six, wire.ports(tcp)));
}

/**
 * Begins a connection with this initial sequence number, and answers its SYN. If there is no room, the SYN is left
 * unanswered, and the peer asks again: no connection that there is has to make room for a new one.
 */
export function accept(packet: usize, ip: usize, tcp: usize, s: usize, service: usize, iss: u32): i32 {
  if (!permits(packet, ip)) return drop(Drop.rate_limited);
  if (!hasRoom(packet, ip) || !services.accepts(service)) return drop(Drop.tcp_limit);
  const most = min(MAX_HALF_OPEN, load<u32>(MAX_CONNECTIONS) + 1 >>> 1);
  if (load<u32>(HALF_OPEN) >= most) return sendCookie(packet, ip, tcp, s, service);
  const c = create(packet, ip, tcp, s, service, iss);
  if (!c) return drop(Drop.tcp_limit);
  agree(c, s);
  if (wantsEcn(s)) setFlag(c, ECN);
  store<u32>(c, segment.seq(s) + 1, RCV_NXT);
  store<u32>(c, segment.seq(s) + 1, RCV_EDGE);
  store<u32>(c, segment.seq(s) + 1, LAST_ACK_SENT);
  synAck(c);
  schedule(c);
  add(Counter.tcpReceived, 1);
  return DONE;
}

/** Takes the options of a SYN or SYN-ACK, all of which this side has. */
export function agree(c: usize, s: usize): void {
  if (segment.hasOption(s, segment.HAS_MSS)) setMss(c, segment.mss(s));
  else setMss(c, has(c, SIX) ? DEFAULT_MSS6 : DEFAULT_MSS);
  if (segment.hasOption(s, segment.SACK_PERMITTED)) setFlag(c, SACK);
  if (segment.hasOption(s, segment.HAS_SCALE)) setScale(c, segment.scale(s));
  if (segment.hasOption(s, segment.HAS_TIMESTAMPS)) setTimestamps(c, segment.tsval(s));
}

/**
 * Sends a SYN-ACK, for the first time or again. What the peer sends does not put off the time at which it is sent again
 * by itself, and so not the end of the attempt.
 */
export function synAck(c: usize): void {
  if (!load<u32>(c, RETRANSMIT_AT)) retransmitIn(c, SYN_ACK_US << load<u8>(c, BACKOFF));
  if (!spare()) return;
  const ip = build.begin(c);
  const tcp = build.headerOf(c, ip);
  const optionsLen = build.writeSynOptions(
    tcp + wire.MIN_HEADER_LEN, localMss(has(c, SIX)), has(c, SACK), has(c, TIMESTAMPS), build.timestamp(),
    load<u32>(c, TS_RECENT), has(c, SCALED) ? SCALE : -1,
  );
  const next = load<u32>(c, RCV_NXT);
  const window = synWindow(c);
  store<u32>(c, next + window, RCV_EDGE);
  wire.setHeader(
    tcp, build.portsOf(c), load<u32>(c, SND_UNA), next, wire.MIN_HEADER_LEN + optionsLen,
    wire.SYN | wire.ACK | (has(c, ECN) ? wire.ECE : 0), window,
  );
  if (load<u8>(c, BACKOFF)) add(Counter.tcpRetransmitted, 1);
  build.finish(c, ip, wire.MIN_HEADER_LEN + optionsLen, 0, 0, false);
  store<u32>(c, micros(), SENT_AT);
}

/**
 * Refuses a segment (RFC 9293 §3.10.7.1), unless the prefix keeps silent about what it does not answer, or too many
 * answers have been sent.
 */
export function refuse(packet: usize, ip: usize, tcp: usize, s: usize, why: Reset): i32 {
  if (!(answers(packet) & ANSWER_ERRORS)) return drop(Drop.no_socket);
  if (!permits(packet, ip)) return drop(Drop.rate_limited);
  if (!spare()) return drop(Drop.nomem);
  const six = family(packet) == 6;
  const reply = build.beginReply(packet);
  const to = reply + (six ? ipv6.HEADER_LEN : ipv4.MIN_HEADER_LEN);
  const ports = rotl<u32>(wire.ports(tcp), 16);
  if (segment.flags(s) & wire.ACK) {
    wire.setHeader(to, ports, segment.ack(s), 0, wire.MIN_HEADER_LEN, wire.RST, 0);
  } else {
    const ack = segment.seq(s) + segment.span(s);
    wire.setHeader(to, ports, 0, ack, wire.MIN_HEADER_LEN, wire.RST | wire.ACK, 0);
  }
  build.finishReply(packet, ip, reply, six, wire.MIN_HEADER_LEN);
  add(RESETS + why, 1);
  add(Counter.tcpReceived, 1);
  return DONE;
}

// ---- a new connection -----------------------------------------------------------------------------------------------

/** Returns an initial sequence number: a secret function of the addresses and ports, plus a clock (RFC 6528). */
export function isn(addresses: usize, six: bool, ports: u32): u32 {
  const code = <u32>siphash(ISN_KEY, addresses, six, ports, 0, 2, 4);
  return code + <u32>(load<u64>(NOW) >>> 6);
}

/** Returns whether the limits allow another connection. */
function hasRoom(packet: usize, ip: usize): bool {
  if (load<u32>(CONNECTION_COUNT) >= load<u32>(MAX_CONNECTIONS)) return false;
  const six = family(packet) == 6;
  const bySource = load<u32>(MAX_BY_SOURCE);
  if (bySource && load<u32>(SOURCE_CONNECTIONS + (sourceOf(addressesOf(ip, six), six) << 2)) >= bySource) return false;
  const index = owner(packet) - FIRST_PREFIX;
  const byPrefix = load<u32>(table() + <usize>index * PREFIX_TCP_SIZE, PREFIX_TCP + 4);
  return !byPrefix || load<u32>(PREFIX_CONNECTIONS + (index << 2)) < byPrefix;
}

/** Makes a connection in SYN-RECEIVED, without what the peer's SYN said. Returns 0 if there is none to be had. */
function create(packet: usize, ip: usize, tcp: usize, s: usize, service: usize, iss: u32): usize {
  const c = allocate();
  if (!c) return 0;
  const six = family(packet) == 6;
  memory.copy(c + ADDRESSES, addressesOf(ip, six), six ? 32 : 8);
  store<u32>(c, wire.ports(tcp), PORTS);
  if (six) setFlag(c, SIX);
  setState(c, State.SYN_RECEIVED);
  insert(c);
  own(c, owner(packet));
  store<u32>(c, <u32>service, SERVICE);
  services.begin(c);
  count(HALF_OPEN, 1);
  add(Counter.tcpHalfOpen, 1);
  count(SOURCE_CONNECTIONS + (sourceOf(c + ADDRESSES, six) << 2), 1);

  const frame = load<u32>(FRAME_OFFSET);
  const linkLen = (<u32>link(packet) & (SLOT_ALIGN - 1)) - frame;
  store<u8>(c, <u8>linkLen, LINK_LEN);
  memory.copy(c + LINK, link(packet) - linkLen, linkLen);
  store<u8>(c, <u8>ttl(packet), TTL);
  store<u32>(c, iss, SND_UNA);
  store<u32>(c, iss + 1, SND_NXT);
  store<u32>(c, iss + 1, SND_END);
  store<u32>(c, segment.window(s), SND_WND);
  store<u32>(c, segment.window(s), MAX_WND);
  heard(c);
  return c;
}

/** Sets how much a segment may carry: what the peer takes, and what the path has room for (RFC 9293, MUST-16). */
function setMss(c: usize, peers: u32): void {
  store<u16>(c, <u16>min(max(peers, build.MIN_MSS), mssOf(has(c, SIX), path.mtuOf(c))), MSS);
}

/** Returns the MSS that is announced: what a packet of the device has room for (MUST-67). */
export function localMss(six: bool): u32 {
  return mssOf(six, load<u32>(MTU));
}

function mssOf(six: bool, mtu: u32): u32 {
  return mtu - (six ? ipv6.HEADER_LEN : ipv4.MIN_HEADER_LEN) - wire.MIN_HEADER_LEN;
}

function setScale(c: usize, peers: u32): void {
  setFlag(c, SCALED);
  store<u8>(c, <u8>min(peers, wire.MAX_SCALE), SND_SCALE);
  store<u8>(c, <u8>SCALE, RCV_SCALE);
}

function setTimestamps(c: usize, value: u32): void {
  setFlag(c, TIMESTAMPS);
  store<u32>(c, value, TS_RECENT);
  store<u32>(c, seconds(), TS_RECENT_AGE);
}

/** Returns the window of a SYN or SYN-ACK. A service that never takes anything says so at once. */
export function synWindow(c: usize): u32 {
  return min(services.room(c), SYN_WINDOW);
}

/** RFC 3168 §6.1.1. */
export function wantsEcn(s: usize): bool {
  return (segment.flags(s) & (wire.ECE | wire.CWR)) == (wire.ECE | wire.CWR);
}

function addressesOf(ip: usize, six: bool): usize {
  return six ? ipv6.srcAddr(ip) : ipv4.srcAddr(ip);
}

// ---- cookies --------------------------------------------------------------------------------------------------------

/** Answers a SYN by a cookie, and keeps nothing. */
function sendCookie(packet: usize, ip: usize, tcp: usize, s: usize, service: usize): i32 {
  if (!spare()) return drop(Drop.nomem);
  const six = family(packet) == 6;
  const reply = build.beginReply(packet);
  const to = reply + (six ? ipv6.HEADER_LEN : ipv4.MIN_HEADER_LEN);
  const sack = segment.hasOption(s, segment.SACK_PERMITTED);
  const timestamps = segment.hasOption(s, segment.HAS_TIMESTAMPS);
  const scaled = segment.hasOption(s, segment.HAS_SCALE);
  const ecn = wantsEcn(s);
  // The window that the connection begins with: see synWindow().
  const window = kindOf(service) == Service.tarpit ? 0 : SYN_WINDOW;
  const mss = segment.hasOption(s, segment.HAS_MSS) ? segment.mss(s) : six ? DEFAULT_MSS6 : DEFAULT_MSS;
  const bits = (sack ? cookie.COOKIE_SACK : 0) | (ecn ? cookie.COOKIE_ECN : 0);
  const scale = scaled ? <i32>segment.scale(s) : -1;
  const iss = cookie.make(addressesOf(ip, six), six, wire.ports(tcp), segment.seq(s), bits, scale, mss);
  const optionsLen = build.writeSynOptions(
    to + wire.MIN_HEADER_LEN, localMss(six), sack, timestamps, build.timestamp(), segment.tsval(s), scaled ? SCALE : -1,
  );
  wire.setHeader(
    to, rotl<u32>(wire.ports(tcp), 16), iss, segment.seq(s) + 1, wire.MIN_HEADER_LEN + optionsLen,
    wire.SYN | wire.ACK | (ecn ? wire.ECE : 0), window,
  );
  build.finishReply(packet, ip, reply, six, wire.MIN_HEADER_LEN + optionsLen);
  add(COOKIES + Cookie.sent, 1);
  add(Counter.tcpReceived, 1);
  return DONE;
}

/** Makes the connection that a cookie stands for. Returns 0 if this acknowledges none, or if there is no room. */
function fromCookie(packet: usize, ip: usize, tcp: usize, s: usize, service: usize): usize {
  if (!cookie.areAbout()) return 0;
  const six = family(packet) == 6;
  const made = segment.ack(s) - 1;
  const irs = segment.seq(s) - 1;
  if (!cookie.isGenuine(addressesOf(ip, six), six, wire.ports(tcp), irs, made)) {
    add(COOKIES + Cookie.failed, 1);
    return 0;
  }
  const c = hasRoom(packet, ip) && services.accepts(service) ? create(packet, ip, tcp, s, service, made) : 0;
  if (!c) return 0;
  setMss(c, cookie.mssOf(six, made));
  if (made & cookie.COOKIE_SACK) setFlag(c, SACK);
  if (made & cookie.COOKIE_ECN) setFlag(c, ECN);
  const scale = cookie.scaleOf(made);
  if (scale >= 0) setScale(c, scale);
  if (segment.hasOption(s, segment.HAS_TIMESTAMPS)) setTimestamps(c, segment.tsval(s));
  store<u32>(c, irs + 1, RCV_NXT);
  store<u32>(c, irs + 1 + synWindow(c), RCV_EDGE);
  store<u32>(c, irs + 1, LAST_ACK_SENT);
  // No round-trip time is known: the SYN-ACK may have been sent at any time.
  store<u8>(c, 1, BACKOFF);
  add(COOKIES + Cookie.accepted, 1);
  return c;
}
