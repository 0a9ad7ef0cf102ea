/**
 * Lists where pongd's answer differs from Linux's. A test fails for a difference that is not here, and for an entry
 * here that is no difference.
 */
import { addr6, expectedError6, expectedReply6, fragmentsOf6 } from "../support/ipv6.js";
import { bytes as joined, expectedError, expectedReply, fragmentsOf } from "../support/packets.js";
import { comparable, type Reply } from "../support/replies.js";

export interface Difference {
  /** The names of the HOST_CASES that differ. */
  readonly cases: RegExp;
  /** The cases in words. */
  readonly what: string;
  readonly linux: string;
  readonly pongd: string;
  readonly why: string;
  /** Ids in docs/develop/conformance.md. */
  readonly requirements: string;
  /** Turns what Linux sends into what pongd sends; `packets`: what both were sent. */
  readonly sends: (linux: readonly Reply[], packets: readonly Uint8Array[]) => readonly Reply[];
}

export const nothing = () => [];

/** Changes the bytes of each reply, as the first packet says. */
export const changed = (change: (bytes: Uint8Array, packet: Uint8Array) => void) => (
  replies: readonly Reply[], [packet]: readonly Uint8Array[],
) => replies.map(({ bytes, fault }) => {
  const copy = bytes.slice();
  change(copy, packet);
  return { bytes: copy, fault };
});

/** Sets the code of PROBE's replies, and the state of the interface if it is given. */
const answeredBy = (code: number, state?: number) => changed((bytes) => {
  const msg = bytes.subarray(bytes[0] >> 4 === 6 ? 40 : 20);
  msg[1] = code;
  msg[7] = state ?? msg[7];
});

/** A range without any time in it: packets that are made here have no time of their own. */
const NO_TIMES = [1, 0] as const;

/** Replaces the replies by what `make` makes of the first packet. */
const made = (make: (packet: Uint8Array) => Uint8Array) => (
  _: unknown, [packet]: readonly Uint8Array[],
) => comparable([make(packet)], ...NO_TIMES);
/** The echo reply, without the one header before the message. */
const answer = made((packet) => expectedReply6(packet, { extensions: 8 * (packet[41] + 1) }));
const problem = (code: number, pointer: number) => made((packet) => expectedError6(packet, 4, code, { pointer }));

/** Returns type, code and first byte of the parameter of an ICMP error. */
function error4(bytes: Uint8Array): [type: number, code: number, options: { parameter: number }] {
  const msg = bytes.subarray((bytes[0] & 15) * 4);
  return [msg[0], msg[1], { parameter: msg[4] }];
}

function withoutOptions(packet: Uint8Array): Uint8Array {
  const plain = joined(packet.subarray(0, 20), packet.subarray((packet[0] & 15) * 4));
  plain[0] = 0x45;
  new DataView(plain.buffer).setUint16(2, plain.length);
  return plain;
}

/** Cuts one datagram's fragments anew for an MTU of 1500, with the options on the first alone. */
function refragmented(replies: readonly Reply[]): Reply[] {
  const headers = replies.map(({ bytes }) => bytes.subarray(0, (bytes[0] & 15) * 4));
  const whole = joined(headers[0], ...replies.map(({ bytes }, i) => bytes.subarray(headers[i].length)));
  const ends: number[] = [];
  const length = whole.length - headers[0].length;
  for (let end = 1500 - headers[0].length & ~7; end < length; end += 1480) ends.push(end);
  return fragmentsOf(whole, [0, ...ends, length]).map((fragment, i) => {
    const bytes = i === 0 ? fragment : withoutOptions(fragment);
    bytes.fill(0, 10, 12);
    return { bytes, fault: "" };
  });
}

