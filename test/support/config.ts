/** Reads configurations as `pongd run` and `pongd check` do, without a process of their own. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { addRunOptions, forgetEmptyVariables, givenOf, prefixArgument } from "../../src/cli/settings.js";
import { ConfigFile } from "../../src/config/reader.js";
import { effective, type Effective } from "../../src/config/merge.js";
import { Failure, type EXIT } from "../../src/base/failure.js";

export const EXAMPLE = "pongd run 10.99.0.0/16";

/** Returns a command with the options of pongd run, parsed with only that environment. */
export function parsed(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Command {
  const before = process.env;
  process.env = { ...environment };
  forgetEmptyVariables();
  try {
    return addRunOptions(new Command("run").addArgument(prefixArgument()))
      .exitOverride()
      .configureOutput({ outputError: () => undefined })
      .parse(args, { from: "user" });
  } finally {
    process.env = before;
  }
}

/** The seed where none is given, which is drawn otherwise. */
const DRAWN_SEED = 4242;

/** Returns what pongd would run with. */
export function read(
  text: string | undefined, args: readonly string[] = [], environment: Readonly<Record<string, string>> = {},
): Effective {
  const command = parsed(args, environment);
  const before = process.env;
  process.env = { ...environment };
  try {
    const given = { ...givenOf(command.args, command, EXAMPLE), drawnSeed: DRAWN_SEED };
    return text === undefined ? effective(given) : withFile(text, (name) => effective(given, new ConfigFile(name)));
  } finally {
    process.env = before;
  }
}

export interface Refused {
  /** The lines of the message, with FILE in place of the file's path. */
  readonly lines: readonly string[];
  readonly status: typeof EXIT[keyof typeof EXIT];
}

/** Returns the message that the configuration is refused with, or undefined where it is accepted. */
export function refusal(
  text: string | Uint8Array | undefined, args: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Refused | undefined {
  const name = { of: "" };
  try {
    if (text === undefined || typeof text === "string") read(text, args, environment);
    else withFile(text, (file) => new ConfigFile(file));
    return undefined;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    name.of = /\S*pongd-config-\w+\/pongd\.yaml/.exec(error.message)?.[0] ?? "";
    return {
      lines: error.lines.map((line) => name.of === "" ? line : line.replaceAll(name.of, "FILE")),
      status: error.exitStatus,
    };
  }
}

export function withFile<T>(content: string | Uint8Array, use: (name: string) => T): T {
  const dir = mkdtempSync(join(tmpdir(), "pongd-config-"));
  try {
    const name = join(dir, "pongd.yaml");
    writeFileSync(name, content);
    return use(name);
  } finally {
    rmSync(dir, { recursive: true });
  }
}
