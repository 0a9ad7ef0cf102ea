/** The prefixes that are served now. */
import type { PrefixList } from "../prefix/list.js";

export class Served {
  #prefixes: PrefixList;
  #examples: readonly string[];

  constructor(prefixes: PrefixList, examples: readonly string[] = []) {
    this.#prefixes = prefixes;
    this.#examples = examples;
  }

  get prefixes(): PrefixList {
    return this.#prefixes;
  }

  /** Addresses that answer ping, one of each family where there is one. */
  get examples(): readonly string[] {
    return this.#examples;
  }

  change(prefixes: PrefixList, examples: readonly string[]): void {
    this.#prefixes = prefixes;
    this.#examples = examples;
  }
}
