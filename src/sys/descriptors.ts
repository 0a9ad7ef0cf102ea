/**
 * A descriptor table of the packet thread's own. While threads share one, the kernel takes a reference to the file on
 * every read and write, with atomic instructions: 4 % of what the readwrite backend answers.
 *
 * Two tables mean that closing takes two: what one thread closes stays open on behalf of the other. So the packet
 * thread closes at once what is not its own, and says what the main thread has to close once the packet thread has
 * ended.
 */
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import * as libc from "./libc.js";
import { CLONE_FILES } from "./uapi.js";

const TABLE = "/proc/thread-self/fd";

export interface OwnTable {
  /** This thread's event loop's descriptors, of which the process's table keeps a copy when the loop is gone. */
  readonly leftBehind: readonly number[];
  /** Closes the queue in this table. The end of the thread would do so too, but only after others have seen it end. */
  closeQueue(): void;
}

/** The descriptors open in this thread's table, and what each refers to; none where /proc is not mounted. */
export function openDescriptors(): Map<number, string> {
  const open = new Map<number, string>();
  for (const name of existsSync(TABLE) ? readdirSync(TABLE) : []) {
    try {
      open.set(Number(name), readlinkSync(`${TABLE}/${name}`));
    } catch {
      // The one that listed the table: closed by now, and its number free.
    }
  }
  return open;
}

/**
 * Leaves the process's table for the rest of this thread's life; descriptors keep their numbers. `inherited`: what was
 * open just before this thread was made, by which its event loop's are told from the rest. Where unshare(2) is
 * forbidden, as in many containers, or /proc is not mounted, all stays shared and nothing is left behind.
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
