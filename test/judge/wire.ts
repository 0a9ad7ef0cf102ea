/**
 * Two engines in this process, and a network between them, in real time. This thread has the streams of both, so that
 * each end of a connection is a Socket. Nothing is lost or comes late.
 */
import { randomFillSync } from "node:crypto";
import { setImmediate, setTimeout } from "node:timers";
import { Unreachable } from "../../abi/tables.js";
import { BATCH } from "../../abi/slots.js";
import { ASLEEP, ORDERED, THREAD_STATE, THREADS, ThreadState } from "../../abi/streams.js";
import { Service } from "../../abi/tcp.js";
import { SECRETS } from "../../src/engine/tcp.js";
import { Port } from "../../src/net/port.js";
import type { Holder, Stream } from "../../src/net/stream.js";
import { BY_DEFAULT, Rig } from "../support/engines.js";
import { addr } from "../support/packets.js";

const NS_PER_MS = 1e6;
/** Rounds of the engines before the sockets have their turn, so that two that never rest do not take all of it. */
const ROUNDS = 16;

const SIDES = {
  server: { prefix: "10.99.0.0/16", host: "10.99.0.1", address: addr("10.99.1.1") },
  client: { prefix: "10.98.0.0/16", host: "10.98.0.1", address: addr("10.98.1.1") },
} as const;

/** An engine, and this thread's end of its streams. */
export class Side {
  readonly address: Uint8Array;
  readonly port: Port;
  /** Packets that have not arrived yet. */
  readonly inbox: Uint8Array[] = [];
  readonly #rig: Rig;
  readonly #words: Int32Array;

  private constructor(rig: Rig, address: Uint8Array, opened: (stream: Stream) => Holder, wake: () => void) {
    this.#rig = rig;
    this.address = address;
    this.#words = new Int32Array(rig.linear.memory.buffer);
    this.#words[(THREADS + THREAD_STATE) / 4] = ThreadState.serving;
    this.port = new Port(rig.linear.memory, 0, opened, wake);
  }

  static async create(name: keyof typeof SIDES, opened: (stream: Stream) => Holder, wake: () => void): Promise<Side> {
    const { prefix, host, address } = SIDES[name];
    const service = { name: "judged", kind: Service.stream } as const;
    const rig = await Rig.create("wasm", {
      prefixes: [prefix], host, mtu: 1500,
      policy: {
        ...BY_DEFAULT, unreachable: { udp: Unreachable.on, other: Unreachable.on },
        tcp: { ports: [{ first: 1, last: 65_535, service }] },
      },
      tcp: {
        connections: 4096, memory: 128 << 20, bySource: 0, threads: 1, secrets: randomFillSync(new Uint8Array(SECRETS)),
      },
    });
    return new Side(rig, address, opened, wake);
  }

  /** Milliseconds, on the clock of performance.now(), at which the engine wants to be called; Infinity for never. */
  get deadline(): number {
    const { deadline } = this.#rig.clock;
    return deadline === 0 ? Infinity : deadline / NS_PER_MS;
  }

  get hasWork(): boolean {
    return this.inbox.length > 0 || Atomics.load(this.#words, ORDERED / 4) !== 0 || this.deadline <= performance.now();
  }

  set isAsleep(asleep: boolean) {
    Atomics.store(this.#words, ASLEEP / 4, Number(asleep));
  }

  /** Calls the engine for what has come. Returns what it sends. */
  respond(): Uint8Array[] {
    this.#rig.now = performance.now();
    return this.#rig.respond(...this.inbox.splice(0, BATCH));
  }
}

export class Wire {
  readonly server: Side;
  readonly client: Side;
  #isScheduled = false;
  #timer: NodeJS.Timeout | undefined;

  private constructor(server: Side, client: Side) {
    this.server = server;
    this.client = client;
    this.#rest();
  }

  /** `opened`: what the server's side does with a connection. */
  static async create(opened: (stream: Stream) => Holder): Promise<Wire> {
    const wake = () => { wire.#schedule(); };
    const none = () => { throw new Error("nobody connects to clients"); };
    const wire: Wire = new Wire(
      await Side.create("server", opened, wake), await Side.create("client", none, wake),
    );
    return wire;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#isScheduled = false;
    const { server, client } = this;
    server.isAsleep = client.isAsleep = false;
    for (let i = 0; i < ROUNDS && (server.hasWork || client.hasWork); i++) {
      if (server.hasWork) client.inbox.push(...server.respond());
      if (client.hasWork) server.inbox.push(...client.respond());
    }
    try {
      server.port.turn();
      client.port.turn();
    } finally {
      this.#rest();
    }
  };

  /** Sleeps, unless there is something to do. */
  #rest(): void {
    const { server, client } = this;
    server.isAsleep = client.isAsleep = true;
    const mayDoze = [server.port.doze(), client.port.doze()].every(Boolean);
    if (!mayDoze || server.hasWork || client.hasWork) {
      this.#schedule();
      return;
    }
    clearTimeout(this.#timer);
    const deadline = Math.min(server.deadline, client.deadline);
    this.#timer = undefined;
    if (deadline === Infinity) return;
    this.#timer = setTimeout(() => { this.#schedule(); }, Math.ceil(deadline - performance.now()));
    this.#timer.unref();
  }
}
