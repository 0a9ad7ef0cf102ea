/** Sums of the counters that the queues' packet loops keep, and the names of the counters in the metrics. */
import {
  Closed, Cookie, Counter, Drop, DROPPED, IcmpError, Protocol, REPLIES, Reset, TlvFlag,
} from "../../abi/counters.js";
import { Unopened } from "../../abi/streams.js";
import type { EngineName } from "../engine/contract.js";
import type { Accepting } from "../engine/services.js";
import type { SessionLimits } from "../engine/sessions.js";
import type { IoName } from "../io/contract.js";

export const DROP_REASONS = namesOf(Drop);
export const PROTOCOLS = namesOf(Protocol);
export const ICMP_ERRORS = namesOf(IcmpError);
export const TCP_ENDS = namesOf(Closed);
export const TCP_RESETS = namesOf(Reset);
export const TCP_COOKIES = namesOf(Cookie);
export const TLV_FLAGS = namesOf(TlvFlag);
/** Why attempts fail; the first one is that they did not. */
export const TCP_UNOPENED = namesOf(Unopened);

/** A queue's counters and labels. */
export interface Counted {
  readonly index: number;
  readonly engine: EngineName;
  readonly io: IoName;
  /** Counters by the indices of abi/counters.ts. */
  readonly counters: Float64Array;
  /** Times that its worker was started again. */
  readonly restarts: number;
  /** Its TCP services that accept connections. Another list after a reload. */
  readonly accepting?: readonly Accepting[];
  /** Maximum number of its TCP connections, and of bytes that are kept of their data. */
  readonly tcpLimits?: { readonly connections: number; readonly memory: number };
  /** Maximum number of its sessions of UDP services. */
  readonly sessionLimits?: SessionLimits;
  /** What links have done to its packets; undefined where there can be none. See effectsAt(). */
  readonly effects?: Float64Array | undefined;
}

/** Totals by what became of the packets. */
export interface Verdicts {
  readonly received: number;
  readonly replied: number;
  /** Counts by reason; only reasons that occurred. */
  readonly dropped: Record<string, number>;
  /** Fragments that wait for the rest of their datagram and have no verdict yet. */
  readonly held: number;
  /** Packets that are kept, and have no verdict yet. */
  readonly kept: number;
  /** Segments that TCP took, whether or not they led to an answer. */
  readonly tcp: number;
  /** Datagrams that service threads were handed, whether or not they answered. */
  readonly handled: number;
}

/**
 * Sums the verdicts on all packets that these queues have received so far: received is the sum of replied, dropped,
 * held, kept, tcp and handled.
 */
export function verdicts(queues: readonly Pick<Counted, "counters">[]): Verdicts {
  const dropped = DROP_REASONS.map((reason, i) => [reason, total(queues, DROPPED + i)] as const);
  return {
    received: total(queues, Counter.packetsReceived),
    replied: PROTOCOLS.reduce((sum, _, i) => sum + total(queues, REPLIES + i), 0),
    dropped: Object.fromEntries(dropped.filter(([, count]) => count > 0)),
    held: total(queues, Counter.held),
    kept: total(queues, Counter.kept),
    tcp: total(queues, Counter.tcpReceived),
    handled: total(queues, Counter.udpHandled),
  };
}

/** Sums one counter over all queues. */
export function total(queues: readonly Pick<Counted, "counters">[], index: number): number {
  return queues.reduce((sum, { counters }) => sum + counters[index], 0);
}

/** Returns the names of a numeric enum, in the order of its values, which begin at 0. */
function namesOf(enumeration: Record<string, string | number>): string[] {
  return Object.keys(enumeration).filter((key) => Number.isNaN(Number(key)));
}
