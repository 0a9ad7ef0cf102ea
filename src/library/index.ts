/**
 * pongd as a library: every address of whole prefixes answers ping, and connections to and from any of them are sockets
 * of this thread. docs/library.md explains it.
 *
 *     import { open } from "pongd";
 *     const pongd = await open({ prefixes: ["10.99.0.0/16"] });
 *     await pongd.serve(80, http.createServer((request, response) => response.end(request.socket.localAddress)));
 */
import type { Configuration } from "./configuration.js";
import { Pongd, type OpenOptions } from "./pongd.js";

export type { Configuration, LimitSetting, PrefixMap, PrefixSetting, ServiceMap } from "./configuration.js";
export { PongdError, type PongdErrorCode } from "./error.js";
export type { LogEntry } from "./log.js";
export type { BindOptions, DatagramHandler, OpenOptions, Pongd, PortOptions, Served } from "./pongd.js";
export type { ConnectionServer } from "./servers.js";
export type { ConnectOptions } from "./target.js";
export type { Reply } from "../net/datagrams.js";
export type { Remote } from "../net/remote.js";
export type { Socket } from "../net/socket.js";

/**
 * Makes the device, or takes one that was made before, and answers on it. Fulfilled once packets are answered. pongd
 * keeps the process alive until it is closed; see Pongd.unref().
 * @throws PongdError: ERR_PONGD_CONFIG, ERR_PONGD_PERMISSION, ERR_PONGD_RUNTIME, by when all is gone again; or the
 *   signal's reason
 */
export async function open(configuration: Configuration, options: OpenOptions = {}): Promise<Pongd> {
  return await Pongd.open(configuration, options);
}
