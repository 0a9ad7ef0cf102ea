/**
 * Replays a capture through an engine, on one thread and without a device:
 *
 *  1. read: a frame of the capture (pcap/capture.ts), and the IP packet in it (pcap/linktypes.ts)
 *  2. pass: let the engine meet its deadlines up to the packet's time (Clock), each at its own time
 *  3. respond: one packet a call, so that all that the call sends has that packet's time
 *  4. write: replies to the packets of a chunk, before waiting for the next chunk (pcap/writer.ts)
 */
import { Counter } from "../../abi/counters.js";
import { Clock } from "../engine/clock.js";
import { createEngine } from "../engine/create.js";
import type { Engine, EngineName } from "../engine/contract.js";
import { EXIT, Failure } from "../base/failure.js";
import { LinearMemory } from "../engine/memory.js";
import { SECRETS, type TcpLimits } from "../engine/tcp.js";
import { tableOf } from "../engine/table.js";
import { verdicts, type Verdicts } from "../telemetry/verdicts.js";
import type { Address, Serving } from "../prefix/prefixes.js";
import { readCapture } from "../pcap/capture.js";
import type { CapturedPacket } from "../pcap/packet.js";
import { LINK_TYPES, linkTypeName } from "../pcap/linktypes.js";
import type { Output } from "../base/output.js";
import { Damage, Stopped } from "../pcap/source.js";
import { ReplyWriter } from "../pcap/writer.js";
import type { Slots } from "../engine/slots.js";

/** Length of the longest IP packet without a jumbogram's option, and of what a slot holds. */
const PACKET_LEN = 65535;
/** Most link types that are named as not read; a capture may claim any number of them. */
const NAMED_LINK_TYPES = 8;
const UNREAD = "unread link type";
const LINK_TYPE_MEND = "capture Ethernet, Linux cooked or IP packets: tcpdump -i any -w IN";

export interface ReplayOptions {
  readonly serving: Serving;
  /** Addresses that are the host's own, and so neither answered for nor martians. */
  readonly hostAddresses: readonly Address[];
  readonly engine: EngineName;
  /** Most datagrams in reassembly at a time. */
  readonly reassembly: number;
  /** Most packets that links keep at a time; 0 if there are none. */
  readonly kept?: number;
  /** Seed of the links, of which the output tells; undefined if there are none. */
  readonly seed?: number | undefined;
  /** Limits of TCP's connections; undefined if none are accepted. */
  readonly tcp?: Omit<TcpLimits, "secrets"> | undefined;
}

export interface Replayed extends Verdicts {
  /** Counts of the packets that the engine was not given, by reason; only reasons that occurred. */
  readonly skipped: Readonly<Record<string, number>>;
  /** Place and cause of the damage, if the capture could not be read to its end. */
  readonly damage: Damage | undefined;
}

/**
 * Replays a capture, given in chunks, and writes the replies. `name` stands for the capture in messages. Replies to a
 * chunk are written before the next chunk is asked for. The output is kept if all went well, or if the capture was
 * damaged, which the result then says; otherwise it is discarded. `warn` is called once for each thing that is not read
 * or not kept.
 * @throws Failure if nothing of the capture can be read, or the output cannot be written.
 */
export async function replay(
  capture: AsyncIterable<Uint8Array>, name: string, output: Output, options: ReplayOptions,
  warn: (message: string) => void,
): Promise<Replayed> {
  try {
    const { serving, hostAddresses, engine, reassembly, kept, seed, tcp } = options;
    // Without secrets, so that the same capture has the same replies.
    const linear = LinearMemory.create({
      mtu: PACKET_LEN, reassembly, kept, table: tableOf(serving, { hosts: hostAddresses }),
      tcp: tcp && { ...tcp, secrets: new Uint8Array(SECRETS) },
    });
    const writer = new ReplyWriter(output, seed === undefined ? undefined : `seed ${seed}`);
    const exchange = new Exchange(linear, await createEngine(engine, linear), writer);
    const { counters } = linear;
    const selection = new Selection(name, warn);
    const times = new Times();
    const damage = await untilDamage(readCapture(flushing(capture, writer), name), (captured) => {
      const timestampNs = times.timeOf(captured);
      const packet = selection.ipPacket(captured);
      if (packet) exchange.respond(packet, timestampNs);
    });
    exchange.passWhile(() => counters[Counter.keptAll] > 0);
    if (!damage) selection.check();
    for (const message of changedTimes(name, times.unusable, writer.lifted)) warn(message);
    await writer.finish();
    return { ...verdicts([linear]), skipped: selection.skipped, damage };
  } finally {
    await output.discard();
  }
}

/** Passes the chunks on. Before it waits for the next one, it writes the replies to the last one. */
async function* flushing(chunks: AsyncIterable<Uint8Array>, writer: ReplyWriter): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    yield chunk;
    await writer.flush();
  }
}

/**
 * Calls `take` with each packet in turn, until reading is stopped or the capture is damaged. Returns the damage.
 * @throws Failure for all else.
 */
async function untilDamage(
  captured: AsyncIterable<CapturedPacket>, take: (packet: CapturedPacket) => void,
): Promise<Damage | undefined> {
  try {
    for await (const packet of captured) take(packet);
    return undefined;
  } catch (error) {
    if (error instanceof Stopped) return undefined;
    if (error instanceof Damage) return error;
    throw error;
  }
}

