/**
 * What the two compilers agree on: this file is read by tsc (the host, the JavaScript engine) and by asc (assembly/).
 * It holds plain constants and enums alone, the part of both languages that means the same in each.
 *
 * Addresses are byte offsets into linear memory, drawn in assembly/memory.ts.
 */

/** Most packets in one call of an engine's respond(). */
export const BATCH = 256;
/** Slots in the pool: one batch being read while the last one's replies are still being written. */
export const SLOTS = 512;
/** Most prefixes a configuration may name, exceptions included. */
export const PREFIXES = 100_000;
/** Indices of prefixes: twice as many, so that no index of an old configuration need be one of the next, while both are there. */
export const PREFIX_INDICES = 2 * PREFIXES;

/** The least path MTU that is reckoned with for IPv4, Linux's net.ipv4.route.min_pmtu: only longer replies go without don't-fragment. */
export const MIN_PATH_MTU = 552;
/** The least MTU of IPv6 (RFC 8200 §5): every path has it. */
export const MIN_PATH_MTU6 = 1280;

// ---- control: single words ------------------------------------------------------------------------------------------

/** u32: not 0 when the packet loop is to end. Written by the main thread while the loop runs. */
export const STOP = 0;
/** u32: how many slots lie on the free stack. */
export const FREE_COUNT = 4;
/** u32: the table that is to be used from the next batch on. Written by the main thread while the loop runs. */
export const NEXT_TABLE = 8;
/** u32: the table of this batch: whose the addresses are, and what they answer. */
export const TABLE = 12;
/** u32: of the packet that is being judged, what its destination answers; see "tables". */
export const ANSWERS = 16;
/** u32: most bytes that a read takes. */
export const PACKET_SIZE = 20;
/** u64: this memory's address in the process, for what the kernel is to read and write. */
export const MEMORY_ADDRESS = 24;
/** u32: most bytes of an IP packet that is sent, the MTU. */
export const MTU = 32;
/** u32: descriptors of TO_SEND that the slow path has filled so far. */
export const QUEUED = 36;
/** u32: of the packet that is being judged, whose its destination is, as an owner. */
export const OWNER = 40;
/** u32: how often the main thread has asked to be told when the packet loop comes to its top. */
export const ASKED = 44;
/** u32: of the hash of sources, so that nobody outside knows which share a bucket. */
export const SEED = 52;
/** i32: the ring's descriptor, for the main thread to close if the packet loop could not; 0 where there is none. */
export const RING_FD = 56;
/** u32: bytes of a table, nodes included; there are two, behind the slots. */
export const TABLE_SIZE = 60;
/** u32: datagrams that may be in reassembly at a time; 0 where fragments are dropped. */
export const REASSEMBLIES = 104;
/** u32: where their table lies, and behind it their buffers. */
export const REASSEMBLY = 108;
/** f64: Unix time in milliseconds at which the engine is to be called, though nothing came; 0 for never. */
export const DEADLINE = 112;
/** u32: datagrams whose reassembly has begun. */
export const SERIAL = 120;

/** u64: what reading the eventfd brings. */
export const WOKEN = 152;
/** u8[40]: the options of a reply, while its header still has those of the request. */
export const REPLY_OPTIONS = 960;

/** What becomes of a packet with a source route. The members' names are the flag's values. */
export enum SourceRoute {
  /** Dropped. */
  drop,
  /** Answered along its way back, where it is at its end; dropped where there is a hop to go. */
  reverse,
}

/** What becomes of a packet that nobody here listens to. The members' names are the flag's values. */
export enum Unreachable {
  /** Dropped for its protocol, unread. */
  off,
  /** Checked, and dropped without a word. */
  silent,
  /** Answered with the ICMP error. */
  on,
}

// ---- control: the link ----------------------------------------------------------------------------------------------

/** u32, a Mode: what the device hands over. */
export const MODE = 128;
/** The members' names are the flag's values. */
export enum Mode {
  /** IP packets. */
  tun,
  /** Ethernet frames. */
  tap,
}
/** u32: where in a slot a read begins. 2 for frames: behind a header of 14, 18 or 22 bytes a packet is then at a multiple of 4. */
export const FRAME_OFFSET = 132;
/** u32, a MacPolicy: the MAC addresses of the prefixes' addresses. */
export const MAC_POLICY = 136;
export enum MacPolicy {
  /** One for all, the one at MAC. */
  shared,
  /** One each; assembly/mac.ts. */
  per_address,
}
/** u8[6], as in a frame, and at two after a multiple of 4 as there. */
export const MAC = 146;
/** u32: where the packet lies that is being judged, behind its link header. For what is sent in a slot of its own; the wasm engine's alone. */
export const LINK = 140;

