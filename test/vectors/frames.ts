/**
 * Lists frames that are dropped before anybody looks at a packet in them, one or more for each reason. Unless a MAC
 * policy is named, they are dropped under both.
 */
import { MacPolicy } from "../../abi/control.js";
import { type Drop } from "../../abi/counters.js";
import {
  arpFrame, arpPacket, BROADCAST, frame, linkOption, PEER_MAC, SHARED_MAC, solicitation, solicitationFrame,
  type ArpOptions, type FrameOptions, type SolicitationOptions,
} from "../support/frames.js";
import { icmpv6Packet } from "../support/ipv6.js";
import { icmpPacket, udpPacket } from "../support/packets.js";

export interface FrameVector {
  readonly reason: keyof typeof Drop;
  readonly name: string;
  readonly frame: Uint8Array;
  readonly policy?: MacPolicy;
}

const TARGET_MAC = "02:70:0a:63:01:01";
const ipv6: FrameOptions = { type: 0x86dd };
const cut = (bytes: Uint8Array, length: number) => bytes.slice(0, length);

const ndp = (
  reason: keyof typeof Drop, name: string, packet: SolicitationOptions, options: FrameOptions = {},
) => ({ reason, name, frame: solicitationFrame(packet, options) });
/** Makes a vector of a solicitation in which some bytes of the IPv6 packet are replaced. */
const ndpWith = (reason: keyof typeof Drop, name: string, at: number, ...bytes: number[]) => {
  const changed = solicitationFrame();
  changed.set(bytes, 14 + at);
  return { reason, name, frame: changed };
};
const arp = (
  reason: keyof typeof Drop, name: string, packet: ArpOptions, options: FrameOptions = {},
) => ({ reason, name, frame: arpFrame(packet, options) });

