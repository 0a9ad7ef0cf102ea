/** Turns what a schema says about a value into problems, each with its path and with advice. */
import { z } from "zod";
import { excerpt, SHOWN_CHARACTERS } from "../base/printable.js";
import { SPACE_ADVICE } from "./advice.js";
import { nameOf, withoutSecret, type Path } from "./path.js";
import type { JsonSchema } from "./schema.js";

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
  /** Most bytes of a file, if it is less than what a configuration may have. */
  readonly maxBytes?: number;
  /** The message about an empty file; undefined if an empty file is allowed, and is one without keys. */
  readonly empty: string | undefined;
  /** True for a path whose value is never shown. Its key is cut off where a value may begin. */
  readonly secret: (path: Path) => boolean;
  /** Returns the part that can still be looked at of a value that the schema refuses. */
  readonly salvage: (value: unknown) => T;
}

type Scheme = Pick<Format<unknown>, "schema" | "empty" | "secret">;

type Issue = z.core.$ZodIssue;

type Found = Problem & { readonly missing?: boolean };

/**
 * Turns the issues of a format's schema with a value into problems. `written` returns a scalar as it is written in the
 * file.
 */
export function judge(
  format: Scheme, value: unknown, issues: readonly Issue[], written: (path: Path) => string | undefined,
): Problem[] {
  return new Judge(format, value, written).judge(issues);
}

class Judge {
  readonly #format: Scheme;
  readonly #value: unknown;
  readonly #written: (path: Path) => string | undefined;
  #keys: JsonSchema | undefined;

  constructor(format: Scheme, value: unknown, written: (path: Path) => string | undefined) {
    this.#format = format;
    this.#value = value;
    this.#written = written;
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
      : typeof value === "number" ? this.#written(path) ?? String(value) : show(value);
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
      ({ properties, additionalProperties: any, items }) =>
        (typeof step === "number" ? items : properties?.[step] ?? (typeof any === "object" ? any : undefined)) ?? [],
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
    if (path.length > 0 && top.includes(key)) return `${said}; did you mean the one at the top of the file?`;
    const within = allowed.find((map) => this.#keysAt([...path, map]).includes(key));
    if (within !== undefined) return `${said}; did you mean the one in ${within}?`;
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
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : `a list of ${value.length}`;
  if (typeof value === "object") return "a map";
  return excerpt(typeof value === "string" ? `"${value}"` : JSON.stringify(value));
}

/** Returns the value at a path within a value, or undefined. */
export function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string | number, unknown>)[step];
  }
  return at;
}
