/**
 * Runs as the process behind commands.ts: each message from its parent is a command line, and each answer how it ended.
 */
import { execute } from "../../src/cli/execute.js";

export interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const written = { stdout: "", stderr: "" };
for (const name of ["stdout", "stderr"] as const) {
  process[name].write = (text: string | Uint8Array) => {
    written[name] += String(text);
    return true;
  };
}

process.on("message", (args: string[]) => {
  void execute(args).then(() => {
    process.send?.({ status: Number(process.exitCode ?? 0), ...written } satisfies Ended);
    process.exitCode = undefined;
    written.stdout = written.stderr = "";
  });
});
