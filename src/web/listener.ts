/**
 * Opens sockets that listen, at an address, at a socket's file, or as systemd has opened them. Whoever opens them keeps
 * them; another thread accepts their connections. So they outlast that thread, with all connections that wait.
 */
import { once } from "node:events";
import { chmodSync, existsSync, lstatSync, renameSync, rmSync, unlinkSync } from "node:fs";
import { connect, createServer, isIPv6, type AddressInfo, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { unixPathOf, type InheritedSocket } from "../sys/activation.js";
import * as libc from "../sys/libc.js";
import { F_DUPFD_CLOEXEC } from "../sys/uapi.js";
import { isSamePlace, textOf, type Endpoint } from "../prefix/endpoints.js";

/** Mode of a socket's file, whatever the umask: its owner and its group may connect. */
const SOCKET_MODE = 0o660;

/** A socket that listens. Nobody accepts its connections yet. */
export class ListeningSocket {
  /** `endpoint`: its place, with the port that is really open. `file`: the socket's file, if pongd has made it. */
  constructor(readonly fd: number, readonly endpoint: Endpoint, readonly file?: string) {}

  /** Returns another descriptor of the socket, for a thread that closes it. @throws SystemError */
  duplicate(): number {
    return duplicate(this.fd, textOf(this.endpoint));
  }

  close(): void {
    if (this.file !== undefined) rmSync(this.file, { force: true });
    libc.close(this.fd);
  }
}

/**
 * Opens sockets at all `places`, in their order.
 * @throws Failure if a place is in use, not permitted, or not this machine's. No socket stays open then.
 */
export async function openSockets(places: readonly (Endpoint | InheritedSocket)[]): Promise<ListeningSocket[]> {
  const open: ListeningSocket[] = [];
  try {
    for (const place of places) {
      // A socket that systemd has opened may be one that the configuration names, too.
      if (!("fd" in place) && open.some(({ endpoint }) => isSamePlace(endpoint, place))) continue;
      open.push(await openSocket(place, open.map(({ endpoint }) => endpoint)));
    }
    return open;
  } catch (error) {
    for (const socket of open) socket.close();
    throw error;
  }
}

/** Opens a socket by way of a net.Server, which is closed before the event loop could accept a connection. */
async function openSocket(
  place: Endpoint | InheritedSocket, beside: readonly Endpoint[],
): Promise<ListeningSocket> {
  const server = createServer();
  const file = "path" in place ? place.path : undefined;
  try {
    const listening = once(server, "listening");
    if (file !== undefined) await removeStale(file);
    server.listen(place);
    // listen() makes a socket's file at once, or fails.
    if (file !== undefined && server.listening) chmodSync(file, SOCKET_MODE);
    await listening;
    const endpoint = endpointOf(server, place);
    const socket = new ListeningSocket(duplicate(fdOf(server), textOf(endpoint)), endpoint, file);
    closeKeeping(server, file);
    return socket;
  } catch (error) {
    server.close();
    throw explain(error, place, beside);
  }
}

/** Closes a server. Node.js removes the file of a socket that it closes, so the file has another name meanwhile. */
function closeKeeping(server: Server, file: string | undefined): void {
  if (file === undefined) {
    server.close();
    return;
  }
  const aside = `${file}.${process.pid}`;
  renameSync(file, aside);
  server.close();
  renameSync(aside, file);
}

/** Returns a server's descriptor, which Node.js has no public way to. */
function fdOf(server: Server): number {
  return (server as unknown as { readonly _handle: { readonly fd: number } })._handle.fd;
}

function duplicate(fd: number, what: string): number {
  return libc.check(libc.fcntl(fd, F_DUPFD_CLOEXEC, 0), "fcntl", `F_DUPFD_CLOEXEC of ${what}`);
}

/**
 * Accepts connections from a socket that listens. Returns a function that ends this, and closes the descriptor.
 * @throws Error if it is no such socket.
 */
export async function acceptFrom(fd: number, onConnection: (socket: Socket) => void): Promise<() => Promise<void>> {
  const server = createServer(onConnection);
  const listening = once(server, "listening");
  server.listen({ fd });
  await listening;
  return async () => {
    const closed = once(server, "close");
    server.close();
    await closed;
  };
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
