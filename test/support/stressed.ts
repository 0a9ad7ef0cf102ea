/**
 * A service thread for test/deep/stream-stress.test.ts. Its accesses to shared memory are delayed at random, so that
 * they meet the packet loop's in many orders.
 */
import { setImmediate } from "node:timers/promises";
import { workerData } from "node:worker_threads";
import { Port } from "../../src/net/port.js";
import { Socket } from "../../src/net/socket.js";
import { Random } from "./random.js";

export interface StressedInput {
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly seed: number;
  /** STRESS_ words, of all threads. */
  readonly control: Int32Array;
}

/** Words: raised by a thread that has an order and sees the loop asleep; counts that, and threads that fall asleep. */
export const LOOP_WOKEN = 0;
export const EVENTS = 1;
/** What a thread has found wrong: 0, or 1 + the place in WRONG. */
export const FOUND = 2;
/** For each thread: 1 while it sleeps; 1 once it was woken. */
export const SLEEPS = 4;
export const WOKEN = 20;
export const CONTROL_WORDS = 36;

export const WRONG = ["a byte is not the stream's", "the stream ended before its end"] as const;

/** The byte at a position of what the client with this port sends. The first four are the length of all. */
export function byteOf(port: number, length: number, position: number): number {
  return position < 4 ? length >>> 8 * position & 0xff : Math.imul(port * 65_537 + position + 1, 0x9e37_79b1) >>> 24;
}

/** Has each of these functions wait for a moment now and then before it does what it does. */
function delay(random: Random, names: readonly ("load" | "store" | "exchange" | "and")[]): void {
  const spin = new Int32Array(new SharedArrayBuffer(4));
  for (const name of names) {
    const original = Reflect.get(Atomics, name) as (...args: unknown[]) => number;
    Object.defineProperty(Atomics, name, { value: (...args: unknown[]) => {
      if (random.oneIn(64)) Atomics.wait(spin, 0, 0, random.below(20) / 1000);
      return original(...args);
    } });
  }
}

function serve(socket: Socket, random: Random, wrong: (what: typeof WRONG[number]) => void): void {
  const port = socket.ends.remotePort;
  let came = 0;
  let length = 0;
  const limit = random.oneIn(3) ? random.below(60_000) : Infinity;
  const kind = random.below(4);
  socket.on("data", (chunk: Buffer) => {
    for (const byte of chunk) {
      if (came < 4) length |= byte << 8 * came;
      else if (byte !== byteOf(port, length, came)) wrong(WRONG[0]);
      came++;
    }
    if (came < limit) return;
    if (kind === 0) socket.destroy();
    else if (kind === 1) socket.resetAndDestroy();
    else if (kind === 2) socket.destroySoon();
  });
  socket.on("error", () => undefined);
  socket.on("end", () => { if (came !== length) wrong(WRONG[1]); });
  socket.pipe(socket);
}

async function run({ memory, thread, seed, control }: StressedInput): Promise<void> {
  const random = new Random(seed);
  const event = () => {
    Atomics.add(control, EVENTS, 1);
    Atomics.notify(control, EVENTS);
  };
  const wrong = (what: typeof WRONG[number]) => { Atomics.store(control, FOUND, 1 + WRONG.indexOf(what)); };
  const port = new Port(memory, thread, (stream) => {
    const socket = new Socket(stream);
    serve(socket, random, wrong);
    return socket;
  }, () => {
    Atomics.store(control, LOOP_WOKEN, 1);
    event();
  });
  delay(random, ["load", "store", "exchange", "and"]);
  for (;;) {
    while (port.turn());
    // What sockets do by themselves, they do now.
    for (let i = 0; i < 3; i++) await setImmediate();
    if (!port.doze()) continue;
    Atomics.store(control, SLEEPS + thread, 1);
    event();
    while (Atomics.load(control, WOKEN + thread) === 0) Atomics.wait(control, WOKEN + thread, 0);
    Atomics.store(control, SLEEPS + thread, 0);
    Atomics.store(control, WOKEN + thread, 0);
  }
}

if (workerData !== null) await run(workerData as StressedInput);
