/** An engine that this thread has open connections, and what becomes of them. */
import assert from "node:assert/strict";
import { ATTEMPT_FAILS, Counter } from "../../abi/counters.js";
import { LENT_COUNT, THREAD_SIZE, THREAD_STATE, THREADS, ThreadState, Unopened } from "../../abi/streams.js";
import type { Opening, Target } from "../../src/net/attempt.js";
import { Port } from "../../src/net/port.js";
import type { Holder, Opener, Stream } from "../../src/net/stream.js";
import { ADDRESSES, type Family, type HostOptions, TcpHost } from "./tcphost.js";
import { Player, type Row } from "./tcpscript.js";
import { checkState, stateOf } from "./tcpstate.js";

/** The local port of connections unless a test says otherwise. */
export const LOCAL_PORT = 5000;

/** Keeps what it hears. */
export class Listener implements Opener, Holder {
  readonly heard: string[] = [];
  stream: Stream | undefined;
  opening: Opening | undefined;

  opened(stream: Stream): Holder {
    this.stream = stream;
    this.heard.push("opened");
    return this;
  }

  failed(why: number): void {
    this.heard.push(Unopened[why]);
  }

  came(): void {
    const text = this.stream?.read()?.toString();
    if (text !== undefined) this.heard.push(`"${text}"`);
    if (this.stream?.finished) this.heard.push("finished");
  }

  room(): void {
    // It writes little.
  }

  closing(): void {
    this.heard.push("closing");
  }

  ended(how: number): void {
    this.heard.push(`ended ${how}`);
    this.stream?.letGo();
  }

  lost(): void {
    this.heard.push("lost");
  }
}

export class OpenRig {
  readonly host: TcpHost;
  readonly port: Port;
  readonly family: Family;
  readonly player: Player;
  readonly #listeners: Listener[] = [];
  /** Address of the thread's fields. */
  readonly thread: number;

  private constructor(host: TcpHost, family: Family, thread: number) {
    this.host = host;
    this.family = family;
    this.thread = THREADS + THREAD_SIZE * thread;
    this.words[(this.thread + THREAD_STATE) / 4] = ThreadState.serving;
    const opened = () => { throw new Error("no connection comes"); };
    this.port = new Port(host.rig.linear.memory, thread, opened, () => undefined);
    this.player = new Player({ name: "opened", port: LOCAL_PORT, rows: [] }, family, host);
  }

  static async create(family: Family, options: HostOptions = {}, thread = 0): Promise<OpenRig> {
    const host = await TcpHost.create({ ...options, limits: { threads: thread + 1, ...options.limits } });
    return new OpenRig(host, family, thread);
  }

  get words(): Uint32Array {
    return new Uint32Array(this.host.rig.linear.memory.buffer);
  }

  /** Asks for the connection that the player has by that number, or for another one, and returns what hears of it. */
  ask(flow = 1, target: Partial<Target> = {}): Listener {
    const { local, peerPort } = this.player.flow(flow);
    const listener = new Listener();
    this.#listeners.push(listener);
    listener.opening = this.port.connect({
      localAddress: local, localPort: LOCAL_PORT, remoteAddress: ADDRESSES[this.family].peer, remotePort: peerPort,
      ...target,
    }, listener);
    this.turn();
    return listener;
  }

  /** Lets the thread and the packet loop hear of each other. */
  turn(): void {
    for (let i = 0; i < 4; i++) {
      this.port.turn();
      this.port.flush();
      this.host.inject();
    }
  }

  /** Plays rows, and has the thread hear of them. */
  play(...rows: readonly Row[]): void {
    this.player.play(rows);
    this.turn();
  }

  /** Asserts that each attempt has been counted by what became of it. */
  isCounted(): void {
    const { counters } = this.host.rig.linear;
    const heard = (what: string) => this.#listeners.filter(({ heard: [first] }) => first === what).length;
    assert.equal(counters[Counter.tcpOpened], heard("opened"), "opened");
    for (const [name, why] of Object.entries(Unopened)) {
      // Of what it has given up it hears nothing.
      if (typeof why === "string" || name === "given_up") continue;
      assert.equal(counters[ATTEMPT_FAILS + why], heard(name), name);
    }
  }

  /** Asserts that nothing is left. */
  isEmpty(waits = 0): void {
    checkState(this.host.rig);
    const state = stateOf(this.host.rig);
    const lent = this.words[(this.thread + LENT_COUNT) / 4];
    assert.deepEqual(
      [state.connections, state.pages - lent, state.waits, this.port.count], [0, 0, waits, 0],
      "connections, pages, TIME-WAIT, streams",
    );
  }
}
