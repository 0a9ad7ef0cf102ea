/**
 * Lists one packet or more for every reason to drop one. A test
 * fails when a reason of abi/counters.ts has no packet here.
 */
import { type Drop } from "../../abi/counters.js";
import { Unreachable } from "../../abi/tables.js";
import { Service } from "../../abi/tcp.js";
import {
  destination, fragmentHeader, fragmentsOf6, hopByHop, icmpv6Packet, ipv6Packet, raw, setIcmpv6Checksum, udpPacket6,
  type Extension, type Ipv6Options,
} from "../support/ipv6.js";
import {
  bytes, fragmentsOf, icmpPacket, ipv4Packet, pattern, setHeaderChecksum, setIcmpChecksum, udpPacket, type EchoOptions,
} from "../support/packets.js";
import { byAddress, byIndex, byName, probe4, probe6 } from "../support/probe.js";
import { type Treatment } from "../support/engines.js";
import { CLEAR_WAY, type Link, type Way } from "../../src/prefix/link.js";
import type { Hop } from "../../src/prefix/path.js";
import type { PortRange } from "../../src/prefix/policy.js";
import { DEFAULT_STAMP, stampBytes, withKeys } from "../../src/prefix/stamp.js";
import { padsOf } from "../../src/base/sha256.js";

export interface DropVector {
  readonly reason: keyof typeof Drop;
  readonly name: string;
  readonly packet: Uint8Array;
  /** The policy, where it is not that of every engine. */
  readonly policy?: Partial<Treatment>;
}

/** Changes a correct echo request, and makes its header checksum right again, so that nothing else is wrong with it. */
function changed(change: (packet: Uint8Array) => void, packet = icmpPacket()): Uint8Array {
  change(packet);
  if (packet.length >= 20 && (packet[0] & 15) * 4 <= packet.length && (packet[0] & 15) >= 5) setHeaderChecksum(packet);
  return packet;
}

/** Changes the ICMP message of a correct echo request, and makes its checksum right again. */
function changedMessage(change: (msg: Uint8Array) => void): Uint8Array {
  const packet = icmpPacket();
  change(packet.subarray(20));
  setIcmpChecksum(packet.subarray(20));
  return packet;
}

const totalLen = (value: number) => (packet: Uint8Array) => {
  packet[2] = value >> 8;
  packet[3] = value & 255;
};

const martians = [
  "0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
];

const martians6 = ["::", "::1", "::ffff:10.99.0.1", "ff02::1", "ff0e::1"];

/** Changes the message of a correct ICMPv6 packet, and makes its checksum right again. */
function changed6(change: (msg: Uint8Array) => void, packet = icmpv6Packet()): Uint8Array {
  change(packet.subarray(40));
  setIcmpv6Checksum(packet);
  return packet;
}

