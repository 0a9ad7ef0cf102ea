/**
 * A descriptor table of the thread's own. While threads share one, the kernel takes a reference to the file on every read
 * and write, with atomic instructions on a line that both cores want: 5 % of what the readwrite backend answers.
 */
import { readdirSync, readlinkSync } from "node:fs";
import * as libc from "../tun/libc.js";
import { CLONE_FILES } from "../tun/uapi.js";

const TABLE = "/proc/thread-self/fd";

/**
 * Leaves the process's table, for the rest of this thread's life; the descriptors it holds keep their numbers. Sockets are
 * closed here: they are the main thread's, and one that it closes would otherwise stay open on behalf of this thread.
 * Where unshare(2) is forbidden, as in many containers, all stays as it is.
 */
export function ownDescriptorTable(): void {
  if (libc.unshare(CLONE_FILES) < 0) return;
  for (const name of readdirSync(TABLE)) {
    if (target(name).startsWith("socket:")) libc.close(Number(name));
  }
}

/** What a descriptor refers to; nothing for the one that listed the table, which is closed by now. */
function target(name: string): string {
  try {
    return readlinkSync(`${TABLE}/${name}`);
  } catch {
    return "";
  }
}
