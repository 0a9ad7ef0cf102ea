/**
 * Lists echo requests with IP options, and what must come of each, written from RFC 791 §3.1 and RFC 1122 §3.2.1.8: the
 * reply's options, the byte that a Parameter Problem points at, or the reason of the drop.
 */
import type { Drop } from "../../abi/counters.js";
import { addr, HOST, setHeaderChecksum, TARGET } from "../support/packets.js";

export interface OptionVector {
  readonly name: string;
  /** The request's options, filled up with zeros to a multiple of 4. */
  readonly options: readonly number[];
  /** The reply's options, filled up likewise. */
  readonly answer?: readonly number[];
  /** The byte that a Parameter Problem points at, counted from the header's first. */
  readonly problem?: number;
  readonly dropped?: keyof typeof Drop;
  /** Another change to the request. */
  readonly change?: (packet: Uint8Array) => void;
}

/** Unix time in milliseconds at which the vectors are answered, and below it how that stands in a slot. */
export const NOW = Date.UTC(2026, 10, 25) + 0x01020304;
const T = [1, 2, 3, 4];

export const US = [...addr(TARGET)];
const REQUESTER = [...addr(HOST)];
/** Other hosts. */
const A = [192, 0, 2, 7];
const B = [198, 51, 100, 8];
const C = [203, 0, 113, 9];
const EMPTY = [0, 0, 0, 0];
const END = 0;
const NOP = 1;

const recordRoute = (pointer: number, ...slots: number[][]) => [7, 3 + slots.flat().length, pointer, ...slots.flat()];
const timestamp = (flag: number, pointer: number, ...slots: number[][]) => [
  68, 4 + slots.flat().length, pointer, flag, ...slots.flat(),
];
const overflow = (count: number) => count << 4;
const loose = (pointer: number, ...slots: number[][]) => [131, 3 + slots.flat().length, pointer, ...slots.flat()];
const strict = (pointer: number, ...slots: number[][]) => [137, ...loose(pointer, ...slots).slice(1)];
const times = (count: number, ...slot: number[][]) => Array.from({ length: count }, () => slot.flat());

const setTotalLen = (value: number) => (packet: Uint8Array) => {
  packet.set([value >> 8, value & 255], 2);
  setHeaderChecksum(packet);
};
/** Two options of four bytes each make a header of 28 bytes. */
const PLAIN_OPTIONS = [NOP, NOP, NOP, NOP, NOP, NOP, NOP, END];

