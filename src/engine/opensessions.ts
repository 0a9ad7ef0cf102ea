/**
 * Reads the sessions of UDP services of a queue's memory from another thread, while the packet loop changes them
 * (records.ts). A token of IRTT is what a request shows that it belongs to its session, so it never leaves this file.
 */
import {
  IRTT_ADDRESSES, IRTT_COUNT, IRTT_FIELDS, IRTT_IDLE_S, IRTT_OPENED_AT, IRTT_PORTS, IRTT_SERVICE, IRTT_SESSION_SIZE,
  IRTT_SESSIONS, IRTT_SETS, IRTT_SIX, IRTT_TOKEN, IRTT_USED_AT, IRTT_WAYS,
} from "../../abi/irtt.js";
import {
  MAX_SESSIONS, SESSION_ADDRESSES, SESSION_DATA, SESSION_DISCRIMINATOR, SESSION_FAMILY, SESSION_IDLE_MS, SESSION_PORTS,
  SESSION_SERVICE, SESSION_SINCE, SESSION_SIZE, SESSION_USED, SESSIONS, SESSIONS_TOUCHED,
} from "../../abi/sessions.js";
import { STAMP_RECEIVED } from "../../abi/stamp.js";
import type { Block } from "../prefix/prefixes.js";
import { isWithin, RecordCopy, roomFor, STEP, type Endpoint, type Span } from "./records.js";
import { serviceAt, servicesCalled } from "./services.js";
import type { SessionProtocol } from "./sessions.js";

/** A session, as it was at one moment. Times are milliseconds up to that moment, or from then on. */
export interface Session {
  readonly protocol: SessionProtocol;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** Name of the service; undefined if there is none any more. */
  readonly service: string | undefined;
  /** STAMP: the SSID. */
  readonly ssid: number | undefined;
  /** IRTT: the place in the table, which tells sessions of the same ends from each other, as their tokens do. */
  readonly place: number | undefined;
  /** Packets that came and were the session's. */
  readonly packets: number;
  readonly ageMs: number;
  /** Since the last of them, or since it began. */
  readonly idleMs: number;
  /** Until it ends if no packet comes. */
  readonly expiresMs: number;
}

/** Which sessions are wanted. */
export interface WantedSessions {
  readonly protocols: readonly SessionProtocol[];
  readonly local?: Block | undefined;
  readonly remote?: Block | undefined;
  /** Local port. */
  readonly port?: number | undefined;
  readonly service?: string | undefined;
}

/** Where a kind of record has what both have, and what a reader compares. */
interface Layout {
  readonly size: number;
  readonly addresses: number;
  readonly ports: number;
  readonly service: number;
  readonly since: number;
  readonly used: number;
  readonly checked: readonly Span[];
  /** Returns whether the record at an address is a session over IPv6; undefined if it is none. */
  readonly isSix: (view: DataView, at: number) => boolean | undefined;
}

const STAMP: Layout = {
  size: SESSION_SIZE, addresses: SESSION_ADDRESSES, ports: SESSION_PORTS, service: SESSION_SERVICE,
  since: SESSION_SINCE, used: SESSION_USED, checked: [[SESSION_SERVICE, SESSION_USED], upperHalf(SESSION_USED)],
  isSix: (view, at) =>
    view.getUint32(at + SESSION_SERVICE) === 0 ? undefined : view.getUint32(at + SESSION_FAMILY, true) === 6,
};
const IRTT: Layout = {
  size: IRTT_SESSION_SIZE, addresses: IRTT_ADDRESSES, ports: IRTT_PORTS, service: IRTT_SERVICE, since: IRTT_OPENED_AT,
  used: IRTT_USED_AT,
  checked: [[IRTT_TOKEN, IRTT_TOKEN + 8], upperHalf(IRTT_USED_AT), [IRTT_OPENED_AT, IRTT_FIELDS]],
  isSix: (view, at) =>
    view.getBigUint64(at + IRTT_TOKEN) === 0n ? undefined : view.getUint8(at + IRTT_SIX) !== 0,
};
const NS_PER_MS = 1e6;

export class OpenSessions {
  readonly #words: Uint32Array;
  readonly #memory: Seen;
  readonly #copy: RecordCopy;

