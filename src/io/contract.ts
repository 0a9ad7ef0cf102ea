/**
 * The packet I/O's contract: how packets of one queue get into slots and out of them. A backend knows descriptors and
 * slots (abi/slots.ts) but never looks into a packet. It lives in the worker, on the thread that runs the loop.
 */
import { BATCH } from "../../abi/slots.js";

export interface PacketIo {
  readonly name: IoName;
  /**
   * Fills descriptors of RECEIVED from free slots, at most batchFor(timeoutNs), and returns how many. It sleeps only if
   * there is nothing to do, and for at most `timeoutNs`, a whole number of nanoseconds, unless that is FOREVER. It
   * returns 0 if the time is over or if something other than a packet woke it, which it has then dealt with. It may
   * also return 0 early, so the caller reads the clock.
   * @throws SystemError where the queue can no longer be used.
   */
  receive(timeoutNs: number): number;
  /**
   * Sends the first `count` descriptors of TO_SEND, at the latest with the next system call, and frees their slots.
   * Counts what the kernel refuses.
   */
  send(count: number): void;
  /** Sends what is left to send. Called at the end. */
  flush(): void;
  /** Closes the backend, after flush() or after an error. */
  close(): void;
}

/**
 * Takes back the packet of `length` bytes at `place`, which the kernel has refused as invalid (EINVAL). Returns false
 * if nothing can be done about it: then it is lost, and its slot is free. Assembly's refused() is one.
 */
export type Refuse = (place: number, length: number) => boolean;

/** A timeout that never ends a wait. */
export const FOREVER = -1;

/** If the timeout of a wait is shorter than this, something is due soon. */
const SOON_NS = 1_000_000;
/** Packets of a round while something is due soon. BATCH packets take 0.4 ms, and what is due would wait for them. */
export const SHORT_BATCH = 64;

/** Returns how many packets a round with this timeout may read. */
export function batchFor(timeoutNs: number): number {
  return timeoutNs !== FOREVER && timeoutNs < SOON_NS ? SHORT_BATCH : BATCH;
}

export const IO_NAMES = ["uring", "readwrite"] as const;
export type IoName = typeof IO_NAMES[number];
/** Values of the setting: `auto` is io_uring where it works. */
export const IO_CHOICES = ["auto", ...IO_NAMES] as const;
export type IoChoice = typeof IO_CHOICES[number];
