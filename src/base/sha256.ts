/**
 * SHA-256 (FIPS 180-4), as far as an HMAC's key needs it (RFC 2104): all that is kept of a key is the states after its
 * two pads. node:crypto does not tell a state. What is hashed after them is hashed by assembly/sha256.ts.
 */
import { createHash } from "node:crypto";
import { PADS_LEN, SHA_BLOCK, SHA_LEN } from "../../abi/sha256.js";

/** §4.2.2: 32 bits of the fractions of the cube roots of the first 64 primes; §5.3.3: of the square roots of eight. */
export const ROUND_CONSTANTS = Uint32Array.from(primes(64), (prime) => fraction(Math.cbrt(prime)));
const FIRST_STATE = Uint32Array.from(primes(8), (prime) => fraction(Math.sqrt(prime)));

function primes(count: number): number[] {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
}

function fraction(root: number): number {
  return Math.floor(root % 1 * 2 ** 32);
}

/** Returns what assembly/sha256.ts knows of a key: two states, whose words are little-endian. */
export function padsOf(key: Uint8Array): Buffer {
  const short = key.length > SHA_BLOCK ? createHash("sha256").update(key).digest() : key;
  const pads = Buffer.alloc(PADS_LEN);
  for (const [i, octet] of [0x36, 0x5c].entries()) {
    const block = Buffer.alloc(SHA_BLOCK, octet);
    short.forEach((byte, at) => { block[at] ^= byte; });
    compress(block).forEach((word, at) => pads.writeUInt32LE(word, SHA_LEN * i + 4 * at));
    block.fill(0);
  }
  return pads;
}

/** §6.2.2: returns the state after one block. */
function compress(block: Buffer): Uint32Array {
  const w = Uint32Array.from({ length: 64 }, (_, t) => t < 16 ? block.readUInt32BE(4 * t) : 0);
  for (let t = 16; t < 64; t++) {
    const [x, y] = [w[t - 15], w[t - 2]];
    w[t] = w[t - 16] + w[t - 7] + (rotr(x, 7) ^ rotr(x, 18) ^ x >>> 3) + (rotr(y, 17) ^ rotr(y, 19) ^ y >>> 10);
  }
  let [a, b, c, d, e, f, g, h] = FIRST_STATE;
  w.forEach((word, t) => {
    const t1 = h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + (e & f ^ ~e & g) + ROUND_CONSTANTS[t] + word;
    const t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + (a & b ^ a & c ^ b & c);
    [a, b, c, d, e, f, g, h] = [t1 + t2 | 0, a, b, c, d + t1 | 0, e, f, g];
  });
  w.fill(0);
  return FIRST_STATE.map((word, i) => word + [a, b, c, d, e, f, g, h][i]);
}

function rotr(word: number, bits: number): number {
  return word >>> bits | word << 32 - bits;
}
