/**
 * Reads a configuration file, from its bytes to a document that its schema allows.
 *
 *  1. Read the bytes: at most MAX_BYTES, in UTF-8, with line ends of any kind.
 *  2. js-yaml and the schema read the text. This is fast, and all that a correct file needs.
 *  3. If one of them objects, yaml reads the same text with places (places.ts), and reports what is wrong and where.
 *
 * Two readers could disagree. A test shows that they do not. For a text that only one of them reads, yaml decides.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { CORE_SCHEMA, defineMappingTag, load, mapTag, YAMLException } from "js-yaml";
import { z } from "zod";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { LOG_FORMATS } from "../base/log.js";
import { SPACE_ADVICE } from "./advice.js";
import { MAX_DEPTH, tooDeep } from "./nesting.js";
import { nameOf, withoutSecret, type Path } from "./path.js";
import type { Place, Places } from "./places.js";
import type { Document } from "./document.js";
import { schema, type JsonSchema } from "./schema.js";

/** Largest file that is read. 100,000 prefixes with a comment each take a quarter of it. */
const MAX_BYTES = 64 << 20;
/** Most errors of one file that are reported. */
const SHOWN = 20;
/** Most characters of a value that a message shows. */
const SHOWN_CHARACTERS = 40;

const require = createRequire(import.meta.url);

/**
 * YAML's core schema, but keys must be text: js-yaml would turn the key 0123 into 123. The other reader takes keys as
 * they are written.
 */
const TEXT_KEYS = CORE_SCHEMA.withTags(defineMappingTag(
  mapTag.tagName,
  { ...mapTag, addPair: (map, key, value) => typeof key === "string" ? mapTag.addPair(map, key, value) : "no text" },
));

/**
 * Matches where a node's properties, its tag and its anchor, may begin. To js-yaml, !!map with nothing behind it is an
 * empty map, and &a: is an anchor with a colon, so only the other reader reads such a text.
 */
export const PROPERTY = /(?:^|[\s,:[{])[!&]/;

/** A problem, and the path of the key that has it. `first` is the path of the key that it repeats. */
export interface Problem {
  readonly path: Path;
  readonly which?: "value" | "key";
  readonly message: string;
  readonly first?: Path;
}

/** The format of one kind of file. */
export interface Format<T> {
  readonly schema: z.ZodType<T>;
  /** The message about an empty file; undefined if an empty file is allowed, and is one without keys. */
  readonly empty: string | undefined;
  /** True for a path whose value is never shown. Its key is cut off where a value may begin. */
  readonly secret: (path: Path) => boolean;
  /** Returns the part that can still be looked at of a value that the schema refuses. */
  readonly salvage: (value: unknown) => T;
}

export class YamlFile<T> {
  /** The content; if there are problems, the part that can still be looked at. */
  readonly document: T;
  /** Problems that the schema found. */
  readonly problems: readonly Problem[];
  readonly #text: string;
  #places: Places | undefined;

  /**
   * Reads a file. `name` is its name in messages; `path` is its path, or its descriptor if it is open.
   * @throws Failure (configuration) if the file cannot be read, or is no YAML
   */
  constructor(readonly name: string, format: Format<T>, path: string | number = name) {
    this.#text = decode(name, readBytes(name, path));
    const deep = tooDeep(this.#text);
    if (deep) throw new Failure(`${name}:${deep.line}:${deep.column}: nested more than ${MAX_DEPTH} deep`, EXIT.CONFIG);
    let value: unknown;
    try {
      value = PROPERTY.test(this.#text) ? this.#readSlowly() : readQuickly(this.#text);
    } catch (error) {
      if (!(error instanceof YAMLException)) throw error;
      value = this.#readSlowly(error);
    }
    const parse = () => format.schema.safeParse(format.empty === undefined ? value ?? {} : value);
    let { success, data, error } = parse();
    if (!success && !this.#places) {
      value = this.#readSlowly();
      ({ success, data, error } = parse());
    }
    this.problems = success ? [] : new Judge(format, value, this.#places).judge(error?.issues ?? []);
    this.document = data ?? format.salvage(value);
  }

  /** @throws Failure (configuration) with the problems and their places, if there are any */
  check(problems: readonly Problem[] = this.problems): void {
    const lines = this.linesOf(problems);
    if (lines.length > 0) throw new Failure(lines, EXIT.CONFIG);
  }

  /** Returns a line for each problem, in the order of the file; only the first ones if there are very many. */
  linesOf(problems: readonly Problem[]): string[] {
    if (problems.length === 0) return [];
    const places = this.#slowly();
    return this.#lines(problems.map(({ path, which, message, first }) => ({
      message, place: places.of(path, which), first: first && places.of(first),
    })));
  }

  #lines(faults: readonly { message: string; place: Place; first?: Place | undefined }[]): string[] {
    const lines = [...faults]
      .sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column)
      .map(({ message, place, first }) => `${this.name}:${place.line}:${place.column}: `
        + `${message}${first ? `; first at ${first.line}:${first.column}` : ""}`);
    return lines.length > SHOWN ? [...lines.slice(0, SHOWN), `${this.name}: and ${lines.length - SHOWN} more`] : lines;
  }

  #slowly(cause?: YAMLException): Places {
    if (this.#places) return this.#places;
    const { Places } = require("./places.js") as typeof import("./places.js");
    try {
      return this.#places = new Places(this.#text);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const { line = 0, column = 0 } = cause?.mark ?? {};
      throw new Failure(`${this.name}:${line + 1}:${column + 1}: nested too deeply`, EXIT.CONFIG, { cause: error });
    }
  }

  /** @throws Failure (configuration) if the text is no YAML */
  #readSlowly(cause?: YAMLException): unknown {
    const { faults, value } = this.#slowly(cause);
    if (faults.length > 0) throw new Failure(this.#lines(faults), EXIT.CONFIG);
    return value;
  }
}

