/** Helps to fuzz what is written in YAML. */
import assert from "node:assert/strict";
import { YAMLException } from "js-yaml";
import type { ZodType } from "zod";
import { PROPERTY, readQuickly } from "../../../src/config/reader.js";
import { tooDeep } from "../../../src/config/nesting.js";
import { Places } from "../../../src/config/places.js";

/** Texts that mean something in YAML. */
export const YAML = [
  "\n", "  ", "\t", ": ", "- ", "? ", "[", "]", "{", "}", ", ", "# ", "&a ", "*a", "!!str ", "!!int ", "!!map ",
  "!!binary ", "! ", "| ", "|+\n", ">-\n", "'", "\"", "''", "\\n", "\\x41", "\\u2028",
  "%YAML 1.1\n", "%YAML 1.2\n", "%TAG ! tag:x,2000:\n", "---\n", "...\n", "<<: ", "~", "null", "true", "false", "yes",
  "0x1F", "0o17", "1_000", ".inf", ".nan", "1e3", "\r\n", "\r", "\ufeff", "\u2028", "\u0085", "\0", "__proto__: ",
  "constructor: ", "toString: ", "@", "`",
];

/**
 * Asserts that what the fast reader and the schema accept, the
 * reader that knows places accepts as well, with the same result.
 */
export function checkAlike(text: string, schema: ZodType): void {
  if (tooDeep(text) || PROPERTY.test(text)) return;
  let fast: unknown;
  try {
    fast = readQuickly(text);
  } catch (error) {
    if (error instanceof YAMLException) return;
    throw error;
  }
  if (!schema.safeParse(fast).success) return;
  const { faults, value } = new Places(text);
  assert.deepEqual(faults, []);
  assert.deepEqual(value, fast);
}
