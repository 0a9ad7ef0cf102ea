/**
 * Runs command lines of pongd one after the other in a single process, which takes milliseconds instead of a fifth of a
 * second each. Other tests start processes to see how pongd begins and ends as one.
 */
import { fork, type ChildProcess } from "node:child_process";
import { after } from "node:test";
import { source } from "./assembly.js";
import type { Ended } from "./execute.js";
import "./process.js";

/** The longest that a command may take: one that serves instead of ending fails then. */
const MAX_RUN_MS = 30_000;

let child: ChildProcess | undefined;
// The child then ends by itself, so that npm run coverage counts what it has run.
after(() => { child?.disconnect(); });

/**
 * Runs `pongd` with these arguments. Await each call before the next one.
 * @throws Error where the process ends, or the command does not.
 */
export async function pongd(...args: string[]): Promise<Ended> {
  const running = child ??= fork(
    source("build/test/support/execute.js"), { stdio: ["ignore", "ignore", "inherit", "ipc"] },
  );
  const command = `pongd ${args.join(" ")}`;
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Ended>((resolve, reject) => {
      running.once("message", resolve).once("error", reject);
      running.once("exit", (code, signal) => { reject(new Error(`${command} ended its process: ${code ?? signal}`)); });
      timer = setTimeout(() => { reject(new Error(`${command} does not end`)); }, MAX_RUN_MS);
      running.send(args);
    });
  } catch (error) {
    running.kill("SIGKILL");
    child = undefined;
    throw error;
  } finally {
    clearTimeout(timer);
    for (const event of ["message", "error", "exit"]) running.removeAllListeners(event);
  }
}
