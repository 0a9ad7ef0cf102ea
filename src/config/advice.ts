/**
 * Turns errors of the YAML library into advice on what the author meant. No advice quotes the text: there may be a
 * password in it.
 */

export const SPACE_ADVICE = "a space is missing behind the colon; write it like ttl: 7";

/** Characters looked at on either side of the error: a line may be as long as the file. */
const LOOK = 200;

interface Advice {
  /** The library's message. */
  readonly message: RegExp;
  /** The line before the error, and the line from the error on. */
  readonly before?: RegExp;
  readonly after?: RegExp;
  readonly said: string;
}

const ADVICE: readonly Advice[] = [
  // YAML's only white space is the space and the tab.
  { message: /^Implicit (map )?keys need/, before: /^ *(- +)*$/, after: /^[\w-]+:[^ \t]/, said: SPACE_ADVICE },
  {
    message: /^Implicit (map )?keys need/, before: /^ *$/, after: /^-[^ \t-]/,
    said: "a space is missing behind the hyphen; write it like - 10.99.0.0/16",
  },
  {
    message: /^Implicit (map )?keys need/,
    said: "neither a key nor a part of the value before it; write it like key: value",
  },
  {
    message: /^(Unexpected scalar at node end|Missing , between flow)/, before: /\]$/,
    said: "text behind a list; put the whole value in quotes, like \"[::1]:7664\"",
  },
  {
    message: /^(Unexpected scalar at node end|Missing , between flow)/, before: /["'}]\s*$/,
    said: "text behind a value that had ended; put the whole value in quotes",
  },
  {
    message: /^Nested mappings are not allowed/, after: /:(\s|$)/,
    said: "a value with a colon and a space in it; put it in quotes",
  },
  {
    message: /^Nested mappings are not allowed/,
    said: "a value with keys below it that are indented further; indent them like the line before them",
  },
  {
    message: /^Block collections are not allowed/,
    said: "keys in braces without a comma between them; write it like { a: 1, b: 2 }",
  },
  { message: /^Flow (map|sequence) in block/, said: "a bracket or brace before here is not closed" },
  {
    message: /^Plain value cannot start with/,
    said: "a value that begins with a character of YAML's own; put it in quotes",
  },
  { message: /^Tabs are not allowed/, said: "a tab that indents; write spaces" },
];

/** Returns advice on an error, or `message` where there is none. `column`: where in the line the error is, from 1. */
export function explain(message: string, line: string, column: number): string {
  const [before, after] = [
    line.slice(Math.max(0, column - 1 - LOOK), column - 1), line.slice(column - 1, column - 1 + LOOK),
  ];
  const found = ADVICE.find((advice) => advice.message.test(message) && advice.before?.test(before) !== false
    && advice.after?.test(after) !== false);
  return found?.said ?? message;
}
