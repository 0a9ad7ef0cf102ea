/**
 * The fast backend: io_uring with its rings in linear memory, and one io_uring_enter(2) a round. assembly/ring.ts
 * writes and reads the rings. This file has the set-up, the system calls, and the decisions about a round.
 *
 * Under load a round consists of the last batch's writes and a number of reads that do not wait. The number doubles
 * while all of them succeed. Otherwise it falls to one more than came.
 *
 * When at most one packet at a time comes, a round sleeps: it leaves the kernel one read that waits for a packet. So a
 * lone packet costs one system call, which has its reply and the wait for the next one. (Every packet would wake all
 * reads if many waited, which takes ten times the round trip. A poll instead of the read would be one more call.) A
 * sleeping round that gets one packet cannot tell whether more are there. So after every PROBE_EVERY packets a round
 * does not sleep, and looks.
 */
import {
  CQ_HEAD_AT, CQ_TAIL_AT, CQES_AT, MEMORY_ADDRESS, READ_ARMED, READ_ERROR, RING_FD, SLOTS_REGISTERED,
  SQ_HEAD_AT, SQ_TAIL_AT, WAKE_ARMED,
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
import { setTimespec, waitPrecisely } from "./timespec.js";

const SETUP = uapi.IORING_SETUP_CQSIZE | uapi.IORING_SETUP_SUBMIT_ALL | uapi.IORING_SETUP_SINGLE_ISSUER
  | uapi.IORING_SETUP_DEFER_TASKRUN
  | uapi.IORING_SETUP_NO_MMAP | uapi.IORING_SETUP_NO_SQARRAY;

// Indices into #waitArgument.
const TS = 4;
const TIMESPEC = uapi.SIZEOF_IO_URING_GETEVENTS_ARG / 4;

/** Counters that the rounds of #probe() change. */
const TRIED = [Counter.syscalls, Counter.bytesSent, Counter.writeErrors];
const PROBE_EVERY = 8;
const PROBE_ROUNDS = 4000;
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
  /**
   * struct io_uring_getevents_arg {u64 sigmask; u32 sigmask_sz, min_wait_usec; u64 ts}, and the
   * __kernel_timespec that `ts` points at.
   */
  readonly #waitArgument = new Int32Array(new ArrayBuffer(uapi.SIZEOF_IO_URING_GETEVENTS_ARG + uapi.SIZEOF_TIMESPEC));
  /** Descriptors of TO_SEND that the next system call sends. */
  #replies = 0;
  #sleeping = true;
  #reads = 1;
  /** Consecutive rounds without a packet. It starts with enough of them to let it sleep. */
  #empty: number;
  /** Packets that sleeping rounds brought since a round last looked for more. */
  #alone = 0;

  /**
   * Sets the ring up, and tries it with writes and reads. It must run on the thread that then uses the ring, as the
   * kernel requires. `fd` is the queue. `wakeFd` is an eventfd that ends a wait. It is blocking, because the kernel
   * does the waiting. `spin` is the number of rounds that may come up empty before it sleeps.
   * @throws SystemError where this kernel, or whoever confines the process, does not allow it.
   */
  constructor(fd: number, wakeFd: number, linear: LinearMemory, ring: Assembly, spin: number) {
    this.#ring = ring;
    this.#words = new Int32Array(linear.memory.buffer);
    this.#slots = linear.slots;
    this.#counters = linear.counters;
    this.#spin = spin;
    this.#empty = spin + 1;
    waitPrecisely();
    new BigUint64Array(this.#waitArgument.buffer)[TS / 2] = libc.addressOf(this.#waitArgument.buffer)
      + BigInt(4 * TIMESPEC);
    const base = libc.addressOf(linear.memory.buffer);
    new BigUint64Array(linear.memory.buffer)[MEMORY_ADDRESS / 8] = base;
    this.#fd = setup(base, this.#words);
    this.#words[RING_FD / 4] = this.#fd;
    try {
      this.#registerSlots(base, linear.slotSize);
      const probeFd = libc.check(
        libc.eventfd(0, uapi.EFD_CLOEXEC | uapi.EFD_NONBLOCK), "eventfd", "to try io_uring with",
      );
      const before = TRIED.map((counter) => this.#counters[counter]);
      try {
        this.#registerFiles(probeFd, wakeFd);
        this.#probe();
      } finally {
        // The probe is no traffic, whether it worked or not.
        TRIED.forEach((counter, i) => { this.#counters[counter] = before[i]; });
        libc.close(probeFd);
      }
      this.#register(uapi.IORING_UNREGISTER_FILES, "IORING_UNREGISTER_FILES", null, 0);
      this.#registerFiles(fd, wakeFd);
    } catch (error) {
      this.#closeRing();
      throw error;
    }
  }

  receive(timeoutNs: number): number {
    const sleep = this.#sleeping;
    const armed = this.#words[READ_ARMED / 4] !== 0;
    const reads = sleep ? armed ? 0 : 1 : Math.min(this.#reads, batchFor(timeoutNs), this.#slots.free);
    this.#enter(this.#prepare(reads, sleep), sleep ? 1 : 0, timeoutNs);
    const count = this.#reap();

    this.#reads = count === reads ? Math.min(2 * count, BATCH) : count + 1;
    // A branch that the probe never takes would use a field that V8 has no type for, and V8 would throw away the code
    // in the first idle round. So this has no branch.
    const empty = this.#empty + 1;
    this.#empty = count === 0 ? empty : 0;
    if (this.#spin > 0) {
      this.#sleeping = this.#empty > this.#spin;
    } else if (sleep) {
      this.#alone = (this.#alone + count) % PROBE_EVERY;
      this.#sleeping = count === 0 || this.#alone !== 0;
    } else {
      this.#sleeping = count <= 1;
    }
    return count;
  }

  send(count: number): void {
    this.#replies = count;
  }

  drain(): number {
    this.#enter(this.#prepare(0, false), 0, FOREVER);
    if (this.#words[READ_ARMED / 4] !== 0 || this.#words[WAKE_ARMED / 4] !== 0) this.#cancel();
    return this.#ring.reap();
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

  /**
   * Checks that io_uring works, by rounds with a write and a read through the ring, on an eventfd in place of the
   * queue. There are so many rounds that V8 has compiled all of a round before the first packet would have to wait for
   * that: asleep and awake, with a timeout and without.
   */
  #probe(): void {
    const words = this.#words;
    const slots = this.#slots;
    for (let i = 0; i < PROBE_ROUNDS; i++) {
      const slot = slots.take();
      words[slot / 4] = 1;
      words[slot / 4 + 1] = 0;
      slots.send(0, slot, 8);
      this.send(1);
      let count = 0;
      // A signal may end a round early.
      for (let tries = 0; count === 0 && tries < PROBE_TRIES; tries++) {
        count = this.receive(i % 2 === 0 ? FOREVER : PROBE_TIMEOUT_NS);
      }
      if (count !== 1 || slots.receivedLength(0) !== 8) {
        throw new libc.SystemError("io_uring", "a write and a read", libc.E.EIO);
      }
      slots.give(slots.received(0));
    }
    if (this.drain() !== 0 || words[READ_ARMED / 4] !== 0 || words[WAKE_ARMED / 4] !== 0) {
      throw new libc.SystemError("io_uring", "the end of a wait", libc.E.EIO);
    }
    this.#sleeping = true;
    this.#reads = 1;
    this.#empty = this.#spin + 1;
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

  #registerFiles(queue: number, wake: number): void {
    this.#register(
      uapi.IORING_REGISTER_FILES, "IORING_REGISTER_FILES", new Uint8Array(Int32Array.of(queue, wake).buffer), 2,
    );
  }

  #register(opcode: number, name: string, arg: Uint8Array | null, nrArgs: number): void {
    libc.check(
      libc.io_uring_register(uapi.SYS_io_uring_register, this.#fd, opcode, arg, nrArgs), "io_uring_register", name,
    );
  }

  /** Queues the replies and `reads` reads. Returns how many entries the kernel is to take. */
  #prepare(reads: number, sleep: boolean): number {
    const entries = this.#ring.prepare(this.#replies, reads, sleep);
    this.#replies = 0;
    return entries;
  }

  /** Submits all entries, and waits for `minComplete` completions unless a signal comes or the time is over. */
  #enter(entries: number, minComplete: number, timeoutNs: number): void {
    let left = entries;
    let wanted = minComplete;
    do {
      this.#counters[Counter.syscalls]++;
      const taken = timeoutNs === FOREVER
        ? libc.io_uring_enter(uapi.SYS_io_uring_enter, this.#fd, left, wanted, uapi.IORING_ENTER_GETEVENTS, null, 0)
        : this.#enterFor(left, wanted, timeoutNs);
      if (taken === left) return;
      if (taken < 0) {
        const errno = libc.errno();
        // EAGAIN: the kernel is short of memory for a request. EBUSY: it is short of room for completions, which
        // entering makes. ETIME: the time is over.
        if (errno !== libc.E.EINTR && errno !== libc.E.ETIME && errno !== libc.E.EAGAIN && errno !== libc.E.EBUSY) {
          throw new libc.SystemError("io_uring_enter", "the device's queue", errno);
        }
      }
      left = this.#ring.unsubmitted();
      wanted = 0;
    } while (left > 0);
  }

  #enterFor(toSubmit: number, minComplete: number, timeoutNs: number): number {
    setTimespec(this.#waitArgument, TIMESPEC, timeoutNs);
    const flags = uapi.IORING_ENTER_GETEVENTS | uapi.IORING_ENTER_EXT_ARG;
    return libc.io_uring_enter(
      uapi.SYS_io_uring_enter, this.#fd, toSubmit, minComplete, flags, this.#waitArgument,
      uapi.SIZEOF_IO_URING_GETEVENTS_ARG,
    );
  }

  #reap(): number {
    const count = this.#ring.reap();
    const error = this.#words[READ_ERROR / 4];
    if (error !== 0) throw new libc.SystemError("read", "the device's queue", -error);
    return count;
  }

  /** Cancels the requests that wait in the kernel. A packet that comes before that is received all the same. */
  #cancel(): void {
    const request = Buffer.alloc(uapi.SIZEOF_IO_URING_SYNC_CANCEL_REG);
    request.writeInt32LE(-1, 8);
    request.writeUInt32LE(uapi.IORING_ASYNC_CANCEL_ALL | uapi.IORING_ASYNC_CANCEL_ANY, 12);
    request.writeBigInt64LE(-1n, 16);
    request.writeBigInt64LE(-1n, 24);
    libc.io_uring_register(uapi.SYS_io_uring_register, this.#fd, uapi.IORING_REGISTER_SYNC_CANCEL, request, 1);
    this.#enter(0, 0, FOREVER);
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