/** Cuts IPv6 echo replies into fragments no longer than the longest of the packets that asked, or 1280. */
export function recut(replies: readonly Reply[], packets: readonly Uint8Array[]): Reply[] {
  const mtu = Math.max(1280, ...packets.map(({ length }) => length));
  const recutReplies: Reply[] = [];
  for (let i = 0, parts: Uint8Array[] = []; i < replies.length; i++) {
    const { bytes } = replies[i];
    const isFragment = bytes[0] >> 4 === 6 && bytes[6] === 44;
    parts.push(bytes.subarray(isFragment ? 48 : 40));
    if (isFragment && (bytes[43] & 1) === 1) continue;
    const payload = joined(...parts);
    const first = i - parts.length + 1;
    parts = [];
    const fits = bytes[0] >> 4 !== 6 || payload[0] !== 129 || 40 + payload.length <= mtu;
    recutReplies.push(...fits ? replies.slice(first, i + 1) : fragmentsOfReply(replies[first].bytes, payload, mtu));
  }
  return recutReplies;
}

/** Cuts a reply into fragments with this header's first 40 bytes and an identification of 0. */
function fragmentsOfReply(header: Uint8Array, payload: Uint8Array, mtu: number): Reply[] {
  const packet = joined(header.subarray(0, 40), payload);
  packet[6] = 58;
  const ends: number[] = [];
  for (let end = mtu - 48 & ~7; end < payload.length; end += mtu - 48 & ~7) ends.push(end);
  return fragmentsOf6(packet, [0, ...ends, payload.length], 0).map((bytes) => ({ bytes, fault: "" }));
}

export const isError4 = (bytes: Uint8Array) => bytes[0] >> 4 === 4 && bytes[9] === 1
  && [3, 11, 12].includes(bytes[(bytes[0] & 15) * 4]);

