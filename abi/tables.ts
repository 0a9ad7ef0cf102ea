/**
 * Tables: whose the addresses are, and what they answer. tableOf (src/engine/table.ts) makes one. Of two, one is used,
 * and the other one is where the next is written. Offsets are from a table's first byte.
 */

/** Most prefixes a configuration may name, exceptions included. */
export const PREFIXES = 100_000;
/**
 * Indices of prefixes: twice as many, so that no index of an old configuration need be one of the next, while both are
 * there.
 */
export const PREFIX_INDICES = 2 * PREFIXES;

/** u8[4]: the host's own address of IPv4, as it lies in a packet; 0 where it has none. */
export const HOST = 0;
/** u32: whose it is, NOBODY's; INVALID where the host has none. */
export const HOST_OWNER = HOST + 4;
/** The same for IPv6. */
export const HOST6_OWNER = HOST_OWNER + 4;
/** u8[16]. */
export const HOST6 = HOST6_OWNER + 4 + 4;
/** u32, a SourceRoute. */
export const SOURCE_ROUTE = HOST6 + 16;
/** A limit: {f32, f32}, what a bucket gains a millisecond, and holds. */
export const LIMIT_SIZE = 8;
/** A limit: of the sources' buckets. */
export const SOURCE_LIMIT = SOURCE_ROUTE + 4 + 4;
/** A trie's root: entries for each value of an address's first two bytes. */
export const ROOT_ENTRIES = 65536;
/**
 * u32[ROOT_ENTRIES], the root of the trie for IPv4: an entry for each value of an address's first two bytes, at that
 * value as it is loaded from the packet. An entry is the owner of the addresses that start so, or, from FIRST_NODE on,
 * the address of a node: u32[256], an entry for each value of the next byte.
 */
export const TRIE = (SOURCE_LIMIT + LIMIT_SIZE + 63) & -64;
/** The same for IPv6, whose nodes are u32[16], for four bits each: its prefixes are longer, and lie further apart. */
export const TRIE6 = TRIE + 4 * ROOT_ENTRIES;
/** u32[PREFIX_INDICES]: the TTL (or hop limit) of what is sent, 1 to 255, and ANSWER_ bits. */
export const PREFIX_ANSWERS = TRIE6 + 4 * ROOT_ENTRIES;
/** Limits [PREFIX_INDICES]: of the prefixes' buckets. */
export const PREFIX_LIMITS = PREFIX_ANSWERS + 4 * PREFIX_INDICES;
/** The tries' nodes. */
export const NODES = PREFIX_LIMITS + LIMIT_SIZE * PREFIX_INDICES;
/** Entries of a node. */
export const NODE_ENTRIES = 256;
export const NODE6_ENTRIES = 16;
/**
 * Most bytes that they take: a prefix adds two nodes of IPv4, or 28 of IPv6; and the ranges that are no host's some.
 */
export const MAX_NODES = 2 * 4 * NODE_ENTRIES * PREFIXES + 8192;

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
