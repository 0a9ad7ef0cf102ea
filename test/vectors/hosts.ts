/**
 * Lists what any host may be sent: packets of every kind that decides something, each with a name. Linux and pongd both
 * get them.
 */
import type { InterfaceMap } from "../../src/config/types.js";
import {
  addr6, checksum6, destination, FRAGMENT, fragmentHeader, hopByHop, HOST6, icmpv6Message, icmpv6Packet, ipv6Packet,
  raw, ROUTING, routing, shortRouting, TARGET6, type Extension,
  type Icmpv6Options, type Ipv6Options,
} from "../support/ipv6.js";
import {
  addr, bytes, checksum, HOST, icmpPacket, ipv4Packet, pattern, setHeaderChecksum, setIcmpChecksum, TARGET,
  type EchoOptions,
} from "../support/packets.js";
import { byAddress, byIndex, byName, object, probe4, probe6, type ProbeOptions } from "../support/probe.js";
import { DROPS } from "./drops.js";

/** Packets that are sent in this order, and are to be answered as a whole. */
export interface HostCase {
  /** Begins with the case's class, up to the colon. */
  readonly name: string;
  readonly packets: readonly Uint8Array[];
}

const one = (name: string, packet: Uint8Array): HostCase => ({ name, packets: [packet] });

/** Counts identifications, so that none comes twice: the fragments of one case must not meet those of another. */
let identification = 0;
const nextId = () => ++identification;

// ---- IPv4 -----------------------------------------------------------------------------------------------------------

/** Builds an echo request that may be fragmented, so that its reply does not differ in don't-fragment. */
const echo = (options: EchoOptions = {}) => icmpPacket({ fragment: 0, ...options });
const ipv4 = (payload: Uint8Array, options: EchoOptions = {}) => ipv4Packet(payload, { fragment: 0, ...options });
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const zeros = (length: number) => new Uint8Array(length);
/** Fills options up with End of Option List. */
const padded = (options: Uint8Array) => bytes(options, zeros(-options.length & 3));
const echoWith = (...options: (number | Uint8Array)[]) => echo({ options: padded(bytes(...options)) });

/** Changes a packet, and makes its header checksum right again. */
function changed(packet: Uint8Array, change: (packet: Uint8Array) => void): Uint8Array {
  change(packet);
  if (packet.length >= 20 && (packet[0] & 15) >= 5 && (packet[0] & 15) * 4 <= packet.length) setHeaderChecksum(packet);
  return packet;
}

const set16 = (packet: Uint8Array, at: number, value: number) => {
  new DataView(packet.buffer, packet.byteOffset).setUint16(at, value);
};
function corrupt(packet: Uint8Array, at: number): Uint8Array {
  packet[at] ^= 1;
  return packet;
}

const append = (packet: Uint8Array, count: number) => bytes(packet, new Uint8Array(count).fill(0xee));

const NOP = 1;
const RR = 7;
const TS = 68;
const LSRR = 131;
const SSRR = 137;
const A = addr("192.0.2.7");
const B = addr("198.51.100.8");
const T = addr(TARGET);
const STAMP = Uint8Array.of(1, 2, 3, 4);

/** The options in the list at the end of the requirements, and others that RFC 791 leaves to get wrong. */
const OPTIONS: readonly (readonly [name: string, ...options: (number | Uint8Array)[]])[] = [
  ["End", 0, 0, 0, 0],
  ["NOP", NOP, NOP, NOP, NOP],
  ["NOP then End", NOP, 0, 0, 0],
  ["forty NOPs", new Uint8Array(40).fill(NOP)],
  ["forty bytes of End", zeros(40)],
  ["bytes after End", 0, 7, 7, 4],
  ["a Record Route after End", NOP, NOP, NOP, 0, RR, 7, 4, zeros(4)],
  ["a malformed option after End", NOP, 0, RR, 0],
  ["unknown, number 30 of class 0", 30, 4, 0, 0],
  ["unknown, number 30, copied", 0x9e, 4, 0, 0],
  ["unknown, number 30 of class 2", 0x5e, 4, 0, 0],
  ["unknown of length 2", 30, 2],
  ["unknown of length 40", 30, 40, pattern(38)],
  ["unknown, no length", NOP, NOP, NOP, 30],
  ["unknown, length 0", 30, 0, 0, 0],
  ["unknown, length 1", 30, 1, 0, 0],
  ["unknown, one longer than the header", 30, 5, 0, 0],
  ["unknown, length 255", 30, 255, 0, 0],
  ["unknown after a good one", RR, 7, 4, zeros(4), 30, 4, 0, 0],
  ["malformed after a good one", RR, 7, 4, zeros(4), 30, 0],
  ["malformed after a source route", LSRR, 7, 8, A, 30, 0],
  ["Router Alert", 148, 4, 0, 0],
  ["Router Alert, value 1", 148, 4, 0, 1],
  ["Router Alert of length 3", 148, 3, 0],
  ["Security", 130, 11, zeros(9)],
  ["CIPSO", 134, 6, 0, 0, 0, 1],
  ["CIPSO with a tag", 134, 10, 0, 0, 0, 1, 1, 4, 0, 1],
  ["Stream Identifier", 136, 4, 0, 1],
  ["Traceroute", 82, 12, zeros(10)],
  ["Quick-Start", 25, 8, zeros(6)],

  ["Record Route, no length", NOP, NOP, NOP, RR],
  ["Record Route, length 0", RR, 0, 4, 0],
  ["Record Route, length 1", RR, 1, 4, 0],
  ["Record Route, length 2", RR, 2],
  ["Record Route, length 3, full from the start", RR, 3, 4],
  ["Record Route, length 3, pointer 3", RR, 3, 3],
  ["Record Route, one longer than the header", RR, 8, 4, zeros(4)],
  ["Record Route, one slot", RR, 7, 4, zeros(4)],
  ["Record Route, one slot, used", RR, 7, 8, A],
  ["Record Route, two slots, one used", RR, 11, 8, A, zeros(4)],
  ["Record Route, nine slots, none used", RR, 39, 4, zeros(36)],
  ["Record Route, nine slots, eight used", RR, 39, 36, pattern(32), zeros(4)],
  ["Record Route, nine slots, all used", RR, 39, 40, pattern(36)],
  ["Record Route, pointer 0", RR, 7, 0, zeros(4)],
  ["Record Route, pointer 3", RR, 7, 3, zeros(4)],
  ["Record Route, pointer 5", RR, 7, 5, zeros(4)],
  ["Record Route, pointer 5 of two slots", RR, 11, 5, zeros(8)],
  ["Record Route, pointer 7", RR, 7, 7, zeros(4)],
  ["Record Route, pointer 9, beyond the end", RR, 7, 9, zeros(4)],
  ["Record Route, pointer 255", RR, 7, 255, zeros(4)],
  ["Record Route, three bytes of room", RR, 10, 8, A, zeros(3)],
  ["Record Route, six bytes of data", RR, 9, 4, zeros(6)],
  ["Record Route twice", RR, 7, 4, zeros(4), RR, 7, 4, zeros(4)],
  ["Record Route after a NOP", NOP, RR, 7, 4, zeros(4)],
  ["Record Route, then NOP to the end", RR, 7, 4, zeros(4), NOP],
  ["Record Route and Timestamp", RR, 7, 4, zeros(4), TS, 8, 5, 0, zeros(4)],
  ["Timestamp and Record Route", TS, 12, 5, 1, zeros(8), RR, 7, 4, zeros(4)],
  ["Record Route and Router Alert", RR, 7, 4, zeros(4), NOP, 148, 4, 0, 0],

  ["Timestamp, no length", NOP, NOP, NOP, TS],
  ["Timestamp, length 0", TS, 0, 5, 0],
  ["Timestamp, length 1", TS, 1, 5, 0],
  ["Timestamp, length 3", TS, 3, 5, 0],
  ["Timestamp, length 4, full from the start", TS, 4, 5, 0],
  ["Timestamp, length 4, overflow 15", TS, 4, 5, 0xf0],
  ["Timestamp, one longer than the header", TS, 9, 5, 0, zeros(4)],
  ["Timestamp 0, one slot", TS, 8, 5, 0, zeros(4)],
  ["Timestamp 0, one slot, used", TS, 8, 9, 0, STAMP],
  ["Timestamp 0, one slot, used, overflow 14", TS, 8, 9, 0xe0, STAMP],
  ["Timestamp 0, one slot, used, overflow 15", TS, 8, 9, 0xf0, STAMP],
  ["Timestamp 0, two slots, one used", TS, 12, 9, 0, STAMP, zeros(4)],
  ["Timestamp 0, two slots, one used, overflow 3", TS, 12, 9, 0x30, STAMP, zeros(4)],
  ["Timestamp 0, nine slots, none used", TS, 40, 5, 0, zeros(36)],
  ["Timestamp 0, nine slots, eight used", TS, 40, 37, 0, pattern(32), zeros(4)],
  ["Timestamp 0, nine slots, all used", TS, 40, 41, 0, pattern(36)],
  ["Timestamp 0, pointer 0", TS, 8, 0, 0, zeros(4)],
  ["Timestamp 0, pointer 1", TS, 8, 1, 0, zeros(4)],
  ["Timestamp 0, pointer 4", TS, 8, 4, 0, zeros(4)],
  ["Timestamp 0, pointer 6", TS, 8, 6, 0, zeros(4)],
  ["Timestamp 0, pointer 6 of two slots", TS, 12, 6, 0, zeros(8)],
  ["Timestamp 0, pointer 8", TS, 8, 8, 0, zeros(4)],
  ["Timestamp 0, pointer 10, beyond the end", TS, 8, 10, 0, zeros(4)],
  ["Timestamp 0, pointer 255", TS, 8, 255, 0, zeros(4)],
  ["Timestamp 0, three bytes of room", TS, 11, 9, 0, STAMP, zeros(3)],
  ["Timestamp 0, not on a word", NOP, TS, 8, 5, 0, zeros(4)],
  ["Timestamp 0 twice", TS, 8, 5, 0, zeros(4), TS, 8, 5, 0, zeros(4)],
  ["Timestamp 1, one slot", TS, 12, 5, 1, zeros(8)],
  ["Timestamp 1, one slot, used", TS, 12, 13, 1, A, STAMP],
  ["Timestamp 1, one slot, used, overflow 15", TS, 12, 13, 0xf1, A, STAMP],
  ["Timestamp 1, two slots, one used", TS, 20, 13, 1, A, STAMP, zeros(8)],
  ["Timestamp 1, four slots, none used", TS, 36, 5, 1, zeros(32)],
  ["Timestamp 1, four slots, three used", TS, 36, 29, 1, pattern(24), zeros(8)],
  ["Timestamp 1, four slots, all used", TS, 36, 37, 1, pattern(32)],
  ["Timestamp 1, four bytes of room", TS, 8, 5, 1, zeros(4)],
  ["Timestamp 1, seven bytes of room", TS, 11, 5, 1, zeros(7)],
  ["Timestamp 1, four bytes of room after one slot", TS, 16, 13, 1, A, STAMP, zeros(4)],
  ["Timestamp 1, pointer 4", TS, 12, 4, 1, zeros(8)],
  ["Timestamp 1, pointer 9 within the slot", TS, 12, 9, 1, zeros(8)],
  ["Timestamp 2", TS, 12, 5, 2, zeros(8)],
  ["Timestamp 2, full", TS, 12, 13, 2, zeros(8)],
  ["Timestamp 2, full, overflow 15", TS, 12, 13, 0xf2, zeros(8)],
  ["Timestamp 4", TS, 12, 5, 4, zeros(8)],
  ["Timestamp 15", TS, 12, 5, 15, zeros(8)],
  ["Timestamp 3, our address", TS, 12, 5, 3, T, zeros(4)],
  ["Timestamp 3, another host's address", TS, 12, 5, 3, A, zeros(4)],
  ["Timestamp 3, our address second", TS, 20, 5, 3, A, zeros(4), T, zeros(4)],
  ["Timestamp 3, one filled in, ours next", TS, 20, 13, 3, A, STAMP, T, zeros(4)],
  ["Timestamp 3, ours twice", TS, 20, 5, 3, T, zeros(4), T, zeros(4)],
  ["Timestamp 3, another address of the prefix", TS, 12, 5, 3, addr("10.99.7.7"), zeros(4)],
  ["Timestamp 3, 0.0.0.0", TS, 12, 5, 3, zeros(4), zeros(4)],
  ["Timestamp 3, multicast", TS, 12, 5, 3, addr("224.0.0.1"), zeros(4)],
  ["Timestamp 3, all filled in", TS, 12, 13, 3, A, STAMP],
  ["Timestamp 3, all filled in, overflow 15", TS, 12, 13, 0xf3, A, STAMP],
  ["Timestamp 3, four bytes of room", TS, 8, 5, 3, T],

  ["Loose Source Route, one address, at its end", LSRR, 7, 8, A],
  ["Loose Source Route, three addresses, at its end", LSRR, 15, 16, A, B, addr("10.99.7.7")],
  ["Loose Source Route, one address to go", LSRR, 7, 4, A],
  ["Loose Source Route, to go: our own address", LSRR, 7, 4, T],
  ["Loose Source Route, to go: another address of the prefix", LSRR, 7, 4, addr("10.99.7.7")],
  ["Loose Source Route, empty", LSRR, 3, 4],
  ["Loose Source Route, length 2", LSRR, 2],
  ["Loose Source Route, pointer 3", LSRR, 7, 3, A],
  ["Loose Source Route, pointer 5", LSRR, 7, 5, A],
  ["Loose Source Route, pointer 255", LSRR, 7, 255, A],
  ["Loose Source Route, length 6", LSRR, 6, 4, zeros(3)],
  ["Loose Source Route twice", LSRR, 7, 8, A, LSRR, 7, 8, A],
  ["Strict Source Route, one address, at its end", SSRR, 7, 8, A],
  ["Strict Source Route, two addresses, at its end", SSRR, 11, 12, A, B],
  ["Strict Source Route, one address to go", SSRR, 7, 4, A],
  ["Strict Source Route, length 2", SSRR, 2],
  ["Strict and Loose Source Route", SSRR, 7, 8, A, LSRR, 7, 8, A],
  ["Loose Source Route and Record Route", LSRR, 7, 8, A, RR, 7, 4, zeros(4)],
];

