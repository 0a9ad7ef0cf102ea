/**
 * Links: what becomes of packets on the way to a prefix, and on the way back. Times are in nanoseconds; probabilities
 * and correlations are from 0 to 1. abi/ways.ts has the form in which an engine reads it.
 */
import type { Netem } from "./netem.js";

/** How likely something happens to a packet, and how much that depends on whether it happened to the one before. */
export interface Chance {
  readonly probability: number;
  readonly correlation: number;
}

/** What decides which packets are lost. */
export type LossModel
  = | { readonly kind: "random"; readonly probability: number }
  /** Gilbert-Elliott: the chances to go to the other state, and to be lost in each. */
    | {
      readonly kind: "gilbert"; readonly toBad: number; readonly toGood: number;
      readonly inGood: number; readonly inBad: number;
    }
  /** The four states of Salsano, Ludovici and Ordine. */
    | {
      readonly kind: "states"; readonly p13: number; readonly p31: number; readonly p32: number; readonly p23: number;
      readonly p14: number;
    }
  /** The packets with these numbers, from 1 on: ranges in ascending order. */
    | { readonly kind: "packets"; readonly ranges: readonly (readonly [first: number, last: number])[] };

/** A limit on how many bytes there may be in a time, with a queue. */
export interface Rate {
  /** Time that a byte takes. */
  readonly byteNs: number;
  /** Bytes of each packet besides those of its IP packet. */
  readonly overhead: number;
  /** Longest time that a packet may wait for those before it. */
  readonly queueNs: number;
  /** Most packets that may wait; undefined for any number. */
  readonly queuePackets?: number | undefined;
}

/** Packets leave together, so many or so many bytes at a time; undefined for any number. */
export interface Slots {
  readonly minNs: number;
  readonly maxNs: number;
  readonly packets?: number | undefined;
  readonly bytes?: number | undefined;
}

/** One way of a link. */
export interface Way {
  readonly delayNs: number;
  readonly jitterNs: number;
  /** Quantiles of the jitter's distribution, QUANTILES + 1 of them; undefined for a uniform one from -1 to 1. */
  readonly quantiles?: Float32Array | undefined;
  /** Correlation of a packet's jitter with that of the packet before. */
  readonly correlation: number;
  /** Delays that are added one after the other, each for so long. */
  readonly trace?: { readonly delaysNs: Float64Array; readonly stepNs: number } | undefined;
  /** Whether a packet that is less late may pass those before it. */
  readonly mayPass: boolean;
  readonly loss?: LossModel | undefined;
  /** Whether a packet that can be marked as having met congestion (RFC 3168) is marked where it would be lost. */
  readonly ecn: boolean;
  readonly duplicate?: Chance | undefined;
  readonly corrupt?: Chance | undefined;
  /** That a packet is not delayed. At most one of `gap` packets is. */
  readonly ahead?: Chance & { readonly gap: number } | undefined;
  readonly rate?: Rate | undefined;
  readonly slots?: Slots | undefined;
  /** What decides in place of all of these but slots, ecn and whether the jitter reorders: netem's arithmetic. */
  readonly netem?: Netem | undefined;
}

export interface Link {
  /** Its name if prefixes share it: its rate, its losses and its packets' numbers. Otherwise each has its own. */
  readonly name?: string | undefined;
  readonly in: Way;
  readonly out: Way;
  /** What words of the configuration do nothing, in words. */
  readonly idle?: readonly string[] | undefined;
}

/** A way that does nothing. */
export const CLEAR_WAY: Way = { delayNs: 0, jitterNs: 0, correlation: 0, mayPass: false, ecn: false };
