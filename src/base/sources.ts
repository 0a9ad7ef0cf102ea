import { statSync } from "node:fs";

/** Files that something was read from, which say when it has to be read again. */
export class Sources {
  readonly #prints = new Map<string, string>();

  /** Notes a file. Called before the file is read, so that one that changes meanwhile is read again. */
  visit(file: string): void {
    if (!this.#prints.has(file)) this.#prints.set(file, printOf(file));
  }

  /** True if one of the files is no longer as it was. */
  get changed(): boolean {
    return Array.from(this.#prints).some(([file, print]) => printOf(file) !== print);
  }
}

/** Returns a fingerprint that changes when the file is written or replaced, or its permissions change. */
function printOf(file: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}
