/**
 * The packet I/O's contract: how packets of one queue come into slots and leave them. It knows descriptors and slots
 * (abi/slots.ts) and nothing of what is in them. It lives in the worker, on the thread that runs the loop.
 */
export interface PacketIo {
  readonly name: IoName;
  /**
   * Fills descriptors of RECEIVED from free slots, up to BATCH, and returns how many. Sleeps only when there is nothing
   * to do, and no longer than `timeoutMs`, a whole number, where that is not FOREVER; returns 0 when something other
   * than a packet woke it, which it then takes note of, or nothing did. @throws SystemError where the queue is beyond
   * use.
   */
  receive(timeoutMs: number): number;
  /**
   * Sends the first `count` descriptors of TO_SEND, at the latest with the next system call, and sees to it that their
   * slots come free. Counts what the kernel refuses.
   */
  send(count: number): void;
  /**
   * At the end: sends what was left to send, gives up waiting, and returns how many packets had come. Until that is 0.
   */
  drain(): number;
  /** After the last drain, or when all is lost. */
  close(): void;
}

/** A timeout that does not end a wait. */
export const FOREVER = -1;

export const IO_NAMES = ["uring", "readwrite"] as const;
export type IoName = typeof IO_NAMES[number];
/** What may be asked for: `auto` is io_uring where it works. */
export const IO_CHOICES = ["auto", ...IO_NAMES] as const;
export type IoChoice = typeof IO_CHOICES[number];
