/**
 * Tables: they say whose an address is and what it answers. tableOf (src/engine/table.ts) makes one. There are two:
 * while one is in use, the next is written to the other. Offsets are from a table's first byte.
 */

import { LINK_SIZE, LINK_TABLES_SIZE, MAX_LINKS } from "./ways.ts";

/** Maximum number of prefixes in a configuration, exceptions included. */
export const PREFIXES = 100_000;
/**
 * Indices of prefixes. There are twice as many as prefixes, so that an old and a new configuration can exist at
 * once without sharing an index.
 */
export const PREFIX_INDICES = 2 * PREFIXES;

/** u8[4]: the host's own IPv4 address, as it lies in a packet; 0 where it has none. */
export const HOST = 0;
/** u32: owner of the host's IPv4 address, NOBODY; INVALID where the host has none. */
export const HOST_OWNER = HOST + 4;
/** u32: owner of the host's IPv6 address, NOBODY; INVALID where the host has none. */
export const HOST6_OWNER = HOST_OWNER + 4;
/** u8[16]: the host's own IPv6 address. */
export const HOST6 = HOST6_OWNER + 4 + 4;
/** u32, a SourceRoute. */
export const SOURCE_ROUTE = HOST6 + 16;
/** A limit: {f32 tokens that a bucket gains a millisecond, f32 tokens that it holds}. */
export const LIMIT_SIZE = 8;
/** A limit: that of the sources' buckets; without LIMIT_SOURCE it holds for UDP services alone. */
export const SOURCE_LIMIT = SOURCE_ROUTE + 4 + 4;
/** Entries of a trie's root, one for each value of an address's first two bytes. */
export const ROOT_ENTRIES = 65536;
/**
 * u32[ROOT_ENTRIES]: root of the IPv4 trie. The index is an address's first two bytes, as loaded from the packet. An
 * entry below FIRST_NODE is the owner of all addresses that begin so. An entry from FIRST_NODE on is the address of a
 * node: u32[256], with an entry for each value of the next byte.
 */
export const TRIE = (SOURCE_LIMIT + LIMIT_SIZE + 63) & -64;
/**
 * u32[ROOT_ENTRIES]: root of the IPv6 trie. Its nodes are u32[16] and decide four bits each, since IPv6 prefixes
 * are longer and lie further apart.
 */
export const TRIE6 = TRIE + 4 * ROOT_ENTRIES;
/** u32[PREFIX_INDICES]: TTL (or hop limit) of what the prefix sends, 1 to 255, and ANSWER_ bits. */
export const PREFIX_ANSWERS = TRIE6 + 4 * ROOT_ENTRIES;
/** Limits [PREFIX_INDICES]: those of the prefixes' buckets. */
export const PREFIX_LIMITS = PREFIX_ANSWERS + 4 * PREFIX_INDICES;
/**
 * {u32 address of the prefix's ports, or 0; u32 maximum number of its connections, 0 for no limit}[PREFIX_INDICES]: TCP
 * of the prefixes.
 */