/** Returns the warnings about times that are not kept. */
function changedTimes(name: string, unusable: number, lifted: number): string[] {
  const before = "before 1970 or after 2554; each is given the time of the packet before it";
  return [
    ...unusable > 0 ? [`${name} has ${packets(unusable)} of a time ${before}`] : [],
    ...lifted > 0
      ? [`${name} has times that go back; ${lifted} replies are given the time of the reply before them`]
      : [],
  ];
}

function packets(count: number): string {
  return `${count} packet${count === 1 ? "" : "s"}`;
}

/** Assigns each packet its time. */
class Times {
  /** Packets whose own time does not fit in 64 bits of nanoseconds since 1970. */
  unusable = 0;
  #lastNs = 0n;

  /** Returns a packet's own time; if it has none, or none that can be used, the time of the packet before it. */
  timeOf({ timestampNs }: CapturedPacket): bigint {
    if (timestampNs === undefined) return this.#lastNs;
    if (timestampNs !== BigInt.asUintN(64, timestampNs)) {
      this.unusable++;
      return this.#lastNs;
    }
    this.#lastNs = timestampNs;
    return timestampNs;
  }
}

/** Selects what the engine gets of a capture, and counts the rest. */
class Selection {
  readonly skipped: Record<string, number> = {};
  readonly #name: string;
  readonly #warn: (message: string) => void;
  readonly #unread = new Set<number>();
  /** True if any packet was of a link type that is read. */
  #readable = false;

  constructor(name: string, warn: (message: string) => void) {
    this.#name = name;
    this.#warn = warn;
  }

  /** Returns the IP packet of a frame, if there is one and it has at most PACKET_LEN bytes. */
  ipPacket({ linkType, bytes }: CapturedPacket): Uint8Array | undefined {
    const toPacket = LINK_TYPES.get(linkType);
    if (toPacket) this.#readable = true;
    else this.#warnOnce(linkType);
    const packet = toPacket?.(bytes);
    if (packet && packet.length <= PACKET_LEN) return packet;
    const reason = !toPacket ? UNREAD : packet ? `over ${PACKET_LEN} bytes` : "not IP";
    this.skipped[reason] = (this.skipped[reason] ?? 0) + 1;
    return undefined;
  }

  /**
   * Checks, at the capture's end, that something was read.
   * @throws Failure if there were packets, but none of a link type that is read.
   */
  check(): void {
    const unread = this.skipped[UNREAD] ?? 0;
    if (this.#readable || unread === 0) return;
    const what = `nothing of ${this.#name} can be read: ${packets(unread)}, none of a link type that is read`;
    throw new Failure(what, EXIT.RUNTIME, { mend: LINK_TYPE_MEND });
  }

  #warnOnce(linkType: number): void {
    if (this.#unread.has(linkType) || this.#unread.size === NAMED_LINK_TYPES) return;
    this.#unread.add(linkType);
    this.#warn(`${this.#name} has packets of ${linkTypeName(linkType)}, which is not read; they are skipped`);
  }
}

/** Passes a capture's packets to an engine, one packet a call. */
export class Exchange {
  readonly #engine: Engine;
  readonly #writer: ReplyWriter;
  readonly #bytes: Uint8Array;
  readonly #slots: Slots;
  readonly #clock: Clock;
  /** Latest time of a packet so far. Captures may go back; what waits does not. */
  #nowNs = 0n;

  constructor({ memory, slots }: LinearMemory, engine: Engine, writer: ReplyWriter) {
    this.#engine = engine;
    this.#writer = writer;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#slots = slots;
    this.#clock = new Clock(memory);
  }

  /** Gives the engine a packet of at most PACKET_LEN bytes, after letting it do all that is due up to its time. */
  respond(packet: Uint8Array, timestampNs: bigint): void {
    if (timestampNs > this.#nowNs) this.#nowNs = timestampNs;
    for (let due = this.#deadlineNs; due !== 0n && due <= this.#nowNs; due = this.#deadlineNs) this.#call(0, due, due);
    const slot = this.#slots.take();
    this.#bytes.set(packet, slot);
    this.#slots.receive(0, slot, packet.length);
    this.#call(1, this.#nowNs, timestampNs);
  }

  /** Lets time pass, from one of the engine's deadlines to the next. */
  passWhile(isLeft: () => boolean): void {
    for (let due = this.#deadlineNs; due !== 0n && isLeft(); due = this.#deadlineNs) this.#call(0, due, due);
  }

  /** The engine's next deadline; 0 for none. */
  get #deadlineNs(): bigint {
    return BigInt(this.#clock.deadline);
  }

  /** Calls the engine at a time, and writes what it sends. `timestampNs` is the time for what it tells, and sends. */
  #call(count: number, nowNs: bigint, timestampNs: bigint): void {
    this.#clock.set(nowNs, timestampNs);
    const replies = this.#engine.respond(count);
    for (let i = 0; i < replies; i++) {
      const slot = this.#slots.toSend(i);
      const length = this.#slots.toSendLength(i);
      this.#writer.add(timestampNs, this.#bytes.subarray(slot, slot + length));
      this.#slots.give(slot);
    }
  }
}
