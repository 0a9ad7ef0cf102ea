/** Listens at one place: an address, a socket's file, or a socket that systemd has opened. */
import { once } from "node:events";
import { chmodSync, existsSync, lstatSync, unlinkSync } from "node:fs";
import { connect, createServer, isIPv6, type AddressInfo, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { unixPathOf, type InheritedSocket } from "../sys/activation.js";
import { textOf, type Endpoint } from "../prefix/endpoints.js";

/** Mode of a socket's file, whatever the umask: its owner and its group may connect. */
const SOCKET_MODE = 0o660;

export interface Listener {
  /** Place with the port that is really open. */
  readonly endpoint: Endpoint;
  close(): Promise<void>;
}

/**
 * Listens at a place. `beside`: where this process listens already.
 * @throws Failure if the place is in use, not permitted, or not this machine's.
 */
export async function listen(
  place: Endpoint | InheritedSocket, onConnection: (socket: Socket) => void, beside: readonly Endpoint[] = [],
): Promise<Listener> {
  const server = createServer(onConnection);
  try {
    const listening = once(server, "listening");
    if ("path" in place) await removeStale(place.path);
    server.listen(place);
    // listen() makes a socket's file at once, or fails.
    if ("path" in place && server.listening) chmodSync(place.path, SOCKET_MODE);
    await listening;
    return { endpoint: endpointOf(server, place), close: () => close(server) };
  } catch (error) {
    server.close();
    throw explain(error, place, beside);
  }
}

async function close(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  await closed;
}

function endpointOf(server: Server, place: Endpoint | InheritedSocket): Endpoint {
  if ("path" in place) return place;
  const path = "fd" in place ? unixPathOf(place.fd) : undefined;
  if (path !== undefined) return { path };
  const { address, port } = server.address() as AddressInfo;
  return { host: "host" in place ? place.host : address, port };
}

/**
 * Removes a socket's file at which nobody listens: a pongd that was killed leaves one. Any other file stays, and is in
 * the way.
 * @throws Failure if the file is not a socket.
 */
async function removeStale(path: string): Promise<void> {
  const file = lstatSync(path, { throwIfNoEntry: false });
  if (!file) return;
  if (!file.isSocket()) {
    throw new Failure(`${textOf({ path })}: that file is no socket; choose another path`, EXIT.RUNTIME);
  }
  const socket = connect(path);
  const refused = await once(socket, "connect").then(
    () => false, (error: unknown) => (error as NodeJS.ErrnoException).code === "ECONNREFUSED",
  );
  socket.destroy();
  if (refused) unlinkSync(path);
}

function explain(error: unknown, place: Endpoint | InheritedSocket, beside: readonly Endpoint[]): unknown {
  if (error instanceof Failure) return error;
  const failure = (
    what: string, exitStatus: Failure["exitStatus"] = EXIT.RUNTIME,
  ) => new Failure(what, exitStatus, { cause: error });
  const code = (error as NodeJS.ErrnoException).code ?? "";
  if ("fd" in place) {
    return failure(`systemd handed over descriptor ${place.fd} (${place.name}), which is no stream socket to listen `
      + "on; in its unit, write ListenStream= and Accept=no");
  }
  const where = textOf(place);
  const own = beside.find((other) => "port" in other && "port" in place && other.port === place.port);
  if (code === "EADDRINUSE" && own) {
    return failure(`${where} overlaps with ${textOf(own)}, where pongd listens too; leave one of them out`);
  }
  if (code === "EADDRINUSE") {
    return failure(`${where} is in use, perhaps by another pongd; choose another address with --listen`);
  }
  if ("path" in place) {
    const folder = dirname(place.path);
    // libuv turns ENOENT into EACCES.
    if (code === "EACCES" && !existsSync(folder)) {
      return failure(`${where}: there is no folder ${folder}; make it, or choose another path`);
    }
    if (code === "EACCES") return failure(
      `${where}: no file may be made in ${folder}; choose another path, or have systemd open the socket (pongd.socket)`,
      EXIT.PERMISSION,
    );
  } else if (code === "EACCES") {
    return failure(
      `${where} is not permitted: ports below 1024 need CAP_NET_BIND_SERVICE; choose another with --listen`,
      EXIT.PERMISSION,
    );
  } else if (code === "EINVAL" && isIPv6(place.host ?? "")) {
    return failure(`${where} is an address of one interface, which is not named or not there; write it like `
      + `[fe80::1%eth0]:${place.port}`);
  } else if (["EADDRNOTAVAIL", "ENOTFOUND", "EAI_AGAIN"].includes(code)) {
    return failure(`${where} is no address of this machine, or not yet; choose another with --listen`);
  }
  return failure(`cannot listen on ${where}: ${messageOf(error)}`);
}
