/**
 * The help behind a command's options, laid out for the terminal's width: words stay whole, and examples can still be
 * pasted.
 */
import type { AddHelpTextContext, Help } from "commander";

/** Where standard output is no terminal; commander's own. */
const DEFAULT_WIDTH = 80;
/** An indented line: a command or a term and, behind at least two spaces, what it does. */
const ITEM = /^ {2}(\S.*?)(?: {2,}(\S.*))?$/;

/**
 * `text`: paragraphs with an empty line between them. Their lines are joined, but for indented ones, which are items.
 */
export function notes(text: string): (context: AddHelpTextContext) => string {
  return ({ error, command }) => {
    const output = command.configureOutput();
    const width = (error ? output.getErrHelpWidth?.() : output.getOutHelpWidth?.()) ?? DEFAULT_WIDTH;
    const help = command.createHelp();
    return text.trim().split(/\n{2,}/).map((paragraph) => `\n${layOut(paragraph.split("\n"), width, help)}`).join("\n");
  };
}

function layOut(lines: readonly string[], width: number, help: Help): string {
  const items = lines.filter((line) => ITEM.test(line));
  const prose = lines.filter((line) => !ITEM.test(line)).join(" ");
  const fit = items.every((line) => line.length <= width);
  return [
    ...prose === "" ? [] : [help.boxWrap(prose, width)],
    ...fit ? items : items.map((line) => stacked(line, width, help)),
  ].join("\n");
}

/**
 * An item with what it does on lines of its own. A command that is too long goes on behind a backslash, as in a shell.
 */
function stacked(line: string, width: number, help: Help): string {
  const [, term = "", description] = (ITEM.exec(line) ?? []) as (string | undefined)[];
  const parts = [`  ${help.boxWrap(term, width - 6).replaceAll("\n", " \\\n    ")}`];
  if (description !== undefined) {
    parts.push(`      ${help.boxWrap(description, width - 6).replaceAll("\n", "\n      ")}`);
  }
  return parts.join("\n");
}
