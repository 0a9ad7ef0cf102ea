// The map of linear memory, and the queues in it. abi/ says where each area begins; on the right are its files' names.
//
//        0 ┌──────────────────────────────────────────┐
//          │ control words                            │  control
// COUNTERS ├──────────────────────────────────────────┤
//          │ f64 counters, then f64 replies by prefix │  counters: written here and by the I/O, read at a scrape
//          ├──────────────────────────────────────────┤
//          │ token buckets: errors, prefixes, sources │  limits (limit.ts)
//    PATHS ├──────────────────────────────────────────┤
//          │ path MTUs by destination                 │  paths (pmtu.ts)
//   TURNED ├──────────────────────────────────────────┤
//          │ timers: a wheel of lists                 │  timers (timers.ts)
// HASH_KEY ├──────────────────────────────────────────┤
//          │ TCP: limits, state, services             │  tcp (tcp/)
//          ├──────────────────────────────────────────┤
//          │ sessions of UDP services: limits, state  │  sessions (udp/sessions.ts)
//    SHA_K ├──────────────────────────────────────────┤
//          │ SHA-256: constants, and room to work in  │  sha256 (sha256.ts)
//     FREE ├──────────────────────────────────────────┤
//          │ stack of free slots                      │  pool: a slot is here, in a queue, kept, or with the kernel
//     KEPT ├──────────────────────────────────────────┤
//          │ a record for each slot                   │  pool: of the packet that is kept in it (kept.ts)
//    RINGS ├──────────────────────────────────────────┤  page boundary
//          │ io_uring: struct io_rings, CQEs          │  uring: shared with the kernel (ring.ts)
//     SQES ├──────────────────────────────────────────┤  page boundary
//          │ io_uring: SQEs                           │
// RECEIVED ├──────────────────────────────────────────┤
//          │ descriptors: I/O → engine                │  slots
//  TO_SEND ├──────────────────────────────────────────┤
//          │ descriptors: engine → I/O                │
//  TOUCHED ├──────────────────────────────────────────┤
//          │ connections that have something to send  │  slots (tcp/output.ts)
// SLOT_BASE├──────────────────────────────────────────┤  page boundary
//          │ slots, as many as SLOT_COUNT says, each  │  odd, so that the slots' first lines spread over
//          │ an odd number of cache lines             │  all sets of the first-level cache
//          ├──────────────────────────────────────────┤
//          │ two tables: whose the addresses are, and │  tables: written by the host (src/engine/table.ts), one while
//          │ what they answer                         │  the other is in use (prefix.ts)
//          ├──────────────────────────────────────────┤  where the word REASSEMBLY says
//          │ reassembly: a table, and a buffer of     │  reassembly (reassembly.ts draws it)
//          │ 64 KiB and a header for each datagram    │
//          ├──────────────────────────────────────────┤  page boundary, like those of the parts of TCP
//          │ TCP: control blocks, table, TIME-WAIT,   │  at the addresses in the words of tcp, as src/engine/tcp.ts
//          │ pages, bytes of services                 │  lays them out
//          ├──────────────────────────────────────────┤
//          │ sessions of UDP services, and their table│  at the addresses in the words of sessions, likewise by
//          │                                          │  src/engine/sessions.ts
//          └──────────────────────────────────────────┘  memory's end: shared, never grown

import { FREE_COUNT, QUEUED, SLOT_COUNT, SLOT_SIZE, UNJUDGED } from "../abi/control";
import { COUNTERS, PREFIX_REPLIES, REPLIES } from "../abi/counters";
import { FREE } from "../abi/pool";
import { DESCRIPTOR_SIZE, RECEIVED, SENDS, SLOT_ALIGN, SLOT_BASE, TO_SEND } from "../abi/slots";
import { FIRST_PREFIX } from "../abi/tables";
import { link } from "./packet";

export function receivedSlot(index: u32): usize {
  return load<u32>(RECEIVED + index * DESCRIPTOR_SIZE);
}

