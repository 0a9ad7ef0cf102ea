/**
 * A descriptor table of the packet thread's own. While threads share one, the kernel takes a reference to the file on
 * every read and write, with atomic instructions. That costs the readwrite backend 4 % of its answers, and a lone
 * packet 3 % of its round trip.
 *
 * With two tables, a descriptor has to be closed in both: one that a thread closes stays open in the other thread's
 * table. So the packet thread closes at once what is not its own, and tells the main thread what to close when the
 * packet thread has ended.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { EXIT, Failure } from "../base/failure.js";
import * as libc from "./libc.js";
import { CLONE_FILES, EFD_CLOEXEC } from "./uapi.js";

const TABLE = "/proc/thread-self/fd";
const INFO = "/proc/thread-self/fdinfo";
/** More descriptors than a thread's event loop and its ring need. */
const NEEDED = 16;
/** Rounds of the event loop in which it has to have taken up a descriptor: two, and some to spare. */
const ROUNDS = 10;

export interface OwnTable {
  /** True if the process's table is used after all. */
  readonly shared: boolean;
  /** Descriptors of this thread's event loop. The process's table keeps copies of them when the loop is gone. */
  readonly leftBehind: readonly number[];
  /**
   * Closes the queue in this table. The end of the thread would close it too, but only after others
   * have seen the thread end.
   */
  closeQueue(): void;
}

/** Returns the descriptors open in this thread's table and what each refers to; none where /proc is not mounted. */
export function openDescriptors(): Map<number, string> {
  const open = new Map<number, string>();
  for (const name of existsSync(TABLE) ? readdirSync(TABLE) : []) {
    try {
      open.set(Number(name), readlinkSync(`${TABLE}/${name}`));
    } catch {
      // This is the descriptor that listed the table. It is closed by now.
    }
  }
  return open;
}

/**
 * Returns the descriptors of this thread's event loop; none if they cannot be told. Other threads begin and end at any
 * time, so being new is no sign by itself. The loop is asked to wait for a descriptor, and the kernel then says which
 * epoll set has it, and what else that has (proc(5), fdinfo). From Node.js 26 on a loop has an io_uring, too, which is
 * in no epoll set. It is told by being the only one that was not open `before` this thread was made.
 */
export async function loopDescriptors(before: ReadonlySet<number>): Promise<ReadonlySet<number>> {
  if (!existsSync(INFO)) return new Set();
  const marker = libc.check(libc.eventfd(0, EFD_CLOEXEC), "eventfd", "to find the event loop's descriptors with");
  const end = libc.onReadable(marker, () => undefined);
  try {
    for (let round = 0; round < ROUNDS; round++) {
      await setImmediate();
      const open = openDescriptors();
      for (const [fd, target] of open) {
        const members = target === "anon_inode:[eventpoll]" ? membersOf(fd) : [];
        if (!members.includes(marker)) continue;
        const rings = [...open].filter(([fd, target]) => target === "anon_inode:[io_uring]" && !before.has(fd));
        const ring = rings.length === 1 ? [rings[0][0]] : [];
        return new Set([...loopOf(fd, members.filter((member) => member !== marker), open), ...ring]);
      }
    }
    return new Set();
  } finally {
    end();
    libc.close(marker);
  }
}

/** Returns the descriptors in an epoll set. */
function membersOf(epoll: number): number[] {
  try {
    return [...readFileSync(`${INFO}/${epoll}`, "utf8").matchAll(/^tfd: +(\d+)/gm)].map(([, fd]) => Number(fd));
  } catch {
    // Another thread has closed it.
    return [];
  }
}

/** Adds the writing ends of the loop's pipes, which are in no epoll set. */
function loopOf(epoll: number, members: readonly number[], open: ReadonlyMap<number, string>): ReadonlySet<number> {
  const pipes = new Set(members.map((fd) => open.get(fd)).filter((target) => target?.startsWith("pipe:")));
  return new Set([epoll, ...members, ...[...open].filter(([, target]) => pipes.has(target)).map(([fd]) => fd)]);
}

/**
 * Leaves the process's table for the rest of this thread's life. Descriptors keep their numbers. `own` are those of
 * this thread's event loop, as loopDescriptors() returns them. If there are none, or where unshare(2) is forbidden, as
 * in many containers, the table stays shared and nothing is left behind.
 */
export function ownDescriptorTable(queue: number, own: ReadonlySet<number>): OwnTable {
  if (own.size === 0 || libc.unshare(CLONE_FILES) < 0) {
    return { shared: true, leftBehind: [], closeQueue: () => undefined };
  }
  for (const [fd, target] of openDescriptors()) {
    if (fd !== queue && /^(socket:|\/dev\/net\/tun)/.test(target)) libc.close(fd);
  }
  return { shared: false, leftBehind: [...own], closeQueue: () => { libc.close(queue); } };
}

/**
 * Checks that descriptors are left for another thread: Node.js aborts if it cannot open those of a thread's event loop.
 * `what` is the thread.
 * @throws Failure
 */
export function checkDescriptors(what: string): void {
  const tried = Array.from({ length: NEEDED }, () => libc.eventfd(0, EFD_CLOEXEC));
  for (const fd of tried) if (fd >= 0) libc.close(fd);
  if (tried.some((fd) => fd < 0)) {
    throw new Failure(`no descriptors are left to start ${what} with; see: ulimit -n`, EXIT.RUNTIME);
  }
}
