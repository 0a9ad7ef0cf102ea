/**
 * Declares what `npm run fuzz` runs: something that reads bytes from outside, and what has to hold whatever they are.
 */

/** The bounds of a run, and the seed that repeats it. */
export interface Limits {
  readonly seconds: number;
  readonly seed: number;
  /** Ends the run early, with what it has. */
  readonly signal: AbortSignal;
}

export interface Summary {
  /** The number of inputs that were tried. */
  readonly inputs: number;
  readonly seconds: number;
  /** The number of blocks of code that they reached. */
  readonly blocks: number;
  /** Inputs that reached a block which none before had. */
  readonly kept: readonly Uint8Array[];
}

export interface Target {
  readonly name: string;
  /** Tries inputs, from those of the corpus on. @throws Finding */
  fuzz(corpus: readonly Uint8Array[], limits: Limits): Promise<Summary>;
  /** Tries one input. @throws what does not hold. */
  replay(input: Uint8Array): Promise<void>;
  /**
   * Returns a few of the inputs, small ones, that together reach what all of them do; all, where that cannot be told.
   */
  minimize(inputs: readonly Uint8Array[]): Promise<readonly Uint8Array[]>;
  /** Ends what the other methods have opened. */
  close(): Promise<void>;
}

/** An input for which something does not hold: `cause` says what. */
export class Finding extends Error {
  override readonly name = "Finding";

  constructor(readonly input: Uint8Array, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
