/**
 * What a handler has of a connection: a Duplex with the properties and methods of a net.Socket that Node.js's http,
 * https, http2 and tls use, and their users.
 */
import { Duplex } from "node:stream";
import { Closed } from "../../abi/counters.js";
import { formatBytes } from "../prefix/prefixes.js";
import type { Ends, Holder, Stream } from "./port.js";

/** An error of a connection; `code` as the kernel's sockets have it. */
export class ConnectionError extends Error {
  readonly code: string;
  readonly syscall: string;

  constructor(code: string, syscall: string) {
    super(`${syscall} ${code}`);
    this.code = code;
    this.syscall = syscall;
  }
}

/** What was written and has not been taken yet. */
interface Pending {
  readonly chunks: readonly Uint8Array[];
  /** Chunks, and bytes of the next one, that have been taken. */
  taken: number;
  offset: number;
  readonly done: (error?: Error | null) => void;
}

export interface SocketOptions {
  /** False ends this side when the peer has ended its own, as in net.createServer(). */
  readonly allowHalfOpen?: boolean;
}

export class Socket extends Duplex implements Holder {
  /** As in net.Socket. */
  readonly connecting = false;
  readonly pending = false;
  timeout = 0;
  bytesRead = 0;
  /** True once pongd stops, or the address is not served any more: whoever has the socket should end it soon. */
  isClosing = false;
  readonly #stream: Stream;
  readonly #ends: Ends;
  #written = 0;
  #pending: Pending | undefined;
  #wantsMore = false;
  #isFinished = false;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: Stream, { allowHalfOpen = true }: SocketOptions = {}) {
    super({ allowHalfOpen, emitClose: true, autoDestroy: true });
    this.#stream = stream;
    this.#ends = stream.ends;
  }

  get remoteAddress(): string {
    return formatBytes(this.#ends.remoteAddress);
  }

  get remotePort(): number {
    return this.#ends.remotePort;
  }

  get remoteFamily(): "IPv4" | "IPv6" {
    return familyOf(this.#ends.remoteAddress);
  }

  get localAddress(): string {
    return formatBytes(this.#ends.localAddress);
  }

  get localPort(): number {
    return this.#ends.localPort;
  }

  get localFamily(): "IPv4" | "IPv6" {
    return familyOf(this.#ends.localAddress);
  }

  /** Owner of the local address (abi/tables.ts), as it was when the connection came. */
  get owner(): number {
    return this.#ends.owner;
  }

  get bytesWritten(): number {
    return this.#written + this.writableLength;
  }

  get readyState(): "open" | "readOnly" | "writeOnly" | "closed" {
    if (this.destroyed) return "closed";
    if (this.readable) return this.writable ? "open" : "readOnly";
    return this.writable ? "writeOnly" : "closed";
  }

  address(): { address: string; family: string; port: number } {
    return { address: this.localAddress, family: this.localFamily, port: this.localPort };
  }

  /** Emits "timeout" when nothing was sent or has come for that many milliseconds; 0 never does. */
  setTimeout(ms: number, listener?: () => void): this {
    this.timeout = ms;
    clearTimeout(this.#timer);
    this.#timer = ms > 0 && !this.destroyed ? setTimeout(this.#timedOut, ms).unref() : undefined;
    if (listener) {
      if (ms > 0) this.once("timeout", listener);
      else this.removeListener("timeout", listener);
    }
    return this;
  }

  /** Nothing waits for more to send: pongd's TCP never delays a segment for that (RFC 9293, SHLD-7). */
  setNoDelay(): this {
    return this;
  }

  /** pongd asks each peer that has been silent for two hours whether it is there. */
  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  /** Destroys the socket once everything that was written has been given to the connection. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => { this.destroy(); });
  }

  /** Resets the connection, and destroys the socket. */
  resetAndDestroy(): this {
    this.#stream.reset();
    return this.destroy();
  }

  override _read(): void {
    this.#wantsMore = true;
    this.came();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: Pending["done"]): void {
    this.#pending = { chunks: [chunk], taken: 0, offset: 0, done };
    this.room();
  }

  override _writev(chunks: readonly { readonly chunk: Uint8Array }[], done: Pending["done"]): void {
    this.#pending = { chunks: chunks.map(({ chunk }) => chunk), taken: 0, offset: 0, done };
    this.room();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#stream.shut();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#timer);
    this.#pending = undefined;
    // As the kernel does for a socket that is closed.
    if (!this.#isOver) this.#stream.shut();
    this.#stream.letGo();
    done(error);
  }

  // ---- the packet loop's news ---------------------------------------------------------------------------------------

  came(): void {
    while (this.#wantsMore) {
      const chunk = this.#stream.read();
      if (!chunk) break;
      this.#refresh();
      this.bytesRead += chunk.length;
      this.#wantsMore = this.push(chunk);
    }
    if (this.#isFinished || !this.#stream.finished || this.#stream.readable > 0) return;
    this.#isFinished = true;
    this.push(null);
  }

  room(): void {
    const pending = this.#pending;
    if (!pending) return;
    const { chunks } = pending;
    while (pending.taken < chunks.length) {
      const chunk = chunks[pending.taken];
      const rest = pending.offset === 0 ? chunk : chunk.subarray(pending.offset);
      const count = this.#stream.write(rest);
      if (count > 0) this.#refresh();
      this.#written += count;
      if (count < rest.length) {
        pending.offset += count;
        return;
      }
      pending.taken++;
      pending.offset = 0;
    }
    this.#pending = undefined;
    pending.done();
  }

  closing(): void {
    this.isClosing = true;
    this.emit("closing");
  }

  ended(how: number): void {
    this.#isOver = true;
    if (how === (Closed.closed as number)) {
      // Both sides have closed; what has come may still be read.
      this.came();
      return;
    }
    this.destroy(new ConnectionError(how === (Closed.timed_out as number) ? "ETIMEDOUT" : "ECONNRESET", "read"));
  }

  lost(): void {
    this.#isOver = true;
    this.destroy(new ConnectionError("ECONNRESET", "read"));
  }

  readonly #timedOut = (): void => {
    this.emit("timeout");
  };

  #refresh(): void {
    this.#timer?.refresh();
  }
}

function familyOf(address: Uint8Array): "IPv4" | "IPv6" {
  return address.length === 4 ? "IPv4" : "IPv6";
}
