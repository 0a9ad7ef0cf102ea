/**
 * Counters: each is an f64, exact up to 2^53, which is what Prometheus stores anyway. The constants between COUNTERS
 * and COUNTERS_END are indices in f64 units from COUNTERS.
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
  /** ICMP errors that were due but exceeded their rate. */
  errorsLimited,
  /** A gauge: fragments that wait for the rest of their datagram. Its verdict is then counted for each of them. */
  held,
  /** A gauge: received packets that are kept, whose verdict comes when they are sent or given up. */
  kept,
  /** Sum of how late timers were, in nanoseconds; see LATENESS. */
  latenessNs,
  /** Segments that TCP has taken, which is their verdict, and segments that it has sent. */
  tcpReceived,
  tcpSent,
  /** Segments sent that had been sent before. */
  tcpRetransmitted,
  /** Bytes of streams, each once: received in order, and acknowledged by the peer. */
  tcpBytesReceived,
  tcpBytesSent,
  /** Gauges: connections that there are, those of them that are in SYN-RECEIVED, and TIME-WAIT records. */
  tcpConnections,
  tcpHalfOpen,
  tcpTimeWait,
  /** A gauge: pages in use. */
  tcpPages,
  /** A gauge: 1 while the kernel may be left to cut packets and to compute checksums, else 0. */
  offload,
  /** Packets that the kernel refused for that, and that were cut here. */
  offloadRefused,
  /** Datagrams that service threads were handed, which is their verdict. */
  udpHandled,
  /** Datagrams that threads had sent, and those that could not be sent, or must not be. */
  udpSent,
  udpUnsent,
  /** Connections that service threads have asked for, and those of them that were established. */
  tcpActiveOpens,
  tcpOpened,
  /** Sum of the times of TURNAROUND, in nanoseconds. */
  turnaroundNs,
  /** A gauge: sessions of stateful STAMP reflectors. */
  stampSessions,
  /** A gauge: sessions of IRTT. */
  irttSessions,
  /** A gauge: packets that are kept, whatever they are. */
  keptAll,
  /** A gauge: the seed of what links leave to chance. */
  linkSeed,
  /** Packets that links on the way in made, which have a verdict as if they had been received. */
  linkCopies,
}
/** Room for counters, as in each MAX_ below; test/fast/abi.test.ts says how many places are left. */
export const MAX_COUNTERS = 40;

/** Replies by protocol; the member's name is the label's value. Counted at REPLIES + protocol. */
export enum Protocol {
  icmp,
  icmpv6,
  arp,
  ndisc,
  /** Counts services that answer without a thread, but for those below. */
  udp,
  sbfd,
  irtt,
  stamp,
}
export const REPLIES = MAX_COUNTERS;
export const MAX_PROTOCOLS = 16;

/**
 * Reasons why a packet was not answered; src/telemetry/reasons.ts has a sentence for each. The names are the metric's
 * label values. Where the kernel's skb_drop_reason (include/net/dropreason-core.h) has one that fits, it is used in
 * lower case. Counted at DROPPED + reason.
 */
export enum Drop {
  pkt_too_small,
  ip_inhdr,
  ip_csum,
  /** src/prefix/prefixes.ts lists these addresses. */
  ip_invalid_dest,
  unhandled_proto,
  icmp_csum,
  not_our_prefix,
  martian_source,
  ip_fragment,
  ip_options,
  unhandled_icmp_type,
  /** RFC 1812 §4.3.3.6 asks for an option to ignore echo requests. */
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
  /** RFC 4861 §7.1.1, like the next two. */
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
  tcp_csum,
  tcp_flags,
  /** RFC 7323 §5. */
  tcp_rfc7323_paws,
  tcp_invalid_sequence,
  tcp_invalid_ack_sequence,
  /** Wholly received already. */
  tcp_old_data,
  /** Wholly behind the window. */
  tcp_overwindow,
  /** There is no room for another connection. */
  tcp_limit,
  /** A packet for several segments that is not TCP. */
  skb_gso_seg,
  /** The answer might be answered in turn, without end. */
  udp_loop,
  /** Taken, and thrown away as asked. */
  udp_discard,
  /** There was no room for it with the service thread of its port. */
  socket_rcvbuff,
  /** Shorter than a STAMP packet: the reply would be longer. */
  stamp_short,
  /** RFC 9503 §4.1.1. */
  stamp_no_reply,
  /** A STAMP packet that is not authenticated, or whose HMAC is wrong. */
  stamp_hmac,
  /** No control packet of an S-BFD initiator. */
  sbfd_malformed,
  /** To a discriminator that no S-BFD reflector here has. */
  sbfd_discriminator,
  /** No request of IRTT's, or one that asks for a reply that is longer. */
  irtt_malformed,
  /** It has no token of a session from its address and port. */
  irtt_token,
  /** It came sooner than the least interval allows. */
  irtt_interval,
  /** There is no room for another session. */
  irtt_sessions,
  /** It ended its session. */
  irtt_close,
  /** There is no room for another session. */
  stamp_sessions,
  /** RFC 8335 §4: a query of a kind that is not enabled. */
  icmp_probe_ignored,
  /** Lost by the link of its prefix on the way in, or its reply on the way out. */
  link_loss,
  link_loss_out,
  /** The queue of the link of its prefix has no room, for it or for its reply. */
  link_queue_full,
  /** As many packets are kept as may be. */
  held_full,
  /** A hop of the path of its prefix does not forward it: its TTL is over. The hop says so. */
  ttl_expired,
  /** A hop that says nothing would have said so, of this or of the next. */
  hop_silent,
  /** It is too long for a hop of the path of its prefix, and must not be fragmented. The hop says so, or does not. */
  pkt_too_big,
  pmtu_black_hole,
  /** It was kept when pongd ended. Counted by the main thread. */
  stopped,
}
export const DROPPED = REPLIES + MAX_PROTOCOLS;
export const MAX_DROPS = 96;

