// SipHash-c-d (Aumasson and Bernstein 2012): a keyed hash whose values nobody outside can compute, of both addresses of
// a packet and two further words. Little-endian, as the paper has it. 1-3 serves for tables, 2-4 for what is told to
// others.

/**
 * Returns SipHash of the addresses, 8 bytes or 32 for IPv6, and the words `a` and `b`. The key has 16 bytes. `c` and
 * `d` are the numbers of rounds, for each word and at the end.
 */
export function siphash(key: usize, addresses: usize, six: bool, a: u64, b: u64, c: u32, d: u32): u64 {
  const k0 = load<u64>(key);
  const k1 = load<u64>(key, 8);
  let v0 = k0 ^ 0x736f6d6570736575;
  let v1 = k1 ^ 0x646f72616e646f6d;
  let v2 = k0 ^ 0x6c7967656e657261;
  let v3 = k1 ^ 0x7465646279746573;
  const words: u32 = six ? 4 : 1;
  for (let i: u32 = 0; i < words + 4; i++) {
    let word: u64 = 0;
    let rounds = c;
    if (i < words) word = load<u64>(addresses + (i << 3));
    else if (i == words) word = a;
    else if (i == words + 1) word = b;
    // The last word of a message has its length, in bytes.
    else if (i == words + 2) word = <u64>(words + 2) << 59;
    else { v2 ^= 0xff; rounds = d; }
    v3 ^= word;
    for (let round: u32 = 0; round < rounds; round++) {
      v0 += v1; v1 = rotl<u64>(v1, 13) ^ v0; v0 = rotl<u64>(v0, 32);
      v2 += v3; v3 = rotl<u64>(v3, 16) ^ v2;
      v0 += v3; v3 = rotl<u64>(v3, 21) ^ v0;
      v2 += v1; v1 = rotl<u64>(v1, 17) ^ v2; v2 = rotl<u64>(v2, 32);
    }
    v0 ^= word;
  }
  return v0 ^ v1 ^ v2 ^ v3;
}