export const PREFIX_TCP = PREFIX_LIMITS + LIMIT_SIZE * PREFIX_INDICES;
export const PREFIX_TCP_SIZE = 8;
/** u32[PREFIX_INDICES]: address of the prefix's UDP ports, or 0. */
export const PREFIX_UDP = PREFIX_TCP + PREFIX_TCP_SIZE * PREFIX_INDICES;
/** u32[PREFIX_INDICES]: address of the prefix's list of interfaces (probe.ts), or 0. */
export const PREFIX_INTERFACES = PREFIX_UDP + 4 * PREFIX_INDICES;
/** The lists of interfaces. Prefixes with the same interfaces share a list. */
export const INTERFACE_LISTS = PREFIX_INTERFACES + 4 * PREFIX_INDICES;
/** Maximum bytes of all lists of interfaces. */
export const MAX_INTERFACE_LISTS = 1 << 20;
/** u32[PREFIX_INDICES]: address of the prefix's link, or 0. */
export const PREFIX_LINK = INTERFACE_LISTS + MAX_INTERFACE_LISTS;
/** Tables that all links use (ways.ts). */
export const LINK_TABLES = (PREFIX_LINK + 4 * PREFIX_INDICES + 63) & -64;
/** The links [MAX_LINKS], and behind them what they need besides: quantiles, traces, lists of packets, and rings. */
export const LINKS = (LINK_TABLES + LINK_TABLES_SIZE + 63) & -64;
export const LINK_DATA = LINKS + LINK_SIZE * MAX_LINKS;
/** Maximum bytes of what links need besides. */
export const MAX_LINK_DATA = 8 << 20;
/** u32[PREFIX_INDICES]: address of the prefix's path (hops.ts), or 0. */
export const PREFIX_PATH = LINK_DATA + MAX_LINK_DATA;
/** The paths, and their forks, routes and hops. */
export const PATH_DATA = (PREFIX_PATH + 4 * PREFIX_INDICES + 63) & -64;
/** Maximum bytes of them. */
export const MAX_PATH_DATA = 8 << 20;
/**
 * Ports: lists of {u32 number of ranges; ranges {u16 first port, u16 last port, u32 address of a service}}. The ranges
 * are in ascending order, and none overlap. Prefixes with the same ports share a list. A port in no range refuses, or
 * is unreachable. Those of TCP come first, then a 0, then those of UDP, and another 0.
 */
export const PORT_LISTS = PATH_DATA + MAX_PATH_DATA;
export const PORT_RANGE_SIZE = 8;
/** Maximum bytes of all port lists. */
export const MAX_PORT_LISTS = 1 << 20;
/** The tries' nodes. */
export const NODES = PORT_LISTS + MAX_PORT_LISTS;
/** Entries in a node of IPv4; one of IPv6 has 16. */
export const NODE_ENTRIES = 256;
/**
 * Maximum bytes of all nodes: a prefix adds two nodes of IPv4 or 28 of IPv6. The ranges that no host can have add some.
 */
export const MAX_NODES = 2 * 4 * NODE_ENTRIES * PREFIXES + 8192;

/** Owners. A prefix is the owner FIRST_PREFIX + its index. */
export const NOBODY = 0;
/** Owner of addresses that no host can have; src/prefix/prefixes.ts lists them. */
export const INVALID = 1;
export const FIRST_PREFIX = 2;
/** Smallest entry of a trie that is the address of a node. All smaller ones are owners. */
export const FIRST_NODE = FIRST_PREFIX + PREFIX_INDICES;

export const ANSWER_ECHO = 1 << 8;
export const ANSWER_TIMESTAMP = 1 << 9;
/** All kinds of ICMP errors. */
export const ANSWER_ERRORS = 1 << 10;
/** Two bits each, an Unreachable: the treatment of UDP and of protocols that pongd does not speak. */
export const UNREACHABLE_UDP_SHIFT = 12;
export const UNREACHABLE_OTHER_SHIFT = 14;
/** LIMIT_PREFIX: the prefix has a limit. LIMIT_SOURCE: the sources have one. */
export const LIMIT_PREFIX = 1 << 16;
export const LIMIT_SOURCE = 1 << 17;

/** TCP is looked at. Without it, segments are dropped unread. */
export const ANSWER_TCP = 1 << 18;

/** A UDP port has a service. Without it, UNREACHABLE_UDP_SHIFT says all that there is to know. */
export const ANSWER_UDP = 1 << 19;

/** The prefix has interfaces: PROBE is answered. */
export const ANSWER_PROBE = 1 << 20;

/** The prefix stands behind a link. */
export const LINKED = 1 << 21;

/** The prefix stands behind a path, and behind a link, which may do nothing. */
export const PATHED = 1 << 22;

/** Treatment of a packet with a source route. The members' names are the flag's values. */
export enum SourceRoute {
  /** Dropped. */
  drop,
  /** Answered along the reversed route if the route ends here; dropped if it has hops left. */
  reverse,
}

/** Treatment of a packet to a port or protocol that nobody listens to. The members' names are the flag's values. */
export enum Unreachable {
  /** Dropped for its protocol, without being checked. */
  off,
  /** Checked, and dropped without an ICMP error. */
  silent,
  /** Answered with the ICMP error. */
  on,
}
