/**
 * Compares passwords with bcrypt hashes on a thread, one at a time. Each takes a tenth of a second and more, by design.
 */
import { parentPort } from "node:worker_threads";
import { compareSync } from "bcryptjs";

export interface Comparison {
  readonly password: string;
  readonly hash: string;
}

parentPort?.on("message", ({ password, hash }: Comparison) => {
  parentPort?.postMessage(compareSync(password, hash));
});
