/**
 * Reads a configuration file's text as YAML and keeps the place of everything in it. Since this is slow, reader.ts asks
 * it only about a text that the fast parser or the schema rejects. What it says about such a text is final.
 */
import { isAlias, isMap, isScalar, isSeq, parseDocument, visit, type Node, type Pair, type YAMLMap } from "yaml";
import { messageOf } from "../base/failure.js";
import { explain } from "./advice.js";
import { withoutSecret, type Path } from "./path.js";

/** A line and a column, from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface Fault {
  readonly message: string;
  readonly place: Place;
  /** Place of the first key, if this one repeats it. */
  readonly first?: Place;
}

/**
 * Most values that the aliases of one anchor may stand for: enough for what people write, too few to fill the memory.
 */
const MAX_ALIASES = 100;

export class Places {
  /** Errors in the text as YAML. */
  readonly faults: readonly Fault[];
  /** Value of the document, if there are no faults. */
  readonly value: unknown;
  /** Offset at which each line begins. The library does not count lines in text that it cannot parse. */
  readonly #lines: readonly number[];
  readonly #root: Node | null;
  /** Pairs by key, kept since a map may have very many. */
  readonly #maps = new WeakMap<YAMLMap, ReadonlyMap<unknown, Pair>>();

  constructor(text: string) {
    this.#lines = [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)];
    // The schema is fixed here so that a directive in the text cannot change what its scalars mean.
    const document = parseDocument(
      text, { prettyErrors: false, schema: "core", merge: false, stringKeys: true, uniqueKeys: false },
    );
    this.#root = document.contents;
    const found = new Map<number, Fault>();
    for (const { code, message, pos: [offset] } of [...document.errors, ...document.warnings]) {
      // If several errors are at one place, the first says most.
      if (found.has(offset)) continue;
      const place = this.#at(offset);
      const line = text.slice(this.#lines[place.line - 1], this.#lines.at(place.line));
      found.set(offset, { message: code === "MULTIPLE_DOCS"
        ? "a second document begins here; expected one alone"
        : explain(withoutText(message), line, place.column), place });
    }
    const faults = found.size > 0 ? [...found.values()] : this.#repeatedKeys();
    this.faults = faults;
    if (faults.length > 0) return;
    try {
      this.value = document.toJS({ maxAliasCount: MAX_ALIASES });
    } catch (error) {
      if (!(error instanceof ReferenceError)) throw error;
      this.faults = [{ message: error.message.startsWith("Excessive")
        ? `aliases stand for more than ${MAX_ALIASES} values`
        : withoutText(messageOf(error)), place: this.#firstAlias() }];
    }
  }

  /**
   * Returns where the value at a path begins, or its key. If there is no such value, returns the place of what would
   * contain it.
   */
  of(path: Path, which: "value" | "key" = "value"): Place {
    return this.#at(this.#find(path, which)?.range?.[0] ?? 0);
  }

  /** Returns a scalar as it is written in the text: a number's value is only the nearest one that JavaScript has. */
  written(path: Path): string | undefined {
    const node = this.#find(path, "value");
    return isScalar(node) ? node.source : undefined;
  }

  #find(path: Path, which: "value" | "key"): Node | null {
    let node: Node | null = this.#root;
    let found = node;
    for (const [i, step] of path.entries()) {
      if (isMap(node)) {
        const pair = this.#pairs(node).get(step);
        if (!pair) break;
        node = pair.value as Node | null;
        // A missing value has no place of its own, so its key stands in.
        found = (which === "key" && i === path.length - 1) || !node?.range || node.range[0] === node.range[1]
          ? pair.key as Node
          : node;
      } else if (isSeq(node) && typeof step === "number") {
        node = node.items.at(step) as Node | null;
        found = node ?? found;
      } else {
        break;
      }
    }
    return found;
  }

  #pairs(map: YAMLMap): ReadonlyMap<unknown, Pair> {
    let pairs = this.#maps.get(map);
    if (!pairs) this.#maps.set(
      map, pairs = new Map(map.items.map((pair) => [isScalar(pair.key) ? pair.key.value : undefined, pair])),
    );
    return pairs;
  }

  #at(offset: number): Place {
    let line = 0;
    for (let after = this.#lines.length; line + 1 < after;) {
      const middle = line + after >> 1;
      if (this.#lines[middle] <= offset) line = middle;
      else after = middle;
    }
    return { line: line + 1, column: offset - this.#lines[line] + 1 };
  }

  /** Finds repeated keys with a set per map: the library would compare each key with all others. */
  #repeatedKeys(): Fault[] {
    const faults: Fault[] = [];
    visit(this.#root, {
      Map: (_, { items }) => {
        const seen = new Map<unknown, number>();
        for (const { key } of items) {
          if (!isScalar(key) || !key.range) continue;
          const first = seen.get(key.value);
          if (first === undefined) seen.set(key.value, key.range[0]);
          else faults.push({
            message: `key ${JSON.stringify(withoutSecret(String(key.value)))} is given twice`,
            place: this.#at(key.range[0]), first: this.#at(first),
          });
        }
      },
    });
    return faults;
  }

  #firstAlias(): Place {
    let offset = 0;
    visit(this.#root, {
      Node: (_, node) => {
        if (!isAlias(node)) return undefined;
        offset = node.range?.[0] ?? 0;
        return visit.BREAK;
      },
    });
    return this.#at(offset);
  }
}

/** Strips the quoted text from one of the library's messages: there may be a password in it. */
function withoutText(message: string): string {
  return message
    .replace(/\.?\n.*$/s, "")
    .replace(/(token in YAML \w+|extra characters|Not a YAML token|tag|alias\)): .*$/s, "$1")
    .replace(/^(Unknown directive|Unsupported YAML version) .*$/s, "$1")
    .replace(/^The .* tag has/s, "The tag has");
}
