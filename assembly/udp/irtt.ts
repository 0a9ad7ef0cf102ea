// An IRTT server (github.com/heistp/irtt, protocol version 1), which has no RFC. All numbers are little-endian.
//
//   0    0x14 0xa7 0x5b, and flags
//   4    token
//  12    sequence number; in an open, parameters: {uvarint type, varint value} each
//  16    optional fields, then payload
//
// A client opens a session, and is told a token. Each request is answered by a reply that has, in optional fields, what
// the client has asked for: how many requests came, which of the last 64, and when the request came and the reply
// leaves. The request has room for these fields, so that a reply is never longer. Only the reply to an open is: by the
// token, and by a longer interval that the parameters may say.
//
// A reply's times are those of its batch, as STAMP's are (stamp.ts).

import { MTU, NOW } from "../../abi/control";
import { Counter, Drop, Protocol } from "../../abi/counters";
import {
  IRTT_ADDRESSES, IRTT_BEGAN_AT, IRTT_BUCKET, IRTT_COUNT, IRTT_FIELDS, IRTT_HIGHEST, IRTT_IDLE_S, IRTT_KEY,
  IRTT_LENGTH, IRTT_MAX_DURATION, IRTT_MAX_LENGTH, IRTT_MIN_INTERVAL, IRTT_OPEN, IRTT_OPENED_AT, IRTT_PARAMETERS,
  IRTT_PORTS, IRTT_RANDOM, IRTT_SERVICE, IRTT_SESSION_SIZE, IRTT_SESSIONS, IRTT_SETS, IRTT_SIX, IRTT_SPOILT, IRTT_SWEPT,
  IRTT_TIMER, IRTT_TOKEN, IRTT_TOKENS, IRTT_TYPES, IRTT_USED_AT, IRTT_WAYS, IRTT_WINDOW,
} from "../../abi/irtt";
import { SERVICE_BYTES } from "../../abi/tcp";
import { Timer } from "../../abi/timers";
import { take } from "../limit";
import { add } from "../memory";
import { arrival, family, setProtocol, ttl, wall } from "../packet";
import { siphash } from "../siphash";
import * as timers from "../timers";
import { drop } from "../verdict";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/udp";
import { replySummed } from "./reply";
import { entryFor, later } from "./stamp";

const MAGIC: u32 = 0x5ba714;
const FLAGS: usize = 3;
const TOKEN: usize = 4;
const SEQUENCE: usize = 12;
const HEADER_LEN: u32 = 4;
const TOKEN_LEN: u32 = 8;
const MIN_LEN: u32 = 16;

const OPEN: u32 = 1;
const REPLY: u32 = 2;
const CLOSE: u32 = 4;
const ALL_FLAGS: u32 = OPEN | REPLY | CLOSE;

// Types of parameters.
const VERSION: u32 = 1;
const DURATION: u32 = 2;
const INTERVAL: u32 = 3;
const LENGTH: u32 = 4;
const RECEIVED_STATS: u32 = 5;
const STAMP_AT: u32 = 6;
const CLOCK: u32 = 7;
const FILL: u32 = 9;
const PROTOCOL_VERSION: i64 = 1;
const MAX_PARAMETERS_LEN: u32 = 128;

// Bits of a session's fields: the values of the parameters RECEIVED_STATS, STAMP_AT and CLOCK, side by side.
const RECEIVED_COUNT: u32 = 1;
const RECEIVED_WINDOW: u32 = 2;
const STAMP_SHIFT: u32 = 2;
const AT_SEND: u32 = 1 << STAMP_SHIFT;
const AT_RECEIVE: u32 = 2 << STAMP_SHIFT;
const AT_MIDPOINT: u32 = 4 << STAMP_SHIFT;
const CLOCK_SHIFT: u32 = 5;
const WALL_CLOCK: u32 = 1 << CLOCK_SHIFT;
const MONOTONIC_CLOCK: u32 = 2 << CLOCK_SHIFT;

/** The word in STAMPED: a bit that says that it is IRTT's, the session's fields, and where the last time lies. */
const STAMPED_IRTT: u32 = 1;
const STAMPED_FIELDS_SHIFT: u32 = 1;
const STAMPED_AT_SHIFT: u32 = 9;