export const DROPS: readonly DropVector[] = [
  // V-1
  { reason: "ip_inhdr", name: "V-1: one byte", packet: Uint8Array.of(0x45) },
  { reason: "ip_inhdr", name: "V-1: nineteen bytes", packet: icmpPacket().slice(0, 19) },
  { reason: "ip_inhdr", name: "V-1: version 5", packet: changed((p) => { p[0] = 0x55; }) },
  { reason: "ip_inhdr", name: "V-1: version 0", packet: changed((p) => { p[0] = 0x05; }) },
  { reason: "ip_inhdr", name: "V-1: version 15", packet: changed((p) => { p[0] = 0xf5; }) },
  { reason: "ip_inhdr", name: "V-1: header length 4 words", packet: changed((p) => { p[0] = 0x44; }) },
  { reason: "ip_inhdr", name: "V-1: header length 0", packet: changed((p) => { p[0] = 0x40; }) },
  {
    reason: "ip_inhdr", name: "V-1: header longer than the packet",
    packet: changed((p) => { p[0] = 0x4f; }, icmpPacket({ data: new Uint8Array(0) })),
  },
  { reason: "ip_inhdr", name: "V-1: total length 0", packet: changed(totalLen(0)) },
  { reason: "ip_inhdr", name: "V-1: total length one less than the header", packet: changed(totalLen(19)) },
  { reason: "pkt_too_small", name: "V-1: total length one more than received", packet: changed(totalLen(85)) },
  { reason: "pkt_too_small", name: "V-1: total length 65535", packet: changed(totalLen(65535)) },
  {
    reason: "pkt_too_small", name: "V-1: total length ends one byte into the ICMP header's end",
    packet: changed(totalLen(27)),
  },
  { reason: "pkt_too_small", name: "V-1: no ICMP message at all", packet: ipv4Packet(new Uint8Array(0)) },
  {
    reason: "pkt_too_small", name: "V-1: an ICMP message of seven bytes whose checksum holds",
    packet: ipv4Packet(Uint8Array.of(8, 0, 0xf7, 0xff, 0, 0, 0)),
  },
  // V-2
  { reason: "ip_csum", name: "V-2: header checksum off by one", packet: corrupt(icmpPacket(), 11) },
  { reason: "ip_csum", name: "V-2: a flipped identification bit", packet: corrupt(icmpPacket(), 4) },
  { reason: "ip_csum", name: "V-2: header checksum zero", packet: withBytes(icmpPacket(), 10, 0, 0) },
  // destinations
  ...martians.map((dst) => ({
    reason: "ip_invalid_dest", name: `E-5: to ${dst}`, packet: icmpPacket({ dst, src: "192.0.2.1" }),
  }) as const),
  {
    reason: "not_our_prefix", name: "I1: the host's own address",
    packet: icmpPacket({ dst: "10.99.0.1", src: "192.0.2.1" }),
  },
  { reason: "not_our_prefix", name: "I1: one below the prefix", packet: icmpPacket({ dst: "10.98.255.255" }) },
  { reason: "not_our_prefix", name: "I1: one above the prefix", packet: icmpPacket({ dst: "10.100.0.0" }) },
  // V-5
  ...martians.map(
    (src) => ({ reason: "martian_source", name: `V-5: from ${src}`, packet: icmpPacket({ src }) }) as const,
  ),
  {
    reason: "martian_source", name: "V-5: from an address that is answered for",
    packet: icmpPacket({ src: "10.99.2.2" }),
  },
  { reason: "martian_source", name: "V-5, I3: from the destination itself", packet: icmpPacket({ src: "10.99.1.1" }) },
  // fragments, where nothing reassembles them
  { reason: "ip_fragment", name: "a first fragment", packet: icmpPacket({ fragment: 0x2000 }) },
  { reason: "ip_fragment", name: "a last fragment", packet: icmpPacket({ fragment: 0x0001 }) },
  {
    reason: "ip_fragment", name: "a fragment whose offset has a high bit alone",
    packet: icmpPacket({ fragment: 0x1000 }),
  },
  // options
  {
    reason: "ip_options", name: "E-7: a loose source route",
    packet: icmpPacket({ options: Uint8Array.of(131, 7, 8, 192, 0, 2, 7, 0) }),
  },
  {
    reason: "ip_options", name: "E-7: a strict source route with a hop to go",
    packet: icmpPacket({ options: Uint8Array.of(137, 7, 4, 192, 0, 2, 7, 0) }),
  },
  { reason: "unhandled_proto", name: "UDP", packet: ipv4Packet(pattern(16), { protocol: 17 }) },
  { reason: "no_socket", name: "TCP", packet: ipv4Packet(pattern(40), { protocol: 6 }) },
  { reason: "unhandled_proto", name: "protocol 0", packet: ipv4Packet(pattern(40), { protocol: 0 }) },
  // ICMP
  { reason: "icmp_csum", name: "ICMP checksum off by one", packet: corrupt(icmpPacket(), 23) },
  {
    reason: "icmp_csum", name: "a flipped bit in the last byte of an odd length",
    packet: corrupt(icmpPacket({ data: pattern(57) }), 84),
  },
  { reason: "icmp_csum", name: "ICMP checksum zero", packet: withBytes(icmpPacket(), 22, 0, 0) },
  { reason: "icmp_csum", name: "C-3: all zero with the checksum zero too", packet: ipv4Packet(new Uint8Array(8)) },
  ...[8, 12, 19].map((length) => ({
    reason: "pkt_too_small", name: `T-3: a timestamp message of ${length} bytes`,
    packet: icmpPacket({ type: 13, data: new Uint8Array(length - 8) }),
  }) as const),
  ...[0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 16, 17, 18, 30, 31, 39, 40, 42, 43, 253, 255].map((type) => (
    {
      reason: "unhandled_icmp_type",
      name: `${type === 0 ? "E-14" : [4, 6, 15, 16, 17, 18, 30, 31, 39].includes(type) ? "D-1" : "D-2"}: ICMP type `
        + `${type}`,
      packet: changedMessage((msg) => { msg[0] = type; }),
    }) as const),
  // IPv6
  { reason: "ip_inhdr", name: "IPv6: one byte", packet: Uint8Array.of(0x60) },
  { reason: "ip_inhdr", name: "IPv6: 39 bytes", packet: icmpv6Packet().slice(0, 39) },
  {
    reason: "pkt_too_small", name: "IPv6: payload length one more than received",
    packet: withBytes(icmpv6Packet(), 4, 0, 65),
  },
  { reason: "pkt_too_small", name: "IPv6: payload length 65535", packet: withBytes(icmpv6Packet(), 4, 0xff, 0xff) },
  { reason: "pkt_too_small", name: "IPv6: no ICMPv6 message at all", packet: ipv6Packet(new Uint8Array(0)) },
  {
    reason: "pkt_too_small", name: "IPv6: an ICMPv6 message of seven bytes whose checksum holds",
    packet: changed6((msg) => { msg[0] = 128; }, ipv6Packet(new Uint8Array(7))),
  },
  ...martians6.map((dst) => ({
    reason: "ip_invalid_dest", name: `S-3: to ${dst}`, packet: icmpv6Packet({ dst, src: "2001:db8::1" }),
  }) as const),
  {
    reason: "not_our_prefix", name: "I1: the host's own IPv6 address",
    packet: icmpv6Packet({ dst: "fd99::1", src: "2001:db8::1" }),
  },
  {
    reason: "not_our_prefix", name: "I1: one below the IPv6 prefix",
    packet: icmpv6Packet({ dst: "fd98:ffff:ffff:ffff:ffff:ffff:ffff:ffff" }),
  },
  { reason: "not_our_prefix", name: "I1: one above the IPv6 prefix", packet: icmpv6Packet({ dst: "fd99:0:0:1::" }) },
  { reason: "not_our_prefix", name: "IPv6: to a link-local address", packet: icmpv6Packet({ dst: "fe80::1" }) },
  ...martians6.map(
    (src) => ({ reason: "martian_source", name: `I3: from ${src}`, packet: icmpv6Packet({ src }) }) as const,
  ),
  {
    reason: "martian_source", name: "I3: from an IPv6 address that is answered for",
    packet: icmpv6Packet({ src: "fd99::2" }),
  },
  {
    reason: "martian_source", name: "I3: from the IPv6 destination itself", packet: icmpv6Packet({ src: "fd99::1:1" }),
  },
  { reason: "icmp_csum", name: "S-4: ICMPv6 checksum off by one", packet: corrupt(icmpv6Packet(), 43) },
  {
    reason: "icmp_csum", name: "S-4: a flipped bit in the last byte of an odd length",
    packet: corrupt(icmpv6Packet({ data: pattern(57) }), 104),
  },
  { reason: "icmp_csum", name: "S-4: ICMPv6 checksum zero", packet: withBytes(icmpv6Packet(), 42, 0, 0) },
  { reason: "icmp_csum", name: "S-4: an address that the checksum does not know", packet: corrupt(icmpv6Packet(), 39) },
  {
    reason: "icmp_csum", name: "S-4: the checksum of a message without a pseudo-header",
    packet: ipv6Packet(icmpPacket().subarray(20)),
  },
  ...[0, 1, 3, 4, 8, 100, 127, 129, 130, 133, 135, 136, 137, 144, 200, 255].map((type) => (
    {
      reason: "unhandled_icmp_type", name: `${type === 129 ? "I3" : "S-5"}: ICMPv6 type ${type}`,
      packet: changed6((msg) => { msg[0] = type; }),
    }) as const),
  { reason: "unhandled_proto", name: "UDP over IPv6", packet: udpPacket6() },
  { reason: "no_socket", name: "TCP over IPv6", packet: ipv6Packet(pattern(40), { nextHeader: 6 }) },
  ...[1, 2, 50, 51, 59, 135, 253, 255].map((nextHeader) => ({
    reason: "unhandled_proto", name: `IPv6 next header ${nextHeader}`, packet: ipv6Packet(pattern(40), { nextHeader }),
  }) as const),
  {
    reason: "ip_fragment", name: "a first IPv6 fragment",
    packet: icmpv6Packet({ extensions: [fragmentHeader(0, 1, 1)] }),
  },
  {
    reason: "ip_fragment", name: "a last IPv6 fragment",
    packet: icmpv6Packet({ extensions: [fragmentHeader(8, 0, 1)] }),
  },
];

