// PROBE, RFC 8335: tells of an interface that the prefix is configured to have (abi/probe.ts). The request becomes the
// reply where it lies. As in Linux, the extension structure and what follows it come back, so a reply is as long as its
// request but for the extension headers of IPv6.
//
// §8: a query is answered if the list has an interface that it could be about: by name if one has a name, and so on.
// With the L bit clear, it is about a node beside this one, and is answered if the list has one of these.

import { Drop } from "../../abi/counters";
import {
  AFI_802, AFI_IPV4, AFI_IPV6, AFI_MAC48, AFI_MAC64, IDENTIFIER_AFI, IDENTIFIER_INTERFACE, IDENTIFIER_LEN,
  IDENTIFIER_QUERY, IDENTIFIER_STATE, IDENTIFIER_VALUE, PROBE_COUNT, PROBE_IDENTIFIERS, PROBE_QUERIES, Query,
} from "../../abi/probe";
import { FIRST_PREFIX, PREFIX_INTERFACES } from "../../abi/tables";
import { permits } from "../limit";
import { owner } from "../packet";
import { table } from "../prefix";
import { drop } from "../verdict";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/probe";

const EXTENSION_VERSION: u32 = 2;
/** The class of the Interface Identification Object. */
const INTERFACE_IDENTIFICATION: u32 = 3;
const INDEX_LEN: u32 = 4;
/** RFC 8335 §4. */
const TTL: u32 = 255;

// find() returns one of these if there is no single interface, and otherwise the state of the one that there is.
const NONE: u32 = 256;
const SEVERAL: u32 = 257;

/** Judges a request of ICMPv4. The prefix has interfaces. */
export function probe(packet: usize, ip: usize, msg: usize, msgLen: u32): i32 {
  const list = interfaces(packet);
  const query = queryOf(msg, msgLen);
  if (!isEnabled(list, msg, query)) return drop(Drop.icmp_probe_ignored);
  if (!permits(packet, ip)) return drop(Drop.rate_limited);
  setReply(list, msg, msgLen, query, wire.REPLY, 0);
  ipv4.swapAddrs(ip);
  // §4: no DSCP, don't-fragment and this TTL. A reply that is longer than RFC 8335 knows any may yet lose the flag.
  ipv4.setTtl(ip, TTL, ipv4.setDscp(ip, 0) + ipv4.forbidFragments(ip));
  return ipv4.totalLen(ip);
}

/** Judges a request of ICMPv6. Extension headers do not go back. */
export function probe6(packet: usize, ip: usize, msg: usize, msgLen: u32): i32 {
  const list = interfaces(packet);
  const query = queryOf(msg, msgLen);
  if (!isEnabled(list, msg, query)) return drop(Drop.icmp_probe_ignored);
  if (!permits(packet, ip)) return drop(Drop.rate_limited);
  setReply(list, msg, msgLen, query, wire.REPLY6, ipv6.pseudoSum(ip, ipv6.ICMPV6, msgLen));
  if (msg != ip + ipv6.HEADER_LEN) memory.copy(ip + ipv6.HEADER_LEN, msg, msgLen);
  ipv6.swapAddrs(ip);
  ipv6.setDscp(ip, 0);
  ipv6.setPayload(ip, msgLen, ipv6.ICMPV6, TTL);
  return ipv6.HEADER_LEN + msgLen;
}

function interfaces(packet: usize): usize {
  return load<u32>(table() + (<usize>(owner(packet) - FIRST_PREFIX) << 2), PREFIX_INTERFACES);
}

/** Returns the C-Type of a query whose form is right, or else Query.none. */
function queryOf(msg: usize, msgLen: u32): Query {
  if (msgLen < wire.MIN_LEN || wire.version(msg) != EXTENSION_VERSION) return Query.none;
  const len = wire.objectLen(msg);
  if (len <= wire.OBJECT_HEADER_LEN || wire.OBJECT_AT + len > msgLen) return Query.none;
  if (wire.classNum(msg) != INTERFACE_IDENTIFICATION || !wire.structureHolds(msg)) return Query.none;
  const payloadLen = len - wire.OBJECT_HEADER_LEN;
  switch (wire.cType(msg)) {
    case Query.name: return Query.name;
    case Query.index: return payloadLen == INDEX_LEN ? Query.index : Query.none;
    case Query.address: return isAddress(msg, payloadLen) ? Query.address : Query.none;
    default: return Query.none;
  }
}

