// Services: what a port does with a stream. Those that send make each byte from its position in the stream, so that
// they keep nothing of what they have sent. Only the echo keeps its bytes, in pages, and so does what a service thread
// has (../stream/).

import { ACCEPTED, Closed, Counter, Reset } from "../../abi/counters";
import { Unopened } from "../../abi/streams";
import { FIRST_PREFIX, PREFIX_TCP, PREFIX_TCP_SIZE } from "../../abi/tables";
import {
  ACKED, CAME, MAX_AFTER, MAX_PAGES, PAGE_COUNT, Service, SERVICE, SERVICE_AFTER, SERVICE_AFTER_LEN, SERVICE_BYTES,
  SERVICE_BYTES_LEN, SERVICE_SIZE, SERVICE_STATE, SERVICE_USERS, SERVICES, SND_END, SND_NXT, SND_UNA,
  State,
} from "../../abi/tcp";
import { add } from "../memory";
import { kindOf, serviceIn } from "../ports";
import { table } from "../prefix";
import { recordOf } from "../stream/record";
import * as sent from "../stream/sent";
import * as handled from "../stream/stream";
import { anyTakes } from "../stream/thread";
import { CLOSING, has, kind, setFlag, state } from "./connection";
import { abort, releaseHeld } from "./end";
import * as stream from "./stream";

/** Bytes that chargen is always ahead of what is acknowledged: more than any window. */
const ENDLESS: u32 = 1 << 30;
/** Bytes that may wait to be sent before a service takes no further requests. */
const MOST_REPLIES: u32 = 1 << 20;
/** Window of a service that keeps nothing of what comes: no more single segments than a device's queue holds, 500. */
const FREE_ROOM: u32 = 1 << 19;
/** Window of a service that keeps what comes: at first or when pages are scarce, and else. */
const SMALL_ROOM: u32 = 1 << 16;
const LARGE_ROOM: u32 = 1 << 18;
/**
 * Bytes that an echo or a service thread's stream keeps at most. A scaled window is rounded up, so that small segments
 * push its edge on and on.
 */
const MOST_KEPT: u32 = 1 << 19;

/** Returns the service at a port of this prefix. */
export function serviceAt(prefix: i32, port: u32): usize {
  const entry = table() + <usize>(prefix - FIRST_PREFIX) * PREFIX_TCP_SIZE;
  // The first one refuses.
  return serviceIn(load<u32>(entry, PREFIX_TCP), port) || SERVICES;
}

/** Returns whether service threads have its connections. */
export function isStream(kind: Service): bool {
  return kind >= Service.stream;
}

/** Returns whether the service may get a connection now. */
export function accepts(service: usize): bool {
  return !isStream(kindOf(service)) || anyTakes();
}

/** A connection begins, whose handshake is not complete yet. */
export function begin(c: usize): void {
  use(load<u32>(c, SERVICE), 1);
  if (isStream(kind(c))) handled.begin(c);
}

/** A service thread has asked for a connection. */
export function ask(c: usize, thread: u32, request: u32): void {
  use(load<u32>(c, SERVICE), 1);
  handled.ask(c, thread, request);
}

/** Returns whether the connection was opened from here. */
export function isAsked(c: usize): bool {
  return isStream(kind(c)) && handled.isAsked(c);
}

/** Returns why a connection that was opened from here was not established; Unopened.not if it was. */
export function unopened(c: usize): Unopened {
  return handled.unopened(c);
}

/** Begins a connection's service. */
export function open(c: usize): void {
  if (isAsked(c)) {
    add(Counter.tcpOpened, 1);
    handled.answered(c);
    return;
  }
  const service: usize = load<u32>(c, SERVICE);
  add(ACCEPTED + <u32>(service - SERVICES) / SERVICE_SIZE, 1);
  if (isStream(kind(c))) handled.open(c);
  if (kind(c) == Service.banner) send(c, load<u32>(service, SERVICE_BYTES_LEN));
}

/** Gives a service a user, or takes it away. */
export function use(service: usize, change: i32): void {
  atomic.add<u32>(service + SERVICE_USERS, change);
}

/**
 * Takes bytes of the stream, in order, and returns how many: all, or fewer if the service cannot take more now. CAME is
 * still their position.
 */
export function take(c: usize, data: usize, len: u32): u32 {
  if (isStream(kind(c))) return takeForThread(c, data, len);
  // FIN goes out behind what there was to send when the service closed.
  if (has(c, CLOSING)) return len;
  switch (kind(c)) {
    case Service.echo:
      if (load<u64>(c, CAME) - load<u64>(c, ACKED) + len > MOST_KEPT) return 0;
      if (!stream.keep(c, load<u64>(c, CAME), data, len)) return 0;
      send(c, len);
      return len;
    case Service.reply: return takeRequests(c, data, len);
    case Service.tarpit: return 0;
    default: return len;
  }
}

/** Keeps bytes until a service thread has read them. */
function takeForThread(c: usize, data: usize, len: u32): u32 {
  if (handled.isOver(c)) return len;
  if (handled.unread(c) + len > MOST_KEPT) return 0;
  return stream.keep(c, load<u64>(c, CAME), data, len) ? len : 0;
}

