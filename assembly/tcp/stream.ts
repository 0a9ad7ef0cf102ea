// The bytes of a stream that are kept: pages in the order of the stream, from the one with the first byte that is still
// needed on. An echo keeps what the peer has not acknowledged yet, and a service thread's stream what that has not read
// yet. Others keep only what came out of order, if they have to look at it.

import { ACKED, CAME, FIRST_PAGE, PAGE_BITS, PAGE_SIZE, RANGES, Service } from "../../abi/tcp";
import { keptFrom } from "../stream/stream";
import { kind } from "./connection";
import { givePage, nextPage, setNextPage, takePage } from "./pages";

/** Returns the position in the stream of the first byte that is still needed. */
function base(c: usize): u64 {
  switch (kind(c)) {
    case Service.echo: return load<u64>(c, ACKED);
    case Service.stream: case Service.http: return keptFrom(c);
    default: return load<u64>(c, CAME);
  }
}

/**
 * Keeps the `len` bytes at `data`, whose position in the stream is `position`, and returns true; returns false if there
 * are not enough pages.
 */
export function keep(c: usize, position: u64, data: usize, len: u32): bool {
  let page = pageOf(c, position, true);
  while (len) {
    if (!page) return false;
    const offset = <u32>position & (PAGE_SIZE - 1);
    const count = min<u32>(PAGE_SIZE - offset, len);
    memory.copy(page + offset, data, count);
    data += count;
    position += count;
    len -= count;
    if (len) page = following(page);
  }
  return true;
}

/** Copies bytes that are kept. */
export function copy(c: usize, to: usize, position: u64, len: u32): void {
  let page = pageOf(c, position, false);
  while (len) {
    const offset = <u32>position & (PAGE_SIZE - 1);
    const count = min<u32>(PAGE_SIZE - offset, len);
    memory.copy(to, page + offset, count);
    to += count;
    position += count;
    len -= count;
    page = nextPage(page);
  }
}

/**
 * Returns the address of the byte at a position that is kept, and in the upper half how many bytes lie there in a row.
 */
export function piece(c: usize, position: u64): u64 {
  const offset = <u32>position & (PAGE_SIZE - 1);
  return <u64>(PAGE_SIZE - offset) << 32 | <u64>(pageOf(c, position, false) + offset);
}

/** Gives back the pages whose bytes are not needed any more. They were needed from the position `from` on. */
export function trim(c: usize, from: u64): void {
  // An echo whose peer has everything keeps no page.
  const early = load<u32>(c, RANGES) != load<u32>(c, RANGES + 4);
  if (kind(c) == Service.echo && load<u64>(c, ACKED) == load<u64>(c, CAME) && !early) { drop(c); return; }
  let page: usize = load<u32>(c, FIRST_PAGE);
  for (let count = (base(c) >>> PAGE_BITS) - (from >>> PAGE_BITS); count && page; count--) {
    const next = nextPage(page);
    givePage(page);
    page = next;
  }
  store<u32>(c, <u32>page, FIRST_PAGE);
}

/** Gives back all pages. */
export function drop(c: usize): void {
  let page: usize = load<u32>(c, FIRST_PAGE);
  while (page) {
    const next = nextPage(page);
    givePage(page);
    page = next;
  }
  store<u32>(c, 0, FIRST_PAGE);
}

/** Returns the page with this position. If there is none, it is made, with those before it, or 0 is returned. */
function pageOf(c: usize, position: u64, make: bool): usize {
  let page: usize = load<u32>(c, FIRST_PAGE);
  if (!page) {
    if (!make) return 0;
    page = takePage();
    store<u32>(c, <u32>page, FIRST_PAGE);
  }
  for (let count = (position >>> PAGE_BITS) - (base(c) >>> PAGE_BITS); count && page; count--) page = following(page);
  return page;
}

/** Returns the page behind this one, which is made if need be; 0 if there is none to be had. */
function following(page: usize): usize {
  const next = nextPage(page);
  if (next) return next;
  const made = takePage();
  if (made) setNextPage(page, made);
  return made;
}
