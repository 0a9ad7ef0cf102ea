// Pages: 4 KiB each, shared by all connections. A page that is used is on one list, in the order of its list's bytes,
// by PAGE_NEXT. A page that was never used has never been touched.

import { Counter } from "../../abi/counters";
import {
  MAX_PAGES, PAGE_BITS, PAGE_COUNT, PAGE_NEXT, PAGES, PAGES_FREE, PAGES_TOUCHED,
} from "../../abi/tcp";
import { add } from "../memory";

/** Takes a page and returns its address; 0 if there is none. What is in it is of no meaning. */
export function takePage(): usize {
  let page: usize = load<u32>(PAGES_FREE);
  if (page) {
    store<u32>(PAGES_FREE, <u32>nextPage(page));
  } else {
    const touched = load<u32>(PAGES_TOUCHED);
    if (touched == load<u32>(MAX_PAGES)) return 0;
    store<u32>(PAGES_TOUCHED, touched + 1);
    page = <usize>load<u32>(PAGES) + (<usize>touched << PAGE_BITS);
  }
  setNextPage(page, 0);
  store<u32>(PAGE_COUNT, load<u32>(PAGE_COUNT) + 1);
  add(Counter.tcpPages, 1);
  return page;
}

export function givePage(page: usize): void {
  setNextPage(page, load<u32>(PAGES_FREE));
  store<u32>(PAGES_FREE, <u32>page);
  store<u32>(PAGE_COUNT, load<u32>(PAGE_COUNT) - 1);
  add(Counter.tcpPages, -1);
}

/** Returns the next page of the list that this one is on; 0 if it is the last. */
export function nextPage(page: usize): usize {
  return load<u32>(entry(page));
}

export function setNextPage(page: usize, next: usize): void {
  store<u32>(entry(page), <u32>next);
}

function entry(page: usize): usize {
  return <usize>load<u32>(PAGE_NEXT) + (page - load<u32>(PAGES) >>> PAGE_BITS << 2);
}
