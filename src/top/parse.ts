/**
 * Parses samples in Prometheus's text exposition format 0.0.4, and skips HELP and TYPE. The text comes from the
 * network, and so is not trusted.
 */

export interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

/** An error in the text, with its line. */
export class ExpositionError extends Error {
  constructor(line: number, what: string) {
    super(`line ${line}: ${what}`);
  }
}

const MAX_LINES = 1_000_000;
/** Most characters in a label's value: names that people give are shorter. */
const MAX_LABEL = 4096;
const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const BLANKS = /[ \t]*/y;
/** Values that Go's strconv.ParseFloat takes, except hexadecimal and underscores, which nobody writes there. */
const VALUE = /[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf(?:inity)?|nan)(?![^ \t])/iy;
const TIMESTAMP = /-?\d+(?![^ \t])/y;
const NO_LABELS: ReadonlyMap<string, string> = new Map();

/**
 * Yields each sample, in the order of the text.
 * @throws ExpositionError
 */
export function* samplesOf(text: string): Generator<Sample, void, undefined> {
  let number = 0;
  for (let start = 0; start < text.length;) {
    const end = text.indexOf("\n", start);
    // The last line must end in a line feed, too; if it does not, the text is cut off.
    if (end < 0) throw new ExpositionError(number + 1, "it does not end");
    if (++number > MAX_LINES) throw new ExpositionError(number, `there are more than ${MAX_LINES} lines`);
    const line = new Line(text.slice(start, end), number);
    if (!line.isBlank()) yield line.sample();
    start = end + 1;
  }
}

/** A line, read from left to right, each character a bounded number of times. */
class Line {
  #at = 0;

  constructor(readonly text: string, readonly number: number) {}

  /** Returns true for a comment, too. */
  isBlank(): boolean {
    this.#take(BLANKS);
    return this.#at === this.text.length || this.text[this.#at] === "#";
  }

  sample(): Sample {
    const name = this.#expect(NAME, "the name of a metric");
    this.#take(BLANKS);
    const labels = this.#takes("{") ? this.#labels() : NO_LABELS;
    this.#take(BLANKS);
    const value = this.#expect(VALUE, "a value");
    this.#take(BLANKS);
    if (this.#at < this.text.length) this.#expect(TIMESTAMP, "a timestamp");
    this.#take(BLANKS);
    if (this.#at < this.text.length) this.#fail("the end of the line");
    return { name, labels, value: numberOf(value) };
  }

  #labels(): ReadonlyMap<string, string> {
    const labels = new Map<string, string>();
    for (;;) {
      this.#take(BLANKS);
      if (this.#takes("}")) return labels;
      const label = this.#expect(LABEL, "the name of a label, or }");
      if (labels.has(label)) throw new ExpositionError(this.number, `label ${label} is there twice`);
      this.#take(BLANKS);
      if (!this.#takes("=")) this.#fail("=");
      this.#take(BLANKS);
      if (!this.#takes("\"")) this.#fail("\"");
      labels.set(label, this.#quoted());
      this.#take(BLANKS);
      if (!this.#takes(",") && this.text[this.#at] !== "}") this.#fail(", or }");
    }
  }

  /** Reads up to the closing quotation mark. */
  #quoted(): string {
    let value = "";
    for (let from = this.#at; ; from = this.#at) {
      const quote = this.text.indexOf("\"", from);
      if (quote < 0) throw new ExpositionError(this.number, "the value of a label does not end");
      const backslash = this.text.slice(from, quote).indexOf("\\");
      if (value.length + quote - from > MAX_LABEL) {
        throw new ExpositionError(this.number, `the value of a label is longer than ${MAX_LABEL} characters`);
      }
      if (backslash < 0) {
        this.#at = quote + 1;
        return value + this.text.slice(from, quote);
      }
      value += this.text.slice(from, from + backslash);
      this.#at = from + backslash + 1;
      if (this.#takes("n")) value += "\n";
      else if (this.#takes("\\")) value += "\\";
      else if (this.#takes("\"")) value += "\"";
      else this.#fail("\\, \" or n behind \\");
    }
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const [found] = pattern.exec(this.text) ?? [];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #takes(character: string): boolean {
    if (this.text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #expect(pattern: RegExp, what: string): string {
    return this.#take(pattern) ?? this.#fail(what);
  }

  #fail(what: string): never {
    const found = this.text.slice(this.#at, this.#at + 20);
    throw new ExpositionError(
      this.number, `expected ${what}, found ${found === "" ? "its end" : JSON.stringify(found)}`,
    );
  }
}

function numberOf(text: string): number {
  // JavaScript knows only one spelling of infinity and of NaN; Number() makes NaN of every other spelling.
  if (/inf/i.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  return Number(text);
}
