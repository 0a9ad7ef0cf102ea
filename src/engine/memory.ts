import {
  ASKED, DEADLINE, DEVICE_MAC, ERROR_ESTIMATE, FRAME_OFFSET, MAC, MAC_POLICY, Mode, MODE, MTU, NEXT_TABLE, OFFLOAD,
  PACKET_SIZE, READ_ERROR, REASSEMBLIES, REASSEMBLY, RING_FD, SEED, SLOT_COUNT, SLOT_SIZE, STAMPED_COUNT, STOP,
  TABLE_SIZE, UNKNOWN_ERROR, VNET_HEADER_LEN, WRITES_PENDING,
} from "../../abi/control.js";
import {
  ATTEMPT_FAILS, CLOSED, Closed, Counter, COUNTERS, Drop, DROPPED, MAX_DROPS, MAX_PROTOCOLS, MAX_UNOPENED,
  PREFIX_REPLIES, REPLIES,
} from "../../abi/counters.js";
import { IRTT_KEY } from "../../abi/irtt.js";
import { BUCKET_SIZE, PREFIX_BUCKETS } from "../../abi/limits.js";
import { EFFECTS_AT, PREFIX_EFFECTS_SIZE } from "../../abi/links.js";
import { SIZEOF_VNET_HEADER } from "../../abi/offload.js";
import { RINGS, URING_END } from "../../abi/uring.js";
import { MD5_T } from "../../abi/md5.js";
import { SHA_K } from "../../abi/sha256.js";
import { SLOT_ALIGN, SLOT_BASE, SLOTS, TOUCHED } from "../../abi/slots.js";
import { Unopened } from "../../abi/streams.js";
import { MAX_NODES, NODES, PREFIX_INDICES, PREFIXES } from "../../abi/tables.js";
import { DRAIN, MAX_CONNECTIONS, MAX_PAGES, PAGE_SIZE, type Drain } from "../../abi/tcp.js";
import { TIMERS_END, TURNED } from "../../abi/timers.js";
import { REASSEMBLY_BUFFER_SIZE, REASSEMBLY_TABLE_SIZE } from "../../abi/reassembly.js";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { MD5_CONSTANTS } from "../base/md5.js";
import { ROUND_CONSTANTS } from "../base/sha256.js";
import type { PortService } from "../prefix/policy.js";
import type { Ethernet } from "../tun/mac.js";
import * as links from "./links.js";
import * as pathsOf from "./paths.js";
import { placeTable, servicesOf } from "./placedtable.js";
import * as services from "./services.js";
import * as sessionsOf from "./sessions.js";
import { Slots } from "./slots.js";
import type { Table } from "./table.js";
import * as tcp from "./tcp.js";

const WASM_PAGE = 65536;
/** All that an index of 32 bits can reach: 4 GiB. */
const MAX_WASM_PAGES = 65536;
/** Bytes of nodes for what is in every table, besides its prefixes. */
const MIN_NODES = 8192;
/** Bytes of an Ethernet header with two VLAN tags. */
const MAX_HEADER_LEN = 22;
/** Smallest MTU with which connections are accepted. */
export const MIN_TCP_MTU = 256;
/** Bytes for the services of a memory that is reloadable. */
const SERVICE_ROOM = 16 << 20;

/** Gauges of what a crash ends. */
const TCP_GAUGES = [Counter.tcpConnections, Counter.tcpHalfOpen, Counter.tcpTimeWait, Counter.tcpPages];
/** Bytes of the largest packet that the kernel hands over where it need not cut packets to the MTU. */
const MAX_PACKET_LEN = 65535;

export interface MemoryOptions {
  /** Bytes, 68 to 65535. */
  readonly mtu: number;
  /** Datagrams that may be in reassembly at a time; 0 drops fragments. */
  readonly reassembly: number;
  /** MAC addresses of a device for Ethernet frames; undefined for IP packets. */
  readonly link?: Ethernet | undefined;
  /** The first table; serve() replaces it. Without one, write() and use() have to follow. */
  readonly table?: Table;
  /** Most prefixes and exceptions of the table, if it is to follow. */
  readonly blocks?: number;
  /** True if other tables of any size may follow. This costs address space, and no memory until then. */
  readonly reloadable?: boolean;
  /** Services of the table, if it is to follow. */
  readonly services?: readonly PortService[];
  /** Seed of the hash of source addresses. */
  readonly seed?: number;
  /** Key of the tokens that others are told, IRTT_KEY_LEN bytes. Without it, it is 0 as in tests. */
  readonly tokenKey?: Uint8Array;
  /** Limits of TCP. Without them, or with an MTU below MIN_TCP_MTU, no connection is accepted. */
  readonly tcp?: tcp.TcpLimits | undefined;
  /**
   * What the kernel may be left to do, OFFLOAD_ bits, where struct virtio_net_hdr lies before each packet. Without it
   * there is no such header.
   */
  readonly offload?: number | undefined;
  /** Most sessions of UDP services; none by default. */
  readonly sessions?: number | undefined;
  /** Most packets that links keep at a time; without it there can be no links. */
  readonly kept?: number | undefined;
  /** Index of the queue; 0 by default. */
  readonly queue?: number;
}

