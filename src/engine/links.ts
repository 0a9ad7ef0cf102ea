/** Links in a queue's memory: where what they remember lies, and how a table's links are written. */
import { HOP_STATE_SIZE, HOP_STATES } from "../../abi/hops.js";
import {
  EFFECTS_AT, HOP_NAMES_AT, HOP_STATES_AT, LINK_NAME_SIZE, LINK_NAMES_AT, LINK_STATE_SIZE, LINK_STATES,
  LINK_STATES_AT, LINKED_TABLES, MAX_KEPT, PREFIX_EFFECTS_SIZE, QUEUE_INDEX,
} from "../../abi/links.js";
import { LINK_DATA, LINK_TABLES, LINKS, MAX_LINK_DATA, PREFIX_INDICES } from "../../abi/tables.js";
import {
  LINK_SIZE, Loss, MAX_LINKS, NO_STATE, NORMAL, PHI, WAY_BYTE_NS, WAY_COMPAT, WAY_CORRELATION, WAY_CORRUPT, WAY_DELAY,
  WAY_DUPLICATE, WAY_ECN, WAY_FLAGS, WAY_GAP, WAY_IN_TIME, WAY_JITTER, WAY_LOSS, WAY_LOSS_AT, WAY_MAY_PASS, WAY_NETEM,
  WAY_OVERHEAD, WAY_QUANTILES, WAY_QUEUE_NS, WAY_QUEUE_RING, WAY_REORDER, WAY_REST, WAY_SEED, WAY_SIZE, WAY_SLOT_BYTES,
  WAY_SLOT_MIN, WAY_SLOT_PACKETS, WAY_SLOT_RANGE, WAY_SLOTTED, WAY_STATE, WAY_TRACE, WAY_TRACE_LEN, WAY_TRACE_STEP,
} from "../../abi/ways.js";
import { DISTRIBUTIONS, normalCorrelation, phiValues } from "../prefix/distribution.js";
import type { Chance, Link, LossModel, Way } from "../prefix/link.js";
import { Names, seedOf } from "./names.js";
import { NETEM_RECORD_LEN, netemQueueLen, writeNetem } from "./netem.js";

const ALIGN = 64;

type Values = Float32Array | Float64Array | Int16Array;

interface LinksLayout {
  readonly states: number;
  readonly effects: number;
  readonly names: number;
  readonly hopStates: number;
  readonly hopNames: number;
  readonly end: number;
}

/** Returns where the states, effects and names of links and hops lie behind `from`. */
export function layoutOf(from: number, hasLinks: boolean): LinksLayout {
  const states = Math.ceil(from / ALIGN) * ALIGN;
  if (!hasLinks) return { states, effects: 0, names: 0, hopStates: 0, hopNames: 0, end: from };
  const effects = states + LINK_STATE_SIZE * LINK_STATES;
  const names = effects + PREFIX_EFFECTS_SIZE * PREFIX_INDICES;
  const hopStates = names + LINK_NAME_SIZE * MAX_LINKS;
  const hopNames = hopStates + HOP_STATE_SIZE * HOP_STATES;
  return { states, effects, names, hopStates, hopNames, end: hopNames + LINK_NAME_SIZE * HOP_STATES };
}

/** Writes the words that say where they lie. `kept` is the maximum number of packets that are kept; 0 for no links. */
export function describe(words: Uint32Array, kept: number, queue: number, layout: LinksLayout): void {
  if (kept === 0) return;
  words[MAX_KEPT / 4] = kept;
  words[LINK_STATES_AT / 4] = layout.states;
  words[EFFECTS_AT / 4] = layout.effects;
  words[LINK_NAMES_AT / 4] = layout.names;
  words[HOP_STATES_AT / 4] = layout.hopStates;
  words[HOP_NAMES_AT / 4] = layout.hopNames;
  words[QUEUE_INDEX / 4] = queue;
}

/**
 * Writes links into the table at this address, and returns their addresses.
 * @throws RangeError if they do not fit, or if this memory has no links
 */
