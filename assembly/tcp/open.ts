// Opens connections from here, which service threads ask for: the request (RFC 9293 §3.10.1), the SYN, and what comes
// in SYN-SENT (§3.10.7.3). From then on such a connection is like any other; only one in SYN-RECEIVED, after a
// simultaneous open, is still known as one that was asked for (MUST-11).

import { DEVICE_MAC, MODE, Mode } from "../../abi/control";
import { Counter, Drop, Reset } from "../../abi/counters";
import { REQUEST_ADDRESSES, REQUEST_FAMILY, REQUEST_NUMBER, REQUEST_PORTS, Unopened } from "../../abi/streams";
import { FIRST_PREFIX, NOBODY, PREFIX_TCP, PREFIX_TCP_SIZE } from "../../abi/tables";
import {
  ADDRESSES, BACKOFF, CONNECTION_COUNT, DRAIN, EPHEMERAL, HALF_OPEN, ISN_KEY, LAST_ACK_SENT, LINK, LINK_LEN,
  MAX_CONNECTIONS, MAX_WND, PORTS, PREFIX_CONNECTIONS, RCV_EDGE, RCV_NXT, SENT_AT, Service, SERVICE, SERVICE_SIZE,
  SERVICES, SND_END, SND_NXT, SND_UNA, SND_WL1, SND_WND, State, TTL,
} from "../../abi/tcp";
import { mac, mac6 } from "../mac";
import { add, spare } from "../memory";
import { answersOf, owner, owner6, table } from "../prefix";
import { siphash } from "../siphash";
import { DONE, drop } from "../verdict";
import * as ethernet from "../wire/ethernet";
import * as wire from "../wire/tcp";
import * as build from "./build";
import {
  ACK_NOW, ECN, has, heard, mark, micros, retransmitIn, setFlag, setState, SIX, stopRetransmission,
} from "./connection";
import { count, fail, own } from "./end";
import { take } from "./input";
import { agree, isn, localMss, refuse, SCALE, synAck, synWindow, wantsEcn } from "./listen";
import { touch } from "./output";
import * as recover from "./recover";
import * as segment from "./segment";
import * as services from "./services";
import { allocate, find, insert, release } from "./table";

/** RFC 6298 §2.1. It doubles each time: with SYN_RETRIES in timer.ts, MUST-23 is kept. */
const SYN_US: u32 = 1_000_000;
/** Local ports that are chosen: from FIRST_PORT on, to the last one there is. */
const FIRST_PORT: u32 = 32_768;
const PORT_COUNT: u32 = 32_768;
/** Ports that are tried for a connection. Who has more than half of them in use finds one, but for once in 2^256. */
const TRIES: u32 = 256;

/** Opens the connection that the thread's request describes, which it may change meanwhile. Returns why not. */
export function open(thread: u32, request: usize): Unopened {
  if (load<u32>(DRAIN)) return Unopened.ended;
  if (load<u32>(CONNECTION_COUNT) >= load<u32>(MAX_CONNECTIONS)) return Unopened.no_room;
  const c = allocate();
  if (!c) return Unopened.no_room;
  const why = describe(c, request);
  if (why) {
    release(c);
    return why;
  }
  setState(c, State.SYN_SENT);
  insert(c);
  store<u32>(c, SERVICES + SERVICE_SIZE * Service.stream, SERVICE);
  services.ask(c, thread, load<u32>(request, REQUEST_NUMBER));
  const iss = isn(c + ADDRESSES, has(c, SIX), load<u32>(c, PORTS));
  store<u32>(c, iss, SND_UNA);
  store<u32>(c, iss + 1, SND_NXT);
  store<u32>(c, iss + 1, SND_END);
  heard(c);
  // SYN goes out with what the other connections send.
  touch(c);
  return Unopened.not;
}

/** Copies a request into a block, and judges the copy. */
function describe(c: usize, request: usize): Unopened {
  const version = load<u32>(request, REQUEST_FAMILY);
  if (version != 4 && version != 6) return Unopened.no_address;
  const six = version == 6;
  if (six) setFlag(c, SIX);
  memory.copy(c + ADDRESSES, request + REQUEST_ADDRESSES, six ? 32 : 8);
  store<u32>(c, load<u32>(request, REQUEST_PORTS), PORTS);

  const remote = c + ADDRESSES;
  const local = remote + (six ? 16 : 4);
  const prefix = ownerOf(local, six);
  if (prefix < FIRST_PREFIX) return Unopened.no_address;
  // RFC 9293, MUST-46: no group of hosts. A segment from an address of pongd's would be dropped as well.
  if (ownerOf(remote, six) != NOBODY || !load<u16>(c, PORTS)) return Unopened.no_destination;
  const index = prefix - FIRST_PREFIX;
  const most = load<u32>(table() + <usize>index * PREFIX_TCP_SIZE, PREFIX_TCP + 4);
  if (most && load<u32>(PREFIX_CONNECTIONS + (index << 2)) >= most) return Unopened.no_room;
  if (load<u32>(MODE) == Mode.tap && !setLink(c, local, six)) return Unopened.no_link;
  if (!load<u16>(c, PORTS + 2)) {
    if (!choosePort(c, six)) return Unopened.no_port;
  } else if (find(remote, six, load<u32>(c, PORTS))) {
    return Unopened.in_use;
  }
  own(c, prefix);
  store<u8>(c, <u8>answersOf(table(), prefix), TTL);
  return Unopened.not;
}

