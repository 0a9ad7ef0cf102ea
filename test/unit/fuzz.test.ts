/** The fuzzing itself: its corpus through every target, and that it finds what it is to find. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { corpusOf, nameOf } from "../fuzz/corpus.js";
import { guided } from "../fuzz/guided.js";
import { Finding } from "../fuzz/target.js";
import { TARGETS } from "../fuzz/targets.js";

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
    covers: ["/build/test/unit/fuzz.test.js"], dictionary: ["pong"], seeds: ["a"], feed: (input) => feed(Buffer.from(input).toString("latin1")),
  })).fuzz([], { seconds: 120, seed: 1, signal: AbortSignal.timeout(120_000) });

  test("finds what a word of the dictionary and two bytes behind it, one after the other, lead to", async () => {
    const steps = (text: string) => {
      const at = text.indexOf("pong");
      if (at < 0) return;
      if (text[at + 4] !== "7") return;
      if (text[at + 5] !== "6") return;
      throw new Error("planted");
    };
    await assert.rejects(fuzz(steps), (error) => error instanceof Finding && error.message === "planted" && Buffer.from(error.input).includes("pong76"));
  });

  test("finds what nobody has caught, and what nobody has handled", async () => {
    await assert.rejects(fuzz(async () => {
      void Promise.reject(new Error("unhandled"));
      await new Promise(setImmediate);
    }), (error) => error instanceof Finding && error.message === "unhandled");
  });
});
