/** Certificates in a folder, and passwords' hashes. */
import { X509Certificate } from "node:crypto";
import { mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hashSync } from "bcryptjs";
import type { Pair } from "./x509.js";

/** A folder with certificates, which goes with the test. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), "pongd-web-"));

  file(name: string): string {
    return join(this.path, name);
  }

  /** Puts a file there at once, in the place of an older one. */
  write(name: string, text: string): string {
    writeFileSync(this.file(`${name}.new`), text);
    renameSync(this.file(`${name}.new`), this.file(name));
    return this.file(name);
  }

  /** Writes a pair as NAME.crt and NAME.key. */
  writePair(name: string, { cert, key }: Pair): void {
    this.write(`${name}.crt`, cert);
    this.write(`${name}.key`, key);
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true });
  }
}

export function fingerprint({ cert }: Pair): string {
  return new X509Certificate(cert).fingerprint256;
}

/** At the lowest cost, so that tests are quick. */
export function hash(password: string): string {
  return hashSync(password, 4);
}
