/** Errors of connections, as the kernel's sockets have them. */
import { constants } from "node:os";
import { Unopened } from "../../abi/streams.js";
import { formatBytes } from "../prefix/prefixes.js";
import type { Target } from "./attempt.js";

type Code = Extract<keyof typeof constants.errno, string>;

/** An error of a connection; `code` and `errno` as the kernel has them. */
export class ConnectionError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  /** The other end, of a connection that could not be opened. */
  readonly address?: string;
  readonly port?: number;

  constructor(code: Code, syscall: string, to?: { readonly address: string; readonly port: number }) {
    super(to ? `${syscall} ${code} ${to.address}:${to.port}` : `${syscall} ${code}`);
    this.code = code;
    this.errno = -constants.errno[code];
    this.syscall = syscall;
    if (to) Object.assign(this, to);
  }
}

/** What the kernel's connect() says in each case. */
const CODES: Readonly<Partial<Record<number, Code>>> = {
  [Unopened.no_room]: "EAGAIN",
  [Unopened.no_address]: "EADDRNOTAVAIL",
  [Unopened.no_destination]: "EINVAL",
  [Unopened.in_use]: "EADDRINUSE",
  [Unopened.no_port]: "EADDRNOTAVAIL",
  [Unopened.no_link]: "ENETDOWN",
  [Unopened.ended]: "ECONNABORTED",
  [Unopened.timed_out]: "ETIMEDOUT",
  [Unopened.refused]: "ECONNREFUSED",
  [Unopened.net_unreachable]: "ENETUNREACH",
  [Unopened.host_unreachable]: "EHOSTUNREACH",
};

/** Returns the error of a connection that could not be opened; `why` is an Unopened. */
export function unopened(why: number, target: Target | undefined): ConnectionError {
  const to = target && { address: formatBytes(target.remoteAddress), port: target.remotePort };
  return new ConnectionError(CODES[why] ?? "ECONNABORTED", "connect", to);
}
