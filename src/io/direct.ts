/**
 * One packet a system call, on a non-blocking queue: read(2), write(2), and ppoll(2) to sleep. The readwrite backend
 * has nothing else. That of io_uring has it for packets that come alone.
 *
 * Addresses are bigints made once, since a call that has to make one takes longer.
 */
import { WOKEN } from "../../abi/control.js";
import { Counter } from "../../abi/counters.js";
import { SLOT_BASE, SLOTS } from "../../abi/slots.js";
import { ASLEEP, ORDERED } from "../../abi/streams.js";
import type { LinearMemory } from "../engine/memory.js";
import type { Slots } from "../engine/slots.js";
import * as libc from "../sys/libc.js";
import { POLLIN, PR_SET_TIMERSLACK, SIZEOF_POLLFD, SIZEOF_TIMESPEC } from "../sys/uapi.js";
import { FOREVER, type Refuse } from "./contract.js";

const NS_PER_S = 1_000_000_000;
/**
 * The kernel ends a wait up to a thousandth of its time late, whatever the timer slack is. A wait that is longer than
 * this ends early by a little more than that, and whoever still has nothing to do waits again.
 */
const LONG_NS = 20_000_000;

// Indices into #poll: of each struct pollfd's events and revents, which share a word, and of the timespec, whose fields
// have two words each.
const QUEUE_EVENTS = 1;
const WAKE_EVENTS = 3;
const TV_SEC = 2 * SIZEOF_POLLFD / 4;
const TV_NSEC = TV_SEC + 2;

export class Direct {
  readonly #fd: number;
  readonly #wakeFd: number;
  readonly #packetSize: number;
  readonly #frameOffset: number;
  /** Bytes of the header before a packet that are read and written along. */
  readonly #headerLen: number;
  readonly #refuse: Refuse | undefined;
  readonly #slotSize: number;
  readonly #slots: Slots;
  readonly #counters: Float64Array;
  readonly #words: Int32Array;
  /**
   * Process address of what is read into each of the first SLOTS slots. Almost all replies are written from there too.
   */
  readonly #addresses: bigint[];
  /** Process address of the memory. */
  readonly #base: bigint;
  readonly #wokenAddress: bigint;
  /** struct pollfd of the queue and of the eventfd, and the timespec of a wait. */
  readonly #poll = new Int32Array(new ArrayBuffer(2 * SIZEOF_POLLFD + SIZEOF_TIMESPEC));
  readonly #pollAddress = libc.addressOf(this.#poll.buffer);
  readonly #timespecAddress = this.#pollAddress + BigInt(4 * TV_SEC);

  /**
   * `fd` is the queue, non-blocking. `wakeFd` is an eventfd that ends a wait for packets. It must be made on the thread
   * that uses it: waits of that thread then end as near to their time as the kernel can, instead of 50 µs later, when
   * several timers can share an interrupt. Where that is not to be had, they end later. `refuse` gets the packets that
   * the kernel refuses as invalid.
   */
  constructor(fd: number, wakeFd: number, linear: LinearMemory, refuse?: Refuse) {
    this.#fd = fd;
    this.#wakeFd = wakeFd;
    this.#packetSize = linear.packetSize;
    this.#frameOffset = linear.frameOffset;
    this.#headerLen = linear.headerLen;
    this.#refuse = refuse;
    this.#slotSize = linear.slotSize;
    this.#slots = linear.slots;
    this.#counters = linear.counters;
    this.#words = new Int32Array(linear.memory.buffer);
    this.#base = libc.addressOf(linear.memory.buffer);
    this.#wokenAddress = this.#base + BigInt(WOKEN);
    this.#addresses = Array.from(
      { length: SLOTS },
      (_, i) => this.#base + BigInt(SLOT_BASE + i * linear.slotSize + linear.frameOffset - this.#headerLen),
    );
    this.#poll.set([fd, POLLIN, wakeFd, POLLIN]);
    libc.prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  }

  /**
   * Reads up to `most` packets into free slots, and returns how many came.
   * @throws SystemError where the queue can no longer be used.
   */
  read(most: number): number {
    const slots = this.#slots;
    const limit = Math.min(most, slots.free);
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
      slots.receive(count++, place, length - this.#headerLen);
    }
    this.#counters[Counter.syscalls] += count < limit ? count + 1 : count;
    return count;
  }

  /** Writes the first `count` packets of TO_SEND, and frees their slots. Counts what the kernel refuses. */
  write(count: number): void {
    const slots = this.#slots;
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const place = slots.toSend(i);
      const length = slots.toSendLength(i);
      const whole = length + this.#headerLen;
      if (libc.write(this.#fd, this.#addressOf(place), whole) === whole) bytes += length;
      else if (this.#refused(place, length)) continue;
      // EIO while the link is down, ENOBUFS or ENOMEM under pressure: this reply is lost and
      // counted, and the loop goes on.
      else this.#counters[Counter.writeErrors]++;
      slots.give(place);
    }
    this.#counters[Counter.bytesSent] += bytes;
    this.#counters[Counter.syscalls] += count;
  }

  /** Returns whether somebody takes the packet back that the kernel has just refused. */
  #refused(place: number, length: number): boolean {
    return this.#headerLen > 0 && libc.errno() === libc.E.EINVAL && (this.#refuse?.(place, length) ?? false);
  }

  /**
   * Sleeps until the queue or the eventfd is readable or the time is over, a little early if it is long. Returns
   * whether the queue is readable.
   * @throws SystemError where the queue can no longer be used.
   */
  wait(timeoutNs: number): boolean {
    const poll = this.#poll;
    let timespec = 0n;
    if (timeoutNs !== FOREVER) {
      const ns = timeoutNs > LONG_NS ? timeoutNs - timeoutNs / 512 : timeoutNs;
      const seconds = Math.floor(ns / NS_PER_S);
      poll[TV_SEC] = seconds;
      poll[TV_NSEC] = ns - seconds * NS_PER_S;
      timespec = this.#timespecAddress;
    }
    // A service thread that has orders from now on wakes this one. One that had some already did not.
    Atomics.store(this.#words, ASLEEP / 4, 1);
    if (Atomics.load(this.#words, ORDERED / 4) !== 0) {
      poll[TV_SEC] = poll[TV_NSEC] = 0;
      timespec = this.#timespecAddress;
    }
    this.#counters[Counter.syscalls]++;
    const ready = libc.ppoll(this.#pollAddress, 2, timespec, 0n);
    Atomics.store(this.#words, ASLEEP / 4, 0);
    if (ready < 0 && libc.errno() !== libc.E.EINTR) {
      throw new libc.SystemError("ppoll", "the device's queue", libc.errno());
    }
    if (ready > 0 && poll[WAKE_EVENTS] >> 16 !== 0) libc.read(this.#wakeFd, this.#wokenAddress, 8);
    return ready > 0 && poll[QUEUE_EVENTS] >> 16 !== 0;
  }

  /** Returns the process address of the header before what lies at `place`, or of that itself. */
  #addressOf(place: number): bigint {
    const index = (place - SLOT_BASE) / this.#slotSize | 0;
    return index < SLOTS && place - SLOT_BASE - index * this.#slotSize === this.#frameOffset
      ? this.#addresses[index]
      : this.#base + BigInt(place - this.#headerLen);
  }
}
