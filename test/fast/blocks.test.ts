/** Tests sets of blocks against maps by text, and work in slices. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Pace, SLICE_MS, Stopped } from "../../src/base/pace.js";
import { BlockSet, textOf } from "../../src/prefix/blocks.js";
import type { Block } from "../../src/prefix/prefixes.js";
import { Random } from "../support/random.js";

/** Returns the block that contains it and has that length. */
function cut({ bytes }: Block, length: number): Block {
  return {
    length,
    bytes: bytes.map((byte, i) => byte & 0xff << Math.max(0, Math.min(8, 8 * (i + 1) - length))),
  };
}

/** Returns a block of either family, one of few, so that some are the same and some contain others. */
function draw(random: Random): Block {
  const width = random.below(2) === 0 ? 4 : 16;
  const bytes = Uint8Array.from({ length: width }, () => random.below(4) === 0 ? random.below(3) : 0);
  return cut({ bytes, length: 0 }, random.below(8 * width + 1));
}

describe("blocks", () => {
  const random = Random.fromEnvironment();

  test(`a set has what was added, once, at positions that stay; seed ${random.seed}`, () => {
    const set = new BlockSet();
    const positions = new Map<string, number>();
    for (let i = 0; i < 5000; i++) {
      const block = draw(random);
      const expected = positions.get(textOf(block)) ?? positions.size;
      assert.equal(set.add(block), expected);
      positions.set(textOf(block), expected);
    }
    assert.equal(set.size, positions.size);
    assert.deepEqual(Array.from(set, textOf), [...positions.keys()]);
    for (const [text, position] of positions) assert.equal(textOf(set.at(position)), text);
    for (let i = 0; i < 5000; i++) {
      const block = draw(random);
      assert.equal(set.find(block), positions.get(textOf(block)) ?? -1);
      const around = set.around(block);
      const larger = Array.from({ length: block.length }, (_, length) => positions.get(textOf(cut(block, length))))
        .filter((position) => position !== undefined);
      if (larger.length === 0) assert.equal(around, -1);
      else assert.ok(larger.includes(around), textOf(block));
    }
  });

  test("a selection is split at indices, and keeps its order", () => {
    const set = new BlockSet();
    for (let i = 0; i < 10; i++) set.add({ bytes: Uint8Array.of(10, i, 0, 0), length: 16 });
    const odd = set.select((position) => position % 2 === 1);
    const [picked, others] = odd.split([1, 4]);
    assert.deepEqual(Array.from(picked, textOf), ["10.3.0.0/16", "10.9.0.0/16"]);
    assert.deepEqual(Array.from(others, textOf), ["10.1.0.0/16", "10.5.0.0/16", "10.7.0.0/16"]);
    assert.deepEqual(odd.first(2).map(textOf), ["10.1.0.0/16", "10.3.0.0/16"]);
  });
});

describe("pace", () => {
  /** Keeps the thread busy for a slice. */
  const work = () => {
    for (const end = performance.now() + SLICE_MS; performance.now() < end;);
  };

  test("long work lets the event loop go round after each slice, and short work never does", async () => {
    let turns = 0;
    let over = false;
    const count = () => {
      turns++;
      if (!over) setImmediate(count);
    };
    setImmediate(count);
    let items = 0;
    await new Pace().each({ * [Symbol.iterator]() { for (let i = 0; i < 640; i++) yield i; } }, (i) => {
      items++;
      if (i % 128 === 0) work();
    });
    over = true;
    assert.equal(items, 640);
    assert.ok(turns >= 5, String(turns));
    const pace = new Pace();
    let turned = false;
    setImmediate(() => { turned = true; });
    await pace.each([1, 2, 3], () => undefined);
    assert.equal(turned, false);
  });

  test("work that is stopped ends at its next turn, whether its slice is over or not", async () => {
    const pace = new Pace();
    let items = 0;
    await assert.rejects(pace.each(Array.from({ length: 1000 }, (_, i) => i), (i) => {
      items++;
      if (i === 100) pace.stop();
    }), Stopped);
    assert.equal(items, 128);
    await assert.rejects(pace.turn(), Stopped);
  });
});
