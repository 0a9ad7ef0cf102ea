/** The wall clock, CLOCK_REALTIME, as only the kernel knows it. */
import { UNKNOWN_ERROR } from "../../abi/control.js";
import * as libc from "./libc.js";
import { CLOCK_REALTIME, SIZEOF_TIMESPEC, SIZEOF_TIMEX, STA_UNSYNC, TIMEX_MAXERROR, TIMEX_STATUS } from "./uapi.js";

const NS_PER_S = 1_000_000_000n;

/** Bits of an error estimate, RFC 4656 §4.1.2. */
const SYNCHRONIZED = 0x8000;
const SCALE_SHIFT = 8;
const MAX_SCALE = 63;
const MAX_MULTIPLIER = 255;

const timespec = new BigInt64Array(SIZEOF_TIMESPEC / 8);
const timespecBytes = new Uint8Array(timespec.buffer);

/** Returns the nanoseconds since 1970. */
export function realtime(): bigint {
  libc.check(libc.clock_gettime(CLOCK_REALTIME, timespecBytes), "clock_gettime", "CLOCK_REALTIME");
  return timespec[0] * NS_PER_S + timespec[1];
}

/** Returns how far the wall clock may be off, as an error estimate of RFC 4656 §4.1.2: 16 bits. */
export function errorEstimate(): number {
  const timex = new DataView(new ArrayBuffer(SIZEOF_TIMEX));
  if (libc.adjtimex(new Uint8Array(timex.buffer)) < 0) return UNKNOWN_ERROR;
  if ((timex.getInt32(TIMEX_STATUS, true) & STA_UNSYNC) !== 0) return UNKNOWN_ERROR;
  return estimateOf(Number(timex.getBigInt64(TIMEX_MAXERROR, true)));
}

/** Returns the estimate for a synchronized clock that is off by at most so many microseconds; it says no less. */
export function estimateOf(maxErrorUs: number): number {
  // The error is the multiplier times 2^(scale - 32) s.
  const error = Math.max(maxErrorUs, 0) / 1e6 * 2 ** 32;
  const scale = Math.max(0, Math.ceil(Math.log2(error / MAX_MULTIPLIER)));
  const multiplier = Math.max(1, Math.ceil(error / 2 ** scale));
  return scale > MAX_SCALE ? UNKNOWN_ERROR : SYNCHRONIZED | scale << SCALE_SHIFT | multiplier;
}
