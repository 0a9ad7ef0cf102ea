/** What the commands have in common that read a configuration, say something of it, and end. */
import { existsSync } from "node:fs";
import { isIP } from "node:net";
import type { Command } from "commander";
import { EXIT, Failure } from "../base/failure.js";
import { stderr } from "../base/log.js";
import type { Configuration } from "../config/content.js";
import { reader } from "./settings.js";

/**
 * Reads the configuration that a file or --config names, and calls `use` with it and its name. Says what is wrong with
 * it, and has the process end with the status of that.
 * @throws Failure (usage) if no file is given, or two are, or a prefix
 */
export async function withConfiguration(
  command: Command, file: string | undefined, use: (found: Configuration, name: string) => Promise<void>,
): Promise<void> {
  const example = `pongd ${command.name()} pongd.yaml`;
  const name = file ?? command.opts<{ config?: string }>().config;
  if (name === undefined) throw new Failure(`no file given; try: ${example}`, EXIT.USAGE);
  if (file !== undefined && command.getOptionValueSource("config") === "cli") {
    throw new Failure("a file and --config are given; give one", EXIT.USAGE);
  }
  if (isPrefix(name) && !existsSync(name)) {
    throw new Failure(`pongd ${command.name()} takes a configuration file, not a prefix like ${name}`, EXIT.USAGE, {
      mend: `try: echo 'prefixes: ["${name}"]' | pongd ${command.name()} -`,
    });
  }
  const read = await reader([], command, example, name);
  let found: Configuration | undefined;
  try {
    found = await read();
    await use(found, name);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    // The lines are written as they are, for programs that jump to places.
    for (const line of error.lines) stderr.write(`${line}\n`);
    process.exitCode = error.exitStatus;
  } finally {
    await found?.end();
  }
}

/** Returns whether a text is one that `run` takes for a prefix, or is close to it. */
function isPrefix(text: string): boolean {
  const [address, length = "", ...more] = text.split("/");
  return isIP(address) !== 0 && /^\d*$/.test(length) && more.length === 0;
}