/** Packets that are answered, unless the prefix has a policy that ignores them. */
export const IGNORED: readonly DropVector[] = [
  { reason: "icmp_echo_ignored", name: "an echo request", packet: icmpPacket(), policy: { echo: false } },
  { reason: "icmp_echo_ignored", name: "an ICMPv6 echo request", packet: icmpv6Packet(), policy: { echo: false } },
  {
    reason: "icmp_timestamp_ignored", name: "a timestamp request", packet: icmpPacket({ type: 13, data: pattern(12) }),
    policy: { timestamp: false },
  },
];

/** Requests of PROBE's for a prefix with an interface that has an index. */
export const PROBES: readonly DropVector[] = ([
  ["a name", byName("eth0")], ["an address", byAddress(1, pattern(4))], ["an index, with L clear", byIndex(2), 0],
] as const).flatMap(([name, object, flags = 1]) =>
  [probe4(object, { flags }), probe6(object, { flags })].map((packet) =>
    ({ reason: "icmp_probe_ignored", name: `PR-1: IPv${packet[0] >> 4}: ${name}`, packet })));

/**
 * Packets that are answered once, and dropped when they come again at once and the prefix, or the source, is limited.
 */
export const LIMITED: readonly DropVector[] = [
  { name: "an echo request", packet: icmpPacket() },
  { name: "an ICMPv6 echo request", packet: icmpv6Packet() },
  { name: "a timestamp request", packet: icmpPacket({ type: 13, data: pattern(12) }) },
].map((vector) => ({ ...vector, reason: "rate_limited" }));

/**
 * The policy of an engine that looks at more than every engine does, and tells packets apart without answering them.
 */
const silent: Partial<Treatment> = { unreachable: { udp: Unreachable.silent, other: Unreachable.silent } };
/**
 * The checksum of a UDP datagram with two bytes of zeros. With this number as its data, the datagram's checksum is 0.
 */
const sumless = new DataView(udpPacket6({ data: new Uint8Array(2) }).buffer).getUint16(46);

/** Chains of extension headers that are wrong, and that are dropped without telling anybody. */
const BAD_CHAINS: readonly (readonly [name: string, ...extensions: Extension[]])[] = [
  ["nine headers", ...Array.from({ length: 9 }, () => destination())],
  ["a header beyond the packet", raw(60, 200, 1, 4, 0, 0, 0, 0)],
  ["a routing header beyond the packet", raw(43, 9, 0, 0, 0, 0, 0, 0)],
  ["an option beyond its header", raw(60, 0, 0x1e, 5, 0, 0, 0, 0)],
  ["a type without a length at the end", raw(60, 0, 1, 3, 0, 0, 0, 0x1e)],
  ["an option that asks to be discarded", destination(0x5e, 0)],
  ["the same in hop-by-hop options", hopByHop(0x5e, 0)],
  ["nine options", destination(...Array.from({ length: 9 }, () => bytes(0x1e, 0)))],
  ["eight bytes of padding", raw(60, 1, 0x1e, 4, 0, 0, 0, 0, ...Array.from({ length: 8 }, () => 0))],
  ["eight bytes of padding in two options", raw(60, 1, 0x1e, 4, 0, 0, 0, 0, 1, 2, 0, 0, 1, 2, 0, 0)],
  ["padding that is not of zeros", raw(60, 0, 1, 4, 0, 0, 1, 0)],
];