/** Lengths of echo data: the shortest, those about the MTU, and others up to the longest. */
const LENGTHS = [
  ...range(0, 300), ...range(1400, 1600), 1999, 2000, 2944, 2951, 2952, 2953, 4000, 4096, 8191, 9000, 16384, 32767,
  32768, 40001, 65499, 65500, 65506, 65507,
];
const TOS = [0, 1, 2, 3, 4, 8, 16, 0x1c, 0x20, 0x2e, 0xb8, 0xc0, 0xe0, 0xfc, 0xfd, 0xfe, 0xff];
const CODES = [0, 1, 4, 255];
const MARTIANS = [
  "0.0.0.0", "0.0.0.1", "0.1.2.3", "10.99.1.1", "10.99.2.2", "10.99.0.0", "10.99.255.255", "127.0.0.1",
  "127.255.255.255", "169.254.1.1", "192.0.2.255", "192.88.99.1",
  "198.18.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "254.1.2.3", "255.255.255.254", "255.255.255.255",
];

const ipv4Cases = (): HostCase[] => [
  ...DROPS.map(({ name, packet }) => one(`drops: ${name}`, identified(packet))),

  one("IPv4 echo: plain", echo()),
  one("IPv4 echo: C-3, all zero", echo({ identifier: 0, sequence: 0, data: zeros(0) })),
  one("IPv4 echo: C-3, zero data", echo({ identifier: 0, sequence: 0, data: zeros(56) })),
  one("IPv4 echo: the reply's checksum is zero", echo({ identifier: 0xffff, sequence: 0, data: zeros(0) })),
  ...[0, 1, 2, 63, 64, 128, 255].map((ttl) => one(`IPv4 echo: TTL ${ttl}`, echo({ ttl }))),
  ...TOS.map((tos) => one(`IPv4 echo: type of service ${tos}`, echo({ tos }))),
  ...[0, 1, 0xbeef, 0xffff].map(
    (id) => one(`IPv4 echo: don't fragment, identification ${id}`, echo({ fragment: 0x4000, id })),
  ),
  one("IPv4 echo: the reserved flag", echo({ fragment: 0x8000 })),
  one("IPv4 echo: the reserved flag and don't fragment", echo({ fragment: 0xc000 })),
  ...[1, 2, 8, 128, 255].map((code) => one(`IPv4 echo: code ${code}`, echo({ code }))),
  ...[1, 3, 4, 18, 100].map((count) => one(`IPv4 echo: ${count} bytes of padding`, append(echo(), count))),
  one("IPv4 echo: padding after the shortest message", append(echo({ data: zeros(0) }), 18)),
  one("IPv4 echo: wrong header checksum", corrupt(echo(), 10)),
  one("IPv4 echo: wrong ICMP checksum", corrupt(echo(), 22)),
  one("IPv4 echo: wrong ICMP checksum by its last byte", corrupt(echo({ data: pattern(3) }), 30)),
  one("IPv4 echo: ICMP checksum zero", changed(echo(), (p) => { set16(p, 22, 0); })),
  ...MARTIANS.map((src) => one(`IPv4 sources: ${src}`, echo({ src }))),
  ...[
    "0.0.0.0", "10.98.255.255", "10.99.0.0", "10.99.255.255", "10.100.0.0", "127.0.0.1", "192.0.2.99", "224.0.0.1",
    "224.0.0.251", "239.1.1.1", "240.0.0.1", "255.255.255.255",
  ].map(
    (dst) => one(`IPv4 destinations: ${dst}`, echo({ dst, src: "192.0.2.1" }))),
  ...LENGTHS.map((length) => {
    const packets = fragmented(echo({ data: pattern(length), id: nextId() }));
    return { name: `IPv4 ${packets.length === 1 ? "lengths" : "fragments"}: ${length} bytes of echo data`, packets };
  }),
  ...range(0, 8).map(
    (length) => one(`IPv4 ICMP: a message of ${length} bytes`, ipv4(checksummed(bytes(8, zeros(7)).slice(0, length)))),
  ),
  ...range(0, 24).map((length) => one(
    `IPv4 ICMP: a timestamp message of ${length} bytes`, ipv4(checksummed(bytes(13, zeros(23)).slice(0, length))),
  )),
  one("IPv4 ICMP: a timestamp message with code 1", echo({ type: 13, code: 1, data: zeros(12) })),
  one("IPv4 ICMP: a timestamp message with 60 bytes behind it", echo({ type: 13, data: pattern(72) })),
  one("IPv4 ICMP: a timestamp message, wrong checksum", corrupt(echo({ type: 13, data: zeros(12) }), 30)),
  one("IPv4 ICMP: a timestamp message from 0.0.0.0", echo({ type: 13, data: zeros(12), src: "0.0.0.0" })),
  ...range(0, 256).flatMap(
    (type) => CODES.map((code) => one(`IPv4 ICMP: type ${type}, code ${code}`, echo({ type, code, sequence: type }))),
  ),
  one(
    "IPv4 ICMP: an extended echo request for an interface by index",
    echo({ type: 42, sequence: 0x0101, data: bytes(0x20, 0, 0, 0, 0, 8, 3, 2, 0, 0, 0, 1) }),
  ),

  one("IPv4 header: header length 4 words", changed(echo(), (p) => { p[0] = 0x44; })),
  one(
    "IPv4 header: header length 15 words, shorter packet", changed(echo({ data: zeros(0) }), (p) => { p[0] = 0x4f; }),
  ),
  ...[0, 19, 20, 27, 28, 83, 85, 65535].map(
    (length) => one(`IPv4 header: total length ${length} of 84`, changed(echo(), (p) => { set16(p, 2, length); })),
  ),
  ...[0, 1, 2, 3, 5, 7, 8, 15].map(
    (version) => one(`IPv4 header: version ${version}`, changed(echo(), (p) => { p[0] = version << 4 | 5; })),
  ),
  ...range(1, 29).map(
    (length) => one(`IPv4 header: cut to ${length} bytes`, echo({ data: zeros(0) }).slice(0, length)),
  ),

  ...OPTIONS.map(([name, ...options]) => one(`IPv4 options: ${name}`, echoWith(...options))),
  one(
    "IPv4 options: Record Route in a timestamp message",
    echo({ type: 13, data: zeros(12), options: padded(bytes(RR, 7, 4, zeros(4))) }),
  ),
  one(
    "IPv4 options: Timestamp in a timestamp message",
    echo({ type: 13, data: zeros(12), options: padded(bytes(TS, 12, 5, 1, zeros(8))) }),
  ),
  one(
    "IPv4 options: an echo request's first bytes, by a header length of 6 words",
    changed(echo(), (p) => { p[0] = 0x46; }),
  ),
  one("IPv4 options: Record Route, wrong header checksum", corrupt(echoWith(RR, 7, 4, zeros(4)), 10)),
  one("IPv4 options: Record Route, from 0.0.0.0", echo({ src: "0.0.0.0", options: padded(bytes(RR, 7, 4, zeros(4))) })),
  one("IPv4 options: Record Route in a wrong ICMP checksum", corrupt(echoWith(RR, 7, 4, zeros(4)), 40)),
  one("IPv4 options: malformed in an echo reply", echo({ type: 0, options: bytes(30, 0, 0, 0) })),
  one("IPv4 options: malformed in an ICMP error", echo({ type: 3, options: bytes(30, 0, 0, 0) })),
  one("IPv4 options: malformed in UDP", ipv4(udp(), { protocol: 17, options: bytes(30, 0, 0, 0) })),
  one("IPv4 options: malformed, 1400 bytes", echo({ data: pattern(1400), options: bytes(RR, 0, 0, 0) })),
  one("IPv4 options: malformed, from multicast", echo({ src: "224.0.0.1", options: bytes(RR, 0, 0, 0) })),
  one("IPv4 options: malformed, type of service 255", echo({ tos: 255, options: bytes(RR, 0, 0, 0) })),
  one("IPv4 options: malformed, TTL 1", echo({ ttl: 1, options: bytes(RR, 0, 0, 0) })),
  one(
    "IPv4 options: Record Route, 1432 bytes of data to the MTU",
    echo({ data: pattern(1432), options: padded(bytes(RR, 39, 4, zeros(36))) }),
  ),

  ...range(0, 256).map((protocol) => one(`IPv4 protocols: ${protocol}`, ipv4(pattern(40), { protocol }))),
  ...[0, 1, 7, 8, 9, 500, 528, 548, 549, 556, 557, 1400].map(
    (length) => one(`IPv4 protocols: 253 with ${length} bytes`, ipv4(pattern(length), { protocol: 253 })),
  ),
  ...MARTIANS.map((src) => one(`IPv4 protocols: 253 from ${src}`, ipv4(pattern(40), { protocol: 253, src }))),
  ...["224.0.0.1", "255.255.255.255", "10.98.0.1", "10.99.255.255"].map(
    (dst) => one(`IPv4 protocols: 253 to ${dst}`, ipv4(pattern(40), { protocol: 253, dst })),
  ),
  one("IPv4 protocols: 253 with type of service 255", ipv4(pattern(40), { protocol: 253, tos: 0xff })),
  one("IPv4 protocols: 253 with don't fragment", ipv4(pattern(40), { protocol: 253, fragment: 0x4000 })),
  one("IPv4 protocols: 253 with TTL 1", ipv4(pattern(40), { protocol: 253, ttl: 1 })),
  one("IPv4 protocols: 253 with padding", append(ipv4(pattern(40), { protocol: 253 }), 10)),
  one(
    "IPv4 protocols: 253 with a Record Route",
    ipv4(pattern(40), { protocol: 253, options: padded(bytes(RR, 7, 4, zeros(4))) }),
  ),
  one(
    "IPv4 protocols: 253 with a Record Route, room for one and a half",
    ipv4(pattern(40), { protocol: 253, options: padded(bytes(RR, 9, 4, zeros(6))) }),
  ),
  one("IPv4 protocols: 253 with an unknown option", ipv4(pattern(40), { protocol: 253, options: bytes(30, 4, 0, 0) })),
  one(
    "IPv4 protocols: 253 with a full Timestamp, overflow 3",
    ipv4(pattern(40), { protocol: 253, options: bytes(TS, 8, 9, 0x30, STAMP) }),
  ),
  one("IPv4 protocols: 253, wrong header checksum", corrupt(ipv4(pattern(40), { protocol: 253 }), 10)),
  {
    name: "IPv4 fragments: of protocol 253", packets: fragmented(ipv4(pattern(3000), { protocol: 253, id: nextId() })),
  },
  one(
    "IPv4 fragments: of protocol 253, a later one alone",
    ipv4(pattern(40), { protocol: 253, fragment: 5, id: nextId() }),
  ),

  ...[["right", undefined], ["zero", 0], ["wrong", 0x1234]].map(([what, value]) => one(
    `IPv4 UDP: ${String(what)} checksum`, ipv4(udp({ checksum: value as number | undefined }), { protocol: 17 }),
  )),
  ...[0, 1, 500, 520, 521, 1400].map(
    (length) => one(`IPv4 UDP: ${length} bytes`, ipv4(udp({ data: pattern(length) }), { protocol: 17 })),
  ),
  ...[0, 7, 8, 9, 23, 25, 65535].map(
    (length) => one(`IPv4 UDP: length field ${length} of 24`, ipv4(udp({ length }), { protocol: 17 })),
  ),
  ...range(0, 8).map(
    (length) => one(`IPv4 UDP: ${length} bytes of header`, ipv4(udp().slice(0, length), { protocol: 17 })),
  ),
  ...[0, 7, 53, 123, 862, 33434, 65535].map(
    (port) => one(`IPv4 UDP: to port ${port}`, ipv4(udp({ to: port }), { protocol: 17 })),
  ),
  one("IPv4 UDP: from port 0", ipv4(udp({ from: 0 }), { protocol: 17 })),
  one("IPv4 UDP: to multicast", ipv4(udp({ dst: "224.0.0.1" }), { protocol: 17, dst: "224.0.0.1" })),
  one("IPv4 UDP: to broadcast", ipv4(udp({ dst: "255.255.255.255" }), { protocol: 17, dst: "255.255.255.255" })),
  ...MARTIANS.map((src) => one(`IPv4 UDP: from ${src}`, ipv4(udp({ src }), { protocol: 17, src }))),
  {
    name: "IPv4 fragments: of UDP",
    packets: fragmented(ipv4(udp({ data: pattern(3000) }), { protocol: 17, id: nextId() })),
  },
  one("IPv4 UDP: with padding", append(ipv4(udp(), { protocol: 17 }), 4)),
  one(
    "IPv4 UDP: type of service 255, TTL 1, don't fragment",
    ipv4(udp(), { protocol: 17, tos: 255, ttl: 1, fragment: 0x4000 }),
  ),
  one("IPv4 UDP: with a Record Route", ipv4(udp(), { protocol: 17, options: padded(bytes(RR, 7, 4, zeros(4))) })),

  ...TCP.map(([name, segment]) => one(`IPv4 TCP: ${name}`, ipv4(tcp(segment), { protocol: 6 }))),
  one("IPv4 TCP: SYN from multicast", ipv4(tcp({ flags: SYN, src: "224.0.0.1" }), { protocol: 6, src: "224.0.0.1" })),
  one("IPv4 TCP: SYN to multicast", ipv4(tcp({ flags: SYN, dst: "224.0.0.1" }), { protocol: 6, dst: "224.0.0.1" })),
  ...ipv4Fragments(),
];