// ---- counters: f64 each, exact up to 2^53, and what Prometheus stores anyway ----------------------------------------

export const COUNTERS = 1024;

/** Index of a counter, in f64 units from COUNTERS. */
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

/** Replies by protocol; the member's name is the label's value. Counted at REPLIES + protocol. */
export enum Protocol {
  icmp,
  icmpv6,
  arp,
  ndisc,
}
export const REPLIES = 8;

/**
 * ICMP errors by what they say; the member's name is the label's value. Counted at ERRORS + error, and those of ICMPv6 at
 * ERRORS6 + error. Each has a token bucket of its own, {f64 tokens that are missing, f64 when in ms} at BUCKETS + 16 * the same number.
 */
export enum IcmpError {
  port_unreachable,
  protocol_unreachable,
  parameter_problem,
  time_exceeded,
}
export const ERRORS = 80;
export const ERRORS6 = ERRORS + 4;
export const BUCKETS = 256;
/** Errors of a kind at once, and one more for each millisecond after (RFC 1812 §4.3.2.8, RFC 4443 §2.4 f). */
export const ERROR_BURST = 50;
export const ERRORS_PER_MS = 1;

/**
 * Why a packet was not answered; src/telemetry/reasons.ts has a sentence for each. The names are the metric's label values: the
 * kernel's skb_drop_reason in lower case (include/net/dropreason-core.h) where one fits, and ours where none does. Counted at
 * DROPPED + reason.
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
export const DROPPED = 16;

/** Packets per batch, cumulative only at scrape: bucket i counts batches of 2^(i-1)+1 to 2^i packets. */
export const BATCH_SIZES = 64;
export const BATCH_BUCKETS = 9;

/** Replies by prefix, at its index. */
export const PREFIX_REPLIES = 128;

// ---- token buckets: {f64 tokens that are missing, f64 when in ms} each -------------------------------------------------

/** A bucket for each prefix, at its index, behind the counters. */
export const PREFIX_BUCKETS = COUNTERS + 8 * (PREFIX_REPLIES + PREFIX_INDICES);
/** A bucket for the sources (IPv4 /24, IPv6 /56) of one hash each. */
export const SOURCE_BUCKETS = PREFIX_BUCKETS + 16 * PREFIX_INDICES;
/** A power of two. */
export const SOURCES = 8192;

// ---- path MTUs: what is known of the way to an address; see assembly/pmtu.ts. The wasm engine's alone ---------------------

/** Sets of eight entries of 32 bytes each, behind the sources' buckets. */
export const PATHS = SOURCE_BUCKETS + 16 * SOURCES;
/** A power of two. */
export const PATH_SETS = 256;

// ---- tables: whose the addresses are, and what they answer; offsets from a table's first byte ---------------------------

// tableOf (src/engine/table.ts) makes one. Of two, one is used, and the other one is where the next is written.

/** The host's own addresses, 4 and 16 bytes as they lie in a packet, and u32, u32: whose they are, NOBODY's. Where it has none: 0, INVALID. */
export const HOST = 0;
export const HOST_OWNER = 4;
export const HOST6_OWNER = 8;
export const HOST6 = 16;
/** u32, a SourceRoute. */
export const SOURCE_ROUTE = 32;
/** f32, f32: what a source's bucket gains a millisecond, and holds. */
export const SOURCE_LIMIT = 40;
/**
 * u32[65536], the root of the trie for IPv4: an entry for each value of an address's first two bytes, at that value as it is loaded from the
 * packet. An entry is the owner of the addresses that start so, or, from FIRST_NODE on, the address of a node: u32[256], an entry
 * for each value of the next byte.
 */
