/** sd_listen_fds(3): sockets that the service manager has opened and hands over (socket activation). */
import * as libc from "./libc.js";
import { AF_UNIX } from "./uapi.js";

/** SD_LISTEN_FDS_START. */
const FIRST_FD = 3;

/** A socket that was open when this process began. */
export interface InheritedSocket {
  readonly fd: number;
  /** FileDescriptorName= of its socket unit, by default the unit's name. */
  readonly name: string;
}

/** Returns the sockets that this process was handed; none where the variables are meant for another process. */
export function inheritedSockets(environment: NodeJS.ProcessEnv = process.env): InheritedSocket[] {
  const { LISTEN_PID: pid, LISTEN_FDS: count = "", LISTEN_FDNAMES: names } = environment;
  if (pid !== String(process.pid) || !/^\d{1,4}$/.test(count)) return [];
  const given = names?.split(":") ?? [];
  return Array.from({ length: Number(count) }, (_, i) => ({ fd: FIRST_FD + i, name: given.at(i) ?? "unknown" }));
}

/** Removes the variables, so that no child takes the sockets for its own. */
export function forgetInheritedSockets(environment: NodeJS.ProcessEnv = process.env): void {
  for (const name of ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]) Reflect.deleteProperty(environment, name);
}

/**
 * Returns the path that a socket is bound to; undefined where it is no AF_UNIX socket. "@" stands for the NUL that
 * begins an abstract path.
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
