/**
 * Lists what a chain of three routers with a host behind them may be sent, and where pongd's path differs from such a
 * chain of Linux's. A test fails for a difference that is not here, and for one that is none.
 */
import { changed, isError4, nothing, recut, type Difference } from "./differences.js";
import type { HostCase } from "./hosts.js";
import {
  addr, bytes, checksum, fragmentsOf, icmpPacket, ipv4Packet, pattern, TARGET, udpPacket,
} from "../support/packets.js";
import {
  addr6, destination, fragmentsOf6, hopByHop, icmpv6Packet, ipv6Packet, TARGET6, udpPacket6, type Extension,
} from "../support/ipv6.js";
import { comparable } from "../support/replies.js";
import { encode, SYN } from "../support/tcp.js";

/** The longest packet on each link, and on the last one, which leads to the host. */
export const CHAIN_MTU = 1500;
export const NARROW_MTU = 1300;

export const HOPS = [1, 2, 3].map((number) => ({ ipv4: `10.99.200.${number}`, ipv6: `fd99::200:${number}` }));

/** A sender outside of the prefix. */
const SRC = "198.51.100.7";
const SRC6 = "2001:db8::7";

interface Options {
  dst?: string;
  ttl?: number;
  /** Type of service, or traffic class. */
  tos?: number;
  /** Bytes of the whole packet. */
  length?: number;
  /** Whether it may be fragmented, which no packet of IPv6's may be. */
  mayFragment?: boolean;
}

type Make = (options: Options) => Uint8Array;

function common({ dst = TARGET, ttl, tos, mayFragment = true }: Options) {
  return { src: SRC, dst, ttl, tos, fragment: mayFragment ? 0 : 0x4000 };
}

function common6({ dst = TARGET6, ttl, tos }: Options) {
  return { src: SRC6, dst, hopLimit: ttl, trafficClass: tos };
}

const dataOf = (length: number | undefined, headers: number) => pattern((length ?? 100) - headers);

const echo: Make = (options) => icmpPacket({ ...common(options), data: dataOf(options.length, 28) });
const echo6: Make = (options) => icmpv6Packet({ ...common6(options), data: dataOf(options.length, 48) });
const udp: Make = (options) => udpPacket({ ...common(options), data: dataOf(options.length, 28) });
const udp6: Make = (options) => udpPacket6({ ...common6(options), data: dataOf(options.length, 48) });
const syn = (src: Uint8Array, dst: Uint8Array, ttl?: number) => encode(
  { src, dst, srcPort: 40_000, dstPort: 80, seq: 1, flags: SYN, window: 1000, ttl, options: { mss: 1460 } },
);
const syn4: Make = ({ dst = TARGET, ttl }) => syn(addr(SRC), addr(dst), ttl);
const syn6: Make = ({ dst = TARGET6, ttl }) => syn(addr6(SRC6), addr6(dst), ttl);

const FAMILIES = [
  { name: "IPv4", kinds: { echo, UDP: udp, SYN: syn4 }, echo, udp, hops: HOPS.map(({ ipv4 }) => ipv4) },
  {
    name: "IPv6", kinds: { echo: echo6, UDP: udp6, SYN: syn6 }, echo: echo6, udp: udp6,
    hops: HOPS.map(({ ipv6 }) => ipv6),
  },
] as const;

const one = (name: string, packet: Uint8Array): HostCase => ({ name, packets: [packet] });
/** Counts identifications, so that no case meets the fragments of another. */
let identification = 0;
const nextId = () => ++identification;

const TTLS = [0, 1, 2, 3, 4, 5];

