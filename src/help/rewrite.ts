/** Writes the table of settings into docs/reference.md: node build/src/help/rewrite.js */
import { readFileSync, writeFileSync } from "node:fs";
import { withSettings } from "./reference.js";

const file = new URL("../../../docs/reference.md", import.meta.url);
writeFileSync(file, withSettings(readFileSync(file, "utf8")));
