/** What `npm run fuzz` runs: something that reads bytes from outside, and what has to hold whatever they are. */

/** How a run is bounded and repeated. */
export interface Limits {
  readonly seconds: number;
  readonly seed: number;
  /** Ends it early, with what it has. */
  readonly signal: AbortSignal;
}

export interface Summary {
  /** How many were tried. */
  readonly inputs: number;
  readonly seconds: number;
  /** Blocks of code that they reached. */
  readonly blocks: number;
  /** Those that reached a block which none before had. */
  readonly kept: readonly Uint8Array[];
}

export interface Target {
  readonly name: string;
  /** Tries inputs, from those of the corpus on. @throws Finding */
  fuzz(corpus: readonly Uint8Array[], limits: Limits): Promise<Summary>;
  /** Tries one. @throws what does not hold. */
  replay(input: Uint8Array): Promise<void>;
  /** A few of the inputs, small ones, that together reach what all of them do; all, where that cannot be told. */
  minimize(inputs: readonly Uint8Array[]): Promise<readonly Uint8Array[]>;
  /** Ends what the others have opened. */
  close(): Promise<void>;
}

/** An input for which something does not hold: `cause` says what. */
export class Finding extends Error {
  override readonly name = "Finding";

  constructor(readonly input: Uint8Array, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
