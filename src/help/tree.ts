/**
 * The commands, as completion scripts and the manual page read them. All of it comes from commander, except conventions
 * on names, which are defined here.
 */
import type { Argument, Command, Option } from "commander";
import { BUILTIN_SERVICES } from "../config/types.js";

export interface CommandInfo {
  /** Names from the program's on: ["pongd", "device", "create"]. */
  readonly path: readonly string[];
  readonly description: string;
  /** Usage as the help writes it, without the path. */
  readonly usage: string;
  readonly arguments: readonly ArgumentInfo[];
  readonly options: readonly OptionInfo[];
  readonly commands: readonly CommandInfo[];
  /** Paragraphs of the help after the options. */
  readonly notes: readonly string[];
  /** Examples from these paragraphs, a line each. */
  readonly examples: readonly string[];
}

export interface Value {
  readonly name: string;
  /** Possible values, if there are only a few words. */
  readonly choices: readonly string[];
  /** True if others are possible, too. */
  readonly open: boolean;
  /** True if it takes several of them, separated by commas. */
  readonly list: boolean;
  readonly kind: "file" | "user" | "group" | "command" | "other";
}

export interface ArgumentInfo extends Value {
  readonly description: string;
  readonly default: string | undefined;
  readonly variadic: boolean;
}

export interface OptionInfo {
  readonly short: string | undefined;
  readonly long: string;
  /** Flags as the help writes them. */
  readonly flags: string;
  readonly description: string;
  /** Value; undefined if the option takes none. */
  readonly value: Value | undefined;
  readonly default: string | undefined;
  readonly variable: string | undefined;
  readonly repeatable: boolean;
  /** Heading in the help; undefined for the first group. */
  readonly group: string | undefined;
}

const KINDS: Readonly<Record<string, Value["kind"] | undefined>> = {
  file: "file", in: "file", out: "file", user: "user", group: "group", command: "command",
};
/** Values that are lists. */
const LISTS: readonly string[] = ["names", "states"];
/** Words for values that may be others, too: connections have those services, and those of the configuration. */
const WORDS: Readonly<Record<string, readonly string[] | undefined>> = {
  service: BUILTIN_SERVICES.filter((name) => name !== "refuse" && name !== "silent"),
};

export function describe(command: Command, parents: readonly string[] = []): CommandInfo {
  const help = command.createHelp();
  const path = [...parents, command.name()];
  const paragraphs = notesOf(command).trim().split(/\n\n+/).filter(Boolean);
  return {
    path,
    description: command.description(),
    usage: command.usage(),
    arguments: help.visibleArguments(command).map(argumentOf),
    options: help.visibleOptions(command).map(optionOf),
    // Commander's implicit help command is left out of each list; pongd help is a command of its own.
    commands: command.commands.map((sub) => describe(sub, path)),
    notes: paragraphs.filter((paragraph) => !paragraph.startsWith(EXAMPLES)),
    examples: paragraphs.filter((paragraph) => paragraph.startsWith(EXAMPLES))
      .flatMap((paragraph) => paragraph.split("\n").slice(1).map((line) => line.trim())),
  };
}

/** Returns the command and all below it, in the order of the help. */
export function flatten(command: CommandInfo): CommandInfo[] {
  return [command, ...command.commands.flatMap(flatten)];
}

const EXAMPLES = "Examples:";

/** Returns what addHelpText() added: the help as printed on an endlessly wide terminal, less commander's own part. */
function notesOf(command: Command): string {
  const before = command.configureOutput();
  let printed = "";
  command.configureOutput({ writeOut: (text) => { printed += text; }, getOutHelpWidth: () => Infinity }).outputHelp();
  const own = command.helpInformation();
  command.configureOutput(before);
  return printed.slice(own.length);
}

function argumentOf(argument: Argument): ArgumentInfo {
  return {
    ...valueOf(argument.name(), argument.argChoices), description: argument.description, default: defaultOf(argument),
    variadic: argument.variadic,
  };
}

function optionOf(option: Option): OptionInfo {
  const name = /[<[]([^>\].]+)/.exec(option.flags)?.[1];
  return {
    short: option.short,
    long: option.long ?? "",
    flags: option.flags,
    description: option.description,
    value: name === undefined ? undefined : valueOf(name, option.argChoices),
    default: defaultOf(option),
    variable: option.envVar,
    group: option.helpGroupHeading?.replace(/:$/, ""),
    // Options that may be repeated have an empty list as their default.
    repeatable: option.variadic || (Array.isArray(option.defaultValue) && option.defaultValue.length === 0),
  };
}

function defaultOf({ defaultValue, defaultValueDescription }: Argument | Option): string | undefined {
  if (defaultValueDescription !== undefined) return defaultValueDescription;
  return defaultValue === undefined || typeof defaultValue === "boolean" ? undefined : String(defaultValue);
}

function valueOf(name: string, choices: readonly string[] = WORDS[name] ?? []): Value {
  return { name, choices, open: name in WORDS, list: LISTS.includes(name), kind: KINDS[name] ?? "other" };
}
