/**
 * Tests streams with service threads that are threads, over the packet loop's memory: sockets end in all ways, blocks
 * are used again and again, pages run short, and threads die. Nothing waits for a clock: a stall is that everybody
 * sleeps.
 */
import "../support/process.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import {
  ASLEEP, DOZES, LENT_COUNT, NEWS_FOR, NEWS_HEAD, NEWS_TAIL, ORDERED, ORDERS_HEAD, ORDERS_TAIL, THREAD_SIZE,
  THREAD_STATE, THREADS, ThreadState,
} from "../../abi/streams.js";
import { Service } from "../../abi/tcp.js";
import { Random } from "../support/random.js";
import { ReferenceTcp } from "../support/reference-tcp.js";
import {
  byteOf, CONTROL_WORDS, EVENTS, FOUND, LOOP_WOKEN, SLEEPS, type StressedInput, WOKEN, WRONG,
} from "../support/stressed.js";
import { decode, isTcp } from "../support/tcp.js";
import { ADDRESSES, TcpHost } from "../support/tcphost.js";
import { checkState, stateOf } from "../support/tcpstate.js";

const PORT = 80;
const COUNT = 2;
const CLIENTS = Number(process.env.CLIENTS ?? 2500);
/** Clients at a time: more than there are blocks. */
const AT_ONCE = 20;
const CONNECTIONS = 16;
const DEATHS = 6;
/** How far time is put forward where nothing else is left to do: no keepalive comes by then. */
const PATIENCE_US = 3600e6;

/** A client: sends a stream, or a part of it, and ends in one of several ways. */
interface Client {
  readonly tcp: ReferenceTcp;
  readonly port: number;
  readonly length: number;
  readonly sent: Uint8Array[];
  /** Bytes that it sends before it resets the connection; it ends it properly if there are not as many. */
  readonly abortAt: number;
  written: number;
}

class Stress {
  readonly host: TcpHost;
  readonly #random: Random;
  readonly #words: Int32Array;
  readonly #control = new Int32Array(new SharedArrayBuffer(4 * CONTROL_WORDS));
  readonly #workers: Worker[] = [];
  readonly #clients = new Map<number, Client>();
  #begun = 0;
  #deaths = 0;
  whole = 0;

  constructor(host: TcpHost, random: Random) {
    this.host = host;
    this.#random = random;
    this.#words = new Int32Array(host.rig.linear.memory.buffer);
    for (let i = 0; i < COUNT; i++) this.#start(i);
  }

