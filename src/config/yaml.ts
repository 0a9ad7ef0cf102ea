/** Reads a text as YAML: its value, what is wrong with it, and where everything in it is. */
import {
  isAlias, isMap, isScalar, isSeq, visit, type Document, type Node, type Pair, type Scalar, type YAMLMap, type YAMLSeq,
} from "yaml";
import { messageOf } from "../base/failure.js";
import { explain } from "./advice.js";
import { withoutSecret, type Path } from "./path.js";
import { compose, type Part, type Stripped } from "./pieces.js";

/** A line and a column, from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A problem, and the offset in the text where it is. */
export interface Fault {
  readonly message: string;
  readonly offset: number;
  /** Offset of the first key, if this one repeats it. */
  readonly first?: number;
}

/** Characters of a text that is read as a whole if something is wrong in it: that takes little memory. */
const WHOLE = 1 << 18;
/** Most lists and maps that values share, and most items of one. */
const SHARED = 100;
const SHARED_LEN = 8;

/** A node, and what its offsets lack to be offsets in the text. */
interface Found {
  readonly node: Node | null;
  readonly shift: number;
}

/**
 * Most values that the aliases of one anchor may stand for: enough for what people write, too few to fill the memory.
 */
const MAX_ALIASES = 100;

export class Yaml {
  /** Errors in the text as YAML. */
  readonly faults: readonly Fault[];
  #value: unknown;
  readonly #text: string;
  readonly #root: Node | null;
  /** The lists of which items were taken out, by the offset at which they begin. */
  readonly #stripped = new Map<number, Stripped>();
  /** The last item that was taken out and then asked for, and the offset at which its text begins. */
  #last: Found & { readonly start: number } | undefined;
  /** Pairs by key, kept since a map may have very many. */
  readonly #maps = new WeakMap<YAMLMap, ReadonlyMap<unknown, Pair>>();

