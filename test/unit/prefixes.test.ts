import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FIRST_NODE, FIRST_PREFIX, INVALID, NOBODY, PREFIXES, TRIE, TRIE_NODES } from "../../src/abi.js";
import { EXIT, Failure } from "../../src/failure.js";
import { checkPrefixes, exampleOf, firstUsable, parseAddress, parsePrefix, sizeOf, trieOf } from "../../src/prefixes.js";

const usage = (pattern: RegExp) => (error: unknown) => error instanceof Failure && error.exitStatus === EXIT.USAGE && pattern.test(error.message) && !error.message.includes("\n");

describe("reading a prefix", () => {
  test("address/length, or an address alone", () => {
    assert.equal(parsePrefix("10.99.0.0/16").text, "10.99.0.0/16");
    assert.equal(parsePrefix("10.0.0.2").text, "10.0.0.2/32");
    assert.equal(parsePrefix("128.0.0.0/2").text, "128.0.0.0/2");
  });

  for (const [text, message] of [
    ["", /"" is not a prefix/], ["10.99/16", /not a prefix/], ["10.99.0.0/16/1", /not a prefix/], ["010.0.0.0/8", /not a prefix/],
    ["0x0a000000/8", /not a prefix/], ["10.99.0.0/33", /0 to 32/], ["10.99.0.0/", /0 to 32/], ["10.99.0.0/-1", /0 to 32/], ["10.99.0.0/1e1", /0 to 32/],
    ["10.99.0.1/16", /did you mean 10\.99\.0\.0\/16/], ["10.99.255.0/20", /did you mean 10\.99\.240\.0\/20/],
    ["127.0.0.0/8", /127\.0\.0\.0\/8/], ["127.1.0.0/16", /127\.0\.0\.0\/8/], ["224.0.0.0/4", /224\.0\.0\.0\/3/], ["0.0.0.0/8", /0\.0\.0\.0\/8/], ["255.255.255.255", /224\.0\.0\.0\/3/],
    ["0.0.0.0/0", /0\.0\.0\.0\/8/], ["126.0.0.0/7", /127\.0\.0\.0\/8/],
    ["fd00::/64", /IPv6 is not answered yet/], ["fe80::1%eth0/64", /not a prefix/],
  ] as const) {
    test(`"${text}" is refused in one line`, () => {
      assert.throws(() => parsePrefix(text), usage(message));
    });
  }

  test("none, the same twice, and too many are refused", () => {
    assert.throws(() => { checkPrefixes([]); }, usage(/no prefix given/));
    assert.throws(() => { checkPrefixes(["10.0.0.0/8", "10.0.0.0/8"].map(parsePrefix)); }, usage(/10\.0\.0\.0\/8 is given twice/));
    const many = Array.from({ length: PREFIXES + 1 }, (_, i) => parsePrefix(`10.${i >> 8}.${i & 255}.0/24`));
    assert.throws(() => { checkPrefixes(many); }, usage(/at most 4096/));
    checkPrefixes(many.slice(1));
  });
});

test("the host's address is the first usable one of the first prefix with room", () => {
  const first = (...texts: string[]) => firstUsable(texts.map(parsePrefix))?.text;
  assert.equal(first("10.99.0.0/16"), "10.99.0.1");
  assert.equal(first("10.0.0.2/32", "192.0.2.8/29"), "192.0.2.9");
  assert.equal(first("192.0.2.6/31"), "192.0.2.6");
  assert.equal(first("192.0.2.4/30"), "192.0.2.5");
  assert.equal(first("10.0.0.2/32"), undefined);
  assert.equal(first("10.99.0.0/24", "10.99.0.1/32"), "10.99.0.2");
});

test("the example to ping is in the prefix and not the host's own", () => {
  const example = (prefix: string, host?: string) => exampleOf([parsePrefix(prefix)], [], host === undefined ? undefined : parseAddress(host));
  assert.equal(example("10.99.0.0/16", "10.99.0.1"), "10.99.1.1");
  assert.equal(example("192.0.2.0/24", "192.0.2.1"), "192.0.2.2");
  assert.equal(example("192.0.2.6/31", "192.0.2.6"), "192.0.2.7");
  assert.equal(example("10.0.0.2/32", "10.0.0.1"), "10.0.0.2");
  const except = (...exceptions: string[]) => exampleOf([parsePrefix("10.99.0.0/16"), parsePrefix("10.99.1.1/32")], exceptions.map(parsePrefix), parseAddress("10.99.0.1"));
  assert.equal(except("10.99.0.0/24"), "10.99.1.1");
  assert.equal(exampleOf([parsePrefix("10.99.0.0/16")], [parsePrefix("10.99.1.0/24")], undefined), "10.99.0.2");
});

