/**
 * A service thread: it runs what serves the streams of all queues. It sleeps until a packet loop wakes it, and then
 * takes turns with whatever else its event loop has to do.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import * as libc from "../sys/libc.js";
import { httpService } from "./http.js";
import { page } from "./page.js";
import { Port, type Stream } from "./port.js";
import { Socket } from "./socket.js";

export interface ServiceInput {
  /** Which of the service threads this is. */
  readonly thread: number;
}

/** The packet loop of a queue is about to start. */
export interface ToService {
  readonly queue: number;
  readonly memory: WebAssembly.Memory;
  /** Eventfd that wakes it. */
  readonly wakeFd: number;
  /** It wakes this thread by a message. */
  readonly port: MessagePort;
}

const input = workerData as ServiceInput;
const serveHttp = httpService(page);
let turning = false;

/** By queue. */
const ports: Port[] = [];

parentPort?.on("message", ({ queue, memory, wakeFd, port }: ToService) => {
  ports[queue] ??= new Port(memory, input.thread, serve, () => { libc.eventfd_write(wakeFd, 1); });
  port.on("message", turn);
  turn();
});
parentPort?.postMessage("serving");

function serve(stream: Stream): Socket {
  const socket = new Socket(stream);
  serveHttp(socket);
  return socket;
}

function turn(): void {
  if (turning) return;
  turning = true;
  again(true);
}

/** Takes turns until there is no news, and then sleeps. */
function again(more: boolean): void {
  for (const port of ports) more = port.turn() || more;
  if (more) {
    setImmediate(again, false);
    return;
  }
  turning = false;
  if (!ports.every((port) => port.doze())) turn();
}