/** RFC 8335 §2.1: returns whether the payload is an address of its family's length, padded up to 4 bytes or not. */
function isAddress(msg: usize, payloadLen: u32): bool {
  if (payloadLen <= wire.ADDRESS_HEADER_LEN) return false;
  const len = wire.addressLen(msg);
  const room = payloadLen - wire.ADDRESS_HEADER_LEN;
  if (room != len && room != (len + 3 & ~3)) return false;
  switch (wire.afi(msg)) {
    case AFI_IPV4: return len == 4;
    case AFI_IPV6: return len == 16;
    case AFI_MAC48: return len == 6;
    case AFI_MAC64: return len == 8;
    // Every family of IANA's is valid.
    default: return true;
  }
}

/** RFC 8335 §8: returns whether the list is meant for such queries. A malformed one may be of any kind. */
function isEnabled(list: usize, msg: usize, query: Query): bool {
  const queries = load<u32>(list, PROBE_QUERIES);
  if (!wire.isLocal(msg)) return (queries & 1 << Query.neighbor) != 0;
  return (queries & (query == Query.none ? ~(1 << Query.neighbor) : 1 << query)) != 0;
}

/** Makes the message of the reply: RFC 8335 §4 and §4.1. */
function setReply(list: usize, msg: usize, msgLen: u32, query: Query, type: u32, pseudoSum: u64): void {
  const local = wire.isLocal(msg);
  let code = wire.MALFORMED_QUERY;
  let state: u32 = 0;
  if (query != Query.none && (local || query == Query.address)) {
    const found = find(list, local ? query : Query.neighbor, msg);
    if (found == SEVERAL) {
      code = wire.MULTIPLE_INTERFACES;
    } else if (found == NONE) {
      code = local ? wire.NO_SUCH_INTERFACE : wire.NO_SUCH_TABLE_ENTRY;
    } else {
      code = wire.NO_ERROR;
      state = found;
    }
  }
  wire.setReply(msg, msgLen, type, code, state, pseudoSum);
}

/** Returns the state of the interface that the object identifies, or NONE or SEVERAL. */
function find(list: usize, query: Query, msg: usize): u32 {
  const isAddress = query >= Query.address;
  const value = isAddress ? wire.address(msg) : wire.payload(msg);
  let len = isAddress ? wire.addressLen(msg) : wire.objectLen(msg) - wire.OBJECT_HEADER_LEN;
  // §2.1: a name is padded with NULs.
  if (query == Query.name) while (len != 0 && load<u8>(value + len - 1) == 0) len--;
  let afi: u32 = isAddress ? wire.afi(msg) : 0;
  if (afi == AFI_802 && len == 6) afi = AFI_MAC48;
  let found = NONE;
  let owner: u32 = 0;
  let at = list + PROBE_IDENTIFIERS;
  for (let i = load<u32>(list, PROBE_COUNT); i != 0; i--) {
    const ownLen: u32 = load<u8>(at, IDENTIFIER_LEN);
    if (load<u8>(at, IDENTIFIER_QUERY) == query && ownLen == len && load<u16>(at, IDENTIFIER_AFI) == afi
      && memory.compare(at + IDENTIFIER_VALUE, value, len) == 0) {
      if (found != NONE && load<u8>(at, IDENTIFIER_INTERFACE) != owner) return SEVERAL;
      owner = load<u8>(at, IDENTIFIER_INTERFACE);
      found = load<u8>(at, IDENTIFIER_STATE);
    }
    at += IDENTIFIER_VALUE + (ownLen + 3 & ~3);
  }
  return found;
}
