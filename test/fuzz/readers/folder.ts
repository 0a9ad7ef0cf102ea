/** A file for what is read from files: of one name, so that messages are the same each time. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export class Folder {
  readonly #dir = mkdtempSync(join(tmpdir(), "pongd-fuzz-"));

  /** Returns its path. */
  write(name: string, content: Uint8Array | string): string {
    const path = join(this.#dir, name);
    writeFileSync(path, content);
    return path;
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true });
  }
}
