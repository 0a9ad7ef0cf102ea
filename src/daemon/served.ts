/**
 * What is served now, and the engines' table of it. A prefix keeps its index, and with it what is counted of it, for as
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
  /** Indices below this have been given. */
  #next = 0;
  /** Of these, those that no table has. */
  #free: number[] = [];
  /** Of prefixes that are gone, whose indices the last table may still have. */
  #leaving: string[] = [];

  /**
   * `hosts`: the host's own addresses. `shares`: how many engines share the prefixes' limits. `others`: addresses that
   * are never answered, whatever is served.
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

  /** Of each of the prefixes. */
  get indices(): readonly number[] {
    return this.#places;
  }

  /** An address of each family that answers ping, where there is one. */
  get examples(): readonly string[] {
    return this.#examples;
  }

  /**
   * Goes over to serve this; `fresh` are the indices of prefixes that were not served before. To be settled before the
   * next change.
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

  /** No engine uses the table before this one any more. */
  settle(): void {
    for (const text of this.#leaving) {
      this.#free.push(this.#indices.get(text) ?? NaN);
      this.#indices.delete(text);
    }
    this.#leaving = [];
  }
}
