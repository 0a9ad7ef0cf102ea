/** Reads single values of a link, quantities and chances, and says what is wrong with one. */
import { excerpt } from "../base/printable.js";
import type { Chance } from "../prefix/link.js";
import type { Path } from "./path.js";
import { expectedFor, nanosecondsOf, PERCENT, shareOf, TIME, type Quantity } from "./quantities.js";
import type { ChanceMap } from "./types.js";

/** Something is wrong at a path. `what` goes on from the path's name. */
export class Wrong extends Error {
  constructor(readonly path: Path, readonly what: string, readonly which?: "key") {
    super();
  }
}

export function shown(value: unknown): string {
  return value === undefined ? "missing" : excerpt(JSON.stringify(value));
}

/** Reads a quantity. */
export function quantity(
  path: Path, text: string, kind: Quantity, read: (text: string) => number | undefined,
): number {
  const value = read(text);
  if (value === undefined) throw new Wrong(path, ` is ${shown(text)}; expected ${expectedFor(kind, text)}`);
  return value;
}

export function percent(path: Path, text: string): number {
  return quantity(path, text, PERCENT, shareOf);
}

/** Reads a time that is not 0. */
export function positive(path: Path, text: string): number {
  const ns = quantity(path, text, TIME, nanosecondsOf);
  if (ns === 0) throw new Wrong(path, " is 0; expected a time above 0");
  return ns;
}

export function chanceOf(chance: string | ChanceMap, path: Path): Chance {
  if (typeof chance !== "object") return { probability: percent(path, chance), correlation: 0 };
  return {
    probability: percent([...path, "probability"], chance.probability),
    correlation: chance.correlation === undefined ? 0 : percent([...path, "correlation"], chance.correlation),
  };
}
