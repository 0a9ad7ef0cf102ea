// The Internet checksum: RFC 1071's sum, and RFC 1624's incremental update. Sums are of 16-bit words as they lie in
// memory: the one's complement sum does not depend on byte order (RFC 1071 §2 B), so nothing is swapped.

/**
 * Returns the one's complement sum of `len` bytes at `p`, at least 8, unfolded: congruent to that sum modulo 0xffff,
 * and 0 only if all bytes are zero.
 */
export function sum(p: usize, len: u32): u64 {
  return ASC_FEATURE_SIMD ? sumSimd(p, len) : sumScalar(p, len);
}

/**
 * Sums an IPv4 header as sum() does. `len` is a multiple of 4, at least 20 and rarely more, so no wide loop is needed.
 */
export function sumHeader(p: usize, len: u32): u64 {
  let sum = sum20(p);
  if (len > 20) {
    for (const end = p + len - 20; p < end; p += 4) sum += load<u32>(p, 20);
  }
  return sum;
}

/** Sums 20 bytes as sum() does: a header without options, or a timestamp message. */
export function sum20(p: usize): u64 {
  return <u64>load<u32>(p) + <u64>load<u32>(p, 4) + <u64>load<u32>(p, 8) + <u64>load<u32>(p, 12)
    + <u64>load<u32>(p, 16);
}

/** Returns the checksum for data that has this sum without it. */
export function checksum(sum: u64): u32 {
  const folded = <u32>(sum % 0xffff);
  return folded == 0 && sum != 0 ? 0 : folded ^ 0xffff;
}

/**
 * Returns whether a sum that includes the checksum folds to 0xffff, that is, whether the checksum holds (RFC 1071 §1).
 * Such sums are the multiples of 0xffff other than 0. A multiple times the inverse of 0xffff modulo 2^64 gives its
 * quotient, at most 2^64 / 0xffff. Any other number gives more (Granlund and Montgomery 1994, §9). So one
 * multiplication replaces two foldings. Subtracting 1 makes 0 too large as well.
 */
export function holds(sum: u64): bool {
  return sum * 0xfffefffefffeffff - 1 < 0x1000100010001;
}

/**
 * RFC 1624 §3, equation 3: returns the checksum after one 16-bit word under it changed. All three arguments are in the
 * same byte order. They may also be the bytes of the word that changed, with zeros for the others.
 */
export function update(checksum: u32, from: u32, to: u32): u32 {
  return fold((checksum ^ 0xffff) + (from ^ 0xffff) + to) ^ 0xffff;
}

/**
 * Adds the halves of a word with the end-around carry. A word plus itself with its halves exchanged
 * has that sum in its upper half.
 */
export function fold(sum: u32): u32 {
  return sum + rotl<u32>(sum, 16) >>> 16;
}

// `all` wraps modulo 2^32 in each lane, which does no harm. `upper` is the exact sum of the upper words: 4,096 steps (a
// packet of 65,535 bytes) of up to 65,535 stay under 2^28. `all` without them is the sum of the lower words. This takes
// one operation less a step than widening the words.
function sumSimd(p: usize, len: u32): u64 {
  let all = i32x4.splat(0);
  let upper = i32x4.splat(0);
  for (const wide = p + (len & ~31); p < wide; p += 32) {
    const a = v128.load(p);
    const b = v128.load(p, 16);
    all = i32x4.add(all, i32x4.add(a, b));
    upper = i32x4.add(upper, i32x4.add(i32x4.shr_u(a, 16), i32x4.shr_u(b, 16)));
  }
  if (len & 16) {
    const a = v128.load(p);
    all = i32x4.add(all, a);
    upper = i32x4.add(upper, i32x4.shr_u(a, 16));
    p += 16;
  }
  const sums = i32x4.add(i32x4.sub(all, i32x4.shl(upper, 16)), upper);
  return i64x2.extract_lane(sums, 0) + i64x2.extract_lane(sums, 1) + tail(p, len & 15);
}

/**
 * Sums as sum() does, for the slow path. It has a loop of its own because a second caller would keep sum() from
 * being inlined into the fast path.
 */
export function sumWide(p: usize, len: u32): u64 {
  if (!ASC_FEATURE_SIMD) return sumScalar(p, len);
  // No lane overflows: 4,096 steps of up to 2 * 65,535 stay under 2^30.
  let sums = i32x4.splat(0);
  for (const wide = p + (len & ~15); p < wide; p += 16) {
    sums = i32x4.add(sums, i32x4.extadd_pairwise_i16x8_u(v128.load(p)));
  }
  return i64x2.extract_lane(sums, 0) + i64x2.extract_lane(sums, 1) + tail(p, len & 15);
}

/** Sums as sum() does, but without SIMD: for a module that has none, and for short data. */
export function sumScalar(p: usize, len: u32): u64 {
  let a: u64 = 0;
  let b: u64 = 0;
  for (const end = p + (len & ~15); p < end; p += 16) {
    a += <u64>load<u32>(p) + <u64>load<u32>(p, 4);
    b += <u64>load<u32>(p, 8) + <u64>load<u32>(p, 12);
  }
  return a + b + tail(p, len & 15);
}

/** Sums the last 0 to 15 bytes of at least 8. RFC 1071 §4.1: an odd last byte counts as if a zero followed it. */
function tail(p: usize, len: u32): u64 {
  if (len == 0) return 0;
  let sum: u64 = 0;
  if (len & 8) {
    sum = <u64>load<u32>(p) + <u64>load<u32>(p, 4);
    p += 8;
  }
  if (len & 7) {
    // Loads the eight bytes that end with the rest, and shifts out those before it.
    const rest = load<u64>(p + (len & 7) - 8) >>> (64 - ((len & 7) << 3));
    sum += (rest & 0xffffffff) + (rest >>> 32);
  }
  return sum;
}
