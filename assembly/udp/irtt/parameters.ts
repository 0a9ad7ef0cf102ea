// Parameters of an open, {uvarint type, varint value} each: what the client asks for, and what this server allows.
// Those of the request in hand lie at IRTT_PARAMETERS.

import {
  IRTT_MAX_DURATION, IRTT_MAX_LENGTH, IRTT_MIN_INTERVAL, IRTT_PARAMETERS, IRTT_TYPES,
} from "../../../abi/irtt";
import { CLOCK_SHIFT, STAMP_SHIFT } from "./packet";
import { NS_PER_S } from "./sessions";

// Types of parameters.
export const VERSION: u32 = 1;
const DURATION: u32 = 2;
const INTERVAL: u32 = 3;
export const LENGTH: u32 = 4;
const RECEIVED_STATS: u32 = 5;
const STAMP_AT: u32 = 6;
const CLOCK: u32 = 7;
const FILL: u32 = 9;
export const PROTOCOL_VERSION: i64 = 1;
const MAX_PARAMETERS_LEN: u32 = 128;
const MAX_INTERVAL_NS: u64 = 15 * NS_PER_S;

/** "rand": a fill that a client may ask for. */
const RAND: u32 = 0x646e6172;

export function parameter(type: u32): i64 {
  return load<i64>(<usize>IRTT_PARAMETERS + (<usize>type << 3));
}

export function setParameter(type: u32, value: i64): void {
  store<i64>(<usize>IRTT_PARAMETERS + (<usize>type << 3), value);
}

/**
 * Reads parameters, `len` bytes at `at`. Returns 1 if the fill "rand" is asked for, 0 if none or another one is, and -1
 * if they are malformed. Unknown ones are skipped.
 */
export function read(at: usize, len: u32): i32 {
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

/** Returns a session's fields by the parameters; -1 if these are malformed. */
export function fieldsOf(): i32 {
  const stats = parameter(RECEIVED_STATS);
  const at = parameter(STAMP_AT);
  const clock = parameter(CLOCK);
  if (stats < 0 || stats > 3 || at < 0 || at > 4 || clock < 0 || clock > 3 || (at && !clock)) return -1;
  if (!parameter(VERSION) || parameter(DURATION) < 0 || parameter(INTERVAL) < 0) return -1;
  return <i32>stats | <i32>at << STAMP_SHIFT | <i32>clock << CLOCK_SHIFT;
}

/** Has the parameters say what this server allows, as irtt's does. */
export function restrict(options: usize): void {
  const maxDuration = load<i64>(options, IRTT_MAX_DURATION);
  if (maxDuration && parameter(DURATION) > maxDuration) setParameter(DURATION, maxDuration);
  const interval = max<i64>(parameter(INTERVAL), load<i64>(options, IRTT_MIN_INTERVAL));
  setParameter(INTERVAL, min<i64>(MAX_INTERVAL_NS, interval));
  const maxLength: i64 = load<u32>(options, IRTT_MAX_LENGTH);
  if (maxLength && parameter(LENGTH) > maxLength) setParameter(LENGTH, maxLength);
}

/** Writes the parameters to `at`, and returns where they end. */
export function write(at: usize, random: bool): usize {
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

function writeVarint(at: usize, value: u64): usize {
  for (; value >= 0x80; value >>>= 7) store<u8>(at++, <u8>(value | 0x80));
  store<u8>(at, <u8>value);
  return at + 1;
}