/** An S-BFD control packet, RFC 5880 §4.1, from discriminator 1 to 2: State Down and the D bit of an initiator. */
const SBFD_CONTROL = bytes(0x20, 0x42, 3, 24, 0, 0, 0, 1, 0, 0, 0, 2, new Uint8Array(12));

/** The UDP ports of the vectors below. */
export const UDP_PORTS: readonly PortRange[] = [
  ...([[7, "echo"], [9, "discard"], [10, "silent"], [862, "stamp"]] as const).map(([port, name]) => portOf(port, name)),
  {
    first: 863, last: 863,
    service: { name: "keyed", kind: Service.stamp, bytes: withKeys(stampBytes(DEFAULT_STAMP), padsOf(pattern(16))) },
  },
  portOf(2000, "echo"),
  {
    first: 2001, last: 2001,
    service: { name: "stateful", kind: Service.stamp, bytes: stampBytes({ ...DEFAULT_STAMP, mode: "stateful" }) },
  },
  portOf(2112, "irtt"),
  portOf(7784, "sbfd"),
  // Its discriminator is 7.
  { first: 7785, last: 7785, service: { name: "own", kind: Service.sbfd, bytes: bytes(0, 0, 0, 0, 0, 0, 0, 7) } },
];

function portOf(port: number, name: "echo" | "discard" | "silent" | "stamp" | "sbfd" | "irtt"): PortRange {
  return { first: port, last: port, service: { name, kind: Service[name] } };
}

/** Ports from which nobody is answered. */
const SERVICE_PORTS = [
  0, 1, 7, 9, 13, 17, 19, 37, 53, 123, 1023, 1900, 2000, 2112, 3478, 3702, 5353, 7784, 11211,
];

export const UDP: readonly DropVector[] = ([
  ...SERVICE_PORTS.flatMap((sourcePort) => [
    udpPacket({ destinationPort: 7, sourcePort }), udpPacket6({ destinationPort: 7, sourcePort }),
  ].map((packet) => ({
    reason: "udp_loop", name: `UE-2: IPv${packet[0] >> 4}: UDP echo from port ${sourcePort}`, packet,
  }) as const)),
  ...[{}, { sourcePort: 7 }, { data: new Uint8Array(0) }, { checksum: 0 }].map((options) => ({
    reason: "udp_discard", name: `UD-1: ${JSON.stringify(options)}`,
    packet: udpPacket({ ...options, destinationPort: 9 }),
  }) as const),
  { reason: "udp_discard", name: "UD-1: IPv6", packet: udpPacket6({ destinationPort: 9 }) },
  ...[0, 43].map((length) => ({
    reason: "stamp_short", name: `M-11: ${length} octets for STAMP`,
    packet: udpPacket({ data: new Uint8Array(length), destinationPort: 862 }),
  }) as const),
  { reason: "stamp_short", name: "M-11: IPv6", packet: udpPacket6({ data: pattern(43), destinationPort: 862 }) },
  // RFC 9503 §4.1.1: a Return Path TLV with the control code for no reply.
  {
    reason: "stamp_no_reply", name: "M-9: no reply is wanted",
    packet: udpPacket({
      data: bytes(new Uint8Array(44), 0x80, 10, 0, 8, 0x80, 1, 0, 4, 0, 0, 0, 0), destinationPort: 862,
    }),
  },
  ...[44, 111, 112, 200].map((length) => ({
    reason: "stamp_hmac", name: `M-10: ${length} octets that are not authenticated`,
    packet: udpPacket({ data: new Uint8Array(length), destinationPort: 863 }),
  }) as const),
  { reason: "stamp_hmac", name: "M-10: IPv6", packet: udpPacket6({ data: pattern(112), destinationPort: 863 }) },
  ...[new Uint8Array(0), pattern(23), pattern(40)].map((data) => ({
    reason: "sbfd_malformed", name: `SB-1: ${data.length} octets for S-BFD`,
    packet: udpPacket({ data, destinationPort: 7784 }),
  }) as const),
  {
    reason: "sbfd_discriminator", name: "SB-1: a discriminator that is another's",
    packet: udpPacket6({ data: SBFD_CONTROL, destinationPort: 7785 }),
  },
  ...[[], [0x14, 0xa7, 0x5b], [0x14, 0xa7, 0x5c, 0], [0x14, 0xa7, 0x5b, 8], [0x14, 0xa7, 0x5b, 1]].map((data) => ({
    reason: "irtt_malformed", name: `IR-2: ${data.length} octets for IRTT, ${data.join()}`,
    packet: udpPacket({ data: Uint8Array.from(data), destinationPort: 2112 }),
  }) as const),
  {
    reason: "irtt_token", name: "IR-4: a request without a session",
    packet: udpPacket6({ data: bytes(0x14, 0xa7, 0x5b, 0, pattern(56)), destinationPort: 2112 }),
  },
  {
    reason: "udp_loop", name: "IR-4: a reply of an IRTT server's",
    packet: udpPacket({ data: bytes(0x14, 0xa7, 0x5b, 2, pattern(56)), destinationPort: 2112 }),
  },
  {
    reason: "udp_loop", name: "SB-1: what a reflector has sent",
    packet: udpPacket({ data: SBFD_CONTROL.with(1, 0xc0), destinationPort: 7784 }),
  },
  // The memory has room for none.
  {
    reason: "stamp_sessions", name: "M-7: a session too many",
    packet: udpPacket({ data: new Uint8Array(44), destinationPort: 2001 }),
  },
  { reason: "no_socket", name: "a silent UDP port", packet: udpPacket({ destinationPort: 10 }) },
  ...[7, 9, 10].flatMap((destinationPort) => [
    {
      reason: "udp_csum", name: `a wrong checksum to UDP port ${destinationPort}`,
      packet: corrupt(udpPacket({ destinationPort }), 27),
    },
    {
      reason: "udp_csum", name: `no checksum over IPv6 to UDP port ${destinationPort}`,
      packet: udpPacket6({ destinationPort, checksum: 0 }),
    },
    {
      reason: "pkt_too_small", name: `a length of seven to UDP port ${destinationPort}`,
      packet: udpPacket({ destinationPort, length: 7 }),
    },
  ] as const),
  {
    reason: "martian_source", name: "UE-4: UDP echo to an address of pongd's from another one",
    packet: udpPacket({ destinationPort: 7, src: "10.99.2.2" }),
  },
  {
    reason: "martian_source", name: "UE-4: from a broadcast",
    packet: udpPacket({ destinationPort: 7, src: "255.255.255.255" }),
  },
  {
    reason: "ip_invalid_dest", name: "UE-4: to a multicast",
    packet: udpPacket({ destinationPort: 7, dst: "224.0.0.1", src: "192.0.2.1" }),
  },
] as const satisfies readonly DropVector[]).map((vector) => ({
  ...vector, policy: { ...silent, udp: { ports: UDP_PORTS } },
}));