  /** `piece`: how many items of a list are composed at a time. */
  constructor(text: string, piece?: number) {
    this.#text = text;
    const faults = new Map<number, Fault>();
    const repeated: Fault[] = [];
    const values = new Map<number, unknown[]>();
    const shared = new Shared();
    const documents = compose(text, (list, part) => {
      this.#stripped.set(list.offset, list);
      this.#look(part, faults, repeated);
      const own = values.get(list.offset) ?? [];
      values.set(list.offset, own);
      if (part.errors.length === 0) for (const value of part.toJS() as unknown[]) own.push(shared.compact(value));
    }, piece);
    const document = documents.next().value as Document.Parsed;
    const second = documents.next().value as Document.Parsed | undefined;
    this.#root = document.contents;
    this.#look(document, faults, repeated);
    if (second) {
      const [offset] = second.range;
      if (!faults.has(offset)) {
        faults.set(offset, { message: "a second document begins here; expected one alone", offset });
      }
    }
    const found = faults.size > 0 ? [...faults.values()] : repeated;
    // A text that is no YAML may show more errors in pieces than it has as a whole.
    const again = found.length > 0 && this.#stripped.size > 0 && text.length <= WHOLE;
    this.faults = again ? new Yaml(text, Infinity).faults : found;
    if (this.faults.length > 0) return;
    try {
      this.#value = document.toJS({ maxAliasCount: MAX_ALIASES });
      this.#fill(this.#value, values);
    } catch (error) {
      if (!(error instanceof ReferenceError)) throw error;
      this.faults = [{ message: error.message.startsWith("Excessive")
        ? `aliases stand for more than ${MAX_ALIASES} values`
        : withoutText(messageOf(error)), offset: this.#firstAlias() }];
    }
  }

  /** Returns the value of the document, if there are no faults, and forgets it. */
  take(): unknown {
    const value = this.#value;
    this.#value = undefined;
    return value;
  }

  /**
   * Returns the offset at which the value at a path begins, or its key. If there is no such value, returns that of what
   * would contain it.
   */
  of(path: Path, which: "value" | "key" = "value"): number {
    const { node, shift } = this.#find(path, which);
    return (node?.range?.[0] ?? 0) + shift;
  }

  /**
   * Returns an offset of about the same order as of(), and faster: that of the item, if the path leads to one that was
   * taken out.
   */
  roughly(path: Path, which?: "value" | "key"): number {
    const [key, index] = path;
    const { node } = typeof index === "number" ? this.#find([key], "value") : { node: null };
    const list = this.#stripped.get(node?.range?.[0] ?? -1);
    const { taken } = list?.locate(Number(index)) ?? {};
    return list && taken !== undefined ? list.starts[taken] : this.of(path, which);
  }

  /** Returns a scalar as it is written in the text: a number's value is only the nearest one that JavaScript has. */
  written(path: Path): string | undefined {
    const { node } = this.#find(path, "value");
    return isScalar(node) ? node.source : undefined;
  }

  /** Returns the line and the column of an offset. */
  placeOf(offset: number): Place {
    let line = 1;
    for (let end = this.#text.indexOf("\n"); end >= 0 && end < offset; end = this.#text.indexOf("\n", end + 1)) line++;
    return { line, column: offset - lineStart(this.#text, offset) + 1 };
  }

  #find(path: Path, which: "value" | "key"): Found {
    let found: Found = { node: this.#root, shift: 0 };
    let at = found;
    for (const [i, step] of path.entries()) {
      if (isMap(at.node)) {
        const pair = this.#pairs(at.node).get(step);
        if (!pair) break;
        at = { ...at, node: pair.value as Node | null };
        // A missing value has no place of its own, so its key stands in.
        found = (which === "key" && i === path.length - 1) || !at.node?.range || at.node.range[0] === at.node.range[1]
          ? { ...at, node: pair.key as Node }
          : at;
      } else if (isSeq(at.node) && typeof step === "number") {
        at = this.#item(at, step);
        found = at.node ? at : found;
      } else {
        break;
      }
    }
    return found;
  }

  /** Returns an item of a list, which may have been taken out. */
  #item({ node, shift }: Found, index: number): Found {
    const { items, range } = node as YAMLSeq<Node>;
    const list = shift === 0 && range ? this.#stripped.get(range[0]) : undefined;
    const { taken, left = index } = list?.locate(index) ?? {};
    return list && taken !== undefined ? this.#taken(list, taken) : { node: items.at(left) ?? null, shift };
  }

  /** Returns an item that was taken out. Its text is read again, since its nodes would need much memory. */
  #taken(list: Stripped, index: number): Found {
    const start = list.starts[index];
    if (this.#last?.start !== start) {
      const { text, offset } = list.textOf(index, this.#text);
      const contents = compose(text, () => undefined, Infinity).next().value?.contents;
      this.#last = { start, node: isSeq(contents) ? contents.items.at(0) as Node : null, shift: offset };
    }
    return this.#last;
  }

  #pairs(map: YAMLMap): ReadonlyMap<unknown, Pair> {
    let pairs = this.#maps.get(map);
    if (!pairs) this.#maps.set(
      map, pairs = new Map(map.items.map((pair) => [isScalar(pair.key) ? pair.key.value : undefined, pair])),
    );
    return pairs;
  }

  /** Puts the values of items that were taken out back into the lists that they are of. */
  #fill(value: unknown, taken: ReadonlyMap<number, readonly unknown[]>): void {
    if (!isMap(this.#root)) return;
    for (const { key, value: list } of (this.#root as YAMLMap<Scalar<string>, Node | null>).items) {
      const offset = list?.range?.[0] ?? -1;
      const stripped = this.#stripped.get(offset);
      if (!stripped) continue;
      const all = (value as Record<string, unknown[]>)[key.value];
      const own = taken.get(offset) ?? [];
      let next = 0;
      for (const [i, left] of all.splice(0).entries()) {
        if (!stripped.stubs[i]) all.push(left);
        else for (const end = next + stripped.stubs[i]; next < end; next++) all.push(own[next]);
      }
    }
  }

  /** Notes the library's errors, and the keys that a map repeats or cannot have. */
  #look({ contents, errors, warnings }: Document.Parsed | Part, faults: Map<number, Fault>, repeated: Fault[]): void {
    for (const { message, pos: [offset] } of [...errors, ...warnings]) {
      // If several errors are at one place, the first says most.
      if (faults.has(offset)) continue;
      const start = lineStart(this.#text, offset);
      const end = this.#text.indexOf("\n", offset);
      const line = this.#text.slice(start, end < 0 ? undefined : end + 1);
      faults.set(offset, { message: explain(withoutText(message), line, offset - start + 1), offset });
    }
    if (faults.size === 0) wrongKeys(contents, repeated);
  }

  #firstAlias(): number {
    let offset = 0;
    visit(this.#root, {
      Node: (_, node) => {
        if (!isAlias(node)) return undefined;
        offset = node.range?.[0] ?? 0;
        return visit.BREAK;
      },
    });
    return offset;
  }
}

/** Found in no time. A quoted text is a tree of its characters, of which a search makes one piece. */
const ONE_PIECE = /$/;

/**
 * Lists and maps that values have in common. Very many prefixes may each say what they answer, and say the same. A map
 * by port is large: V8 keeps room for all keys that are less than its key.
 */
class Shared {
  readonly #all = new Map<string, object>();

  /** Returns a value with the lists and maps in it that others have as well. */
  compact(value: unknown): unknown {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    const map = value as Record<string, unknown>;
    for (const [key, inner] of Object.entries(map)) {
      if (typeof inner === "string") inner.search(ONE_PIECE);
      if (typeof inner !== "object" || inner === null) continue;
      const items: unknown[] = Object.values(inner);
      if (items.length > SHARED_LEN || items.some((item) => typeof item === "object")) continue;
      const text = JSON.stringify(inner);
      const same = this.#all.get(text);
      if (same) map[key] = same;
      else if (this.#all.size < SHARED) this.#all.set(text, inner);
    }
    return value;
  }
}

/**
 * Finds repeated keys with a set per map: the library would compare each key with all others. Finds keys __proto__ as
 * well, since zod would leave them out without a word.
 */
function wrongKeys(contents: Node | null, faults: Fault[]): void {
  visit(contents, {
    Map: (_, { items }) => {
      const seen = new Map<unknown, number>();
      for (const { key } of items) {
        if (!isScalar(key) || !key.range) continue;
        if (key.value === "__proto__") faults.push({ message: "no key can be __proto__", offset: key.range[0] });
        const first = seen.get(key.value);
        if (first === undefined) seen.set(key.value, key.range[0]);
        else faults.push({
          message: `key ${JSON.stringify(withoutSecret(String(key.value)))} is given twice`, offset: key.range[0], first,
        });
      }
    },
  });
}

function lineStart(text: string, offset: number): number {
  return offset === 0 ? 0 : text.lastIndexOf("\n", offset - 1) + 1;
}

/** Strips the quoted text from one of the library's messages: there may be a password in it. */
function withoutText(message: string): string {
  return message
    .replace(/\.?\n.*$/s, "")
    .replace(/(token in YAML \w+|extra characters|Not a YAML token|tag|alias\)): .*$/s, "$1")
    .replace(/^(Unknown directive|Unsupported YAML version) .*$/s, "$1")
    .replace(/^The .* tag has/s, "The tag has");
}
