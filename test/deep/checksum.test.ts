/**
 * Tests the checksum by itself: SIMD and its scalar twin, called directly. RFC 1071 by the letter, in
 * support/packets.ts, is the oracle.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { build } from "../support/assembly.js";
import { plainSum } from "../support/packets.js";
import { Random } from "../support/random.js";

const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
const bytes = new Uint8Array(memory.buffer);
const random = Random.fromEnvironment();
const { seed } = random;
const RUNS = 1_000_000;

for (const simd of [true, false]) {
  const { update, ...exports } = await build("assembly/checksum.ts", memory, simd ? "release" : "scalar");
  const { sum: wide, sumWide: apart, sumHeader: wideHeader, holds } = exports as unknown as Record<"sum" | "sumWide"
    | "sumHeader", (p: number, len: number) => bigint> & { holds: (sum: bigint) => number };
  /** The sum of zeros alone is 0. Any other sum that is a multiple of 0xffff is 0xffff. */
  const folded = (value: bigint) => value === 0n ? 0 : Number(value % 0xffffn) || 0xffff;
  /** Adds up with both functions, that of the fast path and that of IPv6: they must agree. */
  const sum = (p: number, len: number) => {
    const value = folded(wide(p, len));
    assert.equal(folded(apart(p, len)), value);
    return value;
  };
  const sumHeader = (p: number, len: number) => folded(wideHeader(p, len));
  /**
   * The engine's sum is in memory order. RFC 1071 §2 B: swapping the bytes of every word swaps the bytes of the sum.
   */
  const swapped = (value: number) => (value & 0xff) << 8 | value >>> 8;
  /** In one's complement, 0xffff and 0 are the same number. */
  const same = (a: number, b: number) => a % 0xffff === b % 0xffff;

  describe(simd ? "simd" : "scalar", () => {
    test("C-1: the example of RFC 1071 §3", () => {
      bytes.set([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 1024);
      assert.equal(swapped(sum(1024, 8)), 0xddf2);
    });

    test("C-1: every length from 0 to 4096 and the longest, with bytes behind it that do not count", () => {
      for (let i = 0; i < 66000; i++) bytes[1024 + i] = i * 31 + (i >> 8);
      for (const length of [...Array.from({ length: 4097 }, (_, i) => i), 65534, 65535]) {
        assert.equal(swapped(sum(1024, length)), plainSum(bytes.subarray(1024, 1024 + length)), `length ${length}`);
      }
    });

    test("C-1: all ones of the longest length does not overflow", () => {
      bytes.fill(0xff, 1024, 1024 + 65535);
      assert.equal(swapped(sum(1024, 65535)), plainSum(bytes.subarray(1024, 1024 + 65535)));
    });

    test("C-1: a header's sum, for every header length", () => {
      for (let i = 0; i < 64; i++) bytes[2048 + i] = 255 - i * 3;
      for (let length = 20; length <= 60; length += 4) {
        assert.equal(
          swapped(sumHeader(2048, length)), plainSum(bytes.subarray(2048, 2048 + length)), `length ${length}`,
        );
      }
    });

    test("C-1, C-6: at an odd address the sum comes out with its bytes exchanged, nothing else", () => {
      fc.assert(fc.property(fc.uint8Array({ minLength: 0, maxLength: 300 }), fc.nat(63), (data, offset) => {
        bytes.set(data, 4096 + offset);
        assert.equal(swapped(sum(4096 + offset, data.length)), plainSum(data));
      }), { seed, numRuns: 20_000 });
    });

    test("C-1: the order of the words does not matter", () => {
      fc.assert(fc.property(fc.array(fc.nat(0xffff), { maxLength: 100 }), (words) => {
        const memory16 = new Uint16Array(memory.buffer, 8192, words.length);
        memory16.set(words);
        const forward = sum(8192, 2 * words.length);
        memory16.reverse();
        assert.equal(sum(8192, 2 * words.length), forward);
      }), { seed, numRuns: 5_000 });
    });

    test("C-1: a checksum holds where the sum is a multiple of 0xffff, and not 0", () => {
      for (const value of [
        0n, 1n, 0xfffen, 0xffffn, 0x10000n, 0x1fffdn, 0x1fffen, 0x1ffffn, 2n ** 32n - 1n, 2n ** 32n, 2n ** 48n - 1n,
        2n ** 63n, 2n ** 64n - 1n,
      ]) {
        assert.equal(holds(value) === 1, value !== 0n && value % 0xffffn === 0n, String(value));
      }
      fc.assert(fc.property(fc.bigInt(
        { min: 0n, max: 2n ** 47n },
      ), fc.bigInt({ min: 0n, max: 0xfffen }), (times, rest) => {
        assert.equal(holds(times * 0xffffn + rest) === 1, rest === 0n && times !== 0n);
      }), { seed, numRuns: 20_000 });
    });

    test("C-2: the example of RFC 1624 §5", () => {
      assert.equal(update(0xdd2f, 0x5555, 0x3285), 0x0000);
    });

    test(`C-6: ${RUNS} random updates equal the recomputed checksum (seed ${seed})`, () => {
      for (let run = 0; run < RUNS; run++) {
        const rest = random.next() & 0xffff;
        const from = random.next() & 0xffff;
        const to = random.next() & 0xffff;
        const before = ~add(rest, from) & 0xffff;
        const updated = update(before, from, to);
        const recomputed = ~add(rest, to) & 0xffff;
        if (!same(updated, recomputed)) assert.fail(`rest ${rest}, ${from} → ${to}: ${updated}, not ${recomputed}`);
      }
    });

    test("C-7: exchanging two words changes no sum", () => {
      fc.assert(fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), (header) => {
        bytes.set(header, 12288);
        const before = sumHeader(12288, 20);
        bytes.copyWithin(12288 + 12, 12288 + 16, 12288 + 20);
        bytes.set(header.subarray(12, 16), 12288 + 16);
        assert.equal(sumHeader(12288, 20), before);
      }), { seed, numRuns: 5_000 });
    });
  });
}

function add(a: number, b: number): number {
  return a + b > 0xffff ? (a + b & 0xffff) + 1 : a + b;
}
