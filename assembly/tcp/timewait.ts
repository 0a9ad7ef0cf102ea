// TIME-WAIT (RFC 9293 §3.3.2): what is left of a connection that was closed from here first, so that late segments of
// it do no harm. A record is a cache line. Records are a ring in the order of their end, since all live equally long:
// one that is to wait anew goes to the ring's end when its time is over. When it is full, the oldest one makes room.

import { NOW } from "../../abi/control";
import { Counter, Drop } from "../../abi/counters";
import {
  ADDRESSES, DRAIN, FLAGS, MAX_WAITS, NEXT, PORTS, RCV_NXT, Service, SND_NXT, STATE, State, TS_RECENT, WAIT_AGAIN,
  WAIT_COUNT, WAIT_FIRST, WAIT_RCV_NXT, WAIT_SIZE, WAIT_SND_NXT, WAIT_TIMER, WAIT_TS_RECENT, WAIT_UNTIL, WAITS,
} from "../../abi/tcp";
import { TICK_BITS, Timer, TIMER_SIZE } from "../../abi/timers";
import { add, spare } from "../memory";
import { family, owner } from "../packet";
import { kindOf } from "../ports";
import * as timers from "../timers";
import { DONE, drop } from "../verdict";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/tcp";
import * as build from "./build";
import { after, has, isDue, SIX, tick, ticksOf, TIMESTAMPS } from "./connection";
import { accept } from "./listen";
import * as segment from "./segment";
import * as services from "./services";
import { insert, remove } from "./table";

/** 2 MSL, as Linux has it (TCP_TIMEWAIT_LEN). RFC 9293's MSL of two minutes is an engineering choice (§3.4.2). */
const SECONDS: u32 = 60;
/** Records that one expiry of the timer deals with. */
const AT_ONCE = 1024;
/** Added to a connection's last sequence number for the next one's first: more than any window that was unscaled. */
const BEYOND: u32 = 65_537;

/** Returns whether what the table has found is a TIME-WAIT record, not a connection. */
export function isRecord(c: usize): bool {
  return c - (<usize>load<u32>(WAITS) - TIMER_SIZE) < <usize>load<u32>(MAX_WAITS) * WAIT_SIZE;
}

/** Makes the record of a connection that has ended. The caller then takes the connection out of the table. */
export function enter(c: usize): void {
  const r = append(load<u8>(c, FLAGS) & <u8>(SIX | TIMESTAMPS));
  if (!r) return;
  memory.copy(r + ADDRESSES, c + ADDRESSES, PORTS + 4 - ADDRESSES);
  store<u32>(r, load<u32>(c, SND_NXT), WAIT_SND_NXT);
  store<u32>(r, load<u32>(c, RCV_NXT), WAIT_RCV_NXT);
  store<u32>(r, load<u32>(c, TS_RECENT), WAIT_TS_RECENT);
  insert(r);
}

/** Judges a segment for a connection in TIME-WAIT. */
export function wait(packet: usize, ip: usize, tcp: usize, s: usize, r: usize): i32 {
  const bits = segment.flags(s);
  const next = load<u32>(r, WAIT_RCV_NXT);
  if (bits & wire.RST) {
    // RFC 5961 §3: only an exact one.
    if (segment.seq(s) != next) return drop(Drop.tcp_invalid_sequence);
    leave(r);
    return taken();
  }
  if ((bits & (wire.SYN | wire.ACK | wire.FIN)) == wire.SYN && isNewer(r, s)) return begin(packet, ip, tcp, s, r);
  if (!segment.span(s)) return taken();
  // The peer has not got the acknowledgement of its FIN: it gets that again, and time starts anew (RFC 9293 §3.10.7.4).
  if (bits & wire.FIN && segment.seq(s) + segment.span(s) == next) store<u8>(r, 1, WAIT_AGAIN);
  return acknowledge(packet, ip, tcp, r);
}

/** RFC 9293, MAY-2, and RFC 6191: returns whether a SYN cannot be a late one of the connection that was. */
function isNewer(r: usize, s: usize): bool {
  if (has(r, TIMESTAMPS) && segment.hasOption(s, segment.HAS_TIMESTAMPS)) {
    const age = <i32>(segment.tsval(s) - load<u32>(r, WAIT_TS_RECENT));
    if (age != 0) return age > 0;
  }
  return after(segment.seq(s), load<u32>(r, WAIT_RCV_NXT));
}

/** Begins a new connection, whose sequence numbers are beyond those of the one that was. */
function begin(packet: usize, ip: usize, tcp: usize, s: usize, r: usize): i32 {
  const service = services.serviceAt(owner(packet), wire.dstPort(tcp));
  const kind = kindOf(service);
  // The port may have another service since, or pongd may be about to stop.
  if (kind == Service.silent || kind == Service.refuse || load<u32>(DRAIN)) return acknowledge(packet, ip, tcp, r);
  const iss = load<u32>(r, WAIT_SND_NXT) + BEYOND;
  leave(r);
  return accept(packet, ip, tcp, s, service, iss);
}

