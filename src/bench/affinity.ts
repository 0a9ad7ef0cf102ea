/** Reads and sets which CPUs a thread runs on, by sched_setaffinity(2). */
import { readdirSync } from "node:fs";
import * as libc from "../sys/libc.js";

const CPU_SETSIZE = 1024;

/** Returns the CPUs that this thread may run on. */
export function affinity(): number[] {
  const mask = new Uint8Array(CPU_SETSIZE / 8);
  libc.check(libc.sched_getaffinity(0, mask.length, mask), "sched_getaffinity", "of a thread");
  return Array.from({ length: CPU_SETSIZE }, (_, cpu) => cpu).filter((cpu) => mask[cpu >> 3] >> (cpu & 7) & 1);
}

/** Ties this thread, and those that it starts from now on, to a CPU. */
export function setAffinity(cpu: number): void {
  set(0, cpu);
}

/** Ties all threads of this process to a CPU, those that Node.js has started as well. */
export function setProcessAffinity(cpu: number): void {
  for (const thread of readdirSync("/proc/self/task")) set(Number(thread), cpu);
}

/** `thread` 0 is the calling one. */
function set(thread: number, cpu: number): void {
  const mask = new Uint8Array(CPU_SETSIZE / 8);
  mask[cpu >> 3] = 1 << (cpu & 7);
  libc.check(libc.sched_setaffinity(thread, mask.length, mask), "sched_setaffinity", `CPU ${cpu}`);
}
