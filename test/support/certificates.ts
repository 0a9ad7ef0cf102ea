/** Certificates by openssl(1), and passwords' hashes. */
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hashSync } from "bcryptjs";
import { needsCommands } from "./netns.js";

export const needsOpenssl = needsCommands("openssl");

/** A certificate and its key, in PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

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

  /** A new certificate with these names (`DNS:a,IP:127.0.0.1`), by `issuer`, or by itself. */
  certificate(names: string, issuer?: Pair): Pair {
    const [cert, key] = [this.file("made.crt"), this.file("made.key")];
    if (issuer) this.writePair("issuer", issuer);
    execFileSync("openssl", [
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", `/CN=${names.replaceAll(/[^\w.]/g, "-")}`,
      "-addext", `subjectAltName=${names}`, "-keyout", key, "-out", cert, ...issuer ? ["-CA", this.file("issuer.crt"), "-CAkey", this.file("issuer.key")] : [],
    ], { stdio: "ignore" });
    return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
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