/** What both families have. */
function commonCases(): HostCase[] {
  return FAMILIES.flatMap(({ name, kinds, echo, udp, hops }) => [
    ...Object.entries(kinds).flatMap(([kind, make]) => TTLS.map(
      (ttl) => one(`${name} TTL ${ttl}: ${kind}`, make({ ttl })),
    )),
    ...[0x01, 0x02, 0x08, 0x28, 0x2b, 0xb8, 0xff].flatMap((tos) => [
      one(`${name} type of service ${tos}: echo`, echo({ tos })),
      ...[1, 3].map((ttl) => one(`${name} type of service ${tos}: echo, TTL ${ttl}`, echo({ tos, ttl }))),
    ]),
    ...[...[520, 548, 549, 577, 1231, 1232, 1233, 1280, 1500].map((length) => ({ length, ttl: 2 }))].map(
      (options) => one(`${name} length ${options.length}: UDP, TTL 2`, udp(options)),
    ),
    ...[1300, 1301, 1500].flatMap((length) => [undefined, 4, 3, 2].flatMap((ttl) => [true, false].map(
      (mayFragment) => one(
        `${name} length ${length}: echo that may ${mayFragment ? "" : "not "}be fragmented, TTL ${ttl ?? 64}`,
        echo({ length, ttl, mayFragment }),
      ),
    ))),
    ...hops.flatMap((dst, i) => [
      ...Object.entries(kinds).flatMap(([kind, make]) => [i, i + 1, 64].filter((ttl) => ttl > 0).map(
        (ttl) => one(`${name} hop ${i + 1}: ${kind}, TTL ${ttl}`, make({ dst, ttl })),
      )),
      ...[1300, 1301, 1500].flatMap((length) => [true, false].map((mayFragment) => one(
        `${name} hop ${i + 1}: echo of ${length} bytes that may ${mayFragment ? "" : "not "}be fragmented`,
        echo({ dst, length, mayFragment }),
      ))),
    ]),
  ]);
}

const NOP = 1;
const RR = 7;
const TIMESTAMP = 68;
const zeros = (length: number) => new Uint8Array(length);
const OPTIONS: readonly (readonly [name: string, ...options: (number | Uint8Array)[]])[] = [
  ["no-operations", NOP, NOP, NOP, NOP],
  ["an unknown option", 30, 4, 0, 0],
  ["Router Alert", 148, 4, 0, 0],
  ["Record Route", RR, 39, 4, zeros(36), 0],
  ["Record Route for two", RR, 11, 4, zeros(8), 0],
  ["full Record Route", RR, 7, 8, zeros(4), 0],
  ["Timestamp", TIMESTAMP, 36, 5, 0, zeros(32)],
  ["Timestamp with addresses", TIMESTAMP, 36, 5, 1, zeros(32)],
  ["full Timestamp", TIMESTAMP, 8, 9, 0, zeros(4)],
  ["Loose Source Route", 131, 7, 4, 192, 0, 2, 7, 0],
  ["malformed Record Route", RR, 7, 3, zeros(4), 0],
];

const isRecord = (name: string) => /(?<!malformed )(Record Route|Timestamp)/.test(name);

function ipv4Cases(): HostCase[] {
  const at = (ttl: number) => common({ ttl });
  const long = icmpPacket({ ...common({}), data: pattern(1400) });
  const pieces = (ttl: number) => fragmentsOf(
    icmpPacket({ ...at(ttl), id: nextId(), data: pattern(1400) }), [0, 800, 1408],
  );
  return [
    // An error of Linux's about a Record Route or Timestamp has one, too, and quotes the packet's filled in.
    ...OPTIONS.flatMap(([name, ...options]) => [...isRecord(name) ? [] : [1, 2, 3], 4, 64].map((ttl) => one(
      `IPv4 options: ${name}, TTL ${ttl}`, icmpPacket({ ...at(ttl), options: bytes(...options) }),
    ))),
    ...[0, 3, 4, 5, 11, 12, 13, 14, 15, 17, 40, 42].flatMap((type) => [1, 2].map(
      (ttl) => one(`IPv4 ICMP type ${type}: TTL ${ttl}`, icmpPacket({ ...at(ttl), type, data: long.subarray(0, 28) })),
    )),
    ...[1, 2, 3, 4].flatMap((ttl) => {
      const [[first], [, later]] = [pieces(ttl), pieces(ttl)];
      return [
        one(`IPv4 fragments: the first, TTL ${ttl}`, first), one(`IPv4 fragments: the second, TTL ${ttl}`, later),
      ];
    }),
    { name: "IPv4 fragments: both, TTL 64", packets: pieces(64) },
    ...[2, 253].map((protocol) => one(
      `IPv4 protocol ${protocol}: TTL 2`, ipv4Packet(pattern(40), { ...at(2), protocol }),
    )),
    one("IPv4 header alone: TTL 1", ipv4Packet(zeros(0), { ...at(1), protocol: 17 })),
    one("IPv4 wrong checksum of UDP: TTL 1", udpPacket({ ...at(1), checksum: 1 })),
  ];
}

