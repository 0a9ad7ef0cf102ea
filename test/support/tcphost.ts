/**
 * Drives an engine that has TCP, in a time of its own: nothing waits for a clock. A deadline of the engine's is met to
 * the nanosecond, as a worker that is never late would.
 */
import assert from "node:assert/strict";
import { Unreachable } from "../../abi/tables.js";
import { Service } from "../../abi/tcp.js";
import { SECRETS, type TcpLimits } from "../../src/engine/tcp.js";
import type { PortRange, PortService } from "../../src/prefix/policy.js";
import { BY_DEFAULT, Rig, type BenchOptions, type TestEngine } from "./engines.js";
import { addr } from "./packets.js";
import { addr6 } from "./ipv6.js";

/** Microseconds of a tick of the engine's timers: a timer is never early, and at most that late. */
export const TICK_US = 16.384;
/** Times that an engine may ask for the same moment before this counts as an endless loop. */
const MAX_CALLS = 1000;

export const BANNER = Buffer.from("220 pong\r\n");
export const REPLY = Buffer.from("HTTP/1.1 204 No Content\r\n\r\n");
export const AFTER = Buffer.from("\r\n\r\n");

function service(kind: Service, rest: Partial<PortService> = {}): PortService {
  return { name: Service[kind], kind, ...rest };
}

export const PORTS = { silent: 5, echo: 7, discard: 9, tarpit: 13, chargen: 19, banner: 22, reply: 80, refuse: 81 };
export const SERVICES: readonly PortRange[] = [
  [PORTS.silent, service(Service.silent)], [PORTS.echo, service(Service.echo)],
  [PORTS.discard, service(Service.discard)], [PORTS.tarpit, service(Service.tarpit)],
  [PORTS.chargen, service(Service.chargen)], [PORTS.banner, service(Service.banner, { bytes: BANNER })],
  [PORTS.reply, service(Service.reply, { bytes: REPLY, after: AFTER })],
].map(([port, service]) => ({ first: port as number, last: port as number, service: service as PortService }));

export interface HostOptions extends BenchOptions {
  readonly engine?: TestEngine;
  readonly ports?: readonly PortRange[];
  readonly limits?: Partial<TcpLimits>;
  /** Microseconds of the clock at the start. */
  readonly startUs?: number;
}

export const LIMITS: TcpLimits = {
  connections: 64, memory: 4 << 20, bySource: 0,
  secrets: Uint8Array.from({ length: SECRETS }, (_, i) => 0x5a + 37 * i),
};

/** A packet, and when the engine sent it. */
export interface Output {
  readonly us: number;
  readonly packet: Uint8Array;
}

export class TcpHost {
  readonly rig: Rig;
  /** Packets that the engine sent and nobody took yet. */
  readonly outputs: Output[] = [];
  /** Nanoseconds of the engine's clock. */
  #now: number;
  /** Calls in a row for deadlines that had passed. */
  #calls = 0;

  private constructor(rig: Rig, startUs: number) {
    this.rig = rig;
    this.#now = Math.round(startUs * 1000);
  }

  static async create(options: HostOptions = {}): Promise<TcpHost> {
    const { engine = "wasm", ports = SERVICES, limits, startUs = 1e9, policy, ...rest } = options;
    const treatment = { ...BY_DEFAULT, unreachable: { udp: Unreachable.on, other: Unreachable.on }, tcp: { ports } };
    const rig = await Rig.create(
      engine, { mtu: 1500, ...rest, policy: { ...treatment, ...policy }, tcp: { ...LIMITS, ...limits } },
    );
    return new TcpHost(rig, startUs);
  }

  /** Microseconds of the engine's clock. */
  get us(): number {
    return this.#now / 1000;
  }

  /** Microseconds of the clock at which the engine wants to be called; Infinity for never. */
  get deadlineUs(): number {
    const { deadline } = this.rig.clock;
    return deadline === 0 ? Infinity : deadline / 1000;
  }

  /** Sets the clock anew, where nothing waits any more. */
  restart(us: number): void {
    this.#now = Math.round(us * 1000);
    this.#calls = 0;
    this.outputs.length = 0;
  }

  /** Hands packets to the engine, all in one batch. */
  inject(...packets: readonly Uint8Array[]): void {
    const { rig } = this;
    for (const [i, packet] of packets.entries()) {
      assert.ok(packet.length <= rig.linear.packetSize, `a packet of ${packet.length} bytes`);
      const slot = rig.slots.take();
      rig.bytes.fill(0xa5, slot, slot + rig.linear.slotSize);
      // Where struct virtio_net_hdr lies, it says nothing.
      rig.bytes.fill(0, slot, slot + rig.linear.frameOffset);
      rig.bytes.set(packet, slot + rig.linear.frameOffset);
      rig.slots.receive(i, slot + rig.linear.frameOffset, packet.length);
    }
    this.#call(packets.length);
  }

  #call(count: number): void {
    const { rig } = this;
    rig.clock.set(BigInt(this.#now));
    const sent = rig.engine.respond(count);
    for (let i = 0; i < sent; i++) {
      const place = rig.slots.toSend(i);
      this.outputs.push({ us: this.us, packet: rig.bytes.slice(place, place + rig.slots.toSendLength(i)) });
      rig.slots.give(place);
    }
    assert.equal(rig.slots.free, rig.slots.count, "all slots are free again");
  }

  advance(us: number): void {
    this.advanceTo(this.us + us);
  }

  /** Lets time go by until then, and calls the engine at each of its deadlines. */
  advanceTo(us: number): void {
    const end = Math.round(us * 1000);
    while (this.#meet(end));
    this.#now = Math.max(this.#now, end);
  }

  /** Lets time go by until the engine sends something, but not longer than until then. */
  advanceToOutput(us: number): void {
    const end = Math.round(us * 1000);
    while (this.outputs.length === 0 && this.#meet(end));
    if (this.outputs.length === 0) this.#now = Math.max(this.#now, end);
  }

  /** Goes on to a later time without a call in between, as when the worker had no processor. */
  awayTo(us: number): void {
    this.#now = Math.max(this.#now, Math.round(us * 1000));
  }

  /** The same, and calls the engine: no packet came meanwhile. */
  sleepTo(us: number): void {
    this.awayTo(us);
    this.#call(0);
  }

  /** Calls the engine at its next deadline if that is not after `end`, in nanoseconds, and returns whether it was. */
  #meet(end: number): boolean {
    const { deadline } = this.rig.clock;
    if (deadline === 0 || deadline > end) return false;
    this.#calls = deadline > this.#now ? 0 : this.#calls + 1;
    assert.ok(this.#calls < MAX_CALLS, "the engine asks for the same moment again and again");
    this.#now = Math.max(this.#now, deadline);
    this.#call(0);
    return true;
  }

  /** Takes what the engine has sent since the last time. */
  take(): Output[] {
    return this.outputs.splice(0);
  }
}

/** Addresses in tests: the peer's and one of pongd's, of each family. */
export const ADDRESSES = {
  4: { peer: addr("198.51.100.7"), local: addr("10.99.1.1") },
  6: { peer: addr6("2001:db8::7"), local: addr6("fd99::1:1") },
} as const;
export type Family = keyof typeof ADDRESSES;