  constructor({ buffer }: WebAssembly.Memory) {
    this.#words = new Uint32Array(buffer);
    this.#memory = { bytes: new Uint8Array(buffer), view: new DataView(buffer) };
    this.#copy = new RecordCopy(this.#memory.bytes, Math.max(SESSION_SIZE, IRTT_SESSION_SIZE));
  }

  /**
   * Yields the sessions that are wanted, and undefined now and then, so that a caller can look at the time. `now`
   * returns nanoseconds of CLOCK_MONOTONIC.
   */
  * find(wanted: WantedSessions, now: () => number): Generator<Session | undefined, void, undefined> {
    const { protocols } = wanted;
    if (protocols.includes("stamp")) {
      const first = this.#word(SESSIONS);
      const count = Math.min(
        this.#word(SESSIONS_TOUCHED), this.#word(MAX_SESSIONS), roomFor(this.#memory.bytes, first, SESSION_SIZE),
      );
      const { view } = this.#copy;
      yield* this.#records(STAMP, first, count, wanted, now, () => ({
        protocol: "stamp", ssid: view.getUint32(SESSION_DISCRIMINATOR, true), place: undefined,
        packets: view.getUint32(SESSION_DATA + STAMP_RECEIVED, true), allowedMs: view.getUint32(SESSION_IDLE_MS, true),
      }));
    }
    if (protocols.includes("irtt")) {
      yield* this.#records(IRTT, IRTT_SESSIONS, IRTT_SETS * IRTT_WAYS, wanted, now, (place) => ({
        protocol: "irtt", ssid: undefined, place, packets: this.#copy.view.getUint32(IRTT_COUNT, true),
        allowedMs: 1000 * IRTT_IDLE_S,
      }));
    }
  }

  /** Yields those of `count` records from `first` on that are wanted. `own` reads what a kind has of its own. */
  * #records(
    layout: Layout, first: number, count: number, wanted: WantedSessions, now: () => number,
    own: (place: number) => Own,
  ): Generator<Session | undefined, void, undefined> {
    const services = wanted.service === undefined ? undefined : servicesCalled(this.#words, wanted.service);
    for (let i = 0; i < count; i++) {
      if (i % STEP === STEP - 1) yield undefined;
      const at = first + layout.size * i;
      if (!isWanted(layout, wanted, services, this.#memory, at)) continue;
      if (!this.#copy.take(at, layout.size, layout.checked)) continue;
      // The copy may be of the session that came next.
      if (isWanted(layout, wanted, services, this.#copy, 0)) yield this.#session(layout, now(), own(i));
    }
  }

  /** Reads the copy of a record. */
  #session({ isSix, addresses, ports, service, since, used }: Layout, now: number, own: Own): Session {
    const { view } = this.#copy;
    const ago = (field: number) => Math.max(0, now - Number(view.getBigUint64(field, true))) / NS_PER_MS;
    const { allowedMs, ...rest } = own;
    const idleMs = ago(used);
    return {
      ...rest, ...this.#copy.ends(addresses, isSix(view, 0) === true ? 16 : 4, ports),
      service: serviceAt(this.#words, view.getUint32(service, true)), ageMs: ago(since), idleMs,
      expiresMs: Math.max(0, allowedMs - idleMs),
    };
  }

  #word(address: number): number {
    return Atomics.load(this.#words, address / 4);
  }
}

/** The memory, or the copy of a record. */
interface Seen {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

interface Own extends Pick<Session, "protocol" | "ssid" | "place" | "packets"> {
  /** How long it may be silent. */
  readonly allowedMs: number;
}

function isWanted(
  layout: Layout, { local, remote, port }: WantedSessions, services: ReadonlySet<number> | undefined,
  { bytes, view }: Seen, at: number,
): boolean {
  const six = layout.isSix(view, at);
  if (six === undefined) return false;
  if (port !== undefined && view.getUint16(at + layout.ports + 2) !== port) return false;
  if (services?.has(view.getUint32(at + layout.service, true)) === false) return false;
  const size = six ? 16 : 4;
  return (!local || isWithin(local, bytes, at + layout.addresses + size, size))
    && (!remote || isWithin(remote, bytes, at + layout.addresses, size));
}

/** Returns where the upper half of a number of 64 bits lies. */
function upperHalf(field: number): Span {
  return [field + 4, field + 8];
}
