// Reassembly of a fixed number of datagrams at a time, each in a buffer of its own, for both families (RFC 791 §3.2,
// RFC 8200 §4.5). A datagram is identified by its addresses, its identification, for IPv4 its protocol, and its VLANs.
//
//  1. find     the datagram's buffer; when all are taken, the oldest datagram makes room
//  2. insert   the fragment's payload where it belongs, and the first fragment's header in front
//  3. the judge takes a whole datagram where it lies, and releases the buffer
//
// A fragment counts as held until its datagram is released or dropped. A fragment that comes again, with the same bytes
// for the same range, is a duplicate, and only the duplicate is dropped. Any other fragment that overlaps one that came
// costs the whole datagram (RFC 8200 §4.5).
//
// REASSEMBLY ┌────────────────────────────────────────────┐
//            │ {hash of its datagram or 0, serial number} │  a buffer, looked through for every fragment
//            ├────────────────────────────────────────────┤
//            │ buffers: state, addresses, which blocks of │  the kernel finds memory for what is used of them
//            │ 8 bytes came, room for headers, payload    │
//            └────────────────────────────────────────────┘

import { CONTEXT_SIZE, NOW, REASSEMBLIES, REASSEMBLY, SERIAL } from "../abi/control";
import { Counter, Drop, DROPPED } from "../abi/counters";
import { REASSEMBLY_BUFFER_SIZE, REASSEMBLY_ENTRY_SIZE, REASSEMBLY_TABLE_SIZE } from "../abi/reassembly";
import { SLOT_ALIGN } from "../abi/slots";
import { Timer, TIMER_SIZE } from "../abi/timers";
import { add } from "./memory";
import { begin, family, link, setLink } from "./packet";
import * as timers from "./timers";
import { DONE, drop as dropped } from "./verdict";
import { vlans } from "./wire/ethernet";

/** Since the first arrival. RFC 8200 §4.5 says 60 s, RFC 1122 §3.3.2 60 to 120 s. */
const TIMEOUT_NS: u64 = 60_000_000_000;
const MAX_LEN: u32 = 65535;

/** insert() returns it for a datagram that has become whole. */
export const WHOLE: i32 = 1;

// Offsets of the words in a buffer, behind its timer and the context of its datagram.
const CONTEXT: usize = TIMER_SIZE;
const ENTRY: usize = CONTEXT + CONTEXT_SIZE; // address of its entry in the table
const ADDRS_LEN: usize = ENTRY + 4;
const ID: usize = ENTRY + 8;
const HEADER_LEN: usize = ENTRY + 12; // 0 until the first fragment came
const END: usize = ENTRY + 16; // end of the payload, as far as the fragments show
const LAST: usize = ENTRY + 20; // 1 once the last fragment came
const PRESENT: usize = ENTRY + 24; // bytes of payload that came
const PACKETS: usize = ENTRY + 28;
const ECN: usize = ENTRY + 32; // a bit for each codepoint that came
const LARGEST: usize = ENTRY + 36; // bytes of the longest packet that brought a fragment
const VLANS: usize = ENTRY + 40; // u64
const ADDRS: usize = 128; // up to 32 bytes
const BLOCKS: usize = 160; // a bit for each block of 8 bytes that came
const BOUNDS: usize = 1184; // a bit for each block where a fragment began, or before which one ended; one more
/** A cache line, like the first one of a slot. */
const LINK_HEADER: usize = 2240;
const HEADER: usize = 2368;
const PAYLOAD: usize = REASSEMBLY_BUFFER_SIZE - 65536;

/**
 * Maximum bytes of headers before the payload: an IPv4 header, or an IPv6 header and extension headers
 * that end with the fragment header.
 */
export const HEADER_ROOM: u32 = <u32>(PAYLOAD - HEADER);

/**
 * Returns the buffer of the datagram of a fragment; for its first fragment, a new one. `addrs` points at both
 * addresses, `addrsLen` bytes. `id` is whatever else identifies the datagram.
 */
