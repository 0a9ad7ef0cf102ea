/** Tests the metric with a sample for each prefix: its text, its pieces, and what it keeps from the scrape before. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PREFIX_REPLIES } from "../../abi/counters.js";
import { PrefixList } from "../../src/prefix/list.js";
import { Directory } from "../support/directory.js";
import { parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { PIECE_LEN, PrefixReplies } from "../../src/telemetry/prefixreplies.js";

const COUNT = 4000;
const NAME = "pongd_prefix_replies_total";

/** Makes prefixes of 10.0.0.0/8, or as many others. */
const prefixes = (first = 10) => serving(
  Array.from({ length: COUNT }, (_, i) => parsePrefix(`${first}.${i >> 8}.${i & 255}.0/24`)),
);
const textOf = (replies: PrefixReplies) => Buffer.concat([...replies.pieces(false)]).toString();
const linesOf = (replies: PrefixReplies) => textOf(replies).split("\n").filter((line) => line.startsWith(`${NAME}{`));

test("metrics: each prefix has a sample, in pieces of at most 64 KiB that are no copy of one another", () => {
  const directory = new Directory(prefixes(), [], 1);
  const counters = [7, 8].map((count) => new Float64Array(PREFIX_REPLIES + COUNT).fill(count));
  const replies = new PrefixReplies(counters.map((counters) => ({ counters })), directory);
  const pieces = [...replies.pieces(false)];
  assert.ok(pieces.length > 1 && pieces.every(({ length }) => length <= PIECE_LEN));
  assert.equal(Buffer.concat(pieces).toString(), [
    "", `# HELP ${NAME} Packets answered, by the prefix of the address that answered.`, `# TYPE ${NAME} counter`,
    ...Array.from(directory.prefixes, ({ text }) => `${NAME}{prefix="${text}"} 15`), "",
  ].join("\n"));
});

test("metrics: the labels of a list of prefixes are made once, and anew for another list", (t) => {
  const directory = new Directory(prefixes(), [], 1);
  const counters = new Float64Array(PREFIX_REPLIES + 2 * COUNT);
  const replies = new PrefixReplies([{ counters }], directory);
  const read = t.mock.method(PrefixList.prototype, "at");
  assert.equal(linesOf(replies).length, COUNT);
  assert.equal(read.mock.callCount(), COUNT);
  counters[PREFIX_REPLIES + COUNT - 1] = 7;
  const last = linesOf(replies).at(-1);
  assert.equal(read.mock.callCount(), COUNT);
  assert.equal(last, `${NAME}{prefix="${directory.prefixes.at(COUNT - 1).text}"} 7`);
  directory.change(prefixes(11));
  assert.deepEqual(linesOf(replies), Array.from(directory.prefixes, ({ text }) => `${NAME}{prefix="${text}"} 0`));
});