describe("trie", () => {
  /** A walk through the trie as plain as can be. */
  function ownerOf(trie: Uint32Array, address: number): number {
    const at = (place: number) => trie[(place - TRIE) / 4];
    let entry = at(TRIE + 4 * (address >>> 24 | (address >>> 16 & 255) << 8));
    for (const shift of [8, 0]) {
      if (entry >= FIRST_NODE) entry = at(entry + 4 * (address >>> shift & 255));
    }
    return entry;
  }

  test("the ranges that are no host's are there without any prefix", () => {
    const trie = trieOf([], [], []);
    const edges = [0, 0x00ffffff, 0x01000000, 0x7effffff, 0x7f000000, 0x7fffffff, 0x80000000, 0xdfffffff, 0xe0000000, 0xffffffff];
    assert.deepEqual(edges.map((address) => ownerOf(trie, address)), [INVALID, INVALID, NOBODY, NOBODY, INVALID, INVALID, NOBODY, NOBODY, INVALID, INVALID]);
  });

  test("the host's address is cut out, also where it is a prefix of its own", () => {
    const host = parseAddress("10.0.0.1");
    const trie = trieOf([parsePrefix("10.0.0.0/30")], [], [host]);
    assert.deepEqual([-1, 0, 1, 2, 3, 4].map((offset) => ownerOf(trie, 0x0a000000 + offset)), [NOBODY, FIRST_PREFIX, NOBODY, FIRST_PREFIX, FIRST_PREFIX, NOBODY]);
    assert.equal(ownerOf(trieOf([parsePrefix("10.0.0.1/32")], [], [host]), 0x0a000001), NOBODY);
  });

  test("as many prefixes as there may be, each in nodes of its own, have room", () => {
    const prefixes = Array.from({ length: PREFIXES }, (_, i) => parsePrefix(`${10 + (i >> 8)}.${i & 255}.1.1/32`));
    const trie = trieOf(prefixes, [], [parseAddress("9.9.9.9")]);
    assert.ok(trie.length * 4 <= FIRST_NODE - TRIE + 1024 * TRIE_NODES);
    assert.equal(ownerOf(trie, 0x19ff0101), FIRST_PREFIX + PREFIXES - 1);
  });

  test("random nested prefixes: the longest match by plain search", () => {
    const prefix = fc.tuple(fc.integer({ min: 0x0a000000, max: 0x0a03ffff }), fc.integer({ min: 8, max: 32 }))
      .map(([address, length]) => (address & (length === 32 ? -1 : ~(0xffffffff >>> length))) >>> 0)
      .chain((network) => fc.integer({ min: 8, max: 32 }).map((length) => `${network >>> 24}.${network >>> 16 & 255}.${network >>> 8 & 255}.${network & 255}/${length}`));
    fc.assert(fc.property(fc.uniqueArray(prefix, { maxLength: 40 }), fc.array(fc.integer({ min: 0x09ffff00, max: 0x0a0400ff }), { minLength: 50 }), (texts, addresses) => {
      const prefixes = texts.flatMap((text) => {
        try {
          return [parsePrefix(text)];
        } catch {
          return [];
        }
      });
      // Every third is cut out.
      const trie = trieOf(prefixes.filter((_, i) => i % 3 !== 2), prefixes.filter((_, i) => i % 3 === 2), []);
      const edges = prefixes.flatMap((candidate) => {
        const first = new DataView(candidate.bytes.buffer).getUint32(0);
        return [first - 1, first, first + sizeOf(candidate) - 1, first + sizeOf(candidate)];
      });
      for (const address of [...addresses, ...edges]) {
        let longest = -1;
        let expected = NOBODY;
        prefixes.forEach((candidate, i) => {
          const first = new DataView(candidate.bytes.buffer).getUint32(0);
          if (address >= first && address < first + sizeOf(candidate) && candidate.length > longest) {
            longest = candidate.length;
            expected = i % 3 === 2 ? NOBODY : FIRST_PREFIX + i - Math.floor((i + 1) / 3);
          }
        });
        assert.equal(ownerOf(trie, address), expected);
      }
    }), { numRuns: 500 });
  });
});
