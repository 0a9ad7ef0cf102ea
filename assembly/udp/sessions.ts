// Sessions of UDP services: a table of fixed size, found by the addresses, the ports, the service and a discriminator.
//
//  1. find     the session of a datagram, or 0
//  2. open     a new one, or 0 if there is no room: for any, or for another one of this source's network (IPv4 /24,
//              IPv6 /56), which may have a share of them all
//  3. touch    notes that it has been heard
//  4. sweep    ends those that were silent for too long, and those whose port has another service now
//
// The hash has SEED in it, so that nobody outside can aim at a chain; a chain has a bound all the same. After a crash
// only the records are believed. A record counts as a session from when SESSION_SERVICE is written, so a crash in the
// middle of open() or end() leaves none that is half made.

import { NOW, SEED } from "../../abi/control";
import { Counter } from "../../abi/counters";
import { SOURCES } from "../../abi/limits";
import {
  MAX_SESSIONS, SESSION_ADDRESSES, SESSION_COUNT, SESSION_DISCRIMINATOR, SESSION_FAMILY, SESSION_HASH,
  SESSION_HASH_MASK, SESSION_IDLE_MS, SESSION_NEXT, SESSION_PORTS, SESSION_SERVICE, SESSION_SINCE, SESSION_SIZE,
  SESSION_TIMER, SESSION_USED, SESSIONS, SESSIONS_FREE, SESSIONS_SPOILT, SESSIONS_SWEPT, SESSIONS_TOUCHED,
  SOURCE_SESSIONS,
} from "../../abi/sessions";
import { ANSWER_UDP, FIRST_PREFIX, PREFIX_UDP } from "../../abi/tables";
import { SERVICE_USERS } from "../../abi/tcp";
import { Timer } from "../../abi/timers";
import { mix } from "../limit";
import { add } from "../memory";
import { family } from "../packet";
import { serviceIn } from "../ports";
import { answersOf, owner, owner6, table } from "../prefix";
import * as timers from "../timers";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";

const NS_PER_MS: u64 = 1_000_000;
/** Time from one sweep to the next, and records that one looks at. */
const SWEEP_NS: u64 = 1_000_000_000;
const AT_ONCE: u32 = 1024;
/** Most sessions of a chain. */
const MAX_CHAIN: u32 = 64;
/** Share of all sessions that a source's network may have: 1 in 4. */
const SHARE_BITS: u32 = 2;

/** Returns the session of a datagram to this service, or 0. The headers are those of the request. */
export function find(packet: usize, ip: usize, datagram: usize, service: usize, discriminator: u32): usize {
  const six = family(packet) == 6;
  const addrs = six ? ipv6.srcAddr(ip) : ipv4.srcAddr(ip);
  const ports = load<u32>(datagram);
  if (!load<u32>(MAX_SESSIONS)) return 0;
  let session: usize = load<u32>(entryOf(addrs, six, ports, service, discriminator));
  for (let i: u32 = 0; session && i < MAX_CHAIN; i++) {
    if (load<u32>(session, SESSION_PORTS) == ports && load<u32>(session, SESSION_DISCRIMINATOR) == discriminator
      && load<u32>(session, SESSION_SERVICE) == <u32>service && load<u32>(session, SESSION_FAMILY) == family(packet)
      && memory.compare(session + SESSION_ADDRESSES, addrs, six ? 32 : 8) == 0) return session;
    session = load<u32>(session, SESSION_NEXT);
  }
  return 0;
}

/**
 * Begins a session of a datagram that has none, and that may be silent for `idleMs`. Returns 0 if there is no room.
 * The service may remember something of it at SESSION_DATA, which is zero.
 */