export const OPTIONS: readonly OptionVector[] = [
  // the header
  { name: "no options", options: [], answer: [] },
  {
    name: "bad header checksum", options: recordRoute(4, EMPTY), dropped: "ip_csum",
    change: (packet) => { packet[10] ^= 1; },
  },
  { name: "TTL 0", options: recordRoute(4, EMPTY), answer: recordRoute(8, US), change: setTtl(0) },
  { name: "TTL 1", options: recordRoute(4, EMPTY), answer: recordRoute(8, US), change: setTtl(1) },
  {
    name: "bad header length: under 5 words", options: PLAIN_OPTIONS, dropped: "ip_inhdr",
    change: (packet) => { packet[0] = 0x44; },
  },
  {
    name: "bad header length: a word less than there is", options: PLAIN_OPTIONS, dropped: "ip_csum",
    change: (packet) => { packet[0]--; },
  },
  {
    name: "bad header length: beyond the packet", options: PLAIN_OPTIONS, dropped: "ip_inhdr",
    change: (packet) => { packet[0] = 0x4f; },
  },
  { name: "bad total length: 0", options: PLAIN_OPTIONS, dropped: "ip_inhdr", change: setTotalLen(0) },
  {
    name: "bad total length: one less than the header", options: PLAIN_OPTIONS, dropped: "ip_inhdr",
    change: setTotalLen(27),
  },
  {
    name: "bad total length: one less than header and ICMP header", options: PLAIN_OPTIONS, dropped: "pkt_too_small",
    change: setTotalLen(35),
  },
  {
    name: "bad total length: one more than was received", options: PLAIN_OPTIONS, dropped: "pkt_too_small",
    change: setTotalLen(45),
  },
  {
    name: "bad ICMP checksum", options: recordRoute(4, EMPTY), dropped: "icmp_csum",
    change: (packet) => { packet[packet.length - 1] ^= 1; },
  },

  // single bytes
  { name: "End", options: [END], answer: [] },
  { name: "NOP", options: [NOP, NOP, NOP, NOP], answer: [] },
  { name: "NOP, then End", options: [NOP, END], answer: [] },
  { name: "forty NOPs", options: Array<number>(40).fill(NOP), answer: [] },
  { name: "bytes after End", options: [END, 7, 7, 4], answer: [] },
  { name: "a Record Route after End", options: [NOP, END, ...recordRoute(4, EMPTY)], answer: [] },
  { name: "a malformed option after End", options: [NOP, END, 7, 0], answer: [] },
  {
    name: "Record Route, then End and other bytes", options: [...recordRoute(4, EMPTY), END, 7, 0, 255, 255],
    answer: recordRoute(8, US),
  },

  // unknown ones, RFC 1122 §3.2.1.8: ignored
  { name: "unknown", options: [30, 4, 0, 0], answer: [] },
  { name: "unknown, to be copied on fragmentation", options: [158, 4, 0, 0], answer: [] },
  { name: "unknown, of length 2", options: [30, 2], answer: [] },
  { name: "unknown, of 40 bytes", options: [30, 40, ...Array<number>(38).fill(7)], answer: [] },
  {
    name: "unknown, between a Record Route and a Timestamp",
    options: [...recordRoute(4, EMPTY), 30, 3, 9, ...timestamp(0, 5, EMPTY)],
    answer: [...recordRoute(8, US), ...timestamp(0, 9, T)],
  },
  { name: "Router Alert", options: [148, 4, 0, 0], answer: [] },
  { name: "Router Alert of length 3", options: [148, 3, 0, 0], problem: 21 },
  { name: "Security", options: [130, 11, ...Array<number>(9).fill(0)], answer: [] },
  { name: "CIPSO", options: [134, 6, 0, 0, 0, 1], answer: [] },
  { name: "Stream Identifier", options: [136, 4, 0, 1], answer: [] },

  // lengths
  ...[
    ["unknown", 30], ["Record Route", 7], ["Timestamp", 68], ["Loose Source Route", 131], ["Strict Source Route", 137],
    ["Router Alert", 148],
  ].flatMap(([name, type]) => [
    { name: `${name}, no length`, options: [NOP, NOP, NOP, Number(type)], problem: 23 },
    { name: `${name}, length 0`, options: [Number(type), 0, 4, 0], problem: 20 },
    { name: `${name}, length 1`, options: [Number(type), 1, 4, 0], problem: 20 },
    { name: `${name}, one longer than the header`, options: [NOP, NOP, Number(type), 7, 4, 0, 0, 0], problem: 22 },
    { name: `${name}, length 255`, options: [Number(type), 255, 4, 0], problem: 20 },
  ]),
  { name: "a length that is right in none but the last of many", options: [NOP, 30, 2, 30, 3, 0, 30, 4], problem: 26 },
  {
    name: "malformed behind a good one, which stays as it was", options: [...recordRoute(4, EMPTY), NOP, 30, 0],
    problem: 28,
  },

  // Record Route
  { name: "Record Route, one", options: recordRoute(4, EMPTY), answer: recordRoute(8, US) },
  {
    name: "Record Route, several, none used", options: recordRoute(4, ...times(9, EMPTY)),
    answer: recordRoute(12, US, US, ...times(7, EMPTY)),
  },
  {
    name: "Record Route, several, room for two", options: recordRoute(12, A, B, EMPTY, EMPTY),
    answer: recordRoute(20, A, B, US, US),
  },
  { name: "Record Route, several, room for one", options: recordRoute(8, A, EMPTY), answer: recordRoute(12, A, US) },
  { name: "Record Route, several, no room", options: recordRoute(12, A, B), answer: recordRoute(12, A, B) },
  {
    name: "Record Route, nine, no room", options: recordRoute(40, ...times(9, A)),
    answer: recordRoute(40, ...times(9, A)),
  },
  { name: "Record Route, no slot at all", options: recordRoute(4), answer: recordRoute(4) },
  { name: "Record Route, length 2", options: [7, 2], problem: 21 },
  { name: "Record Route, pointer 0", options: recordRoute(0, EMPTY), problem: 22 },
  { name: "Record Route, pointer too small by one", options: recordRoute(3, EMPTY), problem: 22 },
  { name: "Record Route, pointer too small by one, no slot", options: recordRoute(3), problem: 22 },
  { name: "Record Route, pointer 255", options: recordRoute(255, EMPTY), answer: recordRoute(255, EMPTY) },
  { name: "Record Route, room for three bytes", options: recordRoute(8, A, [0, 0, 0]), problem: 22 },
  { name: "Record Route, room for one byte", options: recordRoute(7, A), problem: 22 },
  { name: "Record Route, room for us and two bytes", options: recordRoute(4, EMPTY, [0, 0]), dropped: "ip_options" },
  {
    name: "Record Route, element misaligned", options: recordRoute(5, [9], EMPTY, EMPTY),
    answer: recordRoute(13, [9], US, US),
  },
  { name: "Record Route twice", options: [...recordRoute(4, EMPTY), ...recordRoute(4, EMPTY)], problem: 27 },
  { name: "Record Route behind a NOP", options: [NOP, ...recordRoute(4, EMPTY)], answer: recordRoute(8, US) },
  { name: "Record Route, then NOP to the end", options: [...recordRoute(4, EMPTY), NOP], answer: recordRoute(8, US) },

  // Timestamp, flag 0: timestamps alone
  { name: "Timestamp 0, one", options: timestamp(0, 5, EMPTY), answer: timestamp(0, 9, T) },
  {
    name: "Timestamp 0, several, none used", options: timestamp(0, 5, ...times(9, EMPTY)),
    answer: timestamp(0, 13, T, T, ...times(7, EMPTY)),
  },
  { name: "Timestamp 0, several, room for one", options: timestamp(0, 9, A, EMPTY), answer: timestamp(0, 13, A, T) },
  { name: "Timestamp 0, several, no room", options: timestamp(0, 13, A, B), answer: timestamp(overflow(1), 13, A, B) },
  { name: "Timestamp 0, no slot at all", options: timestamp(0, 5), answer: timestamp(overflow(1), 5) },
  {
    name: "Timestamp, the overflow counter stays while there is room", options: timestamp(overflow(3), 9, A, EMPTY),
    answer: timestamp(overflow(3), 13, A, T),
  },
  {
    name: "Timestamp, the overflow counter to 15", options: timestamp(overflow(14), 9, A),
    answer: timestamp(overflow(15), 9, A),
  },
  { name: "Timestamp, the overflow counter full", options: timestamp(overflow(15), 9, A), problem: 23 },
  {
    name: "Timestamp, the overflow counter full but room", options: timestamp(overflow(15), 5, EMPTY),
    answer: timestamp(overflow(15), 9, T),
  },
  { name: "Timestamp, pointer 0", options: timestamp(0, 0, EMPTY), problem: 22 },
  { name: "Timestamp, pointer too small by one", options: timestamp(0, 4, EMPTY), problem: 22 },
  { name: "Timestamp, pointer 255", options: timestamp(0, 255, EMPTY), answer: timestamp(overflow(1), 255, EMPTY) },
  { name: "Timestamp, truncated: length 3", options: [68, 3, 5, 0], problem: 21 },
  { name: "Timestamp, truncated: room for three bytes", options: timestamp(0, 9, A, [0, 0, 0]), problem: 22 },
  {
    name: "Timestamp, truncated: room for us and three bytes", options: timestamp(0, 5, EMPTY, [0, 0, 0]),
    dropped: "ip_options",
  },
  {
    name: "Timestamp, element misaligned", options: timestamp(0, 6, [9], EMPTY, EMPTY),
    answer: timestamp(0, 14, [9], T, T),
  },
  { name: "Timestamp, not on a word", options: [NOP, ...timestamp(0, 5, EMPTY)], answer: timestamp(0, 9, T) },
  { name: "Timestamp twice", options: [...timestamp(0, 5, EMPTY), ...timestamp(0, 5, EMPTY)], problem: 28 },

  // Timestamp, flag 1: addresses and timestamps
  { name: "Timestamp 1, one", options: timestamp(1, 5, EMPTY, EMPTY), answer: timestamp(1, 13, US, T) },
  {
    name: "Timestamp 1, several, none used", options: timestamp(1, 5, ...times(4, EMPTY, EMPTY)),
    answer: timestamp(1, 21, US, T, US, T, ...times(2, EMPTY, EMPTY)),
  },
  {
    name: "Timestamp 1, several, room for one", options: timestamp(1, 13, A, T, EMPTY, EMPTY),
    answer: timestamp(1, 21, A, T, US, T),
  },
  {
    name: "Timestamp 1, several, no room", options: timestamp(1, 21, A, T, B, T),
    answer: timestamp(1 | overflow(1), 21, A, T, B, T),
  },
  { name: "Timestamp 1, overflow full", options: timestamp(1 | overflow(15), 13, A, T), problem: 23 },
  { name: "Timestamp 1, room for an address alone", options: timestamp(1, 13, A, T, EMPTY), problem: 22 },
  {
    name: "Timestamp 1, room for us and an address", options: timestamp(1, 5, EMPTY, EMPTY, EMPTY),
    dropped: "ip_options",
  },
  { name: "Timestamp 1, element misaligned", options: timestamp(1, 9, EMPTY, EMPTY), problem: 22 },

  // Timestamp, flag 3: of addresses that the request names
  { name: "Timestamp 3, ours", options: timestamp(3, 5, US, EMPTY), answer: timestamp(3, 13, US, T) },
  {
    name: "Timestamp 3, ours twice", options: timestamp(3, 5, US, EMPTY, US, EMPTY),
    answer: timestamp(3, 21, US, T, US, T),
  },
  {
    name: "Timestamp 3, another of the prefix", options: timestamp(3, 5, [10, 99, 7, 7], EMPTY),
    answer: timestamp(3, 13, [10, 99, 7, 7], T),
  },
  {
    name: "Timestamp 3, another host's", options: timestamp(3, 5, A, EMPTY, US, EMPTY),
    answer: timestamp(3, 5, A, EMPTY, US, EMPTY),
  },
  {
    name: "Timestamp 3, the host's own", options: timestamp(3, 5, REQUESTER, EMPTY),
    answer: timestamp(3, 5, REQUESTER, EMPTY),
  },
  {
    name: "Timestamp 3, no host's", options: timestamp(3, 5, [224, 0, 0, 1], EMPTY),
    answer: timestamp(3, 5, [224, 0, 0, 1], EMPTY),
  },
  {
    name: "Timestamp 3, one given, ours next, then another's", options: timestamp(3, 13, A, T, US, EMPTY, B, EMPTY),
    answer: timestamp(3, 21, A, T, US, T, B, EMPTY),
  },
  { name: "Timestamp 3, all given", options: timestamp(3, 13, A, T), answer: timestamp(3, 13, A, T) },
  {
    name: "Timestamp 3, all given, an overflow of 15", options: timestamp(3 | overflow(15), 13, A, T),
    answer: timestamp(3 | overflow(15), 13, A, T),
  },
  { name: "Timestamp 3, room for an address alone", options: timestamp(3, 5, US), problem: 22 },
  {
    name: "Timestamp 3, ours, and an address alone", options: timestamp(3, 5, US, EMPTY, US),
    answer: timestamp(3, 13, US, T, US),
  },
  { name: "Timestamp 3, ours, and two bytes", options: timestamp(3, 5, US, EMPTY, [0, 0]), dropped: "ip_options" },

  // Timestamp, flags that mean nothing
  { name: "Timestamp 2", options: timestamp(2, 5, EMPTY, EMPTY), answer: timestamp(2, 5, EMPTY, EMPTY) },
  {
    name: "Timestamp 15, no room", options: timestamp(15, 13, EMPTY, EMPTY),
    answer: timestamp(15 | overflow(1), 13, EMPTY, EMPTY),
  },
  { name: "Timestamp 4, overflow full", options: timestamp(4 | overflow(15), 13, EMPTY, EMPTY), problem: 23 },

  // together: Record Route, Timestamp, as Linux orders them
  {
    name: "Record Route and Timestamp", options: [...recordRoute(4, EMPTY), ...timestamp(0, 5, EMPTY)],
    answer: [...recordRoute(8, US), ...timestamp(0, 9, T)],
  },
  {
    name: "Timestamp and Record Route", options: [...timestamp(1, 5, EMPTY, EMPTY), ...recordRoute(4, EMPTY)],
    answer: [...recordRoute(8, US), ...timestamp(1, 13, US, T)],
  },
  {
    name: "a Record Route that has no room for us but some, behind a good Timestamp",
    options: [...timestamp(0, 5, EMPTY), ...recordRoute(4, EMPTY, [0])], dropped: "ip_options",
  },

  // source routes, RFC 7126 §4.3, §4.4
  { name: "Loose Source Route, at its end", options: loose(8, A), dropped: "ip_options" },
  { name: "Loose Source Route, a hop to go", options: loose(4, A), dropped: "ip_options" },
  { name: "Strict Source Route, at its end", options: strict(12, A, B), dropped: "ip_options" },
  {
    name: "a source route behind a Record Route", options: [...recordRoute(4, EMPTY), ...loose(8, A)],
    dropped: "ip_options",
  },
  { name: "Source Route, length 2", options: [131, 2], problem: 21 },
  { name: "Source Route, pointer too small by one", options: strict(3, A), problem: 22 },
  { name: "Source Route, loose twice", options: [...loose(8, A), ...loose(8, A)], problem: 27 },
  { name: "Source Route, loose and strict", options: [...loose(8, A), ...strict(8, A)], problem: 27 },
  { name: "Source Route, strict and loose", options: [...strict(8, A), NOP, ...loose(8, A)], problem: 28 },
];