/** Gives a fragment of DROPS an identification of its own. */
function identified(packet: Uint8Array): Uint8Array {
  if (packet.length < 20 || packet[0] >> 4 !== 4 || ((packet[6] & 0x3f) | packet[7]) === 0) return packet;
  return changed(packet.slice(), (p) => { set16(p, 4, nextId()); });
}

function checksummed(msg: Uint8Array): Uint8Array {
  if (msg.length >= 4) setIcmpChecksum(msg);
  return msg;
}

/** Returns a fragment with the bytes from `from` to `to` of an IPv4 packet's payload. */
function piece(
  packet: Uint8Array, from: number, to: number, more: boolean | number = to < packet.length - (packet[0] & 15) * 4,
): Uint8Array {
  const headerLen = (packet[0] & 15) * 4;
  return changed(bytes(packet.subarray(0, headerLen), packet.subarray(headerLen + from, headerLen + to)), (p) => {
    set16(p, 2, p.length);
    set16(p, 6, (packet[6] << 8 & 0xc000) | (more ? 0x2000 : 0) | from >> 3);
  });
}

function fragmented(packet: Uint8Array, size = 1480): Uint8Array[] {
  const length = packet.length - (packet[0] & 15) * 4;
  if (packet.length <= 1500 && length <= size) return [packet];
  return Array.from(
    { length: Math.ceil(length / size) }, (_, i) => piece(packet, i * size, Math.min((i + 1) * size, length)),
  );
}

