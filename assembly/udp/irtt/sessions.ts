// The sessions of a queue's IRTT servers: sets of a fixed size, found by a keyed hash of both addresses and ports. A
// session is what was agreed in an open, and what came since. Whoever uses it has to know its token.

import { NOW } from "../../../abi/control";
import { Counter } from "../../../abi/counters";
import {
  IRTT_ADDRESSES, IRTT_BEGAN_AT, IRTT_COUNT, IRTT_FIELDS, IRTT_HIGHEST, IRTT_IDLE_S, IRTT_KEY, IRTT_LENGTH, IRTT_OPEN,
  IRTT_OPENED_AT, IRTT_PORTS, IRTT_RANDOM, IRTT_SERVICE, IRTT_SESSION_SIZE, IRTT_SESSIONS, IRTT_SETS, IRTT_SIX,
  IRTT_SPOILT, IRTT_SWEPT, IRTT_TIMER, IRTT_TOKEN, IRTT_TOKENS, IRTT_USED_AT, IRTT_WAYS, IRTT_WINDOW,
} from "../../../abi/irtt";
import { SERVICE_USERS } from "../../../abi/tcp";
import { Timer } from "../../../abi/timers";
import { add } from "../../memory";
import { family } from "../../packet";
import { siphash } from "../../siphash";
import * as timers from "../../timers";
import * as ipv4 from "../../wire/ipv4";
import * as ipv6 from "../../wire/ipv6";

export const NS_PER_S: u64 = 1_000_000_000;
const IDLE_NS: u64 = IRTT_IDLE_S * NS_PER_S;
/** Time from one sweep to the next, and sessions that one looks at. */
const SWEEP_NS: u64 = NS_PER_S;
const AT_ONCE: u32 = 1024;

/**
 * Returns the session of a datagram's addresses and ports that has a token, or, if `token` is 0, that nobody has used
 * since it was opened with the same parameters; 0 if there is none, or it has been silent for too long.
 */
export function find(
  packet: usize, ip: usize, datagram: usize, token: u64, fields: u32 = 0, random: u32 = 0, length: u32 = 0,
): usize {
  const six = family(packet) == 6;
  const addresses = addressesOf(packet, ip);
  const first = setOf(packet, ip, datagram);
  for (let way = 0; way < IRTT_WAYS; way++) {
    const session = first + way * IRTT_SESSION_SIZE;
    if (!load<u64>(session, IRTT_TOKEN) || load<u32>(session, IRTT_PORTS) != load<u32>(datagram)) continue;
    if (<bool>load<u8>(session, IRTT_SIX) != six) continue;
    if (memory.compare(session + IRTT_ADDRESSES, addresses, six ? 32 : 8)) continue;
    if (token) {
      if (load<u64>(session, IRTT_TOKEN) != token) continue;
    } else if (load<u64>(session, IRTT_BEGAN_AT) || load<u8>(session, IRTT_FIELDS) != fields
      || load<u8>(session, IRTT_RANDOM) != random || load<u32>(session, IRTT_LENGTH) != length) {
      continue;
    }
    if (!isOver(session)) return session;
    end(session);
  }
  return 0;
}

/**
 * Returns a session for a datagram whose addresses and ports have none; 0 if there is no room. One that nobody has used
 * since it was opened makes room, the oldest first: whoever forges a source cannot use a session. If all are in use,
 * one of another network that has more than its share makes room.
 */
export function create(packet: usize, ip: usize, datagram: usize): usize {
  const six = family(packet) == 6;
  const first = setOf(packet, ip, datagram);
  let session: usize = 0;
  for (let way = 0; way < IRTT_WAYS; way++) {
    const other = first + way * IRTT_SESSION_SIZE;
    if (!load<u64>(other, IRTT_TOKEN) || isOver(other)) { session = other; break; }
    if (load<u64>(other, IRTT_BEGAN_AT)) continue;
    if (!session || load<u64>(other, IRTT_OPENED_AT) < load<u64>(session, IRTT_OPENED_AT)) session = other;
  }
  if (!session) session = spareOf(first, networkOf(addressesOf(packet, ip), six));
  if (!session) return 0;
  if (load<u64>(session, IRTT_TOKEN)) end(session);
  memory.fill(session, 0, IRTT_SESSION_SIZE);
  memory.copy(session + IRTT_ADDRESSES, addressesOf(packet, ip), six ? 32 : 8);
  store<u32>(session, load<u32>(datagram), IRTT_PORTS);
  store<u8>(session, six ? 1 : 0, IRTT_SIX);
  store<u64>(session, time(), IRTT_OPENED_AT);
  store<u64>(session, time(), IRTT_USED_AT);
  const serial = load<u32>(IRTT_TOKENS) + 1;
  store<u32>(IRTT_TOKENS, serial);
  const token = siphash(IRTT_KEY, addressesOf(packet, ip), six, load<u32>(datagram), serial, 2, 4);
  store<u64>(session, token ? token : 1, IRTT_TOKEN);
  begin();
  return session;
}

