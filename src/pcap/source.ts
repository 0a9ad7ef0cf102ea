/**
 * The bytes of a capture, read chunk by chunk. It hands out whole items, or a Failure that says where the bytes end. It
 * holds one item and one chunk in memory, however long the capture is.
 */
import { EXIT, Failure, messageOf } from "../base/failure.js";

/** Says that a capture cannot be read from some byte on. Everything before that byte has been read. */
export class Damage extends Failure {
  constructor(what: string, options: { cause?: unknown } = {}) {
    super(what, EXIT.RUNTIME, options);
  }
}

/** Thrown by chunks that somebody has ended. No more bytes come, even if an item is cut short. */
export class Stopped extends Error {
  override readonly name = "Stopped";
}

export class Source {
  readonly #chunks: AsyncIterator<Uint8Array>;
  /** Name of the capture, for messages. */
  readonly name: string;
  /** Bytes of the chunks so far that have not been taken. */
  #buffer: Uint8Array = new Uint8Array(0);
  #offset = 0;

  constructor(chunks: AsyncIterable<Uint8Array>, name: string) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.name = name;
  }

  /** Bytes taken so far, which is the offset of the next one in the capture. */
  get offset(): number {
    return this.#offset;
  }

  /** Returns whether all bytes have been taken. @throws Failure */
  async atEnd(): Promise<boolean> {
    return await this.#fill(1) === 0;
  }

  /**
   * Returns the next `length` bytes without taking them; fewer if the capture ends. They are not
   * overwritten later. @throws Failure
   */
  async head(length: number): Promise<Uint8Array> {
    await this.#fill(length);
    return this.#buffer.subarray(0, length);
  }

  /**
   * Returns the first `length` bytes of the item at `at` without taking them. They are not overwritten later.
   * @throws Failure where the capture ends sooner.
   */
  async peek(length: number, item: string, at = this.#offset): Promise<DataView> {
    if (await this.#fill(length) < length) {
      throw this.fault(`ends at byte ${this.#offset + this.#buffer.length}, within ${item}`, at);
    }
    return new DataView(this.#buffer.buffer, this.#buffer.byteOffset, length);
  }

  /** Takes `length` bytes of the item at `at`. @throws Failure where the capture ends sooner. */
  async take(length: number, item: string, at = this.#offset): Promise<DataView> {
    const taken = await this.peek(length, item, at);
    this.#advance(length);
    return taken;
  }

  /** Takes the available bytes, at most `length`; none at the end. They are not overwritten later. @throws Failure */
  async takeSome(length: number): Promise<Uint8Array> {
    await this.#fill(1);
    const taken = this.#buffer.subarray(0, length);
    this.#advance(taken.length);
    return taken;
  }

  /** Skips any number of bytes without holding them in memory. @throws Failure where the capture ends sooner. */
  async skip(length: number, item: string): Promise<void> {
    const at = this.#offset;
    for (let left = length; left > 0;) {
      await this.peek(1, item, at);
      const skipped = Math.min(left, this.#buffer.length);
      this.#advance(skipped);
      left -= skipped;
    }
  }

  /** Ends the chunks early. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  /**
   * Returns an error about the item at byte `at`. An error in the first item means that this is no capture, and `mend`
   * may be the command that makes one of it.
   */
  fault(what: string, at: number, mend?: string): Failure {
    if (at > 0) return new Damage(`${this.name} is damaged: it ${what} at byte ${at}`);
    return new Failure(`${this.name} is not a capture that can be read: it ${what}`, EXIT.RUNTIME, { mend });
  }

  #advance(length: number): void {
    this.#buffer = this.#buffer.subarray(length);
    this.#offset += length;
  }

  /** Reads until the buffer has at least `length` bytes or the capture ends. Returns how many bytes it has. */
  async #fill(length: number): Promise<number> {
    if (this.#buffer.length >= length) return this.#buffer.length;
    const parts = this.#buffer.length > 0 ? [this.#buffer] : [];
    let held = this.#buffer.length;
    while (held < length) {
      const chunk = await this.#next(held);
      if (chunk === undefined) break;
      parts.push(chunk);
      held += chunk.length;
    }
    this.#buffer = parts.length === 1 ? parts[0] : Buffer.concat(parts);
    return held;
  }

  /** @throws Failure where nothing can be read; Damage where only the rest cannot be read; Stopped. */
  async #next(held: number): Promise<Uint8Array | undefined> {
    try {
      const next: IteratorResult<Uint8Array, unknown> = await this.#chunks.next();
      return next.done === true ? undefined : next.value;
    } catch (error) {
      throw this.#unreadable(error, this.#offset + held);
    }
  }

  /** Converts an error of the chunks at byte `end` into the one to throw. */
  #unreadable(error: unknown, end: number): Error {
    if (error instanceof Stopped && end === 0) {
      return new Failure(`nothing came from ${this.name} before it was interrupted`, EXIT.RUNTIME);
    }
    if (error instanceof Damage && end === 0) return new Failure(error.what, EXIT.RUNTIME, { cause: error });
    if (error instanceof Stopped || error instanceof Failure) return error;
    if (end === 0) return new Failure(`the capture cannot be read: ${messageOf(error)}`, EXIT.USAGE, { cause: error });
    return new Damage(`${this.name} could not be read beyond byte ${end}: ${messageOf(error)}`, { cause: error });
  }
}
