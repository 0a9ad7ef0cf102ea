/** A service manager's end of sd_notify(3): an AF_UNIX datagram socket, which Node.js does not have. */
import * as libc from "../../src/sys/libc.js";
import * as uapi from "../../src/sys/uapi.js";

export class NotifySocket {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(65536);

  /** `path`: the name of a file that does not exist yet, or "@" and an abstract name. */
  constructor(path: string) {
    this.#fd = libc.check(libc.socket(uapi.AF_UNIX, uapi.SOCK_DGRAM | uapi.SOCK_CLOEXEC, 0), "socket", path);
    const address = Buffer.concat([Uint8Array.of(uapi.AF_UNIX, 0), Buffer.from(path.replace(/^@/, "\0"))]);
    libc.check(libc.bind(this.#fd, address, address.length), "bind", path);
  }

  /** Returns the next datagram's lines, or undefined where none has come. */
  receive(): string[] | undefined {
    const length = libc.recv(this.#fd, this.#buffer, this.#buffer.length, uapi.MSG_DONTWAIT);
    return length < 0 ? undefined : this.#buffer.toString("utf8", 0, length).split("\n");
  }

  /** Waits for the next datagram, and returns its lines. */
  wait(): string[] {
    const length = libc.check(libc.recv(this.#fd, this.#buffer, this.#buffer.length, 0), "recv", "NOTIFY_SOCKET");
    return this.#buffer.toString("utf8", 0, length).split("\n");
  }

  close(): void {
    libc.close(this.#fd);
  }
}