export function place(memory: WebAssembly.Memory, table: number, links: readonly Link[], seed: bigint): number[] {
  if (links.length === 0) return [];
  const words = new Uint32Array(memory.buffer);
  if (words[LINK_STATES_AT / 4] === 0) throw new RangeError("held_packets was 0 at the start, so it can have no links");
  if (links.length > MAX_LINKS) throw new RangeError(`${links.length} links; at most ${MAX_LINKS} fit`);
  const floats = new Float32Array(memory.buffer);
  floats.set(DISTRIBUTIONS.normal, (table + LINK_TABLES + NORMAL) / 4);
  floats.set(phiValues(), (table + LINK_TABLES + PHI) / 4);
  words[LINKED_TABLES / 4]++;
  const room = new Room(memory, table + LINK_DATA);
  const states = words[LINK_STATES_AT / 4];
  const names = new Names(memory, {
    names: words[LINK_NAMES_AT / 4], nameSize: LINK_NAME_SIZE, states, stateSize: LINK_STATE_SIZE, count: MAX_LINKS,
    what: "names of links",
  });
  return links.map((link, i) => {
    const at = table + LINKS + LINK_SIZE * i;
    const state = link.name === undefined ? NO_STATE : (names.stateOf(link.name) - states) / LINK_STATE_SIZE;
    for (const [direction, way] of [link.in, link.out].entries()) {
      writeWay(memory, at + WAY_SIZE * direction, way, room, state, seedOf(seed, link.name, direction));
    }
    if (needsTime(link.out)) words[(at + WAY_FLAGS) / 4] |= WAY_IN_TIME;
    return at;
  });
}

/** Returns whether it matters to a way in which order packets come to it. */
export function needsTime({ rate, slots, mayPass, jitterNs, trace, netem }: Way): boolean {
  return netem !== undefined || rate !== undefined || slots !== undefined
    || (!mayPass && (jitterNs > 0 || trace !== undefined));
}

/** Forgets what links remember of prefixes with these indices. */
export function clear({ buffer }: WebAssembly.Memory, indices: readonly number[]): void {
  const words = new Uint32Array(buffer);
  const [states, effects] = [words[LINK_STATES_AT / 4], words[EFFECTS_AT / 4]];
  if (states === 0) return;
  for (const index of indices) {
    const state = (states + LINK_STATE_SIZE * (MAX_LINKS + index)) / 4;
    words.fill(0, state, state + LINK_STATE_SIZE / 4);
    const effect = (effects + PREFIX_EFFECTS_SIZE * index) / 4;
    words.fill(0, effect, effect + PREFIX_EFFECTS_SIZE / 4);
  }
}

/** Room for what links need besides, from an address on. */
class Room {
  readonly #memory: WebAssembly.Memory;
  readonly #end: number;
  #at: number;
  /** Addresses of what several links have. */
  readonly #shared = new Map<Values, number>();

  constructor(memory: WebAssembly.Memory, at: number) {
    this.#memory = memory;
    this.#at = at;
    this.#end = at + MAX_LINK_DATA;
  }