/**
 * A worker's linear memory as the host sees it: made by the main thread, handed to the worker, and read by the main
 * thread while the worker runs. The map is drawn in assembly/memory.ts.
 */
export class LinearMemory {
  readonly memory: WebAssembly.Memory;
  /**
   * Counters by the indices of abi/counters.ts. Another thread adds to them; a load is one aligned machine word, so it
   * is never torn.
   */
  readonly counters: Float64Array;
  /** Most bytes of a read: a packet of the MTU, or a frame around one; with offload, the largest packet there is. */
  readonly packetSize: number;
  /** Offset in a slot at which a packet or frame begins. */
  readonly frameOffset: number;
  /** Bytes from one slot to the next. */
  readonly slotSize: number;
  readonly slots: Slots;
  /** Addresses of the two tables. */
  readonly #tables: readonly [number, number];

  /** Wraps a memory that create() has made. */
  constructor(memory: WebAssembly.Memory) {
    const words = new Uint32Array(memory.buffer);
    this.memory = memory;
    this.slots = new Slots(memory);
    this.packetSize = words[PACKET_SIZE / 4];
    this.frameOffset = words[FRAME_OFFSET / 4];
    this.slotSize = words[SLOT_SIZE / 4];
    this.counters = new Float64Array(memory.buffer, COUNTERS, PREFIX_REPLIES + PREFIX_INDICES);
    const tables = SLOT_BASE + this.slots.count * this.slotSize;
    this.#tables = [tables, tables + words[TABLE_SIZE / 4]];
  }

  /** Makes the memory of one queue: every slot free, the first table in place. */
  static create(options: MemoryOptions): LinearMemory {
    // Smaller packets have no room for the headers of TCP with all options, and payload.
    const limits = options.mtu < MIN_TCP_MTU ? undefined : options.tcp;
    const { mtu, reassembly, link, table, blocks = 0, reloadable = false, seed = 0, offload, kept = 0 } = options;
    const { sessions = 0, queue = 0 } = options;
    const slots = SLOTS + kept;
    const headerLen = offload === undefined ? 0 : SIZEOF_VNET_HEADER;
    // Both headers have two bytes more than a multiple of 4, and the IP packet is to lie at one.
    const readOffset = (headerLen > 0 ? 2 : 0) + (link ? 2 : 0);
    const packetSize = headerLen + (link ? MAX_HEADER_LEN : 0) + (headerLen > 0 ? MAX_PACKET_LEN : mtu);
    const size = slotSize(readOffset + packetSize);
    const nodes = reloadable ? MAX_NODES : table?.nodes.byteLength ?? MAX_NODES / PREFIXES * blocks + MIN_NODES;
    const tableSize = NODES + Math.ceil(nodes / SLOT_ALIGN) * SLOT_ALIGN;
    const buffers = SLOT_BASE + slots * size + (reloadable ? 2 : 1) * tableSize;
    const layout = tcp.layoutOf(
      buffers + (reassembly > 0 ? REASSEMBLY_TABLE_SIZE + reassembly * REASSEMBLY_BUFFER_SIZE : 0), limits,
      reloadable ? SERVICE_ROOM : services.roomFor(table?.services ?? options.services ?? []),
    );
    const sessionsLayout = sessionsOf.layoutOf(layout.end, sessions);
    const linksLayout = links.layoutOf(sessionsLayout.end, kept > 0);
    const memory = reserve(Math.ceil(linksLayout.end / WASM_PAGE));
    const words = new Uint32Array(memory.buffer);
    words[ERROR_ESTIMATE / 4] = UNKNOWN_ERROR;
    words[SLOT_COUNT / 4] = slots;
    words[SLOT_SIZE / 4] = size;
    words[PACKET_SIZE / 4] = packetSize;
    words[MTU / 4] = mtu;
    words[FRAME_OFFSET / 4] = readOffset + headerLen;
    words[VNET_HEADER_LEN / 4] = headerLen;
    words[OFFLOAD / 4] = offload ?? 0;
    if (link) {
      words[MODE / 4] = Mode.tap;
      words[MAC_POLICY / 4] = link.policy;
      new Uint8Array(memory.buffer).set(link.address, MAC);
    }
    words[TABLE_SIZE / 4] = tableSize;
    words[REASSEMBLIES / 4] = reassembly;
    words[REASSEMBLY / 4] = buffers;
    words[SEED / 4] = seed;
    if (options.tokenKey) new Uint8Array(memory.buffer).set(options.tokenKey, IRTT_KEY);
    words.set(ROUND_CONSTANTS, SHA_K / 4);
    words.set(MD5_CONSTANTS, MD5_T / 4);
    tcp.describe(words, limits, layout);
    sessionsOf.describe(words, sessions, sessionsLayout);
    links.describe(words, kept, queue, linksLayout);
    services.placeBuiltin(memory);
    const linear = new LinearMemory(memory);
    linear.counters[Counter.offload] = words[OFFLOAD / 4] === 0 ? 0 : 1;
    linear.slots.freeAll();
    if (table) linear.serve(table);
    return linear;
  }