export const DIFFERENCES: readonly Difference[] = [
  {
    cases: /(^IPv4 sources: |from )(0\.0\.0\.1|0\.1\.2\.3|240\.0\.0\.1|254\.1\.2\.3|255\.255\.255\.254)$/,
    what: "a source in 0/8 or in class E", linux: "answers, unless it is 0.0.0.0 or 255.255.255.255",
    pongd: "drops it as `martian_source`",
    why: "RFC 1122 §3.2.1.3 has no host with such an address", requirements: "V-5", sends: nothing,
  },
  {
    cases: /a timestamp message of 1[2-9] bytes$/,
    what: "a timestamp request of 12 to 19 bytes", linux: "answers with 20 bytes", pongd: "drops it as `pkt_too_small`",
    why: "the message has no room for what is asked, and a reply would be longer than its request",
    requirements: "T-3, I2", sends: nothing,
  },
  {
    cases: /^IPv4 echo: C-3/,
    what: "an echo request that is all zero except for its type", linux: "sends the checksum 0x0000, which does not "
      + "verify", pongd: "sends 0xffff, which does",
    why: "RFC 1071: a correct message sums to 0xffff, and zeros alone sum to 0", requirements: "C-3", sends: (
      replies,
    ) => replies.map(({ bytes }) => ({ bytes, fault: "" })),
  },
  {
    cases: /^IPv4 echo: (don't fragment|the reserved flag and don't fragment)/,
    what: "don't-fragment on an echo request", linux: "clears it", pongd: "sends it back, up to 552 bytes",
    why: "pongd reflects the identification, which is unique only together with don't-fragment; paths take shorter "
      + "packets", requirements: "E-15, E-16", sends: changed((bytes) => { bytes[6] |= 0x40; }),
  },
  {
    cases: /^IPv6 destinations: ff02::1$|^drops: S-3: to ff02::1$|unknown: (skip|tell), to multicast$/,
    what: "an echo request to all nodes", linux: "answers from an address of its own, and sends errors about options",
    pongd: "sends nothing",
    why: "no address of a prefix is every node's", requirements: "S-3", sends: nothing,
  },
  {
    cases: /^IPv6 .*(: |from )::(ffff:(10|127)\.0\.0\.1)?$|^drops: I3: from ::(ffff:10\.99\.0\.1)?$/,
    what: "a source that is the unspecified address or an IPv4-mapped one", linux: "answers",
    pongd: "drops it as `martian_source`",
    why: "RFC 4291 §2.5.2: a reply cannot go to the first; RFC 4291 §2.5.5.2: the others stand for IPv4 within a host",
    requirements: "I3", sends: nothing,
  },
  {
    cases: /^IPv6 echo: .*flow label (1|74565|1048575|0xfffff)$|^IPv6 fragments: hop limit, traffic class and flow label of each its own$/,
    what: "the flow label of an echo reply", linux: "is 0, or a hash of its own (net.ipv6.auto_flowlabels)",
    pongd: "is the request's",
    why: "RFC 6437 §3: the label is then as uniform and as hard to guess as the request's, and both directions have "
      + "the same", requirements: "S-9",
    sends: changed((bytes, packet) => { bytes.set([bytes[1] & 0xf0 | packet[1] & 15, packet[2], packet[3]], 1); }),
  },
  {
    cases: /^IPv6 chains: (9|16|32|64|128|170) destination options headers$/,
    what: "more than eight extension headers", linux: "reads them all", pongd: "drops the packet as `ipv6_bad_exthdr`",
    why: "the work has to have a bound (RFC 8504 §5.3), and RFC 8200 §4.1 uses no more than seven", requirements: "S-7",
    sends: nothing,
  },
  {
    cases: /^IPv6 options: hop-by-hop, (Router Alert of length 1|CALIPSO|IOAM)$/,
    what: "options for routers that are malformed or not configured", linux: "drops the packet", pongd: "skips them",
    why: "RFC 8200 §4.2 lets a host skip options that it does not know, and pongd knows padding alone",
    requirements: "S-7", sends: answer,
  },
  {
    cases: /^IPv6 options: hop-by-hop, Jumbo Payload of /,
    what: "the Jumbo Payload option", linux: "knows it, and sends an error with code 0 if its length is that of a "
      + "short packet", pongd: "does not know it, and sends an error with code 2",
    why: "RFC 2675 §3: no packet of a TUN device is that long", requirements: "S-7", sends: problem(2, 42),
  },
  {
    cases: /^IPv6 routing: type [34], segments left 0(, 8 bytes)?$/,
    what: "a routing header of type 3 or 4 without segments left", linux: "drops the packet where segment routing is "
      + "not enabled", pongd: "skips it",
    why: "RFC 8200 §4.4", requirements: "S-10", sends: answer,
  },
  {
    cases: /^IPv6 routing: type [34], segments left ([12]|255)/,
    what: "a routing header of type 3 or 4 with segments left", linux: "drops the packet where segment routing is not "
      + "enabled", pongd: "sends an error, as for any other type",
    why: "RFC 8200 §4.4: pongd knows no type", requirements: "S-10", sends: problem(0, 42),
  },
  {
    cases: /^IPv6 chains: hop-by-hop, destination, fragment, cut to 1[6-9] bytes of payload$/,
    what: "a fragment header of 0 to 3 bytes", linux: "sends an error with code 0, but none about 4 to 7 bytes",
    pongd: "drops the packet as `ipv6_bad_exthdr`",
    why: "no RFC asks for an error", requirements: "S-8", sends: nothing,
  },
  {
    cases: /^IPv6 UDP: length field 0 of 24$/,
    what: "a UDP length of 0", linux: "takes it for the whole packet, as in a jumbogram (RFC 2675 §4)",
    pongd: "drops it as `pkt_too_small`",
    why: "no packet of a TUN device is a jumbogram", requirements: "C-5", sends: nothing,
  },
  {
    cases: /^IPv[46] UDP: length field (8|9|23) of 24$/,
    what: "an error about a packet that continues after its UDP datagram",
    linux: "quotes up to the end of the datagram", pongd: "quotes the whole packet",
    why: "RFC 1812 §4.3.2.3, RFC 4443 §2.4 c: an error quotes as much of the packet as fits", requirements: "X-1, S-6",
    sends: made((packet) => packet[0] >> 4 === 4 ? expectedError(packet, 3, 3) : expectedError6(packet, 1, 4)),
  },
  {
    cases: /^IPv6 next headers: 253 to fd99::7:7$/,
    what: "the source of an ICMPv6 error", linux: "is an address of the host's interfaces", pongd: "is the address "
      + "that was asked",
    why: "RFC 4443 §2.2; a prefix that is routed to lo has no address of its own for Linux", requirements: "S-6",
    sends: changed((bytes) => { bytes.set(addr6("fd99::7:7"), 8); }),
  },
  {
    cases: /^IPv4 (protocols|UDP|options|fragments): |^drops: protocol 0$/,
    what: "the type of service of an ICMP error", linux: "is 0xc0 (internetwork control) plus bits of the packet that "
      + "caused it", pongd: "is 0",
    why: "RFC 1122 §3.2.2", requirements: "X-1", sends: changed((bytes) => { if (isError4(bytes)) bytes[1] = 0; }),
  },
  {
    cases: /^IPv4 (protocols|UDP|options|fragments): |^drops: protocol 0$/,
    what: "don't-fragment on an ICMP error", linux: "is off", pongd: "is on, up to 552 bytes",
    why: "RFC 6864 §4.1: it then needs no identification of its own", requirements: "X-1, E-16", sends: changed(
      (bytes) => { if (isError4(bytes) && bytes.length <= 552) bytes[6] |= 0x40; },
    ),
  },
  {
    cases: /^IPv4 (options: (malformed after .*|(Record|Timestamp 0|Loose Source)( Route)? twice(, .*)?|Strict and .*)|(protocols: 253|UDP:) with a (Record Route|full .*))$/,
    what: "an ICMP error about a packet with a route or a Timestamp",
    linux: "has such an option, follows a source route, and quotes the packet's option as Linux has filled it in",
    pongd: "has none, goes straight to the source, and quotes the packet as it came",
    why: "RFC 1812 §4.3.2.3: a packet is quoted unmodified; pongd's errors have no options", requirements: "E-8, X-1",
    sends: (replies, [packet]) => comparable(
      replies.map(({ bytes }) => expectedError(packet, ...error4(bytes))), ...NO_TIMES,
    ),
  },
  {
    cases: /^IPv4 protocols: 253 with a Record Route, room for one and a half$/,
    what: "an ICMP error about a packet whose route has no room for Linux's second entry", linux: "is not sent",
    pongd: "is sent",
    why: "pongd's errors have no options, so they need no room", requirements: "E-8, X-1", sends: made(
      (packet) => expectedError(packet, 3, 2),
    ),
  },
  {
    cases: /^IPv4 options: Timestamp 3, (0\.0\.0\.0|multicast)$/,
    what: "a Timestamp option that asks 0.0.0.0 or a group for the time", linux: "fills it in", pongd: "does not",
    why: "RFC 791 §3.1: the host with that address fills it in", requirements: "E-6, E-8", sends: made(
      (packet) => expectedReply(packet),
    ),
  },
  {
    cases: /^IPv4 options: Loose Source Route, to go: (our own|another) address.*, accepted$/,
    what: "an accepted source route whose next hop is an address of the host itself", linux: "follows it",
    pongd: "drops the packet as `ip_options`",
    why: "RFC 1122 §3.3.5: pongd forwards nothing, not even to itself", requirements: "E-7", sends: nothing,
  },
  {
    cases: /^IPv4 options: CIPSO/,
    what: "a CIPSO label", linux: "sends an error unless the label is configured", pongd: "ignores it",
    why: "RFC 1122 §3.2.1.8: a host ignores options that it does not understand", requirements: "E-8", sends: made(
      (packet) => expectedReply(withoutOptions(packet)),
    ),
  },
  {
    cases: /^IPv4 options: an echo request's first bytes, by a header length of 6 words$/,
    what: "a malformed option of a deprecated ICMP query (15 to 18)", linux: "sends an error", pongd: "does not",
    why: "RFC 6918 §3: a host treats these types as unknown, and an unknown type may be an error",
    requirements: "E-8, D-1", sends: nothing,
  },
  {
    cases: /^IPv4 protocols: 2$/,
    what: "IGMP", linux: "accepts it", pongd: "answers with protocol unreachable",
    why: "RFC 1122 §3.2.2.1: pongd is in no group and does not speak IGMP", requirements: "X-4", sends: made(
      (packet) => expectedError(packet, 3, 2),
    ),
  },
  {
    cases: /^IPv4 fragments: a length of a part with more that is no multiple of 8$/,
    what: "a fragment with more to follow whose length is no multiple of 8", linux: "cuts it to a multiple",
    pongd: "drops its datagram as `bad_frag`",
    why: "RFC 791 §3.1: fragments are in units of 8 bytes, so no sender makes such a fragment", requirements: "V-6",
    sends: nothing,
  },
  {
    cases: /^IPv[46] fragments: (the same range with other bytes|a part within another|the first part again, shorter)$/,
    what: "a fragment whose whole range came before, but not as one fragment or not with the same bytes",
    linux: "takes it for a duplicate", pongd: "drops its datagram as `bad_frag`",
    why: "RFC 8200 §4.5: it is an overlap, and only an exact duplicate may be tolerated; pongd applies this to IPv4, "
      + "too",
    requirements: "S-8, V-6", sends: nothing,
  },
  {
    cases: /^IPv6 fragments: /,
    what: "the length of an echo reply's fragments after a request in fragments", linux: "is the path MTU",
    pongd: "is at most that of the request's longest fragment, or 1280",
    why: "RFC 8200 §5: a path that took no more in one direction may take no more in the other", requirements: "S-12",
    sends: recut,
  },
  {
    cases: /^IPv4 fragments: a Record Route on (every part|the first part alone)$/,
    what: "a reply in fragments that has a route or a Timestamp", linux: "puts no-operations in its place in later "
      + "fragments", pongd: "makes the headers of later fragments shorter",
    why: "RFC 791 §3.2 asks for it; with no-operations, the reply could be longer than its request (I2)",
    requirements: "E-4",
    sends: refragmented,
  },
  {
    cases: /^PROBE, IPv4: /,
    what: "the flag don't-fragment of a reply of PROBE's", linux: "is clear", pongd: "is set",
    why: "RFC 8335 §4: it is 1", requirements: "PR-1", sends: changed((bytes) => { bytes[6] |= 0x40; }),
  },
  {
    cases: /^PROBE, IPv[46]: a type of service$/,
    what: "the type of service, or traffic class, of a reply of PROBE's", linux: "is that of the request",
    pongd: "is 0", why: "RFC 8335 §4: the DSCP is CS0", requirements: "PR-1", sends: changed((bytes) => {
      bytes.set(bytes[0] >> 4 === 6 ? [0x60, bytes[1] & 0x0f] : [bytes[0], 0]);
    }),
  },
  {
    cases: /^PROBE, IPv[46]: another code$/,
    what: "the code of a request of PROBE's", linux: "comes back if nothing is wrong", pongd: "is ignored",
    why: "RFC 8335 §2: the code of a request is ignored, and §4 says the reply's", requirements: "PR-1",
    sends: answeredBy(0),
  },
  {
    cases: /^PROBE, IPv[46]: (a long name|a MAC address|a family that nothing has)$/,
    what: "a name of more than 15 bytes, or an address that is neither IPv4 nor IPv6",
    linux: "is malformed (code 1)", pongd: "is that of an interface, or of none (code 2)",
    why: "RFC 8335 §2.1 allows them", requirements: "PR-1", sends: answeredBy(2),
  },
  {
    cases: /^PROBE, IPv[46]: (another class|another version|a wrong checksum)$/,
    what: "the version, the checksum and the object's class in a request of PROBE's", linux: "are not looked at",
    pongd: "make it malformed (code 1) if they are wrong",
    why: "RFC 8335 §4.1; RFC 4884 §7, §8", requirements: "PR-1", sends: answeredBy(1, 0),
  },
];

/**
 * Cases that are not compared, because a kernel's answers depend on its modules: IPIP, DCCP, 6in4, GRE, ESP, AH,
 * IPComp, PIM, L2TP, SCTP, mobility, UDP-Lite, MPLS.
 */
export const DEPENDS_ON_MODULES = /^IPv[46] (protocols|next headers): (4|33|41|47|50|51|103|108|115|132|135|136|137)( behind .*)?$|^IPv6 chains: (AH|ESP|mobility)/;

/** Returns the differences as docs/develop/conformance.md has them. */
export function table(differences: readonly Difference[]): string {
  return [
    "| | Linux | pongd | why | |", "|---|---|---|---|---|",
    ...differences.map(
      ({ what, linux, pongd, why, requirements }) => `| ${what} | ${linux} | ${pongd} | ${why} | ${requirements} |`,
    ),
  ].join("\n");
}
