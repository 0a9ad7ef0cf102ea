/** Reads a capture's bytes from a file, which is read to its end, or from a pipe or the like, which a signal ends. */
import { constants, createReadStream, fstatSync, openSync, statSync } from "node:fs";
import { Socket } from "node:net";
import { addAbortSignal, type Readable } from "node:stream";
import { Stopped } from "../pcap/source.js";

/** Bytes read from a file at a time. */
const CHUNK_LEN = 262144;
/**
 * Time in ms for which a pipe is read on after a signal. Ctrl-C reaches a whole pipeline, and tcpdump then still writes
 * the packets that it holds.
 */
const FINISH_MS = 1000;

export class Input {
  readonly #path: string | undefined;
  readonly #abort = new AbortController();
  #isFile = false;

  /** Reads standard input if no path is given. */
  constructor(path?: string) {
    this.#path = path;
  }

  /**
   * Opens the input when the first chunk is asked for: nobody would catch an earlier error.
   * @throws Stopped after stop(); an Error in its place if the input is a file.
   */
  async* chunks(): AsyncGenerator<Uint8Array> {
    try {
      yield* addAbortSignal(this.#abort.signal, this.#open()) as AsyncIterable<Uint8Array>;
    } catch (error) {
      if (!this.#abort.signal.aborted) throw error;
      throw this.#isFile ? new Error("interrupted") : new Stopped();
    }
  }

  /** Ends a file at once, and any other input within FINISH_MS. */
  stop(): void {
    if (this.#isFile) this.#abort.abort();
    else setTimeout(() => { this.#abort.abort(); }, FINISH_MS).unref();
  }

  #open(): Readable {
    const stats = this.#path === undefined ? fstatSync(process.stdin.fd) : statSync(this.#path);
    this.#isFile = stats.isFile();
    if (this.#path === undefined) return process.stdin;
    // A file stream that waits for a pipe's writer can be neither closed nor left behind when the process ends.
    if (stats.isFIFO()) {
      return new Socket({ fd: openSync(this.#path, constants.O_RDONLY | constants.O_NONBLOCK), writable: false });
    }
    return createReadStream(this.#path, { highWaterMark: CHUNK_LEN });
  }
}