export const SILENT: readonly DropVector[] = ([
  { reason: "no_socket", name: "UDP", packet: udpPacket() },
  { reason: "no_socket", name: "UDP without data", packet: udpPacket({ data: new Uint8Array(0) }) },
  { reason: "no_socket", name: "C-4: UDP without a checksum", packet: udpPacket({ checksum: 0 }) },
  { reason: "udp_csum", name: "UDP checksum off by one", packet: corrupt(udpPacket(), 27) },
  { reason: "udp_csum", name: "a flipped bit in UDP's data", packet: corrupt(udpPacket({ data: pattern(33) }), 60) },
  {
    reason: "pkt_too_small", name: "a UDP header of seven bytes",
    packet: ipv4Packet(new Uint8Array(7), { protocol: 17 }),
  },
  { reason: "pkt_too_small", name: "a UDP length of seven", packet: udpPacket({ length: 7 }) },
  { reason: "pkt_too_small", name: "a UDP length beyond the packet", packet: udpPacket({ length: 25 }) },
  { reason: "ip_noproto", name: "protocol 0", packet: ipv4Packet(pattern(40), { protocol: 0 }) },
  { reason: "ip_noproto", name: "GRE", packet: ipv4Packet(new Uint8Array(0), { protocol: 47 }) },
  { reason: "no_socket", name: "UDP over IPv6", packet: udpPacket6() },
  { reason: "no_socket", name: "UDP over IPv6 without data", packet: udpPacket6({ data: new Uint8Array(0) }) },
  { reason: "no_socket", name: "UDP behind destination options", packet: udpPacket6({ extensions: [destination()] }) },
  {
    reason: "tcp_csum", name: "TCP behind destination options",
    packet: ipv6Packet(pattern(40), { nextHeader: 6, extensions: [destination()] }),
  },
  { reason: "udp_csum", name: "C-5: UDP over IPv6 without a checksum", packet: udpPacket6({ checksum: 0 }) },
  {
    reason: "udp_csum", name: "C-5: the same where 0 is what the checksum comes out as, to be sent as 0xffff",
    packet: udpPacket6({ data: bytes(sumless >> 8, sumless & 255), checksum: 0 }),
  },
  { reason: "udp_csum", name: "UDP over IPv6, checksum off by one", packet: corrupt(udpPacket6(), 47) },
  {
    reason: "pkt_too_small", name: "a UDP header of seven bytes over IPv6",
    packet: ipv6Packet(new Uint8Array(7), { nextHeader: 17 }),
  },
  { reason: "pkt_too_small", name: "a UDP length of 0 over IPv6", packet: udpPacket6({ length: 0 }) },
  { reason: "pkt_too_small", name: "a UDP length beyond the packet over IPv6", packet: udpPacket6({ length: 25 }) },
  { reason: "ip_noproto", name: "IPv6 next header 253", packet: ipv6Packet(pattern(40), { nextHeader: 253 }) },
  { reason: "ip_noproto", name: "no next header", packet: ipv6Packet(pattern(40), { nextHeader: 59 }) },
  {
    reason: "icmp_unrelated", name: "S-12: a Packet Too Big about nothing",
    packet: icmpv6Packet({ type: 2, sequence: 1400, data: new Uint8Array(64) }),
  },
  {
    reason: "pkt_too_small", name: "S-12: a Packet Too Big that quotes too little",
    packet: icmpv6Packet({ type: 2, sequence: 1400, data: new Uint8Array(48) }),
  },
  {
    reason: "icmp_csum", name: "S-4: ICMPv6 checksum off by one behind destination options",
    packet: corrupt(icmpv6Packet({ extensions: [destination()] }), 51),
  },
  {
    reason: "pkt_too_small", name: "destination options, no message",
    packet: ipv6Packet(new Uint8Array(0), { extensions: [destination()] }),
  },
  ...BAD_CHAINS.map(([name, ...extensions]) => ({
    reason: "ipv6_bad_exthdr", name: `S-7: ${name}`, packet: icmpv6Packet({ extensions }),
  }) as const),
  {
    reason: "ipv6_bad_exthdr", name: "S-7: no room for a hop-by-hop header",
    packet: ipv6Packet(new Uint8Array(0), { nextHeader: 0 }),
  },
  {
    reason: "ipv6_bad_exthdr", name: "S-7: seven bytes of a destination options header",
    packet: ipv6Packet(Uint8Array.of(58, 0, 1, 3, 0, 0, 0), { nextHeader: 60 }),
  },
  {
    reason: "ipv6_bad_exthdr", name: "S-7: seven bytes of a fragment header",
    packet: ipv6Packet(Uint8Array.of(58, 0, 0, 0, 0, 0, 0), { nextHeader: 44 }),
  },
] as const).map((vector) => ({ ...vector, policy: silent }));

