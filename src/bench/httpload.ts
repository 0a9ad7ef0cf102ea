/**
 * A client of `bench http`, on a thread of its own: HTTP as bytes on plain sockets, so that it takes less time than the
 * servers do. All responses to the same request have the same length, which the first one says.
 */
import { parentPort, workerData } from "node:worker_threads";
import { messageOf } from "../base/failure.js";
import * as libc from "../sys/libc.js";
import * as uapi from "../sys/uapi.js";
import { Histogram } from "./histogram.js";
import { LONG_PATH } from "./httphandler.js";
import { FIRST_ADDRESS, LOADS, PORT, type LoadCommand, type Loaded } from "./load.js";
import type { HttpTest } from "./report.js";
import { randomBytes } from "./workload.js";

export interface LoadInput {
  /** Decides on the address that the first connection goes to, of many. */
  readonly seed: number;
}

export type LoadAnswer = Loaded | { readonly error: string };

/** Milliseconds between two looks at the clock where nothing comes. */
const LOOK_MS = 100;
/** Milliseconds that the first response may take. */
const FIRST_MS = 10_000;
const OK = Buffer.from("HTTP/1.1 200");
const END_OF_HEAD = "\r\n\r\n";

const random = randomBytes((workerData as LoadInput).seed);
/** Connections that were opened to one of many addresses. */
let opened = random() << 8 | random();
const buffer = Buffer.alloc(1 << 18);
/** struct sockaddr_in: u16 family, be16 port, be32 address */
const address = Buffer.alloc(16);
address.writeUInt16LE(uapi.AF_INET, 0);
address.writeUInt16BE(PORT, 2);
const lengths = new Map<HttpTest, number>();

parentPort?.on("message", (command: LoadCommand) => {
  let answer: LoadAnswer;
  try {
    answer = load(command);
  } catch (error) {
    answer = { error: messageOf(error) };
  }
  parentPort?.postMessage(answer);
});

function load({ test, seconds }: LoadCommand): Loaded {
  const client = new Client(test);
  try {
    return client.run(seconds);
  } finally {
    client.close();
  }
}

/** The connections of a load, in a struct pollfd each. */
class Client {
  readonly #load: typeof LOADS[HttpTest];
  readonly #request: Buffer;
  /** Bytes of a response. */
  readonly #length: number;
  readonly #fds: Buffer;
  /** When each connection was opened or its request sent, and the bytes of its response that have not come. */
  readonly #since: Float64Array;
  readonly #left: Float64Array;
  readonly #histogram = new Histogram();
  #bytes = 0;

