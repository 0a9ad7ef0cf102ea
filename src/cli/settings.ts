/** Makes the command-line options of the settings, and reads the values that they were given. */
import { randomInt } from "node:crypto";
import { Argument, InvalidArgumentError, Option, type Command } from "commander";
import { EXIT, Failure } from "../base/failure.js";
import { absolute, checkRegular, readBytes } from "../config/bytes.js";
import type { Configuration } from "../config/content.js";
import type { Given } from "../config/given.js";
import {
  collect, GROUPS, inWords, MAPS, optionOf, SETTINGS, split, variableOf,
  type CommandOption, type Key, type Setting,
} from "../config/keys.js";
import { effective, MAX_DRAWN_SEED, type Effective } from "../config/merge.js";
import type { OnFormat } from "../config/reading.js";
import { eitherOf, GATHERED, THREADLESS_SERVICES, UDP_SERVICES, type Type } from "../config/types.js";
import type { PrefixList } from "../prefix/list.js";
import { filePath } from "./file.js";
import { notes } from "./notes.js";
import { exampleOf, listOf, read, readParts, type Parts } from "./values.js";

/** Stands for standard input in place of a file's name. */
const STANDARD_STREAM = "-";

/** Text added to an option's help, by the kind of its value. */
const SYNTAX: Partial<Record<Type["kind"], string>> = {
  link: "; like rtt=50ms,loss=1%, or in.delay=20ms,out.jitter=2ms",
  limit: ", like 1000/100 or 1000; or none",
  endpoints: "; may be given several times",
  exceptions: "; may be given several times",
  ports: "; like 7=echo or 8000-8010=discard; may be given several times",
};

/** Texts in a command that reads no file and has no service threads: there are no services but these. */
const BUILTIN_PORTS = {
  tcp: `TCP services by port: ${eitherOf(THREADLESS_SERVICES)}; all other ports refuse`,
  udp: `UDP services by port: ${eitherOf(UDP_SERVICES)}; all other ports are unreachable`,
};

/** An option and the settings that it sets: one, or all those of a map that has the option. */
interface OptionRow {
  readonly option: CommandOption;
  readonly settings: readonly Setting[];
}

/** All options, in the order of the table of settings. */
const OPTIONS: readonly OptionRow[] = optionRows();

function optionRows(): OptionRow[] {
  const found = new Map<CommandOption, Setting[]>();
  for (const setting of SETTINGS) {
    const option = optionOf(setting);
    if (option) found.set(option, [...found.get(option) ?? [], setting]);
  }
  return Array.from(found, ([option, settings]) => ({ option, settings }));
}

/** Returns the settings that an option sets; none if it is about something else. */
export function settingsOf({ long }: Option): readonly Setting[] {
  return OPTIONS.find(({ option: { flags } }) => flags.split(" ")[0] === long)?.settings ?? [];
}

export function prefixArgument(): Argument {
  return new Argument("[prefix...]", "IPv4 and IPv6 prefixes, like 10.99.0.0/16 or 2001:db8::/64");
}

/** Makes the option for the host's own address. `text` describes it in that command's help. */
export function hostAddressOption(text: string): Option {
  const [row] = OPTIONS.filter(({ settings: [{ key }] }) => key === "device.host_address");
  return optionFrom(row, text);
}

/** Adds the options about what is answered to `replay`. They are those of `run`. */
export function addAnswerOptions(command: Command): Command {
  for (const option of optionsIn("Answers", BUILTIN_PORTS)) command.addOption(option);
  return command;
}

/** Adds the options of `run`, each with its environment variable. */
export function addRunOptions(command: Command): Command {
  const config = new Option("--config <file>", "configuration file; flags and environment win over it");
  const options = [config.argParser(filePath), ...GROUPS.flatMap((group) => optionsIn(group))];
  for (const option of options) command.addOption(option.env(variableOf(option.flags)));
  return command
    .addOption(new Option("--queue-fds <fds>", "queues that are open already").argParser(parseDescriptors).hideHelp())
    .addHelpText("after", notes(`
Each option has the environment variable that is shown with it (env); lists in one are separated by spaces or commas.
PONGD_PREFIXES has the prefixes.
For each key, the first of these that has it counts: options, environment, file, default.`));
}

/** Removes pongd's empty variables: they count as unset, and commander would take "" for a value. */
export function forgetEmptyVariables(): void {
  for (const [name, value] of Object.entries(process.env)) {
    if (name.startsWith("PONGD_") && value === "") Reflect.deleteProperty(process.env, name);
  }
}

/** Makes the options under one heading of the help. `texts`, by key, stand in place of the settings' texts. */
function optionsIn(group: typeof GROUPS[number], texts: Partial<Record<Key, string>> = {}): Option[] {
  return OPTIONS.filter(({ option }) => option.group === group)
    .map((row) => optionFrom(row, texts[row.settings[0].key]).helpGroup(`${group}:`));
}

