/** Checks what a refusal has to be, whatever was refused. */
import assert from "node:assert/strict";
import { Failure } from "../../../src/base/failure.js";

/**
 * Returns what `read` does, or the Failure that it throws, whose
 * lines have to be lines. @throws whatever else it throws.
 */
export function refusalOr<T>(read: () => T): T | Failure {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    checkLines(error.lines);
    return error;
  }
}

export function checkLines(lines: readonly string[]): void {
  assert.ok(lines.length > 0, "a line at least");
  for (const line of lines) {
    assert.match(line, /\S/);
    assert.doesNotMatch(line, /[\p{Cc}\p{Zl}\p{Zp}]/u, "one line, for a terminal");
  }
}

/** Asserts that lines about a file begin with its name and a place in its text, except for those about all of it. */
export function checkPlaces(lines: readonly string[], file: string, text: string): void {
  const rows = text.split("\n");
  for (const line of lines) {
    assert.ok(line.startsWith(`${file}:`), line);
    const place = /^:(\d+):(\d+): ./.exec(line.slice(file.length));
    if (!place) assert.match(line.slice(file.length), /^: (and \d+ more$|cannot be read|larger than|not a regular)/);
    else assert.ok(Number(place[1]) >= 1 && Number(place[2]) >= 1
      && Number(place[2]) <= (rows.at(Number(place[1]) - 1)?.length ?? -1) + 1, `${line}: beyond the text`);
  }
}
