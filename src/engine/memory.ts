import {
  COUNTERS, FIRST_NODE, FRAME_OFFSET, FREE, FREE_COUNT, IGNORE_ECHO, MAC, MAC_POLICY, Mode, MODE, MTU, OWNERS, PACKET_SIZE, PREFIX_REPLIES, PREFIXES, REASSEMBLIES,
  REASSEMBLY, REASSEMBLY_BUFFER_SIZE, REASSEMBLY_TABLE_SIZE, REPLY_TTL, SLOT_BASE, SLOTS, SOURCE_ROUTE, STOP, TRIE, UNREACHABLE_OTHER, UNREACHABLE_UDP,
} from "../abi.js";
import type { Link } from "./link.js";
import type { Policy } from "./policy.js";

const WASM_PAGE = 65536;
const CACHE_LINE = 64;
/** Of an Ethernet header with two tags. */
const MOST_HEADER_LEN = 22;

/**
 * A worker's linear memory as the host sees it: made by the main thread, handed to the worker, and read by the main
 * thread while the worker runs. The map is drawn in assembly/memory.ts.
 */
export class LinearMemory {
  readonly memory: WebAssembly.Memory;
  /** Counters by abi.ts's indices. Another thread adds to them; a load is one aligned machine word, so it is never torn. */
  readonly counters: Float64Array;
  /** Bytes that a read may bring: a packet of the MTU, or a frame around one. */
  readonly packetSize: number;
  /** Where in a slot it begins. */
  readonly frameOffset: number;
  /** Bytes from one slot to the next. */
  readonly slotSize: number;

  /** Over a memory that create() has made. */
  constructor(memory: WebAssembly.Memory) {
    const words = new Uint32Array(memory.buffer);
    this.memory = memory;
    this.packetSize = words[PACKET_SIZE / 4];
    this.frameOffset = words[FRAME_OFFSET / 4];
    this.slotSize = slotSize(this.frameOffset + this.packetSize);
    this.counters = new Float64Array(memory.buffer, COUNTERS, PREFIX_REPLIES + PREFIXES);
  }

  /**
   * Makes the memory of one queue: every slot free, the policy in place. `mtu` in bytes, 68 to 65535. `trie`: whose the addresses
   * are, as trieOf (prefixes.ts) makes it. `link`: for Ethernet frames; without one it is for IP packets.
   */
  static create(mtu: number, trie: Uint32Array, { ttl, ignoreEcho, unreachable, sourceRoute, reassembly }: Policy, link?: Link): LinearMemory {
    const frameOffset = link ? 2 : 0;
    const packetSize = link ? mtu + MOST_HEADER_LEN : mtu;
    const size = slotSize(frameOffset + packetSize);
    const nodes = SLOT_BASE + SLOTS * size;
    const buffers = nodes + 4 * trie.length - (FIRST_NODE - OWNERS);
    const pages = Math.ceil((buffers + (reassembly > 0 ? REASSEMBLY_TABLE_SIZE + reassembly * REASSEMBLY_BUFFER_SIZE : 0)) / WASM_PAGE);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const words = new Uint32Array(memory.buffer);
    for (let i = 0; i < SLOTS; i++) words[FREE / 4 + i] = SLOT_BASE + (SLOTS - 1 - i) * size;
    words[FREE_COUNT / 4] = SLOTS;
    words[PACKET_SIZE / 4] = packetSize;
    words[MTU / 4] = mtu;
    words[FRAME_OFFSET / 4] = frameOffset;
    if (link) {
      words[MODE / 4] = Mode.tap;
      words[MAC_POLICY / 4] = link.policy;
      new Uint8Array(memory.buffer).set(link.address, MAC);
    }
    words[REPLY_TTL / 4] = ttl;
    words[IGNORE_ECHO / 4] = ignoreEcho ? 1 : 0;
    words[UNREACHABLE_UDP / 4] = unreachable.udp;
    words[UNREACHABLE_OTHER / 4] = unreachable.other;
    words[SOURCE_ROUTE / 4] = sourceRoute;
    words[REASSEMBLIES / 4] = reassembly;
    words[REASSEMBLY / 4] = buffers;
    // The trie's nodes lie apart from its roots, behind the slots: where that is depends on the MTU.
    words.set(trie.subarray(0, (TRIE - OWNERS) / 4), OWNERS / 4);
    for (let i = (TRIE - OWNERS) / 4; i < trie.length; i++) {
      const at = i < (FIRST_NODE - OWNERS) / 4 ? OWNERS / 4 : (nodes - (FIRST_NODE - OWNERS)) / 4;
      words[at + i] = trie[i] < FIRST_NODE ? trie[i] : trie[i] - FIRST_NODE + nodes;
    }
    return new LinearMemory(memory);
  }

  /** Asks the packet loop to end after the round it is in; wakes nobody. */
  requestStop(): void {
    Atomics.store(new Int32Array(this.memory.buffer), STOP / 4, 1);
  }

  get stopRequested(): boolean {
    return Atomics.load(new Int32Array(this.memory.buffer), STOP / 4) !== 0;
  }
}

/** Room for that many bytes, in an odd number of cache lines, so that slots do not all begin in the same few sets of the cache. */
function slotSize(bytes: number): number {
  return (Math.ceil(bytes / CACHE_LINE) | 1) * CACHE_LINE;
}
