/** Gives prefixes the indices at which they are counted. */
import { PREFIX_INDICES } from "../../abi/tables.js";
import { BlockSet } from "./blocks.js";
import { PrefixList } from "./list.js";
import type { Prefix } from "./prefixes.js";

export interface Indices {
  /** Index of each prefix. */
  readonly all: readonly number[];
  /** Indices of prefixes that were not served before. Nobody has counted at them since they were last cleared. */
  readonly fresh: readonly number[];
}

/**
 * Returns the indices of prefixes. One that was served `before` keeps its own, and so its counts. No other gets an
 * index that was in use before: the engines may still count there.
 */
export function indicesOf(prefixes: readonly Prefix[], before = PrefixList.of([])): Indices {
  const known = new BlockSet();
  for (const block of before.blocks) known.add(block);
  const taken = new Uint8Array(PREFIX_INDICES);
  for (let i = 0; i < before.length; i++) taken[before.index(i)] = 1;
  const fresh: number[] = [];
  let next = 0;
  const all = prefixes.map((prefix) => {
    const position = known.find(prefix);
    if (position >= 0) return before.index(position);
    while (taken[next] !== 0) next++;
    fresh.push(next);
    return next++;
  });
  return { all, fresh };
}
