/** Tests ranges of ports against the plainest way: an array with a service for each port. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Service } from "../../abi/tcp.js";
import type { PortRange, PortService } from "../../src/prefix/policy.js";
import { joined, laidOver, MAX_PORT, parsePorts, unnested } from "../../src/prefix/ports.js";
import { Random } from "../support/random.js";

const SERVICES = ["a", "b", "c", "none"].map((name): PortService => ({ name, kind: Service.echo }));
const NONE = SERVICES[3];
const ROUNDS = 500;

describe("parsePorts", () => {
  for (const [text, first, last] of [
    ["1", 1, 1], ["65535", 65535, 65535], ["80-80", 80, 80], ["8000-8010", 8000, 8010], ["00080", 80, 80],
  ] as const) {
    test(text, () => { assert.deepEqual(parsePorts(text), { first, last }); });
  }
  for (const text of ["", "0", "0-5", "65536", "1-65536", "5-3", "-5", "5-", "1-2-3", "a", "1 ", "+1", "1e3", "٣"]) {
    test(`none: ${JSON.stringify(text)}`, () => { assert.equal(parsePorts(text), undefined); });
  }
});

describe("ranges of any kind", () => {
  test("of nested ones the narrowest decides, whatever their order; those that cross or repeat are found", () => {
    const random = Random.fromEnvironment();
    let [laid, clashes] = [0, 0];
    for (let round = 0; round < ROUNDS; round++) {
      const ranges = rangesOf(random, 1 + random.below(6));
      const found = unnested(ranges);
      const seed = `SEED=${random.seed}, round ${round}`;
      const crossing = ranges.some((a, i) => ranges.some((b, j) => i !== j && overlap(a, b)
        && !(isWithin(a, b) && !isWithin(b, a)) && !(isWithin(b, a) && !isWithin(a, b))));
      assert.equal(!Array.isArray(found), crossing, seed);
      if (!Array.isArray(found)) {
        clashes++;
        assert.ok(ranges.indexOf(found.first) < ranges.indexOf(found.second), seed);
        assert.ok(overlap(found.first, found.second), seed);
        continue;
      }
      laid++;
      assertAscending(found, seed);
      const widest = [...ranges].sort((a, b) => b.last - b.first - (a.last - a.first));
      assert.deepEqual(portsOf(found), portsOf(widest), seed);
    }
    assert.ok(laid > ROUNDS / 10 && clashes > ROUNDS / 10, `${laid} laid out, ${clashes} clashes`);
  });

  test("those that are laid over others decide, and the rest of the others stays", () => {
    const random = Random.fromEnvironment();
    for (let round = 0; round < ROUNDS; round++) {
      const [below, above] = [apartOf(random), apartOf(random)];
      const seed = `SEED=${random.seed}, round ${round}`;
      const laid = laidOver(below, above);
      assertAscending(laid, seed);
      assert.deepEqual(portsOf(laid), portsOf([...below, ...above]), seed);
      const all = joined(laid, NONE);
      assertAscending(all, seed);
      assert.deepEqual(portsOf(all), portsOf(laid).map((service) => service === NONE ? undefined : service), seed);
      for (const [i, { first, service }] of all.entries()) {
        assert.ok(i === 0 || all[i - 1].last < first - 1 || all[i - 1].service !== service, seed);
      }
    }
  });

  test("all ports, and the first and the last", () => {
    const [a, b, c] = SERVICES;
    const all = { first: 1, last: MAX_PORT, service: a };
    const ends = [{ first: 1, last: 1, service: b }, { first: MAX_PORT, last: MAX_PORT, service: c }];
    const laid = [ends[0], { first: 2, last: MAX_PORT - 1, service: a }, ends[1]];
    assert.deepEqual(unnested([ends[1], all, ends[0]]), laid);
    assert.deepEqual(laidOver([all], ends), laid);
    assert.deepEqual(laidOver(ends, [all]), [all]);
    assert.deepEqual([unnested([]), laidOver([], [])], [[], []]);
    assert.deepEqual([laidOver([all], []), laidOver([], [all])], [[all], [all]]);
  });
});

/** Few ports, so that ranges often meet. */
function rangesOf(random: Random, count: number): PortRange[] {
  return Array.from({ length: count }, () => {
    const first = 1 + random.below(20);
    return { first, last: first + random.below(8), service: SERVICES[random.below(SERVICES.length)] };
  });
}

function apartOf(random: Random): PortRange[] {
  let at = 1;
  return rangesOf(random, random.below(6)).map(({ first, last, service }) => {
    const begin = at + random.below(3);
    at = begin + last - first + 1;
    return { first: begin, last: at - 1, service };
  });
}

/** Returns the service of each port: the last range that has it decides. */
function portsOf(ranges: readonly PortRange[]): (PortService | undefined)[] {
  const ports = new Array<PortService | undefined>(80).fill(undefined);
  for (const { first, last, service } of ranges) ports.fill(service, first, last + 1);
  return ports;
}

function assertAscending(ranges: readonly PortRange[], seed: string): void {
  for (const [i, { first, last }] of ranges.entries()) {
    assert.ok(first <= last && (i === 0 || ranges[i - 1].last < first), `${seed}: ${JSON.stringify(ranges)}`);
  }
}

function overlap(a: PortRange, b: PortRange): boolean {
  return a.first <= b.last && b.first <= a.last;
}

function isWithin(inner: PortRange, outer: PortRange): boolean {
  return inner.first >= outer.first && inner.last <= outer.last;
}
