/**
 * The engine's contract. An engine lives in a worker, uses that worker's linear memory (memory.ts), and turns
 * received packets into replies where they lie. There are two, twins on purpose: wasm.ts loads assembly/,
 * js.ts is written by hand.
 */
export interface Engine {
  /**
   * Judges the first `count` descriptors of RECEIVED (at most BATCH), at the time that the caller has written
   * (clock.ts). Counts each packet once, except those that it holds or keeps. Does what is due by then, and leaves in
   * DEADLINE when it has to be called next even if no packet comes. Returns how many descriptors of TO_SEND it filled,
   * at most SENDS. The slots of all other packets, but those that are kept, are back on the free stack.
   */
  respond(count: number): number;
}

export const ENGINE_NAMES = ["wasm", "js"] as const;
export type EngineName = typeof ENGINE_NAMES[number];
