/**
 * sd_notify(3): news of this process for a service manager, in datagrams to the AF_UNIX socket that
 * NOTIFY_SOCKET names. Where that is not set, nothing is sent. A failure is no error, since a manager that waits
 * for news has a time limit.
 */
import { hrtime } from "node:process";
import * as libc from "./libc.js";
import * as uapi from "./uapi.js";

/** Maximum delay of a timer, in ms. */
const MAX_MS = 2 ** 31 - 1;
/** Bytes of sun_path in struct sockaddr_un. */
const SUN_PATH = 108;

export interface ServiceManager {
  /** Sends assignments like { READY: "1", STATUS: "…" }, in their order. */
  notify(state: Readonly<Record<string, string>>): void;
  /** Maximum time between two WATCHDOG=1, in ms; undefined where the manager does not want to hear it. */
  readonly watchdogMs: number | undefined;
}

/**
 * Returns the service manager that the environment describes. If it cannot be notified, `onFailure` is
 * called once with the reason.
 */
export function serviceManager(
  onFailure: (why: string) => void, environment: NodeJS.ProcessEnv = process.env,
): ServiceManager {
  const { NOTIFY_SOCKET: path, WATCHDOG_USEC: usec, WATCHDOG_PID: pid } = environment;
  let failed = false;
  return {
    notify(state) {
      if (!path) return;
      try {
        send(path, Object.entries(state).map(([key, value]) => `${key}=${value.replaceAll("\n", " ")}`).join("\n"));
      } catch (error) {
        if (!failed) onFailure(error instanceof Error ? error.message : String(error));
        failed = true;
      }
    },
    // With the PID of another process, the setting is meant for a parent.
    watchdogMs: path && usec && /^[1-9]\d*$/.test(usec) && (!pid || Number(pid) === process.pid)
      ? Math.min(Number(usec) / 1000, MAX_MS)
      : undefined,
  };
}

/**
 * Returns what goes with RELOADING=1: the time at which it began. By it the manager (systemd 253) knows
 * that READY=1 came later.
 */
export function reloading(): Record<string, string> {
  // hrtime() is CLOCK_MONOTONIC.
  return { RELOADING: "1", MONOTONIC_USEC: String(hrtime.bigint() / 1000n) };
}

/** @throws SystemError */
function send(path: string, text: string): void {
  const address = sockaddrOf(path);
  const fd = libc.check(
    libc.socket(uapi.AF_UNIX, uapi.SOCK_DGRAM | uapi.SOCK_CLOEXEC | uapi.SOCK_NONBLOCK, 0), "socket", "AF_UNIX",
  );
  try {
    libc.check(libc.connect(fd, address, address.length), "connect", path);
    const datagram = Buffer.from(text);
    libc.check(libc.send(fd, datagram, datagram.length, uapi.MSG_NOSIGNAL), "send", path);
  } finally {
    libc.close(fd);
  }
}

/**
 * Returns a struct sockaddr_un: u16 family, then a path that ends with NUL, or an abstract name, in which a NUL
 * replaces the leading "@". @throws Error for any other path.
 */
export function sockaddrOf(path: string): Buffer {
  const name = Buffer.from(path.startsWith("@") ? `\0${path.slice(1)}` : `${path}\0`);
  if (!/^[/@]./.test(path) || name.length > SUN_PATH) throw new Error(`NOTIFY_SOCKET "${path}" is no socket's address`);
  const family = Buffer.alloc(2);
  family.writeUInt16LE(uapi.AF_UNIX);
  return Buffer.concat([family, name]);
}
