/**
 * Keeps inputs as files, each named by its content: a target's corpus in test/fuzz/corpus/TARGET/, and findings beside
 * it, which git does not keep.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { source } from "../support/assembly.js";

export const CORPUS = source("test/fuzz/corpus");
const FINDINGS = source("test/fuzz/findings");

/** Returns the name of a file with that content. */
export function nameOf(input: Uint8Array): string {
  return createHash("sha1").update(input).digest("hex");
}

/** Returns a target's corpus by file, in the order of names. */
export function corpusOf(target: string): Map<string, Uint8Array> {
  const dir = join(CORPUS, target);
  const names = existsSync(dir) ? readdirSync(dir).sort() : [];
  return new Map(names.map((name) => [name, new Uint8Array(readFileSync(join(dir, name)))]));
}

/** Makes these the target's corpus. */
export function replaceCorpus(target: string, inputs: readonly Uint8Array[]): void {
  const dir = join(CORPUS, target);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  for (const input of inputs) writeFileSync(join(dir, nameOf(input)), input);
}

/** Saves a finding, and returns its file's path. */
export function saveFinding(target: string, input: Uint8Array): string {
  const dir = join(FINDINGS, target);
  mkdirSync(dir, { recursive: true });
  const file = join(dir, nameOf(input));
  writeFileSync(file, input);
  return file;
}