export interface FragmentVector {
  readonly reason: keyof typeof Drop;
  readonly name: string;
  /** Packets in the order in which they come. */
  readonly packets: readonly Uint8Array[];
  /** The number of them that are dropped for that reason; the others wait. */
  readonly dropped: number;
  readonly policy?: Partial<Treatment>;
  readonly mtu?: number;
  /** The time that passes until the engine is called once more. */
  readonly laterMs?: number;
}

const three = fragmentsOf(icmpPacket({ data: pattern(2992), fragment: 0 }), [0, 1000, 2000, 3000]);
const [head, middle, tail] = three;
const at = (offset: number, length: number, more: boolean, options: EchoOptions = {}) => ipv4Packet(
  pattern(length), { ...options, fragment: offset >> 3 | (more ? 0x2000 : 0) },
);

const three6 = fragmentsOf6(icmpv6Packet({ data: pattern(2992) }), [0, 1000, 2000, 3000]);
const [head6, middle6, tail6] = three6;
const at6 = (offset: number, length: number, more: boolean, options: Ipv6Options = {}) => {
  return ipv6Packet(
    pattern(length),
    { ...options, extensions: [...options.extensions ?? [], fragmentHeader(offset, more ? 1 : 0, 0xdeadbeef)] },
  );
};

/** Returns a fragment's bytes from `from` to `to`, as a fragment of the same datagram with more to follow. */
const cut = (fragment: Uint8Array, from: number, to: number) => changed((p) => {
  const view = new DataView(p.buffer);
  view.setUint16(2, p.length);
  view.setUint16(6, view.getUint16(6) + from / 8);
}, bytes(fragment.subarray(0, 20), fragment.subarray(20 + from, 20 + to)));

const cut6 = (fragment: Uint8Array, from: number, to: number) => {
  const part = bytes(fragment.subarray(0, 48), fragment.subarray(48 + from, 48 + to));
  const view = new DataView(part.buffer);
  view.setUint16(4, part.length - 40);
  view.setUint16(42, view.getUint16(42) + from);
  return part;
};

