/** Reads a file's bytes as text: a bounded number of them, in UTF-8, with line ends of any kind. */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { EXIT, Failure, messageOf } from "../base/failure.js";

/** Largest file that is read. 100,000 prefixes with every key and a comment take 20 MB. */
const MAX_BYTES = 24 << 20;
/** Bytes that are read at a time from what has no size. */
const CHUNK_LEN = 1 << 16;

/**
 * Returns a full path, which stays valid in any directory, and when the working directory is gone.
 * @throws Failure (configuration) if the working directory is gone already
 */
export function absolute(name: string): string {
  try {
    return resolve(name);
  } catch (error) {
    throw new Failure(
      `${name}: the working directory, which it lies in, is gone`,
      EXIT.CONFIG,
      { mend: "give the file's full path", cause: error },
    );
  }
}

/**
 * Refuses a pipe and the like. A reload, or the process image without privileges, would read it again and wait in vain.
 * @throws Failure (configuration)
 */
export function checkRegular(name: string, path = name): void {
  const stat = attempt(name, () => statSync(path, { throwIfNoEntry: false }));
  if (stat?.isFile() === false) throw notRegular(name);
  if (stat && stat.size > MAX_BYTES) throw tooLarge(name, MAX_BYTES);
}

function attempt<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Failure(`${name}: cannot be read: ${messageOf(error)}`, EXIT.CONFIG, { cause: error });
  }
}

function notRegular(name: string): Failure {
  return new Failure(`${name}: not a regular file, and so not to be read a second time; write it to one`, EXIT.CONFIG);
}

function tooLarge(name: string, most: number, kind = "configuration"): Failure {
  const size = most >= 1 << 20 ? `${most >> 20} MiB` : `${most >> 10} KiB`;
  return new Failure(`${name}: larger than ${size}, which no ${kind} is`, EXIT.CONFIG);
}

/**
 * Reads a whole file, which must be a regular one by the time that it is open: it never waits for a writer. `kind` says
 * in messages what it holds.
 * @throws Failure (configuration)
 */
export function readRegular(name: string, path: string, most = MAX_BYTES, kind?: string): Buffer {
  const fd = attempt(name, () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  try {
    if (!attempt(name, () => fstatSync(fd)).isFile()) throw notRegular(name);
    return readBytes(name, fd, most, kind);
  } finally {
    closeSync(fd);
  }
}

/** Reads a whole file. `path` is its path, or its descriptor if it is open. @throws Failure (configuration) */
export function readBytes(name: string, path: string | number, most = MAX_BYTES, kind?: string): Buffer {
  const chunks: Buffer[] = [];
  let total = 0;
  attempt(name, () => {
    const fd = typeof path === "number" ? path : openSync(path, "r");
    try {
      // A file whose size is known fits into the first chunk.
      const { size } = fstatSync(fd);
      for (let read = -1; read !== 0 && total <= most; total += read) {
        const chunk = Buffer.allocUnsafe(total === 0 ? Math.min(size, most) + CHUNK_LEN : CHUNK_LEN);
        read = readSync(fd, chunk);
        chunks.push(chunk.subarray(0, read));
      }
    } finally {
      if (typeof path === "string") closeSync(fd);
    }
  });
  if (total > most) throw tooLarge(name, most, kind);
  return chunks[0].length === total ? chunks[0] : Buffer.concat(chunks);
}

/** @throws Failure (configuration), with the place, if the bytes are not UTF-8 */
export function decode(name: string, bytes: Uint8Array): string {
  try {
    return withLineFeeds(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    const before = withLineFeeds(new TextDecoder().decode(bytes).replace(/\ufffd.*/s, "")).split("\n");
    throw new Failure(`${name}:${before.length}:${before[before.length - 1].length + 1}: not UTF-8; expected a text `
      + "file in that encoding", EXIT.CONFIG, { cause: error });
  }
}

/**
 * Makes every line end a line feed. YAML counts a lone carriage return as one (1.2.2 §5.4); the package yaml does not.
 */
export function withLineFeeds(text: string): string {
  return text.replace(/\r\n?/g, "\n");
}