/** Overwrites a fragment's bytes with others. */
function other(fragment: Uint8Array): Uint8Array {
  fragment.fill(0x5a, (fragment[0] & 15) * 4);
  return fragment;
}

function ipv4Fragments(): HostCase[] {
  const datagram = (options: EchoOptions = {}) => echo({ data: pattern(2992), id: nextId(), ...options });
  const name = (text: string) => `IPv4 fragments: ${text}`;
  const three = (
    text: string, order: (parts: Uint8Array[], packet: Uint8Array) => Uint8Array[], options: EchoOptions = {},
  ) => {
    const packet = datagram(options);
    return {
      name: name(text),
      packets: order([piece(packet, 0, 1000), piece(packet, 1000, 2000), piece(packet, 2000, 3000)], packet),
    };
  };
  return [
    ...[[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]].map(
      (order) => three(`three, in the order ${order.join(" ")}`, (parts) => order.map((i) => parts[i])),
    ),
    three("three of 8 bytes and a rest", (_, packet) => [
      piece(packet, 0, 8), piece(packet, 8, 16), piece(packet, 16, 1000), piece(packet, 1000, 2000),
      piece(packet, 2000, 3000),
    ]),
    three("the first missing", ([, b, c]) => [b, c]),
    three("the middle missing", ([a, , c]) => [a, c]),
    three("the last missing", ([a, b]) => [a, b]),
    ...[0, 1, 2].flatMap((i) => [0, 1, 2].filter((at) => at >= i).map((at) => three(
      `part ${i} again after part ${at}`, (parts) => parts.flatMap((part, k) => k === at ? [part, parts[i]] : [part]),
    ))),
    three("a part again after all is complete, and the rest again", ([a, b, c]) => [a, b, c, a, b, c]),
    three("the same range with other bytes", ([a, b, c]) => [a, b, other(b.slice()), c]),
    three("an overlap at the head of a part", ([a, b, c], packet) => [a, piece(packet, 992, 2000), b, c]),
    three("an overlap at the tail of a part", ([a, , c], packet) => [a, piece(packet, 1000, 2008), c]),
    three("a part within another", ([a, b, c], packet) => [a, b, piece(packet, 1096, 1496), c]),
    three("a part around another", ([a, b, c], packet) => [b, piece(packet, 0, 1400), a, c]),
    three("the first part again, shorter", ([a, b, c], packet) => [a, piece(packet, 0, 800), b, c]),
    three("a part that begins where another does, longer", ([a, b, c], packet) => [b, piece(packet, 1000, 2200), a, c]),
    three("an overlap, then all of it again", ([a, b, c], packet) => [a, piece(packet, 992, 2000), a, b, c]),
    three("two ends: the second one earlier", ([a, b, c], packet) => [c, piece(packet, 1000, 2000, 0), a, b]),
    three("two ends: the second one later", ([a, b, c], packet) => [piece(packet, 1000, 2000, 0), c, a, b]),
    three(
      "more beyond the end", ([a, b, c]) => [c, changed(c.slice(), (p) => { set16(p, 6, 0x2000 | 3000 >> 3); }), a, b],
    ),
    three("an empty part in the middle", ([a, b, c], packet) => [a, piece(packet, 1000, 1000, 1), b, c]),
    three("an empty first part", ([a, b, c], packet) => [piece(packet, 0, 0, 1), a, b, c]),
    three("an empty last part", ([a, b], packet) => [a, b, piece(packet, 2000, 2000, 0)]),
    three(
      "a length of a part with more that is no multiple of 8", ([a, , c], packet) => [a, piece(packet, 1000, 2005), c],
    ),
    three("a first part of 4 bytes with more", ([a, b, c], packet) => [piece(packet, 0, 4), a, b, c]),
    three("don't fragment on every part", (parts) => parts, { fragment: 0x4000 }),
    three("the reserved flag on every part", (parts) => parts, { fragment: 0x8000 }),
    three("padding behind every part", (parts) => parts.map((part) => append(part, 6))),
    three("a part of another protocol", ([a, b, c]) => [a, changed(b, (p) => { p[9] = 17; }), c]),
    three("a part from another source", ([a, b, c]) => [a, changed(b, (p) => { p.set(addr("192.0.2.1"), 12); }), c]),
    three("a part to another destination", ([a, b, c]) => [a, changed(b, (p) => { p.set(addr("10.99.1.2"), 16); }), c]),
    three("a part with another identification", ([a, b, c]) => [a, changed(b, (p) => { set16(p, 4, nextId()); }), c]),
    three("a part with a wrong header checksum", ([a, b, c]) => [a, corrupt(b, 10), c]),
    three("that part, then the right one", ([a, b, c]) => [a, corrupt(b.slice(), 10), b, c]),
    three("wrong ICMP checksum", ([a, b, c]) => [a, corrupt(b, 500), c]),
    three("from a multicast address", (parts) => parts, { src: "224.0.0.1" }),
    three("an echo reply", (parts) => parts, { type: 0 }),
    three("a timestamp request", (parts) => parts, { type: 13 }),
    ...[
      ["TTL", 8, [1, 0, 200]], ["type of service", 1, [0, 0x10, 0xfc]], ["ECN", 1, [1, 2, 3]], ["ECN", 1, [2, 2, 3]],
      ["ECN", 1, [2, 2, 1]], ["ECN", 1, [0, 2, 2]], ["ECN", 1, [0, 3, 0]], ["ECN", 1, [3, 3, 3]],
    ].map(
      ([what, at, values]) => three(
        `${String(what)} ${String(values)}`,
        (parts) => parts.map((part, i) => changed(part, (p) => { p[at as number] = (values as number[])[i]; })),
      )),
    three("a Record Route on every part", (parts) => parts, { options: padded(bytes(RR, 7, 4, zeros(4))) }),
    three("a Record Route on the first part alone", (_, packet) => {
      const first = piece(packet, 0, 1000);
      const plain = bytes(packet.subarray(0, 20), packet.subarray(28));
      plain[0] = 0x45;
      return [first, piece(plain, 1000, 2000), piece(plain, 2000, 3000)];
    }, { options: padded(bytes(RR, 7, 4, zeros(4))) }),
    three("a malformed option on the first part", ([a, b, c]) => [a, b, c], { options: bytes(30, 0, 0, 0) }),
    three("two datagrams, interleaved", ([a, b, c]) => {
      const packet = datagram({ identifier: 0x4321 });
      return [a, piece(packet, 0, 1000), b, piece(packet, 1000, 2000), piece(packet, 2000, 3000), c];
    }),
    three(
      "beyond 65535 bytes",
      ([a], packet) => [a, changed(piece(packet, 1000, 1400, 0), (p) => { set16(p, 6, 0x1fff); })],
    ),
    three(
      "a last part at the highest offset that fits",
      ([a], packet) => [a, changed(piece(packet, 1000, 1007, 0), (p) => { set16(p, 6, 0x1ffc); })],
    ),
    ...["UDP", "TCP", "253"].map(
      (what, i) => three(`of ${what}, the first part alone`, ([a]) => [a], { protocol: [17, 6, 253][i] }),
    ),
    { name: name("a datagram of one part with more, the rest never"), packets: [piece(datagram(), 0, 8)] },
    { name: name("400 parts of 8 bytes"), packets: fragmented(echo({ data: pattern(3192), id: nextId() }), 8) },
    {
      name: name("parts of 8 bytes in reverse order"),
      packets: fragmented(echo({ data: pattern(792), id: nextId() }), 8).reverse(),
    },
    {
      name: name("65,507 bytes in reverse order"),
      packets: fragmented(echo({ data: pattern(65507), id: nextId() })).reverse(),
    },
    {
      name: name("every second part of 65,507 bytes first"),
      packets: alternating(fragmented(echo({ data: pattern(65507), id: nextId() }))),
    },
    {
      name: name("a whole small packet in two parts"), packets: fragmented(echo({ data: pattern(8), id: nextId() }), 8),
    },
  ];
}

function alternating<T>(parts: readonly T[]): T[] {
  return [...parts.filter((_, i) => i % 2 === 0), ...parts.filter((_, i) => i % 2 === 1)];
}

// ---- UDP and TCP, for both families ---------------------------------------------------------------------------------

interface Segment {
  src?: string;
  dst?: string;
  from?: number;
  to?: number;
  data?: Uint8Array;
  /** The checksum, right or wrong; computed where it is not given. */
  checksum?: number | undefined;
}

