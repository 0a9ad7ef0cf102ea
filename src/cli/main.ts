/**
 * The command line as a process. Each command loads its work only when it runs, so that `doctor` and `--help` work even
 * if the FFI does not load.
 */
import { setImmediate } from "node:timers/promises";
import { onWarning, tell } from "../base/log.js";
import { execute, fail } from "./execute.js";

const args = process.argv.slice(2);

/**
 * Closes the debugger that a SIGUSR1 opened before cli.ts took the signal over. A debugger that was asked for by a flag
 * of Node.js stays open.
 */
async function closeDebugger(): Promise<void> {
  // Node.js opens the debugger twice for one signal: when the signal interrupts JavaScript, and from the event loop.
  await setImmediate();
  const asked = [...process.execArgv, process.env.NODE_OPTIONS ?? ""].some((text) => text.includes("--inspect"));
  // Some builds of Node.js have no inspector.
  const inspector = process.getBuiltinModule("node:inspector") as typeof import("node:inspector") | undefined;
  if (!asked && inspector?.url() !== undefined) inspector.close();
}

// If the reader of standard output goes away, pongd goes on answering and says nothing. Any other error, such as a full
// disk, is reported, but does not stop it either.
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