function acknowledge(packet: usize, ip: usize, tcp: usize, r: usize): i32 {
  if (!spare()) return drop(Drop.nomem);
  const six = family(packet) == 6;
  const reply = build.beginReply(packet);
  const to = reply + (six ? ipv6.HEADER_LEN : ipv4.MIN_HEADER_LEN);
  const timestamps = has(r, TIMESTAMPS);
  const headerLen = wire.MIN_HEADER_LEN + (timestamps ? wire.TIMESTAMPS_LEN : 0);
  wire.setHeader(
    to, rotl<u32>(wire.ports(tcp), 16), load<u32>(r, WAIT_SND_NXT), load<u32>(r, WAIT_RCV_NXT), headerLen, wire.ACK, 0,
  );
  if (timestamps) {
    build.writeTimestamps(to + wire.MIN_HEADER_LEN, build.timestamp(), load<u32>(r, WAIT_TS_RECENT));
  }
  build.finishReply(packet, ip, reply, six, headerLen);
  return taken();
}

function taken(): i32 {
  add(Counter.tcpReceived, 1);
  return DONE;
}

// ---- the ring -------------------------------------------------------------------------------------------------------

/** Appends a record, which is not in the table yet. Returns 0 where there is no room for any. */
function append(flags: u8): usize {
  const most = load<u32>(MAX_WAITS);
  if (!most) return 0;
  if (load<u32>(WAIT_COUNT) == most) shift();
  const first = load<u32>(WAIT_FIRST);
  const counted = load<u32>(WAIT_COUNT);
  const r = recordAt((first + counted) % most);
  store<u8>(r, <u8>State.TIME_WAIT, STATE);
  store<u8>(r, flags, FLAGS);
  store<u8>(r, 0, WAIT_AGAIN);
  store<u32>(r, until(), WAIT_UNTIL);
  store<u32>(WAIT_COUNT, counted + 1);
  add(Counter.tcpTimeWait, 1);
  if (!timers.isSet(WAIT_TIMER)) setTimer();
  return r;
}

/** Returns when a record ends that begins now. */
function until(): u32 {
  return tick() + ticksOf(SECONDS) || 1;
}

/** Ends a record. Its place in the ring becomes free in its turn. */
function leave(r: usize): void {
  store<u8>(r, <u8>State.CLOSED, STATE);
  remove(r);
  add(Counter.tcpTimeWait, -1);
}

/** Takes the oldest record out of the ring. */
function shift(): void {
  const first = load<u32>(WAIT_FIRST);
  const r = recordAt(first);
  if (load<u8>(r, STATE) == <u8>State.TIME_WAIT) leave(r);
  store<u32>(WAIT_FIRST, (first + 1) % load<u32>(MAX_WAITS));
  store<u32>(WAIT_COUNT, load<u32>(WAIT_COUNT) - 1);
}

/**
 * Moves the oldest record to the ring's end, so that it waits anew. Only then, not when FIN comes again: a peer that
 * repeats it would fill the ring.
 */
function renew(): void {
  const most = load<u32>(MAX_WAITS);
  const first = load<u32>(WAIT_FIRST);
  const r = recordAt(first);
  const last = recordAt((first + load<u32>(WAIT_COUNT)) % most);
  remove(r);
  store<u32>(WAIT_FIRST, (first + 1) % most);
  memory.copy(last + NEXT, r + NEXT, WAIT_SIZE);
  store<u8>(last, 0, WAIT_AGAIN);
  store<u32>(last, until(), WAIT_UNTIL);
  insert(last);
}

/** The timer has come: ends what is over, or has it wait anew. */
export function expire(): void {
  for (let i = 0; i < AT_ONCE && load<u32>(WAIT_COUNT); i++) {
    const r = recordAt(load<u32>(WAIT_FIRST));
    if (!isDue(load<u32>(r, WAIT_UNTIL))) break;
    if (load<u8>(r, STATE) == <u8>State.TIME_WAIT && load<u8>(r, WAIT_AGAIN)) renew();
    else shift();
  }
  if (load<u32>(WAIT_COUNT)) setTimer();
}

/** Sets the timer for the oldest record, a tick from now at the earliest. */
function setTimer(): void {
  const ticks = max(<i32>(load<u32>(recordAt(load<u32>(WAIT_FIRST)), WAIT_UNTIL) - tick()), 1);
  timers.set(WAIT_TIMER, Timer.wait, (load<u64>(NOW) >>> TICK_BITS) + ticks << TICK_BITS);
}

/** A record begins at its NEXT, at which a control block has its timer before it. */
function recordAt(index: u32): usize {
  return <usize>load<u32>(WAITS) + <usize>index * WAIT_SIZE - TIMER_SIZE;
}
