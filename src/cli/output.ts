/** A file that a command writes at its end: whole or not at all, and what was there before stays until then. */
import { existsSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { EXIT, Failure, messageOf } from "../failure.js";

/** Not only after minutes of work. @throws Failure (usage) for a path that cannot be written. */
export function checkWritable(path: string): void {
  try {
    if (path === "") throw new Error("a path is needed");
    if (existsSync(path) && statSync(path).isDirectory()) throw new Error(`${path} is a directory`);
    if (!isSpecial(path)) {
      writeFileSync(beside(path), "");
      rmSync(beside(path));
    }
  } catch (error) {
    throw new Failure(`"${path}" cannot be written: ${messageOf(error)}`, EXIT.USAGE);
  }
}

/** @throws Failure where it cannot be written; what was there is then still there. */
export function writeWhole(path: string, text: string): void {
  try {
    if (isSpecial(path)) {
      writeFileSync(path, text);
      return;
    }
    writeFileSync(beside(path), text);
    renameSync(beside(path), path);
  } catch (error) {
    rmSync(beside(path), { force: true });
    throw new Failure(`"${path}" could not be written: ${messageOf(error)}`, EXIT.RUNTIME);
  }
}

/** A device or a pipe: nothing to replace. */
function isSpecial(path: string): boolean {
  return existsSync(path) && !statSync(path).isFile();
}

function beside(path: string): string {
  return `${path}.${process.pid}.tmp`;
}