export function open(
  packet: usize, ip: usize, datagram: usize, service: usize, discriminator: u32, idleMs: u32,
): usize {
  const six = family(packet) == 6;
  const addrs = six ? ipv6.srcAddr(ip) : ipv4.srcAddr(ip);
  const source = sourceOf(addrs, six);
  const most = load<u32>(MAX_SESSIONS);
  if (load<u32>(source) >= max<u32>(1, most >>> SHARE_BITS)) return 0;
  const entry = entryOf(addrs, six, load<u32>(datagram), service, discriminator);
  if (isLong(entry)) return 0;
  const session = take(most);
  if (!session) return 0;
  memory.fill(session, 0, SESSION_SIZE);
  store<u32>(session, discriminator, SESSION_DISCRIMINATOR);
  store<u32>(session, load<u32>(datagram), SESSION_PORTS);
  memory.copy(session + SESSION_ADDRESSES, addrs, six ? 32 : 8);
  store<u32>(session, family(packet), SESSION_FAMILY);
  store<u32>(session, idleMs, SESSION_IDLE_MS);
  store<u64>(session, load<u64>(NOW), SESSION_SINCE);
  store<u64>(session, load<u64>(NOW), SESSION_USED);
  store<u32>(service, load<u32>(service, SERVICE_USERS) + 1, SERVICE_USERS);
  store<u32>(session, <u32>service, SESSION_SERVICE);
  link(session, entry, source);
  if (!timers.isSet(SESSION_TIMER)) again();
  return session;
}

/** Notes that a datagram of the session has come. */
export function touch(session: usize): void {
  store<u64>(session, load<u64>(NOW), SESSION_USED);
}

/** Ends a session. */
export function end(session: usize): void {
  const six = load<u32>(session, SESSION_FAMILY) == 6;
  const service: usize = load<u32>(session, SESSION_SERVICE);
  const addrs = session + SESSION_ADDRESSES;
  const discriminator = load<u32>(session, SESSION_DISCRIMINATOR);
  const entry = entryOf(addrs, six, load<u32>(session, SESSION_PORTS), service, discriminator);
  // An entry of the table is as a record of which there is SESSION_NEXT alone.
  let before = entry;
  for (let i: u32 = 0; i < MAX_CHAIN && load<u32>(before, SESSION_NEXT) != <u32>session; i++) {
    before = load<u32>(before, SESSION_NEXT);
  }
  store<u32>(before, load<u32>(session, SESSION_NEXT), SESSION_NEXT);
  add(Counter.stampSessions, -1);
  store<u32>(session, 0, SESSION_SERVICE);
  store<u32>(service, load<u32>(service, SERVICE_USERS) - 1, SERVICE_USERS);
  const source = sourceOf(addrs, six);
  store<u32>(source, load<u32>(source) - 1);
  store<u32>(SESSION_COUNT, load<u32>(SESSION_COUNT) - 1);
  store<u32>(session, load<u32>(SESSIONS_FREE), SESSION_NEXT);
  store<u32>(SESSIONS_FREE, <u32>session);
}

/** Ends, of the next records, the sessions that are over. */
export function sweep(): void {
  const touched = load<u32>(SESSIONS_TOUCHED);
  let at = load<u32>(SESSIONS_SWEPT);
  for (let i = min(AT_ONCE, touched); i > 0; i--) {
    if (at >= touched) at = 0;
    const session = sessionAt(at++);
    if (load<u32>(session, SESSION_SERVICE) && isOver(session)) end(session);
  }
  store<u32>(SESSIONS_SWEPT, at);
  if (load<u32>(SESSION_COUNT)) again();
}

/** Makes the table, the free list and what is counted anew, after a crash. The host has counted services' users. */
export function restore(): void {
  store<u32>(SESSIONS_SPOILT, 0);
  memory.fill(load<u32>(SESSION_HASH), 0, load<u32>(SESSION_HASH_MASK) + 1 << 2);
  memory.fill(SOURCE_SESSIONS, 0, 4 * SOURCES);
  memory.fill(SESSION_COUNT, 0, SOURCE_SESSIONS - SESSION_COUNT);
  store<u32>(SESSIONS_FREE, 0);
  for (let i: u32 = 0; i < load<u32>(SESSIONS_TOUCHED); i++) {
    const session = sessionAt(i);
    const service: usize = load<u32>(session, SESSION_SERVICE);
    if (!service) {
      store<u32>(session, load<u32>(SESSIONS_FREE), SESSION_NEXT);
      store<u32>(SESSIONS_FREE, <u32>session);
      continue;
    }
    const six = load<u32>(session, SESSION_FAMILY) == 6;
    const addrs = session + SESSION_ADDRESSES;
    const discriminator = load<u32>(session, SESSION_DISCRIMINATOR);
    link(session, entryOf(addrs, six, load<u32>(session, SESSION_PORTS), service, discriminator), sourceOf(addrs, six));
  }
  if (load<u32>(SESSION_COUNT)) again();
}

