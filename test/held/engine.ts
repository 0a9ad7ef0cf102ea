/** The engine of assembly/ in this folder, which keeps every packet for a random time, over a memory. */
import { Clock } from "../../src/engine/clock.js";
import type { Engine } from "../../src/engine/contract.js";
import type { LinearMemory } from "../../src/engine/memory.js";
import type { Assembly } from "../../src/engine/wasm.js";
import { asc } from "../support/assembly.js";

interface Held extends Assembly {
  readonly set: (seed: number, least: number, range: number, replies: number) => void;
}

export class HeldEngine implements Engine {
  readonly clock: Clock;
  readonly respond: Engine["respond"];
  /** Sets a seed, the shortest time in ns that a packet is kept, by how much it may be longer, and replies, at most. */
  readonly set: Held["set"];

  private constructor(readonly linear: LinearMemory, readonly assembly: Held) {
    this.clock = new Clock(linear.memory);
    this.respond = assembly.respond;
    this.set = assembly.set;
  }

  static compile(): Promise<WebAssembly.Module> {
    return WebAssembly.compile(asc("test/held/assembly/index.ts", "release"));
  }

  static async create(module: WebAssembly.Module, linear: LinearMemory): Promise<HeldEngine> {
    const { exports } = await WebAssembly.instantiate(module, { env: { memory: linear.memory } });
    return new HeldEngine(linear, exports as unknown as Held);
  }

  /** Puts `count` copies of a packet into slots, as an I/O backend would. */
  receive(packet: Uint8Array, count: number): void {
    const { slots, memory } = this.linear;
    const bytes = new Uint8Array(memory.buffer);
    for (let i = 0; i < count; i++) {
      const slot = slots.take();
      bytes.set(packet, slot);
      slots.receive(i, slot, packet.length);
    }
  }
}
