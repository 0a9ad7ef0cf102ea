/**
 * Tests wrong values for every option and every key. Each gets one line, which shows every character and says what to
 * write.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CommanderError } from "commander";
import { createProgram } from "../../src/cli/program.js";
import { usageLine } from "../../src/cli/usage.js";
import { DEFAULTS, type Key } from "../../src/config/keys.js";
import { EXIT, Failure } from "../../src/base/failure.js";
import { parsed, refusal } from "../support/config.js";

/** Values as they look if they were copied, or put together by a script. */
const VALUES = [
  "", " ", "\u0663", "9".repeat(25), "-1", "0x10", "1.5e3", "\"7\"", "7\n", "7\r", "7\n8", "\u200b7", "7\u00a0",
  "\ufeff7", "\u202e7", "\u{e0041}7",
];
const SEEN = /^[^\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]+(?: +[^\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]+)*$/u;
const INVISIBLE = /\p{C}|\p{Default_Ignorable_Code_Point}|(?! )\p{Z}/u;
const ADVICE = /write |must be |expected |Allowed |leave it out|try: /i;

/** Returns true for text that may be a device's name. */
const isName = (value: string) => /^[!-~]{1,15}$/.test(value);

function lineOf(args: readonly string[]): readonly string[] {
  try {
    return refusal(undefined, ["10.99.0.0/16", ...args])?.lines ?? [];
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return [usageLine(error, createProgram(), ["run"])];
  }
}

function check(lines: readonly string[], value: string): void {
  assert.equal(lines.length, 1);
  const [line] = lines;
  assert.match(line, SEEN);
  assert.match(line, ADVICE);
  assert.equal(line.includes("which cannot be seen"), INVISIBLE.test(value), line);
}

describe("every option", () => {
  for (const { long = "", required } of parsed([]).options) {
    if (!required) continue;
    test(long, () => {
      for (const value of VALUES) {
        // Any text but "" may be a file's name.
        if (["--config", "--web-config"].includes(long) && value !== "") continue;
        if (long === "--device" && isName(value)) continue;
        // Separators around a value do not count, and alone they are no value.
        if (["--except", "--host-address"].includes(long) && value.trim() === "") continue;
        const lines = lineOf([long, value]);
        check(
          lines.slice(0, 1),
          value.replace(/\s+/g, (blanks) => ["--except", "--host-address"].includes(long) ? "" : blanks),
        );
        // What these take is parsed with the file's, and said by the same messages.
        if (["--except", "--host-address", "--device"].includes(long)) continue;
        assert.ok(lines[0].includes(long === "--link" ? `${long}: ` : `'${long} <`), lines[0]);
      }
    });
  }
});

describe("every key", () => {
  for (const key of Object.keys(DEFAULTS) as Key[]) {
    test(key, () => {
      for (const value of VALUES) {
        if ((key === "web_config" && value !== "") || (key === "device.name" && isName(value))) continue;
        const [outer, inner] = key.split(".") as [string, string?];
        const text = JSON.stringify(value);
        const { lines, status } = refusal(
          `${inner === undefined
            ? `${outer}: ${text}`
            : `${outer}: { ${inner}: ${text} }`}\n${key === "prefixes" ? "" : "prefixes: [10.99.0.0/16]\n"}`,
        )
        ?? { lines: [], status: undefined };
        assert.equal(status, EXIT.CONFIG, `${key}: ${text}`);
        check(lines, value);
        assert.match(lines[0], /^FILE:1:\d+: /);
      }
    });
  }
});

describe("every prefix and address", () => {
  for (const value of VALUES) {
    test(JSON.stringify(value), () => {
      for (const prefix of [`10.99.0.0/${value}`, `${value}.99.0.0/16`]) {
        check(refusal(`prefixes: [${JSON.stringify(prefix)}]\n`)?.lines ?? [], value);
      }
    });
  }
});

test("of many invisible characters the first few are named", () => {
  assert.deepEqual(
    new Failure("\"\u200b\u200c\u200d\u2060\" is wrong", EXIT.USAGE).lines,
    ["\"\\u200b\\u200c\\u200d\\u2060\" is wrong (leave out \\u200b, \\u200c, \\u200d, which cannot be seen)"],
  );
});
