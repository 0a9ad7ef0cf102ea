/** A Duplex over one of Node.js's own sockets: what any stream has to differ in from those, pongd's has to as well. */
import type net from "node:net";
import { Duplex } from "node:stream";

const EVENTS = ["connect", "ready", "timeout"];
const PROPERTIES = [
  "remoteAddress", "remotePort", "remoteFamily", "localAddress", "localPort", "localFamily", "bytesRead",
  "bytesWritten", "connecting", "pending", "timeout",
] as const;
const METHODS = ["address", "setTimeout", "setNoDelay", "setKeepAlive", "ref", "unref"] as const;

export class Plain extends Duplex {
  readonly #socket: net.Socket;

  constructor(socket: net.Socket, allowHalfOpen: boolean) {
    super({ allowHalfOpen, emitClose: false });
    this.#socket = socket;
    for (const name of PROPERTIES) Object.defineProperty(this, name, { get: () => socket[name] });
    for (const name of METHODS) {
      const call = socket[name].bind(socket) as (...args: unknown[]) => unknown;
      Object.defineProperty(this, name, { value: (...args: unknown[]) => {
        const result = call(...args);
        return result === socket ? this : result;
      } });
    }
    for (const event of EVENTS) socket.on(event, () => this.emit(event));
    socket.on("data", (chunk: Buffer) => { if (!this.push(chunk)) socket.pause(); });
    socket.on("end", () => { this.push(null); });
    socket.on("error", (error) => { this.destroy(error); });
    socket.on("close", () => { this.destroy(); });
  }

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => { this.destroy(); });
  }

  resetAndDestroy(): this {
    this.#socket.resetAndDestroy();
    return this.destroy();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
    process.nextTick(() => { this.emit("close", error !== null); });
  }
}
