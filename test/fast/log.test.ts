/** Tests standard error: its lines are printable, in text and in JSON, and bounded if nobody reads. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { Writable } from "node:stream";
import { describe, test } from "node:test";
import { BoundedLines, MAX_WAITING } from "../../src/base/bounded.js";
import { printable } from "../../src/base/printable.js";
import { source } from "../support/assembly.js";

/**
 * Escape sequences of both kinds, line ends of all kinds, text that reverses direction, invisible characters, and half
 * of a surrogate pair.
 */
const HOSTILE = "a\x1b]0;owned\x07\x9b31m\r\n\x7f\u2028\u2029\u202e\u2066\u200b\ufeff\u3164\u{e0001}\ud800z";
const SHOWN = "a\\u001b]0;owned\\u0007\\u009b31m\\r\\n\\u007f\\u2028"
  + "\\u2029\\u202e\\u2066\\u200b\\ufeff\\u3164\\udb40\\udc01\\ud800z";

test("text is printable: what steers a terminal or is not seen is escaped, and all else stays", () => {
  assert.equal(printable(HOSTILE), SHOWN);
  assert.equal(printable(SHOWN), SHOWN);
  for (const text of ["", "plain", "é 東京 \u00a0 e\u0301 🏓", "a\\nb"]) assert.equal(printable(text), text);
});

describe("a message and a field with anything in them are one printable line", () => {
  const logged = (format: string) => {
    const script = `import { createLogger, speak, tell } from ${JSON.stringify(source("build/src/base/log.js"))};
      const text = ${JSON.stringify(HOSTILE)};
      createLogger("info", "${format}").warn({ name: text }, text);
      speak("${format}");
      tell("error", text, { status: 3 });`;
    return spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }).stderr;
  };

  test("in text", () => {
    const [log, told, ...rest] = logged("text").split("\n");
    assert.equal(log.replace(/^\S+ /, ""), `warn ${SHOWN} name=${SHOWN}`);
    assert.deepEqual([told, ...rest], [`pongd: ${SHOWN}`, ""]);
  });

  test("in JSON, where the field keeps its value", () => {
    const stderr = logged("json");
    assert.match(stderr, /^([^\p{C}\p{Zl}\p{Zp}]+\n){2}$/u);
    const [log, told] = stderr.trim().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual([log.level, log.msg, log.name], ["warn", SHOWN, HOSTILE]);
    assert.deepEqual([told.level, told.msg, told.status], ["error", SHOWN, 3]);
  });
});

describe("a stream that nobody reads", () => {
  const LINE = `${"x".repeat(99)}\n`;

  test("holds so much, drops and counts the rest, and says so when it is read again", () => {
    const callbacks: (() => void)[] = [];
    const chunks: number[] = [];
    const stream = new Writable({
      decodeStrings: false,
      write: (chunk: string, _, callback) => {
        chunks.push(chunk.length);
        callbacks.push(callback);
      },
    });
    const lines = new BoundedLines(stream);
    const told: number[] = [];
    lines.onRoom = (dropped) => { told.push(dropped); };
    const written = 2 * MAX_WAITING / LINE.length;
    for (let i = 0; i < written; i++) lines.write(LINE);
    assert.ok(stream.writableLength <= MAX_WAITING);
    assert.ok(lines.dropped > 0);
    assert.deepEqual(told, []);
    for (let callback = callbacks.shift(); callback; callback = callbacks.shift()) callback();
    return new Promise<void>((resolve) => {
      setImmediate(() => {
        assert.deepEqual(told, [lines.dropped]);
        assert.equal(chunks.length + lines.dropped, Math.ceil(written));
        resolve();
      });
    });
  });

  test("takes a line longer than what it holds where nothing waits", () => {
    const stream = new Writable({ write: () => undefined });
    const lines = new BoundedLines(stream);
    lines.write("x".repeat(MAX_WAITING + 1));
    lines.write(LINE);
    assert.deepEqual([stream.writableLength, lines.dropped], [MAX_WAITING + 1, 1]);
  });
});
