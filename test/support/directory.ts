/** Prefixes that are served and change, with the table of each change, as a reload makes them. */
import { tableOf, type Table } from "../../src/engine/table.js";
import { indicesOf } from "../../src/prefix/indices.js";
import { PrefixList } from "../../src/prefix/list.js";
import type { Address, Serving } from "../../src/prefix/prefixes.js";

export class Directory {
  prefixes = PrefixList.of([]);
  table: Table;
  readonly #hosts: readonly Address[];
  readonly #shares: number;

  /** `shares`: how many engines share the prefixes' limits. */
  constructor(serving: Serving, hosts: readonly Address[] = [], shares = 1) {
    this.#hosts = hosts;
    this.#shares = shares;
    this.table = this.change(serving).table;
  }

  get indices(): number[] {
    return Array.from(this.prefixes, ({ index }) => index);
  }

  /** Serves other prefixes. `fresh` are the indices of those that were not served before. */
  change(serving: Serving): { readonly table: Table; readonly fresh: readonly number[] } {
    const { all, fresh } = indicesOf(serving.prefixes, this.prefixes);
    this.prefixes = PrefixList.of(serving.prefixes, all);
    this.table = tableOf(serving, { hosts: this.#hosts, indices: all, shares: this.#shares });
    return { table: this.table, fresh };
  }
}
