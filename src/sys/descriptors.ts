/**
 * A descriptor table of the packet thread's own. While threads share one, the kernel takes a reference to the file on
 * every read and write, with atomic instructions. That costs the readwrite backend 4 % of its answers.
 *
 * With two tables, a descriptor has to be closed in both: one that a thread closes stays open in the other thread's
 * table. So the packet thread closes at once what is not its own, and tells the main thread what to close when the
 * packet thread has ended.
 */
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import * as libc from "./libc.js";
import { CLONE_FILES } from "./uapi.js";

const TABLE = "/proc/thread-self/fd";

export interface OwnTable {
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
 * Leaves the process's table for the rest of this thread's life. Descriptors keep their numbers. `inherited` has what
 * was open just before this thread was made, which tells its event loop's descriptors from the rest. Where unshare(2)
 * is forbidden, as in many containers, or /proc is not mounted, the table stays shared and nothing is left behind.
 */
export function ownDescriptorTable(queue: number, inherited: ReadonlyMap<number, string>): OwnTable {
  if (inherited.size === 0 || libc.unshare(CLONE_FILES) < 0) return { leftBehind: [], closeQueue: () => undefined };
  const leftBehind: number[] = [];
  for (const [fd, target] of openDescriptors()) {
    if (fd !== queue && /^(socket:|\/dev\/net\/tun)/.test(target)) libc.close(fd);
    if (!inherited.has(fd) && /^(anon_inode:\[(event(poll|fd)|io_uring)\]|pipe:)/.test(target)) leftBehind.push(fd);
  }
  return { leftBehind, closeQueue: () => { libc.close(queue); } };
}