/**
 * Returns the value of a text as js-yaml reads it.
 * @throws YAMLException for a text that js-yaml does not read; the other reader knows more about it
 */
export function readQuickly(text: string): unknown {
  // Aliases may stand for other aliases, and so for very many values. The other reader limits their number.
  return load(text, { schema: TEXT_KEYS, maxAliases: 0 });
}

/**
 * Returns a full path, which stays valid in any directory, and when the working directory is gone.
 * @throws Failure (configuration) if the working directory is gone already
 */
export function absolute(name: string): string {
  try {
    return resolve(name);
  } catch (error) {
    throw new Failure(
      `${name}: the working directory, which it lies in, is gone`,
      EXIT.CONFIG,
      { mend: "give the file's full path", cause: error },
    );
  }
}

/**
 * Refuses a pipe and the like. A reload, or the process image without privileges, would read it again and wait in vain.
 * @throws Failure (configuration)
 */
export function checkRegular(name: string, path = name): void {
  const stat = attempt(name, () => statSync(path, { throwIfNoEntry: false }));
  if (stat?.isFile() === false) {
    throw new Failure(`${name}: not a regular file, and so not to be read a second time; write it to one`, EXIT.CONFIG);
  }
  if (stat && stat.size > MAX_BYTES) throw tooLarge(name);
}

function attempt<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Failure(`${name}: cannot be read: ${messageOf(error)}`, EXIT.CONFIG, { cause: error });
  }
}

function tooLarge(name: string): Failure {
  return new Failure(`${name}: larger than ${MAX_BYTES >> 20} MiB, which no configuration is`, EXIT.CONFIG);
}

function readBytes(name: string, path: string | number): Buffer {
  const chunks: Buffer[] = [];
  let total = 0;
  attempt(name, () => {
    const fd = typeof path === "number" ? path : openSync(path, "r");
    try {
      for (let read = -1; read !== 0 && total <= MAX_BYTES; total += read) {
        const chunk = Buffer.allocUnsafe(1 << 18);
        read = readSync(fd, chunk);
        chunks.push(chunk.subarray(0, read));
      }
    } finally {
      if (typeof path === "string") closeSync(fd);
    }
  });
  if (total > MAX_BYTES) throw tooLarge(name);
  return Buffer.concat(chunks);
}

