/** Tests the fuzzing itself: its corpus passes every target, and it finds planted faults. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, describe, test } from "node:test";
import { corpusOf, nameOf } from "../fuzz/corpus.js";
import { guided } from "../fuzz/guided.js";
import { Finding } from "../fuzz/target.js";
import { TARGETS } from "../fuzz/targets.js";
import "../support/process.js";

describe("the fuzzing corpus", () => {
  for (const target of TARGETS) {
    test(`${target.name}: all of it holds, and each file is named by its content`, async () => {
      after(() => target.close());
      const corpus = corpusOf(target.name);
      assert.ok(corpus.size > 0, "there is some");
      for (const [name, input] of corpus) {
        assert.equal(nameOf(input), name);
        await target.replay(input);
      }
    });
  }
});

describe("the loop", () => {
  const fuzz = (feed: (text: string) => Promise<void> | void) => guided("planted", () => ({
    covers: ["/build/test/deep/fuzz.test.js"], dictionary: ["pong"], seeds: ["a"],
    feed: (input) => feed(Buffer.from(input).toString("latin1")),
  })).fuzz([], { seconds: 120, seed: 1, signal: AbortSignal.timeout(120_000) });

  test("finds what a word of the dictionary and two bytes behind it, one after the other, lead to", async () => {
    const steps = (text: string) => {
      const at = text.indexOf("pong");
      if (at < 0) return;
      if (text[at + 4] !== "7") return;
      if (text[at + 5] !== "6") return;
      throw new Error("planted");
    };
    await assert.rejects(
      fuzz(steps),
      (error) => error instanceof Finding && error.message === "planted" && Buffer.from(error.input).includes("pong76"),
    );
  });

  test("finds what nobody has handled", () => {
    // This runs in a process of its own, since this one's test runner also catches unhandled rejections.
    const script = `const { guided } = await import(${JSON.stringify(new URL("../fuzz/guided.js", import.meta.url))});
      const feed = async () => { void Promise.reject(new Error("unhandled")); await new Promise(setImmediate); };
      const found = guided("planted", () => ({ covers: [], dictionary: [], seeds: ["a"], feed })).fuzz([], { seconds: 1, seed: 1, signal: AbortSignal.timeout(100_000) });
      found.catch(({ name, message, input }) => { console.log(name, message, String.fromCharCode(...input)); });`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
    assert.equal(stdout, "Finding unhandled a\n", stderr);
  });
});
