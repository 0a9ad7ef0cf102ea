/** Ranges of ports, each with the service that it has: read from text, nested, and laid over each other. */
import type { PortRange, PortService } from "./policy.js";

export const MAX_PORT = 65_535;

/** Ports from `first` to `last`. */
export type Ports = Pick<PortRange, "first" | "last">;

/** Reads a port, or a range like 8000-8010; returns undefined if the text is neither. */
export function parsePorts(text: string): Ports | undefined {
  const [, from, to = from] = (/^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? []) as (string | undefined)[];
  const [first, last] = [Number(from), Number(to)];
  return first >= 1 && first <= last && last <= MAX_PORT ? { first, last } : undefined;
}

/** Returns the shortest text that parsePorts() reads as these ports. */
export function formatPorts({ first, last }: Ports): string {
  return first === last ? String(first) : `${first}-${last}`;
}

/** Two ranges that cross, or that are the same one: `second` comes after `first` in the list. */
export interface Clash<T> {
  readonly first: T;
  readonly second: T;
}

/**
 * Lays ranges out in ascending order, so that none overlap: the narrower of two decides. Returns the clash if two cross
 * each other, or are the same.
 */
export function unnested<T extends PortRange>(ranges: readonly T[]): PortRange[] | Clash<T> {
  const sorted = ranges.map((range, i) => ({ range, i }))
    .sort((a, b) => a.range.first - b.range.first || b.range.last - a.range.last || a.i - b.i);
  const laid: PortRange[] = [];
  /** The ranges around the port `at`, up to which all is laid out, the widest first. */
  const around: { range: T; i: number }[] = [];
  let at = 0;
  const layTo = (last: number) => {
    const [inner] = around.slice(-1);
    if (at <= last) laid.push({ first: at, last, service: inner.range.service });
    at = last + 1;
  };
  const closeBefore = (first: number) => {
    for (let inner = around.at(-1); inner && inner.range.last < first; inner = around.at(-1)) {
      layTo(inner.range.last);
      around.pop();
    }
  };
  for (const next of sorted) {
    closeBefore(next.range.first);
    const outer = around.at(-1);
    if (outer) {
      const same = outer.range.first === next.range.first && outer.range.last === next.range.last;
      if (same || next.range.last > outer.range.last) {
        const [first, second] = [outer, next].sort((a, b) => a.i - b.i);
        return { first: first.range, second: second.range };
      }
      layTo(next.range.first - 1);
    }
    at = next.range.first;
    around.push(next);
  }
  closeBefore(Infinity);
  return laid;
}

/** Lays ranges over others. Both are in ascending order without overlaps, and so is what is returned. */
export function laidOver(below: readonly PortRange[], above: readonly PortRange[]): PortRange[] {
  const laid = [...above];
  let next = 0;
  for (const { first, last, service } of below) {
    while (next < above.length && above[next].last < first) next++;
    let at = first;
    for (let i = next; at <= last; i++) {
      const over = above.at(i);
      const end = Math.min(last, over ? over.first - 1 : MAX_PORT);
      if (at <= end) laid.push({ first: at, last: end, service });
      at = over ? over.last + 1 : MAX_PORT + 1;
    }
  }
  return laid.sort((a, b) => a.first - b.first);
}

/** Joins ranges that touch and have the same service, and leaves those out whose service is `none`. */
export function joined(ranges: readonly PortRange[], none: PortService): PortRange[] {
  const all: PortRange[] = [];
  for (const range of ranges) {
    if (range.service === none) continue;
    const before = all.at(-1);
    if (before?.last === range.first - 1 && before.service === range.service) {
      all[all.length - 1] = { ...before, last: range.last };
    } else {
      all.push(range);
    }
  }
  return all;
}
