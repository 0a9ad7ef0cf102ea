/**
 * Runs one command line, and says on standard error why it failed. What belongs to the process as a whole is in
 * main.ts.
 */
import { CommanderError } from "commander";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { speak, tell } from "../base/log.js";
import { createProgram, withCommands } from "./program.js";
import { forgetEmptyVariables } from "./settings.js";
import { invoked, usageLine } from "./usage.js";

/**
 * Sets the exit status where the command fails. A command may also set it by itself. `args`: what follows the program's
 * name.
 */
export async function execute(args: readonly string[]): Promise<void> {
  forgetEmptyVariables();
  const program = createProgram();
  // The file may say so too: `run` knows when it has read it.
  if (invoked(program, args) === "pongd run" && given("log-format", args) === "json") speak("json");
  for (const command of withCommands(program)) command.exitOverride().configureOutput({ outputError: () => undefined });

  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      fail(error, args);
    } else if (error.exitCode !== 0) {
      // Help that was not asked for has been printed already; it says all.
      if (error.code !== "commander.help") tell("error", usageLine(error, program, args), { status: EXIT.USAGE });
      process.exitCode = EXIT.USAGE;
    }
  }
}

/** Writes a line for each thing that is wrong, and the stack only for whoever debugs, and sets the exit status. */
export function fail(error: unknown, args: readonly string[]): void {
  const exitStatus = error instanceof Error && "exitStatus" in error ? error.exitStatus : undefined;
  const status = typeof exitStatus === "number" ? exitStatus : EXIT.RUNTIME;
  const debug = given("log-level", args) === "debug";
  const stack = debug && error instanceof Error ? error.stack?.match(/^ {4}at .*/gm) ?? undefined : undefined;
  for (const line of error instanceof Failure ? error.lines : [messageOf(error)]) {
    tell("error", line, { status, stack });
  }
  process.exitCode = status;
}

/** Reads what a flag was given, or else its variable, where the others cannot be read: the last one counts. */
function given(flag: string, args: readonly string[]): string | undefined {
  const found = [...args.join("\0").matchAll(new RegExp(`(?<=^|\0)--${flag}[=\0]([^\0]*)`, "g"))].at(-1);
  return found?.[1] ?? process.env[`PONGD_${flag.toUpperCase().replaceAll("-", "_")}`];
}
