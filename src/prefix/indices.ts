/** Gives prefixes the indices at which they are counted. */
import type { PrefixList } from "./list.js";
import { BlockMap, type Prefix } from "./prefixes.js";

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
export function indicesOf(prefixes: readonly Prefix[], before: PrefixList | undefined): Indices {
  const known = new BlockMap(before
    ? Array.from({ length: before.length }, (_, i) => {
        return { ...before.block(i), index: before.index(i) };
      })
    : []);
  const taken = new Set<number>();
  for (let i = 0; before && i < before.length; i++) taken.add(before.index(i));
  const fresh: number[] = [];
  let next = 0;
  const all = prefixes.map((prefix) => {
    const own = known.get(prefix);
    if (own) return own.index;
    while (taken.has(next)) next++;
    fresh.push(next);
    return next++;
  });
  return { all, fresh };
}
