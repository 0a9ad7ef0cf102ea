// io_uring's two queues, where they lie in linear memory (IORING_SETUP_NO_MMAP). Here are the loads and stores. The
// host makes one system call a round (src/io/uring.ts). A round:
//
//  1. prepare  queues the last batch's replies as writes, first, so that they leave first; then as many reads as the
//              host expects packets
//  2. the host's io_uring_enter(2)
//  3. reap     puts packets into RECEIVED, and the slots of replies and of reads that came up empty on the free stack
//
// Reads and writes are RWF_NOWAIT: they complete within io_uring_enter or fail with EAGAIN. So when the kernel has
// taken all entries, all of them are over. Reads, and writes that failed, have left a completion
// (IOSQE_CQE_SKIP_SUCCESS). For slots that are registered (the _FIXED operations, buffer 0), the kernel need not look
// up their pages on every request.
//
// Indices run on and wrap at 2^32. An entry lies at its index modulo the queue's size. The side that advances an index
// publishes what it wrote before by a release store. The other side reads the index by an acquire load. These are
// atomic.store and atomic.load.

import {
  CQ_HEAD_AT, CQ_TAIL_AT, CQES_AT, FRAME_OFFSET, MEMORY_ADDRESS, PACKET_SIZE, READ_ERROR, SLOTS_REGISTERED, SQ_HEAD_AT,
  SQ_TAIL_AT, VNET_HEADER_LEN, WRITES_PENDING,
} from "../abi/control";
import { Counter } from "../abi/counters";
import { CQ_ENTRIES, QUEUE_FILE, SIZEOF_CQE, SIZEOF_SQE, SQ_ENTRIES, SQES } from "../abi/uring";
import { refused } from "./cut";
import { add, free, receive, retake, take, toSendLength, toSendSlot } from "./memory";

// <linux/io_uring.h>: enum io_uring_op, sqe->flags
const IORING_OP_READ_FIXED: u64 = 4;
const IORING_OP_WRITE_FIXED: u64 = 5;
const IORING_OP_READ: u64 = 22;
const IORING_OP_WRITE: u64 = 23;
const IOSQE_FIXED_FILE: u64 = 1 << 0;
const IOSQE_CQE_SKIP_SUCCESS: u64 = 1 << 6;
// <linux/fs.h>, <errno.h>
const RWF_NOWAIT: u64 = 8;
const EINTR: i32 = 4;
const EAGAIN: i32 = 11;
const EINVAL: i32 = 22;

// user_data: the kind of entry, then a length (24 bits), then a slot (32 bits).
const READ: u64 = 1;
const WRITE: u64 = 2;

/**
 * Queues the first `replies` of TO_SEND as writes, and `reads` reads into free slots, at most SQ_ENTRIES in all.
 * Returns how many entries the kernel has not taken yet.
 */
export function prepare(replies: u32, reads: u32): u32 {
  let tail = load<u32>(load<u32>(SQ_TAIL_AT));
  const registered: usize = load<u32>(SLOTS_REGISTERED);
  const headerLen = load<u32>(VNET_HEADER_LEN);

  let bytes: u32 = 0;
  for (let i: u32 = 0; i < replies; i++) {
    const slot = toSendSlot(i);
    const length = toSendLength(i);
    entry(
      tail++, slot < registered ? IORING_OP_WRITE_FIXED : IORING_OP_WRITE, IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS,
      QUEUE_FILE, address(slot - headerLen), length + headerLen | RWF_NOWAIT << 32, tag(WRITE, length, slot),
    );
    bytes += length;
  }
  store<u32>(WRITES_PENDING, replies);
  // All replies count as sent for now. reap() subtracts those that failed.
  add(Counter.bytesSent, bytes);

  const size = load<u32>(PACKET_SIZE);
  const offset = load<u32>(FRAME_OFFSET);
  for (let i: u32 = 0; i < reads; i++) {
    const slot = take() + offset;
    entry(
      tail++, slot < registered ? IORING_OP_READ_FIXED : IORING_OP_READ, IOSQE_FIXED_FILE, QUEUE_FILE,
      address(slot - headerLen), size | RWF_NOWAIT << 32, tag(READ, 0, slot),
    );
  }
  atomic.store<u32>(load<u32>(SQ_TAIL_AT), tail);
  return unsubmitted();
}

/** Returns how many entries the kernel has not taken yet. */
export function unsubmitted(): u32 {
  return load<u32>(load<u32>(SQ_TAIL_AT)) - atomic.load<u32>(load<u32>(SQ_HEAD_AT));
}

/** Takes in all completions. The caller has submitted all entries. Returns how many packets are in RECEIVED. */
export function reap(): u32 {
  const writes = load<u32>(WRITES_PENDING);
  for (let i: u32 = 0; i < writes; i++) free(toSendSlot(i));
  store<u32>(WRITES_PENDING, 0);

  const headerLen = load<u32>(VNET_HEADER_LEN);
  let received: u32 = 0;
  let head = load<u32>(load<u32>(CQ_HEAD_AT));
  const tail = atomic.load<u32>(load<u32>(CQ_TAIL_AT));
  for (; head != tail; head++) {
    const cqe: usize = load<u32>(CQES_AT) + (head & (CQ_ENTRIES - 1)) * SIZEOF_CQE;
    const userData = load<u64>(cqe);
    const res = load<i32>(cqe, 8);
    const kind = userData >>> 56;
    if (kind == READ) {
      const slot = <usize>(<u32>userData);
      if (res > 0) {
        receive(received++, slot, res - headerLen);
      } else {
        free(slot);
        if (res != -EAGAIN && res != -EINTR) store<i32>(READ_ERROR, res);
      }
    } else {
      const length = <i32>(userData >>> 32 & 0xffffff);
      if (res != length + <i32>headerLen) {
        add(Counter.bytesSent, -length);
        // Only the writes of the round that is over have been freed, and nothing has been taken since.
        if (res == -EINVAL && refused(<usize>(<u32>userData), length)) retake(<usize>(<u32>userData));
        else add(Counter.writeErrors, 1);
      }
    }
  }
  atomic.store<u32>(load<u32>(CQ_HEAD_AT), head);
  return received;
}

/**
 * Fills a struct io_uring_sqe: opcode, flags, fd; offset, 0 for a device; address; length and the
 * operation's own flags; user_data.
 */
function entry(index: u32, opcode: u64, flags: u64, file: u64, addr: u64, lengthAndFlags: u64, userData: u64): void {
  const sqe = SQES + (index & (SQ_ENTRIES - 1)) * SIZEOF_SQE;
  store<u64>(sqe, opcode | flags << 8 | file << 32);
  store<u64>(sqe, 0, 8);
  store<u64>(sqe, addr, 16);
  store<u64>(sqe, lengthAndFlags, 24);
  store<u64>(sqe, userData, 32);
}

function tag(kind: u64, length: u64, slot: usize): u64 {
  return kind << 56 | length << 32 | <u64>slot;
}

function address(slot: usize): u64 {
  return load<u64>(MEMORY_ADDRESS) + slot;
}
