/**
 * Where a command's result goes. A regular file takes its name only when it is complete: until then it lies beside it
 * under another, so that a failure leaves no half of it and an older file of that name stays as it is. Anything else is
 * written as it comes.
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
  /** All was written. @throws Failure */
  commit(): Promise<void>;
  /** After a failure, and harmless after commit(). */
  discard(): Promise<void>;
}

/** @throws Failure (usage) where it cannot be written. */
export async function openFile(path: string): Promise<Output> {
  try {
    if (path === "") throw new Error("a path is needed");
    const there = await stat(path).catch(() => undefined);
    // A directory is refused here, by the kernel. A device or a pipe has to stay what it is.
    if (there && !there.isFile()) return new InPlace(await open(path, "w"));
    if (there) await access(path, constants.W_OK);
    // A link to a file stays one.
    const target = there ? await realpath(path) : path;
    const temporary = join(dirname(target), `.pongd-${randomUUID()}`);
    // At once, so that no signal finds the file there and nobody to remove it.
    closeSync(openSync(temporary, "wx"));
    const remove = () => { rmSync(temporary, { force: true }); };
    process.once("exit", remove);
    // Not to be made again, where a signal has removed it meanwhile.
    const file = await open(temporary, "r+");
    if (there) await file.chmod(there.mode & 0o777);
    return new Replacement(file, temporary, target, remove);
  } catch (error) {
    throw new Failure(`"${path}" cannot be written: ${messageOf(error)}`, EXIT.USAGE, { cause: error });
  }
}

/** Standard output. */
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
    // From where the last one ended, and all of it.
    await this.file.writeFile(bytes).catch(rethrow);
  }

  async commit(): Promise<void> {
    await this.file.close().catch(rethrow);
  }

  async discard(): Promise<void> {
    // Only where it was not committed, and then nothing is to be kept.
    await this.file.close().catch(() => undefined);
  }
}

class Replacement extends InPlace {
  readonly #temporary: string;
  readonly #target: string;
  /** However the process ends, short of SIGKILL. */
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
