import { COUNTERS, FREE, FREE_COUNT, IGNORE_ECHO, PREFIX_REPLIES, PREFIXES, REPLY_TTL, PACKET_SIZE, SLOT_BASE, SLOTS, STOP, TRIE } from "../abi.js";

const WASM_PAGE = 65536;
const CACHE_LINE = 64;

/** What of the configuration reaches the packets. */
export interface Policy {
  /** Whose the addresses are; see prefixes.ts. */
  trie: Uint32Array;
  /** TTL of a reply, 1 to 255. */
  ttl: number;
  /** Leave echo requests unanswered. */
  ignoreEcho: boolean;
}

/**
 * A worker's linear memory as the host sees it: made by the main thread, handed to the worker, and read by the main
 * thread while the worker runs. The map is drawn in assembly/memory.ts.
 */
export class LinearMemory {
  readonly memory: WebAssembly.Memory;
  /** Counters by abi.ts's indices. Another thread adds to them; a load is one aligned machine word, so it is never torn. */
  readonly counters: Float64Array;
  /** Bytes a packet may have. */
  readonly mtu: number;
  /** Bytes from one slot to the next. */
  readonly slotSize: number;

  constructor(memory: WebAssembly.Memory, mtu: number) {
    this.memory = memory;
    this.mtu = mtu;
    this.slotSize = slotSize(mtu);
    this.counters = new Float64Array(memory.buffer, COUNTERS, PREFIX_REPLIES + PREFIXES);
  }

  /** Makes the memory of one queue: every slot free, no prefix yet. `mtu` in bytes, 68 to 65535. */
  static create(mtu: number): LinearMemory {
    const size = slotSize(mtu);
    const pages = Math.ceil((SLOT_BASE + SLOTS * size) / WASM_PAGE);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const words = new Uint32Array(memory.buffer);
    for (let i = 0; i < SLOTS; i++) words[FREE / 4 + i] = SLOT_BASE + (SLOTS - 1 - i) * size;
    words[FREE_COUNT / 4] = SLOTS;
    words[PACKET_SIZE / 4] = mtu;
    return new LinearMemory(memory, mtu);
  }

  /** Before the worker starts: the table is not swapped atomically. */
  setPolicy(policy: Policy): void {
    const words = new Int32Array(this.memory.buffer);
    words.set(policy.trie, TRIE / 4);
    words[REPLY_TTL / 4] = policy.ttl;
    words[IGNORE_ECHO / 4] = policy.ignoreEcho ? 1 : 0;
  }

  /** Asks the packet loop to end after the round it is in; wakes nobody. */
  requestStop(): void {
    Atomics.store(new Int32Array(this.memory.buffer), STOP / 4, 1);
  }

  get stopRequested(): boolean {
    return Atomics.load(new Int32Array(this.memory.buffer), STOP / 4) !== 0;
  }
}

/** Room for the MTU, in an odd number of cache lines, so that slots do not all begin in the same few sets of the cache. */
function slotSize(mtu: number): number {
  return (Math.ceil(mtu / CACHE_LINE) | 1) * CACHE_LINE;
}
