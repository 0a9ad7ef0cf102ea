// The linear-memory map, and the queues in it. Constants: src/abi.ts.
//
//        0 ┌──────────────────────────────────────────┐
//          │ control: stop, free count, reply TTL …   │
// COUNTERS ├──────────────────────────────────────────┤
//          │ f64 counters, then f64 replies by prefix │  written here and by the I/O, read by the host at scrape
//          ├──────────────────────────────────────────┤
//          │ trie over the prefixes                   │  written by the host (src/prefixes.ts)
// RECEIVED ├──────────────────────────────────────────┤
//          │ {slot, length}: I/O → engine             │
//  TO_SEND ├──────────────────────────────────────────┤
//          │ {slot, length}: engine → I/O             │
//     FREE ├──────────────────────────────────────────┤
//          │ stack of free slots                      │  a slot is on the stack, in a queue, or being read or written
//    RINGS ├──────────────────────────────────────────┤  page boundary
//          │ io_uring: struct io_rings, CQEs          │  shared with the kernel (ring.ts)
//     SQES ├──────────────────────────────────────────┤  page boundary
//          │ io_uring: SQEs                           │
// SLOT_BASE├──────────────────────────────────────────┤  page boundary
//          │ SLOTS slots, each an odd number of cache │  odd, so that the slots' first lines spread over
//          │ lines                                    │  all sets of the first-level cache
//          └──────────────────────────────────────────┘  memory's end: shared, never grown

import { COUNTERS, FREE, FREE_COUNT, RECEIVED, TO_SEND } from "../src/abi";

export function receivedSlot(index: u32): usize {
  return load<u32>(RECEIVED + (index << 3));
}

export function receivedLength(index: u32): u32 {
  return load<u32>(RECEIVED + (index << 3), 4);
}

export function receive(index: u32, slot: usize, length: u32): void {
  store<u32>(RECEIVED + (index << 3), <u32>slot);
  store<u32>(RECEIVED + (index << 3), length, 4);
}

export function toSendSlot(index: u32): usize {
  return load<u32>(TO_SEND + (index << 3));
}

export function toSendLength(index: u32): u32 {
  return load<u32>(TO_SEND + (index << 3), 4);
}

export function send(index: u32, slot: usize, length: u32): void {
  store<u32>(TO_SEND + (index << 3), <u32>slot);
  store<u32>(TO_SEND + (index << 3), length, 4);
}

/** A slot off the free stack; the caller knows that there is one. */
export function take(): usize {
  const count = load<u32>(FREE_COUNT) - 1;
  store<u32>(FREE_COUNT, count);
  return load<u32>(FREE + (count << 2));
}

export function free(slot: usize): void {
  const count = load<u32>(FREE_COUNT);
  store<u32>(FREE + (count << 2), <u32>slot);
  store<u32>(FREE_COUNT, count + 1);
}

export function add(counter: u32, amount: i32): void {
  const at = COUNTERS + (counter << 3);
  store<f64>(at, load<f64>(at) + <f64>amount);
}
