/** A Session-Sender of STAMP (RFC 8762 §4.2), for a look at what lies between it and a reflector. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { realtime } from "../sys/realtime.js";
import { replyOf, requestOf } from "./packet.js";
import { Tally, type Moment, type Times, type Totals } from "./tally.js";

/** With it, the reflector can tell how many routers there were. */
const TTL = 255;
const NS_PER_S = 1e9;

export interface SenderOptions {
  readonly address: string;
  readonly family: 4 | 6;
  readonly port: number;
  /** Address to send from. */
  readonly source: string | undefined;
  readonly count: number;
  /** Seconds from one request to the next, and those that one waits for its reply. */
  readonly interval: number;
  readonly timeout: number;
  /** Octets of a packet. */
  readonly size: number;
  readonly ssid: number;
  readonly key: Uint8Array | undefined;
  /** Error estimate of the clock here, as it is sent. */
  readonly error: number;
}

/** What is told while it goes on. */
export interface Listener {
  replied(times: Times): void;
  /** Something went wrong, for the first time. */
  failed(message: string): void;
}

/**
 * Sends requests, and returns what became of them. `stopped` ends it before the last one.
 * @throws Failure (usage) if it cannot send from `source`
 */
export async function measure(options: SenderOptions, listener: Listener, stopped: AbortSignal): Promise<Totals> {
  const { count, interval, timeout, size, key } = options;
  const tally = new Tally(count, BigInt(Math.round(timeout * NS_PER_S)));
  const socket = await open(options);
  const others = await openForOthers(socket, options);
  const told = new Set<string>();
  const fail = (error: Error) => {
    const { code = error.message } = error as NodeJS.ErrnoException;
    if (!told.has(code)) listener.failed(explain(error, options));
    told.add(code);
  };
  let changed: () => void = () => undefined;
  socket.on("error", fail);
  socket.on("message", (packet) => {
    const at = moment();
    const times = tally.came(replyOf(packet, size, key, at.wall), at);
    if (times) listener.replied(times);
    changed();
  });

  others?.on("message", () => { tally.came("address", moment()); });

  const send = (sequence: number, again = true) => {
    const at = moment();
    tally.sent(sequence, at);
    socket.send(requestOf({ ...options, sequence, time: at.wall }), (error) => {
      if (!error) return;
      fail(error);
      // The kernel tells of an ICMP error to an earlier packet in place of sending this one.
      if (again && (error as NodeJS.ErrnoException).code === "ECONNREFUSED") send(sequence, false);
    });
  };
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    const wait = start + 1000 * interval * i - performance.now();
    if (wait > 0) await sleep(wait, undefined, { signal: stopped }).catch(() => undefined);
    if (stopped.aborted) break;
    send(i);
  }
  // Not AbortSignal.timeout(): Node.js 20 may free one that AbortSignal.any() alone knows, and it then never ends.
  let over = stopped.aborted;
  const end = () => {
    over = true;
    changed();
  };
  const timer = setTimeout(end, Math.ceil(1000 * timeout));
  stopped.addEventListener("abort", end, { once: true });
  while (tally.waiting > 0 && !over) await new Promise<void>((resolve) => { changed = resolve; });
  clearTimeout(timer);
  // Node.js looks at sockets once between these two, so what has come to the other one by now is counted.
  await setImmediate();
  await setImmediate();
  socket.close();
  others?.close();
  return tally.totals();
}

async function open({ address, family, port, source }: SenderOptions): Promise<Socket> {
  const socket = createSocket({ type: family === 6 ? "udp6" : "udp4", reuseAddr: true });
  try {
    if (source !== undefined) {
      socket.bind({ address: source, port: 0 });
      await once(socket, "listening");
    }
    // From then on, packets of others do not come, and ICMP errors do.
    socket.connect(port, address);
    await once(socket, "connect");
    socket.setTTL(TTL);
  } catch (error) {
    socket.close();
    const from = source === undefined ? "" : ` from ${source}`;
    throw new Failure(`nothing can be sent to ${address}${from}: ${messageOf(error)}`, EXIT.RUNTIME, { cause: error });
  }
  return socket;
}

/** Opens a socket to which comes what others send to the first one's port; undefined if that cannot be. */
async function openForOthers(first: Socket, { family }: SenderOptions): Promise<Socket | undefined> {
  const socket = createSocket({ type: family === 6 ? "udp6" : "udp4", reuseAddr: true });
  try {
    const { address, port } = first.address();
    socket.bind({ address, port });
    await once(socket, "listening");
    socket.on("error", () => undefined);
    return socket;
  } catch {
    // They are not counted then. They are not used in any case.
    socket.close();
    return undefined;
  }
}

function explain(error: Error, { address, port, size }: SenderOptions): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ECONNREFUSED") return `${address} has no service at UDP port ${port}`;
  if (code === "EMSGSIZE") return `packets of ${size} octets are too long to send`;
  return `${address}: ${error.message}`;
}

function moment(): Moment {
  return { wall: realtime(), steady: process.hrtime.bigint() };
}
