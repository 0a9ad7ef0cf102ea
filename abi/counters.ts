/**
 * Counters: f64 each, exact up to 2^53, and what Prometheus stores anyway. What follows are indices, in f64 units from
 * COUNTERS.
 */
import { CONTROL_END } from "./control.ts";
import { PREFIX_INDICES } from "./tables.ts";

export const COUNTERS = CONTROL_END;

export enum Counter {
  packetsReceived,
  bytesReceived,
  bytesSent,
  writeErrors,
  syscalls,
  /** ICMP errors that were due, and above their rate. */
  errorsLimited,
  /** A gauge: fragments that wait for the rest of their datagram. What becomes of that is counted for each of them. */
  held,
}
/** Room for as many, as in each MAX_ below; test/fast/abi.test.ts says how many are left. */
export const MAX_COUNTERS = 16;

/** Replies by protocol; the member's name is the label's value. Counted at REPLIES + protocol. */
export enum Protocol {
  icmp,
  icmpv6,
  arp,
  ndisc,
}
export const REPLIES = MAX_COUNTERS;
export const MAX_PROTOCOLS = 8;

/**
 * Why a packet was not answered; src/telemetry/reasons.ts has a sentence for each. The names are the metric's label
 * values: the kernel's skb_drop_reason in lower case (include/net/dropreason-core.h) where one fits, and ours where
 * none does. Counted at DROPPED + reason.
 */
export enum Drop {
  pkt_too_small,
  ip_inhdr,
  ip_csum,
  /** src/prefix/prefixes.ts lists them. */
  ip_invalid_dest,
  unhandled_proto,
  icmp_csum,
  not_our_prefix,
  martian_source,
  ip_fragment,
  ip_options,
  unhandled_icmp_type,
  /** RFC 1812 §4.3.3.6 asks for the option. */
  icmp_echo_ignored,
  no_socket,
  ip_noproto,
  udp_csum,
  dup_frag,
  frag_reasm_timeout,
  frag_evicted,
  bad_frag,
  nomem,
  ipv6_bad_exthdr,
  otherhost,
  mac_invalid_source,
  /** RFC 1122 §3.3.6. */
  unicast_in_l2_multicast,
  arp_invalid,
  /** RFC 5227 §2.1.1. */
  arp_probe,
  /** RFC 5227 §2.3. */
  arp_announcement,
  /** RFC 4861 §7.1.1, as the two after it. */
  ipv6_ndisc_hop_limit,
  ipv6_ndisc_bad_code,
  ipv6_ndisc_bad_options,
  ipv6_ndisc_ns_otherhost,
  /** RFC 4862 §5.4.3. */
  ndisc_probe,
  icmp_timestamp_ignored,
  rate_limited,
  /** Counted by the main thread. */
  worker_crash,
  vlan_reserved,
  icmp_packet_too_big,
  icmp_unrelated,
}
export const DROPPED = REPLIES + MAX_PROTOCOLS;
export const MAX_DROPS = 96;

/** Packets per batch, cumulative only at scrape: bucket i counts batches of 2^(i-1)+1 to 2^i packets. */
export const BATCH_SIZES = DROPPED + MAX_DROPS;
export const BATCH_BUCKETS = 9;

/**
 * ICMP errors by what they say; the member's name is the label's value. Counted at ERRORS + error, and those of ICMPv6
 * at ERRORS6 + error.
 */
export enum IcmpError {
  port_unreachable,
  protocol_unreachable,
  parameter_problem,
  time_exceeded,
}
export const ERRORS = BATCH_SIZES + BATCH_BUCKETS;
export const MAX_ERRORS = 8;
export const ERRORS6 = ERRORS + MAX_ERRORS;

/** Replies by prefix, at its index. */
export const PREFIX_REPLIES = ERRORS6 + MAX_ERRORS;

export const COUNTERS_END = COUNTERS + 8 * (PREFIX_REPLIES + PREFIX_INDICES);