export const TRIE = 64;
/** u32[65536]: the same for IPv6, whose nodes are u32[16], for four bits each: its prefixes are longer, and lie further apart. */
export const TRIE6 = TRIE + 4 * 65536;
/** u32[PREFIX_INDICES]: the TTL (or hop limit) of what is sent, 1 to 255, and ANSWER_ bits. */
export const PREFIX_ANSWERS = TRIE6 + 4 * 65536;
/** {f32, f32}[PREFIX_INDICES]: what its bucket gains a millisecond, and holds. */
export const PREFIX_LIMITS = PREFIX_ANSWERS + 4 * PREFIX_INDICES;
/** The tries' nodes. */
export const NODES = PREFIX_LIMITS + 8 * PREFIX_INDICES;
/** Most that they take: a prefix adds two nodes of IPv4, or 28 of IPv6; and the ranges that are no host's some. */
export const MOST_NODES = 2048 * PREFIXES + 8192;

/** Owners. A prefix is the owner FIRST_PREFIX + its index. */
export const NOBODY = 0;
/** No host has these addresses: src/prefix/prefixes.ts lists them. */
export const INVALID = 1;
export const FIRST_PREFIX = 2;
/** What is less is an owner, and what is not the address of a node. */
export const FIRST_NODE = FIRST_PREFIX + PREFIX_INDICES;

export const ANSWER_ECHO = 1 << 8;
export const ANSWER_TIMESTAMP = 1 << 9;
/** ICMP errors of any kind. */
export const ANSWER_ERRORS = 1 << 10;
/** Two bits each, an Unreachable: what becomes of UDP, and of protocols that nobody here speaks. */
export const UNREACHABLE_UDP_SHIFT = 12;
export const UNREACHABLE_OTHER_SHIFT = 14;
/** The prefix has a limit; there is one for sources. */
export const LIMIT_PREFIX = 1 << 16;
export const LIMIT_SOURCE = 1 << 17;

// ---- descriptors and slots ------------------------------------------------------------------------------------------

/** {u32 slot, u32 length}[BATCH]: what was received; slot is the first byte of the packet, or of the frame. */
export const RECEIVED = PATHS + 256 * PATH_SETS;
/** {u32 slot, u32 length}[SLOTS]: what is to be sent. */
export const TO_SEND = RECEIVED + 8 * BATCH;
/** u32[SLOTS]: the free stack. */
export const FREE = TO_SEND + 8 * SLOTS;

// ---- io_uring: the kernel's structures, on pages of their own -------------------------------------------------------

/** Entries of the submission queue: one round's writes and reads. */
export const SQ_ENTRIES = 512;
/** Entries of the completion queue: no round completes more, even if every write fails. */
export const CQ_ENTRIES = 1024;
/** struct io_rings, then the completion queue's entries; where each field is, the kernel says at set-up. */
export const RINGS = (FREE + 4 * SLOTS + 4095) & -4096;
/** Room for it, in bytes. */
export const RINGS_SIZE = 4096 + 16 * CQ_ENTRIES;
/** struct io_uring_sqe[SQ_ENTRIES]. */
export const SQES = RINGS + RINGS_SIZE;

// u32 each, in the control words: addresses of io_rings' fields.
export const SQ_HEAD_AT = 64;
export const SQ_TAIL_AT = 68;
export const CQ_HEAD_AT = 72;
export const CQ_TAIL_AT = 76;
export const CQES_AT = 80;
/** u32: replies of TO_SEND that the kernel has been given, their slots not yet free. */
export const WRITES_PENDING = 84;
/** u32: not 0 while a read that may wait is with the kernel. */
export const READ_ARMED = 88;
/** u32: not 0 while the kernel watches the eventfd. */
export const WAKE_ARMED = 92;
/** i32: errno, below 0, of a read that failed for good. */
export const READ_ERROR = 96;
/** u32: not 0 when the slots are registered with the kernel as one buffer. */
export const SLOTS_REGISTERED = 100;

/** Registered files, by index. */
export const QUEUE_FILE = 0;
export const WAKE_FILE = 1;

/** The first slot, on a page of its own. */
export const SLOT_BASE = SQES + 64 * SQ_ENTRIES;

// ---- reassembly: behind the slots and the tables, at REASSEMBLY; see assembly/reassembly.ts ---------------------

/** Most datagrams that may be in reassembly at a time. */
export const MAX_REASSEMBLIES = 1024;
/** {u32 hash, u32 serial}[MAX_REASSEMBLIES], a buffer each. */
export const REASSEMBLY_TABLE_SIZE = 8 * MAX_REASSEMBLIES;
/** State, link header and header, then 64 KiB of payload: an odd number of cache lines, as in a slot. */
export const REASSEMBLY_BUFFER_SIZE = 49 * 64 + 65536;