  /** Makes the engine use this table from its next batch on. As for write(), nobody may use the last table any more. */
  serve(table: Table): void {
    this.use(this.write(table));
  }

  /** Tells the engine the MAC address of the TAP device itself, 6 bytes, where connections are opened from. */
  set deviceMac(address: Uint8Array) {
    const number = address.reduceRight((sum, byte) => sum << 8n | BigInt(byte), 0n);
    Atomics.store(new BigUint64Array(this.memory.buffer), DEVICE_MAC / 8, number);
  }

  /** Makes the engine use the table at this address from its next batch on. */
  use(table: number): void {
    Atomics.store(new Uint32Array(this.memory.buffer), NEXT_TABLE / 4, table);
  }

  /**
   * Writes a table, and returns its address. It takes the place of the one before the last: the packet loop must have
   * come to its top since the last one is in use. Any thread may call this.
   * @throws RangeError if the table or a service does not fit; a memory that is not reloadable has room for the first
   *   table only
   */
  write(table: Table): number {
    const [first, second] = this.#tables;
    const at = new Uint32Array(this.memory.buffer)[NEXT_TABLE / 4] === first ? second : first;
    placeTable(this.memory, at, table);
    this.counters[Counter.linkSeed] = Number(table.seed);
    return at;
  }

  /** Returns the services in the table at this address that accept connections or take datagrams. */
  accepting(table: number): services.Accepting[] {
    return services.acceptingOf(this.memory, servicesOf(new Uint32Array(this.memory.buffer), table));
  }

  /** Maximum number of TCP connections, and of bytes that are kept of their data. */
  get tcpLimits(): { readonly connections: number; readonly memory: number } {
    const words = new Uint32Array(this.memory.buffer);
    return { connections: words[MAX_CONNECTIONS / 4], memory: words[MAX_PAGES / 4] * PAGE_SIZE };
  }

  /** Maximum number of sessions of UDP services, by protocol. */
  get sessionLimits(): sessionsOf.SessionLimits {
    return sessionsOf.limitsOf(new Uint32Array(this.memory.buffer));
  }

  /**
   * What links have done, by a prefix's index, the way (in, then out) and the effect, of MAX_EFFECTS; undefined where
   * there can be no links.
   */
  get effects(): Float64Array | undefined {
    const at = new Uint32Array(this.memory.buffer)[EFFECTS_AT / 4];
    return at === 0 ? undefined : new Float64Array(this.memory.buffer, at, PREFIX_EFFECTS_SIZE / 8 * PREFIX_INDICES);
  }

  /** Errors of the hops of the paths that are in use; none where there can be no paths. */
  get hopErrors(): pathsOf.HopErrors[] {
    const words = new Uint32Array(this.memory.buffer);
    const table = words[NEXT_TABLE / 4];
    return table === 0 || words[EFFECTS_AT / 4] === 0 ? [] : pathsOf.errorsOf(this.memory, table);
  }

  /** Resets the counters and the limits of prefixes' indices, which no table in use may have. */
  clear(indices: readonly number[]): void {
    const buckets = new Float64Array(this.memory.buffer, PREFIX_BUCKETS, BUCKET_SIZE / 8 * PREFIX_INDICES);
    for (const index of indices) {
      this.counters[PREFIX_REPLIES + index] = 0;
      buckets.fill(0, BUCKET_SIZE / 8 * index, BUCKET_SIZE / 8 * index + 2);
    }
    links.clear(this.memory, indices);
  }

  /** Counts what was kept when the packet loop ended. */
  stopped(): void {
    const { counters } = this;
    counters[DROPPED + Drop.stopped] += counters[Counter.kept];
    counters[Counter.kept] = counters[Counter.keptAll] = 0;
  }

