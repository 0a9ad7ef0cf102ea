/** Makes folders of certificates, and hashes of passwords. */
import { X509Certificate } from "node:crypto";
import { mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hashSync } from "bcryptjs";
import type { Pair } from "./x509.js";

/** A folder for certificates, which is removed after the test. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), "pongd-web-"));

  file(name: string): string {
    return join(this.path, name);
  }

  /** Writes a file there, and replaces an older one in a single step. */
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

/** Hashes at the lowest cost, so that tests are quick. */
export function hash(password: string): string {
  return hashSync(password, 4);
}
