/**
 * Slots as fixed buffers of io_uring, whose pages the kernel pins once, and not for each packet. Buffer i has the slots
 * that begin in the i-th part of 2^BUFFER_BITS bytes of the memory, so that a slot's address says its buffer.
 *
 * What is pinned takes memory. So slots are registered as they come into use, which they do in their order: those that
 * have never been used lie at the bottom of the free stack.
 */
import { SLOTS_REGISTERED } from "../../abi/control.js";
import { SLOT_BASE } from "../../abi/slots.js";
import { BUFFER_BITS } from "../../abi/uring.js";
import type { LinearMemory } from "../engine/memory.js";
import * as libc from "../sys/libc.js";
import * as uapi from "../sys/uapi.js";

const BUFFER_SIZE = 2 ** BUFFER_BITS;

export class FixedBuffers {
  readonly #fd: number;
  readonly #base: bigint;
  readonly #words: Uint32Array;
  /** struct iovec, which the kernel reads by its address. */
  readonly #iovec = new BigUint64Array(2);
  readonly #slotSize: number;
  /** Where the last slot ends. */
  readonly #last: number;
  /** Slots that have come into use and been registered; all of them once the kernel has refused some. */
  #covered = 0;

  /** `fd` is the ring's, `base` the memory's address. */
  constructor(fd: number, base: bigint, linear: LinearMemory) {
    this.#fd = fd;
    this.#base = base;
    this.#words = new Uint32Array(linear.memory.buffer);
    this.#slotSize = linear.slotSize;
    this.#last = SLOT_BASE + linear.slots.count * linear.slotSize;
    this.#words[SLOTS_REGISTERED / 4] = 0;
    // There is room for all of them, but none has memory yet: struct iovec without an address.
    const count = Math.ceil(this.#last / BUFFER_SIZE);
    if (this.#register(uapi.IORING_REGISTER_BUFFERS, new Uint8Array(uapi.SIZEOF_IOVEC * count), count)) {
      this.#words[SLOTS_REGISTERED / 4] = SLOT_BASE;
    } else {
      this.#covered = Infinity;
    }
  }

  /**
   * Sees to it that the first `count` slots are registered. Where RLIMIT_MEMLOCK is too low for that, those that do not
   * fit are read and written by address, which takes the kernel a little longer.
   */
  cover(count: number): void {
    while (count > this.#covered) this.#covered = this.#next() ?? Infinity;
  }

  /** Registers another buffer. Returns how many slots are registered then, or undefined where the kernel refuses. */
  #next(): number | undefined {
    const start = this.#words[SLOTS_REGISTERED / 4];
    const index = start >>> BUFFER_BITS;
    const end = Math.min((index + 1) * BUFFER_SIZE, this.#last);
    // The last slot that begins here may end in the next part.
    const length = Math.min(end + this.#slotSize, this.#last) - start;
    this.#iovec.set([this.#base + BigInt(start), BigInt(length)]);
    // struct io_uring_rsrc_update2: {u32 offset, u32 resv, u64 data, u64 tags, u32 nr, u32 resv2}
    const update = BigUint64Array.of(BigInt(index), libc.addressOf(this.#iovec.buffer), 0n, 1n);
    const done = this.#register(uapi.IORING_REGISTER_BUFFERS_UPDATE, new Uint8Array(update.buffer), update.byteLength);
    if (!done) return undefined;
    this.#words[SLOTS_REGISTERED / 4] = end;
    return Math.floor((end - SLOT_BASE) / this.#slotSize);
  }

  #register(opcode: number, arg: Uint8Array, nrArgs: number): boolean {
    return libc.io_uring_register(uapi.SYS_io_uring_register, this.#fd, opcode, arg, nrArgs) >= 0;
  }
}
