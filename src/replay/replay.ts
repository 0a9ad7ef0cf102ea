/**
 * A capture through an engine, on one thread and without a device:
 *
 *  1. read: a frame of the capture (capture.ts), and the IP packet in it (link.ts)
 *  2. gather: packets into free slots, until the batch is full or the capture's clock goes on
 *  3. respond: as worker.ts has it, and before that at each deadline that the capture's clock has passed
 *  4. write: each reply with the time of its request, or of the deadline (writer.ts), its slot back to the pool
 */
import { BATCH, DEADLINE, FREE, FREE_COUNT, RECEIVED, SLOT_BASE, SLOTS, TO_SEND } from "../abi.js";
import { createEngine } from "../bench/engines.js";
import type { Engine, EngineName } from "../engine/engine.js";
import { LinearMemory } from "../engine/memory.js";
import { tableOf } from "../engine/table.js";
import { verdicts, type Verdicts } from "../metrics.js";
import type { Address, Serving } from "../prefixes.js";
import { readCapture, type CapturedPacket } from "./capture.js";
import { LINK_TYPES } from "./link.js";
import type { Output } from "../output.js";
import { Damage } from "./source.js";
import { ReplyWriter } from "./writer.js";

/** The longest IP packet without a jumbogram's option, and what a slot holds. */
const PACKET_LEN = 65535;
/** Link types that are named as not read; a capture may claim any number of them. */
const NAMED_LINK_TYPES = 8;

export interface ReplayOptions {
  readonly serving: Serving;
  /** The addresses that are the host's own, and so neither answered for nor martians. */
  readonly hostAddresses: readonly Address[];
  readonly engine: EngineName;
  /** Datagrams that may be in reassembly at a time. */
  readonly reassembly: number;
}

export interface Replayed extends Verdicts {
  /** Packets that the engine was not given, by reason, those that occurred. */
  readonly skipped: Readonly<Record<string, number>>;
  /** Where and why the capture could not be read to its end. */
  readonly damage: Damage | undefined;
}

/**
 * Replays a capture, given in chunks, and writes the replies; `name` is the capture's, for messages. The output is discarded
 * unless all went well or the capture was damaged, which the result then says. `warn` is told once of each thing that is not read.
 * @throws Failure when nothing of the capture can be read (usage), or the output cannot be written.
 */
export async function replay(capture: AsyncIterable<Uint8Array>, name: string, output: Output, options: ReplayOptions, warn: (message: string) => void): Promise<Replayed> {
  try {
    const { serving, hostAddresses, engine, reassembly } = options;
    const linear = LinearMemory.create({ mtu: PACKET_LEN, reassembly, table: tableOf(serving, { hosts: hostAddresses }) });
    const writer = new ReplyWriter(output);
    const batches = new Batches(linear, await createEngine(engine, linear), writer);
    const selection = new Selection(name, warn);
    const damage = await untilDamage(readCapture(capture, name), async (captured) => {
      const packet = selection.ipPacket(captured);
      if (packet) await batches.add(packet, captured.timestampNs);
    });
    await batches.respond();
    await writer.finish();
    return { ...verdicts([linear]), skipped: selection.skipped, damage };
  } finally {
    await output.discard();
  }
}

/** Lets `take` have each packet, in turn, up to where the capture is damaged; returns the damage. @throws Failure for all else. */
async function untilDamage(packets: AsyncIterable<CapturedPacket>, take: (packet: CapturedPacket) => Promise<void>): Promise<Damage | undefined> {
  try {
    for await (const packet of packets) await take(packet);
    return undefined;
  } catch (error) {
    if (error instanceof Damage) return error;
    throw error;
  }
}

/** What of a capture is for the engine, and a count of what is not. */
class Selection {
  readonly skipped: Record<string, number> = {};
  readonly #name: string;
  readonly #warn: (message: string) => void;
  readonly #unread = new Set<number>();

  constructor(name: string, warn: (message: string) => void) {
    this.#name = name;
    this.#warn = warn;
  }

