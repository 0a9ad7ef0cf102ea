/**
 * The bytes of a capture, chunk by chunk as they come: whole items or a Failure that says where they end. What is held
 * is one item and one chunk, however long the capture is.
 */
import { EXIT, Failure, messageOf } from "../base/failure.js";

/** The capture cannot be read on from some byte; what came before it was read. */
export class Damage extends Failure {
  constructor(what: string, options: { cause?: unknown } = {}) {
    super(what, EXIT.RUNTIME, options);
  }
}

/** What chunks throw where somebody has ended them: all that is to come has come, even if an item is cut short. */
export class Stopped extends Error {
  override readonly name = "Stopped";
}

export class Source {
  readonly #chunks: AsyncIterator<Uint8Array>;
  /** The capture's, for messages. */
  readonly name: string;
  /** What of the chunks so far has not been taken. */
  #buffer: Uint8Array = new Uint8Array(0);
  #offset = 0;

  constructor(chunks: AsyncIterable<Uint8Array>, name: string) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.name = name;
  }

  /** Bytes taken so far: where the next one lies in the capture. */
  get offset(): number {
    return this.#offset;
  }

  /** Whether all was taken. @throws Failure */
  async atEnd(): Promise<boolean> {
    return await this.#fill(1) === 0;
  }

  /** The next `length` bytes, not taken, fewer only where the capture ends. They stay as they are. @throws Failure */
  async head(length: number): Promise<Uint8Array> {
    await this.#fill(length);
    return this.#buffer.subarray(0, length);
  }

  /**
   * The first `length` bytes of the item at `at`, not taken yet. They stay as they are. @throws Failure where the
   * capture ends sooner.
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

  /** Takes what there is, at most `length` bytes; none at the end. They stay as they are. @throws Failure */
  async takeSome(length: number): Promise<Uint8Array> {
    await this.#fill(1);
    const taken = this.#buffer.subarray(0, length);
    this.#advance(taken.length);
    return taken;
  }

  /** Takes `length` bytes, any number of them, and forgets them. @throws Failure where the capture ends sooner. */
  async skip(length: number, item: string): Promise<void> {
    const at = this.#offset;
    for (let left = length; left > 0;) {
      await this.peek(1, item, at);
      const skipped = Math.min(left, this.#buffer.length);
      this.#advance(skipped);
      left -= skipped;
    }
  }

  /** Ends the chunks, wherever they are. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  /**
   * What is wrong with the item at byte `at`. Where that is the first, this is no capture, and `mend` may make one of
   * it.
   */
  fault(what: string, at: number, mend?: string): Failure {
    if (at > 0) return new Damage(`${this.name} is damaged: it ${what} at byte ${at}`);
    return new Failure(`${this.name} is not a capture that can be read: it ${what}`, EXIT.RUNTIME, { mend });
  }

  #advance(length: number): void {
    this.#buffer = this.#buffer.subarray(length);
    this.#offset += length;
  }

  /** Has at least `length` bytes in the buffer if there are so many; returns how many there are. */
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

  /** @throws Failure where nothing can be read, Damage where it is the rest that cannot, Stopped. */
  async #next(held: number): Promise<Uint8Array | undefined> {
    try {
      const next: IteratorResult<Uint8Array, unknown> = await this.#chunks.next();
      return next.done === true ? undefined : next.value;
    } catch (error) {
      throw this.#unreadable(error, this.#offset + held);
    }
  }

  /** What an error of the chunks at byte `end` means. */
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