/** "rand" and "irtt": the fill that a client may ask for, and the one that there is otherwise. */
const RAND: u32 = 0x646e6172;
const PATTERN: u32 = 0x74747269;

const NS_PER_MS: f64 = 1e6;
const NS_PER_S: u64 = 1_000_000_000;
const IDLE_NS: u64 = IRTT_IDLE_S * NS_PER_S;
const MAX_INTERVAL_NS: u64 = 15 * NS_PER_S;
/** As irtt's server has them. */
const DURATION_GRACE_NS: u64 = 2 * NS_PER_S;
const BURST: f64 = 5;
/** Time from one sweep to the next, and sessions that one looks at. */
const SWEEP_NS: u64 = NS_PER_S;
const AT_ONCE: u32 = 1024;

/** Answers a datagram of `len` bytes as the service's options say (../../abi/irtt.ts). */
export function answerIrtt(packet: usize, ip: usize, datagram: usize, len: u32, service: usize): i32 {
  const message = datagram + wire.HEADER_LEN;
  const messageLen = len - wire.HEADER_LEN;
  if (messageLen < HEADER_LEN || (load<u32>(message) & 0xffffff) != MAGIC) return drop(Drop.irtt_malformed);
  const flags: u32 = load<u8>(message, FLAGS);
  if (flags & ~ALL_FLAGS) return drop(Drop.irtt_malformed);
  if (flags & REPLY) return drop(Drop.udp_loop);
  setProtocol(packet, Protocol.irtt);
  if (flags & OPEN) return open(packet, ip, datagram, messageLen, service);
  if (messageLen < HEADER_LEN + TOKEN_LEN) return drop(Drop.irtt_malformed);
  const token = load<u64>(message, TOKEN);
  const session: usize = token ? find(packet, ip, datagram, token) : 0;
  if (!session) return drop(Drop.irtt_token);
  if (flags & CLOSE) {
    end(session);
    return drop(Drop.irtt_close);
  }
  return echo(packet, ip, datagram, messageLen, service, session);
}

// ---- sessions -------------------------------------------------------------------------------------------------------

function addressesOf(packet: usize, ip: usize): usize {
  return family(packet) == 6 ? ipv6.srcAddr(ip) : ipv4.srcAddr(ip);
}

/** Returns the first session of the set of a datagram's addresses and ports. */
function setOf(packet: usize, ip: usize, datagram: usize): usize {
  const hash = siphash(IRTT_KEY, addressesOf(packet, ip), family(packet) == 6, load<u32>(datagram), 0, 1, 3);
  return IRTT_SESSIONS + (<u32>hash & (IRTT_SETS - 1)) * (IRTT_SESSION_SIZE * IRTT_WAYS);
}

/**
 * Returns the session of a datagram's addresses and ports that has a token, or, if `token` is 0, that nobody has used
 * since it was opened with the same parameters; 0 if there is none, or it has been silent for too long.
 */
