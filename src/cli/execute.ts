/** Runs one command line, and reports on standard error why it failed. main.ts does what concerns the whole process. */
import { CommanderError } from "commander";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { speak, tell } from "../base/log.js";
import { createProgram, withCommands } from "./program.js";
import { forgetEmptyVariables } from "./settings.js";
import { invoked, usageLine } from "./usage.js";

/**
 * Runs a command, and sets the exit status if it fails. A command may also set the status by itself. `args` are the
 * words after the program's name.
 */
export async function execute(args: readonly string[]): Promise<void> {
  forgetEmptyVariables();
  const program = createProgram();
  // The file may choose the format too. `run` then switches to it once it has read the file.
  if (invoked(program, args) === "pongd run" && given("log-format", args) === "json") speak("json");
  for (const command of withCommands(program)) command.exitOverride().configureOutput({ outputError: () => undefined });

  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      fail(error, args);
    } else if (error.exitCode !== 0) {
      // If commander printed the help instead of an error, that says it all.
      if (error.code !== "commander.help") tell("error", usageLine(error, program, args), { status: EXIT.USAGE });
      process.exitCode = EXIT.USAGE;
    }
  }
}

/** Writes a line for each problem, and the stack if the log level is debug, and sets the exit status. */
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

/**
 * Reads one flag, or its variable, from the raw command line, for use when that cannot be parsed. The last one counts.
 */
function given(flag: string, args: readonly string[]): string | undefined {
  const found = [...args.join("\0").matchAll(new RegExp(`(?<=^|\0)--${flag}[=\0]([^\0]*)`, "g"))].at(-1);
  return found?.[1] ?? process.env[`PONGD_${flag.toUpperCase().replaceAll("-", "_")}`];
}
