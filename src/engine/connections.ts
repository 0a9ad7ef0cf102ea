/**
 * Reads the connections of a queue's memory from another thread, while the packet loop changes them. A block may be
 * half written, or be another connection's by the time that it is read. So it is copied, its key is compared with what
 * is there then, and nothing in it is used as an address or an index before it is checked.
 */
import { FIRST_PREFIX } from "../../abi/tables.js";
import {
  ACK_AT, ACKED, ADDRESSES, BACKOFF, CAME, CONNECTION_SIZE, CONNECTIONS, CONNECTIONS_TOUCHED, CWND, END_AT, FIN_SENT,
  FLAGS, HEARD_AT, INITIAL_RTO_US, KEEPALIVE_INTERVAL_S, KEEPALIVE_S, MARKS, MAX_CONNECTIONS, MAX_RTO_US, MAX_SERVICES,
  MAX_WAITS, MIN_VARIANCE_US, MSS, OWNER, PERSIST, PORTS, PROBES, RCV_EDGE, RCV_NXT, RCV_SCALE, RETRANSMIT_AT,
  RTTVAR, SERVICE, SERVICE_SIZE, SERVICES, SIX, SND_NXT, SND_SCALE, SND_UNA, SND_WND, SRTT,
  SSTHRESH, State, STATE, TAIL_PROBE, WAIT_COUNT, WAIT_FIRST, WAIT_SIZE, WAIT_UNTIL, WAITS,
} from "../../abi/tcp.js";
import { TICK_NS, TIMER_SIZE } from "../../abi/timers.js";
import type { Block } from "../prefix/prefixes.js";
import { serviceAt } from "./services.js";

/** A connection, as it was at one moment. Times are milliseconds from that moment on, sizes are bytes. */
export interface Connection {
  /** A State. */
  readonly state: number;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** Undefined for a TIME-WAIT record, which has nothing of it any more. */
  readonly details: Details | undefined;
  /** Until a TIME-WAIT record ends. */
  readonly expiresMs: number | undefined;
}

export interface Endpoint {
  /** Address, 4 or 16 bytes. */
  readonly bytes: Uint8Array;
  readonly port: number;
}

export interface Details {
  /** Name of the service; undefined if the block has none that exists. */
  readonly service: string | undefined;
  /** Index of the prefix that the local address belonged to when the connection began; it may be another's by now. */
  readonly prefix: number;
  /** Bits of FLAGS. */
  readonly flags: number;
  /** Shifts of the windows that the peer sends, and of those that it gets. */
  readonly sendScale: number;
  readonly receiveScale: number;
  /** Undefined before the first sample. */
  readonly rtt: { readonly ms: number; readonly variationMs: number } | undefined;
  /** The retransmission timeout, with its backoff. */
  readonly rtoMs: number;
  readonly mss: number;
  readonly cwnd: number;
  /** Undefined before the first loss. */
  readonly ssthresh: number | undefined;
  readonly acknowledged: number;
  readonly received: number;
  readonly inFlight: number;
  /** The peer's window, from the first byte on that it has not acknowledged. */
  readonly sendWindow: number;
  readonly receiveWindow: number;
  /** Expirations of the retransmission timer in a row. */
  readonly retransmits: number;
  /** Window or keepalive probes since the peer was last heard. */
  readonly probes: number;
  /** Since the peer was last heard. */
  readonly idleMs: number;
  readonly keepaliveMs: number;
  readonly timer: { readonly kind: TimerKind; readonly ms: number } | undefined;
  /** Until a delayed acknowledgement leaves. */
  readonly ackMs: number | undefined;
  /** Until the connection ends whatever its peer does. */
  readonly endMs: number | undefined;
}

/** What the retransmission timer of a connection is for. */
export type TimerKind = "retransmit" | "persist" | "tailProbe";

/** Which connections are wanted. */
export interface Wanted {
  /** A bit for each State. */
  readonly states: number;
  readonly local?: Block | undefined;
  readonly remote?: Block | undefined;
  /** Local port. */
  readonly port?: number | undefined;
  readonly service?: string | undefined;
}

/** Blocks and records that are looked at between two looks at the time. */
const STEP = 1024;
/** Times that a block which changes is read. */
const READS = 4;
/** Threshold of slow start from which on there is none. */
const NO_THRESHOLD = 0x7fff_ffff;
const HIGH = 2 ** 32;
const TICKS_PER_MS = 1e6 / TICK_NS;
/** The state and the key, which a reader compares. */
const CHECKED_FROM = STATE;
const CHECKED_END = PORTS + 4;

/** States as memory has them. */
const CLOSED: number = State.CLOSED;
const SYN_SENT: number = State.SYN_SENT;
const SYN_RECEIVED: number = State.SYN_RECEIVED;
const LAST_ACK: number = State.LAST_ACK;
const TIME_WAIT: number = State.TIME_WAIT;

