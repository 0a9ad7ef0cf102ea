/** strace(1) as a source of faults: the system call that is told fails as it is told, and the kernel never sees it. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Pongd, type Netns } from "./netns.js";

/**
 * Those of which pongd makes some by itself, in its main thread and in the packet thread; Node.js makes some of them,
 * too.
 */
const CALLS = [
  "openat", "ioctl", "socket", "bind", "setsockopt", "connect", "sendto", "recvfrom", "eventfd2", "unshare", "io_uring_setup", "io_uring_register",
  "prctl", "capset", "execve",
];
/** Of these, pongd's own, as strace writes them. */
const OWN = new RegExp(`^(${[
  "openat.*/dev/net/tun", "ioctl.*TUNSET", "socket.*AF_NETLINK", "bind.*AF_NETLINK", "setsockopt.*NETLINK", "sendto", "recvfrom", "eventfd2\\(0, EFD_CLOEXEC\\)", "unshare",
  "io_uring", "prctl\\(PR_(SET_NO_NEW|CAPBSET|SET_SECURE|CAP_AMB)", "capset", "execve.*queue-fds",
].join("|")})`);

export interface Call {
  /** Its name. */
  readonly call: string;
  /** The how manieth of its thread it is, or of those that open DEVICE: what strace's `when` counts. */
  readonly when: number;
  /** With its arguments and its result. */
  readonly text: string;
}

/**
 * Of this file alone openat(2) is pongd's own; how many others are opened, and in which thread, is Node.js's, and
 * differs from one time to the next.
 */
const DEVICE = "/dev/net/tun";

/**
 * A wrapper that has a call fail. `when` as strace takes it: 3, 3+ (from the third on), 3+2 (every second from then
 * on).
 */
export function failing(call: string, errno: string, when: number | string): string[] {
  return [
    "strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", `trace=${call}`, "-e",
    `inject=${call}:error=${errno}:when=${when}`, ...call === "openat" ? ["-P", DEVICE] : [],
  ];
}

/** The calls of its own that a pongd makes with these arguments until it answers, in their order. */
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
    // The first is what strace starts, and leaves alone.
    if (call === "execve" && counts.size === 0) continue;
    if (call === "openat" && !text.includes(DEVICE)) continue;
    const when = (counts.get(thread + call) ?? 0) + 1;
    counts.set(thread + call, when);
    if (OWN.test(text)) calls.push({ call, when, text });
  }
  rmSync(folder, { recursive: true });
  return calls;
}