const EXTENSIONS: readonly (readonly [name: string, extension: Extension])[] = [
  ["padding for hops", hopByHop(Uint8Array.of(1, 4, 0, 0, 0, 0))],
  ["Router Alert", hopByHop(Uint8Array.of(5, 2, 0, 1, 1, 0))],
  ["an unknown option for hops, to be skipped", hopByHop(Uint8Array.of(0x1e, 4, 0, 0, 0, 0))],
  ["an option for the destination", destination(Uint8Array.of(0x9e, 4, 0, 0, 0, 0))],
];

function ipv6Cases(): HostCase[] {
  const at = (ttl: number) => common6({ ttl });
  const pieces = (ttl: number) => fragmentsOf6(
    icmpv6Packet({ ...at(ttl), data: pattern(1400) }), [0, 800, 1408], nextId(),
  );
  return [
    ...EXTENSIONS.flatMap(([name, extension]) => [1, 3, 64].map((ttl) => one(
      `IPv6 extensions: ${name}, hop limit ${ttl}`, icmpv6Packet({ ...at(ttl), extensions: [extension] }),
    ))),
    ...[1, 2, 3, 4, 100, 127, 129, 133, 135, 137, 200].flatMap((type) => [1, 2].map(
      (ttl) => one(`IPv6 ICMPv6 type ${type}: hop limit ${ttl}`, icmpv6Packet({ ...at(ttl), type })),
    )),
    ...[1, 2, 3, 4].flatMap((ttl) => {
      const [[first], [, later]] = [pieces(ttl), pieces(ttl)];
      return [
        one(`IPv6 fragments: the first, hop limit ${ttl}`, first),
        one(`IPv6 fragments: the second, hop limit ${ttl}`, later),
      ];
    }),
    { name: "IPv6 fragments: both, hop limit 64", packets: pieces(64) },
    one("IPv6 next header 253: hop limit 2", ipv6Packet(pattern(40), { ...at(2), nextHeader: 253 })),
    one("IPv6 header alone: hop limit 1", ipv6Packet(zeros(0), { ...at(1), nextHeader: 17 })),
    one("IPv6 without a next header: hop limit 1", ipv6Packet(zeros(0), { ...at(1), nextHeader: 59 })),
    one("IPv6 wrong checksum of UDP: hop limit 1", udpPacket6({ ...at(1), checksum: 1 })),
    one("IPv6 flow label: hop limit 1", icmpv6Packet({ ...at(1), flowLabel: 0x12345 })),
  ];
}

export const CHAIN_CASES: readonly HostCase[] = [...commonCases(), ...ipv4Cases(), ...ipv6Cases()];

/** Returns what the hop sends at which a packet's TTL is over, where earlier hops have written nothing into it. */
function exceeded(packet: Uint8Array): Uint8Array {
  const quote = packet.slice();
  const headerLen = (quote[0] & 15) * 4;
  quote.set([1, quote[9], 0, 0], 8);
  new DataView(quote.buffer).setUint16(10, checksum(quote.subarray(0, headerLen)));
  const message = bytes(11, 0, zeros(6), quote);
  new DataView(message.buffer).setUint16(2, checksum(message));
  return ipv4Packet(message, {
    src: HOPS[packet[8] - 1].ipv4, dst: SRC, ttl: 65 - packet[8], tos: 0xc0, fragment: 0x4000, protocol: 1,
  });
}

