/** Writes files for readers that read from files. Their names stay the same, so that messages do, too. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export class Folder {
  readonly #dir = mkdtempSync(join(tmpdir(), "pongd-fuzz-"));

  /** Writes a file, and returns its path. */
  write(name: string, content: Uint8Array | string): string {
    const path = join(this.#dir, name);
    writeFileSync(path, content);
    return path;
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true });
  }
}
