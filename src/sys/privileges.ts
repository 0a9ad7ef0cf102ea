/**
 * Gives up every capability, for good. capset(2) affects one thread only, and Node.js has threads that run no
 * JavaScript. So the process replaces itself by execve(2), which ends all other threads and gives the new image no
 * capability:
 *
 *  1. no new privileges, ever: neither set-user-ID bits nor files' capabilities count from here on
 *  2. root gets no capabilities by being root, and the bounding set is empty, where CAP_SETPCAP allows both
 *  3. no capability is in any set of this thread; if a filter of system calls forbids capset(2), the other steps
 *     suffice, except for root and for a Node.js whose file has capabilities
 *  4. execve(2) of the same Node.js, script and arguments, and --queue-fds with what this image has opened
 *
 * Process ID, standard streams, environment and the sockets from systemd stay. In any case the new image checks all its
 * threads: assertUnprivileged().
 */
import { readdirSync, readFileSync } from "node:fs";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { capabilitySet } from "./proc.js";
import * as libc from "./libc.js";
import * as uapi from "./uapi.js";

/**
 * Sets of capabilities by which a thread can act or gain more, as /proc/PID/status names them. CapInh is left out: it
 * matters only for files with capabilities, which no longer count, and stays as it was where a filter of system calls
 * forbids capset(2).
 */
const SETS = ["CapPrm", "CapEff", "CapAmb"] as const;

/** Returns whether this process has any capability to give up. */
export function isPrivileged(): boolean {
  return capabilitiesOf("/proc/self/status") !== "";
}

/**
 * Restarts this program without capabilities, with its queues and `others` open. Returns only by throwing, and this
 * thread may have lost its capabilities by then. @throws Failure
 */
export function startWithoutPrivileges(queues: readonly number[], others: readonly number[]): never {
  check(libc.prctl(uapi.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
  // EPERM without CAP_SETPCAP: the step before has then put the bounding set's capabilities out of reach.
  for (let capability = 0; libc.prctl(uapi.PR_CAPBSET_DROP, capability, 0, 0, 0) === 0; capability++);
  libc.prctl(uapi.PR_SET_SECUREBITS, uapi.SECUREBITS, 0, 0, 0);
  check(libc.prctl(uapi.PR_CAP_AMBIENT, uapi.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "PR_CAP_AMBIENT");
  libc.capset(new Uint8Array(Uint32Array.of(uapi._LINUX_CAPABILITY_VERSION_3, 0).buffer), new Uint8Array(24));

  const [script, ...args] = process.argv.slice(1);
  // Without capabilities, root can read only files that everybody may read, or that root owns.
  try {
    readFileSync(script);
  } catch (error) {
    throw new Failure(`privileges cannot be dropped: without them, ${messageOf(error)}`, EXIT.PERMISSION, {
      mend: "install pongd where everybody may read it: npm pack && sudo npm install -g ./pongd-*.tgz", cause: error,
    });
  }
  // Node.js marks its descriptors to be closed by execve(2), standard streams included. It also makes pipes among these
  // non-blocking for everybody. Both are undone here.
  for (const fd of [0, 1, 2, ...queues, ...others]) libc.fcntl(fd, uapi.F_SETFD, 0);
  for (const fd of [0, 1, 2]) libc.fcntl(fd, uapi.F_SETFL, libc.fcntl(fd, uapi.F_GETFL, 0) & ~uapi.O_NONBLOCK);
  // The option goes right behind the command, since behind a "--" it would be an argument.
  const command = args.indexOf("run") + 1;
  const argv = [
    process.argv0, ...process.execArgv, script, ...args.slice(0, command), "--queue-fds", queues.join(","),
    ...args.slice(command),
  ];
  const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value ?? ""}`);
  check(libc.execve(process.execPath, [...argv, null], [...environment, null]), "execve");
  throw new Error("execve returned");
}

/** Returns how many threads this process has. @throws Failure where one of them has a capability. */
export function assertUnprivileged(): number {
  const threads = readdirSync("/proc/self/task");
  for (const thread of threads) {
    const left = capabilitiesOf(`/proc/self/task/${thread}/status`);
    if (left !== "") throw new Failure(
      `privileges were not dropped: thread ${thread} has ${left}`,
      EXIT.RUNTIME,
      { mend: "report this as a defect of pongd" },
    );
  }
  return threads.length;
}

/**
 * Returns the sets that are not empty, as the file has them; "" if all are empty, or if the thread has ended meanwhile.
 */
function capabilitiesOf(status: string): string {
  let text: string;
  try {
    text = readFileSync(status, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (status !== "/proc/self/status" && (code === "ENOENT" || code === "ESRCH")) return "";
    throw new Failure(
      `cannot tell privileges: ${messageOf(error)}`,
      EXIT.RUNTIME,
      { mend: "mount /proc, or run without --drop-privileges", cause: error },
    );
  }
  return capabilitiesIn(text);
}

/**
 * Returns the sets that are not empty from a file's text, as capabilitiesOf() does. @throws Failure where it lacks the
 * permitted set, which contains all the others.
 */
export function capabilitiesIn(status: string): string {
  const sets = SETS.map((set) => [set, capabilitySet(status, set)] as const);
  if (sets[0][1] === undefined) throw new Failure(
    `cannot tell privileges: no ${SETS[0]} in /proc`,
    EXIT.RUNTIME,
    { mend: "mount /proc, or run without --drop-privileges" },
  );
  return sets.flatMap(([set, bits = 0n]) => bits === 0n ? [] : [`${set} ${bits.toString(16).padStart(16, "0")}`])
    .join(", ");
}

function check(result: number, what: string): void {
  if (result >= 0) return;
  throw new Failure(
    `privileges cannot be dropped: ${what}: ${new libc.SystemError("", "", libc.errno()).code}`,
    EXIT.PERMISSION,
    { mend: "run without --drop-privileges" },
  );
}