  /** Repairs a memory whose packet loop crashed. Packets that were in it are counted as lost; earlier counts stay. */
  recover(): void {
    const words = new Int32Array(this.memory.buffer);
    const counters = this.counters;
    const verdicts = counters.subarray(REPLIES, REPLIES + MAX_PROTOCOLS).reduce((a, b) => a + b)
      + counters.subarray(DROPPED, DROPPED + MAX_DROPS).reduce((a, b) => a + b) + counters[Counter.tcpReceived]
      + counters[Counter.udpHandled];
    const judged = counters[Counter.packetsReceived] + counters[Counter.linkCopies];
    counters[DROPPED + Drop.worker_crash] += judged - verdicts;
    for (const gauge of [Counter.held, Counter.kept, Counter.keptAll]) counters[gauge] = 0;
    // The engine counts anew those that it finds.
    counters[Counter.stampSessions] = 0;
    counters[Counter.irttSessions] = 0;
    counters[CLOSED + Closed.crashed] += counters[Counter.tcpConnections];
    const attempts = counters[Counter.tcpOpened]
      + counters.subarray(ATTEMPT_FAILS, ATTEMPT_FAILS + MAX_UNOPENED).reduce((a, b) => a + b);
    counters[ATTEMPT_FAILS + Unopened.ended] += counters[Counter.tcpActiveOpens] - attempts;
    for (const gauge of TCP_GAUGES) counters[gauge] = 0;
    tcp.forget(new Uint32Array(this.memory.buffer), TOUCHED);
    sessionsOf.keep(new Uint32Array(this.memory.buffer));
    // Replies that had been offered to the kernel were counted as sent; they become write errors.
    for (let i = 0; i < words[WRITES_PENDING / 4]; i++) counters[Counter.bytesSent] -= this.slots.toSendLength(i);
    counters[Counter.writeErrors] += words[WRITES_PENDING / 4];
    for (const word of [WRITES_PENDING, READ_ERROR, DEADLINE, STAMPED_COUNT]) words[word / 4] = 0;
    words[DEADLINE / 4 + 1] = 0;
    words.fill(0, TURNED / 4, TIMERS_END / 4);
    words.fill(0, RINGS / 4, URING_END / 4);
    if (words[REASSEMBLIES / 4] > 0) {
      words.fill(0, words[REASSEMBLY / 4] / 4, (words[REASSEMBLY / 4] + REASSEMBLY_TABLE_SIZE) / 4);
    }
    this.slots.freeAll();
  }

  /** Bytes of the header before each packet that the kernel reads and writes along, 0 or SIZEOF_VNET_HEADER. */
  get headerLen(): number {
    return new Uint32Array(this.memory.buffer)[VNET_HEADER_LEN / 4];
  }

  /** Returns the descriptor of the ring that a packet loop left open, or 0, and forgets it. */
  takeRing(): number {
    return Atomics.exchange(new Int32Array(this.memory.buffer), RING_FD / 4, 0);
  }

  /** Sets how often the packet loop has been asked to report from its top; wakes nobody. */
  ask(times: number): void {
    Atomics.store(new Int32Array(this.memory.buffer), ASKED / 4, times);
  }

  /** Sets how far the wall clock may be off; see errorEstimate() in sys/realtime.ts. */
  set errorEstimate(estimate: number) {
    Atomics.store(new Int32Array(this.memory.buffer), ERROR_ESTIMATE / 4, estimate);
  }

  /** Says what is to become of connections; wakes nobody. */
  drain(how: Drain): void {
    Atomics.store(new Int32Array(this.memory.buffer), DRAIN / 4, how);
  }

  /** Asks the packet loop to end after the round it is in; wakes nobody. */
  requestStop(): void {
    Atomics.store(new Int32Array(this.memory.buffer), STOP / 4, 1);
  }

  get stopRequested(): boolean {
    return Atomics.load(new Int32Array(this.memory.buffer), STOP / 4) !== 0;
  }
}

/** @throws Failure if there are too many pages, or no address space for them */
function reserve(pages: number): WebAssembly.Memory {
  if (pages > MAX_WASM_PAGES) {
    const mib = (pages: number) => `${Math.ceil(pages * WASM_PAGE / 2 ** 20)} MiB`;
    throw new Failure(
      `a queue would need ${mib(pages)} of memory, and may have ${mib(MAX_WASM_PAGES)}`, EXIT.CONFIG,
      { mend: "lower held_packets, tcp_memory or the MTU" },
    );
  }
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (error) {
    // V8 reserves all that an index of 32 bits can reach, so that it need not check indices.
    const mend = "V8 takes 10 GiB of address space for each queue, though hardly any memory; see: ulimit -v";
    throw new Failure(`cannot reserve memory for packets: ${messageOf(error)}`, EXIT.RUNTIME, { mend, cause: error });
  }
}

/**
 * Returns the size of a slot for that many bytes: an odd number of cache lines, so that slots do not all begin in the
 * same few sets of the cache.
 */
function slotSize(bytes: number): number {
  return (Math.ceil(bytes / SLOT_ALIGN) | 1) * SLOT_ALIGN;
}
