/**
 * Destination of a command's result. A regular file is written beside its target under a temporary name and
 * renamed when it is complete. So a failure leaves no partial file, and an existing file survives it. Anything
 * else is written directly.
 */
import { randomUUID } from "node:crypto";
import { closeSync, constants, openSync, rmSync } from "node:fs";
import { access, open, realpath, rename, stat, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Writable } from "node:stream";
import { EXIT, Failure, messageOf } from "./failure.js";

export interface Output {
  /** Resolves when there is room for more. @throws Failure */
  write(bytes: Uint8Array): Promise<void>;
  /** Completes the output after the last write. @throws Failure */
  commit(): Promise<void>;
  /** Gives up the output after a failure. Does nothing after commit(). */
  discard(): Promise<void>;
}

/** Opens a file for output. @throws Failure (usage) where it cannot be written. */
export async function openFile(path: string): Promise<Output> {
  try {
    if (path === "") throw new Error("a path is needed");
    const there = await stat(path).catch(() => undefined);
    // The kernel refuses a directory here. A device or a pipe has to stay what it is.
    if (there && !there.isFile()) return new InPlace(await open(path, "w"));
    if (there) await access(path, constants.W_OK);
    // A symbolic link stays a link: its target is replaced.
    const target = there ? await realpath(path) : path;
    const temporary = join(dirname(target), `.pongd-${randomUUID()}`);
    // Created synchronously: a signal must not come while the file exists and nobody would remove it.
    closeSync(openSync(temporary, "wx"));
    const remove = () => { rmSync(temporary, { force: true }); };
    process.once("exit", remove);
    // "r+" does not create the file again if a signal has removed it meanwhile.
    const file = await open(temporary, "r+");
    if (there) await file.chmod(there.mode & 0o777);
    return new Replacement(file, temporary, target, remove);
  } catch (error) {
    throw new Failure(`"${path}" cannot be written: ${messageOf(error)}`, EXIT.USAGE, { cause: error });
  }
}

/** Writes a file as a whole, or not at all. */
export async function writeFile(file: string, text: string): Promise<void> {
  const output = await openFile(file);
  try {
    await output.write(Buffer.from(text));
    await output.commit();
  } finally {
    await output.discard();
  }
}

/** Returns an output that writes to standard output as bytes come. */
export function openStream(stream: Writable): Output {
  return {
    write: (bytes) => new Promise<void>((resolve, reject) => {
      stream.write(bytes, (error) => {
        if (error) reject(unwritten(error));
        else resolve();
      });
    }),
    commit: () => Promise.resolve(),
    discard: () => Promise.resolve(),
  };
}

class InPlace implements Output {
  constructor(protected readonly file: FileHandle) {}

  async write(bytes: Uint8Array): Promise<void> {
    // writeFile() continues where the last write ended, and writes all bytes.
    await this.file.writeFile(bytes).catch(rethrow);
  }

  async commit(): Promise<void> {
    await this.file.close().catch(rethrow);
  }

  async discard(): Promise<void> {
    // Errors do not matter here: the output is given up.
    await this.file.close().catch(() => undefined);
  }
}

class Replacement extends InPlace {
  readonly #temporary: string;
  readonly #target: string;
  /** Removes the temporary file however the process ends, short of SIGKILL. */
  readonly #remove: () => void;

  constructor(file: FileHandle, temporary: string, target: string, remove: () => void) {
    super(file);
    this.#temporary = temporary;
    this.#target = target;
    this.#remove = remove;
  }

  override async commit(): Promise<void> {
    await super.commit();
    await rename(this.#temporary, this.#target).catch(rethrow);
  }

  override async discard(): Promise<void> {
    await super.discard();
    process.off("exit", this.#remove);
    this.#remove();
  }
}

function rethrow(error: unknown): never {
  throw unwritten(error);
}

function unwritten(error: unknown): Failure {
  return new Failure(`the output could not be written: ${messageOf(error)}`, EXIT.RUNTIME, { cause: error });
}