export interface RouteVector extends OptionVector {
  /** The reply's destination. */
  readonly via?: readonly number[];
}

/** Echo requests to a host that reverses source routes, RFC 1122 §3.2.1.8 (c). */
export const ROUTES: readonly RouteVector[] = [
  { name: "one hop", options: loose(8, A), answer: loose(4, REQUESTER), via: A },
  { name: "three hops", options: loose(16, A, B, C), answer: loose(4, B, A, REQUESTER), via: C },
  { name: "a strict route stays strict", options: strict(12, A, B), answer: strict(4, A, REQUESTER), via: B },
  { name: "nine hops", options: loose(40, ...times(9, A)), answer: loose(4, ...times(8, A), REQUESTER), via: A },
  { name: "a pointer far beyond the end", options: loose(255, A, B), answer: loose(4, A, REQUESTER), via: B },
  { name: "the requester as the first hop", options: loose(12, REQUESTER, B), answer: loose(4, REQUESTER), via: B },
  { name: "the requester as the only hop", options: loose(8, REQUESTER), answer: [], via: REQUESTER },
  { name: "no hops", options: loose(4), answer: [], via: REQUESTER },
  { name: "three bytes that are no hop", options: loose(7, [0, 0, 0]), answer: [], via: REQUESTER },
  {
    name: "a Record Route and a Timestamp with it",
    options: [...loose(8, A), ...timestamp(0, 5, EMPTY), ...recordRoute(4, EMPTY)],
    answer: [...recordRoute(8, US), ...timestamp(0, 9, T), ...loose(4, REQUESTER)], via: A,
  },
  { name: "a hop to go", options: loose(4, A), dropped: "ip_options" },
  { name: "the last of two hops to go", options: strict(8, A, B), dropped: "ip_options" },
  { name: "a hop to go, ours", options: loose(4, US), dropped: "ip_options" },
  { name: "back by multicast", options: loose(8, [224, 0, 0, 1]), dropped: "ip_options" },
  { name: "back by an address that is answered for", options: loose(8, [10, 99, 7, 7]), dropped: "ip_options" },
  { name: "three bytes to go", options: loose(5, A), problem: 22 },
  { name: "loose and strict", options: [...loose(8, A), ...strict(8, A)], problem: 27 },
];

function setTtl(ttl: number): (packet: Uint8Array) => void {
  return (packet) => {
    packet[8] = ttl;
    setHeaderChecksum(packet);
  };
}
