// The kernel's random numbers for netem: a generator that has a state, and so gives the same numbers for the same seed,
// but only as long as the same is drawn in the same order (Linux 6.12, lib/random32.c: L'Ecuyer 1999, "Tables of
// maximally equidistributed combined LFSR generators").

import {
  QUEUE_INDEX, STATE_LAST_CORRUPT, STATE_LAST_DELAY, STATE_LAST_DUPLICATE, STATE_LAST_LOSS, STATE_LAST_REORDER,
  STATE_PRNG,
} from "../../../abi/links";
import { NETEM_IS_SEEDED, NETEM_SEED } from "../../../abi/netem";
import { bits, Draw } from "../draw";

/** Gives the generator of a state its seed, if it has none. */
export function begin(netem: usize, state: usize): void {
  if (load<u32>(state, STATE_PRNG)) return;
  seed(state, seedOf(netem));
  // The kernel has get_random_u32() here. These depend on the seed, too.
  store<u32>(state, <u32>bits(Draw.lastDelay), STATE_LAST_DELAY);
  store<u32>(state, <u32>bits(Draw.lastLoss), STATE_LAST_LOSS);
  store<u32>(state, <u32>bits(Draw.lastDuplicate), STATE_LAST_DUPLICATE);
  store<u32>(state, <u32>bits(Draw.lastReorder), STATE_LAST_REORDER);
  store<u32>(state, <u32>bits(Draw.lastCorrupt), STATE_LAST_CORRUPT);
}

/** Returns the seed. Queues of the device other than the first have another one, or all would lose the same. */
function seedOf(netem: usize): u64 {
  if (!load<u32>(netem, NETEM_IS_SEEDED)) return bits(Draw.seed);
  return load<u64>(netem, NETEM_SEED) + <u64>load<u32>(QUEUE_INDEX) * 0x9e3779b97f4a7c15;
}

/** As prandom_seed_state(). */
function seed(state: usize, seed: u64): void {
  const i = <u32>(seed >>> 32 ^ seed << 10 ^ seed);
  store<u32>(state, atLeast(i, 2), STATE_PRNG);
  store<u32>(state, atLeast(i, 8), STATE_PRNG + 4);
  store<u32>(state, atLeast(i, 16), STATE_PRNG + 8);
  store<u32>(state, atLeast(i, 128), STATE_PRNG + 12);
}

function atLeast(value: u32, least: u32): u32 {
  return value < least ? value + least : value;
}

/** Returns the next number, as prandom_u32_state(). */
export function random(state: usize): u32 {
  let s1 = load<u32>(state, STATE_PRNG);
  let s2 = load<u32>(state, STATE_PRNG + 4);
  let s3 = load<u32>(state, STATE_PRNG + 8);
  let s4 = load<u32>(state, STATE_PRNG + 12);
  s1 = (s1 & 0xffff_fffe) << 18 ^ (s1 << 6 ^ s1) >>> 13;
  s2 = (s2 & 0xffff_fff8) << 2 ^ (s2 << 2 ^ s2) >>> 27;
  s3 = (s3 & 0xffff_fff0) << 7 ^ (s3 << 13 ^ s3) >>> 21;
  s4 = (s4 & 0xffff_ff80) << 13 ^ (s4 << 3 ^ s4) >>> 12;
  store<u32>(state, s1, STATE_PRNG);
  store<u32>(state, s2, STATE_PRNG + 4);
  store<u32>(state, s3, STATE_PRNG + 8);
  store<u32>(state, s4, STATE_PRNG + 12);
  return s1 ^ s2 ^ s3 ^ s4;
}

/**
 * Returns the next number of those that have a correlation, whose last one is at `last`, as get_crandom(). It is a mean
 * of a new one and the last, so that with a correlation few are small or large.
 */
export function correlated(state: usize, last: usize, correlation: u32): u32 {
  const value = random(state);
  if (!correlation) return value;
  const rho = <u64>correlation + 1;
  const mixed = <u32>((<u64>value * ((<u64>1 << 32) - rho) + <u64>load<u32>(last) * rho) >>> 32);
  store<u32>(last, mixed);
  return mixed;
}

/** Returns whether something happens to the packet in hand by the chance at `chance`. Without one nothing is drawn. */
export function happens(state: usize, chance: usize, last: usize): bool {
  const probability = load<u32>(chance);
  return probability != 0 && probability >= correlated(state, last, load<u32>(chance, 4));
}