/** Looks for ends of requests. What has matched of the next one is in SERVICE_STATE (see src/engine/services.ts). */
function takeRequests(c: usize, data: usize, len: u32): u32 {
  const service: usize = load<u32>(c, SERVICE);
  const after: usize = load<u32>(service, SERVICE_AFTER);
  const afterLen = load<u32>(service, SERVICE_AFTER_LEN);
  const replyLen = load<u32>(service, SERVICE_BYTES_LEN);
  let matched = load<u32>(c, SERVICE_STATE);
  let pending = load<u32>(c, SND_END) - load<u32>(c, SND_UNA);
  let taken: u32 = 0;
  while (taken < len && pending < MOST_REPLIES) {
    const byte = load<u8>(data + taken++);
    while (matched && byte != load<u8>(after + matched)) matched = load<u8>(after + matched - 1, MAX_AFTER);
    if (byte == load<u8>(after + matched)) matched++;
    if (matched < afterLen) continue;
    matched = 0;
    pending += replyLen;
    send(c, replyLen);
  }
  store<u32>(c, matched, SERVICE_STATE);
  return taken;
}

/** The peer has closed: nothing comes any more. All services but a thread's end with it. */
export function finish(c: usize): void {
  if (isStream(kind(c))) handled.finish(c);
  else if (!has(c, CLOSING)) close(c);
}

/** The service ends, once everything has been sent. */
export function close(c: usize): void {
  if (isStream(kind(c))) { handled.close(c); return; }
  setFlag(c, CLOSING);
  if (kind(c) == Service.chargen) store<u32>(c, load<u32>(c, SND_NXT), SND_END);
}

/** Returns whether a connection, or what is left of one, is a stream whose thread has ended. */
export function isOrphan(c: usize): bool {
  return isStream(kind(c)) && handled.isOrphan(c);
}

/** Resets an orphan, and gives back all of it. */
export function reset(c: usize): void {
  handled.letGo(recordOf(c));
  if (state(c) == State.CLOSED) releaseHeld(c);
  else abort(c, Reset.ended, Closed.reset);
}

/** The connection is over. Returns whether somebody still needs its block. */
export function ended(c: usize, how: Closed): bool {
  return isStream(kind(c)) && handled.ended(c, how);
}

/** Returns how many bytes the service can take, from CAME on. */
export function room(c: usize): u32 {
  switch (kind(c)) {
    case Service.tarpit: return 0;
    case Service.reply: return load<u32>(c, SND_END) - load<u32>(c, SND_UNA) < MOST_REPLIES ? pagesRoom() : 0;
    case Service.echo: {
      const kept = <u32>(load<u64>(c, CAME) - load<u64>(c, ACKED));
      const most = pagesRoom();
      return most > kept ? most - kept : 0;
    }
    case Service.stream: case Service.http: {
      const unread = handled.unread(c);
      const most = pagesRoom();
      return most > unread ? most - unread : 0;
    }
    default: return FREE_ROOM;
  }
}

/** Returns whether the service has to look at what came out of order, so that it has to be kept. */
export function looks(c: usize): bool {
  const service = kind(c);
  return service == Service.echo || service == Service.reply || isStream(service);
}

/** Returns whether the service's answer may be on its way, so that an acknowledgement can wait for it. */
export function answersSoon(c: usize): bool {
  return isStream(kind(c));
}

/** Returns whether the service keeps what it has taken. */
export function keeps(c: usize): bool {
  return kind(c) == Service.echo || isStream(kind(c));
}

/** Takes bytes that are kept already. */
export function kept(c: usize, len: u32): void {
  if (kind(c) == Service.echo) send(c, len);
}

/** The peer has acknowledged more of what was sent, from the position `from` on. */
export function acknowledged(c: usize, from: u64): void {
  if (kind(c) == Service.echo) stream.trim(c, from);
  else if (isStream(kind(c))) handled.acknowledged(c, <u32>(load<u64>(c, ACKED) - from));
}

/** Asks the service for more, before it is looked what there is to send. */
export function more(c: usize): void {
  if (isStream(kind(c))) handled.announce(c);
  if (kind(c) == Service.chargen && !has(c, CLOSING)) store<u32>(c, load<u32>(c, SND_UNA) + ENDLESS, SND_END);
}

/** Writes the bytes of the stream that is sent from `position` on. */
export function fill(c: usize, to: usize, position: u64, len: u32): void {
  if (kind(c) == Service.echo) { stream.copy(c, to, position, len); return; }
  if (isStream(kind(c))) { sent.copy(recordOf(c), to, <u32>(position - load<u64>(c, ACKED)), len); return; }
  const service: usize = load<u32>(c, SERVICE);
  const bytes: usize = load<u32>(service, SERVICE_BYTES);
  const bytesLen = load<u32>(service, SERVICE_BYTES_LEN);
  let at = <u32>(position % bytesLen);
  while (len) {
    const count = min(bytesLen - at, len);
    memory.copy(to, bytes + at, count);
    to += count;
    len -= count;
    at = 0;
  }
}

function send(c: usize, len: u32): void {
  if (has(c, CLOSING)) return;
  store<u32>(c, load<u32>(c, SND_END) + len, SND_END);
}

function pagesRoom(): u32 {
  return load<u32>(PAGE_COUNT) < load<u32>(MAX_PAGES) >>> 1 ? LARGE_ROOM : SMALL_ROOM;
}
