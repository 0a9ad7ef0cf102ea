/**
 * What a handler has of a connection: a Duplex with the properties and methods of a net.Socket that Node.js's http,
 * https, http2 and tls use, and their users.
 */
import { Duplex } from "node:stream";
import { Closed } from "../../abi/counters.js";
import { formatBytes } from "../prefix/prefixes.js";
import { apart } from "./apart.js";
import type { Opening, Target } from "./attempt.js";
import { ConnectionError, unopened } from "./connectionerror.js";
import { checkTimeout, IdleTimer } from "./idletimer.js";
import { give, restOf, sizeOf, type Chunk, type Pending } from "./pending.js";
import type { Port } from "./port.js";
import type { Ends, Holder, Opener, Stream } from "./stream.js";

export interface SocketOptions {
  /** False ends this side when the peer has ended its own, as in net.createServer(). */
  readonly allowHalfOpen?: boolean;
}

export class Socket extends Duplex implements Holder, Opener {
  timeout = 0;
  bytesRead = 0;
  /** True once pongd stops, or the address is not served any more: whoever has the socket should end it soon. */
  isClosing = false;
  /**
   * Returns how many bytes may be read at a time, whoever asks for them, and no more before these are taken; after 0,
   * none are until readOn(). What comes then uses up the peer's window.
   */
  allows: (() => number) | undefined;
  /** Undefined until the connection is established. */
  #stream: Stream | undefined;
  #ends: Ends | undefined;
  #target: Target | undefined;
  /** The attempt, until it has succeeded or failed. */
  #opening: Opening | undefined;
  #written = 0;
  #pending: Pending | undefined;
  #wantsMore = false;
  #isFinished = false;
  #isOver = false;
  readonly #idle = new IdleTimer(this);

  /** `stream`: an established one; without it the socket is to be opened by connect(). */
  constructor(stream?: Stream, { allowHalfOpen = true }: SocketOptions = {}) {
    super({ allowHalfOpen, emitClose: false, autoDestroy: true, decodeStrings: false });
    this.#stream = stream;
    this.#ends = stream?.ends;
  }

  /**
   * Returns a socket that is being connected, as net.connect() does: "connect" and "ready" come when it is, or an
   * "error" that says why not.
   */
  static connect(port: Port, target: Target, options: SocketOptions = {}): Socket {
    const socket = Socket.toConnect(options);
    socket.connectTo(port, target);
    return socket;
  }

  /** Returns a socket that is being connected as soon as connectTo() says where to. */
  static toConnect(options: SocketOptions = {}): Socket {
    const socket = new Socket(undefined, options);
    socket.#opening = { giveUp: () => undefined };
    return socket;
  }

  /** Connects a socket that toConnect() has made, unless it was destroyed. */
  connectTo(port: Port, target: Target): void {
    if (this.destroyed) return;
    this.#target = target;
    this.#opening = port.connect(target, this);
  }

  /** As in net.Socket. */
  get connecting(): boolean {
    return this.#opening !== undefined;
  }

  get pending(): boolean {
    return this.#stream === undefined;
  }

  get remoteAddress(): string | undefined {
    return this.#ends && formatBytes(this.#ends.remoteAddress);
  }

  get remotePort(): number | undefined {
    return this.#ends?.remotePort;
  }

  get remoteFamily(): "IPv4" | "IPv6" | undefined {
    return this.#ends && familyOf(this.#ends.remoteAddress);
  }

  get localAddress(): string | undefined {
    return this.#ends && formatBytes(this.#ends.localAddress);
  }

  get localPort(): number | undefined {
    return this.#ends?.localPort;
  }

  get localFamily(): "IPv4" | "IPv6" | undefined {
    return this.#ends && familyOf(this.#ends.localAddress);
  }

