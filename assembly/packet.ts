// A packet's context: what the steps of the slow path hand down with a packet. The packet in hand has the one at
// CONTEXT. Whatever answers later, as a datagram in reassembly does, has one of its own.
//
//  0 ┌──────┬──────┬─────────┬────────┬─────────┬──────────────────────────────┐
//    │ link │ owner│ answers │ family │ arrival │ flags, kind, … (offload.ts)  │
//    └──────┴──────┴─────────┴────────┴─────────┴──────────────────────────────┘

import { NOW, WALL } from "../abi/control";
import { FIRST_PREFIX } from "../abi/tables";
import { answersOf, table } from "./prefix";

const LINK: usize = 0; // address behind the link header, which is copied for replies in slots of their own
const OWNER: usize = 4;
const ANSWERS: usize = 8;
const FAMILY: usize = 12; // u8
const PROTOCOL: usize = 13; // u8
const CROSSED: usize = 14; // u8
const ROUTE: usize = 15; // u8
const ARRIVAL: usize = 16; // u64, on the clock of NOW
const FLAGS: usize = 24; // u8, as wire/vnet.ts has them
const KIND: usize = 25; // u8
const SUM_OFFSET: usize = 26; // u16, of the checksum from where its sum starts
const SUM_START: usize = 28; // u16, from the packet
const SEGMENT_SIZE: usize = 30; // u16

/** Begins the context of a packet that has come now. Its link header ends at `link`. */
export function begin(packet: usize, link: usize, family: u32): void {
  store<u32>(packet, <u32>link, LINK);
  store<u32>(packet, 0, OWNER);
  store<u32>(packet, 0, ANSWERS);
  store<u32>(packet, family, FAMILY);
  store<u64>(packet, load<u64>(NOW), ARRIVAL);
  store<u64>(packet, 0, FLAGS);
}

/** Returns the address behind the link header. */
export function link(packet: usize): usize {
  return load<u32>(packet, LINK);
}

export function setLink(packet: usize, link: usize): void {
  store<u32>(packet, <u32>link, LINK);
}

/** Returns the owner of the destination. */
export function owner(packet: usize): i32 {
  return load<i32>(packet, OWNER);
}

/** Sets the owner of the destination, and what it answers. */
export function setOwner(packet: usize, prefix: i32): void {
  store<i32>(packet, prefix, OWNER);
  // While a datagram waits in reassembly, a new table may have made its destination nobody's.
  store<u32>(packet, prefix < FIRST_PREFIX ? 0 : answersOf(table(), prefix), ANSWERS);
}

/** Returns what the destination answers: a TTL and ANSWER_ bits. */
export function answers(packet: usize): u32 {
  return load<u32>(packet, ANSWERS);
}

/** Returns the TTL, or hop limit, of packets from the destination. */
export function ttl(packet: usize): u32 {
  return load<u8>(packet, ANSWERS);
}

/** Returns 4 or 6. */
export function family(packet: usize): u32 {
  return load<u8>(packet, FAMILY);
}

/** Sets 4 or 6. */
export function setFamily(packet: usize, family: u32): void {
  store<u8>(packet, <u8>family, FAMILY);
}

/** Returns the Protocol that a reply counts as where a service has one of its own; otherwise 0. */
export function protocol(packet: usize): u32 {
  return load<u8>(packet, PROTOCOL);
}

export function setProtocol(packet: usize, protocol: u32): void {
  store<u8>(packet, <u8>protocol, PROTOCOL);
}

/** Returns the time at which the packet came, on the clock of NOW; or comes, if its link delays it (link/link.ts). */
export function arrival(packet: usize): u64 {
  return load<u64>(packet, ARRIVAL);
}

export function setArrival(packet: usize, at: u64): void {
  store<u64>(packet, at, ARRIVAL);
}

/** Returns whether the packet has yet to come. */
export function isAhead(packet: usize): bool {
  return load<u64>(packet, ARRIVAL) > load<u64>(NOW);
}

/** Returns the time on the wall clock at which the packet is judged, which is not before it comes. */
export function wall(packet: usize): u64 {
  const now = load<u64>(WALL);
  return isAhead(packet) ? now + (load<u64>(packet, ARRIVAL) - load<u64>(NOW)) : now;
}

/** Returns whether the packet has been through the link of its destination. */
export function hasCrossed(packet: usize): bool {
  return load<u8>(packet, CROSSED) != 0;
}

export function setCrossed(packet: usize): void {
  store<u8>(packet, 1, CROSSED);
}

/** Returns the number of the route that the packet came by (path/route.ts); 0 without a path. */
export function route(packet: usize): u32 {
  return load<u8>(packet, ROUTE);
}

export function setRoute(packet: usize, route: u32): void {
  store<u8>(packet, <u8>route, ROUTE);
}

/** Returns the flags of wire/vnet.ts. */
export function flags(packet: usize): u32 {
  return load<u8>(packet, FLAGS);
}

/** Forgets the flags: whatever is known of the checksum holds no more. */
export function clearFlags(packet: usize): void {
  store<u8>(packet, 0, FLAGS);
}

/** Returns the kind of wire/vnet.ts. */
export function kind(packet: usize): u32 {
  return load<u8>(packet, KIND);
}

/** Returns where the partial sum of a packet starts, in bytes from the packet. */
export function sumStart(packet: usize): u32 {
  return load<u16>(packet, SUM_START);
}

/** Returns the bytes of payload of each segment, where the kind says that there are several. */
export function segmentSize(packet: usize): u32 {
  return load<u16>(packet, SEGMENT_SIZE);
}

/** Returns where its checksum is, in bytes from there. */
export function sumOffset(packet: usize): u32 {
  return load<u16>(packet, SUM_OFFSET);
}

/** Sets what of a packet is unfinished. The sum may be said to start anywhere, also before the packet. */
export function setUnfinished(
  packet: usize, flagsAndKind: u32, sumStart: u32, sumOffset: u32, segmentSize: u32,
): void {
  store<u32>(packet, flagsAndKind | sumOffset << 16, FLAGS);
  store<u32>(packet, min<u32>(sumStart, 0xffff) | segmentSize << 16, SUM_START);
}