/** Batches by size, made cumulative only at scrape: bucket i counts batches of 2^(i-1)+1 to 2^i packets. */
export const BATCH_SIZES = DROPPED + MAX_DROPS;
export const BATCH_BUCKETS = 9;

/**
 * ICMP errors by meaning; the member's name is the label's value. ICMPv4 errors are counted at ERRORS + error,
 * ICMPv6 errors at ERRORS6 + error.
 */
export enum IcmpError {
  port_unreachable,
  protocol_unreachable,
  parameter_problem,
  time_exceeded,
  packet_too_big,
}
export const ERRORS = BATCH_SIZES + BATCH_BUCKETS;
export const MAX_ERRORS = 8;
export const ERRORS6 = ERRORS + MAX_ERRORS;

/** Ends of connections; the member's name is the label's value. Counted at CLOSED + end. */
export enum Closed {
  /** Both sides have closed. */
  closed,
  /** The peer has reset it. */
  reset_by_peer,
  /** It was reset here. */
  reset,
  /** The peer was not heard for too long. */
  timed_out,
  /** The handshake was not completed. */
  half_open,
  /** Counted by the main thread: its worker crashed. */
  crashed,
}
export const CLOSED = ERRORS6 + MAX_ERRORS;
export const MAX_CLOSED = 8;

/** Resets that were sent, by reason; the member's name is the label's value. Counted at RESETS + reason. */
export enum Reset {
  /** Nobody listens at the port. */
  closed_port,
  /** The segment belongs to no connection. */
  no_connection,
  /** The prefix is gone, or pongd ends. */
  ended,
  /** It took too long. */
  timed_out,
}
export const RESETS = CLOSED + MAX_CLOSED;
export const MAX_RESETS = 8;

/** SYN cookies; the member's name is the label's value. Counted at COOKIES + what. */
export enum Cookie {
  sent,
  accepted,
  failed,
}
export const COOKIES = RESETS + MAX_RESETS;
export const MAX_COOKIES = 4;

/** Connections that were asked for and never established: at ATTEMPT_FAILS + Unopened (abi/streams.ts). */
export const ATTEMPT_FAILS = COOKIES + MAX_COOKIES;
export const MAX_UNOPENED = 32;

/** Connections that were accepted, by service: at ACCEPTED + its place in abi/tcp.ts, SERVICES. */
export const ACCEPTED = ATTEMPT_FAILS + MAX_UNOPENED;
export const ACCEPTED_SERVICES = 256;

/** Datagrams that UDP services took: at SERVED + the service's place in abi/tcp.ts, SERVICES. */
export const SERVED = ACCEPTED + ACCEPTED_SERVICES;

/** Timers by how late they were: bucket i counts up to 2^i microseconds, the last one all others. */
export const LATENESS = SERVED + ACCEPTED_SERVICES;
export const LATENESS_BUCKETS = 24;

/** Flags that were set in TLVs of STAMP (RFC 8972 §4); the member's name is the label's value. At TLV_FLAGS + flag. */
export enum TlvFlag {
  unrecognized,
  malformed,
  integrity,
}
export const TLV_FLAGS = LATENESS + LATENESS_BUCKETS;
export const MAX_TLV_FLAGS = 4;

/**
 * Replies of STAMP by the time from when their requests were read to when they were about to be sent: bucket i counts
 * up to 2^i microseconds, the last one all others.
 */
export const TURNAROUND = TLV_FLAGS + MAX_TLV_FLAGS;
export const TURNAROUND_BUCKETS = 24;

/** Replies by prefix. A prefix is counted at PREFIX_REPLIES + its index. */
export const PREFIX_REPLIES = TURNAROUND + TURNAROUND_BUCKETS;

export const COUNTERS_END = COUNTERS + 8 * (PREFIX_REPLIES + PREFIX_INDICES);