function again(): void {
  timers.set(SESSION_TIMER, Timer.sessions, load<u64>(NOW) + SWEEP_NS);
}

/** Returns whether a session was silent for too long, or its port has another service now. */
function isOver(session: usize): bool {
  const idle = load<u64>(NOW) - load<u64>(session, SESSION_USED);
  if (idle >= <u64>load<u32>(session, SESSION_IDLE_MS) * NS_PER_MS) return true;
  const addrs = session + SESSION_ADDRESSES;
  const prefix = load<u32>(session, SESSION_FAMILY) == 6 ? owner6(table(), addrs + 16) : owner(table(), addrs + 4);
  if (prefix < FIRST_PREFIX || !(answersOf(table(), prefix) & ANSWER_UDP)) return true;
  const list: usize = load<u32>(table() + (<usize>(prefix - FIRST_PREFIX) << 2), PREFIX_UDP);
  return serviceIn(list, bswap<u16>(load<u16>(session, SESSION_PORTS + 2))) != load<u32>(session, SESSION_SERVICE);
}

/** Puts a session into the table, and counts it. */
function link(session: usize, entry: usize, source: usize): void {
  store<u32>(session, load<u32>(entry), SESSION_NEXT);
  store<u32>(entry, <u32>session);
  store<u32>(source, load<u32>(source) + 1);
  store<u32>(SESSION_COUNT, load<u32>(SESSION_COUNT) + 1);
  // Only STAMP has sessions.
  add(Counter.stampSessions, 1);
}

/** Returns a record that is free, or 0. */
function take(most: u32): usize {
  const free: usize = load<u32>(SESSIONS_FREE);
  if (free) {
    store<u32>(SESSIONS_FREE, load<u32>(free, SESSION_NEXT));
    return free;
  }
  const touched = load<u32>(SESSIONS_TOUCHED);
  if (touched >= most) return 0;
  store<u32>(SESSIONS_TOUCHED, touched + 1);
  return sessionAt(touched);
}

function sessionAt(index: u32): usize {
  return <usize>load<u32>(SESSIONS) + <usize>index * SESSION_SIZE;
}

/** Returns whether a chain has room for no more. */
function isLong(entry: usize): bool {
  let length: u32 = 0;
  for (let session: usize = load<u32>(entry); session && length < MAX_CHAIN; length++) {
    session = load<u32>(session, SESSION_NEXT);
  }
  return length == MAX_CHAIN;
}

/** Returns the address of the table's entry for a key. The remote address comes first at `addrs`. */
function entryOf(addrs: usize, six: bool, ports: u32, service: usize, discriminator: u32): usize {
  let hash = mix(mix(mix(load<u32>(SEED) ^ ports) ^ discriminator) ^ <u32>service);
  for (const end = addrs + (six ? 32 : 8); addrs < end; addrs += 4) hash = mix(hash ^ load<u32>(addrs));
  return <usize>load<u32>(SESSION_HASH) + <usize>((hash & load<u32>(SESSION_HASH_MASK)) << 2);
}

/** Returns the address of the number of sessions that a source's network has, as ../limit.ts has networks. */
function sourceOf(addrs: usize, six: bool): usize {
  const high = six ? load<u32>(addrs) : 6;
  const low = (six ? load<u32>(addrs, 4) : load<u32>(addrs)) & 0x00ffffff;
  return <usize>SOURCE_SESSIONS + <usize>((mix(mix(high ^ load<u32>(SEED)) ^ low) & (SOURCES - 1)) << 2);
}
