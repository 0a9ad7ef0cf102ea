/** What the parts of the JavaScript engine share. */
import type { Frames } from "./frame.js";

/** How the JavaScript engine's parts reach what they share. */
export interface Core {
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly frames: Frames;
  readonly owner: (addr: number, table: number) => number;
  readonly owner6: (addr: number, table: number) => number;
  readonly sum: (p: number, len: number) => number;
  readonly holds: (sum: number) => boolean;
  readonly fold: (sum: number) => number;
  /** Counts an answer of the prefix, and queues the frame that it is. Returns the verdict for it. */
  readonly answer: (protocol: number, prefix: number, frame: number, length: number) => number;
}

/** `headerLen`: of the Ethernet header. `length`: of the frame. Returns a verdict; see ethernet.ts. */
export type Responder = (frame: number, headerLen: number, length: number, table: number) => number;