  /** Both ends of the connection. @throws Error if it is not established */
  get ends(): Ends {
    if (!this.#ends) throw new Error("the socket is not connected");
    return this.#ends;
  }

  get bytesWritten(): number {
    const { writableBuffer = [] } = this as { writableBuffer?: readonly Chunk[] };
    return this.#written + sizeOf(writableBuffer) + restOf(this.#pending);
  }

  get readyState(): "opening" | "open" | "readOnly" | "writeOnly" | "closed" {
    if (this.connecting) return "opening";
    if (this.destroyed) return "closed";
    if (this.readable) return this.writable ? "open" : "readOnly";
    return this.writable ? "writeOnly" : "closed";
  }

  /** Returns the local end, or nothing until there is one. */
  address(): { address?: string; family?: string; port?: number } {
    if (!this.#ends) return {};
    const { localAddress, localPort } = this.#ends;
    return { address: formatBytes(localAddress), family: familyOf(localAddress), port: localPort };
  }

  /**
   * Emits "timeout" when nothing was sent or has come for that many milliseconds; 0 never does.
   *
   * @throws TypeError and RangeError as a net.Socket does
   */
  setTimeout(ms: number, listener?: () => void): this {
    if (this.destroyed) return this;
    checkTimeout(ms, listener);
    this.timeout = ms;
    this.#idle.changed(this.#now);
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

  /** Reads again what `allows` has kept from being read. */
  readOn(): void {
    if (!this.destroyed) this.came();
  }

  /** Resets the connection, and destroys the socket. */
  resetAndDestroy(): this {
    this.#stream?.reset();
    this.#opening?.giveUp(true);
    return this.destroy();
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    // Where came() has waited for that, nobody asks for more.
    if (this.allows && this.#wantsMore && chunk !== null && this.readableLength === 0) process.nextTick(readOn, this);
    return chunk;
  }

  override _read(): void {
    this.#wantsMore = true;
    this.came();
  }

  override _write(chunk: Chunk["chunk"], encoding: BufferEncoding, done: Pending["done"]): void {
    this._writev([{ chunk, encoding }], done);
  }

  override _writev(chunks: readonly Chunk[], done: Pending["done"]): void {
    this.#pending = { chunks, taken: 0, rest: undefined, done };
    this.room();
  }

  override _final(done: (error?: Error | null) => void): void {
    // All that was written before it has been sent then.
    if (this.#opening) this.once("connect", () => { this._final(done); });
    else {
      this.#stream?.shut();
      done();
    }
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#idle.end();
    const pending = this.#pending;
    this.#pending = undefined;
    // Without this, no callback of a write is called. As a net.Socket has it, the first one hears of no error if there
    // is none.
    if (pending) process.nextTick(() => { pending.done(error); });
    if (this.allows) this.#discard();
    // As the kernel does for a socket that is closed.
    if (!this.#isOver) this.#stream?.shut();
    this.#stream?.letGo();
    // In SYN-SENT the peer hears nothing of it (RFC 9293 §3.10.4).
    this.#opening?.giveUp();
    this.#opening = undefined;
    done(error);
    // Behind "error", even if nobody listens to that: it says whether there was one.
    process.nextTick(() => { this.emit("close", error !== null); });
  }

  /**
   * Throws away what has come, which the peer has sent before it could know better: if it were not read, the peer would
   * be reset, and might miss why.
   */
  #discard(): void {
    for (let left = this.#stream?.readable ?? 0; left > 0;) {
      const chunk = this.#stream?.read(left);
      if (!chunk) return;
      left -= chunk.length;
    }
  }

  // ---- the packet loop's news ---------------------------------------------------------------------------------------

  opened(stream: Stream): Holder {
    this.#opening = undefined;
    this.#stream = stream;
    this.#ends = stream.ends;
    this.#refresh();
    this.#tell("connect");
    this.#tell("ready");
    this.room();
    return this;
  }

  failed(why: number): void {
    this.#opening = undefined;
    this.#isOver = true;
    this.destroy(unopened(why, this.#target));
  }

  came(): void {
    const stream = this.#stream;
    if (!stream) return;
    while (this.#wantsMore && !(this.allows && this.readableLength > 0)) {
      const chunk = stream.read(this.allows?.());
      if (!chunk) break;
      this.#refresh();
      this.bytesRead += chunk.length;
      // A listener that fails does not keep the end from the others.
      apart(() => { this.#wantsMore = this.push(chunk); });
    }
    if (this.#isFinished || !stream.finished || stream.readable > 0) return;
    this.#isFinished = true;
    // What the last bytes give rise to is done first, as with the kernel's sockets: an http.Server that hears of the
    // end before it has responded does not respond.
    setImmediate(finish, this);
  }

  room(): void {
    const pending = this.#pending;
    const stream = this.#stream;
    if (!pending || !stream) return;
    const given = give(stream, pending);
    this.#written += given;
    if (given > 0) this.#refresh();
    if (pending.taken < pending.chunks.length) return;
    this.#pending = undefined;
    apart(pending.done);
  }

  closing(): void {
    this.isClosing = true;
    this.#tell("closing");
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

  #tell(event: string): void {
    apart(() => this.emit(event));
  }

  /** Time in ms by performance.now(). */
  get #now(): number {
    return this.#stream?.now ?? performance.now();
  }

  /** Something was sent or has come. */
  #refresh(): void {
    if (this.timeout > 0) this.#idle.refresh(this.#now);
  }
}

function readOn(socket: Socket): void {
  socket.readOn();
}

function finish(socket: Socket): void {
  if (socket.destroyed) return;
  socket.push(null);
  // Whoever does not read hears of it all the same, if nothing came before it.
  socket.read(0);
}

function familyOf(address: Uint8Array): "IPv4" | "IPv6" {
  return address.length === 4 ? "IPv4" : "IPv6";
}
