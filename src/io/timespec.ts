/** Times of system calls: struct timespec {s64 tv_sec, tv_nsec}, as words of a view, and how late a wait may end. */
import * as libc from "../sys/libc.js";
import { PR_SET_TIMERSLACK } from "../sys/uapi.js";

const NS_PER_S = 1_000_000_000;

/**
 * Sets the words of the timespec that begins at words[at]. By halves, since a BigInt64Array would take a new bigint at
 * every call. The upper halves stay 0.
 */
export function setTimespec(words: Int32Array, at: number, ns: number): void {
  const seconds = Math.floor(ns / NS_PER_S);
  words[at] = seconds;
  words[at + 2] = ns - seconds * NS_PER_S;
}

/**
 * Has waits of this thread end as near to their time as the kernel can. Without it they may end 50 µs later, so that
 * several timers share an interrupt. Where it fails, they do.
 */
export function waitPrecisely(): void {
  libc.prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}
