/**
 * Treats IP options as a host does, written plainly over arrays, and makes random ones. The errors and replies are
 * those of docs/develop/conformance.md, E-6 to E-8.
 */
import { addr } from "./packets.js";
import type { Random } from "./random.js";

/** The reply's options before they are filled up, and its destination; or the byte that is wrong; or nothing. */
export type Outcome = { readonly options: number[]; readonly via: readonly number[] } | { readonly problem: number }
  | "dropped";

export interface Circumstances {
  readonly requester: readonly number[];
  readonly host: readonly number[];
  /** Milliseconds since midnight, as they stand in a slot. */
  readonly time: readonly number[];
  readonly reverse: boolean;
  readonly ours: (address: readonly number[]) => boolean;
  readonly mayBeSentTo: (address: readonly number[]) => boolean;
}

interface Option {
  readonly at: number;
  readonly bytes: number[];
}

/** Returns what must come of a request whose header has these options, from its 21st byte on. */
export function outcome(options: readonly number[], circumstances: Circumstances): Outcome {
  const { requester, host, time, reverse, ours, mayBeSentTo } = circumstances;
  const found = new Map<"record" | "timestamp" | "route", Option>();
  let at = 20;
  let rest = [...options];
  while (rest.length > 0 && rest[0] !== 0) {
    const length = rest[0] === 1 ? 1 : rest.length < 2 ? 0 : rest[1];
    if ((rest[0] !== 1 && length < 2) || length > rest.length) return { problem: at };
    const option = { at, bytes: rest.slice(0, length) };
    rest = rest.slice(length);
    at += length;
    const name = ({ 7: "record", 68: "timestamp", 131: "route", 137: "route" } as const)[option.bytes[0]];
    const problem = problemOf(option.bytes, name !== undefined && found.has(name));
    if (problem !== undefined) return { problem: option.at + problem };
    if (name) found.set(name, option);
  }

  const route = found.get("route")?.bytes;
  if (route) {
    if (!reverse) return "dropped";
    if (route[2] <= route.length) {
      return route[2] + 3 > route.length ? { problem: (found.get("route")?.at ?? 0) + 2 } : "dropped";
    }
  }

  const reply: number[] = [];
  const record = found.get("record")?.bytes;
  if (record) {
    for (let i = 0; i < 2 && record[2] <= record.length; i++) if (!put(record, host)) return "dropped";
    reply.push(...record);
  }
  const stamps = found.get("timestamp")?.bytes;
  if (stamps) {
    const flag = stamps[3] & 15;
    if (stamps[2] > stamps.length && flag !== 3) stamps[3] += 16;
    for (let i = 0; i < 2 && stamps[2] <= stamps.length; i++) {
      if (flag === 0 && !put(stamps, time)) return "dropped";
      if (flag === 1 && !put(stamps, [...host, ...time])) return "dropped";
      if (flag === 3) {
        const named = stamps.slice(stamps[2] - 1);
        if (named.length < 4) return "dropped";
        if (named.length < 8 || !ours(named.slice(0, 4))) break;
        put(stamps, [...named.slice(0, 4), ...time]);
      }
    }
    reply.push(...stamps);
  }
  let via = requester;
  if (route) {
    const hops: number[][] = [];
    for (let end = route.length; end - 4 >= 3; end -= 4) hops.push(route.slice(end - 4, end));
    if (hops.length > 0 && hops[hops.length - 1].join() === requester.join()) hops.pop();
    if (hops.length > 0) {
      via = hops[0];
      const back = [...hops.slice(1), requester].flat();
      reply.push(route[0], 3 + back.length, 4, ...back);
    }
    if (!mayBeSentTo(via)) return "dropped";
  }
  return { options: reply, via };
}

/** Returns which byte of the option is wrong, counted from 0. */
function problemOf(option: readonly number[], again: boolean): number | undefined {
  const [type, length, pointer, flags] = option;
  const left = length - pointer + 1;
  switch (type) {
    case 7:
      if (again) return 0;
      if (length < 3) return 1;
      return pointer < 4 || (left > 0 && left < 4) ? 2 : undefined;
    case 68:
      if (again) return 0;
      if (length < 4) return 1;
      if (pointer < 5 || (left > 0 && left < ([1, 3].includes(flags & 15) ? 8 : 4))) return 2;
      return left <= 0 && (flags & 15) !== 3 && flags >> 4 === 15 ? 3 : undefined;
    case 131:
    case 137:
      if (length < 3) return 1;
      if (pointer < 4) return 2;
      return again ? 0 : undefined;
    case 148:
      return length < 4 ? 1 : undefined;
    default:
      return undefined;
  }
}

/** Puts the bytes where the pointer points, if there is room. */
function put(option: number[], bytes: readonly number[]): boolean {
  if (option[2] - 1 + bytes.length > option.length) return false;
  option.splice(option[2] - 1, bytes.length, ...bytes);
  option[2] += bytes.length;
  return true;
}

const ADDRESSES = ["10.99.1.1", "10.99.0.1", "10.99.7.7", "192.0.2.7", "198.51.100.8", "203.0.113.9"]
  .map((text) => [...addr(text)]);

/** Returns 4 to 40 bytes of options that are right more often than not. */
export function randomOptions(random: Random): Uint8Array {
  const bytes: number[] = [];
  while (bytes.length < 40 && !random.oneIn(4)) bytes.push(...randomOption(random, 40 - bytes.length));
  const options = Uint8Array.from(bytes.slice(0, 40));
  const padded = new Uint8Array(Math.max(4, Math.ceil(options.length / 4) * 4));
  padded.set(options);
  for (let flips = random.oneIn(4) ? random.below(3) : 0; flips > 0; flips--) {
    padded[random.below(padded.length)] = random.below(random.oneIn(2) ? 48 : 256);
  }
  return padded;
}

function randomOption(random: Random, room: number): number[] {
  const type = random.pick([0, 1, 7, 7, 68, 68, 68, 68, 131, 137, 148, 30, 158]);
  if (type < 2) return [type];
  const headerLen = type === 68 ? 4 : 3;
  const flag = random.pick([0, 1, 3, random.below(16)]);
  const slotLen = type === 68 && [1, 3].includes(flag) ? 8 : 4;
  const slots = random.below(Math.max(1, Math.floor((room - headerLen) / slotLen) + 1));
  const used = random.oneIn(3) ? slots : random.below(slots + 1);
  const data = Array.from(
    { length: slots }, () => [...random.pick(ADDRESSES), ...random.pick(ADDRESSES)].slice(0, slotLen),
  ).flat();
  if (random.oneIn(8)) data.push(...Array<number>(random.below(4)).fill(9));
  const pointer = headerLen + 1 + used * slotLen + (random.oneIn(8) ? random.below(5) - 1 : 0);
  const length = headerLen + data.length + (random.oneIn(16) ? random.below(3) - 1 : 0);
  return [
    type, length, pointer, ...type === 68 ? [flag | (random.oneIn(3) ? random.pick([14, 15, 3]) << 4 : 0)] : [],
    ...data,
  ];
}