export function receivedLength(index: u32): u32 {
  return load<u32>(RECEIVED + index * DESCRIPTOR_SIZE, 4);
}

export function receive(index: u32, slot: usize, length: u32): void {
  store<u32>(RECEIVED + index * DESCRIPTOR_SIZE, <u32>slot);
  store<u32>(RECEIVED + index * DESCRIPTOR_SIZE, length, 4);
}

export function toSendSlot(index: u32): usize {
  return load<u32>(TO_SEND + index * DESCRIPTOR_SIZE);
}

export function toSendLength(index: u32): u32 {
  return load<u32>(TO_SEND + index * DESCRIPTOR_SIZE, 4);
}

export function send(index: u32, slot: usize, length: u32): void {
  store<u32>(TO_SEND + index * DESCRIPTOR_SIZE, <u32>slot);
  store<u32>(TO_SEND + index * DESCRIPTOR_SIZE, length, 4);
}

/** Adds a packet to TO_SEND, behind what the slow path has queued so far. */
export function queue(slot: usize, length: u32): void {
  const index = load<u32>(QUEUED);
  send(index, slot, length);
  store<u32>(QUEUED, index + 1);
}

/** Returns how many packets TO_SEND has room for, besides a reply to each packet that is not judged yet. */
export function room(): u32 {
  return SENDS - load<u32>(QUEUED) - load<u32>(UNJUDGED);
}

/** Returns how many slots may be taken for additional packets to send. Two are left for the next reads. */
export function spare(): u32 {
  const count = load<u32>(FREE_COUNT);
  return count > 2 ? min(count - 2, room()) : 0;
}

/** Takes a slot off the free stack. The caller has checked that there is one. */
export function take(): usize {
  const count = load<u32>(FREE_COUNT) - 1;
  store<u32>(FREE_COUNT, count);
  return load<u32>(FREE + (count << 2));
}

/**
 * Takes a slot for a new packet to the sender of the one with this context, copies that one's link header in, and
 * returns the address behind it. The header lies at the beginning of the cache line and is turned around already
 * (ethernet.ts). In TUN mode there is none. A struct virtio_net_hdr before it is one of zeros (offload.ts).
 */
export function takeReply(packet: usize): usize {
  const behind = link(packet);
  const headerLen = behind & (SLOT_ALIGN - 1);
  const slot = take();
  memory.copy(slot, behind - headerLen, headerLen);
  return slot + headerLen;
}

/**
 * Takes the slot whose first cache line contains `p` off the free stack, to which it has just been given back. Wherever
 * it is, the slot on top takes its place.
 */
export function retake(p: usize): void {
  const count = load<u32>(FREE_COUNT) - 1;
  const top = load<u32>(FREE + (count << 2));
  let at: usize = FREE + (count << 2);
  while (load<u32>(at) != (<u32>p & -SLOT_ALIGN)) at -= 4;
  store<u32>(at, top);
  store<u32>(FREE_COUNT, count);
}

/** Returns whether what lies at `p` lies in a slot, and not in a reassembly buffer. */
export function isInSlot(p: usize): bool {
  return <u32>(p - SLOT_BASE) < load<u32>(SLOT_COUNT) * load<u32>(SLOT_SIZE);
}

/** Gives back the slot whose first cache line contains `p`. */
export function free(p: usize): void {
  const count = load<u32>(FREE_COUNT);
  store<u32>(FREE + (count << 2), <u32>p & -SLOT_ALIGN);
  store<u32>(FREE_COUNT, count + 1);
}

export function add(counter: u32, amount: i32): void {
  addLarge(counter, <f64>amount);
}

/** Adds what 32 bits may have no room for. */
export function addLarge(counter: u32, amount: f64): void {
  const at = COUNTERS + (counter << 3);
  store<f64>(at, load<f64>(at) + amount);
}

/** Counts `packets` as answered by an address of the prefix. */
export function answered(protocol: u32, prefix: i32, packets: u32): void {
  add(REPLIES + protocol, packets);
  add(PREFIX_REPLIES - FIRST_PREFIX + prefix, packets);
}
