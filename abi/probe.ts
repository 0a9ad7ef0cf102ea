/**
 * PROBE, RFC 8335: the interfaces that a prefix says it has. They are a list of what identifies one of them: its name,
 * its index, or one of its addresses, each with what is said of the interface. interfaceBytes() in
 * src/prefix/interfaces.ts makes the list.
 */

/** u32: queries that the list is meant for, a bit 1 << Query each. All others are not answered. */
export const PROBE_QUERIES = 0;
/** u32: number of identifiers. */
export const PROBE_COUNT = PROBE_QUERIES + 4;
/** The identifiers, one behind the other. */
export const PROBE_IDENTIFIERS = PROBE_COUNT + 4;

/** u8, a Query. */
export const IDENTIFIER_QUERY = 0;
/** u8: what the reply says of the interface: State, A, 4 and 6, as RFC 8335 §3 has them. */
export const IDENTIFIER_STATE = IDENTIFIER_QUERY + 1;
/** u8: number of the interface in the list. */
export const IDENTIFIER_INTERFACE = IDENTIFIER_STATE + 1;
/** u8: bytes of the value. */
export const IDENTIFIER_LEN = IDENTIFIER_INTERFACE + 1;
/** u16: Address Family Identifier of an address, in the host's order; 0 for a name or an index. */
export const IDENTIFIER_AFI = IDENTIFIER_LEN + 1;
/** The value, as it lies in a request. The next identifier begins at the next multiple of 4. */
export const IDENTIFIER_VALUE = IDENTIFIER_AFI + 2 + 2;

/** Queries. The first three are C-Types of the Interface Identification Object (RFC 8335 §2.1). */
export enum Query {
  /** One that is malformed. */
  none,
  name,
  index,
  address,
  /** An address of an interface on a node beside this one: the L bit is clear. */
  neighbor,
}

/** Address Family Numbers of IANA's. */
export const AFI_IPV4 = 1;
export const AFI_IPV6 = 2;
/** All media of IEEE 802. Six bytes of it mean the same as AFI_MAC48. */
export const AFI_802 = 6;
export const AFI_MAC48 = 16389;
export const AFI_MAC64 = 16390;

/** Bits of IDENTIFIER_STATE. State is above them. */
export const PROBE_ACTIVE = 4;
export const PROBE_IPV4 = 2;
export const PROBE_IPV6 = 1;
export const PROBE_STATE_SHIFT = 5;
