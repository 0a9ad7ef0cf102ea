// SHA-256 (FIPS 180-4), and HMAC with it (RFC 2104). All that is known of a key is the states of SHA-256 after the
// blocks of its two pads, which src/base/sha256.ts makes. Their words are little-endian, as WebAssembly has them.

import { SHA_BLOCK, SHA_LAST, SHA_LEN, SHA_K, SHA_SCHEDULE, SHA_SCHEDULE_SIZE, SHA_STATE } from "../abi/sha256";

const BLOCK: u32 = SHA_BLOCK;
const LEN: u32 = SHA_LEN;
const STATE: usize = SHA_STATE;
const LAST: usize = SHA_LAST;
const SCHEDULE: usize = SHA_SCHEDULE;
const SCHEDULE_SIZE: usize = SHA_SCHEDULE_SIZE;
const CONSTANTS: usize = SHA_K;
/** Bytes of the length, in bits, with which a text's padding ends. */
const LENGTH_LEN: u32 = 8;
/** Bytes of an HMAC that STAMP sends, RFC 8762 §4.4. */
const TAG_LEN: usize = 16;

// ---- HMAC -----------------------------------------------------------------------------------------------------------

/** Returns whether the first half of the HMAC of `len` bytes at `text` is at `tag`. It takes as long if it is not. */
export function isTag(tag: usize, pads: usize, text: usize, len: u32): bool {
  hmac(pads, text, len);
  let differs: u32 = 0;
  for (let i: usize = 0; i < TAG_LEN; i += 4) differs |= load<u32>(tag + i) ^ bswap<u32>(load<u32>(STATE + i));
  return !differs;
}

/** Writes the first half of the HMAC of `len` bytes at `text` to `tag`. */
export function setTag(tag: usize, pads: usize, text: usize, len: u32): void {
  hmac(pads, text, len);
  for (let i: usize = 0; i < TAG_LEN; i += 4) store<u32>(tag + i, bswap<u32>(load<u32>(STATE + i)));
}

/** Leaves the HMAC of `len` bytes at `text` in STATE. */
export function hmac(pads: usize, text: usize, len: u32): void {
  memory.copy(STATE, pads, LEN);
  let left = len;
  for (; left >= BLOCK; left -= BLOCK) {
    compress(text);
    text += BLOCK;
  }
  memory.copy(LAST, text, left);
  finish(left, len);
  for (let i: usize = 0; i < <usize>LEN; i += 4) store<u32>(LAST + i, bswap<u32>(load<u32>(STATE + i)));
  memory.copy(STATE, pads + LEN, LEN);
  finish(LEN, LEN);
}

/** Hashes the last `left` bytes of a text, which lie at LAST, and the padding. The text is `len` bytes behind a pad. */
function finish(left: u32, len: u32): void {
  const end: u32 = left + 1 + LENGTH_LEN <= BLOCK ? BLOCK : 2 * BLOCK;
  store<u8>(LAST + left, 0x80);
  memory.fill(LAST + left + 1, 0, end - LENGTH_LEN - left - 1);
  store<u64>(LAST + end - LENGTH_LEN, bswap<u64>(<u64>(BLOCK + len) << 3));
  compress(LAST);
  if (end > BLOCK) compress(LAST + BLOCK);
}

// ---- SHA-256 --------------------------------------------------------------------------------------------------------

/** FIPS 180-4 §6.2.2: hashes one block into the state. */
export function compress(block: usize): void {
  if (ASC_FEATURE_SIMD) scheduleSimd(block);
  else schedule(block);
  let a = load<u32>(STATE), b = load<u32>(STATE, 4), c = load<u32>(STATE, 8), d = load<u32>(STATE, 12);
  let e = load<u32>(STATE, 16), f = load<u32>(STATE, 20), g = load<u32>(STATE, 24);
  let h = load<u32>(STATE, 28);
  // Names move by one in each round; after eight they are where they were.
  for (let w: usize = SCHEDULE; w < SCHEDULE + SCHEDULE_SIZE; w += 32) {
    h += load<u32>(w) + first(e, f, g); d += h; h += second(a, b, c);
    g += load<u32>(w, 4) + first(d, e, f); c += g; g += second(h, a, b);
    f += load<u32>(w, 8) + first(c, d, e); b += f; f += second(g, h, a);
    e += load<u32>(w, 12) + first(b, c, d); a += e; e += second(f, g, h);
    d += load<u32>(w, 16) + first(a, b, c); h += d; d += second(e, f, g);
    c += load<u32>(w, 20) + first(h, a, b); g += c; c += second(d, e, f);
    b += load<u32>(w, 24) + first(g, h, a); f += b; b += second(c, d, e);
    a += load<u32>(w, 28) + first(f, g, h); e += a; a += second(b, c, d);
  }
  put(0, a); put(4, b); put(8, c);
  put(12, d); put(16, e); put(20, f);
  put(24, g); put(28, h);
}

