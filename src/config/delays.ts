/** How the delays of a link are distributed, and what files say of them: tables, samples and traces. */
import { resolve } from "node:path";
import { EXIT, Failure } from "../base/failure.js";
import { DISTRIBUTIONS, ofSamples } from "../prefix/distribution.js";
import { readRegular } from "./bytes.js";
import { shown, Wrong } from "./linkvalues.js";
import type { Path } from "./path.js";
import { eitherOf, type WayMap } from "./types.js";

/** Most bytes of a file with delays, and most delays. */
const MAX_BYTES = 4 << 20;
const MAX_DELAYS = 200_000;
/** An hour, as for every time (quantities.ts). */
const MAX_DELAY_MS = 3_600_000;
export const DISTRIBUTION_NAMES = ["uniform", "normal", "pareto", "paretonormal"] as const;

const FILES = new Map<string, Float32Array>();

export function quantilesOf(
  distribution: NonNullable<WayMap["distribution"]>, path: Path, folder: string,
): Float32Array | undefined {
  if (typeof distribution === "object") {
    const samples = numbersOf(distribution.file, [...path, "file"], folder);
    if (new Set(samples).size < 2) throw new Wrong([...path, "file"], `: ${distribution.file}: expected samples that differ`);
    const text = samples.join();
    const known = FILES.get(text) ?? ofSamples(samples);
    if (!known.every(Number.isFinite)) {
      throw new Wrong([...path, "file"], `: ${distribution.file}: expected smaller numbers`);
    }
    FILES.set(text, known);
    return known;
  }
  if (!DISTRIBUTION_NAMES.includes(distribution)) {
    throw new Wrong(path, ` is ${shown(distribution)}; expected ${eitherOf(DISTRIBUTION_NAMES)}, or a map with file`);
  }
  return distribution === "uniform" ? undefined : DISTRIBUTIONS[distribution];
}

/** Reads the numbers of a file, with lines that begin with # left out: tc's own tables, or one column of a CSV file. */
function numbersOf(file: string | undefined, path: Path, folder: string): number[] {
  if (file === undefined) throw new Wrong(path, " is missing; expected a file's path");
  let text: string;
  try {
    text = readRegular(file, resolve(folder, file), MAX_BYTES, "table of numbers").toString("latin1");
  } catch (error) {
    if (!(error instanceof Failure) || error.exitStatus !== EXIT.CONFIG) throw error;
    throw new Wrong(path, `: ${error.what}`);
  }
  const numbers: number[] = [];
  for (const [i, line] of text.split("\n").entries()) {
    if (line.startsWith("#")) continue;
    for (const word of line.split(/[\s,;]+/).filter(Boolean)) {
      const number = Number(word);
      if (!Number.isFinite(number)) {
        throw new Wrong(path, `: ${file}:${i + 1}: ${JSON.stringify(word.slice(0, 40))}; expected numbers alone`);
      }
      numbers.push(number);
    }
  }
  if (numbers.length === 0) throw new Wrong(path, `: ${file}: no number; expected at least one`);
  if (numbers.length > MAX_DELAYS) throw new Wrong(path, `: ${file}: ${numbers.length} numbers; at most ${MAX_DELAYS} fit`);
  return numbers;
}

/** Reads a file with delays in milliseconds. */
export function delaysOf(file: string | undefined, path: Path, folder: string): Float64Array {
  const delays = numbersOf(file, path, folder);
  const wrong = delays.find((ms) => ms < 0 || ms > MAX_DELAY_MS);
  if (wrong !== undefined) {
    throw new Wrong(path, `: ${file}: ${wrong}; expected milliseconds from 0 to ${MAX_DELAY_MS}`);
  }
  return Float64Array.from(delays, (ms) => ms * 1e6);
}
