/**
 * The service thread of the fuzzer's TCP target, which opens connections. It says what does not hold of what it hears:
 * of each attempt it hears once, of what it has given up nothing, and bytes are those that peers send.
 */
import assert from "node:assert/strict";
import { LENT_COUNT, THREAD_STATE, THREADS, ThreadState, Unopened } from "../../../abi/streams.js";
import type { Opening, Target } from "../../../src/net/attempt.js";
import { Port } from "../../../src/net/port.js";
import type { Holder, Opener as Asker, Stream } from "../../../src/net/stream.js";
import type { TcpHost } from "../../support/tcphost.js";

/** Rounds in which a thread and a packet loop tell each other all that they have to tell. */
const ROUNDS = 3;
/** Orders that order() knows. */
export const ORDERS = 16;

/** What an attempt, and the connection that it has become, has heard. */
class Attempt implements Asker, Holder {
  opening: Opening | undefined;
  stream: Stream | undefined;
  /** The last that it has heard. */
  heard = "nothing";
  readonly #peerBytes: ReadonlySet<number>;
  readonly #isAnswered: () => boolean;
  #isGone = false;

  constructor(peerBytes: ReadonlySet<number>, isAnswered: () => boolean) {
    this.#peerBytes = peerBytes;
    this.#isAnswered = isAnswered;
  }

  opened(stream: Stream): Holder {
    assert.ok(this.#isAnswered(), "the peer has acknowledged the SYN");
    this.#hear("nothing", "opened");
    this.stream = stream;
    return this;
  }

  failed(why: number): void {
    this.#hear("nothing", Unopened[why]);
    assert.ok(why > 0 && Unopened[why] !== "given_up", "it has failed for a reason");
    this.#isGone = true;
  }

  came(): void {
    assert.ok(this.stream && !this.#isGone, "bytes come to an open connection");
    for (let chunk = this.stream.read(); chunk; chunk = this.stream.read()) {
      assert.ok(chunk.every((byte) => this.#peerBytes.has(byte)), "bytes are the peer's");
    }
  }

  room(): void {
    // It writes again when the input says so.
  }

  closing(): void {
    assert.ok(!this.#isGone, "no news of what was given up");
  }

  ended(how: number): void {
    this.#hear("opened", `ended ${how}`);
    this.leave();
  }

  lost(): void {
    this.#isGone = true;
  }

  #hear(before: string, what: string): void {
    assert.ok(!this.#isGone, `${what}, of what was given up`);
    assert.equal(this.heard, before, what);
    this.heard = what;
  }

  /** Carries out what an input says. */
  order(what: number): void {
    if (this.#isGone) return;
    switch (what) {
      case 0: case 1:
        if (!this.stream) this.giveUp(what === 1);
        else if (what === 1) this.leave();
        return;
      case 2: this.stream?.shut(); return;
      case 3: this.stream?.reset(); return;
      case 4:
        this.stream?.shut();
        this.leave();
        return;
      default: this.stream?.write(new Uint8Array(1 << what - 3).fill(what));
    }
  }

  giveUp(resets: boolean): void {
    this.#isGone = true;
    this.opening?.giveUp(resets);
  }

  leave(): void {
    this.#isGone = true;
    this.stream?.letGo();
    if (!this.stream) this.opening?.giveUp();
  }
}

export class Opener {
  readonly #host: TcpHost;
  readonly #port: Port;
  readonly #peerBytes: ReadonlySet<number>;
  readonly #isAnswered: (number: number) => boolean;
  #attempts: (Attempt | undefined)[] = [];

  /** `isAnswered`: returns whether the peer of that number has acknowledged a SYN. */
  constructor(host: TcpHost, peerBytes: ReadonlySet<number>, isAnswered: (number: number) => boolean) {
    this.#host = host;
    this.#peerBytes = peerBytes;
    this.#isAnswered = isAnswered;
    this.#words[(THREADS + THREAD_STATE) / 4] = ThreadState.serving;
    this.#port = new Port(host.rig.linear.memory, 0, () => assert.fail("no connection comes"), () => undefined);
  }

  get #words(): Uint32Array {
    return new Uint32Array(this.#host.rig.linear.memory.buffer);
  }

  /** Pages that it has on loan. */
  get lent(): number {
    return this.#words[(THREADS + LENT_COUNT) / 4];
  }

  /** True once it has asked for a connection, and so may have something to say. */
  get isUsed(): boolean {
    return this.#attempts.length > 0;
  }

  /** The packet loop has forgotten everything, as after a crash. */
  begin(): void {
    this.#attempts = [];
    this.turn();
  }

  /** Asks for a connection in place of the one with that number, which goes on without anybody. */
  open(number: number, target: Target): void {
    this.#attempts[number]?.leave();
    const attempt = new Attempt(this.#peerBytes, () => this.#isAnswered(number));
    this.#attempts[number] = attempt;
    attempt.opening = this.#port.connect(target, attempt);
  }

  /** Has an attempt carry out what an input says. */
  order(number: number, what: number): void {
    this.#attempts.at(number)?.order(what);
  }

  /** Returns the last that an attempt has heard. */
  heardOf(number: number): string {
    return this.#attempts.at(number)?.heard ?? "-";
  }

  /** Lets the thread and the packet loop hear of each other. */
  turn(): void {
    for (let i = 0; i < ROUNDS; i++) {
      this.#port.turn();
      this.#port.flush();
      this.#host.inject();
    }
  }

  /** Nobody wants any of the connections. */
  end(): void {
    for (const attempt of this.#attempts) attempt?.leave();
    this.turn();
  }

  /** Asserts that nothing is left. */
  isEmpty(): void {
    assert.equal(this.#port.count, 0, "the thread has no stream");
  }
}
