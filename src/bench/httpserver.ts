/**
 * A server's process of `bench http`, in a network namespace of its own: http.Server on pongd's TCP, the whole program
 * as `pongd run` runs it, or on the kernel's sockets. Both have the same handler (httphandler.ts). The client is a
 * process of its own, so that this one's CPU time is the server's. It obeys its parent's messages.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { Service } from "../../abi/tcp.js";
import { DEFAULTS } from "../config/keys.js";
import { streamService } from "../prefix/streams.js";
import { affinity, setProcessAffinity } from "./affinity.js";
import { Child, failToParent, inputFromParent, tellParent } from "./child.js";
import type { ClientInput } from "./httpclient.js";
import handle from "./httphandler.js";
import { PORT, type ClientMessage, type LoadCommand, type ServerMessage } from "./load.js";
import { enterNamespace } from "./namespace.js";
import { startPongd } from "./pongd.js";
import type { HttpServer } from "./report.js";
import { connectServer } from "./veth.js";

export interface ServerInput {
  readonly server: HttpServer;
  /** True if wrk is to measure what it can. */
  readonly wrk: boolean;
  readonly seed: number;
}

/** Connections that may wait for http.Server to accept them. */
const BACKLOG = 511;

const { server, wrk, seed } = inputFromParent() as ServerInput;

main().catch(fail);

async function main(): Promise<void> {
  enterNamespace("http");
  const [first, ...others] = affinity();
  const last = others.at(-1);
  if (last !== undefined) setProcessAffinity(last);
  const isKernel = server === "kernel";
  await (isKernel ? listen() : serve());
  const client: ClientInput = {
    cpu: last === undefined ? undefined : first, behindPair: isKernel ? process.pid : undefined, wrk, seed,
  };
  const child = await Child.start<ClientMessage>("./httpclient.js", client, `the client of ${server}`);
  if (isKernel) connectServer();
  process.on("message", (command: LoadCommand) => { obey(child, command).catch(fail); });
  tellParent({ kind: "ready" });
}

async function listen(): Promise<void> {
  await once(createServer(handle).listen(PORT, "0.0.0.0", BACKLOG), "listening");
}

/** Starts pongd with its defaults. */
async function serve(): Promise<void> {
  const stream = streamService("bench", {
    http: { handler: fileURLToPath(new URL("./httphandler.js", import.meta.url)), version: "" },
  });
  const service = { name: stream.name, kind: Service.http, bytes: Buffer.from(stream.id, "hex"), stream };
  await startPongd({
    engine: "wasm", io: "auto", mtu: undefined, offload: true,
    tcp: {
      connections: DEFAULTS.tcp_connections, memory: DEFAULTS.tcp_memory, bySource: DEFAULTS.tcp_source_connections,
      threads: DEFAULTS.service_threads,
    },
    ports: [{ first: PORT, last: PORT, service }],
  }, fail);
}

async function obey(client: Child<ClientMessage>, command: LoadCommand): Promise<void> {
  const before = process.cpuUsage();
  const loaded = await client.ask(command, "loaded");
  const { user, system } = process.cpuUsage(before);
  const message: ServerMessage = { ...loaded, kind: "served", cpuUs: user + system };
  tellParent(message);
}

function fail(error: unknown): void {
  failToParent(error);
}