export function find(packet: usize, addrs: usize, addrsLen: u32, id: u32): usize {
  const wanted = hash(addrs, addrsLen, id);
  const vlan = vlans(link(packet));
  const serial = load<u32>(SERIAL);
  const table = load<u32>(REASSEMBLY);
  let buffer: usize = table + REASSEMBLY_TABLE_SIZE;
  let oldest: usize = 0;
  let oldestEntry: usize = 0;
  let oldestAge: u32 = 0;
  for (let entry: usize = table, end = table + load<u32>(
    REASSEMBLIES,
  ) * REASSEMBLY_ENTRY_SIZE; entry < end; entry += REASSEMBLY_ENTRY_SIZE, buffer += REASSEMBLY_BUFFER_SIZE) {
    const taken = load<u32>(entry);
    if (taken == wanted && load<u64>(buffer, VLANS) == vlan && isOf(buffer, addrs, addrsLen, id)) return buffer;
    // A free entry counts as older than any other.
    const age = taken ? serial - load<u32>(entry, 4) : u32.MAX_VALUE;
    if (age > oldestAge) {
      oldest = buffer;
      oldestEntry = entry;
      oldestAge = age;
    }
  }
  if (load<u32>(oldestEntry)) drop(oldest, Drop.frag_evicted);
  store<u32>(oldestEntry, wanted);
  store<u32>(oldestEntry, serial, 4);
  store<u32>(SERIAL, serial + 1);
  memory.fill(oldest, 0, HEADER);
  store<u32>(oldest, <u32>oldestEntry, ENTRY);
  store<u32>(oldest, addrsLen, ADDRS_LEN);
  store<u32>(oldest, id, ID);
  store<u64>(oldest, vlan, VLANS);
  memory.copy(oldest + ADDRS, addrs, addrsLen);
  begin(oldest + CONTEXT, 0, family(packet));
  timers.set(oldest, Timer.reassembly, load<u64>(NOW) + TIMEOUT_NS);
  return oldest;
}

/**
 * Puts the `len` bytes at `payload` at `offset` of the datagram; `more` says that others follow. The fragment's
 * headers, at most HEADER_ROOM bytes, lie between `header`, where the packet begins in its slot, and `payload`. `ecn`
 * is its ECN codepoint. Returns WHOLE, or otherwise the fragment's verdict: DONE if it waits for others, or a reason to
 * drop it. If it makes its datagram invalid, that has been dropped by then.
 */
export function insert(buffer: usize, header: usize, payload: usize, len: u32, offset: u32, more: bool, ecn: u32): i32 {
  if (!agree(buffer, len, offset + len, more, ecn)) return discard(buffer);
  const blocks = (len + 7) >>> 3;
  const first = offset >>> 3;
  const known = count(buffer + BLOCKS, first, blocks);
  if (known) {
    const again = known == blocks && isOne(buffer, first, blocks)
      && memory.compare(buffer + PAYLOAD + offset, payload, len) == 0;
    return again ? dropped(Drop.dup_frag) : discard(buffer);
  }
  mark(buffer + BLOCKS, first, blocks);
  mark(buffer + BOUNDS, first, 1);
  mark(buffer + BOUNDS, first + blocks, 1);
  memory.copy(buffer + PAYLOAD + offset, payload, len);
  if (!offset) {
    const headerLen = <u32>(payload - header);
    memory.copy(buffer + PAYLOAD - headerLen, header, headerLen);
    store<u32>(buffer, headerLen, HEADER_LEN);
    const linkLen = header & (SLOT_ALIGN - 1);
    memory.copy(buffer + LINK_HEADER, header - linkLen, linkLen);
    setLink(buffer + CONTEXT, buffer + LINK_HEADER + linkLen);
  }
  store<u32>(buffer, max(load<u32>(buffer, LARGEST), <u32>(payload - header) + len), LARGEST);
  const present = load<u32>(buffer, PRESENT) + len;
  store<u32>(buffer, present, PRESENT);
  store<u32>(buffer, packets(buffer) + 1, PACKETS);
  add(Counter.held, 1);
  return load<u32>(buffer, LAST) && present == payloadLen(buffer) ? WHOLE : DONE;
}

/** Returns how many fragments of the datagram wait. */
export function packets(buffer: usize): u32 {
  return load<u32>(buffer, PACKETS);
}

/** Returns the bytes of the longest packet that brought a fragment of the datagram. */
export function largest(buffer: usize): u32 {
  return load<u32>(buffer, LARGEST);
}

/** Returns the address of the first fragment's header as it came, with the payload behind it; 0 until it is there. */
export function header(buffer: usize): usize {
  const headerLen = load<u32>(buffer, HEADER_LEN);
  return headerLen ? buffer + PAYLOAD - headerLen : 0;
}

