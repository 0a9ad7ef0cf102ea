// The round-trip time, and the retransmission timeout that follows from it (RFC 6298).

import { RTTVAR, SRTT } from "../../abi/tcp";

const MIN_US: u32 = 200_000;
const MAX_US: u32 = 120_000_000;
const INITIAL_US: u32 = 1_000_000;

/** Takes in a sample in microseconds. */
export function sample(c: usize, us: u32): void {
  const srtt = load<u32>(c, SRTT);
  if (!srtt) {
    store<u32>(c, us << 3, SRTT);
    store<u32>(c, us << 1, RTTVAR);
    return;
  }
  const error = <i32>us - <i32>(srtt >>> 3);
  store<u32>(c, srtt + error, SRTT);
  const variation = load<u32>(c, RTTVAR);
  store<u32>(c, variation + abs(error) - (variation >>> 2), RTTVAR);
}

/** Returns the timeout in microseconds, without backoff. */
export function timeout(c: usize): u32 {
  const srtt = load<u32>(c, SRTT);
  if (!srtt) return INITIAL_US;
  return min(max((srtt >>> 3) + load<u32>(c, RTTVAR), MIN_US), MAX_US);
}
