/** The command line. A command's work is loaded when it runs: `doctor` and `--help` must do where the FFI does not load. */
import { setImmediate } from "node:timers/promises";
import { CommanderError } from "commander";
import { createProgram, withCommands } from "./program.js";
import { forgetEmptyVariables } from "./settings.js";
import { invoked, usageLine } from "./usage.js";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { onWarning, speak, tell } from "../base/log.js";

/** Reads what a flag was given, or else its variable, where the others cannot be read: the last one counts. */
function given(flag: string): string | undefined {
  const found = [...process.argv.slice(2).join("\0").matchAll(new RegExp(`(?<=^|\0)--${flag}[=\0]([^\0]*)`, "g"))].at(-1);
  return found?.[1] ?? process.env[`PONGD_${flag.toUpperCase().replaceAll("-", "_")}`];
}

/** A line for each thing that is wrong, and the stack only for whoever debugs. */
function fail(error: unknown): void {
  const exitStatus = error instanceof Error && "exitStatus" in error ? error.exitStatus : undefined;
  const status = typeof exitStatus === "number" ? exitStatus : EXIT.RUNTIME;
  const debug = given("log-level") === "debug";
  const stack = debug && error instanceof Error ? error.stack?.match(/^ {4}at .*/gm) ?? undefined : undefined;
  for (const line of error instanceof Failure ? error.lines : [messageOf(error)]) tell("error", line, { status, stack });
  process.exitCode = status;
}

/** Closes the debugger where SIGUSR1 came before cli.ts took the signal from it. Whoever asks for it by a flag of Node.js keeps it. */
async function closeDebugger(): Promise<void> {
  // Node.js opens it twice for one signal: when that interrupts JavaScript, and from the event loop.
  await setImmediate();
  const asked = [...process.execArgv, process.env.NODE_OPTIONS ?? ""].some((text) => text.includes("--inspect"));
  // Some builds of Node.js have none.
  const inspector = process.getBuiltinModule("node:inspector") as typeof import("node:inspector") | undefined;
  if (!asked && inspector?.url() !== undefined) inspector.close();
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

onWarning((message) => { tell("warn", message); });
await closeDebugger();

forgetEmptyVariables();
const program = createProgram();
// The file may say so too: `run` knows when it has read it.
if (invoked(program, process.argv.slice(2)) === "pongd run" && given("log-format") === "json") speak("json");
for (const command of withCommands(program)) command.exitOverride().configureOutput({ outputError: () => undefined });

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) {
    fail(error);
  } else if (error.exitCode !== 0) {
    // Help that was not asked for has been printed already; it says all.
    if (error.code !== "commander.help") tell("error", usageLine(error, program, process.argv.slice(2)), { status: EXIT.USAGE });
    process.exitCode = EXIT.USAGE;
  }
}
