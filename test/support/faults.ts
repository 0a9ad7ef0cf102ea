/** Makes system calls fail by strace(1): the chosen call fails with the chosen errno, and the kernel never sees it. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Pongd, type Netns } from "./netns.js";

/**
 * System calls that pongd makes by itself, in its main thread or in the packet thread. Node.js makes some of them, too.
 */
const CALLS = [
  "openat", "ioctl", "socket", "bind", "setsockopt", "connect", "sendto", "recvfrom", "eventfd2", "unshare",
  "io_uring_setup", "io_uring_register",
  "prctl", "capset", "execve",
];
/** Recognizes pongd's own among these calls, as strace writes them. */
const OWN = new RegExp(`^(${[
  "openat.*/dev/net/tun", "ioctl.*TUNSET", "socket.*AF_NETLINK", "bind.*AF_NETLINK", "setsockopt.*NETLINK", "sendto",
  "recvfrom", "eventfd2\\(0, EFD_CLOEXEC\\)", "unshare",
  "io_uring", "prctl\\(PR_(SET_NO_NEW|SET_TIMERSLACK|CAPBSET|SET_SECURE|CAP_AMB)", "capset", "execve.*queue-fds",
].join("|")})`);

export interface Call {
  /** Its name. */
  readonly call: string;
  /** Its number among the thread's calls of that name, or among those that open DEVICE, as strace's `when` counts. */
  readonly when: number;
  /** The call with its arguments and its result. */
  readonly text: string;
}

/**
 * Only openat(2) of this file is pongd's own. How many other files are opened, and in which thread, is up to Node.js,
 * and differs from one run to the next.
 */
const DEVICE = "/dev/net/tun";

/**
 * Returns a wrapper that makes a call fail. `when` is as strace takes it: 3, 3+ (from the third on), 3+2 (every second
 * one from the third on).
 */
export function failing(call: string, errno: string, when: number | string): string[] {
  return [
    "strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", `trace=${call}`, "-e",
    `inject=${call}:error=${errno}:when=${when}`, ...call === "openat" ? ["-P", DEVICE] : [],
  ];
}

/** Returns the calls of its own that a pongd makes with these arguments until it answers, in order. */
export async function callsOf(ns: Netns, ...args: string[]): Promise<Call[]> {
  const folder = mkdtempSync(join(tmpdir(), "pongd-"));
  const file = join(folder, "calls");
  const pongd = await Pongd.start(
    ns,
    { wrapper: ["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", file, "-e", `trace=${CALLS.join(",")}`] },
    ...args,
  );
  await pongd.stop();
  const counts = new Map<string, number>();
  const calls: Call[] = [];
  for (const [, thread, text, call] of readFileSync(file, "utf8").matchAll(/^(\d+) +((\w+)\(.*)$/gm)) {
    // The first execve is of the command that strace starts, and strace leaves it alone.
    if (call === "execve" && counts.size === 0) continue;
    if (call === "openat" && !text.includes(DEVICE)) continue;
    const when = (counts.get(thread + call) ?? 0) + 1;
    counts.set(thread + call, when);
    if (OWN.test(text)) calls.push({ call, when, text });
  }
  rmSync(folder, { recursive: true });
  return calls;
}
