/** The prefixes that are served, by the owner of an address. */
import { FIRST_PREFIX } from "../../abi/tables.js";
import { PrefixList, type Listed } from "../prefix/list.js";

export class PrefixIndex {
  readonly #list: PrefixList;
  /** Position in the list by index; made when it is first asked for. */
  #positions: Map<number, number> | undefined;

  constructor(list = PrefixList.of([])) {
    this.#list = list;
  }

  /** Returns the prefix that is this owner of addresses (abi/tables.ts); undefined if it is not served any more. */
  of(owner: number): Listed | undefined {
    this.#positions ??= new Map(Array.from({ length: this.#list.length }, (_, i) => [this.#list.index(i), i]));
    const position = this.#positions.get(owner - FIRST_PREFIX);
    return position === undefined ? undefined : this.#list.at(position);
  }
}
