/**
 * Composes a YAML text piece by piece, so that a file of very many prefixes needs little memory. As a whole, its tokens
 * and nodes take a hundred times the room of its text.
 *
 * While the library's parser is within a list below a key at the top, complete items are taken out of the list and
 * composed. A stub stands in their place, so the rest of the document comes to what it would have come to. An item with
 * an anchor, an alias or a tag stays, since it is not understood by itself.
 */
import { Composer, Lexer, Parser, type CST, type Document, type YAMLSeq } from "yaml";

/** The schema is fixed here so that a directive in the text cannot change what its scalars mean. */
const OPTIONS = {
  prettyErrors: false, schema: "core", merge: false, stringKeys: true, uniqueKeys: false,
} as const;
/** Items that are taken out at a time. With many more, they would outlive the young generation of V8's heap. */
const PIECE = 64;
/** Items at the end of a list that the parser may still change. */
const PENDING = 2;
/** Tokens by which an item may refer to something outside, and the characters that they begin with. */
const REFERENCES: ReadonlySet<string> = new Set(["anchor", "alias", "tag"]);
const SUSPECT: ReadonlySet<string> = new Set(["&", "*", "!"]);

type List = CST.BlockSequence | CST.FlowCollection;
type Item = CST.CollectionItem;
export type Part = Document.Parsed<YAMLSeq.Parsed>;

/** A list of which items were taken out. */
export class Stripped {
  /** For each item that is left, the number of items that it stands for; 0 if it stands for itself. */
  readonly stubs: number[] = [];
  /** Where the text of each item that was taken out begins and ends. */
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  readonly #list: List;
  /** End of the last item that was composed. */
  #end: number;

  constructor(list: List) {
    this.#list = list;
    this.#end = list.offset;
  }

  /** Offset in the text at which the list begins. */
  get offset(): number {
    return this.#list.offset;
  }

  /** Says where an item of the list is: among those that were taken out, or among those that are left. */
  locate(index: number): { readonly taken?: number; readonly left?: number } {
    let [rest, taken] = [index, 0];
    for (const [left, count] of this.stubs.entries()) {
      if (count === 0 && rest === 0) return { left };
      if (rest < count) return { taken: taken + rest };
      rest -= Math.max(1, count);
      taken += count;
    }
    return { left: this.stubs.length + rest };
  }

  /** Returns a text with one of the items that were taken out, and the offset in the whole text at which it begins. */
  textOf(index: number, text: string): { readonly text: string; readonly offset: number } {
    const [start, item] = [this.starts[index], text.slice(this.starts[index], this.ends[index])];
    const { indent } = this.#list;
    return this.#list.type === "block-seq"
      ? { text: `${" ".repeat(indent)}${item}`, offset: start - indent }
      : { text: `[${item}]`, offset: start - 1 };
  }