/** Computes the checksum over the pseudo-header and a segment whose field is 0. */
function transport(segment: Uint8Array, protocol: number, { src, dst }: Segment, six: boolean): number {
  if (six) return checksum6(segment, protocol, { src: src ?? HOST6, dst: dst ?? TARGET6 });
  return checksum(
    bytes(addr(src ?? HOST), addr(dst ?? TARGET), 0, protocol, segment.length >> 8, segment.length & 255, segment),
  );
}

function udp(options: Segment & { length?: number } = {}, six = false): Uint8Array {
  const { from = 40000, to = 33434, data = pattern(16) } = options;
  const segment = bytes(zeros(8), data);
  set16(segment, 0, from);
  set16(segment, 2, to);
  const { length = segment.length } = options;
  set16(segment, 4, length);
  // The checksum covers what the length covers, where it can.
  const covered = length < 8 ? segment : segment.subarray(0, length);
  set16(segment, 6, options.checksum ?? (transport(covered, 17, options, six) || 0xffff));
  return segment;
}

const FIN = 1;
const SYN = 2;
const RST = 4;
const PSH = 8;
const ACK = 16;
const URG = 32;

interface TcpSegment extends Segment {
  flags?: number;
  dataOffset?: number;
  options?: Uint8Array;
  cut?: number;
}

function tcp(options: TcpSegment = {}, six = false): Uint8Array {
  const { from = 40000, to = 80, flags = SYN, options: tcpOptions = zeros(0), data = zeros(0), cut } = options;
  const segment = bytes(zeros(20), tcpOptions, data);
  set16(segment, 0, from);
  set16(segment, 2, to);
  new DataView(segment.buffer).setUint32(4, 0x01020304);
  new DataView(segment.buffer).setUint32(8, (flags & ACK) === 0 ? 0 : 0x05060708);
  segment[12] = (options.dataOffset ?? 5 + tcpOptions.length / 4) << 4;
  segment[13] = flags;
  set16(segment, 14, 64240);
  const shown = cut === undefined ? segment : segment.slice(0, cut);
  if (shown.length >= 18) set16(shown, 16, options.checksum ?? transport(shown, 6, options, six));
  return shown;
}

const TCP: readonly (readonly [name: string, segment: TcpSegment])[] = [
  ["SYN", { flags: SYN }],
  ["SYN with options", { flags: SYN, options: bytes(2, 4, 5, 0xb4, 4, 2, 8, 10, zeros(8), 1, 3, 3, 7) }],
  ["SYN with data", { flags: SYN, data: pattern(10) }],
  ["SYN and FIN", { flags: SYN | FIN }],
  ["SYN and ACK", { flags: SYN | ACK }],
  ["SYN and RST", { flags: SYN | RST }],
  ["ACK", { flags: ACK }],
  ["ACK with data", { flags: ACK | PSH, data: pattern(100) }],
  ["FIN", { flags: FIN }],
  ["FIN and ACK", { flags: FIN | ACK }],
  ["FIN and ACK with data", { flags: FIN | ACK, data: pattern(5) }],
  ["RST", { flags: RST }],
  ["RST and ACK", { flags: RST | ACK }],
  ["no flag", { flags: 0 }],
  ["no flag, data", { flags: 0, data: pattern(7) }],
  ["every flag but SYN, RST, ACK", { flags: FIN | PSH | URG }],
  ["SYN with ECE and CWR", { flags: SYN | 0xc0 }],
  ["wrong checksum", { flags: SYN, checksum: 0x1234 }],
  ["data offset 4", { flags: SYN, dataOffset: 4 }],
  ["data offset beyond the segment", { flags: SYN, dataOffset: 15 }],
  ["cut to 19 bytes", { flags: SYN, cut: 19 }],
  ["cut to 8 bytes", { flags: SYN, cut: 8 }],
  ["to port 0", { flags: SYN, to: 0 }],
  ["from port 0", { flags: SYN, from: 0 }],
];

// ---- IPv6 -----------------------------------------------------------------------------------------------------------

const AH = 51;
const NONE = 59;

const withHeaders = (...extensions: Extension[]) => icmpv6Packet({ extensions });

const MARTIANS6 = [
  "::", "::1", "::2", "::102:304", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::1", "100::1", "2001:db8::1",
  "2002:7f00:1::1", "3ffe::1", "5f00::1", "fd99::1:1", "fd99::2",
  "fd99::", "fe80::1", "fec0::1", "ff01::1", "ff02::1", "ff05::1", "ff0e::1",
];

const ACTIONS = [["skip", 0x1e], ["discard", 0x5e], ["tell", 0x9e], ["tell unless multicast", 0xde]] as const;

const optionCases = (what: string, header: (...options: (number | Uint8Array)[]) => Extension): HostCase[] => [
  one(`IPv6 options: ${what}, PadN alone`, withHeaders(header())),
  one(`IPv6 options: ${what}, six Pad1`, withHeaders(header(zeros(6)))),
  one(`IPv6 options: ${what}, eight Pad1 of 14 bytes`, withHeaders(header(zeros(8)))),
  one(`IPv6 options: ${what}, PadN of other bytes than 0`, withHeaders(header(1, 4, 1, 2, 3, 4))),
  one(`IPv6 options: ${what}, two PadN`, withHeaders(header(1, 1, 0, 1, 1, 0))),
  one(`IPv6 options: ${what}, PadN of 12 bytes`, withHeaders(header(1, 12, zeros(12)))),
  one(`IPv6 options: ${what}, PadN beyond the header`, withHeaders(header(1, 5, zeros(4)))),
  one(`IPv6 options: ${what}, no length at the end`, withHeaders(header(1, 3, zeros(3), 0x1e))),
  ...ACTIONS.flatMap(([action, type]) => [
    one(`IPv6 options: ${what}, unknown: ${action}`, withHeaders(header(type, 0))),
    one(`IPv6 options: ${what}, unknown: ${action}, of length 4`, withHeaders(header(type, 4, zeros(4)))),
    one(`IPv6 options: ${what}, unknown: ${action}, behind another`, withHeaders(header(0x1e, 2, 0, 0, type, 0))),
    one(`IPv6 options: ${what}, unknown: ${action}, beyond the header`, withHeaders(header(type, 5, zeros(4)))),
    one(
      `IPv6 options: ${what}, unknown: ${action}, to multicast`,
      icmpv6Packet({ dst: "ff02::1", extensions: [header(type, 0)] }),
    ),
    one(
      `IPv6 options: ${what}, unknown: ${action}, from ::`, icmpv6Packet({ src: "::", extensions: [header(type, 0)] }),
    ),
    one(
      `IPv6 options: ${what}, unknown: ${action}, in an error`,
      icmpv6Packet({ type: 1, extensions: [header(type, 0)] }),
    ),
    one(
      `IPv6 options: ${what}, unknown: ${action}, in an echo reply`,
      icmpv6Packet({ type: 129, extensions: [header(type, 0)] }),
    ),
    one(
      `IPv6 options: ${what}, unknown: ${action}, in a wrong checksum`,
      corrupt(icmpv6Packet({ extensions: [header(type, 0)] }), 50),
    ),
    one(
      `IPv6 options: ${what}, unknown: ${action}, 1300 bytes`,
      icmpv6Packet({ data: pattern(1300), extensions: [header(type, 0)] }),
    ),
  ]),
  ...[1, 2, 7, 8, 9, 16, 50, 100].map((count) => one(
    `IPv6 options: ${what}, ${count} unknown to skip`,
    withHeaders(header(...Array.from({ length: count }, () => bytes(0x1e, 0)))),
  )),
  ...[16, 31, 63, 160].map((count) => one(
    `IPv6 options: ${what}, ${count * 8 + 6} bytes of PadN of 4`,
    withHeaders(header(...Array.from({ length: Math.floor(count * 8 / 6) }, () => bytes(1, 4, zeros(4))))),
  )),
  one(`IPv6 options: ${what}, Router Alert`, withHeaders(header(5, 2, 0, 0))),
  one(`IPv6 options: ${what}, Router Alert of length 1`, withHeaders(header(5, 1, 0))),
  one(`IPv6 options: ${what}, Jumbo Payload of a short packet`, withHeaders(header(0xc2, 4, 0, 0, 0, 80))),
  one(`IPv6 options: ${what}, Jumbo Payload of length 3`, withHeaders(header(0xc2, 3, 0, 0, 0))),
  one(`IPv6 options: ${what}, Home Address`, withHeaders(header(0, 0, 0xc9, 16, addr6("2001:db8::9")))),
  one(`IPv6 options: ${what}, Tunnel Encapsulation Limit`, withHeaders(header(4, 1, 4))),
  one(`IPv6 options: ${what}, CALIPSO`, withHeaders(header(7, 8, zeros(8)))),
  one(`IPv6 options: ${what}, IOAM`, withHeaders(header(0x31, 2, 0, 0))),
  one(
    `IPv6 options: ${what}, header beyond the packet`,
    ipv6Packet(bytes(58, 200, zeros(30)), { nextHeader: header().number }),
  ),
  one(
    `IPv6 options: ${what}, header that ends with the packet`,
    ipv6Packet(bytes(58, 0, 1, 4, zeros(4)), { nextHeader: header().number }),
  ),
  ...[0, 1, 7].map((length) => one(
    `IPv6 options: ${what}, ${length} bytes of header`,
    ipv6Packet(bytes(58, 0, zeros(6)).slice(0, length), { nextHeader: header().number }),
  )),
];

const LENGTHS6 = [...LENGTHS, 65515, 65516, 65526, 65527];

