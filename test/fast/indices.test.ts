/** Tests the indices at which prefixes are counted, and the list that has them, over random reloads. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { indicesOf } from "../../src/prefix/indices.js";
import { PrefixList } from "../../src/prefix/list.js";
import { parsePrefix } from "../../src/prefix/prefixes.js";

const TEXTS = Array.from({ length: 12 }, (_, i) => i % 3 === 0 ? `2001:db8:${i}::/48` : `10.${i}.0.0/${16 + i % 3}`);
const reloads = fc.array(fc.shuffledSubarray(TEXTS), { minLength: 1, maxLength: 8 });

test("a prefix keeps its index while it is served, and no other has it meanwhile, nor in the reload after", () => {
  fc.assert(fc.property(reloads, (all) => {
    let before: PrefixList | undefined;
    for (const texts of all) {
      const prefixes = texts.map(parsePrefix);
      const indices = indicesOf(prefixes, before);
      const known = new Map(Array.from(before ?? [], ({ text, index }) => [text, index]));
      assert.equal(new Set(indices.all).size, texts.length);
      for (const [i, { text }] of prefixes.entries()) {
        const index = indices.all[i];
        if (known.has(text)) assert.equal(index, known.get(text));
        else assert.ok(![...known.values()].includes(index), `${text} has the index of another`);
        assert.equal(indices.fresh.includes(index), !known.has(text));
        assert.ok(index < 2 * TEXTS.length, "indices are given again");
      }
      before = PrefixList.of(prefixes, indices.all);
    }
  }));
});

test("a list has what it was made of, in another thread's view as well", () => {
  const name = fc.option(fc.string({ unit: "grapheme", maxLength: 20 }), { nil: undefined });
  const twelve = fc.array(name, { minLength: 12, maxLength: 12 });
  fc.assert(fc.property(fc.shuffledSubarray(TEXTS), twelve, (texts, names) => {
    const made = texts.map((text, i) => ({ ...parsePrefix(text), name: names[i] }));
    const list = new PrefixList(PrefixList.of(made, made.map((_, i) => 3 * i)).buffer);
    assert.deepEqual([...list], made.map((prefix, i) => ({ ...prefix, index: 3 * i })));
    assert.deepEqual(list.families, ([4, 6] as const).filter((family) => made.some((own) => own.family === family)));
  }));
});