export const DROP_FRAMES: readonly FrameVector[] = [
  ...[1, 6, 12, 13].map((length) => ({
    reason: "pkt_too_small", name: `L-1: a frame of ${length} bytes`, frame: cut(frame(icmpPacket()), length),
  }) as const),
  {
    reason: "pkt_too_small", name: "L-1: a frame that ends within its tag",
    frame: cut(frame(icmpPacket(), { tags: [[0x8100, 5]] }), 17),
  },
  {
    reason: "pkt_too_small", name: "L-1: a frame that ends within its second tag",
    frame: cut(frame(icmpPacket(), { tags: [[0x88a8, 5], [0x8100, 6]] }), 21),
  },
  { reason: "ip_inhdr", name: "L-1: a frame that ends within its IPv4 header", frame: cut(frame(icmpPacket()), 33) },
  { reason: "ip_inhdr", name: "L-1: a frame without a payload", frame: frame(new Uint8Array(0)) },
  { reason: "ip_inhdr", name: "L-1: IPv6 in a frame of IPv4", frame: frame(icmpv6Packet()) },
  { reason: "ip_inhdr", name: "L-1: IPv4 in a frame of IPv6", frame: frame(icmpPacket(), ipv6) },
  {
    reason: "ip_inhdr", name: "L-1: a frame that ends within its IPv6 header",
    frame: cut(frame(icmpv6Packet(), ipv6), 53),
  },
  {
    reason: "unhandled_proto", name: "L-1: three tags",
    frame: frame(icmpPacket(), { tags: [[0x8100, 1], [0x8100, 2], [0x8100, 3]] }),
  },
  ...[0x0fff, 0xffff].flatMap((tci) => [
    {
      reason: "vlan_reserved", name: `L-1: VLAN 4095 by the tag ${tci.toString(16)}`,
      frame: frame(icmpPacket(), { tags: [[0x8100, tci]] }),
    },
    {
      reason: "vlan_reserved", name: `L-1: VLAN 4095 by the outer tag ${tci.toString(16)}`,
      frame: frame(icmpPacket(), { tags: [[0x88a8, tci], [0x8100, 7]] }),
    },
    {
      reason: "vlan_reserved", name: `L-1: VLAN 4095 by the inner tag ${tci.toString(16)}`,
      frame: frame(icmpPacket(), { tags: [[0x88a8, 7], [0x8100, tci]] }),
    },
    {
      reason: "vlan_reserved", name: `L-1: ARP on VLAN 4095 by the tag ${tci.toString(16)}`,
      frame: arpFrame({}, { tags: [[0x8100, tci]] }),
    },
  ] as const),
  ...[0, 46, 0x05ff, 0x0801, 0x8035, 0x88cc, 0x9100, 0xffff].map((type) => ({
    reason: "unhandled_proto", name: `L-1: EtherType ${type.toString(16)}`, frame: frame(icmpPacket(), { type }),
  }) as const),
  {
    reason: "otherhost", name: "L-1: to another MAC address", frame: frame(icmpPacket(), { dst: "06:11:22:33:44:54" }),
  },
  {
    reason: "otherhost", name: "L-1: to another MAC address, with a tag",
    frame: frame(icmpPacket(), { dst: "04:11:22:33:44:55", tags: [[0x8100, 9]] }),
  },
  {
    reason: "otherhost", name: "L-1: IPv6 to another MAC address",
    frame: frame(icmpv6Packet(), { ...ipv6, dst: "06:11:22:33:44:54" }),
  },
  {
    reason: "otherhost", name: "L-1: to an address's own MAC address, while all share one",
    frame: frame(icmpPacket(), { dst: TARGET_MAC }), policy: MacPolicy.shared,
  },
  {
    reason: "otherhost", name: "L-1: to the shared MAC address, while each has its own", frame: frame(icmpPacket()),
    policy: MacPolicy.per_address,
  },
  {
    reason: "otherhost", name: "L-1: to the MAC address of another address",
    frame: frame(icmpPacket({ dst: "10.99.1.2" }), { dst: TARGET_MAC }), policy: MacPolicy.per_address,
  },
  ...[
    ["a multicast", "01:00:5e:00:00:01"], ["the broadcast", BROADCAST], ["an IPv6 multicast", "33:33:ff:00:00:01"],
    ["no", "00:00:00:00:00:00"],
  ].map(([name, src]) => (
    {
      reason: "mac_invalid_source", name: `A-4: an echo request from ${name} MAC address`,
      frame: frame(icmpPacket(), { src }),
    }) as const),
  {
    reason: "mac_invalid_source", name: "A-4: ARP in a frame from a multicast MAC address",
    frame: arpFrame({}, { src: "01:00:5e:00:00:01" }),
  },
  arp(
    "mac_invalid_source",
    "A-4: ARP from a multicast MAC address in a frame from a station's",
    { senderMac: "01:00:5e:00:00:01" },
  ),
  arp(
    "mac_invalid_source",
    "A-4: ARP from the broadcast MAC address in a frame from a station's",
    { senderMac: BROADCAST },
  ),
  arp(
    "mac_invalid_source",
    "A-4: ARP from no MAC address in a frame from a station's",
    { senderMac: "00:00:00:00:00:00" },
  ),
  ...([["shared", SHARED_MAC], ["per_address", TARGET_MAC]] as const).flatMap(([policy, own]) => [
    {
      reason: "mac_invalid_source", name: "A-4: an echo request from the MAC address that it goes to",
      frame: frame(icmpPacket(), { dst: own, src: own }), policy: MacPolicy[policy],
    },
    {
      reason: "mac_invalid_source", name: "A-4: UDP from the MAC address that it goes to, with tags",
      frame: frame(udpPacket(), { dst: own, src: own, tags: [[0x88a8, 7], [0x8100, 42]] }), policy: MacPolicy[policy],
    },
    {
      reason: "mac_invalid_source", name: "A-4: ARP from the MAC address that it asks for",
      frame: arpFrame({ senderMac: own }), policy: MacPolicy[policy],
    },
    {
      reason: "mac_invalid_source", name: "A-4: ARP in a frame from the MAC address that it asks for",
      frame: arpFrame({}, { src: own }), policy: MacPolicy[policy],
    },
  ] as const),
  {
    reason: "mac_invalid_source", name: "A-4: a neighbor solicitation from the MAC address that it asks for",
    frame: solicitationFrame({ options: linkOption(SHARED_MAC) }), policy: MacPolicy.shared,
  },
  {
    reason: "mac_invalid_source", name: "A-4: a neighbor solicitation in a frame from the MAC address that it asks for",
    frame: solicitationFrame({}, { src: SHARED_MAC }), policy: MacPolicy.shared,
  },
  ...[BROADCAST, "01:00:5e:63:01:01", "33:33:00:00:00:01"].flatMap((dst) => [
    { reason: "unicast_in_l2_multicast", name: `I3: an echo request to ${dst}`, frame: frame(icmpPacket(), { dst }) },
    {
      reason: "unicast_in_l2_multicast", name: `X-2: UDP to ${dst}`,
      frame: frame(udpPacket(), { dst, tags: [[0x8100, 9]] }),
    },
    {
      reason: "unicast_in_l2_multicast", name: `I3: an IPv6 echo request to ${dst}`,
      frame: frame(icmpv6Packet(), { ...ipv6, dst }),
    },
    {
      reason: "ip_invalid_dest", name: `I3: to 224.0.0.1 at ${dst}`,
      frame: frame(icmpPacket({ dst: "224.0.0.1" }), { dst }),
    },
    {
      reason: "ip_invalid_dest", name: `I3: to ff02::1 at ${dst}`,
      frame: frame(icmpv6Packet({ dst: "ff02::1" }), { ...ipv6, dst }),
    },
  ] as const),
  ...[0, 1, 27].map((length) => ({
    reason: "pkt_too_small", name: `A-1: ARP of ${length} bytes`, frame: cut(arpFrame(), 14 + length),
  }) as const),
  ...[0, 2, 7, 0x0101, 0x0600].map((hardware) => arp("arp_invalid", `A-1: hardware type ${hardware}`, { hardware })),
  arp("arp_invalid", "A-1: protocol 0x0801", { protocol: 0x0801 }),
  arp("arp_invalid", "A-1: protocol of IPv6", { protocol: 0x86dd }),
  arp("arp_invalid", "A-1: hardware length 8", { lengths: [8, 4] }),
  arp("arp_invalid", "A-1: protocol length 16", { lengths: [6, 16] }),
  ...[0, 2, 3, 4, 8, 9, 0x0100, 0x0101, 0xffff].map(
    (opcode) => arp("arp_invalid", `A-1: opcode ${opcode}`, { opcode }),
  ),
  arp("arp_probe", "A-2: a probe for an address of the prefix", { sender: "0.0.0.0" }),
  arp("arp_probe", "A-2: a probe for another address", { sender: "0.0.0.0", target: "192.0.2.1" }),
  arp("arp_announcement", "A-4: the host announces its own address", { target: "10.99.0.1" }),
  arp("arp_announcement", "A-4: another one announces its address", { sender: "192.0.2.1", target: "192.0.2.1" }),
  arp("martian_source", "A-4: another one announces an address of the prefix", { sender: "10.99.1.1" }),
  ...["10.99.2.2", "127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.1"].map(
    (sender) => arp("martian_source", `I3: ARP from ${sender}`, { sender }),
  ),
  arp("not_our_prefix", "A-1: for the host's own address", { sender: "192.0.2.1", target: "10.99.0.1" }),
  arp("not_our_prefix", "A-1: for an address outside the prefix", { target: "10.98.255.255" }),
  arp("ip_invalid_dest", "A-1: for the broadcast address", { target: "255.255.255.255" }),
  arp("otherhost", "A-1: ARP to another MAC address", {}, { dst: "06:11:22:33:44:54" }),
  ...["01:00:5e:00:00:01", "33:33:00:00:00:01", "ff:ff:ff:ff:ff:fe", "ff:ff:00:00:00:00"]
    .map((dst) => arp("otherhost", `A-1: ARP to a group that is not all, ${dst}`, {}, { dst })),
  {
    reason: "otherhost", name: "A-1: ARP to the MAC address of another address",
    frame: frame(arpPacket({ target: "10.99.1.2" }), { type: 0x0806, dst: TARGET_MAC, src: PEER_MAC }),
    policy: MacPolicy.per_address,
  },
  {
    reason: "otherhost", name: "A-1: ARP to the shared MAC address, while each has its own",
    frame: arpFrame({}, { dst: SHARED_MAC }), policy: MacPolicy.per_address,
  },
  ...[0, 1, 64, 254].map((hopLimit) => ndp("ipv6_ndisc_hop_limit", `N-1: hop limit ${hopLimit}`, { hopLimit })),
  ndpWith("icmp_csum", "N-1: checksum off by one", 43, solicitationFrame()[14 + 43] ^ 1),
  ndpWith("icmp_csum", "N-1: a flipped bit of the target", 60, 0x40),
  ndp("ipv6_ndisc_bad_code", "N-1: code 1", { code: 1 }),
  ndpWith("pkt_too_small", "N-1: a payload of 23 bytes", 4, 0, 23),
  ndpWith("pkt_too_small", "N-1: a payload longer than the frame", 4, 0, 33),
  { reason: "pkt_too_small", name: "N-1: a frame of the type alone", frame: cut(solicitationFrame(), 14 + 41) },
  ndp("ip_invalid_dest", "N-1: for a multicast target", { target: "ff02::1:ff01:1", dst: "ff02::1:ff01:1" }),
  ndp("ipv6_ndisc_bad_options", "N-1: an option of length 0", { options: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) }),
  ndp(
    "ipv6_ndisc_bad_options",
    "N-1: an option of length 0 behind a good one",
    { options: Uint8Array.of(...linkOption(PEER_MAC), 14, 0, 0, 0, 0, 0, 0, 0) },
  ),
  ndp(
    "ipv6_ndisc_bad_options",
    "N-1: an option longer than the message",
    { options: Uint8Array.of(1, 2, 2, 2, 2, 2, 2, 2) },
  ),
  ndp("ipv6_ndisc_bad_options", "N-1: half an option", { options: Uint8Array.of(...linkOption(PEER_MAC), 14) }),
  ndp(
    "ipv6_ndisc_bad_options",
    "N-1: a link-layer address of 14 bytes",
    { options: Uint8Array.of(1, 2, ...new Uint8Array(14).fill(2)) },
  ),
  ndp("ipv6_ndisc_bad_options", "N-1: from the unspecified address with a source link-layer address", { src: "::" }),
  ndp(
    "martian_source",
    "N-1: from the unspecified address to the target",
    { src: "::", dst: "fd99::1:1", options: new Uint8Array(0) },
  ),
  ndp("ipv6_ndisc_ns_otherhost", "N-1: to all nodes", { dst: "ff02::1" }),
  ndp("ipv6_ndisc_ns_otherhost", "N-1: to the solicited-node address of another", { dst: "ff02::1:ff01:2" }),
  ndp("ipv6_ndisc_ns_otherhost", "N-1: to another address of the prefix", { dst: "fd99::1:2" }),
  ndp(
    "ndisc_probe", "N-4: of somebody about to take an address of the prefix", { src: "::", options: new Uint8Array(0) },
  ),
  ndp(
    "ndisc_probe",
    "N-4: the same with a nonce (RFC 7527)",
    { src: "::", options: Uint8Array.of(14, 1, 1, 2, 3, 4, 5, 6) },
  ),
  ...["fd99::2:2", "ff02::1", "::1"].map(
    (src) => ndp("martian_source", `I3: a neighbor solicitation from ${src}`, { src }),
  ),
  ndp("not_our_prefix", "N-1: for the host's own address", { src: "fe80::1", target: "fd99::1" }),
  ndp("not_our_prefix", "N-1: for an address outside the prefix", { target: "fd98::1" }),
  ndp("not_our_prefix", "N-1: for a link-local address", { target: "fe80::2" }),
  ndp("otherhost", "N-1: to the MAC address of another group", {}, { dst: "33:33:ff:01:00:02" }),
  ndp("otherhost", "N-1: to the broadcast MAC address", {}, { dst: BROADCAST }),
  ndp("otherhost", "N-1: to another MAC address", { dst: "fd99::1:1" }, { dst: "06:11:22:33:44:54" }),
  {
    reason: "otherhost", name: "N-1: to the shared MAC address, while each has its own",
    frame: solicitationFrame({ dst: "fd99::1:1" }), policy: MacPolicy.per_address,
  },
  ...["01:00:5e:00:00:01", BROADCAST, "00:00:00:00:00:00"].map(
    (mac) => ndp("mac_invalid_source", `A-4: a source link-layer address of ${mac}`, { options: linkOption(mac) }),
  ),
  {
    reason: "mac_invalid_source", name: "A-4: a neighbor solicitation in a frame from a multicast MAC address",
    frame: frame(solicitation(), { ...ipv6, dst: "33:33:ff:01:00:01", src: "01:00:5e:00:00:01" }),
  },
];