const ipv6Cases = (): HostCase[] => [
  one("IPv6 echo: plain", icmpv6Packet()),
  one("IPv6 echo: all zero", icmpv6Packet({ identifier: 0, sequence: 0, data: zeros(0) })),
  ...[0, 1, 2, 64, 255].map((hopLimit) => one(`IPv6 echo: hop limit ${hopLimit}`, icmpv6Packet({ hopLimit }))),
  ...TOS.map((trafficClass) => one(`IPv6 echo: traffic class ${trafficClass}`, icmpv6Packet({ trafficClass }))),
  ...[1, 0x12345, 0xfffff].map((flowLabel) => one(`IPv6 echo: flow label ${flowLabel}`, icmpv6Packet({ flowLabel }))),
  one("IPv6 echo: traffic class 255, flow label 0xfffff", icmpv6Packet({ trafficClass: 255, flowLabel: 0xfffff })),
  ...[1, 2, 128, 255].map((code) => one(`IPv6 echo: code ${code}`, icmpv6Packet({ code }))),
  ...[1, 3, 4, 18, 100].map((count) => one(`IPv6 echo: ${count} bytes of padding`, append(icmpv6Packet(), count))),
  one("IPv6 echo: wrong checksum", corrupt(icmpv6Packet(), 42)),
  one("IPv6 echo: wrong checksum by its last byte", corrupt(icmpv6Packet({ data: pattern(3) }), 50)),
  one("IPv6 echo: checksum zero", edited(icmpv6Packet(), (p) => { set16(p, 42, 0); })),
  one("IPv6 echo: checksum 0xffff where 0 is right", zeroSum()),
  one("IPv6 echo: an IPv4 echo request's type", icmpv6Packet({ type: 8 })),
  one("IPv6 next headers: 1, with a message of ICMP", ipv6Packet(echo().subarray(20), { nextHeader: 1 })),
  one("IPv4 protocols: 58, with a message of ICMPv6", ipv4(icmpv6Message(), { protocol: 58 })),
  ...MARTIANS6.map((src) => one(`IPv6 sources: ${src}`, icmpv6Packet({ src }))),
  ...[
    "::", "::1", "::ffff:10.99.1.1", "2001:db8::2", "fd99::", "fd99::7:7", "fd99::ffff:ffff:ffff:ffff", "fd99:0:0:1::",
    "fe80::1", "ff01::1", "ff02::1", "ff02::2", "ff02::1:ff01:1", "ff05::1", "ff0e::1",
  ].map(
    (dst) => one(`IPv6 destinations: ${dst}`, icmpv6Packet({ dst, src: "2001:db8::1" }))),
  ...LENGTHS6.map((length) => {
    const packets = fragmented6(icmpv6Packet({ data: pattern(length) }));
    return { name: `IPv6 ${packets.length === 1 ? "lengths" : "fragments"}: ${length} bytes of echo data`, packets };
  }),
  ...range(0, 8).map((length) => one(`IPv6 ICMP: a message of ${length} bytes`, ipv6Packet(shortMessage(length)))),
  ...range(0, 256).flatMap((type) => CODES.map(
    (code) => one(`IPv6 ICMP: type ${type}, code ${code}`, icmpv6Packet({ type, code, sequence: type })),
  )),

  ...[0, 7, 8, 63, 65, 65535].map((length) => one(
    `IPv6 header: payload length ${length} of 64`, edited(icmpv6Packet(), (p) => { set16(p, 4, length); }),
  )),
  ...[0, 5, 7, 15].map(
    (version) => one(`IPv6 header: version ${version}`, edited(icmpv6Packet(), (p) => { p[0] = version << 4; })),
  ),
  ...range(1, 49).map(
    (length) => one(`IPv6 header: cut to ${length} bytes`, icmpv6Packet({ data: zeros(0) }).slice(0, length)),
  ),
  one("IPv6 header: no payload, no next header", ipv6Packet(zeros(0), { nextHeader: NONE })),
  one("IPv6 header: no payload, ICMPv6", ipv6Packet(zeros(0))),

  ...range(0, 256).map(
    (nextHeader) => one(`IPv6 next headers: ${nextHeader}`, ipv6Packet(pattern(40), { nextHeader })),
  ),
  ...range(0, 256).map((nextHeader) => one(
    `IPv6 next headers: ${nextHeader} behind destination options`,
    ipv6Packet(pattern(40), { nextHeader, extensions: [destination()] }),
  )),
  ...[0, 1, 7, 8, 1183, 1184, 1191, 1192, 1193, 1232, 1233, 1400].map(
    (length) => one(`IPv6 next headers: 253 with ${length} bytes`, ipv6Packet(pattern(length), { nextHeader: 253 })),
  ),
  ...MARTIANS6.map(
    (src) => one(`IPv6 next headers: 253 from ${src}`, ipv6Packet(pattern(40), { nextHeader: 253, src })),
  ),
  ...["ff02::1", "fd99::7:7", "fd99:0:0:1::1", "2001:db8::2"].map((dst) => one(
    `IPv6 next headers: 253 to ${dst}`, ipv6Packet(pattern(40), { nextHeader: 253, dst, src: "2001:db8::1" }),
  )),
  one(
    "IPv6 next headers: 253 with traffic class 255 and a flow label",
    ipv6Packet(pattern(40), { nextHeader: 253, trafficClass: 255, flowLabel: 0x12345 }),
  ),
  one("IPv6 next headers: 253 with hop limit 1", ipv6Packet(pattern(40), { nextHeader: 253, hopLimit: 1 })),
  one("IPv6 next headers: 253 with padding", append(ipv6Packet(pattern(40), { nextHeader: 253 }), 10)),
  one(
    "IPv6 next headers: 253 behind hop-by-hop, routing and destination options",
    ipv6Packet(pattern(40), { nextHeader: 253, extensions: [hopByHop(), routing(0, 0), destination()] }),
  ),

  ...optionCases("hop-by-hop", hopByHop),
  ...optionCases("destination", destination),

  ...[0, 1, 2, 3, 4, 5, 6, 99, 253, 255].flatMap((type) => [0, 1, 2, 255].flatMap((left) => [
    one(`IPv6 routing: type ${type}, segments left ${left}`, withHeaders(routing(type, left))),
    one(`IPv6 routing: type ${type}, segments left ${left}, 8 bytes`, withHeaders(shortRouting(type, left))),
  ])),
  one(
    "IPv6 routing: type 0, segments left 1, to multicast",
    icmpv6Packet({ dst: "ff02::1", extensions: [routing(0, 1)] }),
  ),
  one("IPv6 routing: type 0, segments left 1, in an error", icmpv6Packet({ type: 1, extensions: [routing(0, 1)] })),
  one("IPv6 routing: type 0, segments left 1, behind destination options", withHeaders(destination(), routing(0, 1))),
  one("IPv6 routing: type 0, segments left 1, behind hop-by-hop options", withHeaders(hopByHop(), routing(0, 1))),
  one(
    "IPv6 routing: type 99, segments left 1, 1300 bytes",
    icmpv6Packet({ data: pattern(1300), extensions: [routing(99, 1)] }),
  ),
  one("IPv6 routing: twice", withHeaders(routing(0, 0), routing(0, 0))),
  one("IPv6 routing: header beyond the packet", ipv6Packet(bytes(58, 200, 0, 0, zeros(30)), { nextHeader: ROUTING })),
  one("IPv6 routing: 4 bytes", ipv6Packet(bytes(58, 0, 0, 0), { nextHeader: ROUTING })),

  ...CHAINS.map(([name, ...extensions]) => one(`IPv6 chains: ${name}`, withHeaders(...extensions))),
  ...range(0, 72).map((length) => one(
    `IPv6 chains: hop-by-hop, destination, fragment, cut to ${length} bytes of payload`,
    cut6(withHeaders(hopByHop(), destination(), fragmentHeader(0, 0, nextId())), length),
  )),
  ...[1, 2, 3, 4, 7, 8, 9, 16, 32, 64, 128, 170].map((count) => one(
    `IPv6 chains: ${count} destination options headers`,
    withHeaders(...Array.from({ length: count }, () => destination())),
  )),
  one("IPv6 chains: AH, then echo", withHeaders(raw(AH, 4, 0, 0, zeros(20)))),
  one("IPv6 chains: AH beyond the packet", withHeaders(raw(AH, 200, 0, 0, zeros(20)))),
  one("IPv6 chains: ESP", ipv6Packet(pattern(40), { nextHeader: 50 })),
  one(
    "IPv6 chains: ESP behind destination options",
    ipv6Packet(pattern(40), { nextHeader: 50, extensions: [destination()] }),
  ),
  one("IPv6 chains: no next header, with bytes behind it", ipv6Packet(icmpv6Message(), { nextHeader: NONE })),
  one(
    "IPv6 chains: no next header behind destination options",
    ipv6Packet(icmpv6Message(), { nextHeader: NONE, extensions: [destination()] }),
  ),
  one("IPv6 chains: mobility", withHeaders(raw(135, 0, 0, 0, zeros(4)))),
  one("IPv6 chains: HIP", withHeaders(raw(139, 0, zeros(6)))),
  one("IPv6 chains: Shim6", withHeaders(raw(140, 0, zeros(6)))),

  ...[["right", undefined], ["zero", 0], ["wrong", 0x1234]].map(([what, value]) => one(
    `IPv6 UDP: ${String(what)} checksum`,
    ipv6Packet(udp({ checksum: value as number | undefined }, true), { nextHeader: 17 }),
  )),
  ...[0, 1, 1176, 1184, 1185, 1224, 1225, 1400].map(
    (length) => one(`IPv6 UDP: ${length} bytes`, ipv6Packet(udp({ data: pattern(length) }, true), { nextHeader: 17 })),
  ),
  ...[0, 7, 8, 9, 23, 25, 65535].map(
    (length) => one(`IPv6 UDP: length field ${length} of 24`, ipv6Packet(udp({ length }, true), { nextHeader: 17 })),
  ),
  ...range(0, 8).map((length) => one(
    `IPv6 UDP: ${length} bytes of header`, ipv6Packet(udp({}, true).slice(0, length), { nextHeader: 17 }),
  )),
  ...[0, 7, 53, 862, 33434, 65535].map(
    (to) => one(`IPv6 UDP: to port ${to}`, ipv6Packet(udp({ to }, true), { nextHeader: 17 })),
  ),
  one("IPv6 UDP: from port 0", ipv6Packet(udp({ from: 0 }, true), { nextHeader: 17 })),
  one(
    "IPv6 UDP: behind destination options", ipv6Packet(udp({}, true), { nextHeader: 17, extensions: [destination()] }),
  ),
  one("IPv6 UDP: to multicast", ipv6Packet(udp({ dst: "ff02::1" }, true), { nextHeader: 17, dst: "ff02::1" })),
  one(
    "IPv6 UDP: traffic class 255, flow label, hop limit 1",
    ipv6Packet(udp({}, true), { nextHeader: 17, trafficClass: 255, flowLabel: 0x12345, hopLimit: 1 }),
  ),
  ...MARTIANS6.map((src) => one(`IPv6 UDP: from ${src}`, ipv6Packet(udp({ src }, true), { nextHeader: 17, src }))),
  {
    name: "IPv6 fragments: of UDP",
    packets: fragmented6(ipv6Packet(udp({ data: pattern(3000) }, true), { nextHeader: 17 })),
  },
  ...TCP.map(([name, segment]) => one(`IPv6 TCP: ${name}`, ipv6Packet(tcp(segment, true), { nextHeader: 6 }))),
  ...ipv6Fragments(),
];

