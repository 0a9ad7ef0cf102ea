/**
 * Compares `compat: netem` with what Linux's netem did to the same packets, one by one. test/vectors/netem/record.sh
 * says how that was recorded, and record.py what its lines mean.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { CROSSED_CORRUPTED, CROSSED_DUPLICATED, CROSSED_MARKED } from "../../abi/links.js";
import type { Way } from "../../src/prefix/link.js";
import { shareOf, tableOf } from "../../src/prefix/netem.js";
import { read } from "../support/config.js";
import { Crossing, FULL, LOST } from "../support/crossing.js";

const GAP = 1_000_000;
const START = 10n ** 12n;
/** How late a packet of the kernel's may be, in ns: its clock goes on while it works. */
const LATE = 3000;

interface Case {
  readonly words: string;
  readonly seed: number | string;
  readonly len?: number;
  readonly ect?: boolean;
  /** Packets until the first values of correlations, which the kernel has from elsewhere, are forgotten. */
  readonly settled?: number;
}

const vector = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../../test/vectors/netem/${name}`, import.meta.url)), "utf8");
const CASES = JSON.parse(vector("cases.json")) as readonly Case[];
const RECORDED = vector("recorded.txt").trimEnd().split("\n").map((line) => line.split(" ").map((packet) => {
  const [late, fate] = packet.split(":");
  return { late: Number(late), fate };
}));

let link: Crossing;
before(() => {
  link = Crossing.create();
});

function wayOf(words: string): Way {
  const { options } = read(`prefixes: [10.99.0.0/16]\nlink: { netem: "${words}", compat: netem }\n`);
  const out = options.serving.prefixes[0].answers.link?.out;
  assert.ok(out);
  return out;
}

/** Returns a packet's fate in the words of the record. */
function fate(leaves: bigint, came: bigint): string[] {
  if (leaves >= LOST) return [];
  const { crossed } = link;
  const spoilt = crossed & CROSSED_CORRUPTED ? "!" : "";
  return [`${leaves - came}${spoilt}${crossed & CROSSED_MARKED ? "^" : ""}`];
}

/** Returns what becomes of packets here that come so much later than one each GAP. */
function fates({ words, seed, len = 84, ect = false }: Case, lates: readonly number[]): string[][] {
  link.begin(wayOf(`${words} seed ${seed}`));
  return lates.map((late, i) => {
    const came = START + BigInt(i * GAP + late);
    const first = fate(link.cross(came, len, { ecn: ect }), came);
    if (!(link.crossed & CROSSED_DUPLICATED)) return first;
    return [...first, ...fate(link.cross(came, len, { ecn: ect, copy: true }), came)];
  });
}

const after = (item: string) => parseInt(item, 10);
const marks = (item: string) => item.replace(/^\d+/, "");

/** Asserts that the packets of a number have the fate that is recorded. */
function assertSame(found: readonly string[], recorded: string, what: string): void {
  const expected = recorded === "-" ? [] : recorded.split("+");
  const sorted = (items: readonly string[]) => items.toSorted((a, b) => after(a) - after(b));
  const [here, there] = [sorted(found), sorted(expected)];
  const isSame = here.length === there.length && here.every((item, i) =>
    Math.abs(after(there[i]) - after(item)) <= LATE);
  // Copies that leave at the same time may be told in either order.
  const isAlike = here.map(marks).sort().join() === there.map(marks).sort().join();
  assert.ok(isSame && isAlike, `${what}: ${here.join("+") || "-"}, and in the kernel ${recorded}`);
}

describe("netem's words, packet by packet", () => {
  assert.equal(RECORDED.length, CASES.length);
  for (const [i, each] of CASES.entries()) {
    test(each.words, () => {
      const recorded = RECORDED[i];
      for (const [number, found] of fates(each, recorded.map(({ late }) => late)).entries()) {
        if (number >= (each.settled ?? 0)) assertSame(found, recorded[number].fate, `packet ${number}`);
      }
    });
  }
});

describe("what netem's words come to", () => {
  for (const words of ["loss 10% 50%", "loss 30% 25%", "loss 60% 40%", "loss 10%"]) {
    test(words, () => {
      const way = wayOf(words);
      assert.ok(way.netem);
      link.begin(way);
      const count = 400_000;
      let lost = 0;
      for (let i = 0; i < count; i++) if (link.cross(START) === LOST) lost++;
      const expected = shareOf(way.netem.loss);
      // Packets near to each other depend on each other.
      const error = 3.3 * 3 * Math.sqrt(expected * (1 - expected) / count);
      assert.ok(Math.abs(lost / count - expected) < error, `${lost / count} in place of ${expected} ± ${error}`);
    });
  }
});

describe("the tables of distributions are those of iproute2 6.1, entry for entry", () => {
  // SHA-256 of the numbers of its normal.dist and so on, in 16 bits each.
  for (const [name, expected] of [
    ["normal", "ea496767068d0be9eb46cb69ee90470105525b9090a6d479dadf04db0f3d44a5"],
    ["pareto", "bb133e76721f7df4fd75dd647aad368fa8e9eaf9b9797fc8d208dde5f9ffbd2a"],
    ["paretonormal", "ca372e5f4871aa11f38e71c82bd18e074e068f0704291e8a859ebd1aaee2f9f1"],
  ] as const) {
    test(name, () => {
      const bytes = new Uint8Array(tableOf(name).buffer);
      assert.equal(createHash("sha256").update(bytes).digest("hex"), expected);
    });
  }
});

describe("a state of netem's", () => {
  const WORDS = "delay 50ms 10ms 30% loss 20% 20% duplicate 10% corrupt 5% limit 40";

  test("goes on where a table is written anew", () => {
    const way = wayOf(`${WORDS} seed 5`);
    const after = (begin: boolean) => {
      link.begin(way);
      const fates = Array.from({ length: 200 }, (_, i) => {
        if (begin && i === 100) link.reload(way);
        const came = START + BigInt(i * 20 * GAP);
        return [link.cross(came), link.crossed, link.cross(came, 84, { copy: true })].join();
      });
      return fates.slice(100);
    };
    assert.deepEqual(after(true), after(false));
  });

  test("is the same for a seed, and another for another one", () => {
    const losses = (seed: number) => {
      link.begin(wayOf(`loss 30% seed ${seed}`));
      return Array.from({ length: 64 }, () => link.cross(START) === LOST);
    };
    assert.deepEqual(losses(5), losses(5));
    assert.notDeepEqual(losses(5), losses(6));
  });

  test("has a seed of the links' own if the words have none", () => {
    const losses = (seed: bigint) => {
      link.begin(wayOf("loss 30% 30%"), seed);
      return Array.from({ length: 64 }, () => link.cross(START) === LOST);
    };
    assert.deepEqual(losses(5n), losses(5n));
    assert.notDeepEqual(losses(5n), losses(6n));
  });
});

test("a packet that netem's queue has no room for is no lost one, and the queue empties by itself", () => {
  link.begin(wayOf("delay 10ms limit 2"));
  const at = (ms: number) => link.cross(START + BigInt(ms * GAP));
  assert.deepEqual([0, 0, 5, 10, 10, 10].map(at), [
    START + 10_000_000n, START + 10_000_000n, FULL, START + 20_000_000n, START + 20_000_000n, FULL,
  ]);
  assert.deepEqual(link.effects, { delayed: 4, queue_full: 2 });
});
