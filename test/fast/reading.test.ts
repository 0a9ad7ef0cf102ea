/** Tests the thread that reads a configuration file: what it hands over, and its bounds. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PREFIX_REPLIES } from "../../abi/counters.js";
import { NODES } from "../../abi/tables.js";
import { EXIT, Failure } from "../../src/base/failure.js";
import type { Given } from "../../src/config/given.js";
import { effective } from "../../src/config/merge.js";
import { ConfigFile } from "../../src/config/reader.js";
import { Reading, type Limits } from "../../src/config/reading.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { tableOf } from "../../src/engine/table.js";
import type { PrefixList } from "../../src/prefix/list.js";
import { parseAddress, parsePrefix } from "../../src/prefix/prefixes.js";
import { openDescriptors } from "../../src/sys/descriptors.js";

const GIVEN: Given = {
  values: {}, names: {}, ignoreEcho: false, queueFds: undefined, example: "pongd run 10.99.0.0/16",
};
const TEXT = `ttl: 9
log: { format: json }
rate_limit: { rate: 1000, burst: 40 }
prefixes:
  - 10.99.0.0/16
  - { prefix: 10.99.7.0/24, name: "lab <é>", answer: [timestamp], rate_limit: none }
  - 2001:db8::/64
except: [10.99.8.0/24]
`;

function start(text: string, before?: PrefixList, limits?: Limits): Promise<Reading> {
  return Reading.start(
    { name: "FILE", file: Buffer.from(text), given: GIVEN, before: before?.buffer }, undefined, limits,
  );
}

function memory(): LinearMemory {
  return LinearMemory.create({ mtu: 1500, reassembly: 0, reloadable: true });
}

/** Asserts that a reading is refused in one line, as the configuration. */
async function refused(reading: Promise<Reading>, line: RegExp): Promise<void> {
  await assert.rejects(reading, (error) => {
    assert.ok(error instanceof Failure, String(error));
    assert.equal(error.exitStatus, EXIT.CONFIG);
    assert.equal(error.lines.length, 1);
    assert.match(error.lines[0], line);
    return true;
  });
}

describe("what the thread hands over", () => {
  test("is one line for each thing that is wrong, whatever a name has", async () => {
    await refused(start("links: { \"a\\nb\": { rtt: 5ms } }\nprefixes: [10.99.0.0/16]\n"), /^FILE:1:10: "a\\nb" is no name/);
  });

  test("is what the file says, with the lists in shared memory", async () => {
    const reading = await start(TEXT);
    const { options, values } = reading;
    const { prefixes, exceptions, timestamps } = options.serving;
    assert.deepEqual(Array.from(prefixes, ({ text, name, index }) => [text, name, index]), [
      ["10.99.0.0/16", undefined, 0], ["10.99.7.0/24", "lab <é>", 1], ["2001:db8::/64", undefined, 2],
    ]);
    assert.deepEqual(Array.from(exceptions, ({ text }) => text), ["10.99.8.0/24"]);
    assert.deepEqual(prefixes.families, [4, 6]);
    const direct = effective(GIVEN, new ConfigFile("FILE", Buffer.from(TEXT))).options;
    const { serving } = direct;
    assert.deepEqual({ ...options, serving }, direct);
    assert.equal(timestamps, serving.prefixes.some(({ answers }) => answers.timestamp));
    assert.deepEqual([values.ttl, values.prefixes, values.except], [9, [], []]);
    await reading.end();
  });

  test("are tables, the same that are made here, in the unused part of each queue's memory", async () => {
    const hosts = ["10.99.0.1", "2001:db8::1"].map(parseAddress);
    const others = [parsePrefix("10.99.9.9/32")];
    const [mine, ...its] = [memory(), memory(), memory()];
    const { serving } = effective(GIVEN, new ConfigFile("FILE", Buffer.from(TEXT))).options;
    const table = tableOf({ ...serving, exceptions: [...serving.exceptions, ...others] }, { hosts, shares: 2 });
    const bytes = (linear: LinearMemory, at: number) =>
      Buffer.from(linear.memory.buffer, at, NODES + table.nodes.byteLength);
    const reading = await start(TEXT);
    for (let i = 0; i < 3; i++) {
      const at = mine.write(table);
      const { tables, examples } = await reading.place({ hosts, others, memories: its.map(({ memory }) => memory) });
      assert.deepEqual(tables, [at, at]);
      assert.deepEqual(examples, ["10.99.1.1", "2001:db8::101"]);
      for (const linear of its) assert.ok(bytes(linear, at).equals(bytes(mine, at)), `change ${i}`);
      for (const linear of [mine, ...its]) linear.use(at);
    }
    await reading.end();
  });

  test("is the index that a prefix had before, and no count of a new one", async () => {
    const linear = memory();
    linear.counters.fill(7, PREFIX_REPLIES);
    const first = await start("prefixes: [10.1.0.0/16, 10.2.0.0/16, 10.3.0.0/16]\n");
    await first.end();
    const second = await start("prefixes: [10.4.0.0/16, 10.2.0.0/16]\n", first.options.serving.prefixes);
    const { prefixes } = second.options.serving;
    assert.deepEqual(Array.from(prefixes, ({ index }) => index), [3, 1]);
    await second.place({ hosts: [], others: [], memories: [linear.memory] });
    await second.end();
    assert.deepEqual([...linear.counters.subarray(PREFIX_REPLIES, PREFIX_REPLIES + 5)], [7, 7, 7, 0, 7]);
  });

  test("is every error with its place, and the log's format before them", async () => {
    const formats: unknown[] = [];
    const input = { name: "FILE", file: Buffer.from(`${TEXT}lisen: 1\nspin: -1\n`), given: GIVEN, before: undefined };
    await assert.rejects(Reading.start(input, (format) => formats.push(format)), {
      lines: [
        "FILE:9:1: unknown key \"lisen\"; did you mean listen?",
        "FILE:10:7: spin is -1; expected a whole number from 0 to 1000000",
      ],
      exitStatus: EXIT.CONFIG,
    });
    assert.deepEqual(formats, ["json"]);
  });
});

describe("its bounds", () => {
  test("a file that takes too much memory is refused in one line", async () => {
    const many = Array.from({ length: 100_000 }, (_, i) => `k${i}: 1\n`).join("");
    await refused(
      start(many, undefined, { heapMb: 24, ms: 600_000 }),
      /^FILE: takes more than 24 MB of memory to read; expected less in it: 100,000 prefixes fit$/,
    );
  });

  test("a file that takes too much time is refused in one line", async () => {
    await refused(
      start(TEXT, undefined, { heapMb: 160, ms: 1 }),
      /^FILE: takes more than 0\.001 seconds to read; expected less in it: 100,000 prefixes fit$/,
    );
  });

  test("the thread leaves no descriptor, whether the file is read or refused", async () => {
    await (await start(TEXT)).end();
    const before = [...openDescriptors().keys()];
    await (await start(TEXT)).end();
    await assert.rejects(start("ttl: 0\n"));
    await assert.rejects(start(TEXT, undefined, { heapMb: 160, ms: 1 }));
    assert.deepEqual([...openDescriptors().keys()], before);
  });
});