  constructor(test: HttpTest) {
    const load = this.#load = LOADS[test];
    this.#request = Buffer.from(`GET ${load.long ? LONG_PATH : "/"} HTTP/1.1\r\nHost: bench\r\n`
      + `${load.close ? "Connection: close\r\n" : ""}\r\n`);
    this.#fds = Buffer.alloc(load.connections * uapi.SIZEOF_POLLFD);
    for (let i = 0; i < load.connections; i++) this.#fds.writeInt32LE(-1, i * uapi.SIZEOF_POLLFD);
    this.#since = new Float64Array(load.connections);
    this.#left = new Float64Array(load.connections);
    const length = lengths.get(test) ?? this.#firstLength();
    lengths.set(test, length);
    this.#length = length;
  }

  run(seconds: number): Loaded {
    const { connections, long } = this.#load;
    const start = performance.now();
    for (let i = 0; i < connections; i++) this.#open(i);
    let now = start;
    const end = start + seconds * 1000;
    // On a busy machine, the first response may take longer than there is time.
    for (; now < end || (this.#count === 0 && now < end + FIRST_MS); now = performance.now()) {
      this.#poll(LOOK_MS);
      for (let i = 0; i < connections; i++) {
        const revents = this.#fds.readInt16LE(i * uapi.SIZEOF_POLLFD + 6);
        if (revents !== 0) this.#step(i);
      }
    }
    const count = this.#count;
    if (count === 0) throw new Error(`no response within ${seconds + FIRST_MS / 1000} s`);
    const us = (fraction: number) => long ? null : this.#histogram.percentile(fraction) / 1000;
    return { count, seconds: (now - start) / 1000, p50Us: us(0.5), p99Us: us(0.99) };
  }

  /** Responses, or bytes of a long one. */
  get #count(): number {
    return this.#load.long ? this.#bytes : this.#histogram.count;
  }

  close(): void {
    for (let i = 0; i < this.#load.connections; i++) {
      const fd = this.#fds.readInt32LE(i * uapi.SIZEOF_POLLFD);
      if (fd >= 0) libc.close(fd);
    }
  }

  #open(i: number): void {
    const { addresses } = this.#load;
    const fd = libc.check(
      libc.socket(uapi.AF_INET, uapi.SOCK_STREAM | uapi.SOCK_NONBLOCK | uapi.SOCK_CLOEXEC, 0), "socket", "AF_INET",
    );
    this.#fds.writeInt32LE(fd, i * uapi.SIZEOF_POLLFD);
    this.#fds.writeInt16LE(uapi.POLLOUT, i * uapi.SIZEOF_POLLFD + 4);
    const [a, b, c, d] = FIRST_ADDRESS;
    const at = (a << 24 | b << 16 | c << 8 | d) + (addresses > 1 ? opened++ % addresses : 0);
    address.writeInt32BE(at, 4);
    this.#left[i] = 0;
    this.#since[i] = performance.now();
    if (libc.connect(fd, address, address.length) < 0 && libc.errno() !== libc.E.EINPROGRESS) {
      throw new libc.SystemError("connect", address.subarray(4, 8).join("."), libc.errno());
    }
  }

  /** Goes on with a connection that can be read from, or is open now. */
  #step(i: number): void {
    const fd = this.#fds.readInt32LE(i * uapi.SIZEOF_POLLFD);
    if (this.#left[i] === 0) {
      this.#ask(i, fd);
      return;
    }
    const got = libc.recv(fd, buffer, buffer.length, 0);
    if (got < 0 && libc.errno() === libc.E.EAGAIN) return;
    this.#check(got, this.#left[i] === this.#length);
    if (this.#load.long) this.#bytes += got;
    const left = this.#left[i] -= got;
    if (left < 0) throw new Error("a response is longer than the first one");
    if (left > 0) return;
    const now = performance.now();
    this.#histogram.record(Math.round((now - this.#since[i]) * 1e6));
    if (this.#load.close) {
      libc.close(fd);
      this.#open(i);
    } else {
      this.#since[i] = now;
      this.#ask(i, fd);
    }
  }

  /** Sends a request. */
  #ask(i: number, fd: number): void {
    const request = this.#request;
    libc.check(libc.send(fd, request, request.length, uapi.MSG_NOSIGNAL), "send", "a request");
    this.#fds.writeInt16LE(uapi.POLLIN, i * uapi.SIZEOF_POLLFD + 4);
    this.#left[i] = this.#length;
  }

  #check(got: number, isFirst: boolean): void {
    libc.check(got, "recv", "a response");
    if (got === 0) throw new Error("a connection has ended before its response");
    if (isFirst && buffer.compare(OK, 0, OK.length, 0, OK.length) !== 0) {
      throw new Error(`a response is ${buffer.toString("latin1", 0, Math.min(got, 40)).split("\r\n")[0]}`);
    }
  }

  #poll(ms: number): number {
    const ready = libc.poll(this.#fds, this.#load.connections, ms);
    return ready < 0 && libc.errno() === libc.E.EINTR ? 0 : libc.check(ready, "poll", "connections");
  }

  /** Sends the request once, and returns the length of its response. */
  #firstLength(): number {
    this.#open(0);
    let head = "";
    for (const end = performance.now() + FIRST_MS; performance.now() < end;) {
      if (this.#poll(LOOK_MS) === 0) continue;
      const fd = this.#fds.readInt32LE(0);
      if (this.#left[0] === 0) {
        this.#ask(0, fd);
        this.#left[0] = 1;
        continue;
      }
      const got = libc.recv(fd, buffer, buffer.length, 0);
      this.#check(got, head === "");
      head += buffer.toString("latin1", 0, got);
      const length = head.indexOf(END_OF_HEAD) + END_OF_HEAD.length;
      if (length < END_OF_HEAD.length) continue;
      const content = /^content-length: (\d+)\r$/im.exec(head)?.[1];
      if (content === undefined) throw new Error("a response has no Content-Length");
      libc.close(fd);
      this.#fds.writeInt32LE(-1, 0);
      return length + Number(content);
    }
    throw new Error(`no response within ${FIRST_MS / 1000} s`);
  }
}
