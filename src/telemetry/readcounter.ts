/** Counters of the metrics that are read at a scrape. */
import { Counter as PromCounter, type Registry } from "prom-client";

export type Labels = Readonly<Record<string, string>>;

/** Index of a sample in a queue's counters. */
export interface Place {
  readonly labels: Labels;
  readonly index: number;
}

export interface Sample {
  /** Labels, the same object at each scrape: prom-client caches the text of it. */
  readonly labels: Labels;
  readonly read: () => number;
}

/**
 * A counter that is read, not incremented. prom-client's own looks each sample up by a hash of its labels and validates
 * them; here both would be wasted, since samples and labels are fixed.
 */
export class ReadCounter extends PromCounter {
  /** Name without the _total suffix where the registry strips it: OpenMetrics has the suffix on the sample only. */
  declare readonly name: string;
  readonly #help: string;
  readonly #samples: () => readonly Sample[];

  constructor(
    registry: Registry, { name, help }: { readonly name: string; readonly help: string },
    samples: () => readonly Sample[],
  ) {
    super({ name, help, registers: [registry] });
    this.#help = help;
    this.#samples = samples;
  }

  /** Called by the registry to read the samples; prom-client's types leave it out. */
  getForPromString(): Promise<unknown> {
    const values = this.#samples().map(({ labels, read }) => ({ sharedLabels: labels, value: read() }));
    return Promise.resolve({ name: this.name, help: this.#help, type: "counter", values });
  }
}
