// MD5 (RFC 1321), and HMAC with it (RFC 2104), which is what IRTT has. All that is known of a key is the states of MD5
// after the blocks of its two pads, which src/base/md5.ts makes. MD5's words are little-endian, as WebAssembly's are.

import { MD5_BLOCK, MD5_LAST, MD5_LEN, MD5_STATE, MD5_T } from "../abi/md5";

const BLOCK: u32 = MD5_BLOCK;
const LEN: u32 = MD5_LEN;
const STATE: usize = MD5_STATE;
const LAST: usize = MD5_LAST;
const T: usize = MD5_T;
/** Bytes of the length, in bits, with which a text's padding ends. */
const LENGTH_LEN: u32 = 8;

/** Leaves the HMAC of `len` bytes at `text` at MD5_STATE, as it is sent. */
export function hmac(pads: usize, text: usize, len: u32): void {
  memory.copy(STATE, pads, LEN);
  let left = len;
  for (; left >= BLOCK; left -= BLOCK) {
    compress(text);
    text += BLOCK;
  }
  memory.copy(LAST, text, left);
  finish(left, len);
  memory.copy(LAST, STATE, LEN);
  memory.copy(STATE, pads + LEN, LEN);
  finish(LEN, LEN);
}

/** Hashes the last `left` bytes of a text, which lie at LAST, and the padding. The text is `len` bytes behind a pad. */
function finish(left: u32, len: u32): void {
  const end: u32 = left + 1 + LENGTH_LEN <= BLOCK ? BLOCK : 2 * BLOCK;
  store<u8>(LAST + left, 0x80);
  memory.fill(LAST + left + 1, 0, end - LENGTH_LEN - left - 1);
  store<u64>(LAST + end - LENGTH_LEN, <u64>(BLOCK + len) << 3);
  compress(LAST);
  if (end > BLOCK) compress(LAST + BLOCK);
}

/** RFC 1321 §3.4: hashes one block into the state. Each round takes the block's words in an order of its own. */
export function compress(block: usize): void {
  let a = load<u32>(STATE), b = load<u32>(STATE, 4), c = load<u32>(STATE, 8), d = load<u32>(STATE, 12);
  for (let i: usize = 0; i < 16; i += 4) {
    a = step(a + (b & (c ^ d) ^ d), block, i, i, 7) + b;
    d = step(d + (a & (b ^ c) ^ c), block, i + 1, i + 1, 12) + a;
    c = step(c + (d & (a ^ b) ^ b), block, i + 2, i + 2, 17) + d;
    b = step(b + (c & (d ^ a) ^ a), block, i + 3, i + 3, 22) + c;
  }
  for (let i: usize = 16; i < 32; i += 4) {
    a = step(a + (d & (b ^ c) ^ c), block, 5 * i + 1, i, 5) + b;
    d = step(d + (c & (a ^ b) ^ b), block, 5 * i + 6, i + 1, 9) + a;
    c = step(c + (b & (d ^ a) ^ a), block, 5 * i + 11, i + 2, 14) + d;
    b = step(b + (a & (c ^ d) ^ d), block, 5 * i + 16, i + 3, 20) + c;
  }
  for (let i: usize = 32; i < 48; i += 4) {
    a = step(a + (b ^ c ^ d), block, 3 * i + 5, i, 4) + b;
    d = step(d + (a ^ b ^ c), block, 3 * i + 8, i + 1, 11) + a;
    c = step(c + (d ^ a ^ b), block, 3 * i + 11, i + 2, 16) + d;
    b = step(b + (c ^ d ^ a), block, 3 * i + 14, i + 3, 23) + c;
  }
  for (let i: usize = 48; i < 64; i += 4) {
    a = step(a + (c ^ (b | ~d)), block, 7 * i, i, 6) + b;
    d = step(d + (b ^ (a | ~c)), block, 7 * i + 7, i + 1, 10) + a;
    c = step(c + (a ^ (d | ~b)), block, 7 * i + 14, i + 2, 15) + d;
    b = step(b + (d ^ (c | ~a)), block, 7 * i + 21, i + 3, 21) + c;
  }
  store<u32>(STATE, load<u32>(STATE) + a);
  store<u32>(STATE, load<u32>(STATE, 4) + b, 4);
  store<u32>(STATE, load<u32>(STATE, 8) + c, 8);
  store<u32>(STATE, load<u32>(STATE, 12) + d, 12);
}

/** Adds a word of the block, of which there are 16, and a constant, and turns the sum. */
function step(sum: u32, block: usize, word: usize, constant: usize, bits: u32): u32 {
  return rotl<u32>(sum + load<u32>(block + ((word & 15) << 2)) + load<u32>(T + (constant << 2)), bits);
}
