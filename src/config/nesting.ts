/**
 * Measures how deep a YAML text is nested without parsing it. The parsers recurse into each level, and V8 ends the
 * process if their regular expressions run out of stack. The count may be too high, since brackets in quotes count too,
 * but never too low.
 */
import type { Place } from "./yaml.js";

/** Deepest nesting accepted. No configuration that somebody wrote has a tenth of it. */
export const MAX_DEPTH = 200;

/** Returns where the text is first nested deeper than MAX_DEPTH; undefined if it is not. */
export function tooDeep(text: string): Place | undefined {
  /** Columns at which the enclosing blocks begin. */
  const blocks: number[] = [];
  let flow = 0;
  for (let start = 0, line = 1, end = 0; start < text.length; start = end + 1, line++) {
    end = text.indexOf("\n", start);
    if (end < 0) end = text.length;
    let at = afterBlanks(text, start);
    if (at >= end || text[at] === "#" || text[at] === "\r") continue;
    while (blocks.length > 0 && blocks[blocks.length - 1] >= at - start) blocks.pop();
    blocks.push(at - start);
    // One line may begin several blocks: "- ? - key: value".
    for (; "-?:".includes(text[at]) && (at + 1 >= end || text[at + 1] === " "
      || text[at + 1] === "\t"); blocks.push(at - start)) at = afterBlanks(text, at + 1);
    for (; at < end; at++) {
      const character = text[at];
      if (character === "[" || character === "{") flow++;
      else if ((character === "]" || character === "}") && flow > 0) flow--;
      if (blocks.length + flow > MAX_DEPTH) return { line, column: at - start + 1 };
    }
    if (blocks.length + flow > MAX_DEPTH) return { line, column: 1 };
  }
  return undefined;
}

function afterBlanks(text: string, from: number): number {
  let at = from;
  while (text[at] === " " || text[at] === "\t") at++;
  return at;
}