  #start(thread: number): void {
    for (const word of [SLEEPS, WOKEN]) this.#control[word + thread] = 0;
    const { memory } = this.host.rig.linear;
    const workerData: StressedInput = { memory, thread, seed: this.#random.next(), control: this.#control };
    this.#workers[thread] = new Worker(new URL("../support/stressed.js", import.meta.url), { workerData });
    this.#workers[thread].once("error", (error) => { throw error; });
    Atomics.store(this.#words, (THREADS + THREAD_SIZE * thread + THREAD_STATE) / 4, ThreadState.serving);
  }

  async run(): Promise<void> {
    while (this.#begun < CLIENTS || this.#clients.size > 0) {
      if (this.#begun > (this.#deaths + 1) * CLIENTS / (DEATHS + 1)) await this.#kill(this.#deaths++ % COUNT);
      this.#round();
      const found = Atomics.load(this.#control, FOUND);
      assert.equal(found, 0, WRONG[found - 1]);
      if (this.#random.oneIn(16)) checkState(this.host.rig, false);
      if (!this.#hasPackets()) await this.#sleep();
    }
    for (let quiet = 0; quiet < 3; quiet++) {
      this.host.advance(10e6);
      this.#round();
      while (!this.#allAsleep()) await this.#sleep();
    }
  }

  /** Clients act, the engine has their packets, and the threads are woken that there is news for. */
  #round(): void {
    while (this.#clients.size < AT_ONCE && this.#begun < CLIENTS && !this.#random.oneIn(4)) this.#connect();
    const packets: Uint8Array[] = [];
    for (const client of this.#clients.values()) {
      if (this.#random.oneIn(2)) this.#act(client);
      if (this.#random.oneIn(2)) packets.push(...client.sent.splice(0, 1 + this.#random.below(8)));
    }
    this.host.inject(...packets.slice(0, 64));
    for (const packet of packets.slice(64)) this.host.inject(packet);
    for (const { packet } of this.host.take()) {
      if (!isTcp(packet)) continue;
      const { dstPort, data } = decode(packet);
      const client = this.#clients.get(dstPort);
      client?.tcp.input(packet, this.host.us);
      if (client && data.length > 0 && !this.#random.oneIn(4)) client.tcp.consume(Infinity, this.host.us);
    }
    for (const [port, { tcp, sent, length }] of this.#clients) {
      if (tcp.outcome === undefined || sent.length > 0) continue;
      // No packet is lost.
      assert.notEqual(tcp.outcome, "timed out");
      if (tcp.finished && tcp.came === length && tcp.outcome === "closed") this.whole++;
      this.#clients.delete(port);
    }
    this.#wake();
  }

  #connect(): void {
    const family = this.#random.pick([4, 6] as const);
    const { peer, local } = ADDRESSES[family];
    const port = 10_000 + this.#begun++;
    const length = 4 + (this.#random.oneIn(4) ? this.#random.below(200_000) : this.#random.below(3000));
    const sent: Uint8Array[] = [];
    const tcp = new ReferenceTcp({
      local: peer, remote: local, localPort: port, remotePort: PORT, isn: this.#random.next(), mss: 1400,
      segmentSize: 1 + this.#random.below(1400), buffer: 1 << 16, timestamps: false, sack: true, duplicateSack: false,
      segments: 32, rtoUs: 1e6, delayedAckUs: 0, patienceUs: 120e6,
      expected: (position) => position < length ? byteOf(port, length, position) : undefined,
      transmit: (packet) => { sent.push(packet.slice()); },
    });
    const abortAt = this.#random.oneIn(4) ? this.#random.below(length) : Infinity;
    this.#clients.set(port, { tcp, port, length, sent, abortAt, written: 0 });
    tcp.connect(this.host.us);
  }

  #act(client: Client): void {
    const { tcp, port, length } = client;
    const { us } = this.host;
    tcp.tick(us);
    if (tcp.outcome !== undefined || tcp.state === "syn-sent") return;
    tcp.consume(Infinity, us);
    if (client.written >= client.abortAt) {
      tcp.abort(us);
      return;
    }
    if (client.written === length) return;
    const count = Math.min(length - client.written, 1 + this.#random.below(20_000));
    const from = client.written;
    tcp.write(Uint8Array.from({ length: count }, (_, i) => byteOf(port, length, from + i)), us);
    client.written += count;
    if (client.written === length) tcp.shutdown(us);
  }

  #hasPackets(): boolean {
    return [...this.#clients.values()].some(({ sent, tcp, written, length }) => {
      return sent.length > 0 || (tcp.outcome === undefined && tcp.state !== "syn-sent" && written < length);
    });
  }

  /** As src/daemon/worker.ts has it, with words in place of eventfds. */
  #wake(): void {
    const news = this.#words[NEWS_FOR / 4];
    this.#words[NEWS_FOR / 4] = 0;
    for (let i = 0; i < COUNT; i++) {
      const dozes = (THREADS + THREAD_SIZE * i + DOZES) / 4;
      if ((news & 1 << i) === 0 || Atomics.exchange(this.#words, dozes, 0) === 0) continue;
      Atomics.store(this.#control, WOKEN + i, 1);
      Atomics.notify(this.#control, WOKEN + i);
    }
  }

  #allAsleep(): boolean {
    for (let i = 0; i < COUNT; i++) {
      if (Atomics.load(this.#control, SLEEPS + i) === 0 || Atomics.load(this.#control, WOKEN + i) !== 0) return false;
    }
    return true;
  }

  /** Sleeps until a thread has an order. If all threads sleep as well, time goes on to the next deadline. */
  async #sleep(): Promise<void> {
    const control = this.#control;
    Atomics.store(this.#words, ASLEEP / 4, 1);
    if (Atomics.load(this.#words, ORDERED / 4) === 0) {
      for (;;) {
        const events = Atomics.load(control, EVENTS);
        if (Atomics.exchange(control, LOOP_WOKEN, 0) !== 0) break;
        if (this.#allAsleep()) {
          if (Atomics.exchange(control, LOOP_WOKEN, 0) !== 0) break;
          this.#nothingToDo();
          this.#goOn();
          break;
        }
        // Messages of threads that begin or end have their turn.
        if (Atomics.wait(control, EVENTS, events, 5) === "timed-out") await setImmediate();
      }
    }
    Atomics.store(this.#words, ASLEEP / 4, 0);
    this.#round();
  }

  /** Asserts that nobody sleeps while there is something to do. */
  #nothingToDo(): void {
    const words = this.#words;
    assert.equal(words[ORDERED / 4], 0, "there are orders");
    for (let i = 0; i < COUNT; i++) {
      const thread = (THREADS + THREAD_SIZE * i) / 4;
      assert.equal(words[thread + NEWS_TAIL / 4], words[thread + NEWS_HEAD / 4], "there is news");
      assert.equal(words[thread + ORDERS_TAIL / 4], words[thread + ORDERS_HEAD / 4], "orders are not taken");
    }
  }

  #goOn(): void {
    if (this.#clients.size === 0) return;
    const next = Math.min(this.host.deadlineUs, ...[...this.#clients.values()].map(({ tcp }) => tcp.deadline));
    assert.ok(next - this.host.us < PATIENCE_US, "everybody sleeps, and clients wait");
    this.host.advanceTo(Math.max(next, this.host.us + 1));
  }

  /** A thread ends, in the middle of anything, and another one begins once nothing is left of its streams. */
  async #kill(thread: number): Promise<void> {
    const at = (THREADS + THREAD_SIZE * thread + THREAD_STATE) / 4;
    await this.#workers[thread].terminate();
    Atomics.store(this.#words, at, ThreadState.gone);
    Atomics.store(this.#words, ORDERED / 4, 1);
    while (Atomics.load(this.#words, at) !== (ThreadState.ended as number)) {
      this.host.advance(20);
      this.#round();
    }
    this.#start(thread);
  }

  async end(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  /** Asserts that all blocks and pages are free, but for pages on loan. */
  isEmpty(): void {
    checkState(this.host.rig);
    const { connections, pages } = stateOf(this.host.rig);
    const lent = Array.from({ length: COUNT }, (_, i) => this.#words[(THREADS + THREAD_SIZE * i + LENT_COUNT) / 4]);
    assert.deepEqual([connections, pages - lent.reduce((a, b) => a + b)], [0, 0], "connections, pages");
  }
}

test("streams of two threads: bytes once, in order and whole, or an error; nobody sleeps on work; nothing is left",
  async () => {
    const random = Random.fromEnvironment();
    console.log(`SEED=${random.seed}`);
    const host = await TcpHost.create({
      ports: [{ first: PORT, last: PORT, service: { name: "mine", kind: Service.stream } }],
      limits: { threads: COUNT, connections: CONNECTIONS, memory: 1 << 19 },
    });
    const stress = new Stress(host, random);
    try {
      await stress.run();
      stress.isEmpty();
      assert.ok(stress.whole > CLIENTS / 10, `${stress.whole} streams were whole`);
      console.log(`${stress.whole} of ${CLIENTS} streams were whole`);
    } finally {
      await stress.end();
    }
  });
