/**
 * sd_notify(3): what a service manager is told of this process, in datagrams to the AF_UNIX socket that NOTIFY_SOCKET
 * names. No news reach it where that is not set, and none of it is worth an error: whoever waits for them has a time
 * limit.
 */
import { hrtime } from "node:process";
import * as libc from "./libc.js";
import * as uapi from "./uapi.js";

/** The longest that a timer waits. */
const MAX_MS = 2 ** 31 - 1;
/** Bytes of sun_path in struct sockaddr_un. */
const SUN_PATH = 108;

export interface ServiceManager {
  /** Sends assignments like { READY: "1", STATUS: "…" }, in their order. */
  notify(state: Readonly<Record<string, string>>): void;
  /** How often it wants to hear WATCHDOG=1 at the latest, in ms; undefined where it does not. */
  readonly watchdogMs: number | undefined;
}

/** What the environment says of the service manager. `onFailure` hears, once, why it cannot be told anything. */
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
    // Of a PID that is not this one's, it is meant for a parent.
    watchdogMs: path && usec && /^[1-9]\d*$/.test(usec) && (!pid || Number(pid) === process.pid)
      ? Math.min(Number(usec) / 1000, MAX_MS)
      : undefined,
  };
}

/** What goes with RELOADING=1: the time at which it began, by which READY=1 is known to come after (systemd 253). */
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
 * struct sockaddr_un: u16 family, then a path that ends with NUL, or an abstract name, whose "@" stands for a leading
 * NUL. @throws Error for any other.
 */
export function sockaddrOf(path: string): Buffer {
  const name = Buffer.from(path.startsWith("@") ? `\0${path.slice(1)}` : `${path}\0`);
  if (!/^[/@]./.test(path) || name.length > SUN_PATH) throw new Error(`NOTIFY_SOCKET "${path}" is no socket's address`);
  const family = Buffer.alloc(2);
  family.writeUInt16LE(uapi.AF_UNIX);
  return Buffer.concat([family, name]);
}