  /** Returns the address of so many bytes. @throws RangeError */
  take(bytes: number): number {
    const at = this.#at;
    this.#at = roundUp(at + bytes);
    if (this.#at > this.#end) throw new RangeError(`links need more than ${MAX_LINK_DATA} bytes`);
    return at;
  }

  /** Returns the address of a copy of these values. */
  place(values: Values): number {
    let at = this.#shared.get(values);
    if (at !== undefined) return at;
    at = this.take(values.byteLength);
    new Uint8Array(this.#memory.buffer).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
    this.#shared.set(values, at);
    return at;
  }
}

/** Counts the bytes that links need besides, as a Room would. */
export class LinkData {
  readonly #shared = new Set<Values>();

  /** Returns how many more bytes another link needs. */
  of(link: Link): number {
    return [link.in, link.out].reduce((sum, way) => sum + this.#ofWay(way), 0);
  }

  #ofWay({ quantiles, trace, loss, rate, netem }: Way): number {
    let bytes = 0;
    for (const values of [quantiles, trace?.delaysNs, netem?.table]) {
      if (values === undefined || this.#shared.has(values)) continue;
      this.#shared.add(values);
      bytes += roundUp(values.byteLength);
    }
    if (loss?.kind === "packets") bytes += 8 * loss.ranges.length;
    if (netem) bytes += NETEM_RECORD_LEN + netemQueueLen(netem.limit);
    return bytes + (rate?.queuePackets === undefined ? 0 : queueLen(rate.queuePackets));
  }
}

/** Returns the least multiple of 8 that is as large. */
export function roundUp(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/** Returns the bytes of the queue of a rate, which notes when each packet leaves. */
function queueLen(packets: number): number {
  return 8 + 8 * packets;
}

function writeWay(
  { buffer }: WebAssembly.Memory, at: number, way: Way, room: Room, state: number, seed: bigint,
): void {
  const view = new DataView(buffer, at, WAY_SIZE);
  new Uint8Array(buffer).fill(0, at, at + WAY_SIZE);
  const word = (offset: number, value: number) => { view.setUint32(offset, value, true); };
  const number = (offset: number, value: number) => { view.setFloat64(offset, value, true); };
  const chance = (offset: number, { probability, correlation }: Chance) => {
    number(offset, probability);
    number(offset + 8, correlation);
  };
  const { quantiles, correlation, trace, loss, duplicate, corrupt, ahead, rate, slots, netem } = way;
  view.setBigUint64(WAY_SEED, seed, true);
  word(WAY_STATE, state);
  word(WAY_FLAGS, (way.mayPass ? WAY_MAY_PASS : 0) | (way.ecn ? WAY_ECN : 0) | (slots ? WAY_SLOTTED : 0));
  number(WAY_DELAY, way.delayNs);
  number(WAY_JITTER, way.jitterNs);
  const normal = normalCorrelation(correlation, quantiles);
  number(WAY_CORRELATION, normal);
  number(WAY_REST, Math.sqrt(1 - normal * normal));
  if (quantiles) word(WAY_QUANTILES, room.place(quantiles));
  if (trace) {
    word(WAY_TRACE, room.place(trace.delaysNs));
    word(WAY_TRACE_LEN, trace.delaysNs.length);
    view.setBigUint64(WAY_TRACE_STEP, BigInt(trace.stepNs), true);
  }
  if (loss) writeLoss(buffer, at, loss, room);
  if (duplicate) chance(WAY_DUPLICATE, duplicate);
  if (corrupt) chance(WAY_CORRUPT, corrupt);
  if (ahead) {
    chance(WAY_REORDER, ahead);
    word(WAY_GAP, ahead.gap);
  }
  if (rate) {
    number(WAY_BYTE_NS, rate.byteNs);
    number(WAY_QUEUE_NS, rate.queueNs);
    view.setInt32(WAY_OVERHEAD, rate.overhead, true);
    if (rate.queuePackets !== undefined) {
      const len = queueLen(rate.queuePackets);
      const ring = room.take(len);
      new Uint8Array(buffer).fill(0, ring, ring + len);
      new Uint32Array(buffer)[ring / 4] = rate.queuePackets;
      word(WAY_QUEUE_RING, ring);
    }
  }
  if (slots) {
    number(WAY_SLOT_MIN, slots.minNs);
    number(WAY_SLOT_RANGE, slots.maxNs - slots.minNs);
    word(WAY_SLOT_PACKETS, slots.packets ?? 0);
    word(WAY_SLOT_BYTES, slots.bytes ?? 0);
  }
  if (netem) {
    const record = room.take(NETEM_RECORD_LEN);
    const table = netem.table ? room.place(netem.table) : 0;
    writeNetem(buffer, record, netem, slots, room.take(netemQueueLen(netem.limit)), table);
    word(WAY_NETEM, record);
    word(WAY_FLAGS, view.getUint32(WAY_FLAGS, true) | WAY_COMPAT);
  }
}

function writeLoss(buffer: ArrayBufferLike, at: number, loss: LossModel, room: Room): void {
  const view = new DataView(buffer, at, WAY_SIZE);
  view.setUint32(WAY_LOSS, Loss[loss.kind], true);
  if (loss.kind === "packets") {
    const ranges = room.take(8 * loss.ranges.length);
    new Uint32Array(buffer).set(loss.ranges.flat(), ranges / 4);
    view.setUint32(WAY_LOSS_AT, ranges, true);
    view.setUint32(WAY_LOSS_AT + 4, loss.ranges.length, true);
    return;
  }
  for (const [i, value] of parametersOf(loss).entries()) view.setFloat64(WAY_LOSS_AT + 8 * i, value, true);
}

function parametersOf(loss: Exclude<LossModel, { kind: "packets" }>): number[] {
  switch (loss.kind) {
    case "random": return [loss.probability];
    case "gilbert": {
      const { toBad, toGood, inGood, inBad } = loss;
      return [toBad, toGood, inGood, inBad, toBad + toGood > 0 ? toBad / (toBad + toGood) : 0];
    }
    case "states": return [loss.p13, loss.p31, loss.p32, loss.p23, loss.p14];
  }
}
