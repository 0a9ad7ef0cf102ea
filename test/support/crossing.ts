/** Drives one way of a link by itself: assembly/link/cross.ts over a memory of its own. */
import { NEXT_TABLE, TABLE } from "../../abi/control.js";
import {
  CROSSED, Effect, EFFECTS_AT, LINK_STATE_SIZE, LINK_STATES_AT, MAX_EFFECTS, STATE_PACKETS,
} from "../../abi/links.js";
import { MAX_LINKS } from "../../abi/ways.js";
import { place } from "../../src/engine/links.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { tableOf } from "../../src/engine/table.js";
import { CLEAR_WAY, type Way } from "../../src/prefix/link.js";
import { parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { asc } from "./assembly.js";

/** What cross() returns for a packet that does not come out. */
export const FULL = 2n ** 64n - 1n;
export const LOST = FULL - 1n;

type Cross = (
  way: number, state: number, came: bigint, len: number, ecn: number, copy: number, effects: number,
) => bigint;

export class Crossing {
  readonly #linear = LinearMemory.create({
    mtu: 1500, reassembly: 0, table: tableOf(serving([parsePrefix("10.99.0.0/16")])), kept: 1,
  });

  readonly #words = new Uint32Array(this.#linear.memory.buffer);
  readonly #state = this.#words[LINK_STATES_AT / 4] + LINK_STATE_SIZE * MAX_LINKS;
  readonly #effects = this.#words[EFFECTS_AT / 4];
  readonly #cross: Cross;
  #way = 0;

  private constructor(module: WebAssembly.Module) {
    // The engine's first batch would do so.
    this.#words[TABLE / 4] = this.#words[NEXT_TABLE / 4];
    const { exports } = new WebAssembly.Instance(module, { env: { memory: this.#linear.memory } });
    this.#cross = exports.cross as Cross;
  }

  static create(): Crossing {
    return new Crossing(new WebAssembly.Module(asc("assembly/link/cross.ts", "release")));
  }

  /** Begins anew, with another way and its seed. */
  begin(way: Partial<Way>, seed = 1n): void {
    this.reload(way, seed);
    this.#linear.clear([0]);
  }

  /** Writes a way as a reload does: what its packets have left behind stays. */
  reload(way: Partial<Way>, seed = 1n): void {
    const whole = { ...CLEAR_WAY, ...way };
    [this.#way] = place(this.#linear.memory, this.#words[TABLE / 4], [{ in: whole, out: CLEAR_WAY }], seed);
  }

  /** Returns when a packet comes out that comes at `came`, in ns; LOST or FULL if it does not. */
  cross(came: bigint, len = 84, { ecn = false, copy = false } = {}): bigint {
    const leaves = this.#cross(this.#way, this.#state, came, len, Number(ecn), Number(copy), this.#effects);
    return BigInt.asUintN(64, leaves);
  }

  /** CROSSED_ bits of the last packet. */
  get crossed(): number {
    return this.#words[CROSSED / 4];
  }

  /** Packets that have come. */
  get packets(): bigint {
    return new BigUint64Array(this.#linear.memory.buffer)[(this.#state + STATE_PACKETS) / 8];
  }

  /** What was counted, without zeros. */
  get effects(): Partial<Record<keyof typeof Effect, number>> {
    const counts = new Float64Array(this.#linear.memory.buffer, this.#effects, MAX_EFFECTS);
    const names = Object.keys(Effect).filter((name) => Number.isNaN(Number(name)));
    return Object.fromEntries(names.map((name, i) => [name, counts[i]] as const).filter(([, count]) => count > 0));
  }
}
