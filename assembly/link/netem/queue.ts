// Netem's queue: when each packet leaves that is in it. How many there are is what its limit is about. The packets
// themselves are kept like all others (kept.ts). One that is not in the queue any more has been sent, or will be when
// the engine is called next.

/** Takes those out of a queue that have left by `now`, and returns how many are left. */
export function settle(queue: usize, now: u64): u32 {
  let size = load<u32>(queue);
  while (size && load<u64>(queue, 8) <= now) {
    size--;
    sink(queue, size, load<u64>(queue + (<usize>size << 3), 8));
  }
  store<u32>(queue, size);
  return size;
}

/** Puts a packet into a queue that has room for it. */
export function push(queue: usize, leaves: u64): void {
  let at = load<u32>(queue);
  store<u32>(queue, at + 1);
  while (at) {
    const above = at - 1 >>> 1;
    const time = load<u64>(queue + (<usize>above << 3), 8);
    if (time <= leaves) break;
    store<u64>(queue + (<usize>at << 3), time, 8);
    at = above;
  }
  store<u64>(queue + (<usize>at << 3), leaves, 8);
}

/** Has `leaves` take its place in a heap of `size` whose first place is free. */
function sink(queue: usize, size: u32, leaves: u64): void {
  let at: u32 = 0;
  for (;;) {
    let below: u32 = 2 * at + 1;
    if (below >= size) break;
    let time = load<u64>(queue + (<usize>below << 3), 8);
    if (below + 1 < size) {
      const other = load<u64>(queue + (<usize>below << 3), 16);
      if (other < time) {
        time = other;
        below++;
      }
    }
    if (leaves <= time) break;
    store<u64>(queue + (<usize>at << 3), time, 8);
    at = below;
  }
  store<u64>(queue + (<usize>at << 3), leaves, 8);
}