/** Notes that a request came. Returns whether no later one has come before it. */
export function note(session: usize, sequence: u32): bool {
  const count = load<u32>(session, IRTT_COUNT);
  store<u32>(session, count + 1, IRTT_COUNT);
  const window = load<u64>(session, IRTT_WINDOW);
  const ahead = count ? <i32>(sequence - load<u32>(session, IRTT_HIGHEST)) : 64;
  if (ahead < 0) {
    if (ahead > -64) store<u64>(session, window | <u64>1 << <u64>-ahead, IRTT_WINDOW);
    return false;
  }
  store<u64>(session, (ahead < 64 ? window << <u64>ahead : 0) | 1, IRTT_WINDOW);
  store<u32>(session, sequence, IRTT_HIGHEST);
  return true;
}

/** Returns the time on the clock of NOW, which is never 0: in a session, 0 is no time. */
export function time(): u64 {
  return max<u64>(1, load<u64>(NOW));
}

export function end(session: usize): void {
  store<u64>(session, 0, IRTT_TOKEN);
  leave(session);
  store<u32>(IRTT_OPEN, load<u32>(IRTT_OPEN) - 1);
  add(Counter.irttSessions, -1);
}

/**
 * Notes that a session is one of a service's, which keeps its record as long as it has any (../../../abi/tcp.ts). It
 * may have been another one's, which its port had before a reload.
 */
export function assign(session: usize, service: usize): void {
  if (load<u32>(session, IRTT_SERVICE) == <u32>service) return;
  leave(session);
  store<u32>(service, load<u32>(service, SERVICE_USERS) + 1, SERVICE_USERS);
  store<u32>(session, <u32>service, IRTT_SERVICE);
}

function leave(session: usize): void {
  const service: usize = load<u32>(session, IRTT_SERVICE);
  if (!service) return;
  store<u32>(service, load<u32>(service, SERVICE_USERS) - 1, SERVICE_USERS);
  store<u32>(session, 0, IRTT_SERVICE);
}

/** Ends, of the next sessions, those that are over. They would be over without it, but would be counted. */
export function sweep(): void {
  let at = load<u32>(IRTT_SWEPT);
  for (let i: u32 = 0; i < AT_ONCE; i++) {
    const session = sessionAt(at++ & (IRTT_SETS * IRTT_WAYS - 1));
    if (load<u64>(session, IRTT_TOKEN) && isOver(session)) end(session);
  }
  store<u32>(IRTT_SWEPT, at);
  if (load<u32>(IRTT_OPEN)) again();
}

/** Counts the sessions that there are after a crash, and has them swept. The host has counted services' users. */
export function restore(): void {
  store<u32>(IRTT_SPOILT, 0);
  store<u32>(IRTT_OPEN, 0);
  for (let i: u32 = 0; i < <u32>(IRTT_SETS * IRTT_WAYS); i++) if (load<u64>(sessionAt(i), IRTT_TOKEN)) begin();
}

/** Counts a session, and sees to the sweep. */
function begin(): void {
  store<u32>(IRTT_OPEN, load<u32>(IRTT_OPEN) + 1);
  add(Counter.irttSessions, 1);
  if (!timers.isSet(IRTT_TIMER)) again();
}

function again(): void {
  timers.set(IRTT_TIMER, Timer.irtt, load<u64>(NOW) + SWEEP_NS);
}

function isOver(session: usize): bool {
  return time() - load<u64>(session, IRTT_USED_AT) > IDLE_NS;
}

function addressesOf(packet: usize, ip: usize): usize {
  return family(packet) == 6 ? ipv6.srcAddr(ip) : ipv4.srcAddr(ip);
}

/** Returns the first session of the set of a datagram's addresses and ports. */
function setOf(packet: usize, ip: usize, datagram: usize): usize {
  const hash = siphash(IRTT_KEY, addressesOf(packet, ip), family(packet) == 6, load<u32>(datagram), 0, 1, 3);
  return IRTT_SESSIONS + (<u32>hash & (IRTT_SETS - 1)) * (IRTT_SESSION_SIZE * IRTT_WAYS);
}

function sessionAt(index: u32): usize {
  return <usize>IRTT_SESSIONS + <usize>index * IRTT_SESSION_SIZE;
}

/**
 * Returns, of the sessions of a full set, the one that has been silent for the longest, among those of networks other
 * than `network` that have more than a quarter of the set; 0 if there is none.
 */
function spareOf(first: usize, network: u64): usize {
  let spare: usize = 0;
  for (let way = 0; way < IRTT_WAYS; way++) {
    const session = first + way * IRTT_SESSION_SIZE;
    const own = networkAt(session);
    if (own == network) continue;
    if (spare && load<u64>(session, IRTT_USED_AT) >= load<u64>(spare, IRTT_USED_AT)) continue;
    let count = 0;
    for (let i = 0; i < IRTT_WAYS; i++) if (networkAt(first + i * IRTT_SESSION_SIZE) == own) count++;
    if (count > IRTT_WAYS / 4) spare = session;
  }
  return spare;
}

function networkAt(session: usize): u64 {
  return networkOf(session + IRTT_ADDRESSES, <bool>load<u8>(session, IRTT_SIX));
}

/** Returns an IPv4 /24 or an IPv6 /56 by the source address at `addresses`, as ../limit.ts tells networks apart. */
function networkOf(addresses: usize, six: bool): u64 {
  // The last byte is not a part of it, and tells the families apart.
  return six ? load<u64>(addresses) & 0x00ffffffffffffff | <u64>1 << 63 : <u64>(load<u32>(addresses) & 0x00ffffff);
}
