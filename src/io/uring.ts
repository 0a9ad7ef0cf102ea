/**
 * The fast backend: io_uring with its rings in linear memory, and one io_uring_enter(2) a round. assembly/ring.ts
 * writes and reads the rings. This file has the set-up, the system calls, and the decisions about a round.
 *
 * Awake, a round consists of the last batch's writes and a number of reads, none of which waits. The number doubles
 * while all of them succeed. Otherwise it falls to one more than came. When at most one packet at a time comes, the
 * loop goes to sleep: it waits by ppoll(2), and reads and writes the one packet directly (direct.ts). A read that waits
 * within the ring would be one system call instead of three, but it wakes up later. After each packet the sleeper looks
 * for another one before it waits. If there is one, packets no longer come alone, and the loop is awake.
 *
 * So nothing ever stays with the kernel: when a round is over, each of its requests is complete.
 */
import {
  CQ_HEAD_AT, CQ_TAIL_AT, CQES_AT, MEMORY_ADDRESS, READ_ERROR, RING_FD, SLOTS_REGISTERED, SQ_HEAD_AT, SQ_TAIL_AT,
  VNET_HEADER_LEN,
} from "../../abi/control.js";
import { Counter } from "../../abi/counters.js";
import { CQ_ENTRIES, RINGS, SQ_ENTRIES, SQES } from "../../abi/uring.js";
import { BATCH, SLOT_BASE, SLOTS } from "../../abi/slots.js";
import type { LinearMemory } from "../engine/memory.js";
import type { Slots } from "../engine/slots.js";
import type { Assembly } from "../engine/wasm.js";
import * as libc from "../sys/libc.js";
import * as uapi from "../sys/uapi.js";
import { batchFor, FOREVER, type PacketIo } from "./contract.js";
import { Direct } from "./direct.js";

const SETUP = uapi.IORING_SETUP_CQSIZE | uapi.IORING_SETUP_SUBMIT_ALL | uapi.IORING_SETUP_SINGLE_ISSUER
  | uapi.IORING_SETUP_DEFER_TASKRUN
  | uapi.IORING_SETUP_NO_MMAP | uapi.IORING_SETUP_NO_SQARRAY;

/** Counters that the rounds of #probe() change. */
const TRIED = [Counter.syscalls, Counter.bytesSent, Counter.writeErrors];
const PROBE_ROUNDS = 1000;
const PROBE_TRIES = 100;
const PROBE_TIMEOUT_NS = 1_000_000_000;

export class UringIo implements PacketIo {
  readonly name = "uring";
  readonly #fd: number;
  readonly #ring: Assembly;
  readonly #words: Int32Array;
  readonly #slots: Slots;
  readonly #counters: Float64Array;
  readonly #spin: number;
  #direct: Direct;
  #awake = false;
  /** Descriptors of TO_SEND that the next round of the ring sends. */
  #replies = 0;
  /** Reads of the next round of the ring. */
  #reads = 1;
  /** Consecutive rounds without a packet. */
  #empty = 0;

