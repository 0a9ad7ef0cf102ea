/** Histograms of the metrics whose buckets have been counted already; prom-client's own would count observations. */
import { Histogram, type Registry } from "prom-client";
import type { Labels } from "./readcounter.js";

/** What was counted of one series. */
export interface Counts {
  readonly labels?: Labels;
  /** One for each bound, and one more for what is above them, if anything can be. */
  readonly buckets: readonly number[];
  readonly sum: number;
}

export interface HistogramOptions {
  readonly name: string;
  readonly help: string;
  /** Upper bound of each bucket that has one. */
  readonly bounds: readonly number[];
}

export class ReadHistogram extends Histogram {
  readonly #options: HistogramOptions;
  readonly #read: () => readonly Counts[];

  constructor(registry: Registry, options: HistogramOptions, read: () => readonly Counts[]) {
    const { name, help, bounds } = options;
    super({ name, help, buckets: [...bounds], registers: [registry] });
    this.#options = options;
    this.#read = read;
  }

  /** Called by Histogram.get() and the registry to read the samples; prom-client's types leave it out. */
  getForPromString(): Promise<unknown> {
    const { name, help } = this.#options;
    return Promise.resolve({ name, help, type: "histogram", values: this.#read().flatMap((one) => this.#series(one)) });
  }

  #series({ labels = {}, buckets, sum }: Counts) {
    const { name, bounds } = this.#options;
    const upTo = (le: number | "+Inf", value: number) =>
      ({ metricName: `${name}_bucket`, labels: { ...labels, le }, value });
    let count = 0;
    const values = buckets.map((more, i) => upTo(bounds.at(i) ?? "+Inf", count += more));
    if (bounds.length === buckets.length) values.push(upTo("+Inf", count));
    return [
      ...values,
      { metricName: `${name}_sum`, labels, value: sum }, { metricName: `${name}_count`, labels, value: count },
    ];
  }
}
