/** sd_listen_fds(3): sockets that the service manager has opened and hands over, socket activation by its name. */
import * as libc from "./libc.js";
import { AF_UNIX } from "./uapi.js";

/** SD_LISTEN_FDS_START. */
const FIRST_FD = 3;

/** A descriptor that was open when this process began. */
export interface InheritedSocket {
  readonly fd: number;
  /** FileDescriptorName= of its socket unit, by default the unit's name. */
  readonly name: string;
}

/** What this process was handed over; nothing where the variables are meant for another one. */
export function inheritedSockets(environment: NodeJS.ProcessEnv = process.env): InheritedSocket[] {
  const { LISTEN_PID: pid, LISTEN_FDS: count = "", LISTEN_FDNAMES: names } = environment;
  if (pid !== String(process.pid) || !/^\d{1,4}$/.test(count)) return [];
  const given = names?.split(":") ?? [];
  return Array.from({ length: Number(count) }, (_, i) => ({ fd: FIRST_FD + i, name: given.at(i) ?? "unknown" }));
}

/** Keeps children from taking them for their own. */
export function forgetInheritedSockets(environment: NodeJS.ProcessEnv = process.env): void {
  for (const name of ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]) Reflect.deleteProperty(environment, name);
}

/**
 * The path that a socket is bound to, "@" in place of the NUL that begins an abstract one; undefined where it is no
 * AF_UNIX socket.
 */
export function unixPathOf(fd: number): string | undefined {
  // struct sockaddr_un: u16 family, and a path that may end with NUL.
  const address = Buffer.alloc(2 + 108);
  const length = Uint32Array.of(address.length);
  if (libc.getsockname(fd, address, new Uint8Array(length.buffer)) < 0 || address.readUInt16LE() !== AF_UNIX) {
    return undefined;
  }
  return address.toString("utf8", 2, length[0]).replace(/^\0/, "@").replace(/\0.*$/s, "");
}
