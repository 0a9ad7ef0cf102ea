/** What is wrong with prefixes and exceptions taken together. */
import { PREFIXES } from "../../abi/tables.js";
import { BlockMap } from "./blockmap.js";
import type { Prefix } from "./prefixes.js";

/**
 * A prefix or exception that conflicts with the others. `index` is its position among the prefixes,
 * followed by the exceptions.
 */
interface Misfit {
  readonly index: number;
  readonly message: string;
  /** Position of the one that it repeats. */
  readonly first?: number;
}

/**
 * Yields what is wrong with prefixes and exceptions taken together. An entry that is invalid by itself is undefined.
 */
export function* misfits(
  prefixes: readonly (Prefix | undefined)[], exceptions: readonly (Prefix | undefined)[],
): Generator<Misfit, void, undefined> {
  const count = prefixes.length + exceptions.length;
  if (count > PREFIXES) yield {
    index: PREFIXES,
    message: `${count} prefixes${exceptions.length > 0 ? " and exceptions" : ""} given; at most ${PREFIXES} fit`,
  };
  const seen = new Map<string, number>();
  const containers = exceptions.length > 0
    ? new BlockMap(prefixes.filter((prefix) => prefix !== undefined))
    : undefined;
  for (let index = 0; index < count; index++) {
    const exception = index >= prefixes.length;
    const block = exception ? exceptions[index - prefixes.length] : prefixes[index];
    if (!block) continue;
    const first = seen.get(block.text);
    if (first === undefined) {
      seen.set(block.text, index);
      if (exception && !containers?.around(block)) {
        yield { index, message: `exception ${block.text} lies in none of the prefixes` };
      }
    } else if (exception && first < prefixes.length) {
      yield { index, first, message: `${block.text} is given as a prefix and as an exception` };
    } else {
      yield { index, first, message: `${exception ? "exception" : "prefix"} ${block.text} is given twice` };
    }
  }
}
