/**
 * The prefixes that are served now, and the engines' table of them. A prefix keeps its index, and so its counts, for as
 * long as it is served.
 */
import { examplesOf, tableOf, type Table } from "../engine/table.js";
import type { Address, Prefix, ServedPrefix, Serving } from "../prefix/prefixes.js";

export class Served {
  #table: Table;
  #prefixes: readonly ServedPrefix[] = [];
  #places: readonly number[] = [];
  #examples: readonly string[] = [];
  readonly #hosts: readonly Address[];
  readonly #shares: number;
  readonly #others: readonly Prefix[];
  readonly #indices = new Map<string, number>();
  /** Lowest index that was never given out. */
  #next = 0;
  /** Indices below #next that no table has. */
  #free: number[] = [];
  /** Prefixes that are gone, but whose indices the last table may still have. */
  #leaving: string[] = [];

  /**
   * `hosts`: the host's own addresses. `shares`: how many engines share the prefixes' limits. `others`: addresses that
   * are never answered, whatever the configuration says.
   */
  constructor(serving: Serving, hosts: readonly Address[], shares: number, others: readonly Prefix[] = []) {
    this.#hosts = hosts;
    this.#others = others;
    this.#shares = shares;
    this.#table = this.change(serving).table;
  }

  get table(): Table {
    return this.#table;
  }

  get prefixes(): readonly ServedPrefix[] {
    return this.#prefixes;
  }

  /** Index of each of `prefixes`. */
  get indices(): readonly number[] {
    return this.#places;
  }

  /** Addresses that answer ping, one of each family where there is one. */
  get examples(): readonly string[] {
    return this.#examples;
  }

  /**
   * Serves other prefixes from now on. `fresh` are the indices of prefixes that were not served before. Call settle()
   * before the next change.
   */
  change({ prefixes, exceptions, policy }: Serving): { readonly table: Table; readonly fresh: readonly number[] } {
    const serving = { prefixes, exceptions: [...exceptions, ...this.#others], policy };
    const fresh: number[] = [];
    const indices = serving.prefixes.map(({ text }) => {
      const index = this.#indices.get(text) ?? this.#free.pop() ?? this.#next++;
      if (!this.#indices.has(text)) fresh.push(index);
      this.#indices.set(text, index);
      return index;
    });
    const staying = new Set(serving.prefixes.map(({ text }) => text));
    this.#leaving = [...this.#indices.keys()].filter((text) => !staying.has(text));
    this.#prefixes = serving.prefixes;
    this.#places = indices;
    this.#table = tableOf(serving, { hosts: this.#hosts, indices, shares: this.#shares });
    this.#examples = examplesOf(serving, this.#hosts, this.#table);
    return { table: this.#table, fresh };
  }

  /** Frees the indices of prefixes that are gone. Call it once no engine uses the previous table any more. */
  settle(): void {
    for (const text of this.#leaving) {
      this.#free.push(this.#indices.get(text) ?? NaN);
      this.#indices.delete(text);
    }
    this.#leaving = [];
  }
}
