// Requests of a session, each of which gets a reply that has, in optional fields, what the client has asked for.

import { Drop } from "../../../abi/counters";
import {
  IRTT_BEGAN_AT, IRTT_BUCKET, IRTT_COUNT, IRTT_FIELDS, IRTT_LENGTH, IRTT_MAX_DURATION, IRTT_MAX_LENGTH,
  IRTT_MIN_INTERVAL, IRTT_OPENED_AT, IRTT_RANDOM, IRTT_USED_AT, IRTT_WINDOW,
} from "../../../abi/irtt";
import { STAMPED_HMAC } from "../../../abi/slots";
import { SERVICE_BYTES } from "../../../abi/tcp";
import { take } from "../../limit";
import { arrival, wall } from "../../packet";
import { drop } from "../../verdict";
import * as wire from "../../wire/udp";
import { entryFor, later } from "../stamp";
import {
  AT_MIDPOINT, AT_RECEIVE, AT_SEND, CLOSE, fieldsLen, FLAGS, HMAC, HMAC_LEN, MIN_LEN, RECEIVED_COUNT, RECEIVED_WINDOW,
  REPLY, send, SEQUENCE, sign, stampedOf, TOKEN, writeTimes,
} from "./packet";
import { assign, end, note, NS_PER_S, time } from "./sessions";

const NS_PER_MS: f64 = 1e6;
/** As irtt's server has them. */
const DURATION_GRACE_NS: u64 = 2 * NS_PER_S;
const BURST: f64 = 5;
/** "irtt": the fill that there is unless a client asks for another one. */
const PATTERN: u32 = 0x74747269;

/** Answers a request of a session. */
export function echo(
  packet: usize, ip: usize, datagram: usize, messageLen: u32, service: usize, session: usize, pads: usize,
): i32 {
  const options: usize = load<u32>(service, SERVICE_BYTES);
  const message = datagram + wire.HEADER_LEN;
  const hmacLen: u32 = pads ? HMAC_LEN : 0;
  const body = message + hmacLen;
  const fields: u32 = load<u8>(session, IRTT_FIELDS);
  const fieldsEnd = hmacLen + MIN_LEN + fieldsLen(fields);
  const maxLength = load<u32>(options, IRTT_MAX_LENGTH);
  // I2: what has no room for the fields would get a longer reply.
  if (messageLen < fieldsEnd || (maxLength && messageLen > maxLength)) return drop(Drop.irtt_malformed);
  const now = time();
  const interval = load<u64>(options, IRTT_MIN_INTERVAL);
  if (!load<u64>(session, IRTT_BEGAN_AT)) store<u64>(session, now, IRTT_BEGAN_AT);
  store<u64>(session, now, IRTT_USED_AT);
  assign(session, service);
  if (interval && !take(session + IRTT_BUCKET, NS_PER_MS / <f64>interval, BURST, now)) {
    return drop(Drop.irtt_interval);
  }
  const isLatest = note(session, load<u32>(body, SEQUENCE));
  store<u8>(message, <u8>(REPLY | (pads ? HMAC : 0) | (isTimeOver(session, options, now) ? CLOSE : 0)), FLAGS);
  const last = writeFields(packet, message, body + MIN_LEN, session, isLatest, now);
  const length = min(messageLen, max(fieldsEnd, load<u32>(session, IRTT_LENGTH)));
  const random = load<u8>(session, IRTT_RANDOM) != 0;
  fill(message + fieldsEnd, length - fieldsEnd, random, load<u64>(body, TOKEN) + now);
  const isComplete = !(fields & (AT_SEND | AT_MIDPOINT));
  if (isComplete && pads) sign(message, length, pads);
  const replyLen = send(packet, ip, datagram, wire.HEADER_LEN + length);
  if (isComplete) return replyLen;
  const entry = entryFor(ip, stampedOf(fields, last));
  store<u32>(entry, <u32>pads, STAMPED_HMAC);
  later(packet, ip, replyLen, entry);
  return replyLen;
}

/** Returns whether a session has taken too long. It is over then; the request in hand is answered all the same. */
function isTimeOver(session: usize, options: usize, now: u64): bool {
  const maxDuration = load<u64>(options, IRTT_MAX_DURATION);
  if (!maxDuration || now - load<u64>(session, IRTT_BEGAN_AT) <= maxDuration + DURATION_GRACE_NS) return false;
  end(session);
  return true;
}

/** Writes the optional fields to `at`. Returns how far behind the message's beginning the last time lies. */
function writeFields(packet: usize, message: usize, at: usize, session: usize, isLatest: bool, now: u64): u32 {
  const fields: u32 = load<u8>(session, IRTT_FIELDS);
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
  if (fields & AT_SEND) writeTimes(at, fields, 0, since);
  if (fields & AT_MIDPOINT) writeTimes(at, fields, wall(packet), came + 2 * since);
  return last;
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