const CHAINS: readonly (readonly [name: string, ...extensions: Extension[]])[] = [
  ["hop-by-hop", hopByHop()],
  ["destination", destination()],
  ["hop-by-hop, destination", hopByHop(), destination()],
  [
    "hop-by-hop, destination, routing, destination, as RFC 8200 orders them", hopByHop(), destination(), routing(0, 0),
    destination(),
  ],
  [
    "hop-by-hop, destination, routing, fragment, destination", hopByHop(), destination(), routing(0, 0),
    fragmentHeader(0, 0, nextId()), destination(),
  ],
  ["destination, hop-by-hop", destination(), hopByHop()],
  ["hop-by-hop twice", hopByHop(), hopByHop()],
  ["routing, hop-by-hop", routing(0, 0), hopByHop()],
  ["fragment, hop-by-hop", fragmentHeader(0, 0, nextId()), hopByHop()],
  ["hop-by-hop, fragment, hop-by-hop", hopByHop(), fragmentHeader(0, 0, nextId()), hopByHop()],
  ["fragment, destination", fragmentHeader(0, 0, nextId()), destination()],
  ["destination, fragment", destination(), fragmentHeader(0, 0, nextId())],
  ["fragment, routing", fragmentHeader(0, 0, nextId()), routing(0, 0)],
  ["fragment, routing with segments left", fragmentHeader(0, 0, nextId()), routing(0, 1)],
  ["fragment, destination with an unknown option to tell of", fragmentHeader(0, 0, nextId()), destination(0x9e, 0)],
  ["fragment twice", fragmentHeader(0, 0, nextId()), fragmentHeader(0, 0, nextId())],
  ["destination three times", destination(), destination(), destination()],
  ["routing, destination, routing, destination", routing(0, 0), destination(), routing(2, 0), destination()],
];

/** Builds an ICMPv6 message of `length` bytes, with a right checksum where there is room for one. */
function shortMessage(length: number): Uint8Array {
  const msg = bytes(128, zeros(7)).slice(0, length);
  if (length >= 4) set16(msg, 2, checksum6(msg, 58));
  return msg;
}

/** Builds an echo request whose checksum is 0, and sends its alias 0xffff. */
function zeroSum(): Uint8Array {
  const sum = (sequence: number) => icmpv6Message({ identifier: 0, sequence, data: zeros(0) });
  const first = sum(0);
  const msg = sum(first[2] << 8 | first[3]);
  set16(msg, 2, 0xffff);
  return ipv6Packet(msg);
}

function edited(packet: Uint8Array, change: (packet: Uint8Array) => void): Uint8Array {
  change(packet);
  return packet;
}

/** Cuts a packet to so many bytes of payload, and makes its payload length say so. */
function cut6(packet: Uint8Array, length: number): Uint8Array {
  return edited(packet.slice(0, 40 + length), (p) => { set16(p, 4, length); });
}

/** Returns a fragment with the bytes from `from` to `to` of the payload of an IPv6 packet without extension headers. */
function piece6(
  packet: Uint8Array, id: number, from: number, to: number,
  options: Ipv6Options & { more?: boolean; reserved?: number } = {},
): Uint8Array {
  const { more = to < packet.length - 40, extensions = [], reserved = 0 } = options;
  const header = fragmentHeader(from, more ? 1 : 0, id, reserved);
  return ipv6Packet(
    packet.subarray(40 + from, 40 + to), { nextHeader: packet[6], ...options, extensions: [...extensions, header] },
  );
}

function fragmented6(packet: Uint8Array, size = 1448): Uint8Array[] {
  const length = packet.length - 40;
  if (packet.length <= 1500 && length <= size) return [packet];
  const id = nextId();
  return Array.from(
    { length: Math.ceil(length / size) }, (_, i) => piece6(packet, id, i * size, Math.min((i + 1) * size, length)),
  );
}

