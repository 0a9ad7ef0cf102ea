/** A connection that was asked for (port.ts, connect()), until it is established or there is none. */
import type { Holder, Opener, Stream } from "./stream.js";

/** Both ends of a connection that is to be opened. The addresses are of one family. */
export interface Target {
  /** 4 or 16 bytes, of a prefix that is served. */
  readonly localAddress: Uint8Array;
  /** 0 has the packet loop choose one. */
  readonly localPort: number;
  readonly remoteAddress: Uint8Array;
  readonly remotePort: number;
}

/** A connection that was asked for and is not established. */
export interface Opening {
  /**
   * Nobody wants it any more: the opener hears nothing of it. It may be established without the thread having heard of
   * that; then it ends by FIN, or with `resets` by a reset.
   */
  giveUp(resets?: boolean): void;
}

export class Attempt implements Opening, Opener {
  isOver = false;
  readonly target: Target;
  readonly #opener: Opener;
  #stream: Stream | undefined;
  #resets = false;

  constructor(target: Target, opener: Opener) {
    this.target = target;
    this.#opener = opener;
  }

  giveUp(resets = false): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#resets = resets;
    if (this.#stream) this.#end(this.#stream);
  }

  /** The packet loop has a block for it. */
  has(stream: Stream): void {
    if (this.isOver) {
      this.#end(stream);
      return;
    }
    this.#stream = stream;
    stream.attempt = this;
    stream.look();
  }

  opened(stream: Stream): Holder {
    this.isOver = true;
    return this.#opener.opened(stream);
  }

  failed(why: number): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#stream?.letGo();
    this.#opener.failed(why);
  }

  #end(stream: Stream): void {
    if (!this.#resets) stream.shut();
    stream.letGo();
  }
}
