/**
 * Writes the completion scripts and the manual page to build/completion/ and build/man/, as a part of the build. The
 * same commands give the same bytes.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { createProgram } from "./program.js";
import { manualPage } from "../help/man.js";
import { SCRIPTS } from "../help/scripts.js";
import { describe } from "../help/tree.js";

const program = describe(createProgram());
const epoch = process.env.SOURCE_DATE_EPOCH;
const date = epoch === undefined ? "" : new Date(1000 * Number(epoch)).toISOString().slice(0, 10);
for (const [path, text] of Object.entries({
  "completion/pongd.bash": SCRIPTS.bash(program),
  "completion/_pongd": SCRIPTS.zsh(program),
  "completion/pongd.fish": SCRIPTS.fish(program),
  "man/pongd.1": manualPage(program, date),
})) {
  const file = new URL(`../../${path}`, import.meta.url);
  mkdirSync(new URL(".", file), { recursive: true });
  writeFileSync(file, text);
}