function optionFrom({ option: { flags, text: own }, settings }: OptionRow, text = own): Option {
  const [setting] = settings;
  const { type, defaultText } = setting;
  const [top] = split(setting.key);
  const { alike, text: about } = MAPS[top] ?? {};
  if (alike) {
    const names = settings.map(({ key }) => nameInMap(key));
    const option = new Option(flags, `${about}; for each: ${exampleOf(names, alike.choices)}`);
    return readParts(option, names, alike.choices).default({}, defaultOf(setting));
  }
  const option = new Option(flags, `${text ?? setting.text}${SYNTAX[type.kind] ?? ""}`);
  // A switch reads no text, and is off unless it is given.
  if (!option.required) return option;
  read(option, type);
  if (GATHERED.has(type.kind)) return option.default([], defaultText ?? inWords(setting.default));
  if (setting.js !== undefined) return option.default(setting.default, defaultOf(setting));
  return option.default(setting.default, type.kind === "ports" ? inWords(setting.default) : undefined);
}

function nameInMap(key: Key): string {
  return split(key)[1] ?? key;
}

/** Returns the text of a default that depends on the engine, for the help. */
function defaultOf({ default: usual, js = usual }: Setting): string {
  return `${inWords(usual)}; ${inWords(js)} with --engine js`;
}

/**
 * Returns a function that reads the configuration of `run` or `check`. Each call reads the file anew, as a reload
 * needs. `file`: the file that `check` is given, which may be standard input or a pipe, since it is read only once.
 */
export async function reader(
  prefixes: readonly string[], command: Command, example: string, file?: string,
): Promise<(before?: PrefixList, onFormat?: OnFormat) => Promise<Configuration>> {
  const given = givenOf(prefixes, command, example);
  const name = file ?? command.opts<{ config?: string }>().config;
  if (name === undefined) {
    const { Content } = await import("../config/content.js");
    return () => Promise.resolve(new Content(effective(given)));
  }
  if (file === undefined && name === STANDARD_STREAM) {
    throw new Failure("--config -: standard input cannot be read again for a reload; give a file", EXIT.USAGE);
  }
  const { Reading } = await import("../config/reading.js");
  if (file !== undefined) return () => {
    const [called, bytes] = file === STANDARD_STREAM
      ? ["standard input", readBytes("standard input", 0)] as const
      : [name, readBytes(name, absolute(name))] as const;
    return Reading.start({ name: called, file: bytes, given, before: undefined });
  };
  const path = absolute(name);
  return (before, onFormat) => {
    checkRegular(name, path);
    return Reading.start({ name, file: path, given, before: before?.buffer }, onFormat);
  };
}

/** Reads the configuration of `doctor`, in this thread. */
export async function readHere(prefixes: readonly string[], command: Command, example: string): Promise<Effective> {
  const given = givenOf(prefixes, command, example);
  const { config } = command.opts<{ config?: string }>();
  if (config === undefined) return effective(given);
  const path = absolute(config);
  checkRegular(config, path);
  const { ConfigFile } = await import("../config/reader.js");
  return effective(given, new ConfigFile(config, path));
}

/**
 * Returns the values that flags and environment gave.
 * @throws Failure (usage) if a switch's variable says neither yes nor no
 */
export function givenOf(prefixes: readonly string[], command: Command, example: string | undefined): Given {
  const values = new Map<Key, unknown>();
  const names: Partial<Record<Key, string>> = {};
  const give = (key: Key, value: unknown, name?: string) => {
    values.set(key, value);
    names[key] = name;
  };
  let ignoreEcho = false;
  for (const option of command.options) {
    const settings = settingsOf(option);
    const source = command.getOptionValueSource(option.attributeName());
    if (settings.length === 0 || (source !== "cli" && source !== "env")) continue;
    const name = source === "env" ? option.envVar : option.long;
    const value: unknown = command.getOptionValue(option.attributeName());
    // To commander a switch is on as soon as its variable is set, whatever the variable says.
    const isOn = option.required || source === "cli" || yes(option.envVar ?? "");
    for (const { key, option: { on, off } = {} } of settings) {
      if (key === "answer") ignoreEcho = isOn;
      else if (!option.required) give(key, isOn ? on : off, name);
      else if (settings.length === 1) give(key, value, name);
      else if (nameInMap(key) in (value as Parts)) give(key, (value as Parts)[nameInMap(key)], name);
    }
  }
  // The shell has split a list of ports that is not in quotes.
  const port = prefixes.find((text) => /^[\d-]{1,11}=[\w-]{1,64}$/.test(text));
  if (port !== undefined) {
    const how = "--tcp and --udp take several ports with commas between them, like 7=echo,9=discard";
    throw new Failure(`"${port}" is not a prefix; ${how}`, EXIT.USAGE);
  }
  if (prefixes.length > 0) give("prefixes", prefixes);
  else if (process.env.PONGD_PREFIXES?.trim()) give("prefixes", listOf(process.env.PONGD_PREFIXES), "PONGD_PREFIXES");
  const { queueFds } = command.opts<{ queueFds?: number[] }>();
  const drawnSeed = randomInt(1, MAX_DRAWN_SEED);
  return { values: collect(({ key }) => values.get(key)), names, ignoreEcho, queueFds, drawnSeed, example };
}

/** Reads the variable of a switch. @throws Failure (usage) */
function yes(name: string): boolean {
  const text = process.env[name] ?? "";
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  if (/^(0|false|no|off)$/i.test(text)) return false;
  throw new Failure(`${name} is "${text}"; expected true or false`, EXIT.USAGE);
}

function parseDescriptors(text: string): number[] {
  if (!/^\d{1,9}(,\d{1,9}){0,255}$/.test(text)) {
    throw new InvalidArgumentError("It is for pongd's own use: leave it out.");
  }
  return text.split(",").map(Number);
}
