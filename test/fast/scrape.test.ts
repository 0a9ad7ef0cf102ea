/** Tests what a scrape keeps from the one before. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PREFIX_REPLIES } from "../../abi/counters.js";
import { Directory } from "../support/directory.js";
import { createRegistry } from "../../src/telemetry/metrics.js";
import { parsePrefix, serving } from "../../src/prefix/prefixes.js";

const COUNT = 4000;
const NAME = "pongd_prefix_replies_total";

/** The part of a metric from which a registry writes its samples. */
interface Samples {
  getForPromString(): Promise<{
    readonly values: readonly { readonly sharedLabels: Record<string, string>; readonly value: number }[];
  }>;
}

/** Makes prefixes of 10.0.0.0/8, or as many others. */
const prefixes = (first = 10) => serving(
  Array.from({ length: COUNT }, (_, i) => parsePrefix(`${first}.${i >> 8}.${i & 255}.0/24`)),
);

test("metrics: a prefix's labels are one object from scrape to scrape, its text is made once, and both anew where "
  + "others are served", async () => {
  const directory = new Directory(prefixes(), [], 1);
  const counters = new Float64Array(PREFIX_REPLIES + 2 * COUNT);
  const registry = createRegistry(
    [{ index: 0, engine: "wasm", io: "uring", counters, restarts: 0 }], directory, { txDropped: () => 0 },
  );
  const labels = async () => (await (registry.getSingleMetric(NAME) as unknown as Samples).getForPromString()).values
    .map(({ sharedLabels }) => sharedLabels);
  const lines = async () => (await registry.metrics()).split("\n").filter((line) => line.startsWith(`${NAME}{`));

  const expected = Array.from(directory.prefixes, ({ text }) => `${NAME}{prefix="${text}"} 0`);
  const first = await labels();
  assert.deepEqual(await lines(), expected);
  // prom-client does not read labels again that it has seen. If it did, this would show up in the text.
  for (const set of first) set.prefix = "read again";
  assert.deepEqual(await lines(), expected);
  counters[PREFIX_REPLIES + COUNT - 1] = 7;
  assert.deepEqual(await lines(), expected.with(-1, expected[COUNT - 1].replace(/0$/, "7")));
  const second = await labels();
  assert.equal(second.length, COUNT);
  assert.ok(second.every((set, i) => set === first[i]));

  directory.change(prefixes(11));
  assert.deepEqual(await lines(), Array.from(directory.prefixes, ({ text }) => `${NAME}{prefix="${text}"} 0`));
});
