/**
 * The engine's contract. An engine lives in a worker, over that worker's linear memory (memory.ts), and turns received
 * packets into replies where they lie. Two of them, twins on purpose: wasm.ts loads assembly/, js.ts is written by
 * hand.
 */
export interface Engine {
  /**
   * Judges the first `count` descriptors of RECEIVED (up to BATCH) and counts each packet once, but for those that it
   * holds; does what is due at `now`, Unix time in milliseconds, and leaves in DEADLINE when it is to be called next
   * though nothing came. Returns how many descriptors of TO_SEND it filled; the slots of all other packets are back on
   * the free stack.
   */
  respond(count: number, now: number): number;
}

export const ENGINE_NAMES = ["wasm", "js"] as const;
export type EngineName = typeof ENGINE_NAMES[number];
