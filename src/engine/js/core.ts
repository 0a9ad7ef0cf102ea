/** The interface between the parts of the JavaScript engine. */
import type { Frames } from "./frame.js";

/** The views and functions that the parts share. */
export interface Core {
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly frames: Frames;
  readonly owner: (addr: number, table: number) => number;
  readonly owner6: (addr: number, table: number) => number;
  readonly sum: (p: number, len: number) => number;
  readonly holds: (sum: number) => boolean;
  readonly fold: (sum: number) => number;
  /** Counts an answer of the prefix and queues the frame with it. Returns the verdict for the frame. */
  readonly answer: (protocol: number, prefix: number, frame: number, length: number) => number;
}

/**
 * Judges a frame of `length` bytes, of which `headerLen` are its Ethernet header. Returns a verdict; see ethernet.ts.
 */
export type Responder = (frame: number, headerLen: number, length: number, table: number) => number;