  /**
   * Sets the ring up, and tries it with writes and reads. It must run on the thread that then uses the ring, as the
   * kernel requires. `fd` and `wakeFd` are as for Direct. `spin` is the number of rounds that may come up empty before
   * it sleeps. `shared` is false if this thread has a descriptor table of its own, which goes with it: nobody else need
   * close the ring then, nor could.
   * @throws SystemError where this kernel, or whoever confines the process, does not allow it.
   */
  constructor(fd: number, wakeFd: number, linear: LinearMemory, ring: Assembly, spin: number, shared = true) {
    this.#ring = ring;
    this.#words = new Int32Array(linear.memory.buffer);
    this.#slots = linear.slots;
    this.#counters = linear.counters;
    this.#spin = spin;
    const base = libc.addressOf(linear.memory.buffer);
    new BigUint64Array(linear.memory.buffer)[MEMORY_ADDRESS / 8] = base;
    this.#fd = setup(base, this.#words);
    if (shared) this.#words[RING_FD / 4] = this.#fd;
    try {
      this.#registerSlots(base, linear.slotSize);
      const probeFd = libc.check(
        libc.eventfd(0, uapi.EFD_CLOEXEC | uapi.EFD_NONBLOCK), "eventfd", "to try io_uring with",
      );
      const before = TRIED.map((counter) => this.#counters[counter]);
      // An eventfd knows no header.
      const { headerLen } = linear;
      this.#words[VNET_HEADER_LEN / 4] = 0;
      this.#direct = new Direct(probeFd, wakeFd, linear);
      try {
        this.#registerQueue(probeFd);
        this.#probe(wakeFd);
      } finally {
        // The probe is no traffic, whether it worked or not.
        TRIED.forEach((counter, i) => { this.#counters[counter] = before[i]; });
        this.#words[VNET_HEADER_LEN / 4] = headerLen;
        libc.close(probeFd);
      }
      this.#register(uapi.IORING_UNREGISTER_FILES, "IORING_UNREGISTER_FILES", null, 0);
      this.#registerQueue(fd);
      this.#direct = new Direct(fd, wakeFd, linear, ring.refused);
    } catch (error) {
      this.#closeRing();
      throw error;
    }
  }

  receive(timeoutNs: number): number {
    return this.#awake ? this.#round(batchFor(timeoutNs)) : this.#sleep(timeoutNs);
  }

  /** Packets that leave together take one system call by the ring, even if they are no replies. */
  send(count: number): void {
    this.#awake ||= count > 1;
    if (this.#awake) this.#replies = count;
    else this.#direct.write(count);
  }

  flush(): void {
    this.#enter(this.#prepare(0));
    this.#reap();
  }

  /** Unregisters the files first: the kernel takes a ring apart in its own time, and would hold the device as long. */
  close(): void {
    libc.io_uring_register(uapi.SYS_io_uring_register, this.#fd, uapi.IORING_UNREGISTER_FILES, null, 0);
    this.#closeRing();
  }

  #closeRing(): void {
    this.#words[RING_FD / 4] = 0;
    libc.close(this.#fd);
  }

  /** A round of the ring, with at most `most` reads. Returns how many packets came. */
  #round(most: number): number {
    const reads = Math.min(this.#reads, most, this.#slots.free, SQ_ENTRIES - this.#replies);
    this.#enter(this.#prepare(reads));
    const count = this.#reap();
    this.#reads = count === reads ? Math.min(Math.max(2 * count, 1), BATCH) : count + 1;
    this.#empty = count === 0 ? this.#empty + 1 : 0;
    this.#awake = this.#spin > 0 ? this.#empty <= this.#spin : count > 1;
    return count;
  }

  /** A round that sleeps if there is nothing to do. Returns how many packets came, at most 1. */
  #sleep(timeoutNs: number): number {
    const direct = this.#direct;
    // Where the last round has found nothing, it is not worth another look.
    const found = this.#empty > 0 ? 0 : direct.read(1);
    let count = found;
    if (found === 0 && direct.wait(timeoutNs)) count = direct.read(1);
    this.#empty = count === 0 ? 1 : 0;
    this.#reads = 2;
    this.#awake = this.#spin > 0 ? count > 0 : found > 0;
    return count;
  }

  /**
   * Checks that io_uring works, by rounds on an eventfd in place of the queue. There are so many that V8 has compiled
   * all of a round before the first packet would have to wait for that: awake, asleep with a packet already there, with
   * one that comes, with a timeout and without, with a time that is over and with a wake.
   */
  #probe(wakeFd: number): void {
    for (let i = 0; i < PROBE_ROUNDS; i++) {
      const timeoutNs = i % 2 === 0 ? FOREVER : PROBE_TIMEOUT_NS;
      this.#try(true, 0, FOREVER);
      this.#try(false, 0, timeoutNs);
      this.#try(false, 1, timeoutNs);
      this.#become(false, 0);
      this.receive(0);
      libc.eventfd_write(wakeFd, 1);
      this.receive(timeoutNs);
    }
    this.#become(false, 0);
  }

  /** Sends an eventfd's packet, and receives it. */
  #try(awake: boolean, empty: number, timeoutNs: number): void {
    const words = this.#words;
    const slots = this.#slots;
    const slot = slots.take();
    words[slot / 4] = 1;
    words[slot / 4 + 1] = 0;
    slots.send(0, slot, 8);
    this.#become(awake, empty);
    this.send(1);
    let count = 0;
    // A signal may end a round early.
    for (let tries = 0; count === 0 && tries < PROBE_TRIES; tries++) count = this.receive(timeoutNs);
    if (count !== 1 || slots.receivedLength(0) !== 8) {
      throw new libc.SystemError("io_uring", "a write and a read", libc.E.EIO);
    }
    slots.give(slots.received(0));
  }

  #become(awake: boolean, empty: number): void {
    this.#awake = awake;
    this.#empty = empty;
    this.#reads = 1;
  }

  /**
   * Registers the first SLOTS slots, which saves the kernel some work on each packet. If RLIMIT_MEMLOCK is too low, it
   * goes on without.
   */
  #registerSlots(base: bigint, slotSize: number): void {
    // struct iovec
    const slots = new Uint8Array(BigUint64Array.of(base + BigInt(SLOT_BASE), BigInt(SLOTS * slotSize)).buffer);
    const result = libc.io_uring_register(uapi.SYS_io_uring_register, this.#fd, uapi.IORING_REGISTER_BUFFERS, slots, 1);
    this.#words[SLOTS_REGISTERED / 4] = result < 0 ? 0 : SLOT_BASE + SLOTS * slotSize;
  }

  #registerQueue(fd: number): void {
    this.#register(uapi.IORING_REGISTER_FILES, "IORING_REGISTER_FILES", new Uint8Array(Int32Array.of(fd).buffer), 1);
  }

