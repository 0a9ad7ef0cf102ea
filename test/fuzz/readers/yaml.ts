/** Helps to fuzz what is written in YAML. */
import { tooDeep } from "../../../src/config/nesting.js";
import { assertAlike } from "../../support/pieces.js";

/** Texts that mean something in YAML. */
export const YAML = [
  "\n", "  ", "\t", ": ", "- ", "? ", "[", "]", "{", "}", ", ", "# ", "&a ", "*a", "!!str ", "!!int ", "!!map ",
  "!!binary ", "! ", "| ", "|+\n", ">-\n", "'", "\"", "''", "\\n", "\\x41", "\\u2028",
  "%YAML 1.1\n", "%YAML 1.2\n", "%TAG ! tag:x,2000:\n", "---\n", "...\n", "<<: ", "~", "null", "true", "false", "yes",
  "0x1F", "0o17", "1_000", ".inf", ".nan", "1e3", "\r\n", "\r", "\ufeff", "\u2028", "\u0085", "\0", "__proto__: ",
  "constructor: ", "toString: ", "@", "`",
];

/** Asserts that a text read piece by piece comes to the same, at the same places, as the text read as a whole. */
export function checkPieces(text: string): void {
  if (!tooDeep(text)) assertAlike(text);
}
