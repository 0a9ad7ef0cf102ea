/** Interfaces that PROBE tells of (RFC 8335), as a configuration says them, and their list (abi/probe.ts). */
import {
  IDENTIFIER_AFI, IDENTIFIER_INTERFACE, IDENTIFIER_LEN, IDENTIFIER_QUERY, IDENTIFIER_STATE, IDENTIFIER_VALUE,
  PROBE_ACTIVE, PROBE_COUNT, PROBE_IDENTIFIERS, PROBE_IPV4, PROBE_IPV6, PROBE_QUERIES, PROBE_STATE_SHIFT, Query,
} from "../../abi/probe.js";

/** States of an entry in a table of neighbors; a state's number is its place plus 1 (RFC 8335 §3). */
export const NEIGHBOR_STATES = ["incomplete", "reachable", "stale", "delay", "probe", "failed"] as const;
export type NeighborState = typeof NEIGHBOR_STATES[number];

export interface ProbedAddress {
  readonly afi: number;
  readonly bytes: Uint8Array;
}

/** An interface of the node that is asked. */
export interface OwnInterface {
  /** Its name in UTF-8, at most 255 bytes. */
  readonly name?: Uint8Array | undefined;
  readonly index?: number | undefined;
  readonly addresses: readonly ProbedAddress[];
  readonly active: boolean;
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

/** An interface of a node beside it, as its table of neighbors has it. */
export interface Neighbor {
  readonly addresses: readonly ProbedAddress[];
  readonly neighbor: NeighborState;
}

export type ProbedInterface = OwnInterface | Neighbor;

/** Returns the list of these interfaces, at most 256. */
export function interfaceBytes(interfaces: readonly ProbedInterface[]): Buffer {
  const identifiers = interfaces.flatMap((each, i) => {
    const [state, own] = "neighbor" in each
      ? [NEIGHBOR_STATES.indexOf(each.neighbor) + 1 << PROBE_STATE_SHIFT, undefined]
      : [stateOf(each), each];
    const one = (query: Query, value: Uint8Array, afi = 0) => ({ query, value, afi, state, number: i });
    const address = own ? Query.address : Query.neighbor;
    return [
      ...own?.name ? [one(Query.name, own.name)] : [],
      ...own?.index === undefined ? [] : [one(Query.index, wordOf(own.index))],
      ...each.addresses.map(({ afi, bytes }) => one(address, bytes, afi)),
    ];
  });
  const header = Buffer.alloc(PROBE_IDENTIFIERS);
  header.writeUInt32LE(identifiers.reduce((queries, { query }) => queries | 1 << query, 0), PROBE_QUERIES);
  header.writeUInt32LE(identifiers.length, PROBE_COUNT);
  return Buffer.concat([header, ...identifiers.map(({ query, value, afi, state, number }) => {
    const bytes = Buffer.alloc(IDENTIFIER_VALUE + (value.length + 3 & ~3));
    bytes[IDENTIFIER_QUERY] = query;
    bytes[IDENTIFIER_STATE] = state;
    bytes[IDENTIFIER_INTERFACE] = number;
    bytes[IDENTIFIER_LEN] = value.length;
    bytes.writeUInt16LE(afi, IDENTIFIER_AFI);
    bytes.set(value, IDENTIFIER_VALUE);
    return bytes;
  })]);
}

/** RFC 8335 §3: 4 and 6 are clear unless A is set. */
function stateOf({ active, ipv4, ipv6 }: OwnInterface): number {
  return active ? PROBE_ACTIVE | (ipv4 ? PROBE_IPV4 : 0) | (ipv6 ? PROBE_IPV6 : 0) : 0;
}

function wordOf(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