  /** The IP packet of a frame, of at most PACKET_LEN bytes, or undefined. */
  ipPacket({ linkType, bytes }: CapturedPacket): Uint8Array | undefined {
    const toPacket = LINK_TYPES.get(linkType);
    const packet = toPacket?.(bytes);
    if (packet && packet.length <= PACKET_LEN) return packet;
    if (!toPacket) this.#warnOnce(linkType);
    const reason = !toPacket ? "unread link type" : packet ? `over ${PACKET_LEN} bytes` : "not IP";
    this.skipped[reason] = (this.skipped[reason] ?? 0) + 1;
    return undefined;
  }

  #warnOnce(linkType: number): void {
    if (this.#unread.has(linkType) || this.#unread.size === NAMED_LINK_TYPES) return;
    this.#unread.add(linkType);
    this.#warn(`${this.#name} has packets of link type ${linkType}, which is not read; they are skipped`);
  }
}

/** Packets on their way through the engine. */
export class Batches {
  readonly #engine: Engine;
  readonly #writer: ReplyWriter;
  readonly #slotSize: number;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #times: Float64Array;
  /** By slot: when the packet of the batch that lies there was captured; 0 where none lies. */
  readonly #timestampNs = new BigUint64Array(SLOTS);
  #count = 0;
  /** Since 1970, of every packet of the batch. */
  #millisecond = 0n;

  constructor({ memory, slotSize }: LinearMemory, engine: Engine, writer: ReplyWriter) {
    this.#engine = engine;
    this.#writer = writer;
    this.#slotSize = slotSize;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    this.#times = new Float64Array(memory.buffer);
  }

  /** Adds a packet of at most PACKET_LEN bytes to the batch, or to a new one where that is of another millisecond or full. */
  async add(packet: Uint8Array, timestampNs: bigint): Promise<void> {
    const millisecond = timestampNs / 1_000_000n;
    if (this.#count === BATCH || millisecond !== this.#millisecond) await this.respond();
    if (millisecond !== this.#millisecond) await this.#passTo(millisecond);
    const slot = this.#words[FREE / 4 + --this.#words[FREE_COUNT / 4]];
    this.#bytes.set(packet, slot);
    this.#words[RECEIVED / 4 + 2 * this.#count] = slot;
    this.#words[RECEIVED / 4 + 2 * this.#count + 1] = packet.length;
    this.#timestampNs[this.#indexOf(slot)] = timestampNs;
    this.#count++;
  }

  /** Answers the batch, which may be empty. Its packets are all of one millisecond, so that the engine's clock is theirs. */
  async respond(): Promise<void> {
    if (this.#count === 0) return;
    const last = this.#timestampNs[this.#indexOf(this.#words[RECEIVED / 4 + 2 * (this.#count - 1)])];
    const count = this.#count;
    this.#count = 0;
    await this.#call(count, last);
  }

  /** Lets the capture's clock go on to this millisecond, past the engine's deadlines. */
  async #passTo(millisecond: bigint): Promise<void> {
    for (let deadline = this.#deadline; deadline !== 0n && deadline <= millisecond; deadline = this.#deadline) {
      this.#millisecond = deadline;
      await this.#call(0, deadline * 1_000_000n);
    }
    this.#millisecond = millisecond;
  }

  /** In milliseconds, 0 for none. The engine's are whole, as is its clock. */
  get #deadline(): bigint {
    return BigInt(this.#times[DEADLINE / 8]);
  }

  /** Calls the engine, and writes what it sends. `otherwiseNs`: the time of what is no request's own reply. */
  async #call(count: number, otherwiseNs: bigint): Promise<void> {
    const replies = this.#engine.respond(count, Number(this.#millisecond));
    for (let i = 0; i < replies; i++) {
      const slot = this.#words[TO_SEND / 4 + 2 * i];
      const length = this.#words[TO_SEND / 4 + 2 * i + 1];
      // An error, for one, lies in a slot of its own.
      this.#writer.add(this.#timestampNs[this.#indexOf(slot)] || otherwiseNs, this.#bytes.subarray(slot, slot + length));
      this.#words[FREE / 4 + this.#words[FREE_COUNT / 4]++] = slot;
    }
    this.#timestampNs.fill(0n);
    await this.#writer.flush();
  }

  #indexOf(slot: number): number {
    return (slot - SLOT_BASE) / this.#slotSize;
  }
}
