/**
 * The command line as a process. A command's work is loaded when it runs: `doctor` and `--help` must do where the FFI
 * does not load.
 */
import { setImmediate } from "node:timers/promises";
import { onWarning, tell } from "../base/log.js";
import { execute, fail } from "./execute.js";

const args = process.argv.slice(2);

/**
 * Closes the debugger where SIGUSR1 came before cli.ts took the signal from it. Whoever asks for it by a flag of
 * Node.js keeps it.
 */
async function closeDebugger(): Promise<void> {
  // Node.js opens it twice for one signal: when that interrupts JavaScript, and from the event loop.
  await setImmediate();
  const asked = [...process.execArgv, process.env.NODE_OPTIONS ?? ""].some((text) => text.includes("--inspect"));
  // Some builds of Node.js have none.
  const inspector = process.getBuiltinModule("node:inspector") as typeof import("node:inspector") | undefined;
  if (!asked && inspector?.url() !== undefined) inspector.close();
}

// Whoever read the output may leave; the packets go on. A full disk is another matter, though no reason to stop them
// either.
process.stderr.on("error", () => undefined);
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") fail(new Error(`standard output: ${error.message}`), args);
});
process.on("uncaughtException", (error) => {
  fail(error, args);
  process.exit();
});

onWarning((message) => { tell("warn", message); });
await closeDebugger();

await execute(args);
