/** Writes what netem's arithmetic needs in an engine. */
import {
  NETEM_CORRUPT, NETEM_DELAY_CORRELATION, NETEM_DUPLICATE, NETEM_GAP, NETEM_IS_SEEDED, NETEM_JITTER, NETEM_LATENCY,
  NETEM_LIMIT, NETEM_LOSS, NETEM_MODEL, NETEM_MODEL_AT, NETEM_OVERHEAD, NETEM_QUEUE, NETEM_RATE, NETEM_REORDER,
  NETEM_SEED, NETEM_SIZE, NETEM_SLOT_BYTES, NETEM_SLOT_MIN, NETEM_SLOT_PACKETS, NETEM_SLOT_RANGE, NETEM_TABLE,
  NetemLoss,
} from "../../abi/netem.js";
import type { Slots } from "../prefix/link.js";
import type { Netem, NetemChance } from "../prefix/netem.js";

/** What the kernel has for no limit of a slot. */
const ANY = 0x7fff_ffff;

/** Returns the bytes of a queue with this limit. A copy may come into a queue that its packet has filled. */
export function netemQueueLen(limit: number): number {
  return 8 + 8 * (limit + 1);
}

/** Bytes of the record alone. */
export const NETEM_RECORD_LEN = NETEM_SIZE;

/** Writes the record at `at`. `queue` is the address of its queue, and `table` that of its table, or 0. */
export function writeNetem(
  buffer: ArrayBufferLike, at: number, netem: Netem, slots: Slots | undefined, queue: number, table: number,
): void {
  const view = new DataView(buffer, at, NETEM_SIZE);
  const word = (offset: number, value: number) => { view.setUint32(offset, value, true); };
  const long = (offset: number, value: number) => { view.setBigUint64(offset, BigInt(value), true); };
  const chance = (offset: number, { probability, correlation }: NetemChance) => {
    word(offset, probability);
    word(offset + 4, correlation);
  };
  new Uint8Array(buffer).fill(0, at, at + NETEM_SIZE);
  new Uint8Array(buffer).fill(0, queue, queue + netemQueueLen(netem.limit));
  long(NETEM_LATENCY, Math.trunc(netem.latencyNs));
  // As the kernel caps it.
  word(NETEM_JITTER, Math.min(ANY, Math.trunc(netem.jitterNs)));
  word(NETEM_TABLE, table);
  word(NETEM_LIMIT, netem.limit);
  word(NETEM_GAP, netem.gap);
  chance(NETEM_LOSS, netem.loss);
  chance(NETEM_DUPLICATE, netem.duplicate);
  chance(NETEM_CORRUPT, netem.corrupt);
  chance(NETEM_REORDER, netem.reorder);
  word(NETEM_DELAY_CORRELATION, netem.delayCorrelation);
  word(NETEM_MODEL, NetemLoss[netem.model?.kind ?? "random"]);
  for (const [i, value] of (netem.model?.parameters ?? []).entries()) word(NETEM_MODEL_AT + 4 * i, value);
  view.setInt32(NETEM_OVERHEAD, netem.overhead, true);
  long(NETEM_RATE, netem.rate);
  word(NETEM_SLOT_PACKETS, slots?.packets ?? ANY);
  word(NETEM_SLOT_BYTES, slots?.bytes ?? ANY);
  long(NETEM_SLOT_MIN, Math.trunc(slots?.minNs ?? 0));
  long(NETEM_SLOT_RANGE, Math.trunc(slots ? slots.maxNs - slots.minNs : 0));
  if (netem.seed !== undefined) view.setBigUint64(NETEM_SEED, netem.seed, true);
  word(NETEM_IS_SEEDED, netem.seed === undefined ? 0 : 1);
  word(NETEM_QUEUE, queue);
}