/** Fragments that are reassembled, but are no datagram in the end, and what becomes of them. */
export const FRAGMENTS: readonly FragmentVector[] = [
  { reason: "dup_frag", name: "the same again", packets: [head, head], dropped: 1 },
  {
    reason: "bad_frag", name: "the same range with another last byte",
    packets: [head, middle, corrupt(middle.slice(), 1019)], dropped: 3,
  },
  { reason: "bad_frag", name: "the begin of one that came", packets: [head, middle, cut(middle, 0, 400)], dropped: 3 },
  { reason: "bad_frag", name: "a part of one that came", packets: [head, middle, cut(middle, 96, 496)], dropped: 3 },
  { reason: "bad_frag", name: "the end of one that came", packets: [head, middle, cut(middle, 600, 1000)], dropped: 3 },
  { reason: "bad_frag", name: "a part of two that came", packets: [head, middle, at(800, 400, true)], dropped: 3 },
  {
    reason: "bad_frag", name: "two that came in one",
    packets: [head, cut(middle, 0, 504), cut(middle, 504, 1000), middle], dropped: 4,
  },
  { reason: "dup_frag", name: "a last one again", packets: [tail, tail], dropped: 1 },
  { reason: "bad_frag", name: "an overlap at the head", packets: [head, tail, at(992, 1008, true)], dropped: 3 },
  { reason: "bad_frag", name: "an overlap at the tail", packets: [head, tail, at(1000, 1008, true)], dropped: 3 },
  { reason: "bad_frag", name: "one around another", packets: [middle, at(0, 2008, true)], dropped: 2 },
  { reason: "bad_frag", name: "two ends, the second one earlier", packets: [tail, at(1000, 1000, false)], dropped: 2 },
  { reason: "bad_frag", name: "two ends, the second one later", packets: [at(1000, 1000, false), tail], dropped: 2 },
  { reason: "bad_frag", name: "more to follow behind the end", packets: [tail, at(3000, 8, true)], dropped: 2 },
  {
    reason: "bad_frag", name: "more to follow within the end's block", packets: [at(8, 5, false), at(8, 8, true)],
    dropped: 2,
  },
  { reason: "bad_frag", name: "an end before what came", packets: [at(0, 2000, true), at(1000, 8, false)], dropped: 2 },
  { reason: "bad_frag", name: "an empty first one", packets: [at(0, 0, true)], dropped: 1 },
  { reason: "bad_frag", name: "an empty one in the middle", packets: [head, at(1000, 0, true)], dropped: 2 },
  { reason: "bad_frag", name: "an empty last one", packets: [head, middle, at(2000, 0, false)], dropped: 3 },
  {
    reason: "bad_frag", name: "more to follow, and a length that is no multiple of 8",
    packets: [head, at(1000, 1005, true)], dropped: 2,
  },
  { reason: "bad_frag", name: "a first one of 4 bytes", packets: [at(0, 4, true)], dropped: 1 },
  { reason: "bad_frag", name: "beyond 65535 bytes of payload", packets: [head, at(65528, 8, false)], dropped: 2 },
  {
    reason: "bad_frag", name: "beyond 65535 bytes of payload, with more to follow", packets: [at(65528, 1000, true)],
    dropped: 1,
  },
  {
    reason: "bad_frag", name: "beyond 65535 bytes with the header", packets: [at(0, 65512, true), at(65512, 4, false)],
    dropped: 2,
  },
  {
    reason: "bad_frag", name: "beyond 65535 bytes with the header's options",
    packets: [at(0, 65472, true, { options: new Uint8Array(40) }), at(65472, 8, false)], dropped: 2,
  },
  {
    reason: "bad_frag", name: "one that is not ECN-capable among some that are",
    packets: [at(0, 8, true, { tos: 2 }), at(8, 8, false, { tos: 0 })], dropped: 2,
  },
  {
    reason: "frag_evicted", name: "the third datagram where there is room for two", policy: { reassembly: 2 },
    packets: [head, middle, at(0, 8, true, { id: 1 }), at(0, 8, true, { id: 2 })], dropped: 2,
  },
  { reason: "frag_reasm_timeout", name: "60 s", packets: [head, tail], laterMs: 60_001, dropped: 2 },
  {
    reason: "nomem", name: "a reply of more fragments than there are slots",
    packets: fragmentsOf(icmpPacket({ data: pattern(30000), fragment: 0 }), [0, 15000, 30008]), mtu: 68, dropped: 2,
  },
  { reason: "icmp_csum", name: "ICMP checksum", packets: [head, corrupt(middle.slice(), 500), tail], dropped: 3 },
  {
    reason: "unhandled_icmp_type", name: "an echo reply",
    packets: fragmentsOf(icmpPacket({ type: 0, fragment: 0 }), [0, 32, 64]), dropped: 2,
  },
  {
    reason: "no_socket", name: "UDP", policy: silent,
    packets: fragmentsOf(udpPacket({ data: pattern(100), fragment: 0 }), [0, 8, 16, 108]), dropped: 3,
  },
  {
    reason: "tcp_csum", name: "TCP",
    packets: fragmentsOf(ipv4Packet(pattern(100), { protocol: 6, fragment: 0 }), [0, 8, 100]), dropped: 2,
  },
  { reason: "dup_frag", name: "S-8: IPv6: the same again", packets: [head6, middle6, middle6], dropped: 1 },
  { reason: "dup_frag", name: "S-8: IPv6: the last one again", packets: [tail6, tail6], dropped: 1 },
  {
    reason: "bad_frag", name: "S-8: IPv6: the same range with another last byte",
    packets: [head6, middle6, corrupt(middle6.slice(), 1047)], dropped: 3,
  },
  {
    reason: "bad_frag", name: "S-8: IPv6: the begin of one that came", packets: [head6, middle6, cut6(middle6, 0, 400)],
    dropped: 3,
  },
  {
    reason: "bad_frag", name: "S-8: IPv6: a part of one that came", packets: [head6, middle6, cut6(middle6, 96, 496)],
    dropped: 3,
  },
  {
    reason: "bad_frag", name: "S-8: IPv6: the end of one that came",
    packets: [head6, middle6, cut6(middle6, 600, 1000)], dropped: 3,
  },
  {
    reason: "bad_frag", name: "S-8: IPv6: two that came in one",
    packets: [head6, cut6(middle6, 0, 504), cut6(middle6, 504, 1000), middle6], dropped: 4,
  },
  { reason: "bad_frag", name: "S-8: IPv6: an overlap", packets: [head6, tail6, at6(992, 1008, true)], dropped: 3 },
  { reason: "bad_frag", name: "S-8: IPv6: two ends", packets: [tail6, at6(1000, 1000, false)], dropped: 2 },
  {
    reason: "bad_frag", name: "S-8: IPv6: an empty last one", packets: [head6, middle6, at6(2000, 0, false)],
    dropped: 3,
  },
  {
    reason: "bad_frag", name: "S-8: IPv6: beyond 65535 bytes with the first one's headers",
    packets: [at6(0, 65472, true, { extensions: [destination()] }), at6(65472, 63, false)], dropped: 2,
  },
  {
    reason: "bad_frag", name: "S-8: IPv6: one that is not ECN-capable among some that are",
    packets: [at6(0, 8, true, { trafficClass: 2 }), at6(8, 8, false)], dropped: 2,
  },
  {
    reason: "frag_evicted", name: "S-8: IPv6: the second datagram where there is room for one",
    policy: { reassembly: 1 }, packets: [head6, middle6, middle], dropped: 2,
  },
  { reason: "frag_reasm_timeout", name: "S-8: IPv6: 60 s", packets: [head6, tail6], laterMs: 60_001, dropped: 2 },
  {
    reason: "nomem", name: "S-8: IPv6: a reply of more fragments than there are slots",
    packets: fragmentsOf6(icmpv6Packet({ data: pattern(30000) }), [0, 15000, 30008]), mtu: 68, dropped: 2,
  },
  {
    reason: "icmp_csum", name: "S-8: IPv6: ICMPv6 checksum", packets: [head6, corrupt(middle6.slice(), 500), tail6],
    dropped: 3,
  },
  {
    reason: "unhandled_icmp_type", name: "S-8: IPv6: a neighbor solicitation (RFC 6980 §5)",
    packets: fragmentsOf6(icmpv6Packet({ type: 135 }), [0, 32, 64]), dropped: 2,
  },
  {
    reason: "no_socket", name: "S-8: IPv6: UDP", policy: silent,
    packets: fragmentsOf6(udpPacket6({ data: pattern(100) }), [0, 8, 16, 108]), dropped: 3,
  },
];