function ownerOf(address: usize, six: bool): i32 {
  return six ? owner6(table(), address) : owner(table(), address);
}

/** Sets the header of frames to the host. Returns false if it is not known where that is. */
function setLink(c: usize, local: usize, six: bool): bool {
  const device = atomic.load<u64>(DEVICE_MAC);
  if (!device) return false;
  const frame = c + LINK;
  ethernet.store48(ethernet.dstMac(frame), device);
  ethernet.store48(ethernet.srcMac(frame), six ? mac6(local) : mac(local));
  ethernet.setType(frame, six ? ethernet.IPV6 : ethernet.IPV4);
  store<u8>(c, <u8>ethernet.HEADER_LEN, LINK_LEN);
  return true;
}

/**
 * Chooses a local port (RFC 6056 §3.3.3): a secret function of the other end says where to begin, and a count goes on
 * from there, so that nobody outside can tell the next one. Returns false if none was found that is free.
 */
function choosePort(c: usize, six: bool): bool {
  const remotePort = load<u16>(c, PORTS);
  // Unlike initial sequence numbers, these have a 1 in the second word.
  const offset = <u32>siphash(ISN_KEY, c + ADDRESSES, six, remotePort, 1, 2, 4);
  let serial = load<u32>(EPHEMERAL);
  for (let i: u32 = 0; i < TRIES; i++) {
    const port = FIRST_PORT + (serial++ + offset) % PORT_COUNT;
    store<u16>(c, bswap<u16>(<u16>port), PORTS + 2);
    if (find(c + ADDRESSES, six, load<u32>(c, PORTS))) continue;
    store<u32>(EPHEMERAL, serial);
    return true;
  }
  store<u32>(EPHEMERAL, serial);
  return false;
}

/** Sends a SYN, for the first time or again. */
export function syn(c: usize): void {
  const again = load<u8>(c, BACKOFF) != 0;
  retransmitIn(c, SYN_US << load<u8>(c, BACKOFF));
  if (!spare()) return;
  const ip = build.begin(c);
  const tcp = build.headerOf(c, ip);
  const optionsLen = build.writeSynOptions(
    tcp + wire.MIN_HEADER_LEN, localMss(has(c, SIX)), true, true, build.timestamp(), 0, SCALE,
  );
  // RFC 3168 §6.1.1.1: what is on the way may not like a SYN that asks for ECN.
  const bits = again ? wire.SYN : wire.SYN | wire.ECE | wire.CWR;
  wire.setHeader(
    tcp, build.portsOf(c), load<u32>(c, SND_UNA), 0, wire.MIN_HEADER_LEN + optionsLen, bits, synWindow(c),
  );
  if (again) add(Counter.tcpRetransmitted, 1);
  build.finish(c, ip, wire.MIN_HEADER_LEN + optionsLen, 0, 0, false);
  store<u32>(c, micros(), SENT_AT);
}

/** Judges a segment for a connection in SYN-SENT (RFC 9293 §3.10.7.3). */
export function synSent(packet: usize, ip: usize, tcp: usize, c: usize, s: usize): i32 {
  const bits = segment.flags(s);
  const acks = (bits & wire.ACK) != 0;
  if (acks && segment.ack(s) != load<u32>(c, SND_NXT)) {
    if (bits & wire.RST) return drop(Drop.tcp_invalid_ack_sequence);
    // What the peer still has of an earlier connection ends with it, so that the next SYN may be answered.
    return refuse(packet, ip, tcp, s, Reset.no_connection);
  }
  if (bits & wire.RST) {
    if (!acks) return drop(Drop.tcp_invalid_ack_sequence);
    fail(c, Unopened.refused);
    return taken();
  }
  if (!(bits & wire.SYN) || (!acks && bits & wire.FIN)) return drop(Drop.tcp_flags);
  heard(c);
  agree(c, s);
  const next = segment.seq(s) + 1;
  store<u32>(c, next, RCV_NXT);
  store<u32>(c, next, LAST_ACK_SENT);
  store<u32>(c, next + synWindow(c), RCV_EDGE);
  store<u32>(c, segment.seq(s), SND_WL1);
  // The window of a SYN is never scaled (RFC 7323 §2.2).
  store<u32>(c, segment.window(s), SND_WND);
  store<u32>(c, segment.window(s), MAX_WND);
  // Who has sent a SYN without ECN has none (RFC 3168 §6.1.1).
  const ecn = acks ? (bits & (wire.ECE | wire.CWR)) == wire.ECE : wantsEcn(s);
  if (ecn && !load<u8>(c, BACKOFF)) setFlag(c, ECN);
  if (acks) establish(c, s);
  else cross(c);
  return taken();
}

/** Both sides have sent a SYN (MUST-10). What else the peer's has, it sends again. */
function cross(c: usize): void {
  setState(c, State.SYN_RECEIVED);
  count(HALF_OPEN, 1);
  add(Counter.tcpHalfOpen, 1);
  synAck(c);
}

/** The SYN has been answered. */
function establish(c: usize, s: usize): void {
  setState(c, State.ESTABLISHED);
  stopRetransmission(c);
  store<u32>(c, load<u32>(c, SND_NXT), SND_UNA);
  recover.begin(c, load<u8>(c, BACKOFF) ? 0 : max(micros() - load<u32>(c, SENT_AT), 1));
  services.open(c);
  mark(c, ACK_NOW);
  segment.dropSyn(s, 0);
  take(c, s);
  touch(c);
}

function taken(): i32 {
  add(Counter.tcpReceived, 1);
  return DONE;
}
