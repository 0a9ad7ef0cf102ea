/** Tests service threads as the supervisor sees them: what becomes of a configuration while one dies or hangs. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
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
import { streamService } from "../../src/prefix/streams.js";
import { ServiceCounts } from "../../src/telemetry/servicecounts.js";

const FOLDER = mkdtempSync(join(tmpdir(), "pongd-threads-"));
const PREFIXES = PrefixList.of([parsePrefix("10.99.0.0/16")]);
const STATE = (THREADS + THREAD_STATE) / 4;

after(() => { rmSync(FOLDER, { recursive: true }); });

/** Returns a service of a handler with this text. */
function service(name: string, text: string) {
  const handler = join(FOLDER, `${name}.mjs`);
  writeFileSync(handler, `${text}\nexport default (socket) => socket.end();\n`);
  return streamService(name, { tcp: { handler, version: "1" } });
}

describe("a thread that dies once it has loaded a new configuration, and before that is used", () => {
  for (const startedAgain of [false, true]) {
    test(`is started again with it, ${startedAgain ? "although it had begun with the one before" : "and not the one before"}`, async () => {
      const { memory } = LinearMemory.create({ mtu: 1500, reassembly: 0, reloadable: true });
      const words = new Int32Array(memory.buffer);
      // What a packet loop does: it ends the streams of a thread that is gone.
      const queue = { index: 0, memory: { memory }, wakeFd: -1, wake() {
        Atomics.compareExchange(words, STATE, ThreadState.gone, ThreadState.ended);
      } };
      const services = new Services(1, "json", pino({ level: "silent" }));
      services.connect(queue as unknown as Queue);
      const state = () => Atomics.load(words, STATE);
      const comesTo = async (wanted: ThreadState) => { while (state() !== (wanted as number)) await setImmediate(); };
      const loads = new BroadcastChannel("loads");
      const loaded: string[] = [];
      loads.onmessage = (event) => { loaded.push((event as { readonly data: string }).data); };
      const says = (name: string) => `
        import { BroadcastChannel } from "node:worker_threads";
        new BroadcastChannel("loads").postMessage("${name}");
        const ends = new BroadcastChannel("ends");
        ends.onmessage = () => { throw new Error("the end"); };
        ends.unref();`;
      const ends = new BroadcastChannel("ends");
      try {
        (await services.prepare([service("old", says("old"))], PREFIXES, "info"))();
        assert.equal(state(), ThreadState.serving);
        const use = await services.prepare([service("new", says("new"))], PREFIXES, "info");
        ends.postMessage("");
        await comesTo(ThreadState.ended);
        if (startedAgain) await comesTo(ThreadState.serving);
        loaded.length = 0;
        use();
        while (!loaded.includes("new")) await setImmediate();
        await comesTo(ThreadState.serving);
        await services.prepare([service("next", "")], PREFIXES, "info");
      } finally {
        loads.close();
        ends.close();
        await services.end();
      }
    });
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