/** Returns the context for a packet to the sender of the first fragment, which must have come. */
export function context(buffer: usize): usize {
  return buffer + CONTEXT;
}

export function payload(buffer: usize): usize {
  return buffer + PAYLOAD;
}

/** Returns the bytes of payload of a whole datagram. */
export function payloadLen(buffer: usize): u32 {
  return load<u32>(buffer, END);
}

/** RFC 3168 §5.3: a datagram met congestion if one of its fragments did. */
export function congested(buffer: usize): bool {
  return (load<u32>(buffer, ECN) & 8) != 0;
}

/** Frees the buffer. */
export function release(buffer: usize): void {
  add(Counter.held, -packets(buffer));
  store<u32>(load<u32>(buffer, ENTRY), 0);
  timers.end(buffer);
}

/** Frees the buffer of what was taken and counted by `counter`: all of its fragments count as that. */
export function taken(buffer: usize, counter: Counter): void {
  add(counter, packets(buffer) - 1);
  release(buffer);
}

/** Frees the buffer and counts its fragments as dropped. */
export function drop(buffer: usize, reason: Drop): void {
  add(DROPPED + reason, packets(buffer));
  release(buffer);
}

/** Returns a hash that is not 0. */
function hash(addrs: usize, addrsLen: u32, id: u32): u32 {
  let hash = id;
  for (const end = addrs + addrsLen; addrs < end; addrs += 4) {
    hash = rotl<u32>(hash * 0x9e3779b1, 15) ^ load<u32>(addrs);
  }
  return hash * 0x9e3779b1 | 1;
}

function isOf(buffer: usize, addrs: usize, addrsLen: u32, id: u32): bool {
  return load<u32>(buffer, ID) == id && load<u32>(buffer, ADDRS_LEN) == addrsLen
    && memory.compare(buffer + ADDRS, addrs, addrsLen) == 0;
}

/** Returns whether it can be a fragment at all, and one of the same datagram as those that came before. */
function agree(buffer: usize, len: u32, end: u32, more: bool, ecn: u32): bool {
  if (!len || end > MAX_LEN || (more && len & 7)) return false;
  const known = load<u32>(buffer, END);
  const last = load<u32>(buffer, LAST);
  if (end > known ? last : !more && end < known) return false;
  if (end > known) store<u32>(buffer, end, END);
  if (!more) store<u32>(buffer, 1, LAST);
  // RFC 3168 §5.3: Not-ECT must not be mixed with other codepoints.
  const codepoints = load<u32>(buffer, ECN) | 1 << ecn;
  store<u32>(buffer, codepoints, ECN);
  return codepoints == 1 || !(codepoints & 1);
}

/** Returns whether these blocks, which have all come, came in one fragment. */
function isOne(buffer: usize, first: u32, blocks: u32): bool {
  const bounds = buffer + BOUNDS;
  return count(bounds, first, 1) + count(bounds, first + blocks, 1) == 2 && count(bounds, first + 1, blocks - 1) == 0;
}

/** Returns how many of the `length` bits from `first` on are set. */
function count(bits: usize, first: u32, length: u32): u32 {
  let set: u32 = 0;
  for (const end = first + length; first < end; first += within(first, end)) {
    set += <u32>popcnt(load<u64>(word(bits, first)) & mask(first, end));
  }
  return set;
}

/** Sets the `length` bits from `first` on. */
function mark(bits: usize, first: u32, length: u32): void {
  for (const end = first + length; first < end; first += within(first, end)) {
    store<u64>(word(bits, first), load<u64>(word(bits, first)) | mask(first, end));
  }
}

/** Returns the address of the 64-bit word that has this bit. */
function word(bits: usize, bit: u32): usize {
  return bits + (bit >>> 6 << 3);
}

/** Returns how many of the bits from `first` up to `end` are in the first one's word; mask() says which. */
function within(first: u32, end: u32): u32 {
  return min(64 - (first & 63), end - first);
}

function mask(first: u32, end: u32): u64 {
  return u64.MAX_VALUE >>> (64 - within(first, end)) << (first & 63);
}

function discard(buffer: usize): i32 {
  drop(buffer, Drop.bad_frag);
  return dropped(Drop.bad_frag);
}
