/**
 * Has the kernel behind a TUN device answer cases, which come as lines of standard input: packets in hexadecimal,
 * separated by blanks (several: the fragments of one datagram, say). For each, a line of standard output is what the
 * kernel sent back until it had processed them, in the same form; empty where it was silent. State, as of reassembly,
 * stays from line to line.
 */
import { createInterface } from "node:readline";
import * as libc from "../../src/sys/libc.js";
import { POLLIN } from "../../src/sys/uapi.js";
import { icmpPacket } from "./packets.js";

/** The longest that the kernel may take for a packet before this gives up on it. */
const PATIENCE_MS = 5000;

/** The errno EINVAL: the device refuses a packet whose version is neither 4 nor 6, so the kernel never sees it. */
const EINVAL = 22;

/** The addresses of echo requests that follow the packets of a case. */
const [MARKER_SRC, MARKER_DST] = ["198.51.100.254", "10.99.254.254"];

class Kernel {
  readonly #fd: number;
  readonly #bytes = new Uint8Array(65536);
  readonly #address = libc.addressOf(this.#bytes.buffer);
  readonly #pollfd: Uint8Array;
  #markers = 0;

  constructor(fd: number) {
    this.#fd = fd;
    this.#pollfd = new Uint8Array(Int32Array.of(fd, POLLIN).buffer);
  }

  write(packet: Uint8Array): void {
    this.#bytes.set(packet);
    if (libc.write(this.#fd, this.#address, packet.length) < 0 && libc.errno() !== EINVAL) {
      libc.check(-1, "write", "the device");
    }
  }

  /** The kernel processes packets in order: when it answers one more echo request, it has answered all before. */
  repliesUpToMarker(): Uint8Array[] {
    const data = new Uint8Array(Uint32Array.of(++this.#markers).buffer);
    this.write(icmpPacket({ src: MARKER_SRC, dst: MARKER_DST, data }));
    const answer = icmpPacket({ src: MARKER_DST, dst: MARKER_SRC, type: 0, data });
    const replies: Uint8Array[] = [];
    for (;;) {
      const reply = this.#read();
      // The headers are compared from the addresses on.
      if (Buffer.compare(reply.subarray(12), answer.subarray(12)) === 0) return replies;
      if (!toMulticast(reply)) replies.push(reply);
    }
  }

  #read(): Uint8Array {
    for (;;) {
      const length = libc.read(this.#fd, this.#address, this.#bytes.length);
      if (length >= 0) return this.#bytes.slice(0, length);
      if (libc.errno() !== libc.E.EAGAIN) libc.check(-1, "read", "the device");
      if (libc.poll(this.#pollfd, 1, PATIENCE_MS) === 0) {
        throw new Error(`the kernel did not answer marker ${this.#markers}`);
      }
    }
  }
}

/** Recognizes reports of group membership, which the kernel sends of its own accord and which are no replies. */
function toMulticast(packet: Uint8Array): boolean {
  return packet[0] >> 4 === 4 ? packet[16] >> 4 === 14 : packet[24] === 0xff;
}

/** Has the kernel behind the device with this descriptor answer what comes on standard input, up to its end. */
export async function answerCases(fd: number): Promise<void> {
  const kernel = new Kernel(fd);
  for await (const line of createInterface(process.stdin)) {
    for (const text of line.split(/\s+/).filter(Boolean)) {
      if (!/^([0-9a-f]{2})+$/i.test(text)) throw new Error(`"${text}" is no packet in hexadecimal`);
      kernel.write(Buffer.from(text, "hex"));
    }
    console.log(kernel.repliesUpToMarker().map((reply) => Buffer.from(reply).toString("hex")).join(" "));
  }
}
