/** Serves uPlot as it is published, with its licence. */
import { readFileSync } from "node:fs";

/** Returns a script that sets the global uPlot. */
export function uplotScript(): string {
  return `/*\n${file("LICENSE")}\n*/\n${file("dist/uPlot.iife.min.js")}`;
}

export function uplotStyle(): string {
  return file("dist/uPlot.min.css");
}

function file(path: string): string {
  return readFileSync(new URL(import.meta.resolve(`uplot/${path}`)), "utf8");
}
