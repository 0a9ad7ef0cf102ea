/**
 * Reads a configuration file, from its bytes to a document that its schema allows:
 *
 *  1. bytes.ts reads at most MAX_BYTES, in UTF-8, with line ends of any kind.
 *  2. yaml.ts makes a value of the text, or says what is wrong and where.
 *  3. The schema checks the value, and judge.ts makes messages of what it objects to.
 */
import { dirname } from "node:path";
import type { z } from "zod";
import { EXIT, Failure } from "../base/failure.js";
import { decode, readRegular } from "./bytes.js";
import { isMap, type Document } from "./document.js";
import { judge, type Format, type Problem } from "./judge.js";
import { MAX_DEPTH, tooDeep } from "./nesting.js";
import { salvage } from "./salvage.js";
import { schema } from "./schema.js";
import { Yaml, type Fault } from "./yaml.js";

/** Most errors of one file that are reported. */
const SHOWN = 20;
/** Items of a list that the schema gets at a time. */
const CHECKED = 1000;

type Issue = z.core.$ZodIssue;

export class YamlFile<T> {
  /** The content; if there are problems, the part that can still be looked at. */
  readonly document: T;
  /** Problems that the schema found. */
  readonly problems: readonly Problem[];
  /** The folder that the file lies in, in which it names other files. */
  readonly folder: string;
  readonly #yaml: Yaml;

  /**
   * Reads a file. `name` is its name in messages; `file` is its path, or what is in it.
   * @throws Failure (configuration) if the file cannot be read, or is no YAML
   */
  constructor(readonly name: string, format: Format<T>, file: string | Uint8Array = name) {
    this.folder = dirname(typeof file === "string" ? file : name);
    const text = decode(name, typeof file === "string" ? readRegular(name, file, format.maxBytes) : file);
    const deep = tooDeep(text);
    if (deep) throw new Failure(`${name}:${deep.line}:${deep.column}: nested more than ${MAX_DEPTH} deep`, EXIT.CONFIG);
    const yaml = this.#yaml = new Yaml(text);
    if (yaml.faults.length > 0) throw new Failure(this.#lines(yaml.faults), EXIT.CONFIG);
    const value = yaml.take();
    const { issues, data } = checked(format.schema, format.empty === undefined ? value ?? {} : value);
    this.problems = issues.length > 0 ? judge(format, value, issues, (path) => yaml.written(path)) : [];
    this.document = data ?? format.salvage(value);
  }

  /** @throws Failure (configuration) with the problems and their places, if there are any */
  check(problems: readonly Problem[] = this.problems): void {
    const lines = this.linesOf(problems);
    if (lines.length > 0) throw new Failure(lines, EXIT.CONFIG);
  }

  /** Returns a line for each problem, in the order of the file; only the first ones if there are very many. */
  linesOf(problems: readonly Problem[]): string[] {
    const yaml = this.#yaml;
    // Very many things may be wrong. Exact places are needed for those alone that are shown.
    const rough = problems.map((problem) => ({ problem, offset: yaml.roughly(problem.path, problem.which) }))
      .sort((a, b) => a.offset - b.offset);
    const last = rough.at(SHOWN)?.offset ?? Infinity;
    const near = rough.filter(({ offset }) => offset <= last);
    return this.#lines(near.map(({ problem: { path, which, message, first } }) => ({
      message, offset: yaml.of(path, which), ...first && { first: yaml.of(first) },
    })), problems.length);
  }

  /** Returns lines for the first of `count` faults. */
  #lines(faults: readonly Fault[], count = faults.length): string[] {
    const lines = [...faults].sort((a, b) => a.offset - b.offset).slice(0, SHOWN).map(({ message, offset, first }) => {
      const { line, column } = this.#yaml.placeOf(offset);
      const at = first === undefined ? undefined : this.#yaml.placeOf(first);
      return `${this.name}:${line}:${column}: ${message}${at ? `; first at ${at.line}:${at.column}` : ""}`;
    });
    return count > SHOWN ? [...lines, `${this.name}: and ${count - SHOWN} more`] : lines;
  }
}

/**
 * Checks a value by a schema, which copies all that it checks. So of a long list at the top, it gets some items at a
 * time, and the list itself stays. Returns the value, or what is wrong with it.
 */
function checked<T>(schema: z.ZodType<T>, value: unknown): { issues: readonly Issue[]; data?: T | undefined } {
  const lists = isMap(value) && !Array.isArray(value)
    ? Object.entries(value).filter((entry): entry is [string, unknown[]] => Array.isArray(entry[1]))
        .filter(([, list]) => list.length > CHECKED)
    : [];
  const parts = lists.flatMap(([key, list]) =>
    Array.from({ length: Math.ceil(list.length / CHECKED) - 1 }, (_, i) => ({ key, list, from: CHECKED * (i + 1) })));
  const firsts = lists.map(([key, list]) => [key, list.slice(0, CHECKED)] as const);
  const { data, error } = schema.safeParse(
    lists.length > 0 ? { ...value as Document, ...Object.fromEntries(firsts) } : value,
  );
  const issues = [...error?.issues ?? [], ...parts.flatMap(({ key, list, from }) => {
    const { error } = schema.safeParse({ [key]: list.slice(from, from + CHECKED) });
    return (error?.issues ?? []).map((issue) => ({ ...issue, path: moved(issue.path, from) }));
  })];
  if (issues.length > 0) return { issues };
  return { issues, data: lists.length > 0 ? { ...data, ...Object.fromEntries(lists) } as T : data };
}

/** Returns the path of an item whose list began with item `from` of another. */
function moved(path: readonly PropertyKey[], from: number): PropertyKey[] {
  return path.map((step, i) => i === 1 && typeof step === "number" ? step + from : step);
}

/** pongd's own configuration file. */
export class ConfigFile extends YamlFile<Document> {
  /** @throws Failure (configuration) if the file cannot be read, or is no YAML */
  constructor(name: string, file?: string | Uint8Array) {
    super(
      name, { schema, empty: "the file is empty; expected keys like prefixes", secret: () => false, salvage }, file,
    );
  }
}
