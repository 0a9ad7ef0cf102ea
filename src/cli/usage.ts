import type { Command, CommanderError } from "commander";
import { excerpt, legible } from "../base/printable.js";

/**
 * Turns commander's message about wrong arguments into one line. Commander puts its suggestion on a second line, and a
 * value may contain line ends.
 */
export function usageLine({ message }: CommanderError, program: Command, args: readonly string[]): string {
  const suggested = message.replace(/^error: /, "").replace(/\n\(Did (you mean [^\n]*\?\))$/, " (did $1");
  return `${legible(shortened(suggested, args).replace(/\.$/, ""))}; see: ${invoked(program, args)} --help`;
}

/** Cuts a word that was given, or an option's value or that of its variable, if the message has it and it is long. */
function shortened(message: string, args: readonly string[]): string {
  const given = [...args.flatMap((word) => [word, word.slice(word.indexOf("=") + 1)]), ...Object.values(process.env)];
  const long = given.find((text) => text !== undefined && excerpt(text) !== text && message.includes(`'${text}'`));
  return long === undefined ? message : message.replace(`'${long}'`, () => `'${excerpt(long)}'`);
}

/** Returns the command that the arguments name, as far as they do. */
export function invoked(program: Command, args: readonly string[]): string {
  const names = [program.name()];
  let command = program;
  for (const argument of args) {
    const found = command.commands.find((sub) => sub.name() === argument);
    if (!found || argument === "help") break;
    command = found;
    names.push(argument);
  }
  return names.join(" ");
}
