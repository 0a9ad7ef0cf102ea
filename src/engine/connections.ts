/**
 * Reads the connections of a queue's memory from another thread, while the packet loop changes them (records.ts). State
 * and key say whose a block is. Nothing in it is used as an address or an index before it is checked.
 */
import { FIRST_PREFIX } from "../../abi/tables.js";
import {
  ACK_AT, ACKED, ADDRESSES, BACKOFF, CAME, CONNECTION_SIZE, CONNECTIONS, CONNECTIONS_TOUCHED, CWND, END_AT, FIN_SENT,
  FLAGS, HEARD_AT, INITIAL_RTO_US, KEEPALIVE_INTERVAL_S, KEEPALIVE_S, MARKS, MAX_CONNECTIONS, MAX_RTO_US,
  MAX_WAITS, MIN_VARIANCE_US, MSS, OWNER, PERSIST, PORTS, PROBES, RCV_EDGE, RCV_NXT, RCV_SCALE, RETRANSMIT_AT,
  RTTVAR, SERVICE, SIX, SND_NXT, SND_SCALE, SND_UNA, SND_WND, SRTT,
  SSTHRESH, State, STATE, TAIL_PROBE, WAIT_COUNT, WAIT_FIRST, WAIT_SIZE, WAIT_UNTIL, WAITS,
} from "../../abi/tcp.js";
import { TICK_NS, TIMER_SIZE } from "../../abi/timers.js";
import type { Block } from "../prefix/prefixes.js";
import { isWithin, RecordCopy, roomFor, STEP, type Endpoint, type Span } from "./records.js";
import { serviceAt, servicesCalled } from "./services.js";

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

/** Threshold of slow start from which on there is none. */
const NO_THRESHOLD = 0x7fff_ffff;
const HIGH = 2 ** 32;
const TICKS_PER_MS = 1e6 / TICK_NS;
/** The state and the key; and in a block the upper halves of its counts. */
const KEY: Span = [STATE, PORTS + 4];
const CHECKED: readonly Span[] = [KEY, [ACKED + 4, ACKED + 8], [CAME + 4, CAME + 8]];

/** States as memory has them. */
const CLOSED: number = State.CLOSED;
const SYN_SENT: number = State.SYN_SENT;
const SYN_RECEIVED: number = State.SYN_RECEIVED;
const LAST_ACK: number = State.LAST_ACK;
const TIME_WAIT: number = State.TIME_WAIT;

export class Connections {
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #copy: RecordCopy;

  constructor({ buffer }: WebAssembly.Memory) {
    this.#bytes = new Uint8Array(buffer);
    this.#words = new Uint32Array(buffer);
    this.#copy = new RecordCopy(this.#bytes, CONNECTION_SIZE);
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
      this.#word(CONNECTIONS_TOUCHED), this.#word(MAX_CONNECTIONS), roomFor(this.#bytes, first, CONNECTION_SIZE),
    );
    const services = wanted.service === undefined ? undefined : servicesCalled(this.#words, wanted.service);
    for (let i = 0; i < count; i++) {
      if (i % STEP === STEP - 1) yield undefined;
      const at = first + CONNECTION_SIZE * i;
      if (!isWanted(wanted, this.#bytes, at, LAST_ACK) || services?.has(this.#word(at + SERVICE)) === false) continue;
      if (!this.#copy.take(at, CONNECTION_SIZE, CHECKED)) continue;
      // The copy may be of the connection that came next.
      if (!isWanted(wanted, this.#copy.bytes, 0, LAST_ACK)) continue;
      if (services?.has(this.#copy.view.getUint32(SERVICE, true)) !== false) yield this.#connection(now());
    }
  }

  * #records(wanted: Wanted, now: () => number): Generator<Connection | undefined, void, undefined> {
    const waits = this.#word(WAITS);
    const most = Math.min(this.#word(MAX_WAITS), roomFor(this.#bytes, waits, WAIT_SIZE));
    const first = this.#word(WAIT_FIRST);
    const count = Math.min(this.#word(WAIT_COUNT), most);
    for (let i = 0; i < count; i++) {
      if (i % STEP === STEP - 1) yield undefined;
      const at = waits + WAIT_SIZE * ((first + i) % most) - TIMER_SIZE;
      if (!isWanted(wanted, this.#bytes, at, TIME_WAIT)) continue;
      if (!this.#copy.take(at, TIMER_SIZE + WAIT_SIZE, [KEY])) continue;
      if (isWanted(wanted, this.#copy.bytes, 0, TIME_WAIT)) yield this.#record(now());
    }
  }

  /** Reads the copy of a block. */
  #connection(now: number): Connection {
    const { bytes: block, view } = this.#copy;
    const state = block[STATE];
    const flags = block[FLAGS];
    const backoff = block[BACKOFF];
    const word = (field: number) => view.getUint32(field, true);
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
        prefix: view.getInt32(OWNER, true) - FIRST_PREFIX,
        flags, sendScale: block[SND_SCALE], receiveScale: block[RCV_SCALE],
        rtt: srtt === 0 ? undefined : { ms: srtt / 8000, variationMs: word(RTTVAR) / 4000 },
        rtoMs: rtoOf(srtt, word(RTTVAR), half ? backoff : backoff >> 4) / 1000,
        mss: view.getUint16(MSS, true), cwnd: word(CWND),
        ssthresh: word(SSTHRESH) === 0 || word(SSTHRESH) >= NO_THRESHOLD ? undefined : word(SSTHRESH),
        acknowledged: word(ACKED) + HIGH * word(ACKED + 4), received: word(CAME) + HIGH * word(CAME + 4),
        inFlight: Math.max(0, sending - numbers),
        sendWindow: word(SND_WND), receiveWindow: Math.max(0, word(RCV_EDGE) - word(RCV_NXT) | 0),
        retransmits: half ? backoff : backoff & 15, probes: block[PROBES],
        idleMs, keepaliveMs: Math.max(0, 1000 * (KEEPALIVE_S + KEEPALIVE_INTERVAL_S * block[PROBES]) - idleMs),
        timer: due === undefined ? undefined : { kind: timerOf(block[MARKS]), ms: due },
        ackMs: until(ACK_AT), endMs: until(END_AT),
      },
    };
  }

  /** Reads the copy of a TIME-WAIT record. */
  #record(now: number): Connection {
    const expiresMs = Math.max(0, msBetween(this.#copy.view.getUint32(WAIT_UNTIL, true), now));
    return { ...this.#ends(), state: TIME_WAIT, details: undefined, expiresMs };
  }

  #ends(): Pick<Connection, "local" | "remote"> {
    return this.#copy.ends(ADDRESSES, this.#copy.bytes[FLAGS] & SIX ? 16 : 4, PORTS);
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
