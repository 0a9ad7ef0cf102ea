// The sending side of a stream: pages that a service thread has filled, in the order of the stream, until the peer has
// acknowledged them. The first byte of the first one that is needed is at SEND_SKIP.

import { PAGE_FILLED, SEND_FIRST, SEND_LAST, SEND_SKIP } from "../../abi/streams";
import { PAGE_BITS, PAGES } from "../../abi/tcp";
import { givePage, nextPage, setNextPage } from "../tcp/pages";

/** Appends a page with `len` bytes. */
export function append(record: usize, page: usize, len: u32): void {
  store<u16>(filledOf(page), <u16>len);
  const last: usize = load<u32>(record, SEND_LAST);
  if (last) setNextPage(last, page);
  else store<u32>(record, <u32>page, SEND_FIRST);
  store<u32>(record, <u32>page, SEND_LAST);
}

/** Copies `len` bytes, the first of which comes `offset` behind what is acknowledged. */
export function copy(record: usize, to: usize, offset: u32, len: u32): void {
  let page: usize = load<u32>(record, SEND_FIRST);
  let at = load<u32>(record, SEND_SKIP) + offset;
  while (len) {
    const filled: u32 = load<u16>(filledOf(page));
    if (at < filled) {
      const count = min(filled - at, len);
      memory.copy(to, page + at, count);
      to += count;
      len -= count;
      at = filled;
    }
    at -= filled;
    page = nextPage(page);
  }
}

/** `bytes` more have been acknowledged. */
export function acknowledge(record: usize, bytes: u32): void {
  let at = load<u32>(record, SEND_SKIP) + bytes;
  let page: usize = load<u32>(record, SEND_FIRST);
  while (page) {
    const filled: u32 = load<u16>(filledOf(page));
    if (at < filled) break;
    at -= filled;
    const next = nextPage(page);
    givePage(page);
    page = next;
  }
  store<u32>(record, at, SEND_SKIP);
  store<u32>(record, <u32>page, SEND_FIRST);
  if (!page) store<u32>(record, 0, SEND_LAST);
}

/** Gives back all pages. */
export function drop(record: usize): void {
  let page: usize = load<u32>(record, SEND_FIRST);
  while (page) {
    const next = nextPage(page);
    givePage(page);
    page = next;
  }
  store<u64>(record, 0, SEND_FIRST);
}

function filledOf(page: usize): usize {
  return <usize>load<u32>(PAGE_FILLED) + (page - load<u32>(PAGES) >>> PAGE_BITS << 1);
}
