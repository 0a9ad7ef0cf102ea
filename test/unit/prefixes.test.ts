import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { INTERVALS, INVALID, NOBODY, PREFIXES } from "../../src/abi.js";
import { EXIT, Failure } from "../../src/failure.js";
import { checkPrefixes, exampleOf, firstUsable, intervalsOf, parseAddress, parsePrefix, sizeOf } from "../../src/prefixes.js";

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
  const example = (prefix: string, host?: string) => exampleOf([parsePrefix(prefix)], host === undefined ? undefined : parseAddress(host));
  assert.equal(example("10.99.0.0/16", "10.99.0.1"), "10.99.1.1");
  assert.equal(example("192.0.2.0/24", "192.0.2.1"), "192.0.2.2");
  assert.equal(example("192.0.2.6/31", "192.0.2.6"), "192.0.2.7");
  assert.equal(example("10.0.0.2/32", "10.0.0.1"), "10.0.0.2");
});

describe("intervals", () => {
  test("the ranges that are no host's are there without any prefix", () => {
    assert.deepEqual(intervalsOf([], []), [
      { start: 0, owner: INVALID }, { start: 0x01000000, owner: NOBODY },
      { start: 0x7f000000, owner: INVALID }, { start: 0x80000000, owner: NOBODY }, { start: 0xe0000000, owner: INVALID },
    ]);
  });

  test("the host's address is cut out, also where it is a prefix of its own", () => {
    const host = parseAddress("10.0.0.1");
    const owners = intervalsOf([parsePrefix("10.0.0.0/30")], [host]).filter(({ start }) => start >>> 24 === 10);
    assert.deepEqual(owners, [{ start: 0x0a000000, owner: 0 }, { start: 0x0a000001, owner: NOBODY }, { start: 0x0a000002, owner: 0 }, { start: 0x0a000004, owner: NOBODY }]);
    assert.ok(intervalsOf([parsePrefix("10.0.0.1/32")], [host]).every(({ owner }) => owner < 0));
  });

  test("random nested prefixes: sorted, merged, within the table, and the longest match by plain search", () => {
    const prefix = fc.tuple(fc.integer({ min: 0x0a000000, max: 0x0a00ffff }), fc.integer({ min: 16, max: 32 }))
      .map(([address, length]) => (address & (length === 32 ? -1 : ~(0xffffffff >>> length))) >>> 0)
      .chain((network) => fc.integer({ min: 16, max: 32 }).map((length) => `${network >>> 24}.${network >>> 16 & 255}.${network >>> 8 & 255}.${network & 255}/${length}`));
    fc.assert(fc.property(fc.uniqueArray(prefix, { maxLength: 40 }), fc.array(fc.integer({ min: 0x09ffff00, max: 0x0a0100ff }), { minLength: 50 }), (texts, addresses) => {
      const prefixes = texts.flatMap((text) => {
        try {
          return [parsePrefix(text)];
        } catch {
          return [];
        }
      });
      const intervals = intervalsOf(prefixes, []);
      assert.ok(intervals.length <= INTERVALS);
      assert.equal(intervals[0].start, 0);
      for (let i = 1; i < intervals.length; i++) {
        assert.ok(intervals[i].start > intervals[i - 1].start);
        assert.notEqual(intervals[i].owner, intervals[i - 1].owner);
      }
      for (const address of addresses) {
        let longest = -1;
        let expected = NOBODY;
        prefixes.forEach((candidate, i) => {
          const first = new DataView(candidate.bytes.buffer).getUint32(0);
          if (address >= first && address < first + sizeOf(candidate) && candidate.length > longest) {
            longest = candidate.length;
            expected = i;
          }
        });
        assert.equal(intervals.findLast(({ start }) => start <= address)?.owner, expected);
      }
    }), { numRuns: 500 });
  });
});
