/** Tests service threads as the supervisor sees them: what becomes of a configuration while one dies or hangs. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { BroadcastChannel } from "node:worker_threads";
import { pino } from "pino";
import { THREAD_STATE, THREADS, ThreadState } from "../../abi/streams.js";
import type { Queue } from "../../src/daemon/queue.js";
import { Services } from "../../src/daemon/services.js";
import { Thread } from "../../src/daemon/servicethread.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { PrefixList } from "../../src/prefix/list.js";
import { parsePrefix } from "../../src/prefix/prefixes.js";
import { streamService, type StreamService } from "../../src/prefix/streams.js";
import { ServiceCounts } from "../../src/telemetry/servicecounts.js";

const FOLDER = mkdtempSync(join(tmpdir(), "pongd-threads-"));
const PREFIXES = PrefixList.of([parsePrefix("10.99.0.0/16")]);
/** The file where handlers say that they are loaded. */
const LOADED = join(FOLDER, "loaded");
const STATE = (THREADS + THREAD_STATE) / 4;

after(() => { rmSync(FOLDER, { recursive: true }); });

/** Returns a service of a handler with this text. */
function service(name: string, text: string) {
  const handler = join(FOLDER, `${name}.mjs`);
  writeFileSync(handler, `${text}\nexport default (socket) => socket.end();\n`);
  return streamService(name, { tcp: { handler, version: "1" } });
}

/** A text for service(), which says in LOADED that it is loaded, and that has its thread die when it is told to. */
function says(name: string): string {
  return `
    import { appendFileSync } from "node:fs";
    import { BroadcastChannel } from "node:worker_threads";
    const ends = new BroadcastChannel("ends");
    ends.onmessage = () => { throw new Error("the end"); };
    ends.unref();
    appendFileSync(${JSON.stringify(LOADED)}, "${name} ");`;
}

/** Ends a text for service() that is loaded once OPEN is told. */
const WAITS = `
  const open = new BroadcastChannel("open");
  await new Promise((resolve) => {
    open.onmessage = resolve;
    appendFileSync(${JSON.stringify(LOADED)}, "waits ");
  });
  open.close();`;

/** Returns what has been loaded since it was last forgotten, in order. */
function loaded(): string[] {
  return readFileSync(LOADED, "utf8").split(" ").slice(0, -1);
}

/** One service thread, and a packet loop's part of one queue. */
class Rig {
  readonly services = new Services(1, "json", pino({ level: "silent" }));
  readonly #words: Int32Array;
  readonly #channels: BroadcastChannel[] = [];

  constructor() {
    const { memory } = LinearMemory.create({ mtu: 1500, reassembly: 0, reloadable: true });
    const words = this.#words = new Int32Array(memory.buffer);
    // What a packet loop does: it ends the streams of a thread that is gone.
    const queue = { index: 0, memory: { memory }, wakeFd: -1, wake() {
      Atomics.compareExchange(words, STATE, ThreadState.gone, ThreadState.ended);
    } };
    this.services.connect(queue as unknown as Queue);
    writeFileSync(LOADED, "");
  }

  /** The thread's ThreadState. */
  get state(): number {
    return Atomics.load(this.#words, STATE);
  }

  /** Fulfilled when the thread is in this state. */
  async comesTo(state: ThreadState): Promise<void> {
    while (this.state !== (state as number)) await setImmediate();
  }

  /** Fulfilled when a thread has been started. */
  async starts(): Promise<void> {
    await once(process, "worker");
  }

  prepare(...services: StreamService[]): Promise<() => void> {
    return this.services.prepare(services, PREFIXES, "info");
  }

  tell(name: "ends" | "open"): void {
    const channel = new BroadcastChannel(name);
    this.#channels.push(channel);
    channel.postMessage("");
  }

  async end(): Promise<void> {
    for (const channel of this.#channels) channel.close();
    await this.services.end();
  }
}

describe("a thread that dies once it has loaded a new configuration, and before that is used", () => {
  let rig: Rig;
  let use: () => void;
  beforeEach(async () => {
    rig = new Rig();
    (await rig.prepare(service("old", says("old"))))();
    assert.equal(rig.state, ThreadState.serving);
    use = await rig.prepare(service("new", says("new")));
    writeFileSync(LOADED, "");
  });
  afterEach(() => rig.end());

  test("is started again with it, and not the one before", async () => {
    rig.tell("ends");
    await rig.comesTo(ThreadState.ended);
    use();
    assert.equal(rig.state, ThreadState.ended);
    await rig.comesTo(ThreadState.serving);
    assert.deepEqual(loaded(), ["new"]);
    await rig.prepare(service("next", ""));
  });

  test("is started again with it, although it serves the one before again", async () => {
    rig.tell("ends");
    await rig.comesTo(ThreadState.ended);
    await rig.comesTo(ThreadState.serving);
    use();
    // Behind the new configuration, which it still has to load.
    await rig.prepare(service("next", says("next")));
    assert.equal(rig.state, ThreadState.serving);
    assert.deepEqual(loaded(), ["old", "new", "next"]);
  });

  test("is started again with it, although it is about to load the one before again", async () => {
    service("old", says("old") + WAITS);
    rig.tell("ends");
    while (!loaded().includes("waits")) await setImmediate();
    use();
    assert.equal(rig.state, ThreadState.ended);
    rig.tell("open");
    await rig.comesTo(ThreadState.serving);
    assert.deepEqual(loaded(), ["old", "waits", "new"]);
  });
});

test("a thread that is started again does not load what the first reload with services could not load", async () => {
  const rig = new Rig();
  try {
    (await rig.prepare())();
    await assert.rejects(rig.prepare(service("bad", `${says("bad")}\nthrow new Error("not that");`)), /not that/);
    const started = rig.starts();
    rig.tell("ends");
    await started;
    (await rig.prepare(service("good", says("good"))))();
    assert.equal(rig.state, ThreadState.serving);
    assert.deepEqual(loaded(), ["bad", "good"]);
  } finally {
    await rig.end();
  }
});

/** A thread that says what it is told to say. */
class Told extends Thread {
  readonly name = "told";
  readonly requests: number[] = [];
  giveUp: () => void = () => undefined;

  constructor() {
    super(0, [], -1, new ServiceCounts());
  }

  say(request: number, ...failures: string[]): void {
    this.heard({ kind: "prepared", request, failures });
  }

  protected get absence(): undefined {
    return undefined;
  }

  protected tooLate(): Promise<readonly string[]> {
    return new Promise((resolve) => {
      this.giveUp = () => { resolve(["too late"]); };
    });
  }

  protected post(message: Parameters<Thread["post"]>[0]): void {
    if (message.kind === "prepare") this.requests.push(message.request);
  }

  protected wakeFdOf(): number {
    return -1;
  }
}

test("an answer that comes too late is not taken for that to the next request", async () => {
  const thread = new Told();
  const content = () => ({ services: [], prefixes: PREFIXES, logLevel: "info" } as const);
  const first = thread.prepare(content());
  await setImmediate();
  thread.giveUp();
  assert.deepEqual(await first, ["too late"]);
  const second = thread.prepare(content());
  await setImmediate();
  const [late, asked] = thread.requests;
  thread.say(late, "what went wrong with the first");
  thread.say(asked, "what went wrong with the second");
  assert.deepEqual(await second, ["what went wrong with the second"]);
});