function put(at: usize, word: u32): void {
  store<u32>(STATE + at, load<u32>(STATE + at) + word);
}

/** Σ1 and Ch, of T1. */
function first(e: u32, f: u32, g: u32): u32 {
  return (rotr<u32>(e, 6) ^ rotr<u32>(e, 11) ^ rotr<u32>(e, 25)) + (e & (f ^ g) ^ g);
}

/** Σ0 and Maj: T2. */
function second(a: u32, b: u32, c: u32): u32 {
  return (rotr<u32>(a, 2) ^ rotr<u32>(a, 13) ^ rotr<u32>(a, 22)) + (a & b ^ c & (a ^ b));
}

/** Writes the message schedule, with the rounds' constants added. */
function schedule(block: usize): void {
  for (let t: usize = 0; t < BLOCK; t += 4) store<u32>(SCHEDULE + t, bswap<u32>(load<u32>(block + t)));
  for (let w: usize = SCHEDULE; w < SCHEDULE + SCHEDULE_SIZE - BLOCK; w += 4) {
    const x = load<u32>(w, 4);
    const y = load<u32>(w, 56);
    const low = rotr<u32>(x, 7) ^ rotr<u32>(x, 18) ^ x >>> 3;
    const high = rotr<u32>(y, 17) ^ rotr<u32>(y, 19) ^ y >>> 10;
    store<u32>(w, load<u32>(w) + load<u32>(w, 36) + low + high, 64);
  }
  for (let t: usize = 0; t < SCHEDULE_SIZE; t += 4) {
    store<u32>(SCHEDULE + t, load<u32>(SCHEDULE + t) + load<u32>(CONSTANTS + t));
  }
}

/** The same, four words at a time: 273 ns a block in place of 318. */
function scheduleSimd(block: usize): void {
  let w0 = words(block);
  let w1 = words(block + 16);
  let w2 = words(block + 32);
  let w3 = words(block + 48);
  const none = i32x4.splat(0);
  for (let t: usize = 0; t < SCHEDULE_SIZE; t += 16) {
    v128.store(SCHEDULE + t, i32x4.add(w0, v128.load(CONSTANTS + t)));
    const low = lows(v128.shuffle<u32>(w0, w1, 1, 2, 3, 4));
    const sum = i32x4.add(i32x4.add(w0, v128.shuffle<u32>(w2, w3, 1, 2, 3, 4)), low);
    // The third and the fourth need the first and the second.
    const half = i32x4.add(sum, highs(v128.shuffle<u32>(w3, none, 2, 3, 4, 5)));
    w0 = w1;
    w1 = w2;
    w2 = w3;
    w3 = i32x4.add(half, highs(v128.shuffle<u32>(none, half, 0, 1, 4, 5)));
  }
}

/** Loads four words of a text. */
function words(text: usize): v128 {
  const octets = v128.load(text);
  return v128.shuffle<u8>(octets, octets, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
}

/** σ0 of four words. */
function lows(x: v128): v128 {
  return v128.xor(v128.xor(rotated(x, 7), rotated(x, 18)), i32x4.shr_u(x, 3));
}

/** σ1 of four words. */
function highs(x: v128): v128 {
  return v128.xor(v128.xor(rotated(x, 17), rotated(x, 19)), i32x4.shr_u(x, 10));
}

function rotated(x: v128, bits: i32): v128 {
  return v128.or(i32x4.shr_u(x, bits), i32x4.shl(x, 32 - bits));
}
