/** Reads a page of docs/ as a list of things to do: its fenced blocks, whose info strings say what each is. */
import { readFileSync } from "node:fs";
import { source } from "./assembly.js";

/** Words of the info string after the language, which say where and how a block is to be run. */
const WORDS = ["background", "host", "router", "project"] as const;
export type Word = typeof WORDS[number];

export type Step
  = | { readonly kind: "file"; readonly name: string; readonly text: string }
    /**
     * `words`: `background` for something that goes on running, `host` or `router` for where to run it, `project` for
     * this project's folder.
     */
    | { readonly kind: "run"; readonly script: string; readonly words: readonly Word[] }
    /** A part of a file, to look at. */
    | { readonly kind: "part" }
    /** Lines that the script before has to print, among others. */
    | { readonly kind: "output"; readonly lines: readonly string[] };

export interface Recipe {
  readonly title: string;
  readonly steps: readonly Step[];
}

/** Returns a page's recipes, one for each section. @throws Error for a block that does not say what it is for */
export function recipes(page: string): Recipe[] {
  const [, ...sections] = readFileSync(source(page), "utf8").split(/^## /m);
  return sections.map((section) => ({
    title: section.slice(0, section.indexOf("\n")),
    steps: [...section.matchAll(/^```(\w+)(.*)\n([^]*?)^```$/gm)].map(
      ([, language, info, text]) => step(language, info.split(" ").filter(Boolean), text),
    ),
  }));
}

function step(language: string, words: readonly string[], text: string): Step {
  if (language === "text" && words.length === 0) return { kind: "output", lines: text.trimEnd().split("\n") };
  if (language === "sh" && words.every((word) => WORDS.includes(word as Word))) {
    return { kind: "run", script: text, words: words as Word[] };
  }
  if (words.length === 1 && words[0] !== "part") return { kind: "file", name: words[0], text };
  if (words.length === 1) return { kind: "part" };
  throw new Error(`a block of ${language} ${words.join(" ")}: what is it for?`);
}

/**
 * Returns the first of `lines` that `output` lacks, which has to have them in that order. … stands for anything, and
 * blanks around a line don't matter.
 */
export function missing(lines: readonly string[], output: string): string | undefined {
  let rest = output.split("\n");
  return lines.find((line) => {
    const pattern = new RegExp(
      `^${line.trim().split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".*")}$`,
    );
    const at = rest.findIndex((said) => pattern.test(said.trim()));
    rest = rest.slice(at + 1);
    return at === -1;
  });
}
