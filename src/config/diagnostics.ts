/**
 * Reports problems of a configuration that is merged, each as it was given: what the file says by its place there, what
 * flags and environment say by their names.
 */
import { EXIT, Failure } from "../base/failure.js";
import type { Given, Source } from "./given.js";
import type { Problem } from "./judge.js";
import type { Key, Values } from "./keys.js";
import type { Path } from "./path.js";

export class Diagnostics {
  readonly #given: Given;
  readonly #file: Source | undefined;
  readonly #inFile: Partial<Values>;
  readonly #problems: Problem[];
  /** Problems of flags and environment, a line each. */
  readonly #lines: string[] = [];

  constructor(given: Given, file: Source | undefined, inFile: Partial<Values>) {
    this.#given = given;
    this.#file = file;
    this.#inFile = inFile;
    this.#problems = [...file?.problems ?? []];
  }

  /** Reports a problem with the value of a key. */
  say(key: Key, message: string, path: Path = key.split("."), first?: Path, which?: "key"): void {
    const name = this.#given.names[key];
    if (this.#given.values[key] === undefined && this.#file) this.#problems.push({ path, message, first, which });
    else this.#lines.push(name?.startsWith("PONGD_") ? `${name}: ${message}` : message);
  }

  /** Returns the path of an entry's text. */
  pathOf(key: "prefixes" | "except", index: number): Path {
    const entry = this.#inFile[key]?.[index];
    return typeof entry === "object" ? [key, index, "prefix"] : [key, index];
  }

  /**
   * Reports a problem of one entry. `index` counts through the prefixes and then the exceptions; `first` is the index
   * of the entry that it repeats.
   */
  sayOf(prefixes: number, index: number, message: string, first?: number): void {
    const place = (at: number) => at < prefixes ? ["prefixes", at] as const : ["except", at - prefixes] as const;
    const [key, at] = place(index);
    const [firstKey, firstAt] = place(first ?? index);
    const both = first !== undefined && this.isOfFile(key) && this.isOfFile(firstKey);
    this.say(key, message, this.pathOf(key, at), both ? this.pathOf(firstKey, firstAt) : undefined);
  }

  /** Returns the flag, variable or key by which a value was given, for the advice to leave it out. */
  called(key: Key): string {
    return this.#given.names[key] ?? key;
  }

  /** Chooses the advice: `line` if the file gave the key, or `flag` otherwise. */
  as(key: Key, flag: string, line: string): string {
    return this.#given.names[key] === undefined && this.#file ? line : flag;
  }

  isDefault(key: Key): boolean {
    return this.#given.values[key] === undefined && this.#inFile[key] === undefined;
  }

  isOfFile(key: Key): boolean {
    return this.#given.values[key] === undefined && this.#inFile[key] !== undefined;
  }

  /** @throws Failure with a line for each problem, if there is one */
  end(): void {
    if (this.#problems.length === 0 && this.#lines.length === 0) return;
    const lines = [...this.#file?.linesOf(this.#problems) ?? [], ...this.#lines];
    throw new Failure(lines, this.#problems.length > 0 ? EXIT.CONFIG : EXIT.USAGE);
  }
}
