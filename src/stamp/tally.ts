/**
 * What becomes of the requests of one session. Those that wait for their replies are kept for a while; of each other
 * there is a number or two.
 */
import { percentile } from "../bench/stats.js";
import { FAULTS, ntpOf, type ClockError, type Fault, type Reply } from "./packet.js";

const NS_PER_MS = 1e6;

/** When something happened, in nanoseconds: by a clock that nobody sets, and by the wall clock. */
export interface Moment {
  readonly steady: bigint;
  readonly wall: bigint;
}

/** Times of one request, in ms. */
export interface Times {
  readonly sequence: number;
  /** Without that inside of the reflector. */
  readonly roundTrip: number;
  /** By two clocks: that of the sender, and that of the reflector. */
  readonly there: number;
  readonly back: number;
  readonly inside: number;
}

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

export interface Totals {
  readonly sent: number;
  readonly received: number;
  /** Not answered in time; `late` of them were, later. */
  readonly lost: number;
  readonly late: number;
  readonly duplicates: number;
  readonly reordered: number;
  /** Packets that were no replies to what was sent, and how many there were of each kind. */
  readonly wrong: number;
  readonly faults: Readonly<Record<Fault, number>>;
  /** Where they were lost; undefined if the reflector does not count its replies, or nothing was lost. */
  readonly losses: Losses | undefined;
  readonly times: Readonly<Record<Exclude<keyof Times, "sequence">, Spread>> | undefined;
  /** What the reflector says of its clock. */
  readonly clock: ClockError | undefined;
}

export interface Losses {
  readonly there: number;
  readonly back: number;
  /** After the last reply, so nobody knows. */
  readonly unknown: number;
}

export class Tally {
  readonly #timeoutNs: bigint;
  readonly #waiting = new Map<number, Moment>();
  /** 1 for each request that has a reply. */
  readonly #answered: Uint8Array;
  /** The sequence number of the first reply to each request. */
  readonly #reflected: Uint32Array;
  /** The time of each request, as it was sent. */
  readonly #stamps: BigUint64Array;
  readonly #times: Times[] = [];
  #sent = 0;
  #received = 0;
  #late = 0;
  #duplicates = 0;
  #reordered = 0;
  readonly #faults = Object.fromEntries(FAULTS.map((fault) => [fault, 0])) as Record<Fault, number>;
  /** The highest sequence number among the requests that were answered, and among the replies. */
  #last = -1;
  #lastReflected = -1;
  #counts = false;
  #twiceThere = 0;
  #clock: ClockError | undefined;

  /** `count`: most requests there will be. */
  constructor(count: number, timeoutNs: bigint) {
    this.#timeoutNs = timeoutNs;
    this.#answered = new Uint8Array(count);
    this.#reflected = new Uint32Array(count);
    this.#stamps = new BigUint64Array(count);
  }

  /** Number of requests that may still be answered. */
  get waiting(): number {
    return this.#waiting.size;
  }

  sent(sequence: number, at: Moment): void {
    this.#sent = Math.max(this.#sent, sequence + 1);
    // Those that were sent first stand first.
    this.#waiting.delete(sequence);
    this.#waiting.set(sequence, at);
    this.#stamps[sequence] = ntpOf(at.wall);
    this.#expire(at.steady);
  }

  /** Returns what is wrong with a packet that is no reply to what was sent. */
  #faultOf(reply: Reply | Fault): Fault | undefined {
    if (typeof reply === "string") return reply;
    if (reply.sequence >= this.#sent) return "sequence";
    return reply.sent === this.#stamps[reply.sequence] ? undefined : "timestamp";
  }

  /** Counts a reply, and returns its times; undefined if it is the second one to its request, or late, or none. */
  came(reply: Reply | Fault, at: Moment): Times | undefined {
    this.#expire(at.steady);
    const fault = this.#faultOf(reply);
    if (fault !== undefined || typeof reply === "string") {
      if (fault !== undefined) this.#faults[fault]++;
      return undefined;
    }
    const { sequence, reflected } = reply;
    if (reflected !== sequence) this.#counts = true;
    if (reflected > this.#lastReflected) this.#lastReflected = reflected;
    if (this.#answered[sequence] === 1) {
      this.#duplicates++;
      if (reflected !== this.#reflected[sequence]) this.#twiceThere++;
      return undefined;
    }
    this.#answered[sequence] = 1;
    this.#reflected[sequence] = reflected;
    // RFC 4737 §3: a packet that is before one which has come already.
    if (sequence < this.#last) this.#reordered++;
    this.#last = Math.max(this.#last, sequence);
    const sent = this.#waiting.get(sequence);
    if (!sent) {
      this.#late++;
      return undefined;
    }
    this.#waiting.delete(sequence);
    this.#received++;
    this.#clock = reply.clock;
    const inside = reply.left - reply.received;
    const times = {
      sequence, roundTrip: ms(at.steady - sent.steady - inside), there: ms(reply.received - sent.wall),
      back: ms(at.wall - reply.left), inside: ms(inside),
    };
    this.#times.push(times);
    return times;
  }

  /** Gives up requests that have waited too long. */
  #expire(now: bigint): void {
    for (const [sequence, { steady }] of this.#waiting) {
      if (now - steady < this.#timeoutNs) return;
      this.#waiting.delete(sequence);
    }
  }

  totals(): Totals {
    return {
      sent: this.#sent, received: this.#received, lost: this.#sent - this.#received, late: this.#late,
      duplicates: this.#duplicates, reordered: this.#reordered,
      wrong: FAULTS.reduce((sum, fault) => sum + this.#faults[fault], 0), faults: { ...this.#faults },
      losses: this.#losses(),
      times: this.#times.length === 0
        ? undefined
        : {
            roundTrip: this.#spread("roundTrip"), there: this.#spread("there"), back: this.#spread("back"),
            inside: this.#spread("inside"),
          },
      clock: this.#clock,
    };
  }

  /** A reflector that counts its replies has had as many requests as its last reply's number says. */
  #losses(): Losses | undefined {
    if (!this.#counts || this.#sent === this.#received + this.#late) return undefined;
    const upToLast = this.#last + 1;
    const there = upToLast - (this.#lastReflected + 1 - this.#twiceThere);
    const back = upToLast - this.#received - this.#late - there;
    // The session may have been there before, or something else may have been counted.
    return there < 0 || back < 0 ? undefined : { there, back, unknown: this.#sent - upToLast };
  }

  #spread(name: Exclude<keyof Times, "sequence">): Spread {
    const values = this.#times.map((times) => times[name]).sort((a, b) => a - b);
    const at = (fraction: number) => percentile(values, fraction);
    return { min: at(0), median: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
  }
}

function ms(ns: bigint): number {
  return Number(ns) / NS_PER_MS;
}
