/**
 * Predicts what liboping sends: the identifier of its echo requests is the first number of random(3), seeded with 4
 * bytes of /dev/urandom.
 */
import { plainSum } from "./packets.js";

/** The data of each request. */
const DATA = Buffer.from("liboping -- ICMP ping library <http://octo.it/liboping/>");

/** Returns what /dev/urandom must say so that the checksum of the echo reply with this sequence number is 0x0000. */
export function seedOfZero(sequence: number): Uint8Array {
  for (let seed = 1; ; seed++) {
    const words = Uint8Array.of(random(seed) >> 8 & 255, random(seed) & 255, sequence >> 8, sequence & 255);
    if (plainSum(Buffer.concat([words, DATA])) === 0xffff) return new Uint8Array(Uint32Array.of(seed).buffer);
  }
}

/**
 * Returns the first number of glibc's random(3) after srandom(seed): the recurrence is r[i] = r[i − 3] + r[i − 31], and
 * the first 310 are dropped.
 */
function random(seed: number): number {
  const r = [seed];
  for (let i = 1; i < 31; i++) r.push(16807 * r[i - 1] % 0x7fffffff);
  for (let i = 31; i < 34; i++) r.push(r[i - 31]);
  for (let i = 34; i <= 344; i++) r.push(r[i - 31] + r[i - 3] >>> 0);
  return r[344] >>> 1;
}
