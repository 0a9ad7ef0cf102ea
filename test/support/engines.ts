/** Sets up each engine under test over a memory of its own, as a worker does, but without a device. */
import { BATCH_AT, CONTEXT, CONTEXT_SIZE, TABLE, UNJUDGED, UNREAD } from "../../abi/control.js";
import { Counter, Drop, DROPPED, Protocol, REPLIES } from "../../abi/counters.js";
import { PATHS, PATHS_END } from "../../abi/paths.js";
import { BATCH, SLOT_BASE } from "../../abi/slots.js";
import { Unreachable } from "../../abi/tables.js";
import { Clock } from "../../src/engine/clock.js";
import { createEngine } from "../../src/engine/create.js";
import type { Engine } from "../../src/engine/contract.js";
import type { Ethernet } from "../../src/tun/mac.js";
import { LinearMemory } from "../../src/engine/memory.js";
import {
  DEFAULT_ANSWERS, DEFAULT_POLICY, DEFAULT_REASSEMBLY, type Answers, type Policy,
} from "../../src/prefix/policy.js";
import { tableOf } from "../../src/engine/table.js";
import type { TcpLimits } from "../../src/engine/tcp.js";
import { parseAddress, parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { HOST6, PREFIX6 } from "./ipv6.js";
import { HOST, PREFIX } from "./packets.js";
import type { Slots } from "../../src/engine/slots.js";

/** All that an engine is told of how to treat packets, the same for every prefix. */
export interface Treatment extends Answers, Policy {
  readonly reassembly: number;
}

export interface BenchOptions {
  prefixes?: string[];
  exceptions?: string[];
  host?: string | undefined;
  /** Host addresses in place of `host`. */
  hosts?: string[];
  policy?: Partial<Treatment>;
  mtu?: number;
  /** The Ethernet link, where the engine gets frames instead of packets. */
  link?: Ethernet;
  /** OFFLOAD_ bits, where struct virtio_net_hdr lies before each packet. */
  offload?: number;
  /** True if another table may follow. */
  reloadable?: boolean;
  /** Most sessions of UDP services. */
  sessions?: number;
  /** Most packets that links keep. */
  kept?: number;
  /** Limits of TCP; without them, no connection is accepted. */
  tcp?: TcpLimits;
}

/** Every engine, by name. Tests loop over them. */
export const ENGINES = ["js", "wasm", "wasm-scalar"] as const;
export type TestEngine = typeof ENGINES[number];

export type Maker = (linear: LinearMemory) => Engine | Promise<Engine>;

/** The treatment unless a test asks for another. */
export const BY_DEFAULT: Treatment = { ...DEFAULT_ANSWERS, ...DEFAULT_POLICY, reassembly: DEFAULT_REASSEMBLY };
/** The treatment that every engine is able to give. */
export const STATELESS: Treatment = {
  ...BY_DEFAULT, unreachable: { udp: Unreachable.off, other: Unreachable.off }, reassembly: 0,
  tcp: undefined, udp: undefined,
};

/** Clears what only one of the engines uses: control words, and what is known of paths. */
export function clearPrivate({ words }: Rig): void {
  words.fill(0, CONTEXT / 4, (CONTEXT + CONTEXT_SIZE) / 4);
  for (const word of [TABLE, UNJUDGED, UNREAD, BATCH_AT, BATCH_AT + 4]) words[word / 4] = 0;
  words.fill(0, PATHS / 4, PATHS_END / 4);
}

function nanoseconds(ms: number): bigint {
  return BigInt(Math.floor(ms)) * 1_000_000n + BigInt(Math.round(ms % 1 * 1e6));
}

/** An engine and its memory, as an I/O backend would handle them. */
export class Rig {
  readonly linear: LinearMemory;
  readonly engine: Engine;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly slots: Slots;
  readonly clock: Clock;
  /** Milliseconds of the engine's clocks: of NOW, and of WALL unless `wall` has another time. */
  now = 0;
  wall: number | undefined;

  private constructor(linear: LinearMemory, engine: Engine) {
    this.linear = linear;
    this.engine = engine;
    this.bytes = new Uint8Array(linear.memory.buffer);
    this.words = new Uint32Array(linear.memory.buffer);
    this.slots = linear.slots;
    this.clock = new Clock(linear.memory);
  }

  static create(name: TestEngine, options: BenchOptions = {}): Promise<Rig> {
    return Rig.over((linear) => createEngine(name, linear), options);
  }

  /** Returns a rig with whatever engine `engine` makes over the memory. */
  static async over(engine: Maker, options: BenchOptions = {}): Promise<Rig> {
    const { prefixes = [PREFIX, PREFIX6], exceptions = [], policy, mtu = 65535, link, offload, tcp } = options;
    const { reloadable = false, sessions, kept } = options;
    const host = "host" in options ? options.host : HOST;
    const hosts = options.hosts ?? (host === undefined ? [] : [host, HOST6]);
    const { sourceRoute, sourceLimit, seed, reassembly, ...answers } = { ...STATELESS, ...policy };
    const parsed = prefixes.map(parsePrefix);
    const served = serving(
      parsed, { ...answers, exceptions: exceptions.map(parsePrefix), policy: { sourceRoute, sourceLimit, seed } },
    );
    const linear = LinearMemory.create(
      {
        mtu, reassembly, link, offload, reloadable, sessions, kept, tcp,
        table: tableOf(served, { hosts: hosts.map(parseAddress) }),
      },
    );
    return new Rig(linear, await engine(linear));
  }

  /**
   * Puts the packets into slots, each filled with 0xa5 first, and
   * lets the engine answer them. Returns the replies in order.
   */
  respond(...packets: Uint8Array[]): Uint8Array[] {
    if (packets.length > BATCH) throw new RangeError(`${packets.length} packets in a batch of ${BATCH}`);
    packets.forEach((packet, i) => {
      const slot = this.slots.take();
      this.bytes.fill(0xa5, slot, slot + this.linear.slotSize);
      this.bytes.set(packet, slot + this.linear.frameOffset);
      this.slots.receive(i, slot + this.linear.frameOffset, packet.length);
    });
    const count = this.call(packets.length);
    const replies = Array.from({ length: count }, (_, i) => {
      const slot = this.slots.toSend(i);
      const length = this.slots.toSendLength(i);
      this.slots.give(slot);
      return this.bytes.slice(slot, slot + length);
    });
    return replies;
  }

  /** Calls the engine for packets that are in RECEIVED. Returns how many it has filled in TO_SEND. */
  call(count: number): number {
    this.clock.set(nanoseconds(this.now), nanoseconds(this.wall ?? this.now));
    return this.engine.respond(count);
  }

  /** Packets dropped for each reason, without the reasons that never came up. */
  get dropped(): Record<string, number> {
    const reasons = Object.keys(Drop).filter((key) => Number.isNaN(Number(key)));
    return Object.fromEntries(
      reasons.map((name, i) => [name, this.linear.counters[DROPPED + i]] as const).filter(([, n]) => n > 0),
    );
  }

  get replied(): number {
    return this.linear.counters[REPLIES + Protocol.icmp] + this.linear.counters[REPLIES + Protocol.icmpv6];
  }

  get received(): number {
    return this.linear.counters[Counter.packetsReceived];
  }

  /** Fragments that wait for the rest of their datagrams. */
  get held(): number {
    return this.linear.counters[Counter.held];
  }

  /** Where the slots lie: [first byte, first byte after the last]. */
  get slotRange(): [number, number] {
    return [SLOT_BASE, SLOT_BASE + this.slots.count * this.linear.slotSize];
  }
}
