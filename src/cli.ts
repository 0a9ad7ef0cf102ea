#!/usr/bin/env node
/** The command line. A command's work is loaded when it runs: `doctor` and `--help` must do where the FFI does not load. */
import { CommanderError } from "commander";
import { createProgram, withCommands } from "./cli/program.js";
import { forgetEmptyVariables } from "./cli/settings.js";
import { usageLine } from "./cli/usage.js";
import { EXIT, Failure, messageOf, oneLine } from "./failure.js";

/** A line for each thing that is wrong, and the stack only for whoever debugs. */
function fail(error: unknown): void {
  const debug = /--log-level[= ]debug/.test(process.argv.join(" "));
  const lines = debug && error instanceof Error ? [error.stack] : error instanceof Failure ? error.lines : [oneLine(messageOf(error))];
  for (const line of lines) process.stderr.write(`pongd: ${line}\n`);
  const status = error instanceof Error && "exitStatus" in error ? error.exitStatus : undefined;
  process.exitCode = typeof status === "number" ? status : EXIT.RUNTIME;
}

// Whoever read the output may leave; the packets go on. A full disk is another matter, though no reason to stop them either.
process.stderr.on("error", () => undefined);
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") fail(new Error(`standard output: ${error.message}`));
});
process.on("uncaughtException", (error) => {
  fail(error);
  process.exit();
});

forgetEmptyVariables();
const program = createProgram();
for (const command of withCommands(program)) command.exitOverride().configureOutput({ outputError: () => undefined });

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) {
    fail(error);
  } else if (error.exitCode !== 0) {
    // Help that was not asked for has been printed already; it says all.
    if (error.code !== "commander.help") process.stderr.write(`pongd: ${usageLine(error, program, process.argv.slice(2))}\n`);
    process.exitCode = EXIT.USAGE;
  }
}
