/** The prefixes that are served now. */
import type { Accepting } from "../engine/services.js";
import type { PrefixList } from "../prefix/list.js";

export class Served {
  #prefixes: PrefixList;
  #examples: readonly string[];
  #services: readonly (readonly Accepting[])[];

  constructor(
    prefixes: PrefixList, examples: readonly string[] = [], services: readonly (readonly Accepting[])[] = [],
  ) {
    this.#prefixes = prefixes;
    this.#examples = examples;
    this.#services = services;
  }

  get prefixes(): PrefixList {
    return this.#prefixes;
  }

  /** Addresses that answer ping, one of each family where there is one. */
  get examples(): readonly string[] {
    return this.#examples;
  }

  /** TCP services that accept connections, for each queue. */
  get services(): readonly (readonly Accepting[])[] {
    return this.#services;
  }

  change(
    prefixes: PrefixList, examples: readonly string[], services: readonly (readonly Accepting[])[],
  ): void {
    this.#prefixes = prefixes;
    this.#examples = examples;
    this.#services = services;
  }
}