  #register(opcode: number, name: string, arg: Uint8Array | null, nrArgs: number): void {
    libc.check(
      libc.io_uring_register(uapi.SYS_io_uring_register, this.#fd, opcode, arg, nrArgs), "io_uring_register", name,
    );
  }

  /** Queues the replies and `reads` reads. Returns how many entries the kernel is to take. */
  #prepare(reads: number): number {
    const entries = this.#ring.prepare(this.#replies, reads);
    this.#replies = 0;
    return entries;
  }

  /** Submits all entries. */
  #enter(entries: number): void {
    let left = entries;
    do {
      this.#counters[Counter.syscalls]++;
      const taken = libc.io_uring_enter(
        uapi.SYS_io_uring_enter, this.#fd, left, 0, uapi.IORING_ENTER_GETEVENTS, null, 0,
      );
      if (taken === left) return;
      if (taken < 0) {
        const errno = libc.errno();
        // EAGAIN: the kernel is short of memory for a request. EBUSY: it is short of room for completions, which
        // entering makes.
        if (errno !== libc.E.EINTR && errno !== libc.E.EAGAIN && errno !== libc.E.EBUSY) {
          throw new libc.SystemError("io_uring_enter", "the device's queue", errno);
        }
      }
      left = this.#ring.unsubmitted();
    } while (left > 0);
  }

  #reap(): number {
    const count = this.#ring.reap();
    const error = this.#words[READ_ERROR / 4];
    if (error !== 0) throw new libc.SystemError("read", "the device's queue", -error);
    return count;
  }
}

/** Makes the ring in the pages that abi/uring.ts reserves, and notes where the kernel has put its fields. */
function setup(base: bigint, words: Int32Array): number {
  const field = uapi.IO_URING_PARAMS;
  const params = Buffer.alloc(uapi.SIZEOF_IO_URING_PARAMS);
  params.writeUInt32LE(CQ_ENTRIES, field.cq_entries);
  params.writeUInt32LE(SETUP, field.flags);
  params.writeBigUInt64LE(base + BigInt(SQES), field.sq_off_user_addr);
  params.writeBigUInt64LE(base + BigInt(RINGS), field.cq_off_user_addr);
  const fd = libc.check(
    libc.io_uring_setup(uapi.SYS_io_uring_setup, SQ_ENTRIES, params),
    "io_uring_setup",
    `${SQ_ENTRIES} entries in linear memory`,
  );
  words[SQ_HEAD_AT / 4] = RINGS + params.readUInt32LE(field.sq_off_head);
  words[SQ_TAIL_AT / 4] = RINGS + params.readUInt32LE(field.sq_off_tail);
  words[CQ_HEAD_AT / 4] = RINGS + params.readUInt32LE(field.cq_off_head);
  words[CQ_TAIL_AT / 4] = RINGS + params.readUInt32LE(field.cq_off_tail);
  words[CQES_AT / 4] = RINGS + params.readUInt32LE(field.cq_off_cqes);
  return fd;
}