function ipv6Fragments(): HostCase[] {
  const name = (text: string) => `IPv6 fragments: ${text}`;
  type Part = (from: number, to: number, options?: Parameters<typeof piece6>[4]) => Uint8Array;
  const three = (
    text: string, order: (part: Part, parts: Uint8Array[], id: number) => Uint8Array[],
    packet = icmpv6Packet({ data: pattern(2992) }),
  ): HostCase => {
    const id = nextId();
    const part: Part = (from, to, options) => piece6(packet, id, from, to, options);
    return { name: name(text), packets: order(part, [part(0, 1000), part(1000, 2000), part(2000, 3000)], id) };
  };
  return [
    ...[[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]].map(
      (order) => three(`three, in the order ${order.join(" ")}`, (_, parts) => order.map((i) => parts[i])),
    ),
    three("the first missing", (_, [, b, c]) => [b, c]),
    three("the middle missing", (_, [a, , c]) => [a, c]),
    three("the last missing", (_, [a, b]) => [a, b]),
    ...[0, 1, 2].flatMap((i) => [0, 1, 2].filter((at) => at >= i).map((at) => three(
      `part ${i} again after part ${at}`,
      (_, parts) => parts.flatMap((part, k) => k === at ? [part, parts[i]] : [part]),
    ))),
    three("all of it twice", (_, parts) => [...parts, ...parts]),
    three(
      "the same range with other bytes", (_, [a, b, c]) => [a, b, edited(b.slice(), (p) => { p.fill(0x5a, 48); }), c],
    ),
    three("an overlap at the head of a part", (part, [a, b, c]) => [a, part(992, 2000), b, c]),
    three("an overlap at the tail of a part", (part, [a, , c]) => [a, part(1000, 2008), c]),
    three("a part within another", (part, [a, b, c]) => [a, b, part(1096, 1496), c]),
    three("a part around another", (part, [a, b, c]) => [b, part(0, 1400), a, c]),
    three("the first part again, shorter", (part, [a, b, c]) => [a, part(0, 800), b, c]),
    three("an overlap, then all of it again", (part, [a, b, c]) => [a, part(992, 2000), a, b, c]),
    three("two ends: the second one earlier", (part, [a, b, c]) => [c, part(1000, 2000, { more: false }), a, b]),
    three("two ends: the second one later", (part, [a, b, c]) => [part(1000, 2000, { more: false }), c, a, b]),
    three("an empty part in the middle", (part, [a, b, c]) => [a, part(1000, 1000, { more: true }), b, c]),
    three("an empty last part", (part, [a, b]) => [a, b, part(2000, 2000, { more: false })]),
    three("a length of a part with more that is no multiple of 8", (part, [a, , c]) => [a, part(1000, 2005), c]),
    three("a first part of 4 bytes with more", (part, [a, b, c]) => [part(0, 4), a, b, c]),
    three("a first part of 8 bytes", (part, [, b, c]) => [part(0, 8), part(8, 1000), b, c]),
    three(
      "a part beyond 65535 bytes",
      (_, [a], id) => [a, ipv6Packet(pattern(400), { extensions: [fragmentHeader(65528, 0, id)] })],
    ),
    three(
      "a part beyond 65535 bytes, with more",
      (_, [a], id) => [a, ipv6Packet(pattern(400), { extensions: [fragmentHeader(65528, 1, id)] })],
    ),
    three(
      "reserved bits on every part",
      (part) => [[0, 1000], [1000, 2000], [2000, 3000]].map(([from, to]) => part(from, to, { reserved: 0xff })),
    ),
    three("padding behind every part", (_, parts) => parts.map((part) => append(part, 6))),
    three("a part of another next header", (part, [a, , c]) => [a, part(1000, 2000, { nextHeader: 17 }), c]),
    three(
      "a first part of another next header than the rest",
      (part, [a]) => [a, part(1000, 2000, { nextHeader: 17 }), part(2000, 3000, { nextHeader: 17 })],
    ),
    three("a part from another source", (part, [a, , c]) => [a, part(1000, 2000, { src: "2001:db8::1" }), c]),
    three("a part to another destination", (part, [a, , c]) => [a, part(1000, 2000, { dst: "fd99::1:2" }), c]),
    three("hop limit, traffic class and flow label of each its own", (part) => [
      part(0, 1000, { hopLimit: 1, trafficClass: 4, flowLabel: 1 }),
      part(1000, 2000, { hopLimit: 0, trafficClass: 8, flowLabel: 2 }),
      part(2000, 3000, { hopLimit: 255, trafficClass: 12, flowLabel: 3 }),
    ]),
    ...[[1, 2, 3], [2, 2, 3], [2, 2, 1], [0, 2, 2], [0, 3, 0], [3, 3, 3]].map((ecn) => three(
      `ECN ${ecn.join(",")}`, (part) => ecn.map((trafficClass, i) => part(i * 1000, (i + 1) * 1000, { trafficClass })),
    )),
    three(
      "hop-by-hop options before each",
      (part) => [0, 1, 2].map((i) => part(i * 1000, (i + 1) * 1000, { extensions: [hopByHop()] })),
    ),
    three(
      "hop-by-hop options before the first alone",
      (part, [, b, c]) => [part(0, 1000, { extensions: [hopByHop()] }), b, c],
    ),
    three("wrong checksum", (_, [a, b, c]) => [a, corrupt(b, 500), c]),
    three(
      "from a multicast address", (part) => [0, 1, 2].map((i) => part(i * 1000, (i + 1) * 1000, { src: "ff02::1" })),
    ),
    three("an echo reply", (_, parts) => parts, icmpv6Packet({ type: 129, data: pattern(2992) })),
    three("of next header 253", (_, parts) => parts, ipv6Packet(pattern(3000), { nextHeader: 253 })),
    three("of next header 0", (_, parts) => parts, ipv6Packet(pattern(3000), { nextHeader: 0 })),
    three("with destination options within", (_, parts) => parts, fragmentable(destination())),
    three("with an unknown option to tell of within", (_, parts) => parts, fragmentable(destination(0x9e, 0))),
    three(
      "with destination options, the first part ends within them",
      (part) => [part(0, 8), part(8, 1000), part(1000, 2000), part(2000, 3000)],
      fragmentable(destination(1, 12, zeros(12))),
    ),
    three(
      "with destination options, the first part ends behind them",
      (part) => [part(0, 16), part(16, 1000), part(1000, 2000), part(2000, 3000)],
      fragmentable(destination(1, 12, zeros(12))),
    ),
    three(
      "of UDP, the first part ends within its header",
      (part, [, b, c]) => [part(0, 8), part(8, 1000), b, c],
      ipv6Packet(udp({ data: pattern(2992) }, true), { nextHeader: 17 }),
    ),
    three(
      "of TCP, the first part ends within its header",
      (part, [, b, c]) => [part(0, 8), part(8, 1000), b, c],
      ipv6Packet(tcp({ data: pattern(2980) }, true), { nextHeader: 6 }),
    ),
    three("an atomic one", (part) => [part(0, 64, { more: false })], icmpv6Packet()),
    three(
      "an atomic one between two parts of the same identification",
      (part, [a, b, c]) => [a, b, part(0, 1000, { more: false }), c],
    ),
    three("an atomic one with reserved bits", (part) => [part(0, 64, { more: false, reserved: 0xff })], icmpv6Packet()),
    three("an atomic one of odd length", (part) => [part(0, 13, { more: false })], icmpv6Packet({ data: pattern(5) })),
    three(
      "an atomic one of next header 253",
      (part) => [part(0, 40, { more: false })],
      ipv6Packet(pattern(40), { nextHeader: 253 }),
    ),
    three("an atomic one, empty", (part) => [part(0, 0, { more: false })], icmpv6Packet()),
    three(
      "an atomic one of UDP", (part) => [part(0, 24, { more: false })], ipv6Packet(udp({}, true), { nextHeader: 17 }),
    ),
    three("one alone with more, empty", (part) => [part(0, 0, { more: true })]),
    three("one alone of no more, at offset 8", (part) => [part(8, 16, { more: false })]),
    {
      name: name("parts of 8 bytes in reverse order"),
      packets: fragmented6(icmpv6Packet({ data: pattern(792) }), 8).reverse(),
    },
    {
      name: name("65,527 bytes in reverse order"),
      packets: fragmented6(icmpv6Packet({ data: pattern(65527) })).reverse(),
    },
    {
      name: name("every second part of 65,527 bytes first"),
      packets: alternating(fragmented6(icmpv6Packet({ data: pattern(65527) }))),
    },
    ...[4, 5, 6, 7].map((length) => one(
      name(`a header cut to ${length} bytes`),
      ipv6Packet(bytes(58, zeros(7)).slice(0, length), { nextHeader: FRAGMENT }),
    )),
  ];
}

/** Builds 3000 bytes of payload that begin with the extension header: piece6 takes both for the payload. */
function fragmentable(extension: Extension): Uint8Array {
  const length = extension.rest.length + 1;
  return icmpv6Packet({ data: pattern(2992 - length), extensions: [extension] });
}

export const HOST_CASES: readonly HostCase[] = [...ipv4Cases(), ...ipv6Cases()];

/** Cases that come once more, for hosts that accept source routes. */
export const SOURCE_ROUTE_CASES: readonly HostCase[] = HOST_CASES.filter(
  ({ name }) => /^IPv4 options: .*source route/i.test(name),
)
  .map(({ name, packets }) => ({ name: `${name}, accepted`, packets }));

// ---- PROBE ----------------------------------------------------------------------------------------------------------

/** The interfaces of Linux in test/support/linux.ts. The index of the second one is not known. */
export const PROBED: readonly InterfaceMap[] = [
  { name: "lo", index: 1, address: ["127.0.0.1", "::1", TARGET6] }, { name: "tun0", ipv4: false, ipv6: false },
];

const probes = (
  [name, object, options, packet = {}]: readonly [string, Uint8Array, ProbeOptions?, (EchoOptions & Icmpv6Options)?],
) => [
  one(`PROBE, IPv4: ${name}`, probe4(object, options, { fragment: 0, ...packet })),
  one(`PROBE, IPv6: ${name}`, probe6(object, options, packet)),
];

/** Requests of RFC 8335, for hosts that answer them and have these interfaces. */
export const PROBE_CASES: readonly HostCase[] = [
  ...([
    ["a name", byName("lo")], ["a name of an interface without addresses", byName("tun0")],
    ["a name that nothing has", byName("eth99")], ["a name of 12 bytes", byName("x".repeat(12))],
    ["a long name", byName("x".repeat(32))], ["a name of NULs", object(1, zeros(4))], ["no name", object(1, zeros(0))],
    ["an index", byIndex(1)], ["an index that nothing has", byIndex(0x00ff_ff00)], ["index 0", byIndex(0)],
    ["an index of 3 bytes", object(2, zeros(3))], ["an index of 8 bytes", object(2, zeros(8))],
    ["an IPv4 address", byAddress(1, addr("127.0.0.1"))], ["an IPv6 address", byAddress(2, addr6("::1"))],
    ["another IPv6 address", byAddress(2, addr6(TARGET6))],
    ["an IPv4 address that nothing has", byAddress(1, addr("192.0.2.77"))],
    ["an IPv6 address that nothing has", byAddress(2, addr6("2001:db8::77"))],
    ["an IPv4 address with a wrong length", byAddress(1, zeros(16))], ["half a family", object(3, zeros(2))],
    ["a MAC address", byAddress(16389, pattern(6))], ["a family that nothing has", byAddress(25, pattern(4))],
    ["C-Type 0", object(0, zeros(4))], ["C-Type 4", object(4, zeros(4))],
    ["another class", object(1, byName("lo").subarray(4), { classNum: 2 })],
    ["an object beyond the message", object(1, zeros(4), { len: 12 })],
    ["an object of length 0", object(1, zeros(4), { len: 0 })],
    ["L is clear", byName("lo"), { flags: 0 }], ["L is clear, an address", byAddress(1, addr(HOST)), { flags: 0xfe }],
    ["reserved bits", byName("lo"), { flags: 0xff }], ["data", byName("lo"), { data: pattern(99) }],
    ["another version", byName("lo"), { version: 0x10 }], ["a wrong checksum", byName("lo"), { sum: 0x1234 }],
    ["no checksum", byName("lo"), { sum: 0 }], ["another code", byName("lo"), {}, { code: 9 }],
    ["a type of service", byName("lo"), {}, { tos: 0xb8, trafficClass: 0xb8 }],
    ["identifier and sequence number", byName("lo"), {}, { identifier: 0xffff, sequence: 0xff01 }],
  ] as const).flatMap(probes),
  one("PROBE, IPv4: no extension structure", icmpPacket({ type: 42, data: zeros(0), fragment: 0 })),
  one("PROBE, IPv6: no extension structure", icmpv6Packet({ type: 160, data: zeros(0) })),
  one("PROBE, IPv4: half an extension structure", icmpPacket({ type: 42, data: pattern(6), fragment: 0 })),
  one("PROBE, IPv6: half an extension structure", icmpv6Packet({ type: 160, data: pattern(6) })),
];
