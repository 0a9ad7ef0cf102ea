/**
 * Lays out the help after a command's options for the terminal's width. Words stay whole, so that users can still paste
 * the examples.
 */
import type { AddHelpTextContext, Help } from "commander";

/** Width if standard output is not a terminal; it is commander's own default. */
const DEFAULT_WIDTH = 80;
/** Matches an indented line: a command or a term and, after at least two spaces, its description. */
const ITEM = /^ {2}(\S.*?)(?: {2,}(\S.*))?$/;

/**
 * Returns a help text for addHelpText(). `text`: paragraphs with an empty line between them. Their lines are joined,
 * except indented ones, which are items.
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
 * Puts an item's description on lines of its own. A command that is too long goes on after a backslash, as in a shell.
 */
function stacked(line: string, width: number, help: Help): string {
  const [, term = "", description] = (ITEM.exec(line) ?? []) as (string | undefined)[];
  const parts = [`  ${help.boxWrap(term, width - 6).replaceAll("\n", " \\\n    ")}`];
  if (description !== undefined) {
    parts.push(`      ${help.boxWrap(description, width - 6).replaceAll("\n", "\n      ")}`);
  }
  return parts.join("\n");
}