  /** Takes complete items out. `take` gets each run of them, composed; `suspect` items may refer to others. */
  strip(suspect: boolean, take: (part: Part) => void): void {
    const items = this.#list.items as Item[];
    const pending = items.splice(items.length - PENDING);
    const complete = items.splice(this.stubs.length);
    const run: Item[] = [];
    const close = (end: number) => {
      if (run.length > 0) take(this.#take(run.splice(0), end));
    };
    for (const item of complete) {
      if (this.#isSeparate(item, items.length + run.length === 0) && (!suspect || isPlain(item))) {
        run.push(item);
        continue;
      }
      close(startOf(item));
      items.push(item);
      this.stubs.push(0);
      this.#end = startOf(item);
    }
    close(startOf(pending[0]));
    items.push(...pending);
  }

  /** Returns whether an item is separated from the one before it as it should be. */
  #isSeparate({ start }: Item, first: boolean): boolean {
    if (this.#list.type === "block-seq") return start.some(({ type }) => type === "seq-item-ind");
    return start.some(({ type }) => type === "comma") !== first;
  }

  /** Composes a run of items, and has a stub stand for them. `end`: where the item behind them begins. */
  #take(run: readonly Item[], end: number): Part {
    for (const [i, item] of run.entries()) {
      this.starts.push(startOf(item));
      this.ends.push(i + 1 < run.length ? startOf(run[i + 1]) : end);
    }
    const list = this.#list;
    const separator = run[0].start.find(({ type }) => type === "seq-item-ind" || type === "comma");
    const value: CST.Token = list.type === "block-seq"
      ? { ...list, offset: this.#end, items: run as CST.BlockSequence["items"] }
      : {
          ...list, offset: this.#end, items: asValues(run, separator),
          end: [{ type: "flow-seq-end", offset: end, indent: list.indent, source: "]" }],
        };
    const document: CST.Document = { type: "document", offset: this.#end, start: [], value };
    const part = only(new Composer(OPTIONS).compose([document])) as Part;
    this.#end = part.contents?.items.at(-1)?.range[2] ?? this.#end;

    const last = this.stubs.length - 1;
    const stub: CST.FlowScalar = { type: "scalar", offset: this.#end, indent: list.indent, source: "" };
    if (last >= 0 && this.stubs[last] > 0) {
      this.stubs[last] += run.length;
      (list.items[last]).value = stub;
    } else {
      this.stubs.push(run.length);
      (list.items as Item[]).push({ start: separator ? [separator] : [], value: stub });
    }
    return part;
  }
}

/**
 * Composes a text into its documents. `take` gets what is taken out of a list of the first document, in order; the
 * document has a stub in its place.
 */
export function* compose(
  text: string, take: (list: Stripped, part: Part) => void, piece = PIECE,
): Generator<Document.Parsed, void> {
  const parser = new Parser();
  const composer = new Composer(OPTIONS);
  const { stack } = parser;
  let list: Stripped | undefined;
  let taken: List | undefined;
  let suspect = false;
  let first = true;
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) {
      if (token.type === "document") first = false;
      yield* composer.next(token);
    }
    suspect ||= SUSPECT.has(lexeme.charAt(0));
    const top = stack.length > 2 && first ? stack[2] : undefined;
    if (!top || !isList(top)) continue;
    if (top !== taken) {
      taken = top;
      list = isValue(stack[1]) ? new Stripped(top) : undefined;
    }
    if (!list || top.items.length - list.stubs.length < piece + PENDING) continue;
    const own = list;
    list.strip(suspect, (part) => { take(own, part); });
  }
  for (const token of parser.end()) yield* composer.next(token);
  yield* composer.end(true, text.length);
}

function isList(token: CST.Token): token is List {
  return token.type === "block-seq" || (token.type === "flow-collection" && token.start.type === "flow-seq-start");
}

/** Returns whether a list is the value of a map's key, and has no tag, which would make something else of it. */
function isValue(parent: CST.Token): boolean {
  if (parent.type !== "block-map" && !(parent.type === "flow-collection" && parent.start.type === "flow-map-start")) {
    return false;
  }
  const item = (parent.items as Item[]).at(-1);
  return item?.sep?.every(({ type }) => type !== "tag") ?? false;
}

/** Returns whether an item can be understood by itself. */
function isPlain({ start, key, sep = [], value }: Item): boolean {
  return ![...start, ...sep].some(({ type }) => REFERENCES.has(type)) && [key, value].every((token) =>
    !token || (token.type !== "alias" && (!("items" in token) || (token.items as Item[]).every(isPlain))));
}

/** Returns where an item begins, behind the separator that may precede it. */
function startOf({ start, key, sep, value }: Item): number {
  const last = start.findLast(({ type }) => type === "comma" || type === "seq-item-ind");
  if (last) return last.type === "comma" ? last.offset + 1 : last.offset;
  return (start.at(0) ?? key ?? sep?.at(0) ?? value)?.offset ?? 0;
}

/**
 * Returns items of a flow list, without that comma, as values: until the list ends, the parser takes each for a key.
 */
function asValues(items: readonly Item[], comma: CST.SourceToken | undefined): Item[] {
  return items.map(({ start: given, key, sep, value, ...item }) => {
    const start = given.filter((token) => token !== comma);
    const isPair = [...start, ...sep ?? []].some(({ type }) => type === "explicit-key-ind" || type === "map-value-ind");
    if (value || !sep || isPair) return { ...item, start, ...key !== undefined && { key }, sep, value };
    if (!key || !("end" in key || "source" in key)) return { start: [...start, ...sep], ...key && { value: key } };
    return { start, value: { ...key, end: [...(key as CST.FlowScalar).end ?? [], ...sep] } as CST.Token };
  });
}

/** Returns the single document of a composition. */
function only(documents: Iterable<Document.Parsed>): Document.Parsed {
  const [document] = documents;
  return document;
}
