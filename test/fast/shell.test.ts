/** Tests that a shell reads the words of printed commands as they were meant. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { quote, word } from "../../src/base/shell.js";

test("a word is read by a shell as what it is, and is in quotes only where it has to be", () => {
  const printable = Array.from({ length: 0x5f }, (_, i) => String.fromCharCode(0x20 + i));
  const words = [
    "pong0", "10.99.0.0/16", "fd99::/64", "", "it's", "$(id)", "a;b", "`id`", "~", "#x", "-x", "two words", "é", "a\nb",
    "!x", ...printable,
  ];
  for (const write of [quote, word]) {
    const { stdout } = spawnSync(
      "/bin/sh", ["-c", `printf '%s\\0' ${words.map(write).join(" ")}`], { encoding: "utf8" },
    );
    assert.deepEqual(stdout.split("\0").slice(0, -1), words);
  }
  assert.deepEqual(
    ["pong0", "10.99.0.0/16", "fd99::/64", "a'b"].map(word), ["pong0", "10.99.0.0/16", "fd99::/64", "'a'\\''b'"],
  );
});