export interface LinkVector {
  readonly reason: keyof typeof Drop;
  readonly name: string;
  readonly link: Link;
  /** Most packets that are kept. */
  readonly kept: number;
  /** Packets that come together. The first ones are kept, or answered. */
  readonly packets: readonly Uint8Array[];
  /** How many of them are dropped for that reason. */
  readonly dropped: number;
}

const two = [icmpPacket({ sequence: 1 }), icmpPacket({ sequence: 2 })];
const lossy: Way = { ...CLEAR_WAY, loss: { kind: "random", probability: 1 } };
const far: Way = { ...CLEAR_WAY, delayNs: 1e9 };
/** A packet in a second, and room for one to wait. */
const narrow: Way = { ...CLEAR_WAY, rate: { byteNs: 1e7, overhead: 0, queueNs: Infinity, queuePackets: 1 } };

/** Packets that a link loses, or for which there is no room on it. */
export const LINKED: readonly LinkVector[] = [
  {
    reason: "link_loss", name: "all is lost on the way in",
    link: { in: lossy, out: CLEAR_WAY }, kept: 8, packets: two, dropped: 2,
  },
  {
    reason: "link_loss_out", name: "all is lost on the way back", link: { in: CLEAR_WAY, out: lossy }, kept: 8,
    packets: two, dropped: 2,
  },
  {
    reason: "link_queue_full", name: "four packets through a narrow way in", link: { in: narrow, out: CLEAR_WAY },
    kept: 8, packets: [...two, ...two], dropped: 3,
  },
  {
    reason: "link_queue_full", name: "four replies through a narrow way back", link: { in: CLEAR_WAY, out: narrow },
    kept: 8, packets: [...two, ...two], dropped: 3,
  },
  {
    reason: "held_full", name: "two packets on their way in, and room for one", link: { in: far, out: CLEAR_WAY },
    kept: 1, packets: two, dropped: 1,
  },
  {
    reason: "held_full", name: "two replies on their way back, and room for one", link: { in: CLEAR_WAY, out: far },
    kept: 1, packets: two, dropped: 1,
  },
];

/** A path, and requests that end on it. */
export interface PathVector {
  readonly reason: keyof typeof Drop;
  readonly name: string;
  readonly hop: Partial<Hop>;
  readonly packets: readonly Uint8Array[];
}

/** The path of each is two hops of which the second one is this. */
export const PATHED: readonly PathVector[] = [
  { reason: "ttl_expired", name: "a TTL for one hop", hop: {}, packets: [icmpPacket({ ttl: 2 })] },
  { reason: "hop_silent", name: "a TTL for one hop, and none speaks", hop: { silent: true },
    packets: [icmpPacket({ ttl: 2 }), icmpv6Packet({ hopLimit: 2 })] },
  { reason: "pkt_too_big", name: "too long, and not to be fragmented", hop: { mtu: 1300 },
    packets: [icmpPacket({ data: new Uint8Array(1300) }), icmpv6Packet({ data: new Uint8Array(1300) })] },
  { reason: "pmtu_black_hole", name: "too long for a black hole", hop: { mtu: 1300, blackHole: true },
    packets: [icmpPacket({ data: new Uint8Array(1300) }), icmpv6Packet({ data: new Uint8Array(1300) })] },
];

function corrupt(packet: Uint8Array, at: number): Uint8Array {
  packet[at] ^= 1;
  return packet;
}

function withBytes(packet: Uint8Array, at: number, ...bytes: number[]): Uint8Array {
  packet.set(bytes, at);
  return packet;
}
