// SYN cookies (RFC 4987 §3.6): under a flood of SYNs nothing is kept of them. The initial sequence number has what the
// connection will need, and a code that nobody else can compute:
//
//    31                    8   7     6     5     4 2     1 0
//   ┌───────────────────────┬─────┬──────┬─────┬───────┬─────┐
//   │ code                  │ age │ SACK │ ECN │ scale │ MSS │
//   └───────────────────────┴─────┴──────┴─────┴───────┴─────┘
//
// The code is of the addresses, the ports, the peer's initial sequence number, the other bits, and the time, of which
// the lowest bit is told. A cookie is good for 15 to 30 s. Scale and MSS are rounded down to those of a table.
//
// A code has 24 bits, so whoever sends enough acknowledgements hits one. They are looked at only while a cookie that
// was sent may come back, as in Linux (tcp_synq_no_recent_overflow, include/net/tcp.h).

import { NOW } from "../../abi/control";
import { COOKIE_KEY, COOKIE_SENT_AT } from "../../abi/tcp";
import { siphash } from "../siphash";

const NS_PER_PERIOD: u64 = 15_000_000_000;
/** Periods for which a cookie is good: the one in which it was made, and the next one. */
const LIFETIME: u64 = 2;
const AGE: u32 = 1 << 7;
export const COOKIE_SACK: u32 = 1 << 6;
export const COOKIE_ECN: u32 = 1 << 5;

/**
 * Returns the cookie to send now, an initial sequence number. `irs` is the peer's, `scale` a shift count, or -1 for
 * none.
 */
export function make(addresses: usize, six: bool, ports: u32, irs: u32, bits: u32, scale: i32, mss: u32): u32 {
  const now = load<u64>(NOW);
  store<u64>(COOKIE_SENT_AT, now);
  const period = now / NS_PER_PERIOD;
  bits |= <u32>(period & 1) << 7 | scaleIndex(scale) << 2 | mssIndex(six, mss);
  return codeOf(addresses, six, ports, irs, bits, period) << 8 | bits;
}

/** Returns whether a cookie may be on its way back. */
export function areAbout(): bool {
  const sent = load<u64>(COOKIE_SENT_AT);
  return sent != 0 && load<u64>(NOW) - sent < LIFETIME * NS_PER_PERIOD;
}

/** Returns whether an initial sequence number is a cookie that was made here a short while ago. */
export function isGenuine(addresses: usize, six: bool, ports: u32, irs: u32, cookie: u32): bool {
  const bits = cookie & 0xff;
  let period = load<u64>(NOW) / NS_PER_PERIOD;
  if (<u32>(period & 1) != (bits & AGE) >>> 7) period--;
  return codeOf(addresses, six, ports, irs, bits, period) == cookie >>> 8;
}

/** Returns the shift count; -1 for none. */
export function scaleOf(cookie: u32): i32 {
  return scaleAt(cookie >>> 2 & 7);
}

export function mssOf(six: bool, cookie: u32): u32 {
  return mssAt(six, cookie & 3);
}

function codeOf(addresses: usize, six: bool, ports: u32, irs: u32, bits: u32, period: u64): u32 {
  return <u32>(siphash(COOKIE_KEY, addresses, six, <u64>irs << 32 | ports, period << 8 | bits, 2, 4) >>> 40);
}

function scaleAt(index: u32): i32 {
  switch (index) {
    case 0: return -1;
    case 1: return 0;
    case 2: return 2;
    case 3: return 4;
    case 4: return 6;
    case 5: return 7;
    case 6: return 8;
    default: return 10;
  }
}

function scaleIndex(scale: i32): u32 {
  let index: u32 = 7;
  while (scaleAt(index) > scale) index--;
  return index;
}

function mssAt(six: bool, index: u32): u32 {
  switch (index) {
    case 0: return six ? 1220 : 536;
    case 1: return six ? 1360 : 1220;
    case 2: return six ? 1420 : 1420;
    default: return six ? 1440 : 1460;
  }
}

function mssIndex(six: bool, mss: u32): u32 {
  let index: u32 = 3;
  while (index && mssAt(six, index) > mss) index--;
  return index;
}
