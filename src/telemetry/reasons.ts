/**
 * Explains each drop reason in a sentence. The page at /, `pongd top` and docs/reference.md take the sentences from
 * here. This file runs in the browser too, so it imports nothing but types.
 */
import type { Drop } from "../../abi/counters.js";

/** Sentences by the metric's label value, in the order of docs/reference.md's table. */
export const REASONS: Readonly<Record<keyof typeof Drop, string>> = {
  ip_inhdr: "The IP header is cut off, or its version, header length or total length is impossible.",
  ip_csum: "The IPv4 header checksum is wrong.",
  pkt_too_small: "The packet is shorter than its headers say, or than a message of its type must be.",
  ip_invalid_dest: "The destination is no host's: multicast, broadcast, loopback, unspecified, 0/8 or class E.",
  not_our_prefix: "The destination is in no configured prefix, or is the host's own address.",
  martian_source: "The source is no host's address, or one that pongd itself answers for.",
  ip_fragment: "A fragment came, and reassembly is off: --reassembly 0, or --engine js.",
  dup_frag: "Exactly this fragment had come before.",
  bad_frag: "Fragments overlap, disagree where their datagram ends, or cannot be fragments.",
  frag_reasm_timeout: "The other fragments of the datagram did not come within 60 s.",
  frag_evicted: "A fragment's incomplete datagram had to make room for a newer one.",
  nomem: "There was no room for the answer, such as for all fragments of a reply.",
  ip_options: "IPv4 options are malformed or have a source route; with --engine js, any options or extension headers.",
  ipv6_bad_exthdr: "An IPv6 extension header is too long, in the wrong place, or must not be skipped.",
  no_socket: "UDP to a closed port (its sender gets an ICMP error), or TCP that gets no answer, as at a silent port.",
  udp_csum: "The UDP checksum is wrong, or missing over IPv6.",
  ip_noproto: "The packet's transport protocol is one that nobody here speaks.",
  unhandled_proto: "The protocol is not handled: UDP and others with --unreachable off, frames of neither IP nor ARP.",
  icmp_csum: "The ICMP checksum is wrong.",
  unhandled_icmp_type: "The ICMP message is no echo or timestamp request: a reply, an error, or of another type.",
  icmp_packet_too_big: "A router told of a narrow link: longer replies go in fragments, segments become shorter.",
  icmp_unrelated: "A router told of a narrow link about nothing that this queue sent, or its MTU is impossible.",
  icmp_echo_ignored: "An echo request went to a prefix that is not to answer it: see answer and --ignore-echo.",
  icmp_timestamp_ignored: "A timestamp request went to a prefix that is not to answer it: see answer.",
  rate_limited: "The request is above the rate limit of its prefix or of its source.",
  otherhost: "The frame's destination is another MAC address than that of the packet's destination.",
  mac_invalid_source: "The frame's source is a multicast MAC address, all zero, or the one that would answer.",
  unicast_in_l2_multicast: "A packet for one host came in a broadcast or multicast frame.",
  vlan_reserved: "The frame is on VLAN 4095, which is reserved.",
  arp_invalid: "The ARP packet is no request for an IPv4 address over Ethernet or IEEE 802 networks.",
  arp_probe: "By ARP, somebody about to take an address asked whether it is free.",
  arp_announcement: "By ARP, somebody announced the address that it has taken.",
  ipv6_ndisc_hop_limit: "A neighbor solicitation came through a router: its hop limit is not 255.",
  ipv6_ndisc_bad_code: "A neighbor solicitation has another code than 0.",
  ipv6_ndisc_bad_options: "A neighbor solicitation's options have a wrong length, or must not be there.",
  ipv6_ndisc_ns_otherhost: "A neighbor solicitation went to neither its target nor the target's multicast address.",
  ndisc_probe: "By a neighbor solicitation, somebody about to take an address asked whether it is free.",
  tcp_csum: "The TCP checksum is wrong.",
  tcp_flags: "The segment has flags that mean nothing there, such as SYN with FIN, or no ACK on a connection.",
  tcp_rfc7323_paws: "The segment is a late one: its timestamp is older than those that came before.",
  tcp_invalid_sequence: "The segment or reset lies outside of what the connection expects.",
  tcp_invalid_ack_sequence: "The segment acknowledges what was never sent, or what was acknowledged long ago.",
  tcp_old_data: "All bytes of the segment had come before.",
  tcp_overwindow: "All bytes of the segment lie behind the window.",
  tcp_limit: "A limit was reached: --tcp-connections, --tcp-source-connections, or tcp_connections of the prefix.",
  udp_loop: "A UDP service was asked from a port where its answer might be answered in turn, without end.",
  udp_discard: "The datagram went to a UDP port with the service discard.",
  socket_rcvbuff: "The service thread of the UDP port had no room: it is slow, hangs, or is being started again.",
  stamp_short: "A STAMP packet of less than 44 bytes, whose reply would have been longer.",
  stamp_no_reply: "A STAMP packet whose sender wants no reply (RFC 9503).",
  stamp_hmac: "A STAMP packet that is not authenticated by a key of its reflector's.",
  stamp_sessions: "A stateful STAMP reflector has no room for another session, or for one of that source.",
  skb_gso_seg: "The packet is to be cut into segments, though it is not TCP: no kernel hands that over.",
  worker_crash: "The packet was with a worker when that crashed.",
};

/** Returns the sentence for a label value from any source; undefined for a reason that this version does not know. */
export function explain(reason: string): string | undefined {
  return Object.hasOwn(REASONS, reason) ? REASONS[reason as keyof typeof Drop] : undefined;
}
