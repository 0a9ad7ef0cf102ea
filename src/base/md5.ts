/**
 * MD5 (RFC 1321), as far as an HMAC's key needs it (RFC 2104): all that is kept of a key is the states after its two
 * pads. node:crypto does not tell a state, and has no MD5 where a policy forbids it. What is hashed after the pads is
 * hashed by assembly/md5.ts.
 */
import { MD5_BLOCK, MD5_LEN, MD5_PADS_LEN } from "../../abi/md5.js";

/** §3.4: 32 bits of the absolute values of the sines of 1 to 64. */
export const MD5_CONSTANTS = Uint32Array.from(
  { length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32),
);
/** §3.3. */
const FIRST_STATE = Uint32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);

type Round = readonly [
  mix: (x: number, y: number, z: number) => number, words: readonly [factor: number, first: number],
  turns: readonly number[],
];

/** The auxiliary functions of §3.4, which words of a block each round takes, and how far it turns each sum. */
const ROUNDS: readonly Round[] = [
  [(x, y, z) => x & y | ~x & z, [1, 0], [7, 12, 17, 22]],
  [(x, y, z) => x & z | y & ~z, [5, 1], [5, 9, 14, 20]],
  [(x, y, z) => x ^ y ^ z, [3, 5], [4, 11, 16, 23]],
  [(x, y, z) => y ^ (x | ~z), [7, 0], [6, 10, 15, 21]],
];

/** Returns what assembly/md5.ts knows of a key: two states. */
export function md5PadsOf(key: Uint8Array): Buffer {
  const short = key.length > MD5_BLOCK ? hashOf(key) : key;
  const pads = Buffer.alloc(MD5_PADS_LEN);
  for (const [i, octet] of [0x36, 0x5c].entries()) {
    const block = Buffer.alloc(MD5_BLOCK, octet);
    short.forEach((byte, at) => { block[at] ^= byte; });
    bytesOf(compress(FIRST_STATE, block)).copy(pads, MD5_LEN * i);
    block.fill(0);
  }
  return pads;
}

/** Returns the MD5 of a text. */
function hashOf(text: Uint8Array): Buffer {
  const padded = Buffer.alloc(Math.ceil((text.length + 9) / MD5_BLOCK) * MD5_BLOCK);
  padded.set(text);
  padded[text.length] = 0x80;
  padded.writeBigUInt64LE(8n * BigInt(text.length), padded.length - 8);
  let state: Uint32Array = FIRST_STATE;
  for (let at = 0; at < padded.length; at += MD5_BLOCK) state = compress(state, padded.subarray(at, at + MD5_BLOCK));
  padded.fill(0);
  return bytesOf(state);
}

function bytesOf(state: Uint32Array): Buffer {
  const bytes = Buffer.alloc(MD5_LEN);
  state.forEach((word, i) => bytes.writeUInt32LE(word, 4 * i));
  return bytes;
}

/** §3.4: returns the state after one more block. */
function compress(state: Uint32Array, block: Buffer): Uint32Array {
  let [a, b, c, d] = state;
  for (const [round, [mix, [factor, first], turns]] of ROUNDS.entries()) {
    for (let i = 0; i < 16; i++) {
      const word = block.readUInt32LE(4 * ((factor * i + first) % 16));
      const sum = a + mix(b, c, d) + word + MD5_CONSTANTS[16 * round + i] | 0;
      const bits = turns[i % 4];
      [a, b, c, d] = [d, b + (sum << bits | sum >>> 32 - bits) | 0, b, c];
    }
  }
  return state.map((word, i) => word + [a, b, c, d][i]);
}