export class Connections {
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #block = new Uint8Array(CONNECTION_SIZE);
  readonly #view = new DataView(this.#block.buffer);

  constructor({ buffer }: WebAssembly.Memory) {
    this.#bytes = new Uint8Array(buffer);
    this.#words = new Uint32Array(buffer);
  }

  /**
   * Yields the connections that are wanted, and undefined now and then, so that a caller can look at the time. `now`
   * returns nanoseconds of CLOCK_MONOTONIC.
   */
  * find(wanted: Wanted, now: () => number): Generator<Connection | undefined, void, undefined> {
    if (wanted.states & ~(1 << TIME_WAIT)) yield* this.#blocks(wanted, now);
    // A record does not know its service.
    if (wanted.states & 1 << TIME_WAIT && wanted.service === undefined) yield* this.#records(wanted, now);
  }

  * #blocks(wanted: Wanted, now: () => number): Generator<Connection | undefined, void, undefined> {
    const first = this.#word(CONNECTIONS);
    const count = Math.min(
      this.#word(CONNECTIONS_TOUCHED), this.#word(MAX_CONNECTIONS), this.#roomFor(first, CONNECTION_SIZE),
    );
    const services = wanted.service === undefined ? undefined : this.#servicesCalled(wanted.service);
    for (let i = 0; i < count; i++) {
      if (i % STEP === STEP - 1) yield undefined;
      const at = first + CONNECTION_SIZE * i;
      if (!isWanted(wanted, this.#bytes, at, LAST_ACK) || services?.has(this.#word(at + SERVICE)) === false) continue;
      if (!this.#copy(at, CONNECTION_SIZE)) continue;
      // The copy may be of the connection that came next.
      if (!isWanted(wanted, this.#block, 0, LAST_ACK)) continue;
      if (services?.has(this.#view.getUint32(SERVICE, true)) !== false) yield this.#connection(now());
    }
  }

  * #records(wanted: Wanted, now: () => number): Generator<Connection | undefined, void, undefined> {
    const waits = this.#word(WAITS);
    const most = Math.min(this.#word(MAX_WAITS), this.#roomFor(waits, WAIT_SIZE));
    const first = this.#word(WAIT_FIRST);
    const count = Math.min(this.#word(WAIT_COUNT), most);
    for (let i = 0; i < count; i++) {
      if (i % STEP === STEP - 1) yield undefined;
      const at = waits + WAIT_SIZE * ((first + i) % most) - TIMER_SIZE;
      if (!isWanted(wanted, this.#bytes, at, TIME_WAIT) || !this.#copy(at, TIMER_SIZE + WAIT_SIZE)) continue;
      if (isWanted(wanted, this.#block, 0, TIME_WAIT)) yield this.#record(now());
    }
  }

  /** Copies a block or record. Returns false if it has become another one's each time. */
  #copy(at: number, size: number): boolean {
    for (let i = 0; i < READS; i++) {
      this.#block.set(this.#bytes.subarray(at, at + size));
      if (this.#isStill(at, size)) return true;
    }
    return false;
  }

  /** Returns whether state and key are those of the copy, and no count has passed 2^32 meanwhile. */
  #isStill(at: number, size: number): boolean {
    for (let i = CHECKED_FROM; i < CHECKED_END; i++) if (this.#bytes[at + i] !== this.#block[i]) return false;
    return size < CONNECTION_SIZE
      || [ACKED, CAME].every((field) => this.#word(at + field + 4) === this.#view.getUint32(field + 4, true));
  }

  /** Reads the copy of a block. */
  #connection(now: number): Connection {
    const state = this.#block[STATE];
    const flags = this.#block[FLAGS];
    const backoff = this.#block[BACKOFF];
    const word = (field: number) => this.#view.getUint32(field, true);
    const srtt = word(SRTT);
    const until = (field: number) => word(field) === 0 ? undefined : Math.max(0, msBetween(word(field), now));
    const idleMs = Math.max(0, -msBetween(word(HEARD_AT), now));
    const due = until(RETRANSMIT_AT);
    // SYN and FIN have a sequence number each.
    const half = state === SYN_RECEIVED || state === SYN_SENT;
    const numbers = (half ? 1 : 0) + (flags & FIN_SENT ? 1 : 0);
    const sending = word(SND_NXT) - word(SND_UNA) | 0;
    return {
      ...this.#ends(), state, expiresMs: undefined,
      details: {
        service: serviceAt(this.#words, word(SERVICE)),
        prefix: this.#view.getInt32(OWNER, true) - FIRST_PREFIX,
        flags, sendScale: this.#block[SND_SCALE], receiveScale: this.#block[RCV_SCALE],
        rtt: srtt === 0 ? undefined : { ms: srtt / 8000, variationMs: word(RTTVAR) / 4000 },
        rtoMs: rtoOf(srtt, word(RTTVAR), half ? backoff : backoff >> 4) / 1000,
        mss: this.#view.getUint16(MSS, true), cwnd: word(CWND),
        ssthresh: word(SSTHRESH) === 0 || word(SSTHRESH) >= NO_THRESHOLD ? undefined : word(SSTHRESH),
        acknowledged: word(ACKED) + HIGH * word(ACKED + 4), received: word(CAME) + HIGH * word(CAME + 4),
        inFlight: Math.max(0, sending - numbers),
        sendWindow: word(SND_WND), receiveWindow: Math.max(0, word(RCV_EDGE) - word(RCV_NXT) | 0),
        retransmits: half ? backoff : backoff & 15, probes: this.#block[PROBES],
        idleMs, keepaliveMs: Math.max(0, 1000 * (KEEPALIVE_S + KEEPALIVE_INTERVAL_S * this.#block[PROBES]) - idleMs),
        timer: due === undefined ? undefined : { kind: timerOf(this.#block[MARKS]), ms: due },
        ackMs: until(ACK_AT), endMs: until(END_AT),
      },
    };
  }

  /** Reads the copy of a TIME-WAIT record. */
  #record(now: number): Connection {
    const expiresMs = Math.max(0, msBetween(this.#view.getUint32(WAIT_UNTIL, true), now));
    return { ...this.#ends(), state: TIME_WAIT, details: undefined, expiresMs };
  }

  /** Addresses and ports, which lie as in a packet of the peer's. */
  #ends(): Pick<Connection, "local" | "remote"> {
    const size = this.#block[FLAGS] & SIX ? 16 : 4;
    return {
      remote: { bytes: this.#block.slice(ADDRESSES, ADDRESSES + size), port: this.#view.getUint16(PORTS) },
      local: {
        bytes: this.#block.slice(ADDRESSES + size, ADDRESSES + 2 * size), port: this.#view.getUint16(PORTS + 2),
      },
    };
  }

  /** Returns the addresses of the services with this name. */
  #servicesCalled(name: string): Set<number> {
    const addresses = Array.from({ length: MAX_SERVICES }, (_, i) => SERVICES + SERVICE_SIZE * i);
    return new Set(addresses.filter((address) => serviceAt(this.#words, address) === name));
  }

  /** Returns how many of this size there are up to the memory's end. */
  #roomFor(from: number, size: number): number {
    return Math.floor((this.#bytes.length - from) / size);
  }

  #word(address: number): number {
    return Atomics.load(this.#words, address / 4);
  }
}

/** Returns whether a block or record is wanted, by its state and its key. `last`: the last state that it may have. */
function isWanted(
  { states, local, remote, port }: Wanted, bytes: Uint8Array, at: number, last: number,
): boolean {
  const state = bytes[at + STATE];
  if (state === CLOSED || state > last || (states & 1 << state) === 0) return false;
  if (port !== undefined && (bytes[at + PORTS + 2] << 8 | bytes[at + PORTS + 3]) !== port) return false;
  const size = bytes[at + FLAGS] & SIX ? 16 : 4;
  return (!local || isWithin(local, bytes, at + ADDRESSES + size, size))
    && (!remote || isWithin(remote, bytes, at + ADDRESSES, size));
}

/** Returns whether a block contains the address of `size` bytes at `at`. */
function isWithin(block: Block, bytes: Uint8Array, at: number, size: number): boolean {
  if (block.bytes.length !== size) return false;
  const whole = block.length >> 3;
  for (let i = 0; i < whole; i++) if (bytes[at + i] !== block.bytes[i]) return false;
  const bits = block.length & 7;
  return bits === 0 || (bytes[at + whole] ^ block.bytes[whole]) >> 8 - bits === 0;
}

/** RFC 6298: returns the retransmission timeout in µs, doubled `times` times; see assembly/tcp/rtt.ts. */
function rtoOf(srtt: number, variation: number, times: number): number {
  const base = srtt === 0 ? variation || INITIAL_RTO_US : srtt / 8 + Math.max(variation, MIN_VARIANCE_US);
  return Math.min(base * 2 ** times, MAX_RTO_US);
}

function timerOf(marks: number): TimerKind {
  return marks & PERSIST ? "persist" : marks & TAIL_PROBE ? "tailProbe" : "retransmit";
}

/** Returns the milliseconds from `now`, in ns, to a moment in ticks, which wrap. */
function msBetween(tick: number, now: number): number {
  return (tick - Math.floor(now / TICK_NS) % HIGH | 0) / TICKS_PER_MS;
}
