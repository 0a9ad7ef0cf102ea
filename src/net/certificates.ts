/**
 * Certificates for TLS, from pairs of files, chosen by the names in the certificates themselves. Files are looked at
 * whenever somebody connects, and read again if they have changed. A pair that does not do then leaves the one before.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { Sources } from "../base/sources.js";

/** Paths of two files in PEM: a certificate, with those between it and an authority behind it, and its private key. */
export interface PairFiles {
  readonly cert: string;
  readonly key: string;
}

/** Largest file that is read. */
const MAX_BYTES = 1 << 20;

interface Loaded {
  readonly certificate: X509Certificate;
  readonly options: SecureContextOptions;
  readonly context: SecureContext;
}

export class Certificates {
  readonly #pairs: readonly Pair[];

  /**
   * `log` takes a line when a pair that has changed does not do.
   * @throws Failure (configuration) if one does not do at the start
   */
  constructor(files: readonly PairFiles[], log: (line: string) => void) {
    if (files.length === 0) throw new Failure("TLS needs a certificate", EXIT.CONFIG);
    this.#pairs = files.map((pair) => new Pair(pair, log));
  }

  /** Reads again what has changed. */
  refresh(): void {
    for (const pair of this.#pairs) pair.refresh();
  }

  /** Options for clients that ask for no name. It is another object once its pair has changed. */
  get unnamed(): SecureContextOptions {
    return this.#pairs[0].loaded.options;
  }

  /** Returns the context for a name: that of the certificate that has it, or matches it by a wildcard, or the first. */
  for(name: string): SecureContext {
    const matches = this.#pairs.map(({ loaded }) => ({ loaded, match: loaded.certificate.checkHost(name) }));
    const found = matches.find(({ match }) => match?.toLowerCase() === name.toLowerCase())
      ?? matches.find(({ match }) => match !== undefined)
      ?? matches[0];
    return found.loaded.context;
  }
}

class Pair {
  readonly #files: PairFiles;
  readonly #log: (line: string) => void;
  loaded: Loaded;
  #sources = new Sources();

  constructor(files: PairFiles, log: (line: string) => void) {
    this.#files = files;
    this.#log = log;
    this.loaded = this.#read();
  }

  refresh(): void {
    if (!this.#sources.changed) return;
    try {
      this.loaded = this.#read();
    } catch (error) {
      this.#log(`${messageOf(error)}; the certificate stays as it was`);
    }
  }

  /** @throws Failure (configuration) */
  #read(): Loaded {
    const { cert: certFile, key: keyFile } = this.#files;
    const sources = this.#sources = new Sources();
    const [cert, key] = [read(certFile, sources), read(keyFile, sources)];
    const certificate = attempt(`${certFile}: no certificate in PEM`, () => new X509Certificate(cert));
    const secret = attempt(`${keyFile}: no private key in PEM, or one with a passphrase`, () => createPrivateKey(key));
    if (!certificate.checkPrivateKey(secret)) {
      throw new Failure(`${keyFile}: not the private key of the certificate in ${certFile}`, EXIT.CONFIG);
    }
    const options: SecureContextOptions = { cert, key, minVersion: "TLSv1.2", honorCipherOrder: true };
    const context = attempt(`${certFile}: this does not do for TLS`, () => createSecureContext(options));
    return { certificate, options, context };
  }
}

/** Reads a regular file, as it is by the time that it is open. @throws Failure (configuration) */
function read(file: string, sources: Sources): Buffer {
  sources.visit(file);
  return attempt(`${file}: cannot be read`, () => {
    const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw new Error("not a regular file");
      if (stat.size > MAX_BYTES) throw new Error(`larger than ${MAX_BYTES >> 20} MiB`);
      return readFileSync(fd);
    } finally {
      closeSync(fd);
    }
  });
}

/** @throws Failure (configuration) which says `what`, and why */
function attempt<T>(what: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw new Failure(`${what}: ${messageOf(error)}`, EXIT.CONFIG, { cause: error });
  }
}
