// Draws: what is left to chance. A draw is a function of the link's seed, of the packet's number on this way, and of
// what it is for. So the same packets meet the same fate again, no draw changes another, and a crash changes nothing.
// The function is the finalizer of SplitMix64 (Steele, Lea and Flood 2014), whose outputs for consecutive numbers pass
// for random.

import { DRAW_KEY, LINK_STATES_AT, QUEUE_INDEX, STATE_PACKETS, WAY_STATE_SIZE } from "../../abi/links";
import { NO_STATE, WAY_SEED, WAY_STATE } from "../../abi/ways";

/** What a draw is for. */
export const enum Draw {
  duplicate,
  loss,
  transition,
  corrupt,
  bit,
  ahead,
  jitter,
  slot,
  seed,
  lastDelay,
  lastLoss,
  lastDuplicate,
  lastReorder,
  lastCorrupt,
}

/** 2^64 divided by the golden ratio: consecutive multiples of it spread evenly. */
export const GOLDEN: u64 = 0x9e3779b97f4a7c15;

/** Begins the draws of the next packet of a state. */
export function nextPacket(way: usize, state: usize): void {
  const packets = load<u64>(state, STATE_PACKETS);
  store<u64>(state, packets + 1, STATE_PACKETS);
  // Neither two queues nor two prefixes with links alike draw the same.
  const own: u32 = load<u32>(way, WAY_STATE) == NO_STATE ? numberOf(state) : 0;
  const place = mix64(<u64>load<u32>(QUEUE_INDEX) << 32 | own);
  store<u64>(DRAW_KEY, mix64((load<u64>(way, WAY_SEED) ^ place) + packets * GOLDEN));
}

/** Returns a number of a state's own: 64 times its place, whatever its size, so that what a seed means stays. */
function numberOf(state: usize): u32 {
  return (<u32>state - load<u32>(LINK_STATES_AT)) / WAY_STATE_SIZE << 6;
}

/** Returns 64 random bits. */
export function bits(draw: Draw): u64 {
  return mix64(load<u64>(DRAW_KEY) + (<u64>draw + 1) * GOLDEN);
}

/** Returns a random number of at least 0 and less than 1. */
export function unit(draw: Draw): f64 {
  return <f64>(bits(draw) >>> 11) * (1.0 / 9007199254740992.0);
}

/** Returns a number of which each bit depends on every bit of `z`. */
export function mix64(z: u64): u64 {
  z = (z ^ z >>> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >>> 27) * 0x94d049bb133111eb;
  return z ^ z >>> 31;
}