function decode(name: string, bytes: Buffer): string {
  try {
    return withLineFeeds(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    const before = withLineFeeds(new TextDecoder().decode(bytes).replace(/\ufffd.*/s, "")).split("\n");
    throw new Failure(`${name}:${before.length}:${before[before.length - 1].length + 1}: not UTF-8; expected a text `
      + "file in that encoding", EXIT.CONFIG, { cause: error });
  }
}

/**
 * Makes every line end a line feed. YAML counts a lone carriage return as one (1.2.2 §5.4); the package yaml does not.
 */
export function withLineFeeds(text: string): string {
  return text.replace(/\r\n?/g, "\n");
}

type Issue = z.core.$ZodIssue;

type Found = Problem & { readonly missing?: boolean };

/** Turns the issues of a schema with a value into problems. */
class Judge {
  readonly #format: Pick<Format<unknown>, "schema" | "empty" | "secret">;
  readonly #value: unknown;
  readonly #places: Places | undefined;
  #keys: JsonSchema | undefined;

  constructor(
    format: Pick<Format<unknown>, "schema" | "empty" | "secret">, value: unknown, places: Places | undefined,
  ) {
    this.#format = format;
    this.#value = value;
    this.#places = places;
  }

  judge(issues: readonly Issue[]): Problem[] {
    if (this.#format.empty !== undefined && (this.#value === null || this.#value === undefined)) {
      return [{ path: [], message: this.#format.empty }];
    }
    // The schema refuses a number beyond 2^53 twice, both times as out of range.
    const problems = [...new Map(issues.flatMap((issue) => this.#problemsOf(issue))
      .map((problem) => [JSON.stringify([problem.path, problem.message]), problem])).values()];
    // If a key of a map is misspelt, no other is reported as missing.
    const unknown = new Set(
      problems.filter(({ which }) => which === "key").map(({ path }) => JSON.stringify(path.slice(0, -1))),
    );
    return problems.filter(({ missing, path }) => !missing || !unknown.has(JSON.stringify(path)));
  }

  #problemsOf(issue: Issue): Found[] {
    const path = issue.path as Path;
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ path: [...path, key], which: "key", message: this.#unknownKey(path, key) }));
    }
    if (issue.code === "invalid_union") {
      // If a map or a list was expected and is there, the problems within it are reported.
      const within = issue.errors.find(
        (branch) => branch.every(({ code, path }) => path.length > 0 || code === "unrecognized_keys"),
      );
      if (within && within.length > 0) {
        return within.flatMap((inner) => this.#problemsOf({ ...inner, path: [...issue.path, ...inner.path] }));
      }
    }
    const value = valueAt(this.#value, path);
    if (value === undefined) return [{
      path: path.slice(0, -1), missing: true, message: `${this.#nameOf(path)} is missing; expected ${issue.message}`,
    }];
    if (typeof value === "string" && this.#lacksSpace(path, value)) {
      return [{ path, message: `${this.#nameOf(path)} is text; ${SPACE_ADVICE}` }];
    }
    const shown = this.#format.secret(path)
      ? "something else"
      : typeof value === "number" ? this.#places?.written(path) ?? String(value) : show(value);
    return [{ path, message: `${this.#nameOf(path)} is ${shown}; expected ${issue.message}` }];
  }

  /** Returns true if a text or a key begins with an allowed key and a colon. YAML wants a space behind the colon. */
  #lacksSpace(path: Path, text: string): boolean {
    const [, key] = (/^([\w-]+):/.exec(text) ?? []) as (string | undefined)[];
    return key !== undefined && this.#keysAt(path).includes(key);
  }

  #nameOf(path: Path): string {
    return nameOf(path.map((_, i) => this.#keyOf(path.slice(0, i + 1))));
  }

  /** Returns the path's last step in a form that may be shown. */
  #keyOf(path: Path): string | number {
    const [key] = path.slice(-1);
    return typeof key === "string" && this.#format.secret(path) ? withoutSecret(key) : key;
  }

  /** Returns the keys that the schema allows at a path. */
  #keysAt(path: Path): string[] {
    let nodes: JsonSchema[] = [this.#keys ??= z.toJSONSchema(this.#format.schema, { io: "input" }) as JsonSchema];
    const maps = (all: readonly JsonSchema[]) => all.flatMap((node) => [node, ...node.anyOf ?? []]);
    for (const step of path) nodes = maps(nodes).flatMap(
      ({ properties, items }) => (typeof step === "number" ? items : properties?.[step]) ?? [],
    );
    return maps(nodes).flatMap(({ properties }) => Object.keys(properties ?? {}));
  }

  #unknownKey(path: Path, key: string): string {
    const said = `unknown key ${show(this.#keyOf([...path, key]))}${path.length > 0
      ? ` in ${this.#nameOf(path)}`
      : ""}`;
    if (this.#lacksSpace(path, key)) return `${said}; ${SPACE_ADVICE}`;
    const allowed = this.#keysAt(path);
    const meant = nearest(key, allowed);
    if (meant !== undefined) return `${said}; did you mean ${meant}?`;
    if (/^[0-9A-Fa-f:]+:?$/.test(key) && path[0] === "prefixes") {
      return `${said}; expected a prefix in quotes, since it ends with a colon`;
    }
    const top = this.#keysAt([]);
    const elsewhere = path.length > 0
      ? top.includes(key) && "at the top of the file"
      : top.find((map) => this.#keysAt([map]).includes(key));
    if (elsewhere) return `${said}; did you mean the one ${path.length > 0 ? elsewhere : `in ${elsewhere}`}?`;
    return `${said}; expected ${allowed.join(", ")}`;
  }
}

/** Returns the candidate with the fewest typing errors, if they are few. */
function nearest(text: string, candidates: readonly string[]): string | undefined {
  const written = text.toLowerCase().replaceAll("-", "_").slice(0, SHOWN_CHARACTERS);
  const distances = candidates.map((candidate) => [distance(written, candidate), candidate] as const)
    .sort(([a], [b]) => a - b);
  const [best] = distances;
  return best[0] <= Math.max(1, Math.floor(best[1].length / 3)) ? best[1] : undefined;
}

/**
 * Counts the letters to add, remove, replace, or swap with a neighbour, that turn one text into the other (optimal
 * string alignment).
 */
function distance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j], rows[i - 2][j - 2] + 1);
      }
    }
    rows.push(row);
  }
  return rows[a.length][b.length];
}

function show(value: unknown): string {
  if (value === null) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  const text = typeof value === "string" ? `"${value}"` : JSON.stringify(value);
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS).replace(/[\ud800-\udbff]$/, "")}…` : text;
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string | number, unknown>)[step];
  }
  return at;
}

/**
 * Keeps the texts of prefixes and exceptions, "" where an entry has none, and the log's format, to report problems in.
 */
function salvage(value: unknown): Document {
  const list = (name: string) => {
    const entries = valueAt(value, [name]);
    return Array.isArray(entries)
      ? entries.map(
          (entry: unknown) => [entry, valueAt(entry, ["prefix"])].find((text) => typeof text === "string") ?? "",
        )
      : [];
  };
  const format = LOG_FORMATS.find((name) => name === valueAt(value, ["log", "format"]));
  return { prefixes: list("prefixes"), except: list("except"), log: { format } };
}

/** pongd's own configuration file. */
export class ConfigFile extends YamlFile<Document> {
  /** @throws Failure (configuration) if the file cannot be read, or is no YAML */
  constructor(name: string, path?: string | number) {
    super(
      name, { schema, empty: "the file is empty; expected keys like prefixes", secret: () => false, salvage }, path,
    );
  }
}
