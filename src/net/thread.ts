/**
 * A service thread: it runs what serves the streams of all queues. It sleeps until a packet loop wakes it, and then
 * takes turns with whatever else its event loop has to do.
 */
import { parentPort, workerData } from "node:worker_threads";
import * as libc from "../sys/libc.js";
import { httpService } from "./http.js";
import { page } from "./page.js";
import { Port, type Stream } from "./port.js";
import { Socket } from "./socket.js";

export interface ServiceInput {
  /** Which of the service threads this is. */
  readonly thread: number;
  /** Eventfd by which packet loops wake it. */
  readonly wakeFd: number;
}

/** Streams of this queue go to the thread. */
export interface ToService {
  readonly queue: number;
  readonly memory: WebAssembly.Memory;
  /** Eventfd that wakes it. */
  readonly wakeFd: number;
}

const input = workerData as ServiceInput;
const serveHttp = httpService(page);
let turning = false;

const woken = new ArrayBuffer(8);
const wokenAddress = libc.addressOf(woken);
/** By queue. */
const ports: Port[] = [];

parentPort?.on("message", ({ queue, memory, wakeFd }: ToService) => {
  ports[queue] = new Port(memory, input.thread, serve, () => { libc.eventfd_write(wakeFd, 1); });
  turn();
});
libc.onReadable(input.wakeFd, () => {
  libc.read(input.wakeFd, wokenAddress, woken.byteLength);
  turn();
});

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
