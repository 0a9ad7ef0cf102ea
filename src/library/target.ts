/** Finds out where a connection goes, and from where. */
import { lookup as lookUp } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import type { Target } from "../net/attempt.js";
import type { Socket } from "../net/socket.js";
import { parseAddress, type Address } from "../prefix/prefixes.js";
import { PongdError } from "./error.js";

/** What pongd.connect() takes: options of net.connect() that have a meaning here. */
export interface ConnectOptions {
  /** The port to connect to. */
  readonly port: number | string;
  /** An address, or a name, which dns.lookup() looks up. By default "localhost", as in net.connect(). */
  readonly host?: string | null | undefined;
  /** The address to connect from: any of the prefixes'. By default one of `pongd.addresses`, of the right family. */
  readonly localAddress?: string | undefined;
  /** The port to connect from. By default, and with 0, a free one is chosen. */
  readonly localPort?: number | undefined;
  /** False, the default, ends this side when the peer has ended its own. */
  readonly allowHalfOpen?: boolean | undefined;
  /** 4 or 6 has `host` looked up for that family alone; 0, the default, for either. */
  readonly family?: number | string | undefined;
  /** Looks up `host` in place of dns.lookup(). */
  readonly lookup?: LookupFunction | undefined;
  /** Milliseconds without anything sent or received after which the socket emits "timeout"; see setTimeout(). */
  readonly timeout?: number | undefined;
  /** Destroys the socket. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Calls `connect` with the address of the host, later. What that throws destroys the socket, and so does a host that
 * is not found. The socket emits "lookup" for a name.
 */
export function findHost(options: ConnectOptions, socket: Socket, connect: (address: string) => void): void {
  const connectTo = (address: string) => {
    try {
      connect(address);
    } catch (error) {
      socket.destroy(error as Error);
    }
  };
  const host = options.host ?? "localhost";
  if (isIP(host) > 0) {
    process.nextTick(connectTo, host);
    return;
  }
  (options.lookup ?? lookUp)(host, { family: familyOf(options), all: false }, (error, address, family) => {
    if (socket.destroyed) return;
    // With an error there is no address, whatever the types say.
    const first = Array.isArray(address) ? address[0]?.address : address;
    socket.emit("lookup", error, first, family, host);
    if (error) socket.destroy(error);
    else connectTo(first);
  });
}

/** Returns the family of the addresses that are wanted: that of the local one, if that is given. */
function familyOf({ localAddress, family }: ConnectOptions): number {
  return localAddress === undefined ? Number(String(family ?? 0).replace(/^IPv/, "")) : isIP(localAddress);
}

/** @throws PongdError (ERR_PONGD_ADDRESS); TypeError for what is no address, one with a zone among it */
export function targetOf(
  { port, localAddress, localPort = 0 }: ConnectOptions, address: string, addresses: readonly string[],
): Target {
  const remote = parsed("host", address);
  const from = localAddress ?? addresses.find((each) => isIP(each) === remote.family);
  if (from === undefined) {
    const mend = "give localAddress, an address of a prefix of that family";
    throw new PongdError("ERR_PONGD_ADDRESS", `no address to connect to ${address} from`, { mend });
  }
  const local = parsed("localAddress", from);
  if (local.family !== remote.family) {
    throw new PongdError("ERR_PONGD_ADDRESS", `no connection goes from ${from} to ${address}: they are of two families`);
  }
  return { localAddress: local.bytes, localPort, remoteAddress: remote.bytes, remotePort: Number(port) };
}

/** @throws RangeError or TypeError, as net.connect() does */
export function checkConnect({ port, localPort = 0, localAddress }: ConnectOptions): void {
  const isPort = (value: unknown, least: number) =>
    value !== "" && Number.isInteger(Number(value)) && Number(value) >= least && Number(value) <= 65_535;
  if (!isPort(port, 1)) throw coded(new RangeError(`port is ${String(port)}; expected 1 to 65535`), "ERR_SOCKET_BAD_PORT");
  if (!isPort(localPort, 0)) {
    throw coded(new RangeError(`localPort is ${localPort}; expected 0 to 65535`), "ERR_SOCKET_BAD_PORT");
  }
  if (localAddress !== undefined) parsed("localAddress", localAddress);
}

function parsed(name: string, address: unknown): Address {
  if (typeof address === "string" && isIP(address) > 0 && !address.includes("%")) return parseAddress(address);
  const message = `${name} is ${JSON.stringify(address)}; expected an IP address without a zone`;
  throw coded(new TypeError(message), "ERR_INVALID_IP_ADDRESS");
}

function coded<E extends Error>(error: E, code: string): E {
  return Object.assign(error, { code });
}
