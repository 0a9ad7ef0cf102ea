/** io_uring: the kernel's structures, on pages of their own; assembly/ring.ts. */
import { POOL_END } from "./pool.ts";

/** Entries of the submission queue: one round's writes and reads. */
export const SQ_ENTRIES = 512;
/** Entries of the completion queue: no round completes more, even if every write fails. */
export const CQ_ENTRIES = 1024;
/** sizeof(struct io_uring_sqe) and sizeof(struct io_uring_cqe), include/uapi/linux/io_uring.h. */
export const SIZEOF_SQE = 64;
export const SIZEOF_CQE = 16;

/** struct io_rings, followed by the completion queue's entries. The kernel says at set-up where each field is. */
export const RINGS = (POOL_END + 4095) & -4096;
/** Bytes of struct io_rings and the completion queue's entries. */
export const RINGS_SIZE = 4096 + SIZEOF_CQE * CQ_ENTRIES;
/** struct io_uring_sqe[SQ_ENTRIES]. */
export const SQES = RINGS + RINGS_SIZE;

export const URING_END = SQES + SIZEOF_SQE * SQ_ENTRIES;

/** Index of the registered file, the queue. */
export const QUEUE_FILE = 0;