function find(
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

/** Returns the time on the clock of NOW, which is never 0: in a session, 0 is no time. */
function time(): u64 {
  return max<u64>(1, load<u64>(NOW));
}

function isOver(session: usize): bool {
  return time() - load<u64>(session, IRTT_USED_AT) > IDLE_NS;
}

/**
 * Returns a session for a datagram whose addresses and ports have none; 0 if there is no room. One that nobody has used
 * since it was opened makes room, the oldest first: whoever forges a source cannot use a session. If all are in use,
 * one of another network that has more than its share makes room.
 */
function create(packet: usize, ip: usize, datagram: usize): usize {
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

/** Counts a session, and sees to the sweep. */
function begin(): void {
  store<u32>(IRTT_OPEN, load<u32>(IRTT_OPEN) + 1);
  add(Counter.irttSessions, 1);
  if (!timers.isSet(IRTT_TIMER)) again();
}

function end(session: usize): void {
  store<u64>(session, 0, IRTT_TOKEN);
  store<u32>(IRTT_OPEN, load<u32>(IRTT_OPEN) - 1);
  add(Counter.irttSessions, -1);
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

/** Counts the sessions that there are after a crash, and has them swept. */
export function restore(): void {
  store<u32>(IRTT_SPOILT, 0);
  store<u32>(IRTT_OPEN, 0);
  for (let i: u32 = 0; i < <u32>(IRTT_SETS * IRTT_WAYS); i++) if (load<u64>(sessionAt(i), IRTT_TOKEN)) begin();
}

function again(): void {
  timers.set(IRTT_TIMER, Timer.irtt, load<u64>(NOW) + SWEEP_NS);
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

// ---- open -----------------------------------------------------------------------------------------------------------

/** Answers an open with the parameters that the session has, and with its token. */
function open(packet: usize, ip: usize, datagram: usize, messageLen: u32, service: usize): i32 {
  const message = datagram + wire.HEADER_LEN;
  const random = readParameters(message + HEADER_LEN, messageLen - HEADER_LEN);
  if (random < 0) return drop(Drop.irtt_malformed);
  const fields = fieldsOf();
  if (fields < 0) return drop(Drop.irtt_malformed);
  restrict(load<u32>(service, SERVICE_BYTES));
  let flags: u32 = load<u8>(message, FLAGS) | REPLY;
  if (parameter(VERSION) != PROTOCOL_VERSION) {
    setParameter(VERSION, PROTOCOL_VERSION);
    flags |= CLOSE;
  }
  // How much longer the reply may be is known only when it is written: 16 bytes are more than that.
  if (<u32>(message - ip) + messageLen + 16 > load<u32>(MTU)) return drop(Drop.irtt_malformed);
  let token: u64 = 0;
  if (!(flags & CLOSE)) {
    const length = <u32>max<i64>(0, min<i64>(parameter(LENGTH), 0xffff));
    // One that is only asked for again keeps its token, whichever reply arrives. One that is in use, or was opened with
    // other parameters, stays beside a new one: otherwise whoever forges an open from its client's port would end it.
    let session = find(packet, ip, datagram, 0, fields, random, length);
    if (!session) session = create(packet, ip, datagram);
    if (!session) return drop(Drop.irtt_sessions);
    store<u64>(session, time(), IRTT_USED_AT);
    store<u32>(session, <u32>service, IRTT_SERVICE);
    store<u8>(session, <u8>fields, IRTT_FIELDS);
    store<u8>(session, <u8>random, IRTT_RANDOM);
    store<u32>(session, length, IRTT_LENGTH);
    token = load<u64>(session, IRTT_TOKEN);
  }
  store<u8>(message, <u8>flags, FLAGS);
  store<u64>(message, token, TOKEN);
  const end = writeParameters(message + HEADER_LEN + TOKEN_LEN, random != 0);
  return send(packet, ip, datagram, <u32>(end - datagram));
}

function parameter(type: u32): i64 {
  return load<i64>(<usize>IRTT_PARAMETERS + (<usize>type << 3));
}

function setParameter(type: u32, value: i64): void {
  store<i64>(<usize>IRTT_PARAMETERS + (<usize>type << 3), value);
}

/**
 * Reads parameters, `len` bytes at `at`. Returns 1 if the fill "rand" is asked for, 0 if none or another one is, and -1
 * if they are malformed. Unknown ones are skipped.
 */
function readParameters(at: usize, len: u32): i32 {
  if (len > MAX_PARAMETERS_LEN) return -1;
  memory.fill(IRTT_PARAMETERS, 0, IRTT_TYPES << 3);
  let random = 0;
  for (const end = at + len; at < end;) {
    const typeLen = varintLen(at, end);
    if (!typeLen) return -1;
    const type = varint(at, typeLen);
    at += typeLen;
    const valueLen = varintLen(at, end);
    if (!valueLen) return -1;
    const value = varint(at, valueLen);
    at += valueLen;
    if (type == FILL) {
      if (value > <u64>(end - at)) return -1;
      random = value == 4 && load<u32>(at) == RAND ? 1 : 0;
      at += <usize>value;
    } else if (type < <u64>IRTT_TYPES) {
      // ZigZag: the sign is the lowest bit.
      setParameter(<u32>type, <i64>(value >>> 1 ^ -(value & 1)));
    }
  }
  return random;
}

/** Returns how many bytes the number at `at` has; 0 if it does not end before `end`, or is longer than any may be. */
function varintLen(at: usize, end: usize): u32 {
  for (let len: u32 = 1; len <= 10 && at + len <= end; len++) if (load<u8>(at + len - 1) < 0x80) return len;
  return 0;
}

function varint(at: usize, len: u32): u64 {
  let value: u64 = 0;
  for (let i: u32 = 0; i < len; i++) value |= <u64>(load<u8>(at + i) & 0x7f) << <u64>(7 * i);
  return value;
}

/** Returns a session's fields by the parameters; -1 if these are malformed. */
function fieldsOf(): i32 {
  const stats = parameter(RECEIVED_STATS);
  const at = parameter(STAMP_AT);
  const clock = parameter(CLOCK);
  if (stats < 0 || stats > 3 || at < 0 || at > 4 || clock < 0 || clock > 3 || (at && !clock)) return -1;
  if (!parameter(VERSION) || parameter(DURATION) < 0 || parameter(INTERVAL) < 0) return -1;
  return <i32>stats | <i32>at << STAMP_SHIFT | <i32>clock << CLOCK_SHIFT;
}

/** Has the parameters say what this server allows, as irtt's does. */
function restrict(options: usize): void {
  const maxDuration = load<i64>(options, IRTT_MAX_DURATION);
  if (maxDuration && parameter(DURATION) > maxDuration) setParameter(DURATION, maxDuration);
  const interval = max<i64>(parameter(INTERVAL), load<i64>(options, IRTT_MIN_INTERVAL));
  setParameter(INTERVAL, min<i64>(MAX_INTERVAL_NS, interval));
  const maxLength: i64 = load<u32>(options, IRTT_MAX_LENGTH);
  if (maxLength && parameter(LENGTH) > maxLength) setParameter(LENGTH, maxLength);
}

/** Writes the parameters to `at`, and returns where they end. */
function writeParameters(at: usize, random: bool): usize {
  for (let type: u32 = 1; type < FILL; type++) {
    const value = parameter(type);
    if (!value) continue;
    store<u8>(at++, <u8>type);
    at = writeVarint(at, <u64>(value << 1 ^ value >> 63));
  }
  if (!random) return at;
  store<u16>(at, <u16>(FILL | 4 << 8));
  store<u32>(at, RAND, 2);
  return at + 6;
}

function writeVarint(at: usize, value: u64): usize {
  for (; value >= 0x80; value >>>= 7) store<u8>(at++, <u8>(value | 0x80));
  store<u8>(at, <u8>value);
  return at + 1;
}

// ---- requests -------------------------------------------------------------------------------------------------------

/** Answers a request of a session. */
function echo(packet: usize, ip: usize, datagram: usize, messageLen: u32, service: usize, session: usize): i32 {
  const options: usize = load<u32>(service, SERVICE_BYTES);
  const message = datagram + wire.HEADER_LEN;
  const fields: u32 = load<u8>(session, IRTT_FIELDS);
  const fieldsEnd = MIN_LEN + fieldsLen(fields);
  const maxLength = load<u32>(options, IRTT_MAX_LENGTH);
  // I2: what has no room for the fields would get a longer reply.
  if (messageLen < fieldsEnd || (maxLength && messageLen > maxLength)) return drop(Drop.irtt_malformed);
  const now = time();
  const interval = load<u64>(options, IRTT_MIN_INTERVAL);
  if (!load<u64>(session, IRTT_BEGAN_AT)) store<u64>(session, now, IRTT_BEGAN_AT);
  store<u64>(session, now, IRTT_USED_AT);
  store<u32>(session, <u32>service, IRTT_SERVICE);
  if (interval && !take(session + IRTT_BUCKET, NS_PER_MS / <f64>interval, BURST, now)) {
    return drop(Drop.irtt_interval);
  }
  const isLatest = note(session, load<u32>(message, SEQUENCE));
  let flags = REPLY;
  const maxDuration = load<u64>(options, IRTT_MAX_DURATION);
  if (maxDuration && now - load<u64>(session, IRTT_BEGAN_AT) > maxDuration + DURATION_GRACE_NS) {
    // The session is over; this one is answered all the same.
    flags |= CLOSE;
    end(session);
  }
  store<u8>(message, <u8>flags, FLAGS);

  let at = message + MIN_LEN;
  if (fields & RECEIVED_COUNT) {
    store<u32>(at, load<u32>(session, IRTT_COUNT));
    at += 4;
  }
  if (fields & RECEIVED_WINDOW) {
    store<u64>(at, isLatest ? load<u64>(session, IRTT_WINDOW) : 0);
    at += 8;
  }
  // Times of the session's own, which begin at a second: how long this machine has been up is nobody's business.
  const since = NS_PER_S - load<u64>(session, IRTT_OPENED_AT);
  const came = max(now, arrival(packet));
  if (fields & AT_RECEIVE) at = writeTimes(at, fields, wall(packet), came + since);
  // These are completed by adding the time at which the batch leaves.
  const last = <u32>(at - message);
  if (fields & AT_SEND) at = writeTimes(at, fields, 0, since);
  if (fields & AT_MIDPOINT) at = writeTimes(at, fields, wall(packet), came + 2 * since);

  const length = min(messageLen, max(fieldsEnd, load<u32>(session, IRTT_LENGTH)));
  const random = load<u8>(session, IRTT_RANDOM) != 0;
  fill(message + fieldsEnd, length - fieldsEnd, random, load<u64>(message, TOKEN) + now);
  const replyLen = send(packet, ip, datagram, wire.HEADER_LEN + length);
  const word = STAMPED_IRTT | fields << STAMPED_FIELDS_SHIFT | last << STAMPED_AT_SHIFT;
  if (fields & (AT_SEND | AT_MIDPOINT)) later(packet, ip, replyLen, entryFor(ip, word));
  return replyLen;
}

/** Returns the bytes of optional fields. */
function fieldsLen(fields: u32): u32 {
  const times: u32 = fields & AT_MIDPOINT ? 1 : popcnt(fields & (AT_SEND | AT_RECEIVE));
  const clocks: u32 = popcnt(fields & (WALL_CLOCK | MONOTONIC_CLOCK));
  return (fields & RECEIVED_COUNT ? 4 : 0) + (fields & RECEIVED_WINDOW ? 8 : 0) + 8 * times * clocks;
}

/** Notes that a request came. Returns whether no later one has come before it. */
function note(session: usize, sequence: u32): bool {
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

/** Writes a time on the clocks of the fields, and returns the address behind it. */
function writeTimes(at: usize, fields: u32, wall: u64, monotonic: u64): usize {
  if (fields & WALL_CLOCK) { store<u64>(at, wall); at += 8; }
  if (fields & MONOTONIC_CLOCK) { store<u64>(at, monotonic); at += 8; }
  return at;
}

/** Fills what lies behind the fields, as irtt's server does. */
function fill(at: usize, len: u32, random: bool, seed: u64): void {
  for (let i: u32 = 0; i < len; i++) {
    if (random && !(i & 7)) {
      // Knuth's MMIX generator.
      seed = seed * 6364136223846793005 + 1442695040888963407;
    }
    store<u8>(at + i, <u8>(random ? seed >>> <u64>(8 * (i & 7)) : <u64>(PATTERN >>> 8 * (i & 3))));
  }
}

/** Turns the headers around for a reply of `len` bytes, UDP's header included. */
function send(packet: usize, ip: usize, datagram: usize, len: u32): i32 {
  wire.setHeader(datagram, load<u32>(datagram), len);
  return replySummed(packet, ip, datagram, len, ttl(packet));
}

/** Completes the last time in a reply whose message lies at `message`, on both clocks. `word` is that of STAMPED. */
export function completeIrtt(message: usize, word: u32, wall: u64, now: u64): void {
  const fields = word >>> STAMPED_FIELDS_SHIFT & 0xff;
  let at = message + <usize>(word >>> STAMPED_AT_SHIFT);
  const half: u64 = fields & AT_MIDPOINT ? 1 : 0;
  if (fields & WALL_CLOCK) {
    store<u64>(at, load<u64>(at) + wall >>> half);
    at += 8;
  }
  if (fields & MONOTONIC_CLOCK) store<u64>(at, load<u64>(at) + now >>> half);
}
