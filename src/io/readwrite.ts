/**
 * The backend that runs everywhere: one non-blocking read(2) and write(2) a packet, and poll(2)
 * when there is nothing to do.
 *
 * It reads until EAGAIN, but at most `#limit` packets before the engine gets them. The limit doubles while as
 * many packets come. Otherwise it falls to one more than came. So a lone packet is answered at once, without
 * asking for a second one first.
 */
import { WOKEN } from "../../abi/control.js";
import { Counter } from "../../abi/counters.js";
import { BATCH, SLOT_BASE, SLOTS } from "../../abi/slots.js";
import type { LinearMemory } from "../engine/memory.js";
import type { Slots } from "../engine/slots.js";
import * as libc from "../sys/libc.js";
import { ownDescriptorTable, type OwnTable } from "../sys/descriptors.js";
import { POLLIN } from "../sys/uapi.js";
import type { PacketIo } from "./contract.js";

export class ReadWriteIo implements PacketIo {
  readonly name = "readwrite";
  readonly #fd: number;
  readonly #wakeFd: number;
  readonly #packetSize: number;
  readonly #frameOffset: number;
  readonly #slotSize: number;
  readonly #slots: Slots;
  readonly #counters: Float64Array;
  /** Process address of each slot's packet or frame. Almost all replies are written from there too. */
  readonly #addresses: bigint[];
  /** Process address of the memory. */
  readonly #base: bigint;
  readonly #pollfds: Buffer;
  readonly #table: OwnTable;
  #limit = 1;

  /**
   * `fd` is the queue, non-blocking. `wakeFd` is an eventfd that ends a wait for packets. `own` are the
   * descriptors of this thread's event loop; see src/sys/descriptors.ts.
   */
  constructor(fd: number, wakeFd: number, linear: LinearMemory, own: ReadonlySet<number>) {
    this.#table = ownDescriptorTable(fd, own);
    this.#fd = fd;
    this.#wakeFd = wakeFd;
    this.#packetSize = linear.packetSize;
    this.#frameOffset = linear.frameOffset;
    this.#slotSize = linear.slotSize;
    this.#slots = linear.slots;
    this.#counters = linear.counters;
    this.#base = libc.addressOf(linear.memory.buffer);
    this.#addresses = Array.from(
      { length: SLOTS }, (_, i) => this.#base + BigInt(SLOT_BASE + i * linear.slotSize + linear.frameOffset),
    );
    this.#pollfds = Buffer.alloc(16);
    for (const [i, pollfd] of [fd, wakeFd].entries()) {
      this.#pollfds.writeInt32LE(pollfd, 8 * i);
      this.#pollfds.writeInt16LE(POLLIN, 8 * i + 4);
    }
  }

  get leftBehind(): readonly number[] {
    return this.#table.leftBehind;
  }

  receive(timeoutMs: number): number {
    let count = this.#read();
    if (count === 0) {
      this.#limit = 1;
      if (!this.#wait(timeoutMs)) return 0;
      count = this.#read();
    }
    this.#limit = count === this.#limit ? Math.min(2 * count, BATCH) : count + 1;
    return count;
  }

  send(count: number): void {
    const slots = this.#slots;
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const place = slots.toSend(i);
      const length = slots.toSendLength(i);
      if (libc.write(this.#fd, this.#addressOf(place), length) === length) bytes += length;
      // EIO while the link is down, ENOBUFS or ENOMEM under pressure: this reply is lost and
      // counted, and the loop goes on.
      else this.#counters[Counter.writeErrors]++;
      slots.give(place);
    }
    this.#counters[Counter.bytesSent] += bytes;
    this.#counters[Counter.syscalls] += count;
  }

  drain(): number {
    return 0;
  }

  close(): void {
    this.#table.closeQueue();
  }

  /** Reads up to the limit into free slots, and returns how many packets came. */
  #read(): number {
    const slots = this.#slots;
    const limit = Math.min(this.#limit, slots.free);
    let count = 0;
    while (count < limit) {
      const place = slots.take() + this.#frameOffset;
      const length = libc.read(this.#fd, this.#addressOf(place), this.#packetSize);
      if (length < 0) {
        slots.give(place);
        const errno = libc.errno();
        if (errno === libc.E.EAGAIN || errno === libc.E.EINTR) break;
        throw new libc.SystemError("read", "the device's queue", errno);
      }
      slots.receive(count++, place, length);
    }
    this.#counters[Counter.syscalls] += count < limit ? count + 1 : count;
    return count;
  }

  /** Sleeps until the queue or the eventfd is readable or the time is over. Returns whether the queue is readable. */
  #wait(timeoutMs: number): boolean {
    this.#counters[Counter.syscalls]++;
    const ready = libc.poll(this.#pollfds, 2, timeoutMs);
    if (ready < 0 && libc.errno() !== libc.E.EINTR) {
      throw new libc.SystemError("poll", "the device's queue", libc.errno());
    }
    if (ready > 0 && this.#pollfds.readInt16LE(14) !== 0) libc.read(this.#wakeFd, this.#base + BigInt(WOKEN), 8);
    return ready > 0 && this.#pollfds.readInt16LE(6) !== 0;
  }

  #addressOf(slot: number): bigint {
    const index = (slot - SLOT_BASE) / this.#slotSize | 0;
    return slot - SLOT_BASE - index * this.#slotSize === this.#frameOffset
      ? this.#addresses[index]
      : this.#base + BigInt(slot);
  }
}