/** Has the host, in place of the first hop, send an ICMP error: past all of them, with what they have left of TTLs. */
const fromHost = changed((bytes, packet) => {
  bytes[1] = 0;
  bytes.set(packet.subarray(16, 20), 12);
  for (const at of [8, 28]) bytes[at + (at > 8 ? 8 : 0)] -= HOPS.length;
  new DataView(bytes.buffer).setUint16(38, 0);
  new DataView(bytes.buffer).setUint16(38, checksum(bytes.subarray(28, 28 + (bytes[28] & 15) * 4)));
});

const isHops = (packet: Uint8Array) => packet[14] === 200;

export const CHAIN_DIFFERENCES: readonly Difference[] = [
  {
    cases: /^IPv4 /,
    what: "don't-fragment on an ICMP error", linux: "is off", pongd: "is on, up to 552 bytes",
    why: "RFC 6864 §4.1: it then needs no identification of its own", requirements: "X-1, E-16", sends: changed(
      (bytes) => { if (isError4(bytes) && bytes.length <= 552) bytes[6] |= 0x40; },
    ),
  },
  {
    cases: /^IPv4 .*UDP/,
    what: "the type of service of the host's ICMP errors", linux: "is 0xc0", pongd: "is 0",
    why: "RFC 1122 §3.2.2", requirements: "X-1", sends: changed(
      (bytes) => { if (isError4(bytes) && !isHops(bytes)) bytes[1] = 0; },
    ),
  },
  {
    cases: /^IPv4 type of service (2|43|255): /,
    what: "ECN of the packet, in the type of service of a hop's error", linux: "comes back in part (ECT(0))",
    pongd: "is left out",
    why: "RFC 3168 §5: those bits are no longer part of the type of service", requirements: "HP-3",
    sends: changed((bytes) => { if (isError4(bytes)) bytes[1] &= 0xfc; }),
  },
  {
    cases: /^IPv4 ICMP type 1[57]: /,
    what: "an information or address mask request whose TTL is over", linux: "is answered with an error",
    pongd: "is dropped", why: "RFC 6918 §2: they are deprecated, and no queries any more", requirements: "HP-1",
    sends: nothing,
  },
  {
    cases: /^IPv4 options: (Loose Source Route|malformed Record Route), TTL [123]$/,
    what: "options of a packet whose TTL is over",
    linux: "are looked at first: a malformed one is told of, and source routes are dropped where they are off",
    pongd: "are not looked at: TTL exceeded", why: "what ends at a hop needs nothing more of it", requirements: "HP-1",
    sends: (_, [packet]) => comparable([exceeded(packet)], 0, 0, true),
  },
  {
    cases: /^IPv4 options: malformed Record Route, TTL (4|64)$/,
    what: "a malformed Record Route", linux: "is told of by the first hop", pongd: "is told of by the host",
    why: "hops leave such packets alone", requirements: "HP-1", sends: fromHost,
  },
  {
    cases: /^IPv6 ICMPv6 type 137: /,
    what: "a Redirect whose hop limit is over", linux: "is answered with an error", pongd: "is dropped",
    why: "RFC 4443 §2.4 e: no error is about a Redirect", requirements: "HP-1", sends: nothing,
  },
  {
    cases: /^IPv6 fragments: both/,
    what: "the length of an echo reply's fragments after a request in fragments", linux: "is the path MTU",
    pongd: "is at most that of the request's longest fragment, or 1280",
    why: "RFC 8200 §5: a path that took no more in one direction may take no more in the other", requirements: "S-12",
    sends: recut,
  },
];
