/** Where a datagram comes from and goes to, as handlers are told. */
import { formatBytes } from "../prefix/prefixes.js";
import type { Ends } from "./stream.js";
import type { PrefixIndex } from "./prefixindex.js";

/** What a handler is told of a datagram, with the names of dgram's rinfo and of a socket. */
export interface Remote {
  readonly address: string;
  readonly port: number;
  readonly family: "IPv4" | "IPv6";
  readonly localAddress: string;
  readonly localPort: number;
  /** The prefix that the local address belongs to, and its name, if it has one. */
  readonly prefix?: string;
  readonly name?: string;
}

export function remoteOf(ends: Ends, prefixes: PrefixIndex): Remote {
  const { remoteAddress, remotePort, localAddress, localPort } = ends;
  const { text, name } = prefixes.of(ends.owner) ?? {};
  return {
    address: formatBytes(remoteAddress), port: remotePort, family: remoteAddress.length === 4 ? "IPv4" : "IPv6",
    localAddress: formatBytes(localAddress), localPort,
    ...text !== undefined && { prefix: text }, ...name !== undefined && { name },
  };
}
