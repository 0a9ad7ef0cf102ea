// The Internet checksum: RFC 1071's sum, and RFC 1624's incremental update. Sums are of 16-bit words as they lie in
// memory: the one's complement sum does not depend on byte order (RFC 1071 §2 B), so nothing is swapped.

/** One's complement sum of `len` bytes at `p`, folded to 16 bits, in memory order. 0xffff over data with its checksum. */
export function sum(p: usize, len: u32): u32 {
  return ASC_FEATURE_SIMD ? sumSimd(p, len) : sumScalar(p, len);
}

/** The same for an IP header: `len` is a multiple of 4 and short, so a plain loop is faster than setting up a wide one. */
export function sumHeader(p: usize, len: u32): u32 {
  let sum: u64 = <u64>load<u32>(p) + <u64>load<u32>(p, 4) + <u64>load<u32>(p, 8) + <u64>load<u32>(p, 12) + <u64>load<u32>(p, 16);
  for (const end = p + len; p + 20 < end; p += 4) sum += load<u32>(p, 20);
  return fold64(sum);
}

/**
 * RFC 1624 §3, equation 3: the checksum after one 16-bit word under it changed. All three in the same byte order.
 * 0x0000 may stand for 0xffff and the reverse: only where everything under the checksum is zero do the two differ.
 */
export function update(checksum: u32, from: u32, to: u32): u32 {
  return ~fold((~checksum & 0xffff) + (~from & 0xffff) + to) & 0xffff;
}

function fold(sum: u32): u32 {
  sum = (sum & 0xffff) + (sum >>> 16);
  return (sum & 0xffff) + (sum >>> 16);
}

function fold64(sum: u64): u32 {
  // Two 32-bit halves, then as much as still carries: at most 2^33, 2^18, 2^16 + 2.
  sum = (sum & 0xffffffff) + (sum >>> 32);
  return fold(<u32>((sum & 0xffff) + ((sum >>> 16) & 0xffff) + (sum >>> 32)));
}

// Each step adds pairs of 16-bit words into 32-bit lanes: a lane grows by at most 131,070, so it holds 32,768 steps,
// which is eight times what a packet of 65,535 bytes takes. Four accumulators, because one add waits for the last.
function sumSimd(p: usize, len: u32): u32 {
  let a = i32x4.splat(0);
  const wide = p + (len & ~63);
  if (p < wide) {
    let b = i32x4.splat(0);
    let c = i32x4.splat(0);
    let d = i32x4.splat(0);
    do {
      a = i32x4.add(a, i32x4.extadd_pairwise_i16x8_u(v128.load(p)));
      b = i32x4.add(b, i32x4.extadd_pairwise_i16x8_u(v128.load(p, 16)));
      c = i32x4.add(c, i32x4.extadd_pairwise_i16x8_u(v128.load(p, 32)));
      d = i32x4.add(d, i32x4.extadd_pairwise_i16x8_u(v128.load(p, 48)));
      p += 64;
    } while (p < wide);
    a = i32x4.add(i32x4.add(a, b), i32x4.add(c, d));
  }
  for (const end = p + (len & 48); p < end; p += 16) {
    a = i32x4.add(a, i32x4.extadd_pairwise_i16x8_u(v128.load(p)));
  }
  const pairs = i64x2.add(i64x2.extend_low_i32x4_u(a), i64x2.extend_high_i32x4_u(a));
  return fold64(i64x2.extract_lane(pairs, 0) + i64x2.extract_lane(pairs, 1) + tail(p, len & 15));
}

function sumScalar(p: usize, len: u32): u32 {
  let a: u64 = 0;
  let b: u64 = 0;
  for (const end = p + (len & ~15); p < end; p += 16) {
    a += <u64>load<u32>(p) + <u64>load<u32>(p, 4);
    b += <u64>load<u32>(p, 8) + <u64>load<u32>(p, 12);
  }
  return fold64(a + b + tail(p, len & 15));
}

/** The last 0 to 15 bytes. RFC 1071 §4.1: an odd last byte counts as if a zero followed it. */
function tail(p: usize, len: u32): u64 {
  let sum: u64 = 0;
  if (len & 8) {
    sum = <u64>load<u32>(p) + <u64>load<u32>(p, 4);
    p += 8;
  }
  if (len & 4) {
    sum += load<u32>(p);
    p += 4;
  }
  if (len & 2) {
    sum += load<u16>(p);
    p += 2;
  }
  if (len & 1) sum += load<u8>(p);
  return sum;
}
